//! A life's links: what comes from them, and the null object of a node that
//! has none.

use super::counters::count;
use super::live::Live;
use super::node::Notice;
use super::streams::STREAM;
use crate::component::{Item, Lane, PeerChange, To};
use crate::id::{Kind, Life};
use crate::time::Time;
use crate::transport::{Inbound, Links, Sink};
use bytes::Bytes;
use std::net::TcpStream;
use std::sync::{Arc, Weak};

/// The way out of a node. Nothing here blocks, except `stop`.
pub(super) trait Network: Send + Sync {
    /// Hands a sealed block to the links; order is kept per lane and peer.
    fn push(&self, to: To, lane: Lane, component: Kind, block: Bytes);
    /// Ends a peer's life on this node.
    fn end_life(&self, life: Life);
    /// When the life was last heard.
    fn last_heard(&self, life: Life) -> Option<Time>;
    /// The links themselves.
    fn links(&self) -> Option<Arc<Links>>;
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
    fn links(&self) -> Option<Arc<Links>> {
        None
    }
    fn stop(&self, _: bool) {}
}

impl Network for Arc<Links> {
    fn push(&self, to: To, lane: Lane, component: Kind, block: Bytes) {
        Links::push(self, to, lane, component, block);
    }
    fn end_life(&self, life: Life) {
        Links::end_life(self, life);
    }
    fn last_heard(&self, life: Life) -> Option<Time> {
        Links::last_heard(self, life)
    }
    fn links(&self) -> Option<Arc<Links>> {
        Some(self.clone())
    }
    fn stop(&self, leaving: bool) {
        if leaving {
            Links::leave(self);
        } else {
            Links::stop(self);
        }
    }
}

/// Where links hand what they receive: routes it to the mailboxes. A reader
/// whose component has a full mailbox waits here, so that TCP slows the sender
/// down; no component ever waits for a reader, so that ends.
pub(super) struct Entry {
    pub(super) live: Weak<Live>,
}

impl Sink for Entry {
    fn received(&self, from: Life, blocks: &mut Vec<Inbound>, credits: &[(Kind, u64)]) {
        let Some(live) = self.live.upgrade() else { return blocks.clear() };
        for (component, bytes) in credits {
            if let Some(to) = live.index(*component).filter(|to| live.manifest(*to).wants_credit) {
                live.hand(to, Item::Credit { life: from, bytes: *bytes });
            }
        }
        let mut blocks = blocks.drain(..).peekable();
        while let Some(first) = blocks.next() {
            let component = first.component;
            let Some(to) = live.index(component) else {
                live.foreign(from, component, &first.block);
                continue;
            };
            let rest = std::iter::from_fn(|| blocks.next_if(|next| next.component == component));
            let mut items =
                std::iter::once(first).chain(rest).map(|inbound| Item::Messages { from, block: inbound.block });
            live.hand_over(to, &mut items);
            live.mailboxes[to].room();
        }
    }

    fn peer(&self, change: PeerChange) {
        if let Some(live) = self.live.upgrade() {
            live.peer(change);
        }
    }

    fn dialect(&self, component: Kind, connection: TcpStream, first: Vec<u8>) {
        if let Some(live) = self.live.upgrade() {
            live.dialect(component, connection, first);
        }
    }

    fn outlived(&self, at_least: u64, why: String) {
        if let Some(live) = self.live.upgrade() {
            live.node.notify(Notice::Outlived { life: live.me, at_least, why });
        }
    }
}

impl Live {
    /// A block that is for no component: the streams', or of a kind that this
    /// node does not have.
    fn foreign(&self, from: Life, component: Kind, block: &Bytes) {
        if component == STREAM {
            return self.stream_block(from, block);
        }
        count(&self.counts().unknown_kind);
        log::debug!(target: "nodewright::runtime", "{} bytes from {from} for {component:?}, which is not here", block.len());
    }
}
