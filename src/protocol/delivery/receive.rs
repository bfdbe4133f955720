//! Arrivals: who may say what, and where it goes.

use super::broadcast::{Broadcast, Cx};
use super::config::Mutant;
use super::held::Held;
use super::message::{Head, Message, State};
use super::origin::{Arrival, EARLY_MAX, Origin, Over};
use super::voters::Report;
use crate::component::PeerRole;
use crate::id::Life;
use bytes::Bytes;

/// Origins of which records are kept, per voter: its current life, those that
/// end, and some to spare. More can only be junk.
const ORIGINS_PER_VOTER: usize = 16;

impl Broadcast {
    pub(super) fn receive(&mut self, from: Life, message: Message, body: Bytes, cx: Cx<'_, '_>) {
        if let Message::Moved(under) | Message::State(State { under, .. }) = &message
            && let Some(slot) =
                self.voters.slot_of_node(from.node).filter(|slot| self.voters.slots[*slot].life == Some(from))
        {
            self.moved(slot, *under); // before it is judged from which seat the rest is said
        }
        let linked = self.peers.get(&from.node).filter(|(life, _)| *life == from).map(|(_, role)| *role);
        match (message, linked) {
            (_, None) => self.dropped.unknown += 1,
            (Message::Data(head), Some(_)) if !self.holds() => self.best_effort_arrived(from, head, body, cx),
            (Message::Pause(paused), Some(PeerRole::Voter | PeerRole::Joiner)) => {
                let hold = self.pressure.withheld;
                self.window.pause(from, paused, hold, &mut self.receipts);
            }
            (Message::Listen, Some(PeerRole::Listener)) if self.voter => self.listener_asked(from),
            (Message::FeedAck { bytes }, Some(PeerRole::Listener)) => self.feeds.acked(from, bytes),
            (
                message @ (Message::FeedStart(_) | Message::Feed { .. } | Message::FeedEnd { .. }),
                Some(PeerRole::Voter),
            ) if !self.voter => self.fed(from, message, body, cx),
            (message, Some(PeerRole::Voter | PeerRole::Joiner)) if self.holds() => match self.voters.slot(from) {
                Some(_) if self.lists.leaving => self.leaver_said(from, message, cx),
                Some(slot) if self.voter => match self.known_part(slot, message) {
                    Some(message) => self.voter_said(from, slot, message, body, cx),
                    None => self.dropped.unknown += 1,
                },
                _ => self.outsider_said(from, message),
            },
            _ => self.dropped.unknown += 1,
        }
    }

    /// One that does not vote by the list in force here may do so by another: that is
    /// noted. What it holds is asked for when this life takes that list.
    pub(super) fn outsider_said(&mut self, from: Life, message: Message) {
        let slot = self.voters.slot_of_node(from.node).filter(|slot| self.voters.slots[*slot].life == Some(from));
        match (slot, message) {
            (Some(_), Message::Moved(_)) => {}
            (Some(slot), Message::State(State { under, joined, round, .. })) => {
                self.voters.slots[slot].report = Some(Report { list: under.list, joined, round, holdings: Vec::new() });
            }
            _ => self.dropped.unknown += 1,
        }
    }

    /// Without what one says that is ahead of lives whose seat may be of a list which
    /// is still to come here; it is told again then.
    fn known_part(&self, slot: usize, message: Message) -> Option<Message> {
        if !self.voters.is_ahead(slot) {
            return Some(message);
        }
        let seated =
            |life: &Life| self.voters.slot(*life).is_some_and(|slot| self.voters.slots[slot].under.seat.is_some());
        let known = |life: &Life| {
            life.node == self.me.node
                || self.origins.contains_key(life)
                || self.closed.contains_key(life)
                || seated(life)
        };
        let lacks = |life: &Life, end: u64| self.origins.get(life).is_some_and(|origin| origin.have() < end);
        Some(match message {
            Message::Ack(entries) => Message::Ack(entries.into_iter().filter(|(life, _)| known(life)).collect()),
            Message::State(state) => Message::State(State {
                closed: state.closed.into_iter().filter(|(life, end)| known(life) && !lacks(life, *end)).collect(),
                holdings: state.holdings.into_iter().filter(|holding| known(&holding.origin)).collect(),
                ..state
            }),
            Message::Relay { origin, .. }
            | Message::Report { origin, .. }
            | Message::Closed { origin, .. }
            | Message::Pull { origin, .. }
            | Message::Answer { origin, .. }
                if !known(&origin) =>
            {
                return None;
            }
            message => message,
        })
    }

    fn voter_said(&mut self, from: Life, slot: usize, message: Message, body: Bytes, cx: Cx<'_, '_>) {
        match message {
            Message::Data(head) => {
                // The origin holds what it sends: that much can be asked of it.
                match self.record(from, cx) {
                    Some(origin) if origin.over.is_none() => {
                        origin.ack(slot, head.seq.min(origin.have() + EARLY_MAX));
                    }
                    // What was reported of it must not grow by itself.
                    _ => return self.dropped.unknown += 1,
                }
                self.arrived(from, head, body, cx);
            }
            Message::Relay { origin, head } => self.arrived(origin, head, body, cx),
            Message::Ack(entries) => {
                for (origin, upto) in entries {
                    self.acked(slot, origin, upto, cx);
                }
            }
            Message::NewLife(life) => self.heard_of(life, cx),
            Message::Join { round } => self.send_state(from, round, cx),
            Message::State(state) => self.state_arrived(from, slot, state, cx),
            Message::Moved(_) => {}
            Message::Report { origin, have, again } => self.reported(from, slot, origin, have, again, cx),
            Message::Closed { origin, end } => self.closed_elsewhere(slot, origin, end, cx),
            Message::Pull { origin, from: first, to } => self.pulled(from, origin, first, to, cx),
            Message::Answer { origin, base, upto } => self.answered(from, origin, base, upto, cx),
            _ => self.dropped.unknown += 1,
        }
    }

    /// The record of `life`, made where there is none and its batches may still
    /// matter.
    pub(super) fn record(&mut self, life: Life, cx: Cx<'_, '_>) -> Option<&mut Origin> {
        if !self.origins.contains_key(&life) {
            let closed = self.closed_at(life).is_some();
            let future_me = life.node == self.me.node && life.incarnation > self.me.incarnation;
            let full = self.origins.len() >= ORIGINS_PER_VOTER * self.voters.configured.max(1);
            if closed || future_me || full || life.node.is_client() {
                return None;
            }
            self.origins.insert(life, Origin::new(life));
            if let Some(causal) = &mut self.causal {
                causal.open(life);
            }
            let gone = !self.voters.votes(life.node) || self.voters.over(life);
            if life.node == self.me.node || gone {
                self.end_origin(life, cx);
            }
        }
        self.origins.get_mut(&life)
    }

    /// The record of an origin of which someone holds `have`: one that was
    /// closed before that is opened again, behind its end.
    pub(super) fn record_of_holder(&mut self, life: Life, have: u64, cx: Cx<'_, '_>) -> Option<&mut Origin> {
        if let Some(Some(end)) = self.closed_at(life)
            && have > end
            && !self.origins.contains_key(&life)
        {
            let mut origin = Origin::new(life);
            origin.begin_after(end);
            origin.over = Some(Over { reopened: true, ..Over::default() });
            self.origins.insert(life, origin);
            if let Some(causal) = &mut self.causal {
                causal.skip(life, end, &mut Vec::new());
            }
            self.end_origin(life, cx);
        }
        self.record(life, cx)
    }

    fn arrived(&mut self, life: Life, head: Head, body: Bytes, cx: Cx<'_, '_>) {
        if head.seq == 0 {
            self.dropped.malformed += 1;
            return;
        }
        let bytes_max = self.config.origin_bytes_max;
        let Some(origin) = self.record(life, cx) else {
            self.dropped.unknown += 1;
            return;
        };
        if origin.knows(head.seq) {
            self.dropped.duplicates += 1;
            if self.is(Mutant::DropDedupe)
                && let Some(held) = Held::arrived(&head, body)
            {
                self.hand_up(life, head.seq, held, cx);
            }
            return;
        }
        let Some(held) = Held::arrived(&head, body) else {
            self.dropped.malformed += 1;
            return;
        };
        let copy = self.mutant.is_some().then(|| held.clone());
        let Some(origin) = self.origins.get_mut(&life) else { return };
        match origin.arrive(head.seq, held, bytes_max) {
            Arrival::Grown => {
                self.relay_arrival(life, head.seq, cx);
                self.touch(life);
            }
            Arrival::Early => {
                if let Some(copy) = copy.filter(|_| self.is(Mutant::DeliverOnArrival)) {
                    self.already.insert((life, head.seq));
                    self.hand_up(life, head.seq, copy, cx);
                }
                self.watch_repair(cx);
            }
            Arrival::Dropped => {
                self.dropped.no_room += 1;
                self.watch_repair(cx);
            }
            Arrival::Duplicate => self.dropped.duplicates += 1,
        }
    }

    /// Notes that the life in `slot` holds `origin`'s batches up to `upto`.
    pub(super) fn acked(&mut self, slot: usize, origin: Life, upto: u64, cx: Cx<'_, '_>) {
        let Some(record) = self.record_of_holder(origin, upto, cx) else {
            if let Some(from) = self.voters.slots[slot].life {
                self.tell_closed(from, origin, cx);
            }
            return;
        };
        let lacking = upto > record.have();
        if record.ack(slot, upto) {
            self.voters.slots[slot].progress.0 += 1;
            self.touch(origin);
            if lacking {
                self.watch_repair(cx);
            }
        }
    }

    /// Takes this node's own batch by the path of all others.
    pub(super) fn hold_own(&mut self, seq: u64, held: Held) {
        if let Some(origin) = self.origins.get_mut(&self.me) {
            origin.arrive(seq, held, u64::MAX);
        }
        self.touch(self.me);
    }
}
