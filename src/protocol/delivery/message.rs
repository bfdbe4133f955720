//! What the delivery components of one cluster say to each other.
//!
//! ```text
//! origin   --Data-------------------> all      the payload, once
//! each     --Ack--------------------> all      "I hold this much of each origin, until stable": ids
//! lacking  --Pull--> who acknowledged --Relay*, Answer--> lacking      repair
//! any      --Relay------------------> behind   reliable: the origin is suspected or over
//! any      --NewLife----------------> all      before its own next Ack: earlier acks are void
//! any      --State------------------> new life what it holds, and whether it may be counted on
//! new life --Join(round)------------> all      "are you new too?": cold start
//! any      --Report, Closed---------> all      what is left of an ended life
//! listener --Listen, FeedAck--------> sponsor --FeedStart, Feed*, FeedEnd--> listener
//! any      --Moved------------------> all      a list of voters: it speaks under that from here on
//! any      --Pause------------------> all      best effort: a consumer here is slow
//! ```
//!
//! Payloads travel on the data lane, all else on the control lane, except what
//! must stay in order with payloads (`Answer`, the feed).

use crate::component::Stamp;
use crate::id::{Kind, Life};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The head of a batch. Its body follows: what it waits for, packed
/// ([`crate::protocol::ordering::dependencies`]), then its run of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub(super) seq: u64,
    pub(super) channel: Kind,
    pub(super) count: u32,
    pub(super) lamport: Option<u64>,
    pub(super) vector: Option<Vec<(Life, u64)>>,
    pub(super) deps_bytes: u32,
}

impl Head {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { lamport: self.lamport, vector: self.vector.as_deref().map(Arc::from) }
    }
}

/// What a life holds of one origin: the batches `base + 1 ..= have`, and it
/// does not owe those up to `base` to anyone.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holding {
    pub(super) origin: Life,
    pub(super) base: u64,
    pub(super) have: u64,
    /// The origin's life is over.
    pub(super) over: bool,
}

/// Under which list of voters something is said.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Under {
    /// Its version.
    pub(super) list: u64,
    /// The list with which the speaker's seat came, where a log says so.
    pub(super) seat: Option<u64>,
}

/// What a life holds, and how far it may be counted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) round: u32,
    pub(super) under: Under,
    /// The last one under which the life was joined; 0 for a new life.
    pub(super) joined: u64,
    pub(super) cold: Vec<Life>,
    /// The voters' lives that it knows, where the list is a log's.
    pub(super) lives: Vec<Life>,
    pub(super) closed: Vec<(Life, u64)>,
    pub(super) holdings: Vec<Holding>,
}

/// A message between the same delivery component of two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    Data(Head),
    Relay { origin: Life, head: Head },
    Ack(Vec<(Life, u64)>),
    NewLife(Life),
    Join { round: u32 },
    State(State),
    Moved(Under),
    Report { origin: Life, have: u64, again: bool },
    Closed { origin: Life, end: Option<u64> },
    Pull { origin: Life, from: u64, to: u64 },
    Answer { origin: Life, base: u64, upto: u64 },
    Pause(bool),
    Listen,
    FeedStart(Vec<(Life, u64)>),
    Feed { origin: Life, head: Head },
    FeedEnd { origin: Life, end: u64 },
    FeedAck { bytes: u64 },
}
