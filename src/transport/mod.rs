//! Links over TCP: the pure link core ([`crate::protocol::link`]) on sockets,
//! sealed by Noise.

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
