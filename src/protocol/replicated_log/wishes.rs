//! Changes of who replicates and who leads, asked of any replica.
//!
//! A wish is told to the leader every second until it is so or its time is over.
//! That it is told twice, to two leaders, or after it came true, does no harm.

use super::VOTERS_MAX;
use super::engine::Engine;
use super::members::{Change, Member};
use super::state::State;
use crate::component::ReplyTo;
use crate::id::NodeId;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A replica with this much less than the leader's log has caught up.
const BEHIND_MAX: u64 = 64;

/// What is to become so.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// This replica takes part, in the place of any other one of its node.
    Join(Member),
    /// This replica takes no part. Not its node: that may be taken in again, with another
    /// one, before all who wish for this have seen it.
    Remove(u64),
    /// This node leads.
    Lead(NodeId),
}

impl Wish {
    /// Whether it is so, as far as this replica knows.
    pub(super) fn is_true(&self, state: &State, leader: Option<NodeId>) -> bool {
        match self {
            Wish::Join(member) => state.members.contains_key(&member.replica),
            Wish::Remove(replica) => !state.members.contains_key(replica),
            Wish::Lead(node) => leader == Some(*node),
        }
    }
}

/// A wish and who waits for it.
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) reply_to: ReplyTo,
    pub(super) deadline: Time,
    pub(super) within: Duration,
}

/// What a leader does for a wish now.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    Change(Change),
    Transfer(u64),
    Nothing,
}

/// What the leader `me` does for `wish`.
pub(super) fn act(wish: &Wish, me: u64, state: &State, engine: &Engine) -> Act {
    let replicas_of = |node: NodeId| state.members.iter().filter(move |(_, it)| **it == node).map(|(id, _)| *id);
    match wish {
        Wish::Join(member) if !state.members.contains_key(&member.replica) => {
            let removed: Vec<u64> = replicas_of(member.node).collect();
            if removed.contains(&me) {
                return Act::Nothing; // nobody takes the leader's own place
            }
            if state.members.len() >= super::MEMBERS_MAX {
                return Act::Nothing;
            }
            Act::Change(Change { learners: vec![*member], removed, ..Change::default() })
        }
        Wish::Join(_) => Act::Nothing,
        Wish::Remove(replica) if !state.members.contains_key(replica) => Act::Nothing,
        // the last voter cannot go, and a leader hands over before it goes
        Wish::Remove(replica) if *replica == me => best_other(me, state, engine).map_or(Act::Nothing, Act::Transfer),
        Wish::Remove(replica) if !has_majority_without(*replica, me, state, engine) => Act::Nothing,
        Wish::Remove(replica) => Act::Change(Change { removed: vec![*replica], ..Change::default() }),
        Wish::Lead(node) => {
            let fits = |id: &u64| state.conf.votes(*id) && *id != me && has_caught_up(*id, engine);
            replicas_of(*node).find(fits).map_or(Act::Nothing, Act::Transfer)
        }
    }
}

/// The other voter that has most of the log.
fn best_other(me: u64, state: &State, engine: &Engine) -> Option<u64> {
    let others = state.conf.voters.iter().copied().filter(|id| *id != me && engine.is_active(*id));
    others.max_by_key(|id| (engine.matched(*id), *id))
}

/// Whether those that are left answer as a majority of themselves: else the removal of
/// one that is up would stop the group.
fn has_majority_without(removed: u64, me: u64, state: &State, engine: &Engine) -> bool {
    let left = || state.conf.voters.iter().filter(|id| **id != removed);
    let answering = left().filter(|id| **id == me || engine.is_active(**id)).count();
    2 * answering > left().count()
}

/// Whether it answers and has nearly all of the leader's log: proposals wait while
/// leadership is handed over.
fn has_caught_up(id: u64, engine: &Engine) -> bool {
    engine.is_active(id) && engine.matched(id).is_some_and(|it| it > 0 && it + BEHIND_MAX >= engine.last())
}

/// A learner that has caught up, where there is room for a voter.
pub(super) fn promotable(state: &State, engine: &Engine) -> Option<Change> {
    if state.conf.voters.len() >= VOTERS_MAX || !state.conf.voters_outgoing.is_empty() {
        return None;
    }
    let replica = *state.conf.learners.iter().find(|id| has_caught_up(**id, engine))?;
    let node = *state.members.get(&replica)?;
    Some(Change { voters: vec![Member { replica, node }], ..Change::default() })
}
