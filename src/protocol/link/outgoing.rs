//! The sending half of one lane: what is not acknowledged is kept, and sent
//! again in order (go-back-N).

use crate::id::Kind;
use crate::protocol::backlog::Backlog;
use crate::time::Time;
use bytes::Bytes;
use std::time::Duration;

/// Doublings of the resend interval while nothing is acknowledged.
const BACKOFF_DOUBLINGS_MAX: u32 = 4;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Queued {
    component: Kind,
    block: Bytes,
}

/// Blocks on their way out. `queue[0]` has the number `acked + 1`; the first
/// `in_flight` of them were written in this session.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Outgoing {
    queue: Backlog<Queued>,
    queued_bytes: usize,
    acked: u64,
    in_flight: usize,
    in_flight_bytes: usize,
    /// Greatest number ever written; no acknowledgement may exceed it.
    written: u64,
    resend_at: Option<Time>,
    /// Up to [`BACKOFF_DOUBLINGS_MAX`].
    silent_resends: u32,
}

impl Outgoing {
    pub(super) fn push(&mut self, component: Kind, block: Bytes) {
        self.queued_bytes += block.len();
        self.queue.push_back(Queued { component, block });
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.queued_bytes - self.in_flight_bytes
    }

    pub(super) fn resend_at(&self) -> Option<Time> {
        self.resend_at
    }

    /// Whether a block may be written now. One is always let through an empty
    /// window, however long it is.
    pub(super) fn sendable(&self, window_bytes: usize) -> bool {
        match self.queue.get(self.in_flight) {
            Some(next) => self.in_flight == 0 || self.in_flight_bytes + next.block.len() <= window_bytes,
            None => false,
        }
    }

    /// The next block in order: its number, component and bytes; whether it
    /// was written before.
    pub(super) fn next(&mut self, now: Time, resend_after: Duration) -> Option<(u64, Kind, Bytes, bool)> {
        let next = self.queue.get(self.in_flight)?;
        self.in_flight += 1;
        self.in_flight_bytes += next.block.len();
        let seq = self.acked + self.in_flight as u64;
        let again = seq <= self.written;
        self.written = self.written.max(seq);
        if self.resend_at.is_none() {
            self.resend_at = Some(now + self.patience(resend_after));
        }
        Some((seq, next.component, next.block.clone(), again))
    }

    /// Takes a cumulative acknowledgement; false if it is for what was never
    /// written. The bytes that it frees are added up per component.
    pub(super) fn acknowledged(
        &mut self,
        ack: u64,
        now: Time,
        resend_after: Duration,
        credits: &mut Vec<(Kind, u64)>,
    ) -> bool {
        if ack > self.written {
            return false;
        }
        if ack <= self.acked {
            return true;
        }
        while self.acked < ack {
            let Some(done) = self.queue.pop_front() else { break };
            self.acked += 1;
            let bytes = done.block.len();
            self.queued_bytes -= bytes;
            if self.in_flight > 0 {
                self.in_flight -= 1;
                self.in_flight_bytes -= bytes;
            }
            match credits.iter_mut().find(|(component, _)| *component == done.component) {
                Some((_, sum)) => *sum += bytes as u64,
                None => credits.push((done.component, bytes as u64)),
            }
        }
        self.silent_resends = 0;
        self.resend_at = (self.in_flight > 0).then(|| now + resend_after);
        true
    }

    /// Goes back to the first unacknowledged block, if its time has come.
    pub(super) fn tick(&mut self, now: Time) -> bool {
        let due = self.resend_at.is_some_and(|at| at <= now);
        if due {
            self.silent_resends = (self.silent_resends + 1).min(BACKOFF_DOUBLINGS_MAX);
            self.go_back();
        }
        due
    }

    /// Everything unacknowledged is to be written again.
    pub(super) fn go_back(&mut self) {
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.resend_at = None;
    }

    fn patience(&self, resend_after: Duration) -> Duration {
        resend_after * (1 << self.silent_resends)
    }
}
