//! Perfect point-to-point links between two lives, over connections that come
//! and go.
//!
//! **Idea.** Each lane numbers its blocks from 1 for every pair of lives. The
//! sender keeps a block until the receiver has acknowledged it, and writes all
//! unacknowledged blocks again in order after a reconnect and when nothing was
//! acknowledged for a while (go-back-N). The receiver takes only the next
//! number, so a repeated block is dropped and an early one waits for its turn.
//!
//! **Guarantee** (perfect links; Cachin, Guerraoui, Rodrigues, *Introduction
//! to Reliable and Secure Distributed Programming*, section 2.4), on the lanes
//! control, data and bulk, between two lives while both are correct:
//! *reliable delivery* (what is pushed is delivered once sessions last long
//! enough), *no duplication*, *no creation*, and first-in first-out order
//! within a lane. It holds whatever a session loses, repeats or reorders.
//! Between lanes there is no order. The lane probe promises nothing: not
//! numbered, not repeated, dropped while there is no session.
//!
//! A **new life** of the peer is the crash of the old one: what was queued for
//! the old life is dropped, never handed to the new one, and numbers start
//! again. What was pushed before the first contact goes to the first life that
//! appears.
//!
//! ```text
//!   component           link of a to b                     link of b to a        component
//!     push(block) -> queue [acked+1 ..]
//!                    transmit -> frame(seq, ack of the lane) -> receive: next number?
//!                                                               yes -> Deliver ---> block
//!                    receive  <- frame(ack)                  <- transmit: ack owed
//!     credit      <- queue drops all up to ack
//! ```
//!
//! State, for each lane: the queue, how much of it is in flight, the number
//! received up to, whether an acknowledgement is owed. No thread, no socket,
//! no clock: the threads ([`crate::transport`]) and the simulator
//! ([`crate::sim`]) drive the same link.
//!
//! **Bound.** [`Link::push`] never blocks and never refuses, because a
//! component must never wait for a peer. What bounds the queue is what
//! components keep: a delivery keeps a bounded number of unstable bytes and
//! learns by credit what was acknowledged. [`Link::queued_bytes`] shows it.

mod frame;
mod half;
mod incoming;
mod outgoing;
#[cfg(test)]
mod property;

pub use frame::{BLOCK_BYTES_MAX, FrameHeader, Malformed, What};
pub use half::Link;
pub use incoming::Accept;

use crate::id::Life;
use std::time::Duration;

/// A link's settings.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// Most bytes in flight on each lane. Below about 1 MiB a fast link waits
    /// for acknowledgements; above 4 MiB only memory grows.
    pub window_bytes: usize,
    /// Blocks are written again when nothing was acknowledged for this long,
    /// then after twice that, up to sixteen times. Must be well above a round
    /// trip.
    pub resend_after: Duration,
    /// How long an acknowledgement may wait for a block that carries it. Less
    /// than `resend_after` by far.
    pub ack_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config { window_bytes: 4 << 20, resend_after: Duration::from_secs(2), ack_after: Duration::from_millis(10) }
    }
}

/// What a new session is to the link.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Opened {
    /// The first life of this peer: it gets what was queued so far.
    First,
    /// The same life again: all that is unacknowledged is written again.
    Resumed,
    /// Another life: what was queued for the old one is gone.
    NewLife {
        /// The life that is over.
        old: Life,
    },
    /// An earlier life than the one known, or one that was ended: no session
    /// was opened.
    Outlived {
        /// The life that is known.
        by: Life,
    },
}

/// A planted bug, for the tests that must catch it.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Mutant {
    /// A repeated block is delivered again.
    DedupeDropped,
    /// A new life goes on with the old one's numbers and queue.
    IncarnationForgotten,
    /// A block is delivered before its predecessors.
    EarlyTaken,
    /// Frames of sessions that are over are taken, also of an earlier life.
    EarlierLifeHeard,
}

/// What a link has seen, for people.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Counters {
    /// Blocks written again.
    pub resent: u64,
    /// Blocks received again.
    pub duplicates: u64,
    /// Blocks received before their predecessors.
    pub early: u64,
    /// Frames of sessions that were over.
    pub stale: u64,
    /// Probes dropped: no session, or too many.
    pub probes_dropped: u64,
    /// Acknowledgements for blocks that were never written.
    pub impossible_acks: u64,
}
