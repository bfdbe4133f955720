//! What is left of an ended life: all that are left deliver the same of it, and
//! then nothing of it remains.
//!
//! Once its end is known, no batch is taken from it directly any more. So what
//! a life then *reports* to hold of it grows only by what others hold, and the
//! greatest of all reports is where it ended. All pull up to that; when all
//! have reported and hold it, its record, its place in vectors and its clock
//! entry go: memory is flat under any number of lives. A life that is asked of
//! one it has closed says so, which counts as report and acknowledgement: it
//! closed because all held everything.

use super::broadcast::{Broadcast, Cx};
use super::message::Message;
use super::origin::Over;
use super::voters::all_hold;
use crate::component::{Lane, To};
use crate::id::Life;

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
            origin.told = have.max(origin.told);
            cx.send(To::All, Lane::Control, &Message::Report { origin: life, have });
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

    pub(super) fn reported(&mut self, from: Life, slot: usize, origin: Life, have: u64, cx: Cx<'_, '_>) {
        if self.record(origin, cx).is_none() {
            if self.closed.get(&origin.node).is_some_and(|closed| origin.incarnation <= *closed) {
                cx.send(To::Life(from), Lane::Control, &Message::Closed(origin));
            }
            return;
        }
        self.acked(slot, origin, have, cx);
        if let Some(record) = self.origins.get_mut(&origin) {
            record.report(slot);
        }
        self.touch(origin);
    }

    pub(super) fn closed_elsewhere(&mut self, slot: usize, origin: Life) {
        if let Some(record) = self.origins.get_mut(&origin) {
            record.ack(slot, u64::MAX);
            record.report(slot);
        }
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
