//! Snapshots between replicas, as streams: the engine's message carries where
//! one stands, the stream that message and the bytes.
//!
//! ```text
//!   [length 4][message] [snapshot]        written as far as the other side grants
//! ```
//!
//! Whatever becomes of it, the engine is told: else it would never send that
//! replica anything again.

use super::message::Body;
use super::snapshot::{Meta, decode};
use super::wire::WireMessage;
use crate::component::{StreamId, StreamOp};
use crate::id::Life;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The name of these streams.
pub(super) const NAME: &str = "snapshot";
/// Bytes granted ahead.
pub(super) const WINDOW: u64 = 1 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// A snapshot from a peer is not taken beyond this.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

struct Sending {
    to: u64,
    life: Life,
    left: Bytes,
    snapshot: Bytes,
    writable: u64,
}

/// What arrived whole.
pub(super) struct Arrived {
    pub(super) from: Life,
    pub(super) group: u64,
    pub(super) message: WireMessage,
    pub(super) meta: Meta,
    pub(super) state: Vec<u8>,
    pub(super) bytes: Bytes,
}

/// All transfers under way.
#[derive(Default)]
pub(super) struct Transfers {
    sending: BTreeMap<StreamId, Sending>,
    receiving: BTreeMap<StreamId, (Life, Vec<u8>)>,
}

impl Transfers {
    /// Begins to send `snapshot` with `message` on a stream just opened.
    pub(super) fn begin(
        &mut self,
        id: StreamId,
        life: Life,
        to: u64,
        group: u64,
        message: WireMessage,
        snapshot: Bytes,
    ) {
        let mut head = vec![0; 4];
        crate::codec::put_head(&mut head, &Body::Engine(group, message));
        let length = (head.len() - 4) as u32;
        head[..4].copy_from_slice(&length.to_le_bytes());
        self.sending.insert(id, Sending { to, life, left: head.into(), snapshot, writable: 0 });
    }

    /// Streams on which something is still sent to this replica.
    pub(super) fn sending_to(&self, to: u64) -> Vec<StreamId> {
        self.sending.iter().filter(|(_, sending)| sending.to == to).map(|(id, _)| *id).collect()
    }

    /// More may be written: what to do, and to which replica all is sent.
    pub(super) fn writable(&mut self, id: StreamId, bytes: u64) -> (Vec<StreamOp>, Option<u64>) {
        let Some(sending) = self.sending.get_mut(&id) else { return (Vec::new(), None) };
        sending.writable += bytes;
        let mut ops = Vec::new();
        loop {
            if sending.left.is_empty() {
                sending.left = std::mem::take(&mut sending.snapshot);
            }
            if sending.left.is_empty() {
                ops.push(StreamOp::Finish);
                let to = sending.to;
                self.sending.remove(&id);
                return (ops, Some(to));
            }
            let length = sending.left.len().min(CHUNK_BYTES).min(sending.writable.try_into().unwrap_or(usize::MAX));
            if length == 0 {
                return (ops, None);
            }
            sending.writable -= length as u64;
            ops.push(StreamOp::Write(sending.left.split_to(length)));
        }
    }

    /// A stream was cut: the replica that did not get its snapshot.
    pub(super) fn cut(&mut self, id: StreamId) -> Option<u64> {
        self.receiving.remove(&id);
        self.sending.remove(&id).map(|sending| sending.to)
    }

    /// A peer's life is over: the replicas that did not get theirs.
    pub(super) fn ended(&mut self, life: Life) -> Vec<u64> {
        self.receiving.retain(|_, (from, _)| *from != life);
        self.sending.extract_if(.., |_, sending| sending.life == life).map(|(_, sending)| sending.to).collect()
    }

    /// A peer begins to send one; what it began before is forgotten.
    pub(super) fn opened(&mut self, id: StreamId, from: Life) {
        self.receiving.retain(|_, (life, _)| *life != from);
        self.receiving.insert(id, (from, Vec::new()));
    }

    /// More arrived; false if it is too much.
    pub(super) fn chunk(&mut self, id: StreamId, bytes: &[u8]) -> bool {
        let Some((_, kept)) = self.receiving.get_mut(&id) else { return true };
        let room = kept.len() + bytes.len() <= SNAPSHOT_BYTES_MAX;
        if room {
            kept.extend_from_slice(bytes);
        } else {
            self.receiving.remove(&id);
        }
        room
    }

    /// All arrived: the snapshot, if it is a whole one.
    pub(super) fn finished(&mut self, id: StreamId) -> Option<Arrived> {
        let (from, bytes) = self.receiving.remove(&id)?;
        let bytes = Bytes::from(bytes);
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let end = length.checked_add(4).filter(|end| *end <= bytes.len())?;
        let Ok(Body::Engine(group, message)) = postcard::from_bytes(&bytes[4..end]) else { return None };
        let bytes = bytes.slice(end..);
        let (meta, state) = decode(&bytes)?;
        (message.snapshot() == Some(&meta)).then_some(Arrived { from, group, message, meta, state, bytes })
    }
}
