//! Links over TCP: the pure link core ([`crate::protocol::link`]) on sockets,
//! sealed by Noise.
//!
//! ```text
//!             handshake: who, may it link, keys        one port: links, client dialects
//!   dial  ->  connect --\                        /-- accept <- first bytes
//!                        session (socket, keys)
//!   push -> link core -> writer: join, seal once, write once
//!           link core <- reader: read much, open, whole frames -> sink, once a read
//! ```
//!
//! A peer has a writer thread for its life and a reader thread a session; a
//! voter's reader is also who dials. A short push writes by itself when the
//! writer is idle. Sessions come and go, the link core resumes on the next one,
//! and only a new life, a decision or a goodbye ends it.

mod accept;
mod admission;
mod bound;
pub mod client;
mod config;
mod crew;
mod dial;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handshake;
mod hello;
mod joiner;
pub mod keys;
mod links;
mod peer;
mod planted;
mod reader;
mod report;
mod seal;
mod shared;
mod wire;
mod writer;

pub use bound::Bound;
pub use config::{Config, Credentials, FrameWatch, Limits, Passing, PeerAddr, PeerAddrError, Security, StartError};
pub use hello::Refusal;
pub use joiner::acquainted;
pub use links::{Cut, Links};
pub use report::{Counters, PeerInfo};

use crate::component::{Lane, PeerChange};
use crate::id::{Kind, Life};
use bytes::Bytes;
use std::net::TcpStream;

/// Where a node's links hand what they receive. Called on reader threads;
/// must not block for long.
pub trait Sink: Send + Sync + 'static {
    /// Blocks of one socket read, in order, all from one life; `credits` says
    /// how many bytes of each component's sends that life acknowledged.
    fn received(&self, from: Life, blocks: &mut Vec<Inbound>, credits: &[(Kind, u64)]);
    /// A peer's life joined or ended. Ordered with `received` per peer: nothing
    /// from a life arrives before its `Joined` or after its `Ended`.
    fn peer(&self, change: PeerChange);
    /// A connection whose first bytes belong to a client dialect.
    fn dialect(&self, component: Kind, connection: TcpStream, first: Vec<u8>);
    /// This life is over: the peers refuse it (ended by a majority, or they
    /// remember a later incarnation). The node must go on as a new life with at
    /// least this incarnation.
    fn outlived(&self, at_least: u64, why: String);
}

/// A block from a peer.
#[derive(Debug)]
pub struct Inbound {
    /// The component it is for.
    pub component: Kind,
    /// The lane it came on.
    pub lane: Lane,
    /// The block.
    pub block: Bytes,
}
