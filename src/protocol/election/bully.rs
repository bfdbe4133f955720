//! The election itself: who seeks, who answers, who wins.

use super::component::{Cx, Election, Timer};
use super::config::{By, Mutant};
use super::epoch::{Epoch, NUMBER_MAX};
use super::event::ElectionRank;
use super::message::Message;
use super::rank::Rank;
use super::score;
use crate::component::{Lane, To};
use crate::id::Life;

/// Where a node stands in an election.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Phase {
    /// In none.
    Resting,
    /// It seeks to lead and waits for an answer of a better one.
    Asking { number: u64 },
    /// A better one answered.
    Waiting { number: u64 },
    /// It won and makes its epoch: by its disk, or by the map.
    Claiming,
}

impl Election {
    /// Begins after a while, unless a leader shows itself.
    pub(super) fn begin_later(&mut self, cx: Cx<'_, '_>) {
        // a leader that is not linked yet may still be, all others are known to be gone
        let absent = self.known.is_some_and(|known| {
            let node = known.life.node;
            node != self.me.node && !self.peers.contains_key(&node)
        });
        let wait = if absent && self.failed == 0 { self.config.coordinator_within() } else { Default::default() };
        let delay = wait + self.delay(cx);
        cx.set_timer(Timer::Begin, delay);
    }

    /// The wait is over.
    pub(super) fn begin_now(&mut self, cx: Cx<'_, '_>) {
        if self.is_led() && !self.is_challenger(cx) {
            return;
        }
        let challenge = self.is_led();
        if challenge {
            self.challenged = Some(cx.now());
        }
        self.begin(self.base() + 1, challenge, cx);
    }

    /// The highest number that is known.
    pub(super) fn base(&self) -> u64 {
        let known = self.known.map_or(0, |known| known.epoch.number);
        if self.is_safe() { known } else { known.max(self.disk.highest()) }
    }

    /// Asks all who may be better.
    pub(super) fn begin(&mut self, number: u64, challenge: bool, cx: Cx<'_, '_>) {
        if !self.voter {
            return;
        }
        let (number, rank) = self.rank(number, cx);
        if self.config.by == By::Load && rank.bucket.is_none() || !self.may_claim() {
            // no candidate, or not ready: the others are left to it
            self.phase = Phase::Resting;
            return cx.set_timer(Timer::Begin, self.config.timeout);
        }
        self.counts.elections += 1;
        self.failed += 1;
        self.phase = Phase::Asking { number };
        let mut asked = 0;
        let leader = self.known.map(|known| known.life);
        for peer in self.peers.values().filter(|peer| peer.voter) {
            let may_be_better = self.config.by == By::Load || peer.life.node > self.me.node;
            if may_be_better || Some(peer.life) == leader {
                cx.send(To::Life(peer.life), Lane::Control, &Message::Election { number, rank, challenge });
                asked += 1;
            }
        }
        log::info!(target: "nodewright::election", "seeks to lead ({number}), asks {asked} others");
        if asked == 0 {
            return self.claim(number, cx);
        }
        cx.set_timer(Timer::Decide, self.config.answer_within());
    }

    /// This node's rank in the election of this number, or in a newer one that it
    /// knows of.
    fn rank(&mut self, number: u64, cx: Cx<'_, '_>) -> (u64, Rank) {
        let now = self.score.map(score::bucket);
        let (number, frozen) = self.frozen.bucket(number, now);
        let bucket = if self.config.mutant == Some(Mutant::ScoreNotFrozen) { now } else { frozen };
        if self.config.traced && (self.config.by == By::Id || bucket.is_some()) {
            cx.publish(ElectionRank { number, bucket });
        }
        (number, Rank { bucket, id: self.me.node })
    }

    /// Somebody seeks to lead.
    pub(super) fn election(&mut self, from: Life, number: u64, rank: Rank, challenge: bool, cx: Cx<'_, '_>) {
        if number >= NUMBER_MAX || rank.id != from.node {
            self.counts.junk += 1;
            return;
        }
        if self.leads(cx.now()) && !(challenge && self.consents(&rank, cx)) {
            return self.show(To::Life(from), Lane::Control, cx);
        }
        if number <= self.base() || !self.voter {
            self.counts.refused += 1; // its epoch would be over; the leader tells it so
            return;
        }
        if self.config.by == By::Load && self.score.is_none() {
            return;
        }
        let (newest, mine) = self.rank(number, cx);
        let is_better = mine.is_better(&rank, self.config.by);
        if is_better {
            cx.send(To::Life(from), Lane::Control, &Message::Answer { number });
        }
        match self.phase {
            Phase::Claiming => {}
            Phase::Asking { number: mine } | Phase::Waiting { number: mine } if mine >= number => {}
            _ if is_better => {
                cx.cancel_timer(&Timer::Begin);
                self.begin(newest, challenge, cx);
            }
            // the other's turn: if nothing comes of it, this node seeks again
            _ => self.wait(number, cx),
        }
    }

    fn wait(&mut self, number: u64, cx: Cx<'_, '_>) {
        cx.cancel_timer(&Timer::Begin);
        self.phase = Phase::Waiting { number };
        cx.set_timer(Timer::Decide, self.config.answer_within() + self.config.coordinator_within());
    }

    /// A better one is up.
    pub(super) fn answer(&mut self, number: u64, cx: Cx<'_, '_>) {
        if self.phase == (Phase::Asking { number }) {
            self.wait(number, cx);
        }
    }

    /// The time for answers, or for a leadership, is over.
    pub(super) fn decide(&mut self, cx: Cx<'_, '_>) {
        match self.phase {
            Phase::Asking { number } => self.claim(number, cx),
            Phase::Waiting { number } => {
                self.phase = Phase::Resting;
                if self.is_led() {
                    return; // it was a challenge, and came to nothing
                }
                self.failed += 1;
                self.begin(number.max(self.base()) + 1, false, cx);
            }
            Phase::Claiming | Phase::Resting => {}
        }
    }

    fn may_claim(&self) -> bool {
        #[cfg(feature = "replicated_log")]
        if self.is_safe() {
            return self.map.is_ready();
        }
        self.disk.is_ready()
    }

    /// Nobody better answered.
    fn claim(&mut self, number: u64, cx: Cx<'_, '_>) {
        cx.cancel_timer(&Timer::Decide);
        self.phase = Phase::Claiming;
        #[cfg(feature = "replicated_log")]
        if self.is_safe() {
            return self.claim_in_map(cx);
        }
        let number = number.max(self.base() + 1);
        let reused = self.config.mutant == Some(Mutant::EpochReused);
        let number = if reused { self.base() } else { number };
        self.adopt(Epoch { number, leader: self.me.node }, self.me, cx);
    }

    /// The claim came to nothing.
    pub(super) fn claim_failed(&mut self, cx: Cx<'_, '_>) {
        if self.phase == Phase::Claiming {
            self.phase = Phase::Resting;
            self.failed += 1;
        }
        self.review(cx);
    }

    /// Somebody leads.
    pub(super) fn coordinator(&mut self, from: Life, epoch: Epoch, score: Option<u16>, cx: Cx<'_, '_>) {
        if epoch.leader != from.node || epoch.number >= NUMBER_MAX {
            self.counts.junk += 1;
            return;
        }
        let highest = self.known.map(|known| known.epoch).max(self.disk.adopting()).max(self.disk.written());
        if Some(epoch) < highest && self.config.mutant != Some(Mutant::OldCoordinatorAccepted) {
            self.counts.refused += 1;
            if self.is_led() {
                return self.show(To::Life(from), Lane::Control, cx); // if this one leads, that one steps down
            }
            if let Some(epoch) = highest.filter(|_| !self.is_safe()) {
                cx.send(To::Life(from), Lane::Control, &Message::Outdated { epoch });
            }
            return;
        }
        if self.known.is_some_and(|known| known.epoch == epoch && known.life == from) {
            // it is up: whoever seeks to follow it has no cause to
            if self.is_led() && self.phase != Phase::Resting && self.phase != Phase::Claiming {
                self.rest(cx);
            }
            self.weigh(score, cx);
        } else if self.disk.adopting() != Some(epoch) {
            self.adopt(epoch, from, cx);
        }
    }

    /// Somebody cannot follow this leader: it was in a higher epoch, of which this
    /// one knows nothing. In safe mode the map would tell.
    pub(super) fn outdated(&mut self, epoch: Epoch, cx: Cx<'_, '_>) {
        let lower = self.known.is_some_and(|known| known.epoch < epoch);
        if self.leads(cx.now()) && lower && !self.is_safe() && self.phase == Phase::Resting {
            self.claim(epoch.number.min(NUMBER_MAX - 2) + 1, cx);
        }
    }

    /// A higher epoch: it is made durable, then followed.
    pub(super) fn adopt(&mut self, epoch: Epoch, life: Life, cx: Cx<'_, '_>) {
        if self.is_safe() {
            #[cfg(feature = "replicated_log")]
            self.map.saw(epoch.number); // what the leader says stands in the log
            self.follow(epoch, life, cx);
        } else {
            self.write_epoch(epoch, life, cx);
        }
    }

    /// Compares the leader's present load, or its id, with this node's.
    fn weigh(&mut self, leaders: Option<u16>, cx: Cx<'_, '_>) {
        let Some(known) = self.known.filter(|_| self.config.pre_emption && self.voter) else { return };
        let is_better = match self.config.by {
            By::Id => self.me.node > known.life.node,
            By::Load => self.score.zip(leaders).is_some_and(|(mine, theirs)| score::has_advantage(mine, theirs)),
        };
        if !is_better {
            self.advantage = None;
            return;
        }
        self.advantage.get_or_insert(cx.now());
        if self.is_challenger(cx) && self.phase == Phase::Resting && !cx.has_timer(&Timer::Begin) {
            let delay = self.delay(cx);
            cx.set_timer(Timer::Begin, delay);
        }
    }

    /// Whether this node may try to displace a leader that is up.
    fn is_challenger(&self, cx: Cx<'_, '_>) -> bool {
        let (now, config) = (cx.now(), &self.config);
        let sustained = if config.by == By::Id { Default::default() } else { config.sustained };
        let lasted = self.advantage.is_some_and(|since| now.since(since) >= sustained);
        let tenure = self.known.is_some_and(|known| now.since(known.since) >= config.tenure);
        let rested = self.challenged.is_none_or(|at| now.since(at) >= config.tenure);
        config.pre_emption && lasted && tenure && rested
    }

    /// Whether this leader lets the challenger try.
    fn consents(&self, challenger: &Rank, cx: Cx<'_, '_>) -> bool {
        let tenure = self.known.is_some_and(|known| cx.now().since(known.since) >= self.config.tenure);
        let is_better = match self.config.by {
            By::Id => challenger.id > self.me.node,
            // at its bucket's lower edge: it knows its own score better
            By::Load => challenger.bucket.zip(self.score).is_some_and(|(theirs, mine)| {
                score::has_advantage(u16::from(theirs) * 10 * score::BUCKET_POINTS, mine)
            }),
        };
        self.config.pre_emption && tenure && is_better
    }
}
