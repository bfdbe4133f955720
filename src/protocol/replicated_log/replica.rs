//! A replica with its log on the disk: what it does for a peer, and what it says
//! of itself.

use super::elsewhere::Elsewhere;
use super::engine::{Engine, Hard};
use super::entry::Head;
use super::following::Following;
use super::gathered::Gathered;
use super::members::{Change, Member};
use super::message::Status;
use super::reads::Reads;
use super::rounds::Rounds;
use super::state::State;
use super::transfer::Transfers;
use super::wal::Wal;
use super::wire::WireMessage;
use super::wishes::{Act, Wish, act, promotable};
use crate::id::{Life, NodeId};
use bytes::Bytes;

/// A replica with its log on the disk.
pub(super) struct Replica {
    pub(super) id: u64,
    pub(super) seed: u64,
    pub(super) wal: Wal,
    pub(super) hard: Hard,
    /// Both are there once the replica is of a group; a replica that is to join
    /// one has an engine only.
    pub(super) engine: Option<Engine>,
    pub(super) state: Option<State>,
    pub(super) rounds: Rounds,
    pub(super) following: Following,
    pub(super) gathered: Gathered,
    pub(super) reads: Reads,
    pub(super) transfers: Transfers,
    pub(super) elsewhere: Elsewhere,
}

impl Replica {
    /// A peer's message for the engine; false if it is junk.
    pub(super) fn step(&mut self, message: &WireMessage) -> bool {
        let Some(engine) = &mut self.engine else { return true };
        if message.answers_read().is_some_and(|context| !self.reads.expects(context)) {
            return true; // an answer to an attempt that is over
        }
        engine.step(message)
    }

    /// A peer's proposal; false if it is junk.
    pub(super) fn forwarded(&mut self, from: Life, entry: &Bytes) -> bool {
        let sound = Head::decode(entry).is_some_and(|(head, _)| head.origin == from && head.number > 0);
        if let (true, Some(engine)) = (sound, &mut self.engine) {
            self.gathered.add(entry.to_vec(), engine);
        }
        sound
    }

    pub(super) fn snapshot_ended(&mut self, to: u64, arrived: bool) {
        if let Some(engine) = &mut self.engine {
            engine.report_snapshot(to, arrived);
        }
    }

    /// Does what is wished for, where this replica leads.
    pub(super) fn grant(&mut self, wish: &Wish) {
        let (Some(engine), Some(state)) = (&mut self.engine, &self.state) else { return };
        if !engine.leads() || engine.is_changing() {
            return;
        }
        match act(wish, self.id, state, engine) {
            Act::Change(change) => drop(engine.propose_change(&change)),
            Act::Transfer(to) => engine.transfer(to),
            Act::Nothing => {}
        }
    }

    /// Lets a learner that has caught up vote; leaves a joint membership that
    /// an earlier leader did not.
    pub(super) fn promote(&mut self) {
        let (Some(engine), Some(state)) = (&mut self.engine, &self.state) else { return };
        if !engine.leads() || engine.is_changing() {
            return;
        }
        if state.conf.auto_leave {
            engine.propose_change(&Change::default());
        } else if let Some(change) = promotable(state, engine) {
            engine.propose_change(&change);
        }
    }

    /// The leader's node, as far as it is known.
    pub(super) fn leader(&self, me: NodeId) -> Option<NodeId> {
        let engine = self.engine.as_ref()?;
        if engine.leads() {
            return Some(me);
        }
        self.state.as_ref()?.members.get(&engine.leader()).copied()
    }

    pub(super) fn status(&self) -> Status {
        let (Some(engine), Some(state)) = (&self.engine, &self.state) else {
            return Status { replica: self.id, ..Status::default() };
        };
        let member = |id: &u64| state.members.get(id).map(|node| Member { replica: *id, node: *node });
        Status {
            replica: self.id,
            leads: engine.leads(),
            leader: state.members.get(&engine.leader()).copied(),
            term: engine.term(),
            commit: engine.commit(),
            applied: state.applied,
            voters: state.conf.voters.iter().filter_map(member).collect(),
            learners: state.conf.learners.iter().filter_map(member).collect(),
            hash: state.hash(),
            unusable: None,
        }
    }
}
