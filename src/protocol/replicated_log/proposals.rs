//! What this life proposed, from the call to the outcome.
//!
//! A proposal waits without a number while there is no leader, and can then be
//! given up as not done. With its number it is sent, in order, again from the
//! first open one whenever the leader changes or nothing moves; it leaves only
//! when it is applied here. After its deadline nobody waits for it, and it may
//! still be done.

use super::entry::{Head, Key};
use crate::component::ReplyTo;
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// After so long without an outcome everything open is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(1000);
/// Bytes that are sent and not yet back.
const SENT_BYTES_MAX: u64 = 4 << 20;

/// Who waits for a proposal.
#[derive(Debug)]
pub(super) enum Asker {
    /// A call, until then.
    Call(ReplyTo, Time, Duration),
    /// A component's broadcast.
    Broadcast,
    /// Nobody any more.
    Gone,
}

pub(super) struct Proposal {
    pub(super) asker: Asker,
    pub(super) key: Option<Key>,
    pub(super) channel: Kind,
    /// See [`Head::messages`].
    pub(super) messages: u32,
    pub(super) body: Bytes,
}

/// All that is open.
#[derive(Default)]
pub(super) struct Proposals {
    waiting: VecDeque<Proposal>,
    /// The first has the number `first`.
    open: VecDeque<Proposal>,
    first: u64,
    bytes: u64,
    open_bytes: u64,
    /// How many of the open ones were sent to this leader in this term.
    sent: usize,
    sent_to: Option<(u64, u64)>,
    moved_at: Time,
}

impl Proposals {
    /// Takes one; gives it back where there is no room.
    pub(super) fn add(&mut self, proposal: Proposal, bytes_max: u64) -> Result<(), Proposal> {
        if self.bytes + proposal.body.len() as u64 > bytes_max && self.bytes > 0 {
            return Err(proposal);
        }
        self.bytes += proposal.body.len() as u64;
        self.waiting.push_back(proposal);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.open.len()
    }

    /// Sends what is to be sent to the leader of this term; `send` says whether
    /// it could.
    pub(super) fn send(&mut self, me: Life, leader: (u64, u64), now: Time, mut send: impl FnMut(Vec<u8>) -> bool) {
        self.first = self.first.max(1);
        let stuck = !self.open.is_empty() && now.since(self.moved_at) > AGAIN_AFTER;
        if self.sent_to != Some(leader) || stuck {
            (self.sent_to, self.sent, self.moved_at) = (Some(leader), 0, now);
        }
        loop {
            if self.sent == self.open.len() {
                if self.open_bytes > SENT_BYTES_MAX {
                    return;
                }
                let Some(next) = self.waiting.pop_front() else { return };
                if self.open.is_empty() {
                    self.moved_at = now;
                }
                self.open_bytes += next.body.len() as u64;
                self.open.push_back(next);
            }
            let Some(proposal) = self.open.get(self.sent) else { return };
            let Proposal { key, channel, messages, body, .. } = proposal;
            let head = Head {
                origin: me,
                number: self.first + self.sent as u64,
                key: *key,
                channel: *channel,
                messages: *messages,
            };
            if !send(head.encode(body)) {
                return;
            }
            self.sent += 1;
        }
    }

    /// A planted bug: the calls of what was sent, as if it were done.
    pub(super) fn believe(&mut self) -> Vec<ReplyTo> {
        let sent = self.open.iter_mut().take(self.sent);
        let calls = sent.filter(|it| matches!(it.asker, Asker::Call(..)));
        calls
            .filter_map(|it| match std::mem::replace(&mut it.asker, Asker::Gone) {
                Asker::Call(reply_to, ..) => Some(reply_to),
                _ => None,
            })
            .collect()
    }

    /// The proposal with this number is applied here.
    pub(super) fn settle(&mut self, number: u64, now: Time) -> Option<Proposal> {
        if number != self.first {
            return None;
        }
        let done = self.open.pop_front()?;
        self.first += 1;
        self.sent = self.sent.saturating_sub(1);
        self.moved_at = now;
        self.open_bytes -= done.body.len() as u64;
        self.bytes -= done.body.len() as u64;
        Some(done)
    }

    /// Up to here all is done, of which this replica did not see the outcomes.
    pub(super) fn settle_through(&mut self, number: u64, now: Time) -> Vec<Proposal> {
        let mut done = Vec::new();
        while self.first <= number {
            match self.settle(self.first, now) {
                Some(proposal) => done.push(proposal),
                None => break,
            }
        }
        done
    }

    /// One came before its turn: all are to be sent again.
    pub(super) fn again(&mut self) {
        self.sent = 0;
    }

    /// Calls whose time is over: those that were never sent (true), and those
    /// that may still be done.
    pub(super) fn overdue(&mut self, now: Time) -> Vec<(ReplyTo, Duration, bool)> {
        let mut overdue = Vec::new();
        let is_over = |proposal: &Proposal| matches!(proposal.asker, Asker::Call(_, deadline, _) if deadline <= now);
        for proposal in self.open.iter_mut().filter(|proposal| is_over(proposal)) {
            if let Asker::Call(reply_to, _, within) = std::mem::replace(&mut proposal.asker, Asker::Gone) {
                overdue.push((reply_to, within, false));
            }
        }
        let bytes = &mut self.bytes;
        self.waiting.retain(|proposal| {
            let over = is_over(proposal);
            if let (true, Asker::Call(reply_to, _, within)) = (over, &proposal.asker) {
                *bytes -= proposal.body.len() as u64;
                overdue.push((*reply_to, *within, true));
            }
            !over
        });
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Token;
    use crate::id::NodeId;

    const ME: Life = Life { node: NodeId(1), incarnation: crate::id::Incarnation(1) };

    fn call(token: u64, deadline: u64) -> Proposal {
        let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(token) };
        let asker = Asker::Call(reply_to, Time(deadline), Duration::from_nanos(deadline));
        Proposal { asker, key: None, channel: Kind(1), messages: 0, body: Bytes::from_static(b"ten bytes!") }
    }

    fn numbers(proposals: &mut Proposals, leader: (u64, u64), now: u64, room: usize) -> Vec<u64> {
        let mut sent = Vec::new();
        proposals.send(ME, leader, Time(now), |entry| {
            let room = sent.len() < room;
            if room {
                sent.push(Head::decode(&entry.into()).expect("a head").0.number);
            }
            room
        });
        sent
    }

    #[test]
    fn trap_7_what_is_open_is_sent_again_in_order_to_a_new_leader_and_when_nothing_moves() {
        let mut proposals = Proposals::default();
        for token in 0..3 {
            assert!(proposals.add(call(token, 1 << 60), 30).is_ok());
        }
        assert!(proposals.add(call(3, 1 << 60), 30).is_err(), "bounded");
        assert_eq!(numbers(&mut proposals, (7, 1), 0, 2), [1, 2]);
        assert_eq!(numbers(&mut proposals, (7, 1), 1, 9), [3], "each once");
        assert_eq!(numbers(&mut proposals, (8, 2), 2, 9), [1, 2, 3], "a new leader");
        assert!(proposals.settle(2, Time(3)).is_none() && proposals.settle(1, Time(3)).is_some());
        assert_eq!(numbers(&mut proposals, (8, 2), 4, 9), [0u64; 0]);
        assert_eq!(numbers(&mut proposals, (8, 2), 2_000_000_000, 9), [2, 3], "nothing moved");
        proposals.again();
        assert_eq!(numbers(&mut proposals, (8, 2), 2_000_000_001, 9), [2, 3]);
        assert_eq!(proposals.settle_through(3, Time(5)).len(), 2);
        assert!(proposals.is_empty());
    }

    #[test]
    fn not_done_and_unknown_are_told_apart_at_the_deadline() {
        let mut proposals = Proposals::default();
        assert!(proposals.add(call(0, 10), 100).is_ok() && proposals.add(call(1, 10), 100).is_ok());
        assert_eq!(numbers(&mut proposals, (7, 1), 0, 1), [1]);
        // the second has a number as well, since it was tried
        assert!(proposals.add(call(2, 10), 100).is_ok());
        let overdue: Vec<_> =
            proposals.overdue(Time(10)).iter().map(|(to, _, not_done)| (to.token.0, *not_done)).collect();
        assert_eq!(overdue, [(0, false), (1, false), (2, true)]);
        assert_eq!(proposals.len(), 2, "what has a number stays until it is applied");
    }
}
