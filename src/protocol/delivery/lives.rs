//! Lives of voters come and go.
//!
//! The rule that keeps a majority's promise across restarts: whoever learns of
//! a voter's new life tells all *before its own next acknowledgement* (same
//! lane, so in order), and then tells the new life what it holds. So whoever
//! counts that acknowledgement has already voided what the earlier life said,
//! or else what is acknowledged is in what the new life was told.

use super::Guarantee;
use super::broadcast::{Broadcast, Cx};
use super::config::Mutant;
use super::message::{Message, Under};
use super::voters::CONFIGURED;
use crate::component::EndedWhy;
use crate::id::Life;
use std::sync::Arc;

impl Broadcast {
    pub(super) fn voter_joined(&mut self, life: Life, name: Arc<str>, cx: Cx<'_, '_>) {
        if life.node == self.me.node {
            return;
        }
        let slot = self.voters.place(life.node);
        self.voters.slots[slot].name = name;
        self.heard_of(life, cx);
        if self.voters.slots[slot].life != Some(life) {
            return; // a still newer life was announced
        }
        self.voters.slots[slot].linked = true;
        if !self.voter {
            self.sponsor_appeared(life, cx);
            self.greet(life, cx); // by one that was removed
        } else if self.holds() && self.voters.slots[slot].listed {
            if self.guarantee == Guarantee::Uniform {
                self.tell(&Message::NewLife(life), cx);
            }
            self.greet(life, cx);
        }
    }

    /// A voter's life is known to exist, linked or announced. If it is newer
    /// than the one known, that one is over and its promises are void.
    pub(super) fn heard_of(&mut self, life: Life, cx: Cx<'_, '_>) {
        if life.node == self.me.node {
            return;
        }
        let slot = self.voters.place(life.node);
        let voter = &self.voters.slots[slot];
        let newer_than = |known: Option<_>| known.is_none_or(|known| life.incarnation > known);
        if !newer_than(voter.over) || !newer_than(voter.life.map(|life| life.incarnation)) {
            return;
        }
        let before = voter.life;
        self.void(slot, cx);
        let voter = &mut self.voters.slots[slot];
        (voter.life, voter.seen, voter.succeeded) = (Some(life), true, false);
        if self.is(Mutant::ForgetIncarnation) {
            self.mistake_for(before, life);
        } else {
            self.end_lives_before(life, cx);
        }
        self.touch_all();
    }

    pub(super) fn voter_ended(&mut self, life: Life, why: EndedWhy, cx: Cx<'_, '_>) {
        let stranger = life.node != self.me.node && !life.node.is_client();
        let unmet = stranger && self.voters.awaits_absent() && self.voter && self.holds();
        let slot = self.voters.slot_of_node(life.node).or_else(|| unmet.then(|| self.voters.place(life.node)));
        let Some(slot) = slot else {
            if self.origins.contains_key(&life) {
                self.end_origin(life, cx); // known from others only
            }
            return;
        };
        if self.is(Mutant::ForgetIncarnation) {
            return;
        }
        let voter = &mut self.voters.slots[slot];
        voter.seen = true;
        voter.over = voter.over.max(Some(life.incarnation));
        if voter.life.is_some_and(|current| current.incarnation <= life.incarnation) {
            self.void(slot, cx);
            self.voters.slots[slot].succeeded = why == EndedWhy::Succeeded;
        }
        if !self.voter {
            self.sponsor_ended(life, cx);
        } else if self.holds() {
            self.end_lives_before(life, cx);
            if self.record(life, cx).is_some() {
                self.end_origin(life, cx);
            }
            self.touch_all();
        }
    }

    /// The life in `slot` is over or not the newest: nothing it said counts.
    pub(super) fn void(&mut self, slot: usize, cx: Cx<'_, '_>) {
        self.retract(slot, cx);
        let voter = &mut self.voters.slots[slot];
        voter.life = None;
        voter.linked = false;
        voter.suspected = false;
        voter.paused = false;
        voter.report = None;
        voter.under = Under { list: CONFIGURED, seat: None };
        if !self.is(Mutant::CountAmnesiacAcks) && !self.is(Mutant::ForgetIncarnation) {
            for origin in self.origins.values_mut() {
                origin.void(slot);
            }
        }
    }

    /// Ends, as origins, the lives of this node that came before.
    fn end_lives_before(&mut self, life: Life, cx: Cx<'_, '_>) {
        let before: Vec<Life> =
            self.origins.keys().filter(|origin| origin.node == life.node && **origin < life).copied().collect();
        for origin in before {
            self.end_origin(origin, cx);
        }
    }

    /// The planted bug: the new life's batches are taken for the old one's.
    fn mistake_for(&mut self, before: Option<Life>, life: Life) {
        if let Some(before) = before {
            if let Some(mut origin) = self.origins.remove(&before) {
                origin.life = life;
                self.origins.insert(life, origin);
            }
            if let Some(seen) = self.seen.remove(&before) {
                self.seen.insert(life, seen);
            }
        }
    }
}
