//! How a life without memory comes to be counted on (uniform).
//!
//! An acknowledgement is a promise, and a restart without disk forgets it. So a
//! new life acknowledges and delivers nothing until it is *joined*: until
//! ceil(n/2) of the other voters, themselves joined, have told it what they hold
//! unstable, and it holds all of that too. Any majority that acknowledged
//! something has floor(n/2) members beside the restarted one; ceil(n/2) of the
//! n - 1 others meet them in at least one. Until it is joined, the node counts
//! in f. It begins each origin where somebody can still give it all that
//! follows: what was stable before is owed to nobody.
//!
//! Cold start: if a majority, this life included, is new *at the same moment*,
//! more than a minority had failed and there is nothing to wait for. "At the
//! same moment" takes two rounds, because a life that said "new" may have
//! joined since: those that say it again, asked after all had said it once, were
//! all new when they were asked. Who finds that out first tells the others, for
//! it is joined from then on and no more new. What the survivors of such a catastrophe hold
//! is still taken in, if they report within `cold_start_after`.
//!
//! Source: the idea of a recovering replica counting as failed until a quorum
//! has answered it is Liskov's and Cowling's (*Viewstamped Replication
//! Revisited*, 4.3).

use super::Guarantee;
use super::broadcast::{Broadcast, Cx, Timer};
use super::ended::CLOSED_KEPT;
use super::message::{Holding, Message};
use super::voters::Report;
use crate::component::{Lane, To};
use crate::id::Life;
use std::collections::BTreeSet;

/// How far this life has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Joining {
    pub(super) joined: bool,
    /// Voters that have not reported are no longer waited for.
    pub(super) waited: bool,
    /// The round of the cold start, and who had said "new" before it began.
    round: u32,
    asked: BTreeSet<Life>,
    /// A majority, this life included, was new at the same moment; and who was,
    /// as far as this life found out itself.
    pub(super) cold: bool,
    together: Vec<Life>,
}

impl Broadcast {
    /// Tells `to` what this life holds, and whether it may be counted on.
    pub(super) fn send_state(&self, to: Life, round: u32, cx: Cx<'_, '_>) {
        cx.send(To::Life(to), Lane::Control, &self.state(round));
    }

    fn state(&self, round: u32) -> Message {
        let holdings = self.origins.values().map(|origin| origin.holding()).collect();
        let closed = self.closed.iter().map(|(life, end)| (*life, *end)).collect();
        let cold = self.joining.together.clone();
        Message::State { round, joined: self.joining.joined, cold, closed, holdings }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn state_arrived(
        &mut self,
        from: Life,
        slot: usize,
        round: u32,
        joined: bool,
        closed: Vec<(Life, u64)>,
        holdings: Vec<Holding>,
        cx: Cx<'_, '_>,
    ) {
        self.adopt_forgotten(&closed, cx);
        for (life, end) in closed {
            self.adopt_closed(life, end, cx);
        }
        for holding in &holdings {
            // What a life holds that is not joined counts for nothing, except
            // that it has what it broadcast itself.
            if joined || holding.origin == from {
                self.held_elsewhere(from, slot, *holding, cx);
            }
            if let Some(origin) = self.origins.get_mut(&holding.origin).filter(|_| joined && holding.over) {
                origin.report(slot);
                self.touch(holding.origin);
            }
        }
        let holdings = if self.joining.joined { Vec::new() } else { holdings };
        let voter = &mut self.voters.slots[slot];
        let round = voter.report.as_ref().map_or(0, |report| report.round).max(round);
        voter.report = Some(Report { joined, round, holdings });
        self.touch(from);
    }

    /// `slot`'s life holds this; what is missing here is asked for at once,
    /// since nobody will send it unasked.
    fn held_elsewhere(&mut self, from: Life, slot: usize, holding: Holding, cx: Cx<'_, '_>) {
        let Holding { origin, base, have, over } = holding;
        if self.record_of_holder(origin, have, cx).is_none() {
            if over {
                self.tell_closed(from, origin, cx);
            }
            return;
        }
        if over {
            self.heard_over(origin, cx);
        }
        self.acked(slot, origin, have, cx);
        self.released_elsewhere(slot, origin, base, cx);
        let lacking = self.origins.get(&origin).is_some_and(|record| record.have() < have && record.pull.is_none());
        if lacking {
            self.pull(origin, cx);
            self.watch_repair(cx);
        }
    }

    /// What others have closed was held by every life that they knew; a life
    /// that they did not know is not owed it, and must not deliver it after
    /// something that came later.
    fn adopt_closed(&mut self, life: Life, end: u64, cx: Cx<'_, '_>) {
        let mine = life.node == self.me.node && life.incarnation >= self.me.incarnation;
        if mine || self.closed_at(life).is_some() {
            return;
        }
        if self.origins.contains_key(&life) {
            return self.begin_after(life, end, cx);
        }
        self.remember_closed(life, end);
        let mut ready = Vec::new();
        if let Some(causal) = &mut self.causal {
            causal.close(life, end, &mut ready);
        }
        for (origin, seq) in ready {
            self.deliver(origin, seq, origin, cx);
            self.touch(origin);
        }
    }

    /// Lives are closed in their order and only the last ones of a node
    /// remembered: whoever names as many as that has closed all before, and may
    /// have broadcast what follows from them without naming them.
    fn adopt_forgotten(&mut self, closed: &[(Life, u64)], cx: Cx<'_, '_>) {
        let full =
            closed.chunk_by(|(one, _), (next, _)| one.node == next.node).filter(|lives| lives.len() >= CLOSED_KEPT);
        for (oldest, _) in full.filter_map(|lives| lives.iter().min()) {
            let before = self.origins.range(Life::new(oldest.node, 0)..*oldest);
            let forgotten: Vec<(Life, u64)> = before.map(|(life, origin)| (*life, Broadcast::known(origin))).collect();
            for (life, end) in forgotten {
                self.begin_after(life, end, cx);
            }
        }
    }

    /// Joins as soon as the rule allows.
    pub(super) fn try_join(&mut self, cx: Cx<'_, '_>) {
        if self.joining.joined {
            return;
        }
        let reports =
            || self.voters.lives().filter_map(|(slot, life)| Some((life, self.voters.slots[slot].report.as_ref()?)));
        let told = reports().filter(|(_, report)| report.joined);
        let (told, taken_in) = told.fold((0, 0), |(told, taken_in), (_, report)| {
            (told + 1, taken_in + usize::from(self.has_taken_in(&report.holdings)))
        });
        let new: BTreeSet<Life> = reports().filter(|(_, report)| !report.joined).map(|(life, _)| life).collect();
        if taken_in >= self.voters.configured.div_ceil(2) {
            return self.join(cx);
        }
        let joining = &self.joining;
        let again = reports().filter(|(life, report)| {
            !report.joined && joining.round > 0 && report.round >= joining.round && joining.asked.contains(life)
        });
        let again: Vec<Life> = again.map(|(life, _)| life).collect();
        if !self.joining.cold && again.len() + 1 >= self.voters.majority() {
            self.joining.cold = true;
            self.joining.together = again;
        }
        if self.joining.cold {
            let all_reported = told + new.len() + 1 >= self.voters.configured;
            if taken_in < told {
                return; // a survivor's state is still on its way
            }
            if all_reported || self.joining.waited {
                return self.join(cx);
            }
            if !cx.has_timer(&Timer::ColdStart) {
                cx.set_timer(Timer::ColdStart, self.config.cold_start_after);
            }
        }
        let enough = new.len() + 1 >= self.voters.majority();
        if !self.joining.cold && enough && self.joining.asked != new {
            self.joining.round += 1;
            for life in &new {
                cx.send(To::Life(*life), Lane::Control, &Message::Join { round: self.joining.round });
            }
            self.joining.asked = new;
        }
    }

    fn has_taken_in(&self, holdings: &[Holding]) -> bool {
        holdings.iter().all(|holding| match self.origins.get(&holding.origin) {
            Some(origin) => origin.have() >= holding.have,
            None => true, // closed, or this life's own future: nothing to take
        })
    }

    fn join(&mut self, cx: Cx<'_, '_>) {
        log::debug!("{} joined as {}", self.config.delivery, self.me);
        self.joining.joined = true;
        self.joining.asked.clear();
        for voter in &mut self.voters.slots {
            if let Some(report) = &mut voter.report {
                report.holdings = Vec::new();
            }
        }
        debug_assert!(self.guarantee == Guarantee::Uniform);
        cx.send(To::All, Lane::Control, &self.state(0));
        self.report_all(cx);
        self.touch_all();
    }
}
