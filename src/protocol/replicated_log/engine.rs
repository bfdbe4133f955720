//! The consensus engine, behind what this module needs of it: nothing outside
//! knows that it is `raft` (tikv/raft-rs). Raft: Ongaro and Ousterhout, *In
//! Search of an Understandable Consensus Algorithm*, USENIX ATC 2014; the
//! leader's sync beside its sends: Ongaro's thesis, 10.2.1.
//!
//! The engine draws its election timeouts from its thread's generator; after
//! every call into it the timeout is set anew to a function of seed, replica
//! and term, so that two runs with one seed are the same.

use super::members::Change;
use super::snapshot::{Conf, Meta};
use super::store::Store;
use super::wire::{Here, WireEntry, WireMessage};
use crate::error::Fault;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};

/// Ticks without a leader before an election, at least and less than.
const ELECTION_TICKS: (usize, usize) = (20, 60);
const HEARTBEAT_TICKS: usize = 4;
/// Most bytes of entries in one message.
const MESSAGE_BYTES: u64 = 256 << 10;
/// Bytes of entries that a leader takes before the first of them is committed.
const UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Messages with entries on their way to one follower.
const INFLIGHT: usize = 64;

/// Term, vote and commit index: what a replica must not forget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Hard {
    pub(super) term: u64,
    pub(super) vote: u64,
    pub(super) commit: u64,
}

impl Hard {
    fn of(hard: &HardState) -> Self {
        Hard { term: hard.term, vote: hard.vote, commit: hard.commit }
    }

    fn to_raft(self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.commit, ..HardState::default() }
    }
}

/// What one round of the engine asks for.
pub(super) struct Work {
    /// Its number: see [`Engine::persisted`].
    pub(super) number: u64,
    /// To be sent at once.
    pub(super) messages: Vec<WireMessage>,
    /// To be sent once this round is durable.
    pub(super) messages_after_sync: Vec<WireMessage>,
    /// To be made durable.
    pub(super) entries: Vec<WireEntry>,
    pub(super) hard: Option<Hard>,
    /// A leader's snapshot that takes the place of all state.
    pub(super) install: Option<Meta>,
    /// Whether anything waits for its durability.
    pub(super) must_sync: bool,
    /// To be applied, in order.
    pub(super) committed: Vec<WireEntry>,
    /// Contexts of reads, and the index at which each may be answered.
    pub(super) reads: Vec<(Vec<u8>, u64)>,
}

/// A replica's engine.
pub(super) struct Engine {
    raw: RawNode<Store>,
    seed: u64,
}

impl Engine {
    /// An engine with this id over what was recovered.
    pub(super) fn new(id: u64, seed: u64, hard: Hard, newest: Meta, entries: &[WireEntry]) -> Result<Self, Fault> {
        let applied = newest.index;
        let base = (newest.index, newest.term);
        let entries = entries.iter().map(WireEntry::to_raft).collect();
        let store = Store::new(hard.to_raft(), newest, base, entries);
        let config = Config {
            id,
            applied,
            election_tick: ELECTION_TICKS.0,
            min_election_tick: ELECTION_TICKS.0,
            max_election_tick: ELECTION_TICKS.1,
            heartbeat_tick: HEARTBEAT_TICKS,
            max_size_per_msg: MESSAGE_BYTES,
            max_inflight_msgs: INFLIGHT,
            max_uncommitted_size: UNCOMMITTED_BYTES,
            // A read is answered after a round of heartbeats: no lease, which a
            // transfer of leadership makes stale.
            read_only_option: raft::ReadOnlyOption::Safe,
            check_quorum: true,
            pre_vote: true,
            ..Config::new(id)
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, store, &logger).map_err(broken)?;
        let mut engine = Engine { raw, seed };
        engine.settle();
        Ok(engine)
    }

    /// Draws the election timeout as the seed has it.
    fn settle(&mut self) {
        let raft = &mut self.raw.raft;
        let drawn = mix(self.seed ^ mix(raft.id) ^ mix(raft.term).rotate_left(17)) as usize;
        let (least, less_than) = ELECTION_TICKS;
        raft.set_randomized_election_timeout(least + drawn % (less_than - least));
    }

    pub(super) fn tick(&mut self) {
        self.raw.tick();
        self.settle();
    }

    /// Takes a peer's message; false if it is junk. What does not fit the
    /// engine's state is dropped, as it asks.
    pub(super) fn step(&mut self, message: &WireMessage) -> bool {
        let log = &self.raw.raft.raft_log;
        let here = Here { id: self.raw.raft.id, last: log.last_index(), commit: log.committed };
        let Some(message) = message.to_raft(&here) else { return false };
        let _ = self.raw.step(message);
        self.settle();
        true
    }

    /// Proposes entries, which travel together; false if there is no leader here or
    /// it cannot take them now. Empty ones, on which the engine panics, are not
    /// proposed.
    pub(super) fn propose(&mut self, payloads: &[Vec<u8>]) -> bool {
        if !self.leads() || payloads.is_empty() || payloads.iter().any(Vec::is_empty) {
            return false;
        }
        // one by one, each would be a message of its own to every follower
        let entries = payloads.iter().map(|payload| Entry { data: payload.clone().into(), ..Entry::default() });
        let mut proposal = Message { from: self.raw.raft.id, ..Message::default() };
        proposal.set_msg_type(MessageType::MsgPropose);
        proposal.set_entries(entries.collect());
        self.raw.raft.step(proposal).is_ok()
    }

    /// Asks for an index at which a read is linearizable. May be lost.
    pub(super) fn read_index(&mut self, context: Vec<u8>) {
        self.raw.read_index(context);
    }

    /// Proposes a change of the membership, at the leader; false if not now.
    pub(super) fn propose_change(&mut self, change: &Change) -> bool {
        let context = postcard::to_stdvec(change).unwrap_or_default();
        self.leads() && !context.is_empty() && self.raw.propose_conf_change(context, change.to_raft()).is_ok()
    }

    /// A change is applied: the membership from now on.
    pub(super) fn apply_change(&mut self, change: Option<&Change>) -> Result<Conf, Fault> {
        // the engine itself leaves a joint membership by an empty change
        let change = change.map(Change::to_raft).unwrap_or_default();
        let conf = self.raw.apply_conf_change(&change).map_err(broken)?;
        self.settle();
        Ok(Conf::of(&conf))
    }

    /// Whether a change of the membership is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.raw.raft.has_pending_conf() || self.raw.raft.lead_transferee.is_some()
    }

    /// Hands leadership over, if here; may come to nothing.
    pub(super) fn transfer(&mut self, to: u64) {
        if self.leads() {
            self.raw.transfer_leader(to);
            self.settle();
        }
    }

    /// What became of a snapshot sent to this replica: always answered.
    pub(super) fn report_snapshot(&mut self, to: u64, arrived: bool) {
        self.raw.report_snapshot(to, if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
    }

    /// The next round, if there is something to do.
    pub(super) fn work(&mut self) -> Result<Option<Work>, Fault> {
        if !self.raw.has_ready() {
            return Ok(None);
        }
        let mut ready = self.raw.ready();
        let travels = |messages: Vec<raft::eraftpb::Message>| messages.iter().filter_map(WireMessage::of).collect();
        let install = (!ready.snapshot().is_empty()).then(|| Meta::of(ready.snapshot()));
        let entries = ready.take_entries();
        if let Some(meta) = &install {
            self.raw.mut_store().install(meta);
        }
        self.raw.mut_store().append(&entries);
        let hard = ready.hs().cloned();
        if let Some(hard) = &hard {
            self.raw.mut_store().set_hard(hard.clone());
        }
        let work = Work {
            number: ready.number(),
            messages: travels(ready.take_messages()),
            messages_after_sync: travels(ready.take_persisted_messages()),
            entries: entries.iter().map(WireEntry::of).collect(),
            hard: hard.as_ref().map(Hard::of),
            install,
            must_sync: ready.must_sync(),
            committed: ready.take_committed_entries().iter().map(WireEntry::of).collect(),
            reads: ready.take_read_states().into_iter().map(|read| (read.request_ctx, read.index)).collect(),
        };
        self.raw.advance_append_async(ready);
        Ok(Some(work))
    }

    /// The rounds up to this number are durable.
    pub(super) fn persisted(&mut self, number: u64) {
        self.raw.on_persist_ready(number);
        self.settle();
    }

    /// Everything up to this index is applied.
    pub(super) fn applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
        self.settle();
    }

    /// A snapshot is durable: what stands up to `index` is not needed.
    pub(super) fn compact(&mut self, newest: Meta, index: u64) {
        self.raw.mut_store().compact(newest, index);
    }

    /// The term of the entry at this index, if that is still held.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        raft::Storage::term(self.raw.store(), index).ok()
    }

    pub(super) fn store(&self) -> &Store {
        self.raw.store()
    }

    pub(super) fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// The leader that it knows of, zero for none.
    pub(super) fn leader(&self) -> u64 {
        self.raw.raft.leader_id
    }

    pub(super) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    pub(super) fn commit(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    pub(super) fn last(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// How far a replica's log agrees with the leader's, at the leader.
    pub(super) fn matched(&self, id: u64) -> Option<u64> {
        self.raw.raft.prs().get(id).map(|progress| progress.matched)
    }

    /// Whether a replica was heard of since the last check of the quorum.
    pub(super) fn is_active(&self, id: u64) -> bool {
        self.raw.raft.prs().get(id).is_some_and(|progress| progress.recent_active)
    }
}

impl Change {
    fn to_raft(&self) -> ConfChangeV2 {
        let mut change = ConfChangeV2::default();
        let singles = self.steps().into_iter().map(|(id, place)| {
            let mut single = ConfChangeSingle { node_id: id, ..ConfChangeSingle::default() };
            single.set_change_type(match place {
                Some(true) => ConfChangeType::AddNode,
                Some(false) => ConfChangeType::AddLearnerNode,
                None => ConfChangeType::RemoveNode,
            });
            single
        });
        change.set_changes(singles.collect::<Vec<_>>().into());
        change.set_transition(ConfChangeTransition::Auto);
        change
    }
}

fn broken(error: raft::Error) -> Fault {
    Fault::Broken(format!("the consensus engine: {error}"))
}

/// Spreads the bits of a number (SplitMix64's finisher).
pub(super) fn mix(mut n: u64) -> u64 {
    n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// An entry for tests.
#[cfg(test)]
pub(super) fn normal(term: u64, index: u64, payload: &'static [u8]) -> WireEntry {
    WireEntry { kind: super::wire::EntryKind::Normal, term, index, payload: bytes::Bytes::from_static(payload) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(seed: u64) -> Engine {
        let conf = Conf { voters: vec![1, 2, 3], ..Conf::default() };
        Engine::new(1, seed, Hard { term: 1, vote: 0, commit: 1 }, Meta { index: 1, term: 1, conf }, &[])
            .expect("sound")
    }

    /// Ticks until it asks for votes.
    fn patience(engine: &mut Engine) -> usize {
        for n in 1..200 {
            engine.tick();
            if engine.work().expect("sound").is_some_and(|work| !work.messages_after_sync.is_empty()) {
                return n;
            }
        }
        panic!("it never asks for votes");
    }

    #[test]
    fn trap_9_election_timeouts_follow_from_the_seed() {
        let drawn: Vec<usize> = (0..20).map(|seed| patience(&mut engine(seed))).collect();
        let again: Vec<usize> = (0..20).map(|seed| patience(&mut engine(seed))).collect();
        assert_eq!(drawn, again);
        let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert!(distinct.len() > 8, "a narrow range: {drawn:?}");
    }

    #[test]
    fn trap_10_an_empty_proposal_is_refused_before_the_engine() {
        let conf = Conf { voters: vec![1], ..Conf::default() };
        let mut alone = Engine::new(1, 0, Hard { term: 1, vote: 0, commit: 1 }, Meta { index: 1, term: 1, conf }, &[])
            .expect("sound");
        while !alone.leads() {
            alone.tick();
            while let Some(work) = alone.work().expect("sound") {
                alone.persisted(work.number);
            }
        }
        assert!(!alone.propose(&[vec![]]) && alone.propose(&[vec![1], vec![2]]));
    }

    #[test]
    fn trap_2_and_3_reads_need_a_quorum_and_votes_have_no_priority() {
        let engine = engine(0);
        assert_eq!(engine.raw.raft.read_only.option, raft::ReadOnlyOption::Safe);
        assert!(engine.raw.raft.check_quorum && engine.raw.raft.pre_vote);
        assert_eq!(engine.raw.raft.priority, 0);
    }
}
