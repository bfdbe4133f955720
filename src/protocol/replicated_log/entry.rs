//! What an entry of the log carries: who asked for what, so that it is done
//! once.

use crate::codec::{put_head, take_head};
use crate::id::{Kind, Life};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Names a proposal of the user's, so that asking again does it once.
pub type Key = u128;

/// An entry's head; the body follows.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// The life that proposed it.
    pub(super) origin: Life,
    /// Its proposals, counted from 1.
    pub(super) number: u64,
    /// The user's own name for it.
    pub(super) key: Option<Key>,
    /// The machine that it is for, or the component that it is delivered to.
    pub(super) channel: Kind,
    /// How many messages a broadcast holds; 0 for a command.
    pub(super) messages: u32,
}

impl Head {
    pub(super) fn encode(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + body.len());
        put_head(&mut out, self);
        out.extend_from_slice(body);
        out
    }

    /// The head and the body of an entry.
    pub(super) fn decode(entry: &Bytes) -> Option<(Head, Bytes)> {
        let (head, at) = take_head(entry)?;
        Some((head, entry.slice(at..)))
    }
}
