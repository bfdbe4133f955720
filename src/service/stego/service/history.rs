//! The task history as one server knows it: a picture of the replicated map that a
//! watch keeps up, and the server's own transactions before the watch tells them.
//! Pure.

use super::task::{Assignment, TaskId};
use crate::id::NodeId;
use crate::time::Time;
use std::collections::BTreeMap;

/// What is known of a task, as of one index of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    /// None: not in the history any more.
    assignment: Option<Assignment>,
    version: u64,
    since: Time,
}

/// A task in the history.
#[derive(Copy, Clone, Debug)]
pub(super) struct Held<'a> {
    pub(super) assignment: &'a Assignment,
    /// The log's index that wrote it.
    pub(super) version: u64,
    /// Since when this server knows it so.
    pub(super) since: Time,
}

/// See the module.
#[derive(Default)]
pub(super) struct History {
    known: BTreeMap<TaskId, Known>,
    open: BTreeMap<NodeId, u32>,
    tasks: usize,
    /// All through this index is known; `None` before the first list.
    pub(super) through: Option<u64>,
}

impl History {
    /// The task, if it is open.
    pub(super) fn get(&self, task: &TaskId) -> Option<Held<'_>> {
        let Known { assignment, version, since } = self.known.get(task)?;
        assignment.as_ref().map(|assignment| Held { assignment, version: *version, since: *since })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TaskId, Held<'_>)> {
        self.known.iter().filter_map(|(task, known)| {
            let assignment = known.assignment.as_ref()?;
            Some((task, Held { assignment, version: known.version, since: known.since }))
        })
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.tasks
    }

    /// How many are open at one server.
    pub(super) fn open(&self, node: NodeId) -> u32 {
        self.open.get(&node).copied().unwrap_or(0)
    }

    /// It is so from this index on. Whether that is news.
    pub(super) fn set(&mut self, task: TaskId, assignment: Option<Assignment>, version: u64, now: Time) -> bool {
        let before = self.known.get(&task);
        if before.is_some_and(|before| before.version >= version) {
            return false;
        }
        if let Some(old) = before.and_then(|before| before.assignment.as_ref()) {
            self.tasks -= 1;
            if let Some(open) = self.open.get_mut(&old.server.node) {
                *open -= 1;
            }
        }
        if let Some(new) = &assignment {
            self.tasks += 1;
            *self.open.entry(new.server.node).or_insert(0) += 1;
        }
        // One that left is remembered until the watch is past it, so that what the
        // watch still has to tell of it is not news.
        self.known.insert(task, Known { assignment, version, since: now });
        true
    }

    /// All through this index was told.
    pub(super) fn told_through(&mut self, index: u64) {
        self.through = self.through.max(Some(index));
        self.known.retain(|_, known| known.assignment.is_some() || known.version > index);
    }

    /// Those that a list as of `applied` does not have, have left.
    pub(super) fn keep_listed(&mut self, listed: &std::collections::BTreeSet<TaskId>, applied: u64, now: Time) {
        let gone = self.iter().filter(|(task, held)| held.version < applied && !listed.contains(*task));
        let gone: Vec<TaskId> = gone.map(|(task, _)| task.clone()).collect();
        for task in gone {
            self.set(task, None, applied, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Life;
    use crate::protocol::election::Epoch;

    fn task(request: u64) -> TaskId {
        TaskId { client: "c".into(), request }
    }

    fn at(node: u64) -> Option<Assignment> {
        let server = Life::new(NodeId(node), 1);
        let epoch = Epoch { number: 1, leader: NodeId(1) };
        Some(Assignment { server, address: String::new(), epoch, attempt: 1, image: None })
    }

    #[test]
    fn what_the_watch_tells_late_is_no_news() {
        let (mut history, now) = (History::default(), Time::ZERO);
        assert!(history.set(task(1), at(2), 5, now), "the own transaction");
        assert!(!history.set(task(1), at(2), 5, now), "the watch");
        assert_eq!((history.len(), history.open(NodeId(2))), (1, 1));
        assert!(history.set(task(1), None, 9, now), "acknowledged here");
        assert!(!history.set(task(1), at(3), 7, now), "the watch, of what was in between");
        assert!(history.get(&task(1)).is_none());
        history.told_through(9);
        assert!(history.known.is_empty());
        assert_eq!((history.len(), history.open(NodeId(2)), history.open(NodeId(3))), (0, 0, 0));
    }

    #[test]
    fn a_list_removes_what_it_does_not_have() {
        let (mut history, now) = (History::default(), Time::ZERO);
        history.set(task(1), at(1), 3, now);
        history.set(task(2), at(1), 4, now);
        history.set(task(3), at(1), 8, now);
        history.keep_listed(&[task(2)].into(), 6, now);
        let left: Vec<u64> = history.iter().map(|(task, _)| task.request).collect();
        assert_eq!(left, [2, 3], "3 is newer than the list");
    }
}
