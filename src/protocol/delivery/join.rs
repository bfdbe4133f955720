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
use super::message::{Holding, Message, State};
use super::voters::{CONFIGURED, Report};
use crate::component::{Lane, To};
use crate::id::Life;
use std::collections::BTreeSet;

/// How far this life has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Joining {
    /// Under the list that is in force.
    pub(super) joined: bool,
    /// The last list under which it was; 0 for a new life.
    pub(super) under: u64,
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

impl Joining {
    /// Under another list: by going on to it, or as a new life.
    pub(super) fn anew(&mut self, step: bool) {
        *self = Joining { under: if step { self.under } else { 0 }, round: self.round, ..Joining::default() };
    }
}

impl Broadcast {
    /// Tells `to` what this life holds, and whether it may be counted on.
    pub(super) fn send_state(&self, to: Life, round: u32, cx: Cx<'_, '_>) {
        cx.send(To::Life(to), Lane::Control, &self.state(round));
    }

    fn state(&self, round: u32) -> Message {
        let named = self.voters.list.is_some();
        Message::State(State {
            round,
            under: self.under(),
            joined: self.joining.under,
            cold: self.joining.together.clone(),
            lives: self.voters.lives().filter(|_| named).map(|(_, life)| life).collect(),
            closed: self.closed.iter().map(|(life, end)| (*life, *end)).collect(),
            holdings: self.origins.values().map(|origin| origin.holding()).collect(),
        })
    }

    pub(super) fn state_arrived(&mut self, from: Life, slot: usize, state: State, cx: Cx<'_, '_>) {
        let State { round, under, joined, cold, lives, closed, holdings } = state;
        let list = under.list;
        self.joining.cold |= cold.contains(&self.me);
        // One that has gone on to this list may not have heard what was said to it before.
        let first = if self.voters.list.is_some() { 0 } else { CONFIGURED };
        let last = self.voters.slots[slot].report.as_ref().map_or(first, |report| report.list);
        if list > last && list <= self.voters.version {
            self.send_state(from, 0, cx);
        }
        for life in lives.into_iter().filter(|life| self.voters.slot_of_node(life.node).is_some()).collect::<Vec<_>>() {
            self.heard_of(life, cx);
        }
        let (ahead, promises) = (list > self.voters.version, joined > 0);
        if !ahead {
            self.adopt_forgotten(&closed, cx);
        }
        for (life, end) in closed {
            self.adopt_closed(life, end, cx);
            self.closed_elsewhere(slot, life, Some(end), cx);
        }
        for holding in &holdings {
            // What a life holds that was never joined counts for nothing, except
            // that it has what it broadcast itself.
            if promises || holding.origin == from {
                self.held_elsewhere(from, slot, *holding, cx);
            }
            if let Some(origin) = self.origins.get_mut(&holding.origin).filter(|_| promises && holding.over) {
                origin.report(slot);
                self.touch(holding.origin);
            }
        }
        let holdings = if self.joining.joined && !ahead { Vec::new() } else { holdings };
        let voter = &mut self.voters.slots[slot];
        let round = voter.report.as_ref().map_or(0, |report| report.round).max(round);
        voter.report = Some(Report { list, joined, round, holdings });
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
        if self.joining.joined || !self.voter {
            return;
        }
        if self.has_gone_on() || self.is_taken_in() {
            return self.join(cx);
        }
        if self.joining.under > 0 {
            return; // others count on what it holds: it is not new
        }
        let reports =
            || self.voters.lives().filter_map(|(slot, life)| Some((life, self.voters.slots[slot].report.as_ref()?)));
        let told = reports().filter(|(_, report)| report.joined > 0);
        let (told, taken_in) = told.fold((0, 0), |(told, taken_in), (_, report)| {
            (told + 1, taken_in + usize::from(self.has_taken_in(&report.holdings)))
        });
        let new: BTreeSet<Life> = reports().filter(|(_, report)| report.joined == 0).map(|(life, _)| life).collect();
        let joining = &self.joining;
        let again = reports().filter(|(life, report)| {
            report.joined == 0 && joining.round > 0 && report.round >= joining.round && joining.asked.contains(life)
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

    /// The rule of new lives: enough of the others are joined under this list, and
    /// all that they held is here.
    fn is_taken_in(&self) -> bool {
        let version = self.voters.version;
        let joined = |report: &&Report| report.list == version && report.joined >= version;
        let reports = self.voters.lives().filter_map(|(slot, _)| self.voters.slots[slot].report.as_ref());
        let taken_in = reports.filter(joined).filter(|report| self.has_taken_in(&report.holdings));
        taken_in.count() >= self.voters.configured.div_ceil(2)
    }

    /// The rule of those that go on to another list: enough voters of the one before,
    /// this one included, have gone on as well, and all that they held is here.
    fn has_gone_on(&self) -> bool {
        let Some(before) = &self.voters.before else { return false };
        let version = self.voters.version;
        let told = before.slots.iter().filter_map(|slot| self.voters.slots[*slot].report.as_ref());
        let told = told.filter(|report| report.list >= version && report.joined >= before.version);
        let taken_in = told.filter(|report| self.has_taken_in(&report.holdings)).count();
        taken_in + 1 >= before.voters.div_ceil(2)
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
        self.joining.under = self.voters.version;
        self.joining.asked.clear();
        // One that was removed lets go of what it holds when it hears enough of this.
        for voter in self.voters.slots.iter().filter(|it| it.linked && !it.listed && it.under.seat.is_some()) {
            voter.life.into_iter().for_each(|life| self.send_state(life, 0, cx));
        }
        self.voters.before = None;
        for slot in 0..self.voters.slots.len() {
            if self.voters.slots[slot].leaving.take().is_some() {
                self.void(slot, cx);
            }
        }
        for voter in &mut self.voters.slots {
            if let Some(report) = voter.report.as_mut().filter(|report| report.list <= self.voters.version) {
                report.holdings = Vec::new();
            }
        }
        debug_assert!(self.guarantee == Guarantee::Uniform);
        self.tell(&self.state(0), cx);
        self.report_all(cx);
        self.touch_all();
    }
}
