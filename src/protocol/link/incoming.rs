//! The receiving half of one lane: the next number, and what is owed to the
//! sender.

use crate::time::Time;
use std::time::Duration;

/// What became of a received frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Accept {
    /// The block is the next one: hand it to its component.
    Deliver,
    /// Received before.
    Duplicate,
    /// It carried no block, only an acknowledgement.
    NoBlock,
    /// Blocks before it are missing; it will be sent again.
    Early,
    /// It is from a session that is over.
    Stale,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Incoming {
    /// The number up to which everything was received.
    received: u64,
    unacked_bytes: usize,
    ack_due: Option<Time>,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Incoming { received: 0, unacked_bytes: 0, ack_due: None }
    }

    pub(super) fn ack_due(&self) -> Option<Time> {
        self.ack_due
    }

    /// Takes the block numbered `seq`. An acknowledgement is owed after
    /// `ack_after`, or at once when `ack_bytes` have come together or when the
    /// sender shows that it missed the last one.
    pub(super) fn take(&mut self, seq: u64, bytes: usize, now: Time, ack_after: Duration, ack_bytes: usize) -> Accept {
        if seq != self.received + 1 {
            self.ack_due = Some(now);
            return if seq <= self.received { Accept::Duplicate } else { Accept::Early };
        }
        self.received = seq;
        self.unacked_bytes += bytes;
        if self.unacked_bytes >= ack_bytes {
            self.ack_due = Some(now);
        } else if self.ack_due.is_none() {
            self.ack_due = Some(now + ack_after);
        }
        Accept::Deliver
    }

    /// The acknowledgement, which now is on its way.
    pub(super) fn acknowledge(&mut self) -> u64 {
        self.unacked_bytes = 0;
        self.ack_due = None;
        self.received
    }

    /// A session began: what was acknowledged may not have arrived.
    pub(super) fn reopened(&mut self, now: Time) {
        self.ack_due = (self.received > 0).then_some(now);
    }
}
