//! Requests that wait for an answer, in the order of their deadlines.

use crate::component::ReplyTo;
use crate::id::Life;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One request that waits.
pub(super) struct Pending {
    pub(super) to: Life,
    pub(super) name: Arc<str>,
    pub(super) reply_to: ReplyTo,
    pub(super) within: Duration,
    pub(super) deadline: Time,
}

/// All that wait. Ids are never used twice in a life, so a late answer finds
/// nothing.
#[derive(Default)]
pub(super) struct Asked {
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Time, u64)>,
    last_id: u64,
}

impl Asked {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Adds a request; its id.
    pub(super) fn add(&mut self, pending: Pending) -> u64 {
        self.last_id += 1;
        self.deadlines.insert((pending.deadline, self.last_id));
        self.pending.insert(self.last_id, pending);
        self.last_id
    }

    /// Takes the request `id` if it was asked of `from`.
    pub(super) fn take(&mut self, id: u64, from: Life) -> Option<Pending> {
        self.pending.get(&id).filter(|pending| pending.to == from)?;
        let pending = self.pending.remove(&id)?;
        self.deadlines.remove(&(pending.deadline, id));
        Some(pending)
    }

    /// Takes one request whose deadline has passed.
    pub(super) fn take_overdue(&mut self, now: Time) -> Option<Pending> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.pop_first();
        self.pending.remove(&id)
    }

    /// Takes all that were asked of `life`, in the order of asking.
    pub(super) fn take_all(&mut self, life: Life) -> Vec<Pending> {
        let ids: Vec<u64> = self.pending.iter().filter(|(_, pending)| pending.to == life).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.take(id, life)).collect()
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
