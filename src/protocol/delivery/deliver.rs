//! When to deliver, when to release, what to acknowledge.
//!
//! The rungs differ in one line, the limit up to which an origin's prefix may
//! be delivered:
//!
//! - reliable: what is held. Guarantee: if any life that stays up delivers, all
//!   that stay up do, for any number of failures.
//! - uniform: what a majority of the voters' current lives holds,
//!   this one included. Guarantee: what any life delivered, also one that
//!   crashed, all that stay up deliver, as long as `f < n/2`; no detector is
//!   needed for safety.
//! - all-ack: what every life not suspected holds. The same guarantee for any
//!   `f`, if the detector never suspects a life that is up.
//!
//! An acknowledgement means "held until stable", stable "held by every life
//! that is not over". Sources: Cachin, Guerraoui, Rodrigues, Algorithms 3.2 to
//! 3.5; Birman and Joseph 1987 for stability.

use super::Guarantee;
use super::broadcast::{Broadcast, Cx};
use super::config::Mutant;
use super::held::Held;
use super::message::Message;
use super::origin::Origin;
use super::voters::{all_hold, majority_holds, unsuspected_hold};
use crate::component::{DeliveredBatch, Target};
use crate::id::{Life, MessageId};

impl Broadcast {
    /// Looks at every origin that something happened to: delivers, releases,
    /// closes; then acknowledges all in one message.
    pub(super) fn settle(&mut self, cx: Cx<'_, '_>) {
        if !self.voter {
            return self.dirty.clear(); // a listener, or one that was removed
        }
        let mut entries = Vec::new();
        let mut ready = Vec::new();
        let mut at = 0;
        // Delivering one origin's batches may free another's: the list grows.
        while let Some(life) = self.dirty.get(at).copied() {
            at += 1;
            self.offer(life, &mut ready);
            for (origin, seq) in ready.drain(..) {
                self.deliver(origin, seq, life, cx);
            }
            self.release(life);
            let Some(origin) = self.origins.get_mut(&life) else { continue };
            origin.dirty = false;
            let silent = self.pressure.withheld || !self.joining.joined || life == self.me;
            if !silent && origin.have() > origin.told {
                origin.told = origin.have();
                entries.push((life, origin.told));
            }
            if origin.over.is_some() {
                self.close_if_settled(life, cx);
            }
        }
        self.dirty.clear();
        if self.causal.as_ref().is_some_and(|causal| causal.held_back() > 0) {
            self.watch_repair(cx);
        }
        if !entries.is_empty() {
            self.tell(&Message::Ack(entries), cx);
        }
    }

    /// Causal order: what a peer broadcasts may follow from something that it
    /// has closed, which is open here. It says so when it is linked, on another
    /// lane: that is waited for.
    fn awaits_state(&self, life: Life) -> bool {
        let voter = self.voters.slot(life).map(|slot| &self.voters.slots[slot]);
        self.causal.is_some() && voter.is_some_and(|voter| voter.linked && voter.report.is_none())
    }

    /// Hands what the guarantee allows to the order.
    fn offer(&mut self, life: Life, ready: &mut Vec<(Life, u64)>) {
        if !self.joining.joined || self.awaits_state(life) {
            return;
        }
        let first_copy = self.is(Mutant::DeliverFirstCopy);
        let Some(origin) = self.origins.get_mut(&life) else { return };
        let agreed = match self.guarantee {
            Guarantee::Uniform if !first_copy => majority_holds(&self.voters, life, &origin.acked, &mut self.scratch),
            Guarantee::UniformAllAck => unsuspected_hold(&self.voters, life, &origin.acked),
            _ => u64::MAX,
        };
        let limit = agreed.min(origin.have());
        while origin.offered < limit {
            origin.offered += 1;
            let seq = origin.offered;
            match &mut self.causal {
                Some(causal) => {
                    let deps = origin.get(seq).map(Held::deps).unwrap_or_default();
                    causal.offer(life, seq, &deps, ready);
                }
                None => ready.push((life, seq)),
            }
        }
    }

    /// Delivers what the order made ready; `current` is being looked at anyway.
    pub(super) fn deliver(&mut self, life: Life, seq: u64, current: Life, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get_mut(&life) else { return };
        origin.delivered = seq; // raised before anyone is told
        self.deliveries += 1;
        let order = self.deliveries;
        let Some(held) = origin.get_mut(seq) else { return };
        *held.delivered_as = order;
        let held = held.clone();
        if life == self.me {
            self.receipts.delivered(held.channel, Target::All, held.count());
        }
        if !self.already.remove(&(life, seq)) {
            self.hand_up(life, seq, held, cx);
        }
        if life != current {
            self.touch(life);
        }
    }

    /// Gives a batch to its channel, and to the listeners that hear from here.
    pub(super) fn hand_up(&mut self, life: Life, seq: u64, held: Held, cx: Cx<'_, '_>) {
        self.config.clocks.observe(&held.stamp, held.count());
        self.pressure.delivered(held.channel, held.run_bytes() as u64);
        self.feeds.push(life, seq, &held);
        let id = MessageId { origin: life, delivery: self.kind, batch: seq, index: 0 };
        let batch = held.batch();
        cx.deliver(held.channel, DeliveredBatch { id, via: self.kind, stamp: held.stamp, batch });
    }

    /// Lets go of what is stable; an own batch's room is given back, unless the
    /// consumer here is the one that is slow.
    fn release(&mut self, life: Life) {
        let own = life == self.me;
        if own && self.pressure.withheld {
            return;
        }
        let Some(origin) = self.origins.get_mut(&life) else { return };
        if origin.released >= origin.delivered {
            return; // nothing is held: nobody is asked
        }
        let stable = all_hold(&self.voters, life, &origin.acked);
        while let Some(held) = origin.release(stable) {
            if own {
                let bytes = held.run_bytes() as u64;
                self.receipts.stable(held.channel, Target::All, held.count(), bytes);
            }
        }
    }

    /// Nothing of `life` up to `base` is owed to this one: begins after it.
    pub(super) fn begin_after(&mut self, life: Life, base: u64, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get_mut(&life) else { return };
        let from = origin.delivered + 1;
        let absurd = base > u64::MAX / 2; // no life counts so far: junk
        if life == self.me || absurd || !origin.begin_after(base) {
            return;
        }
        self.gap(life, from, base, super::GapWhy::BeforeThisLife, cx);
        self.feeds.skip(life, base);
        let mut ready = Vec::new();
        if let Some(causal) = &mut self.causal {
            causal.skip(life, base, &mut ready);
        }
        for (origin, seq) in ready {
            self.deliver(origin, seq, life, cx);
        }
        self.touch(life);
    }

    pub(super) fn gap(&self, origin: Life, from: u64, to: u64, why: super::GapWhy, cx: Cx<'_, '_>) {
        let delivery = self.config.delivery;
        cx.publish(super::Gap { delivery, origin, from, to, why });
    }

    /// Forgets an origin of which nothing is left anywhere.
    pub(super) fn close(&mut self, life: Life, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.remove(&life) else { return };
        self.remember_closed(life, origin.delivered);
        self.config.clocks.forget(life);
        let mut ready = Vec::new();
        if let Some(causal) = &mut self.causal {
            causal.close(life, origin.delivered, &mut ready);
        }
        for (origin, seq) in ready {
            self.deliver(origin, seq, life, cx);
        }
        // A node's lives are closed in their order: the next one may be due.
        let next: Vec<Life> = self.origins.keys().filter(|other| other.node == life.node).copied().collect();
        for life in next {
            self.touch(life);
        }
    }

    /// The greatest number that any life is known to hold of an origin.
    pub(super) fn known(origin: &Origin) -> u64 {
        origin.acked.iter().copied().max().unwrap_or(0).max(origin.have())
    }
}
