//! What best effort has on its way: a batch's room is given back when the link
//! of every life that it was sent to has acknowledged it.
//!
//! Links acknowledge bytes per life, in order, so per life a queue of "after so
//! many bytes, this batch is through" is enough. A life that ends is waited for
//! no more; one that asks for a pause is not counted as through until it
//! resumes, which stops the senders and nobody else.

use super::progress::Receipts;
use crate::component::{FailedWhy, Target};
use crate::id::{Kind, Life};
use std::collections::{BTreeMap, VecDeque};

/// A batch on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Sent {
    pub(super) channel: Kind,
    pub(super) target: Target,
    /// Its first message's number among the requests.
    pub(super) first: u64,
    pub(super) messages: u32,
    pub(super) bytes: u64,
    waiting: usize,
}

impl Sent {
    pub(super) fn new(channel: Kind, target: Target, first: u64, messages: u32, bytes: u64) -> Self {
        Sent { channel, target, first, messages, bytes, waiting: 0 }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct InFlight {
    sent: u64,
    acked: u64,
    queue: VecDeque<(u64, u64)>,
    paused: bool,
}

/// All batches on their way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Window {
    lives: BTreeMap<Life, InFlight>,
    batches: BTreeMap<u64, Sent>,
}

impl Window {
    /// A life is linked. What was queued for it before is not counted here.
    pub(super) fn joined(&mut self, life: Life) {
        self.lives.entry(life).or_default();
    }

    /// Counts bytes sent to a life that no batch waits for.
    pub(super) fn passed(&mut self, life: Life, bytes: u64) {
        if let Some(link) = self.lives.get_mut(&life) {
            link.sent += bytes;
        }
    }

    /// Counts a batch that goes to `lives` as `bytes` on each link.
    pub(super) fn send(
        &mut self,
        seq: u64,
        mut sent: Sent,
        lives: impl Iterator<Item = Life>,
        bytes: u64,
        receipts: &mut Receipts,
    ) {
        for life in lives {
            if let Some(link) = self.lives.get_mut(&life) {
                link.sent += bytes;
                link.queue.push_back((link.sent, seq));
                sent.waiting += 1;
            }
        }
        if sent.waiting == 0 {
            through(&sent, receipts);
        } else {
            self.batches.insert(seq, sent);
        }
    }

    /// A life's link acknowledged bytes. `hold` while this node's own consumer
    /// is slow.
    pub(super) fn credit(&mut self, life: Life, bytes: u64, hold: bool, receipts: &mut Receipts) {
        if let Some(link) = self.lives.get_mut(&life) {
            link.acked += bytes;
        }
        self.settle(life, hold, receipts);
    }

    /// A life asks senders to pause, or to go on.
    pub(super) fn pause(&mut self, life: Life, paused: bool, hold: bool, receipts: &mut Receipts) {
        if let Some(link) = self.lives.get_mut(&life) {
            link.paused = paused;
        }
        self.settle(life, hold, receipts);
    }

    /// This node's own consumer has caught up.
    pub(super) fn resume(&mut self, receipts: &mut Receipts) {
        let lives: Vec<Life> = self.lives.keys().copied().collect();
        for life in lives {
            self.settle(life, false, receipts);
        }
    }

    /// A life is over: batches to it alone failed, others wait for it no more.
    pub(super) fn ended(&mut self, life: Life, receipts: &mut Receipts) {
        let Some(link) = self.lives.remove(&life) else { return };
        for (_, seq) in link.queue {
            self.done(seq, true, receipts);
        }
    }

    /// Bytes of batches on their way.
    pub(super) fn bytes(&self) -> u64 {
        self.batches.values().map(|sent| sent.bytes).sum()
    }

    fn settle(&mut self, life: Life, hold: bool, receipts: &mut Receipts) {
        while let Some(link) = self.lives.get_mut(&life) {
            let through = link.queue.front().is_some_and(|(after, _)| *after <= link.acked);
            if hold || link.paused || !through {
                return;
            }
            if let Some((_, seq)) = link.queue.pop_front() {
                self.done(seq, false, receipts);
            }
        }
    }

    fn done(&mut self, seq: u64, ended: bool, receipts: &mut Receipts) {
        let Some(sent) = self.batches.get_mut(&seq) else { return };
        sent.waiting -= 1;
        if sent.waiting > 0 {
            return;
        }
        if let Some(sent) = self.batches.remove(&seq) {
            if ended && sent.target != Target::All {
                let key = (sent.channel, sent.target);
                receipts.failed(key, sent.first, sent.messages, sent.bytes, FailedWhy::Ended);
            } else {
                through(&sent, receipts);
            }
        }
    }
}

fn through(sent: &Sent, receipts: &mut Receipts) {
    if sent.target != Target::All {
        receipts.delivered(sent.channel, sent.target, sent.messages);
    }
    receipts.stable(sent.channel, sent.target, sent.messages, sent.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Progress;
    use crate::id::NodeId;

    fn life(n: u64) -> Life {
        Life::new(NodeId(n), 1)
    }

    fn news(receipts: &mut Receipts) -> Option<Progress> {
        let mut seen = None;
        receipts.drain(Kind(9), |_, progress| seen = Some(progress));
        seen
    }

    fn window() -> (Window, Receipts) {
        let (mut window, mut receipts) = (Window::default(), Receipts::default());
        window.joined(life(1));
        window.joined(life(2));
        let sent = Sent::new(Kind(1), Target::All, 1, 2, 50);
        window.send(1, sent, [life(1), life(2)].into_iter(), 60, &mut receipts);
        (window, receipts)
    }

    #[test]
    fn released_when_all_acknowledged_or_ended() {
        let (mut window, mut receipts) = window();
        window.credit(life(1), 60, false, &mut receipts);
        window.credit(life(2), 59, false, &mut receipts);
        assert_eq!(news(&mut receipts), None);
        window.ended(life(2), &mut receipts);
        assert_eq!(news(&mut receipts).map(|progress| (progress.stable, progress.released_bytes)), Some((2, 50)));
        assert_eq!(window.bytes(), 0);
    }

    #[test]
    fn a_pause_holds_the_room_back() {
        let (mut window, mut receipts) = window();
        window.pause(life(1), true, false, &mut receipts);
        window.credit(life(1), 60, false, &mut receipts);
        window.credit(life(2), 60, false, &mut receipts);
        assert_eq!(news(&mut receipts), None);
        window.pause(life(1), false, false, &mut receipts);
        assert_eq!(news(&mut receipts).map(|progress| progress.stable), Some(2));
    }

    #[test]
    fn what_was_for_an_ended_life_alone_failed() {
        let (mut window, mut receipts) = window();
        let target = Target::Node(NodeId(1));
        window.send(2, Sent::new(Kind(1), target, 1, 3, 10), [life(1)].into_iter(), 12, &mut receipts);
        window.ended(life(1), &mut receipts);
        let failed = news(&mut receipts).and_then(|progress| progress.failed).map(|failed| (failed.first, failed.last));
        assert_eq!(failed, Some((1, 3)));
    }
}
