//! What components above ask to be broadcast, joined into batches.

use super::Guarantee;
use super::broadcast::{Broadcast, Cx};
use super::held::Held;
use super::message::Message;
use crate::codec::{Batch, BatchBuilder};
use crate::component::{FailedWhy, Lane, Target};
use crate::id::Kind;

/// Requests joined into one batch to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Request {
    pub(super) channel: Kind,
    pub(super) target: Target,
    pub(super) first: u64,
    one: Option<Batch>,
    joined: BatchBuilder,
}

impl Request {
    /// How many messages it has.
    pub(super) fn count(&self) -> u32 {
        self.joined.count() + self.one.as_ref().map_or(0, Batch::count)
    }

    pub(super) fn bytes(&self) -> usize {
        self.joined.bytes() + self.one.as_ref().map_or(0, |batch| batch.run().len())
    }
}

impl Broadcast {
    /// Once a flush: broadcasts what was asked for. What is for all waits while the
    /// log has not said who that is.
    pub(super) fn broadcast_requested(&mut self, cx: Cx<'_, '_>) {
        let waits = self.awaits_list();
        for request in std::mem::take(&mut self.requests) {
            if waits && request.target == Target::All {
                self.requests.push(request);
            } else {
                self.broadcast(request, cx);
            }
        }
    }

    pub(super) fn request(&mut self, channel: Kind, target: Target, batch: Batch) {
        let first = self.receipts.requested(channel, target, batch.count());
        let refused = match (target, self.guarantee) {
            (Target::All, _) if !self.voter && !self.awaits_list() => Some(FailedWhy::NotAVoter),
            (Target::Node(_), guarantee) if guarantee != Guarantee::BestEffort => Some(FailedWhy::Target),
            (Target::Node(node), _) if node != self.me.node && !self.peers.contains_key(&node) => {
                Some(FailedWhy::Ended)
            }
            _ => None,
        };
        let bytes = batch.run().len();
        if let Some(why) = refused {
            self.receipts.failed((channel, target), first, batch.count(), bytes as u64, why);
            return;
        }
        // Only the last one is joined with: requests keep their order.
        match self.requests.last_mut() {
            Some(last)
                if last.channel == channel
                    && last.target == target
                    && last.bytes() + bytes <= self.config.batch_bytes =>
            {
                if let Some(one) = last.one.take() {
                    last.joined.append(&one);
                }
                last.joined.append(&batch);
            }
            _ => {
                self.requests.push(Request {
                    channel,
                    target,
                    first,
                    one: Some(batch),
                    joined: BatchBuilder::default(),
                });
            }
        }
    }

    fn broadcast(&mut self, mut request: Request, cx: Cx<'_, '_>) {
        let Some(batch) = request.one.take().or_else(|| request.joined.take()) else { return };
        let seq = self.next_seq;
        self.next_seq += 1;
        let stamp = self.config.clocks.stamp(batch.count());
        let held = Held::new(request.channel, batch, stamp);
        if self.holds() {
            let deps = self.causal.as_ref().map(|causal| causal.dependencies(self.me)).unwrap_or_default();
            let held = held.after(&deps);
            let message = Message::Data(held.head(seq));
            for to in self.all() {
                cx.send_with(to, Lane::Data, &message, held.body());
            }
            self.hold_own(seq, held);
        } else {
            self.send_best_effort(request.target, request.first, seq, held, cx);
        }
    }
}
