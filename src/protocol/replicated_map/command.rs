//! What is asked of the map and what it answers, as it stands in the log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Longest key, in bytes; none is empty.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Most conditions, and most operations, of one transaction.
pub const OPERATIONS_MAX: usize = 128;

/// What must hold for a transaction to be done.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The key is not there.
    Absent(Bytes),
    /// The key is there, last written at this index.
    Version(Bytes, u64),
    /// The key is there with this value.
    Value(Bytes, Bytes),
    /// No key begins so.
    NoneWithPrefix(Bytes),
    /// No key is in the range from the first to before the second.
    NoneBetween(Bytes, Bytes),
}

/// What a transaction does.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// The key has this value from now on.
    Put(Bytes, Bytes),
    /// The key is not there from now on; one that is not is no error.
    Delete(Bytes),
}

/// Conditions and operations, done at one index or not at all. Operations on
/// one key are done in their order.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Transaction {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// All are done.
    pub operations: Vec<Operation>,
}

impl Transaction {
    /// With one more condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// That also writes.
    #[must_use]
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.operations.push(Operation::Put(key.into(), value.into()));
        self
    }

    /// That also deletes.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.operations.push(Operation::Delete(key.into()));
        self
    }

    /// What is wrong with it by itself, whatever the map holds.
    pub fn refusal(&self) -> Option<Refusal> {
        let long = |bytes: &Bytes| bytes.is_empty() || bytes.len() > KEY_BYTES_MAX;
        if self.conditions.len() > OPERATIONS_MAX || self.operations.len() > OPERATIONS_MAX {
            return Some(Refusal::TooMany);
        }
        let keys = self.operations.iter().any(|operation| match operation {
            Operation::Put(key, _) | Operation::Delete(key) => long(key),
        });
        let conditions = self.conditions.iter().any(|condition| match condition {
            Condition::Absent(key) | Condition::Version(key, _) | Condition::Value(key, _) => long(key),
            Condition::NoneWithPrefix(prefix) => prefix.len() > KEY_BYTES_MAX,
            Condition::NoneBetween(from, to) => from.len() > KEY_BYTES_MAX || to.len() > KEY_BYTES_MAX,
        });
        let values = self.operations.iter().any(|operation| match operation {
            Operation::Put(_, value) => value.len() > VALUE_BYTES_MAX,
            Operation::Delete(_) => false,
        });
        match (keys || conditions, values) {
            (true, _) => Some(Refusal::Key),
            (_, true) => Some(Refusal::Value),
            _ => None,
        }
    }
}

/// Why a transaction was not even judged. Nothing changed.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A key is empty or longer than [`KEY_BYTES_MAX`].
    Key,
    /// A value is longer than [`VALUE_BYTES_MAX`].
    Value,
    /// More than [`OPERATIONS_MAX`] conditions or operations.
    TooMany,
    /// The map would be longer than its budget: delete something.
    Full,
    /// The command is of another program.
    Unreadable,
}

/// What a transaction came to.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Committed {
    /// Done: all that it wrote has this version.
    Done {
        /// The index.
        version: u64,
    },
    /// Not done: a condition did not hold.
    Failed {
        /// At which index.
        at: u64,
        /// The first that did not hold, counted from 0.
        condition: usize,
        /// What is there instead.
        found: Option<Entry>,
    },
    /// Not done.
    Refused(Refusal),
}

/// A key and what it holds.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The index at which it was written.
    pub version: u64,
}

/// What is asked of the state.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// These keys, at one index.
    Get(Vec<Bytes>),
    /// Keys that begin so, in their order, behind a key.
    List {
        /// How they begin; empty for all.
        prefix: Bytes,
        /// Only those behind this one.
        after: Option<Bytes>,
        /// At most so many.
        limit: u32,
    },
    /// Changes of keys that begin so.
    Watch {
        /// How they begin; empty for all.
        prefix: Bytes,
        /// Only those behind this index.
        after: u64,
        /// About so many at most; those of one index are never parted.
        limit: u32,
    },
}

/// A page of a list.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// In the order of keys.
    pub entries: Vec<Entry>,
    /// Whether more follow; the next page is behind the last key.
    pub more: bool,
}

/// A key was written or deleted.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The index of the transaction.
    pub index: u64,
    /// The key.
    pub key: Bytes,
    /// Its value, or `None` if it was deleted.
    pub value: Option<Bytes>,
}

/// What a watch hears.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Watched {
    /// Every change through an index, from which the next watch goes on.
    Changes {
        /// In the log's order.
        changes: Vec<Change>,
        /// All through here is told.
        through: u64,
    },
    /// The changes behind the index are no longer held: list again.
    Gone {
        /// The oldest index from which a watch may go on.
        oldest: u64,
    },
}
