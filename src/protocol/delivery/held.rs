//! A batch as it is kept: the body that travelled, and what its head said.

use super::message::Head;
use crate::codec::Batch;
use crate::component::{Stamp, Uncompared};
use crate::id::Kind;
use crate::protocol::ordering::dependencies::Dependencies;
use bytes::Bytes;

/// A batch that is kept until it is stable. While a peer is away all that is
/// broadcast is kept for it, so this is small, and its bytes are those that
/// arrived.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held {
    pub(super) channel: Kind,
    pub(super) stamp: Stamp,
    count: u32,
    deps_bytes: u32,
    /// What it waits for, then its messages.
    body: Bytes,
    /// When it was delivered, in this node's count of deliveries; 0 before.
    /// Only where a listener's feed begins depends on it, and models have none.
    pub(super) delivered_as: Uncompared<u64>,
}

impl Held {
    /// A batch that waits for nothing.
    pub(super) fn new(channel: Kind, batch: Batch, stamp: Stamp) -> Self {
        Held {
            channel,
            stamp,
            count: batch.count(),
            deps_bytes: 0,
            body: batch.run().clone(),
            delivered_as: Uncompared(0),
        }
    }

    /// The same, waiting for `deps`.
    pub(super) fn after(self, deps: &Dependencies) -> Self {
        let packed = deps.packed();
        if packed.is_empty() {
            return self;
        }
        Held { deps_bytes: packed.len() as u32, body: [&packed[..], &self.body[..]].concat().into(), ..self }
    }

    /// A batch as it arrived; `None` if it is malformed.
    pub(super) fn arrived(head: &Head, body: Bytes) -> Option<Self> {
        let deps_bytes = head.deps_bytes as usize;
        if deps_bytes > body.len() {
            return None;
        }
        Dependencies::checked(body.slice(..deps_bytes))?;
        Batch::checked(body.slice(deps_bytes..), head.count)?;
        let (channel, stamp) = (head.channel, head.stamp());
        Some(Held { channel, stamp, count: head.count, deps_bytes: head.deps_bytes, body, delivered_as: Uncompared(0) })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The messages.
    pub(super) fn batch(&self) -> Batch {
        Batch::known(self.body.slice(self.deps_bytes as usize..), self.count)
    }

    /// Bytes of the messages: what windows and receipts count.
    pub(super) fn run_bytes(&self) -> usize {
        self.body.len() - self.deps_bytes as usize
    }

    /// What it waits for.
    pub(super) fn deps(&self) -> Dependencies {
        Dependencies::known(self.body.slice(..self.deps_bytes as usize))
    }

    /// What it costs to keep.
    pub(super) fn cost(&self) -> u64 {
        (self.body.len() + size_of::<Held>()) as u64
    }

    /// Its head, as number `seq` of its origin; [`Held::body`] follows.
    pub(super) fn head(&self, seq: u64) -> Head {
        Head {
            seq,
            channel: self.channel,
            count: self.count,
            lamport: self.stamp.lamport,
            vector: self.stamp.vector.as_ref().map(|entries| entries.to_vec()),
            deps_bytes: self.deps_bytes,
        }
    }

    /// What follows the head.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }
}
