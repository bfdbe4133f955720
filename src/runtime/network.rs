//! What the runtime needs of a node's links.

use crate::component::{Lane, To};
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::net::SocketAddr;

/// The way out of a node. Nothing here blocks, except `stop`.
pub(super) trait Network: Send + Sync {
    /// Hands a sealed block to the links; order is kept per lane and peer.
    fn push(&self, to: To, lane: Lane, component: Kind, block: Bytes);
    /// Ends a peer's life on this node.
    fn end_life(&self, life: Life);
    /// When the life was last heard.
    fn last_heard(&self, life: Life) -> Option<Time>;
    /// Where it listens.
    fn local_addr(&self) -> Option<SocketAddr>;
    /// Closes all links; says goodbye to the peers first where `leaving`.
    fn stop(&self, leaving: bool);
}

/// A node without links: there is nobody to send to.
pub(super) struct Alone;

impl Network for Alone {
    fn push(&self, _: To, _: Lane, _: Kind, _: Bytes) {}
    fn end_life(&self, _: Life) {}
    fn last_heard(&self, _: Life) -> Option<Time> {
        None
    }
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn stop(&self, _: bool) {}
}
