//! Repair: what others hold and this node lacks is asked for; what a suspected
//! or ended origin sent is passed on.
//!
//! Acknowledgements name what their sender holds. One that names a payload
//! which is missing here makes this node ask the acknowledging one, but only
//! after a while without progress: acknowledgements often overtake payloads. So
//! a sender that dies unsuspected between two sends, or a cut link, still ends
//! in agreement. Relaying on suspicion is the reliable rung's own, quicker way
//! (eager-on-suspicion: Cachin, Guerraoui, Rodrigues, Algorithm 3.2).

use super::broadcast::{Broadcast, Cx, Timer};
use super::config::Mutant;
use super::message::Message;
use super::origin::Pull;
use super::{Gap, GapWhy, Guarantee};
use crate::component::{Lane, To};
use crate::id::Life;

/// How often repair looks before what nobody mentioned is given up.
const LOOKS_BEFORE_GAP: u32 = 2;

impl Broadcast {
    /// Something is missing here that others hold: looks again after a while.
    pub(super) fn watch_repair(&mut self, cx: Cx<'_, '_>) {
        if !self.repair_set && !self.is(Mutant::NoRelayNoPull) {
            self.repair_set = true;
            cx.set_timer(Timer::Repair, self.config.pull_after);
            for origin in self.origins.values_mut() {
                origin.seen_have = origin.have();
            }
        }
    }

    /// The timer: asks for what has made no progress since it was set.
    pub(super) fn repair(&mut self, cx: Cx<'_, '_>) {
        self.repair_set = false;
        if !self.voter {
            return;
        }
        let lives: Vec<Life> = self.origins.keys().copied().collect();
        let mut lacking = false;
        for life in lives {
            let Some(origin) = self.origins.get_mut(&life) else { continue };
            if Broadcast::known(origin) <= origin.have() {
                origin.pull = None;
                continue;
            }
            lacking = true;
            if origin.have() == origin.seen_have {
                self.begin_where_possible(life, cx);
                self.pull(life, cx);
            }
        }
        lacking |= self.give_up_on_closed(cx);
        if lacking {
            self.watch_repair(cx);
        }
    }

    /// Something held back waits for more of a closed life than it had when it
    /// was closed. Somebody who holds it will say so, in what he acknowledges or
    /// tells a new life; when all have had time for that, nobody holds it.
    fn give_up_on_closed(&mut self, cx: Cx<'_, '_>) -> bool {
        let Some(causal) = &mut self.causal else { return false };
        // A life of which nothing ever came may have been removed with its node. While a
        // voter is behind or ahead it may still say what it holds of it.
        let voters = &self.voters;
        let all_here = voters.list.is_some() && voters.are_all_here();
        let gone = |life: Life| all_here && (voters.over(life) || voters.is_removed(life));
        let missing = causal.waits_for_closed(gone);
        self.hopeless.retain(|life, _| missing.iter().any(|(missing, _)| missing == life));
        let told = self.voters.linked().all(|(slot, _)| self.voters.slots[slot].report.is_some());
        let mut ready = Vec::new();
        for (life, count) in missing {
            let looks = self.hopeless.entry(life).or_insert(0);
            *looks += u32::from(told);
            if *looks > LOOKS_BEFORE_GAP {
                let end = self.closed.get(&life).copied().unwrap_or(0);
                let delivery = self.config.delivery;
                cx.publish(Gap { delivery, origin: life, from: end + 1, to: count, why: GapWhy::NobodyHolds });
                causal.close(life, count, &mut ready);
            }
        }
        let waiting = causal.held_back() > 0;
        for (origin, seq) in ready {
            self.deliver(origin, seq, origin, cx);
            self.touch(origin);
        }
        waiting
    }

    /// Asks one that holds more of `life` than this node, another one each
    /// time.
    pub(super) fn pull(&mut self, life: Life, cx: Cx<'_, '_>) {
        if self.is(Mutant::NoRelayNoPull) {
            return;
        }
        let room = self.config.origin_bytes_max / 2;
        let Some(origin) = self.origins.get_mut(&life) else { return };
        let have = origin.have();
        let holders: Vec<(usize, Life)> = self
            .voters
            .holders()
            .filter(|(slot, _)| origin.acked_by(*slot) > have && origin.base_of(*slot) <= have)
            .collect();
        let asked = origin.pull.map(|pull| pull.whom);
        let after = holders.iter().position(|(_, holder)| Some(*holder) == asked).map_or(0, |at| at + 1);
        let Some((slot, whom)) = holders.get(after).or(holders.first()).copied() else { return };
        if origin.bytes > room {
            return; // no room; what is kept must be delivered first
        }
        let to = origin.acked_by(slot).min(origin.first_early().map_or(u64::MAX, |early| early - 1));
        origin.pull = Some(Pull { whom });
        cx.send(To::Life(whom), Lane::Control, &Message::Pull { origin: life, from: have + 1, to });
    }

    /// Answers a pull from what is held, as far as one answer goes.
    pub(super) fn pulled(&mut self, whom: Life, life: Life, from: u64, to: u64, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get(&life) else {
            return self.tell_closed(whom, life, cx);
        };
        let (mut upto, mut bytes) = (from.saturating_sub(1), 0);
        for (seq, held) in origin.held_from(from).take_while(|(seq, _)| *seq <= to) {
            if bytes > 0 && bytes + held.body().len() > self.config.pull_bytes_max {
                break;
            }
            bytes += held.body().len();
            upto = seq;
            let message = Message::Relay { origin: life, head: held.head(seq) };
            cx.send_with(To::Life(whom), Lane::Data, &message, held.body());
        }
        let base = origin.released;
        cx.send(To::Life(whom), Lane::Data, &Message::Answer { origin: life, base, upto });
    }

    /// An answer is complete: goes on with the next piece at once.
    pub(super) fn answered(&mut self, from: Life, life: Life, base: u64, upto: u64, cx: Cx<'_, '_>) {
        if let Some(slot) = self.voters.slot(from) {
            self.released_elsewhere(slot, life, base, cx);
        }
        let Some(origin) = self.origins.get_mut(&life) else { return };
        if origin.pull.is_none_or(|pull| pull.whom != from) {
            return;
        }
        if Broadcast::known(origin) <= origin.have() {
            origin.pull = None;
        } else if origin.have() >= upto && upto > 0 {
            origin.pull = None;
            self.pull(life, cx);
        }
        self.watch_repair(cx);
    }

    /// A voter has released `life`'s batches up to `base`. What is missing here
    /// of them must come from another; whoever knew this life before keeps it.
    pub(super) fn released_elsewhere(&mut self, slot: usize, life: Life, base: u64, cx: Cx<'_, '_>) {
        let pulls = !self.is(Mutant::NoRelayNoPull);
        let Some(origin) = self.origins.get_mut(&life) else { return };
        origin.note_base(slot, base);
        if origin.untouched() || !pulls {
            self.begin_where_possible(life, cx);
        } else if base > origin.have() {
            self.watch_repair(cx);
        }
    }

    /// If nobody linked can give the next batch of `life` any more, begins
    /// after the least that has been released.
    fn begin_where_possible(&mut self, life: Life, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get(&life) else { return };
        let have = origin.have();
        let (mut gives, mut least) = (false, u64::MAX);
        let pulls = !self.is(Mutant::NoRelayNoPull);
        for (slot, _) in self.voters.holders() {
            let base = origin.base_of(slot);
            gives |= pulls && base <= have && origin.acked_by(slot) > have;
            // One that is ahead and has let go of it has done so without this life's seat.
            if base > have && !self.voters.is_ahead(slot) {
                least = base.min(least);
            }
        }
        if !gives {
            self.begin_after(life, least, cx);
        }
    }

    /// Reliable: passes on everything held from `life` to those that lack it,
    /// as far as one answer goes; the rest is theirs to pull.
    pub(super) fn relay_held(&mut self, life: Life, cx: Cx<'_, '_>) {
        if self.guarantee != Guarantee::Reliable || self.is(Mutant::NoRelayNoPull) {
            return;
        }
        let Some(origin) = self.origins.get(&life) else { return };
        for (slot, whom) in self.voters.linked().filter(|(_, whom)| *whom != life) {
            let mut bytes = 0;
            for (seq, held) in origin.held_from(origin.acked_by(slot).saturating_add(1)) {
                bytes += held.body().len();
                if bytes > self.config.pull_bytes_max {
                    break;
                }
                let message = Message::Relay { origin: life, head: held.head(seq) };
                cx.send_with(To::Life(whom), Lane::Data, &message, held.body());
            }
        }
    }

    /// Reliable: passes on what arrives from an origin that is suspected or
    /// over, to those whose acknowledgement is behind.
    pub(super) fn relay_arrival(&self, life: Life, seq: u64, cx: Cx<'_, '_>) {
        if self.guarantee != Guarantee::Reliable || self.is(Mutant::NoRelayNoPull) {
            return;
        }
        let Some(origin) = self.origins.get(&life) else { return };
        let suspected = self.voters.slot(life).is_some_and(|slot| self.voters.slots[slot].suspected);
        if !suspected && origin.over.is_none() {
            return;
        }
        let Some(held) = origin.get(seq) else { return };
        for (slot, whom) in self.voters.linked().filter(|(_, whom)| *whom != life) {
            if origin.acked_by(slot) < seq {
                let message = Message::Relay { origin: life, head: held.head(seq) };
                cx.send_with(To::Life(whom), Lane::Data, &message, held.body());
            }
        }
    }
}
