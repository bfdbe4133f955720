//! Request and reply, point to point: one small frame each way.
//!
//! A member (or a client) asks one life for one thing and says until when it
//! waits. The answer is one of four: done, with bytes; refused (not done);
//! timed out, or failed (unknown); the life that was asked ended (unknown).
//!
//! - *At most once*: links neither lose nor repeat within a pair of lives, and
//!   a request is never asked again by itself.
//! - *An answer always comes*: at the deadline at the latest, from this node's
//!   own clock, whatever happens to the peer.
//! - *No order*: two requests to one peer may be answered in any order.
//!
//! Who answers: a [`Respond`] function, run right where the request arrives
//! (short ones: health, counters), or a component, which is called and answers
//! when it can (a [`Route`]). This is a remote procedure call with at-most-once
//! semantics: Birrell and Nelson, *Implementing Remote Procedure Calls*, TOCS
//! 2(1), 1984, without its retries.

mod asked;
mod component;
mod config;
mod message;
#[cfg(test)]
mod tests;

pub use component::{Requests, Sweep};
pub use config::{Config, Respond, Responder, Route};
pub use message::{Message, Outcome, lane_for};

use crate::error::CallError;
use crate::id::{Kind, Life, NodeId};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Named text values beside a request's bytes.
pub type Params = Vec<(String, String)>;

/// What [`Call::Ask`] is answered with.
pub type Answer = Result<Bytes, CallError>;

/// The request name of a named service on bytes: `service:<service>`.
pub fn service_name(service: &str) -> String {
    format!("service:{service}")
}

/// Whom to ask.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// The life that the node has at the time of asking.
    Node(NodeId),
    /// This life and no other.
    Life(Life),
}

/// What components and the user may ask of [`Requests`].
#[derive(Debug)]
pub enum Call {
    /// Asks a peer, or this node itself. Answered with an [`Answer`].
    Ask(Ask),
    /// From now on a component answers requests of this name. Answered with a
    /// `Result<(), CallError>`: refused if another one answers them.
    Serve {
        /// The request's stable name.
        name: Arc<str>,
        /// Who answers.
        route: Route,
    },
}

/// A request as its asker makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Whom.
    pub to: Peer,
    /// The request's stable name; its hash travels.
    pub name: Arc<str>,
    /// Version of the body's encoding.
    pub version: u16,
    /// Values beside the body.
    pub params: Params,
    /// The body.
    pub body: Bytes,
    /// How long the answer is waited for.
    pub within: Duration,
}

/// A request as its handler sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The asking life: a member's or a client's, or this node's own.
    pub from: Life,
    /// Hash of the request's name.
    pub kind: Kind,
    /// Version of the body's encoding.
    pub version: u16,
    /// Values beside the body.
    pub params: Params,
    /// The body.
    pub body: Bytes,
    /// How long the asker waits, counted from when it asked.
    pub within: Duration,
}

impl Request {
    /// The parameter named `name`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a handler answers. A component replies to its call with one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done.
    Done(Bytes),
    /// Not done, and why.
    Refused(String),
    /// Failed half-way: it may or may not have been done.
    Failed(String),
}
