//! The machine: an ordered table, its newest changes, a hash of it all.

use super::command::{Change, Committed, Condition, Entry, Operation, Page, Query, Refusal, Transaction, Watched};
use crate::protocol::replicated_log::{At, Machine, Queried};
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Changes that are held for watches, at most; and bytes of them.
pub const HISTORY_MAX: usize = 8192;
const HISTORY_BYTES_MAX: usize = 8 << 20;
/// Bytes of keys and values, with 96 more for each; the same on all
/// replicas.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 96;
/// Most entries or changes of one answer, and about as many bytes.
const ANSWER_MAX: usize = 1000;
const ANSWER_BYTES: usize = 1 << 20;

#[derive(Clone, PartialEq)]
struct Held {
    value: Bytes,
    version: u64,
}

/// See the module.
pub struct Table {
    entries: BTreeMap<Bytes, Held>,
    bytes: usize,
    bytes_max: usize,
    hash: u64,
    history: VecDeque<Change>,
    history_bytes: usize,
    /// All changes behind this index are in the history.
    told_from: u64,
}

impl Default for Table {
    fn default() -> Self {
        Table::with_budget(MEMORY_BYTES_MAX)
    }
}

impl Table {
    /// An empty table that holds so many bytes.
    pub fn with_budget(bytes_max: usize) -> Self {
        Table {
            entries: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            hash: 0,
            history: VecDeque::new(),
            history_bytes: 0,
            told_from: 0,
        }
    }

    fn commit(&mut self, index: u64, command: &[u8]) -> Committed {
        let Ok(transaction) = postcard::from_bytes::<Transaction>(command) else {
            return Committed::Refused(Refusal::Unreadable);
        };
        if let Some(refusal) = transaction.refusal() {
            return Committed::Refused(refusal);
        }
        for (condition, wanted) in transaction.conditions.iter().enumerate() {
            if let Err(found) = self.holds(wanted) {
                return Committed::Failed { at: index, condition, found };
            }
        }
        // Counted as if nothing were replaced: a transaction near the budget may
        // be refused that would just fit, the same on all replicas.
        let grows = transaction.operations.iter().map(|operation| match operation {
            Operation::Put(key, value) => size(key, value),
            Operation::Delete(_) => 0,
        });
        let grows: usize = grows.sum();
        if grows > 0 && self.bytes + grows > self.bytes_max {
            return Committed::Refused(Refusal::Full);
        }
        for operation in transaction.operations {
            match operation {
                Operation::Put(key, value) => self.put(key, Some(Held { value, version: index }), index),
                Operation::Delete(key) => self.put(key, None, index),
            }
        }
        Committed::Done { version: index }
    }

    /// Whether a condition holds, else what is there.
    fn holds(&self, condition: &Condition) -> Result<(), Option<Entry>> {
        let (found, holds) = match condition {
            Condition::Absent(key) => (self.get(key), !self.entries.contains_key(key)),
            Condition::Version(key, version) => {
                (self.get(key), self.entries.get(key).is_some_and(|held| held.version == *version))
            }
            Condition::Value(key, value) => {
                (self.get(key), self.entries.get(key).is_some_and(|held| held.value == *value))
            }
            Condition::NoneWithPrefix(prefix) => {
                let first = self.behind(prefix, None).next();
                let holds = first.is_none();
                (first, holds)
            }
            Condition::NoneBetween(from, to) => {
                let first = if from < to { self.entries.range(from.clone()..to.clone()).next() } else { None };
                (first.map(entry), first.is_none())
            }
        };
        if holds { Ok(()) } else { Err(found) }
    }

    fn get(&self, key: &Bytes) -> Option<Entry> {
        self.entries.get(key).map(|held| entry((key, held)))
    }

    /// Entries with a prefix, behind a key.
    fn behind<'a>(&'a self, prefix: &'a Bytes, after: Option<&Bytes>) -> impl Iterator<Item = Entry> + 'a {
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(prefix.clone()),
        };
        self.entries.range((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix)).map(entry)
    }

    fn put(&mut self, key: Bytes, held: Option<Held>, index: u64) {
        let value = held.as_ref().map(|held| held.value.clone());
        if let Some(held) = &held {
            self.bytes += size(&key, &held.value);
            self.hash = self.hash.wrapping_add(hash(&key, held));
        }
        let before = match held {
            Some(held) => self.entries.insert(key.clone(), held),
            None => self.entries.remove(&key),
        };
        if let Some(before) = &before {
            self.bytes -= size(&key, &before.value);
            self.hash = self.hash.wrapping_sub(hash(&key, before));
        }
        if value.is_some() || before.is_some() {
            self.tell(Change { index, key, value });
        }
    }

    fn tell(&mut self, change: Change) {
        self.history_bytes += told_bytes(&change);
        self.history.push_back(change);
        while self.history.len() > HISTORY_MAX || self.history_bytes > HISTORY_BYTES_MAX {
            // those of one index go together: what is told is never a part of it
            let Some(index) = self.history.front().map(|change| change.index) else { break };
            while let Some(gone) = self.history.pop_front_if(|change| change.index == index) {
                self.history_bytes -= told_bytes(&gone);
            }
            self.told_from = index;
        }
    }

    fn list(&self, prefix: &Bytes, after: Option<&Bytes>, limit: u32) -> Page {
        let limit = (limit as usize).clamp(1, ANSWER_MAX);
        let (mut page, mut bytes) = (Page::default(), 0);
        for entry in self.behind(prefix, after) {
            if page.entries.len() == limit || bytes > ANSWER_BYTES {
                page.more = true;
                break;
            }
            bytes += entry.key.len() + entry.value.len();
            page.entries.push(entry);
        }
        page
    }

    fn watch(&self, applied: u64, prefix: &Bytes, after: u64, limit: u32) -> Option<Watched> {
        if after < self.told_from {
            return Some(Watched::Gone { oldest: applied });
        }
        let limit = (limit as usize).clamp(1, ANSWER_MAX);
        let (mut changes, mut bytes, mut through) = (Vec::<Change>::new(), 0, applied);
        let from = self.history.partition_point(|change| change.index <= after);
        for change in self.history.range(from..).filter(|change| change.key.starts_with(prefix)) {
            let last = changes.last().map_or(0, |last| last.index);
            if (changes.len() >= limit || bytes > ANSWER_BYTES) && change.index != last {
                through = last;
                break;
            }
            bytes += told_bytes(change);
            changes.push(change.clone());
        }
        (!changes.is_empty()).then_some(Watched::Changes { changes, through })
    }
}

fn entry((key, held): (&Bytes, &Held)) -> Entry {
    Entry { key: key.clone(), value: held.value.clone(), version: held.version }
}

fn size(key: &Bytes, value: &Bytes) -> usize {
    key.len() + value.len() + ENTRY_BYTES
}

fn told_bytes(change: &Change) -> usize {
    size(&change.key, change.value.as_ref().unwrap_or(&Bytes::new()))
}

/// A hash of one entry; those of all are summed, so that each change costs one.
fn hash(key: &[u8], held: &Held) -> u64 {
    let lengths = (key.len() as u64) << 32 | held.value.len() as u64;
    let bytes = key.iter().chain(&held.value[..]).copied();
    let seed = 0xcbf2_9ce4_8422_2325 ^ lengths ^ held.version.rotate_left(40);
    bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23))
}

fn encoded<T: Serialize>(value: &T) -> Bytes {
    // of plain values into memory: nothing in it can refuse
    postcard::to_stdvec(value).unwrap_or_default().into()
}

impl Machine for Table {
    fn apply(&mut self, at: At, command: &[u8]) -> Bytes {
        encoded(&self.commit(at.index, command))
    }

    fn query(&self, applied: u64, query: &[u8]) -> Queried {
        match postcard::from_bytes::<Query>(query) {
            Ok(Query::Get(keys)) => {
                let got: Vec<Option<Entry>> = keys.iter().take(ANSWER_MAX).map(|key| self.get(key)).collect();
                Queried::Now(encoded(&got))
            }
            Ok(Query::List { prefix, after, limit }) => {
                Queried::Now(encoded(&self.list(&prefix, after.as_ref(), limit)))
            }
            Ok(Query::Watch { prefix, after, limit }) => match self.watch(applied, &prefix, after, limit) {
                Some(watched) => Queried::Now(encoded(&watched)),
                None => Queried::NotYet,
            },
            Err(_) => Queried::Now(Bytes::new()),
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (key, held) in &self.entries {
            crate::codec::put_item(out, |out| crate::codec::put_head(out, &(key, &held.value, held.version)));
        }
    }

    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), String> {
        *self = Table { told_from: index, ..Table::with_budget(self.bytes_max) };
        let mut items = crate::codec::Items::new(snapshot);
        for (_, item) in items.by_ref() {
            let (key, value, version) =
                postcard::from_bytes::<(Bytes, Bytes, u64)>(item).map_err(|_| "an entry of the map does not decode")?;
            let held = Held { value, version };
            self.bytes += size(&key, &held.value);
            self.hash = self.hash.wrapping_add(hash(&key, &held));
            self.entries.insert(key, held);
        }
        if items.malformed() { Err("a snapshot of the map ends too early".into()) } else { Ok(()) }
    }

    fn hash(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests;
