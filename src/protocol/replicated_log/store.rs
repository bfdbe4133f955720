//! What the engine reads while it runs: all in memory, since it reads at once
//! and disks answer later. Bounded by compaction behind each snapshot.

use super::snapshot::Meta;
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::storage::{GetEntriesContext, RaftState};
use raft::{Error, Result, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// Entries behind the compaction point, and the newest snapshot's place.
pub(super) struct Store {
    hard: HardState,
    /// The entry before the first: its index and term.
    base: (u64, u64),
    entries: VecDeque<Entry>,
    bytes: u64,
    newest: Meta,
    /// A replica needs a snapshot that has it among the members.
    wanted: Cell<bool>,
}

impl Store {
    /// As recovered: `entries` follow `base`.
    pub(super) fn new(hard: HardState, newest: Meta, base: (u64, u64), entries: Vec<Entry>) -> Self {
        let bytes = entries.iter().map(size).sum();
        Store { hard, base, entries: entries.into(), bytes, newest, wanted: Cell::new(false) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn last(&self) -> u64 {
        self.base.0 + self.entries.len() as u64
    }

    /// Whether a newer snapshot was asked for.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.wanted.take()
    }

    /// Appends; what stood at the first one's place and behind it goes.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = first.index.saturating_sub(self.base.0 + 1) as usize;
        for gone in self.entries.drain(keep.min(self.entries.len())..) {
            self.bytes -= size(&gone);
        }
        self.bytes += entries.iter().map(size).sum::<u64>();
        self.entries.extend(entries.iter().cloned());
    }

    pub(super) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    /// A snapshot of the own state is durable: it can be sent, and what stands
    /// up to `index` goes.
    pub(super) fn compact(&mut self, newest: Meta, index: u64) {
        if let Ok(term) = self.term(index) {
            while self.base.0 < index {
                let Some(gone) = self.entries.pop_front() else { break };
                self.bytes -= size(&gone);
                self.base.0 += 1;
            }
            self.base.1 = term;
        }
        self.newest = newest;
    }

    /// A leader's snapshot takes the place of everything.
    pub(super) fn install(&mut self, meta: &Meta) {
        self.base = (meta.index, meta.term);
        self.entries.clear();
        self.bytes = 0;
        self.newest = meta.clone();
    }
}

fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + 64) as u64
}

impl Storage for Store {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState { hard_state: self.hard.clone(), conf_state: self.newest.conf.to_raft() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.base.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let range = (low - self.base.0 - 1) as usize..(high - self.base.0 - 1) as usize;
        let (mut left, mut taken) = (max_size.into().unwrap_or(u64::MAX), Vec::new());
        for entry in self.entries.range(range) {
            if !taken.is_empty() && size(entry) > left {
                break;
            }
            left = left.saturating_sub(size(entry));
            taken.push(entry.clone());
        }
        Ok(taken)
    }

    fn term(&self, index: u64) -> Result<u64> {
        match index.checked_sub(self.base.0) {
            None => Err(Error::Store(StorageError::Compacted)),
            Some(0) => Ok(self.base.1),
            Some(n) => {
                self.entries.get(n as usize - 1).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
            }
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    /// Where the newest snapshot stands; its data goes as a stream. One at
    /// index zero, on which the engine would panic, there is not; one from before
    /// its receiver was a member would be ignored there.
    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        let knows = self.newest.conf.has(to);
        self.wanted.set(self.wanted.get() || !knows);
        if self.newest.index == 0 || self.newest.index < request_index || !knows {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.newest.to_raft())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::replicated_log::engine::normal;
    use crate::protocol::replicated_log::snapshot::Conf;

    fn store(entries: u64) -> Store {
        let conf = Conf { voters: vec![1, 2], ..Conf::default() };
        let entries = (2..2 + entries).map(|index| normal(1, index, b"some bytes").to_raft()).collect();
        Store::new(HardState::default(), Meta { index: 1, term: 1, conf }, (1, 1), entries)
    }

    fn all(store: &Store, low: u64, high: u64) -> Result<Vec<u64>> {
        let entries = store.entries(low, high, None, GetEntriesContext::empty(false))?;
        Ok(entries.iter().map(|entry| entry.index).collect())
    }

    #[test]
    fn trap_11_what_is_compacted_is_not_read_but_had_from_a_snapshot() {
        let mut store = store(10);
        let before = store.bytes();
        store.compact(Meta { index: 9, ..store.newest.clone() }, 6);
        assert!(store.bytes() < before, "bounded");
        assert_eq!((store.first_index(), store.last_index()), (Ok(7), Ok(11)));
        assert_eq!(all(&store, 7, 12), Ok(vec![7, 8, 9, 10, 11]));
        assert_eq!(all(&store, 6, 12), Err(Error::Store(StorageError::Compacted)));
        assert_eq!(store.snapshot(0, 2).map(|it| it.get_metadata().index), Ok(9));
        assert!(!store.wants_snapshot());
        assert!(store.snapshot(0, 3).is_err() && store.wants_snapshot(), "one that does not know its receiver");
    }

    #[test]
    fn a_conflict_takes_the_place_of_what_stood_there() {
        let mut store = store(5);
        store.append(&[normal(2, 4, b"other").to_raft()]);
        assert_eq!((store.last(), store.term(4), store.term(3)), (4, Ok(2), Ok(1)));
        assert!(store.term(5).is_err());
    }
}
