//! The list of the voters changes: an entry of the replicated log, where there is one.
//!
//! Nodes apply the entry one after the other, so two lists are in force at once, and
//! majorities of them need not meet. Three rules make them one:
//!
//! 1. *Who goes on says so* ([`Message::Moved`]) on each lane before anything else,
//!    and what it acknowledges from then on counts in no majority of an earlier list.
//!    So what was delivered under a list was acknowledged by a majority of it under
//!    it or before.
//! 2. *Who goes on first asks the voters that it leaves.* It acknowledges and delivers
//!    nothing until ceil(n/2) of the earlier list's *n* voters, itself included, have
//!    gone on too and told it what they hold, and it holds all of that: they meet each
//!    majority that acknowledged something there. A majority of a list must stay up
//!    until then; afterwards it is not needed any more.
//! 3. *Who has not done that is as new*, and joins by the rule of new lives
//!    ([`super::join`]) among those that have: a node that comes with the list, a new
//!    life of one that was in it, and one that missed a list because a snapshot of the
//!    log took its place, or because the others have gone on without it.
//!
//! So whatever was delivered before a list is held by each life that is joined under
//! it, by induction over the lists; and what is delivered under it is safe as ever. No
//! majority of two lists is counted, because nothing is decided between them.
//!
//! A node that is removed is over as an origin, as one whose life has ended. It is one
//! of those who are asked, so it keeps what it holds until a majority of the others is
//! joined without it; should it stop before, it counts as failed. One that is taken in again comes with another seat, and
//! begins a new life if it still has the one of its earlier seat. Until a node's log
//! says who votes, it takes no part: which list was in force when its last life ended
//! only the log remembers.
//!
//! ```text
//!   alpha, beta, gamma  --log: delta votes-->  alpha, beta, gamma, delta
//!   alpha: Moved, State -> all     beta: Moved, State -> all     two of three: go on
//!   delta: two of the three others are joined under the new list and told it
//! ```
//!
//! Source: that a configuration takes over from its predecessor by reading a quorum of
//! it is Lamport's, Malkhi's and Zhou's (*Reconfiguring a State Machine*, SIGACT News
//! 2010, section 3); the state here is only what is unstable.

use super::Guarantee;
use super::broadcast::{Broadcast, Cx};
use super::message::{Message, Under};
use super::voters::Voter;
use crate::component::{FailedWhy, Lane, PeerRole, Target, To};
use crate::error::Fault;
use crate::id::{Life, NodeId};
use crate::protocol::membership::VoterList;
use std::collections::VecDeque;

/// Lists that wait; more are joined, which makes this life as new.
const PENDING_MAX: usize = 64;

/// The lists that the log has said and this life has not taken, and its seat.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Lists {
    pending: VecDeque<VoterList>,
    /// The list with which this life's seat came.
    pub(super) seat: Option<u64>,
    /// This node was removed, and is still asked what it holds.
    pub(super) leaving: bool,
}

/// Who voted by the list before the one in force.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Before {
    pub(super) version: u64,
    pub(super) slots: Vec<usize>,
    pub(super) voters: usize,
}

impl Broadcast {
    /// Whether the log has not said yet who votes.
    pub(super) fn awaits_list(&self) -> bool {
        self.voters.version == 0
    }

    /// Where what all other voters are to get is sent: one place, while their list is
    /// the configured one. Who is not linked is told when it is.
    pub(super) fn all(&self) -> impl Iterator<Item = To> {
        let named = self.voters.list.is_some();
        let each = self.voters.linked().filter(move |_| named).map(|(_, life)| To::Life(life));
        (!named).then_some(To::All).into_iter().chain(each)
    }

    /// Tells all other voters.
    pub(super) fn tell(&self, message: &Message, cx: Cx<'_, '_>) {
        for to in self.all() {
            cx.send(to, Lane::Control, message);
        }
    }

    /// The log says who votes.
    pub(super) fn list_came(&mut self, list: &VoterList) {
        let newest = self.lists.pending.back().map_or(self.voters.version, |list| list.version);
        if self.config.voters_by_log && list.version > newest {
            if self.lists.pending.len() == PENDING_MAX {
                self.lists.pending.clear();
            }
            self.lists.pending.push_back(list.clone());
        }
    }

    /// Takes the lists that are there, one after the other, as far as this life is
    /// joined under the one before.
    pub(super) fn follow_lists(&mut self, cx: Cx<'_, '_>) -> Result<(), Fault> {
        while let Some((list, step)) = self.next_list() {
            self.take_list(list, step, cx)?;
            self.broadcast_requested(cx); // what waited for the first one
            self.try_join(cx);
        }
        Ok(())
    }

    /// The next list, and whether it is the very next one for a life that is joined.
    fn next_list(&mut self) -> Option<(VoterList, bool)> {
        let newest = self.lists.pending.back()?;
        let follows = self.lists.pending.front().is_some_and(|next| next.previous == self.voters.version);
        let goes_on = self.voter && self.joining.under > 0 && follows;
        if goes_on && !self.is_overtaken_by(newest) {
            return self.joining.joined.then(|| self.lists.pending.pop_front()).flatten().map(|list| (list, true));
        }
        let newest = self.lists.pending.pop_back();
        self.lists.pending.clear();
        newest.map(|list| (list, false))
    }

    /// Whether enough others are joined under that list for a new life to join there:
    /// the voters of a list on the way to it may be gone.
    fn is_overtaken_by(&self, list: &VoterList) -> bool {
        let there = |voter: &&Voter| {
            voter.report.as_ref().is_some_and(|report| report.joined >= list.version) && list.seat(voter.node).is_some()
        };
        let joined = self.voters.slots.iter().filter(there).count();
        !self.joining.joined && joined >= list.seats.len().div_ceil(2)
    }

    /// From here on `list` is in force. `step`: this life was joined under the one
    /// that it follows.
    fn take_list(&mut self, list: VoterList, step: bool, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let seat = list.seat(self.me.node).map(|seat| seat.since);
        if self.lists.seat.is_some() && seat.is_some() && seat != self.lists.seat {
            let why = "its node was removed from the voters and taken in again: it begins anew";
            return Err(Fault::LifeEnded(why.into()));
        }
        log::info!(target: "nodewright::delivery", "{}: {} voters by list {}", self.config.delivery, list.seats.len(), list.version);
        self.voters.before = (step && self.guarantee == Guarantee::Uniform).then(|| Before {
            version: self.voters.version,
            slots: self.voters.listed().map(|(slot, _)| slot).collect(),
            voters: self.voters.configured,
        });
        let removed = self.seat_others(&list, step, cx);
        (self.voters.version, self.voters.configured) = (list.version, list.seats.len());
        self.voters.list = Some(list);
        self.lists.seat = self.lists.seat.or(seat);
        if seat.is_none() {
            self.stop_voting();
        }
        self.voter = seat.is_some();
        self.joining.anew(step || self.lists.leaving);
        self.begin_under_list(cx);
        self.meet_again(cx);
        self.end_origins(removed, cx);
        self.touch_all();
        Ok(())
    }

    /// The others' seats by this list. What those that were removed hold still counts
    /// for a life that goes on, until it has done so. Returns their lives.
    fn seat_others(&mut self, list: &VoterList, step: bool, cx: Cx<'_, '_>) -> Vec<Life> {
        let (me, asks) = (self.me.node, step && self.guarantee == Guarantee::Uniform);
        let mut removed = Vec::new();
        for slot in 0..self.voters.slots.len() {
            let voter = &self.voters.slots[slot];
            let since = list.seat(voter.node).map(|seat| seat.since);
            let leaving = voter.since.filter(|_| asks && voter.listed && since.is_none());
            let spoke = voter.listed && voter.since != since && voter.under.seat == voter.since;
            let over = voter.life.filter(|_| spoke);
            removed.extend(over);
            if voter.leaving.is_some() || voter.listed && voter.since != since && leaving.is_none() {
                self.void(slot, cx);
            }
            let voter = &mut self.voters.slots[slot];
            voter.removed = voter.removed.max(over.map(|life| life.incarnation));
            if !voter.listed {
                voter.report = None; // heard from outside the list: what it holds was not noted
            }
            (voter.listed, voter.since, voter.leaving) = (since.is_some(), since, leaving);
        }
        for seat in list.seats.iter().filter(|seat| seat.node != me) {
            let slot = self.voters.place(seat.node);
            let voter = &mut self.voters.slots[slot];
            (voter.listed, voter.since) = (true, Some(seat.since));
            self.voters.absent_given_up &= voter.seen;
        }
        removed
    }

    /// Whoever is linked is met once more, under this list: tells the voters that this
    /// life speaks under it now, and what it holds.
    fn meet_again(&mut self, cx: Cx<'_, '_>) {
        let members = self.peers.values().filter(|(_, role)| matches!(role, PeerRole::Voter | PeerRole::Joiner));
        let members: Vec<Life> = members.map(|(life, _)| *life).collect();
        for life in members {
            self.heard_of(life, cx);
            let slot = self.voters.place(life.node);
            let voter = &mut self.voters.slots[slot];
            voter.linked |= voter.life == Some(life);
        }
        for (_, life) in self.voters.linked() {
            self.greet(life, cx);
        }
    }

    /// Tells a voter under which list this life speaks, and what it holds; a life that
    /// has lost its seat, that it has.
    pub(super) fn greet(&self, life: Life, cx: Cx<'_, '_>) {
        if self.holds() && self.lists.seat.is_some() {
            cx.send(To::Life(life), Lane::Data, &Message::Moved(self.under()));
        }
        if self.holds() && (self.voter || self.lists.leaving) {
            self.send_state(life, 0, cx);
        }
    }

    /// Ends, as origins, the lives that were removed, and others of nodes that do not
    /// vote any more.
    fn end_origins(&mut self, removed: Vec<Life>, cx: Cx<'_, '_>) {
        if !self.voter || !self.holds() {
            return;
        }
        for life in removed {
            if self.record(life, cx).is_some() {
                self.end_origin(life, cx);
            }
        }
        let votes = |node: NodeId| node == self.me.node || self.voters.votes(node);
        let gone: Vec<Life> = self.origins.keys().filter(|life| !votes(life.node)).copied().collect();
        for life in gone {
            self.end_origin(life, cx);
        }
    }

    /// This node was removed, or never voted: what it had begun may still be delivered
    /// by the others, or not; nothing more is taken from it.
    fn stop_voting(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            let (key, bytes) = ((request.channel, request.target), request.bytes() as u64);
            self.receipts.failed(key, request.first, request.count(), bytes, FailedWhy::NotAVoter);
        }
        if !self.voter {
            return;
        }
        let own = self.origins.get(&self.me);
        for (_, held) in own.iter().flat_map(|own| own.held_from(0)) {
            let key = (held.channel, Target::All);
            self.receipts.lost(key, held.count(), held.run_bytes() as u64, *held.delivered_as > 0);
        }
        self.lists.leaving = self.guarantee == Guarantee::Uniform && self.joining.under > 0;
        if !self.lists.leaving {
            self.origins.clear();
            self.closed.clear();
        }
    }

    /// Once a majority is joined without it, a removed node lets go of what it holds.
    fn has_left(&mut self) {
        let version = self.voters.version;
        let joined = |voter: &Voter| voter.report.as_ref().is_some_and(|report| report.joined >= version);
        let joined = self.voters.listed().filter(|(_, voter)| joined(voter)).count();
        if self.lists.leaving && joined >= self.voters.majority() {
            self.lists.leaving = false;
            self.origins.clear();
            self.closed.clear();
        }
    }

    /// A removed node still tells what it holds, and gives it to who asks.
    pub(super) fn leaver_said(&mut self, from: Life, message: Message, cx: Cx<'_, '_>) {
        match message {
            Message::Pull { origin, from: first, to } => self.pulled(from, origin, first, to, cx),
            Message::State(state) => {
                let last = self.voters.slot(from).and_then(|slot| self.voters.slots[slot].report.as_ref());
                if last.is_none_or(|last| last.list < state.under.list) && state.under.list <= self.voters.version {
                    self.send_state(from, 0, cx);
                }
                self.outsider_said(from, Message::State(state));
                self.has_left();
            }
            message => self.outsider_said(from, message),
        }
    }

    /// Under what this life speaks.
    pub(super) fn under(&self) -> Under {
        Under { list: self.voters.version, seat: self.lists.seat }
    }

    /// A life says that it speaks under this list, from this seat.
    pub(super) fn moved(&mut self, slot: usize, under: Under) {
        let voter = &mut self.voters.slots[slot];
        let news = under.list > voter.under.list || voter.under.seat.is_none();
        if news && voter.under != under {
            voter.under = under;
            self.touch_all();
        }
    }
}
