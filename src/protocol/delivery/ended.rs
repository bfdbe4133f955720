//! What is left of an ended life: all that are left deliver the same of it, and
//! then nothing of it remains.
//!
//! Once its end is known, no batch is taken from it directly any more. So what
//! a life then *reports* to hold of it grows only by what others hold, and the
//! greatest of all reports is where it ended. All pull up to that; when all
//! have reported and hold it, its record, its place in vectors and its clock
//! entry go: memory is flat under any number of lives. A life that is asked of
//! one it has closed says where it ended, which counts as report and
//! acknowledgement: it closed because all held everything.
//!
//! A relay that was on its way when its sender died can still make someone hold
//! more than that. It acknowledges, so those that had closed open again behind
//! the end they knew, and close anew.

use super::broadcast::{Broadcast, Cx};
use super::message::Message;
use super::origin::Over;
use super::voters::all_hold;
use crate::component::{Lane, To};
use crate::id::{Life, NodeId};

/// Closed lives remembered per node, so that a late word about one of them is
/// recognised; a constant, so memory stays flat.
pub(super) const CLOSED_KEPT: usize = 8;

impl Broadcast {
    /// An origin's life is over: relays what is held of it and reports.
    pub(super) fn end_origin(&mut self, life: Life, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get_mut(&life) else { return };
        if origin.over.is_none() {
            origin.over = Some(Over::default());
            self.relay_held(life, cx);
        }
        self.report(life, cx);
        self.touch(life);
    }

    /// Tells all what this node holds of an origin that is over, once. A life
    /// that has not joined yet holds nothing that counts, and reports later.
    fn report(&mut self, life: Life, cx: Cx<'_, '_>) {
        let joined = self.joining.joined;
        let Some(origin) = self.origins.get_mut(&life) else { return };
        let have = origin.have();
        if let Some(over) = origin.over.as_mut().filter(|over| joined && !over.reported) {
            over.reported = true;
            let again = over.reopened;
            origin.told = have.max(origin.told);
            self.tell(&Message::Report { origin: life, have, again }, cx);
        }
    }

    /// Reports all that waited for this life to join.
    pub(super) fn report_all(&mut self, cx: Cx<'_, '_>) {
        let over: Vec<Life> =
            self.origins.iter().filter(|(_, origin)| origin.over.is_some()).map(|(life, _)| *life).collect();
        for life in over {
            self.report(life, cx);
        }
    }

    pub(super) fn reported(&mut self, from: Life, slot: usize, origin: Life, have: u64, again: bool, cx: Cx<'_, '_>) {
        if self.record_of_holder(origin, have, cx).is_none() {
            self.tell_closed(from, origin, cx);
            return;
        }
        self.heard_over(origin, cx);
        self.acked(slot, origin, have, cx);
        if let Some(record) = self.origins.get_mut(&origin) {
            record.report(slot);
            if again && record.over.as_ref().is_some_and(|over| over.reported) {
                let report = Message::Report { origin, have: record.have(), again: false };
                cx.send(To::Life(from), Lane::Control, &report);
            }
        }
        self.touch(origin);
    }

    /// Tells `to`, which still has `origin` open, that it is closed here.
    pub(super) fn tell_closed(&self, to: Life, origin: Life, cx: Cx<'_, '_>) {
        if let Some(end) = self.closed_at(origin) {
            cx.send(To::Life(to), Lane::Control, &Message::Closed { origin, end });
        }
    }

    pub(super) fn remember_closed(&mut self, life: Life, end: u64) {
        self.closed.insert(life, end);
        self.feeds.close(life, end);
        let mut lives = self.closed_lives(life.node);
        if let Some(oldest) = lives.next().filter(|_| lives.count() >= CLOSED_KEPT) {
            self.closed.remove(&oldest);
        }
    }

    /// Where `life` ended, if it is closed here; `Some(None)` if that is
    /// forgotten, because many later lives of its node are closed too.
    pub(super) fn closed_at(&self, life: Life) -> Option<Option<u64>> {
        if let Some(end) = self.closed.get(&life) {
            return Some(Some(*end));
        }
        let mut lives = self.closed_lives(life.node);
        lives.next().filter(|oldest| life < *oldest && lives.count() + 1 >= CLOSED_KEPT).map(|_| None)
    }

    fn closed_lives(&self, node: NodeId) -> impl Iterator<Item = Life> + use<> {
        let (first, last) = (Life::new(node, 0), Life::new(node, u64::MAX));
        let lives: Vec<Life> = self.closed.range(first..=last).map(|(life, _)| *life).collect();
        lives.into_iter()
    }

    /// Others say that this life is over. One that is linked here may still
    /// send; its end will be told here too.
    pub(super) fn heard_over(&mut self, origin: Life, cx: Cx<'_, '_>) {
        if origin == self.me || self.voters.linked().any(|(_, life)| life == origin) {
            return;
        }
        if let Some(slot) = self.voters.slot(origin).filter(|slot| self.voters.slots[*slot].listed) {
            self.voters.slots[slot].over = Some(origin.incarnation); // announced, but never met
            self.void(slot, cx);
            self.touch_all();
        }
        self.end_origin(origin, cx);
    }

    pub(super) fn closed_elsewhere(&mut self, slot: usize, origin: Life, end: Option<u64>, cx: Cx<'_, '_>) {
        let Some(record) = self.origins.get(&origin) else { return };
        // Where it ended is forgotten: nothing more comes from there.
        let end = end.unwrap_or(Broadcast::known(record));
        self.heard_over(origin, cx);
        if let Some(record) = self.origins.get_mut(&origin) {
            record.ack(slot, end);
            record.report(slot);
        }
        self.released_elsewhere(slot, origin, end, cx);
        self.touch(origin);
    }

    /// Closes an origin that is over when every life has reported and holds,
    /// and this one has delivered, all that is left.
    pub(super) fn close_if_settled(&mut self, life: Life, cx: Cx<'_, '_>) {
        let Some(origin) = self.origins.get(&life) else { return };
        let Some(over) = &origin.over else { return };
        let end = Broadcast::known(origin);
        let reported = over.reported
            && !self.voters.awaits_absent()
            && self.voters.lives().all(|(slot, _)| origin.reported.get(slot).copied().unwrap_or(false));
        let held = all_hold(&self.voters, life, &origin.acked) >= end && origin.delivered >= end;
        let eldest = !self.origins.keys().any(|other| other.node == life.node && *other < life);
        if reported && held && eldest {
            self.close(life, cx);
        }
    }
}
