//! What is replicated: a machine that applies commands in the log's order.

use bytes::Bytes;

/// Where a command stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// Its index: a cluster-wide version.
    pub index: u64,
    /// The term of the leader that took it.
    pub term: u64,
}

/// What a query comes to.
pub enum Queried {
    /// The answer.
    Now(Bytes),
    /// The answer is this work's, done on the pool while the log goes on. It has what
    /// it needs of the state as it was.
    Later(Box<dyn FnOnce() -> Bytes + Send>),
    /// There is no answer yet: asked again after each entry, until the asker's
    /// deadline (so a watch waits).
    NotYet,
}

/// See [`Machine::snapshot_later`].
pub type SnapshotWork = Box<dyn FnOnce(&mut Vec<u8>) + Send>;

/// A deterministic state machine: the same commands in the same order give the
/// same replies and the same [`Machine::hash`] on every replica. It runs inside
/// the log's component, one per channel, and is rebuilt from the newest snapshot
/// and the log for every life.
pub trait Machine: Send + 'static {
    /// Applies a command. Its reply goes to whoever proposed it; a command that
    /// cannot be done says so in the reply. Never panics on any bytes.
    fn apply(&mut self, at: At, command: &[u8]) -> Bytes;

    /// Answers from the state.
    fn query(&self, applied: u64, query: &[u8]) -> Queried;

    /// Appends the whole state.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// What appends the state as it is now, at any later time: for a large one, of
    /// which a copy that shares its parts is cheap. Without it the replica does
    /// nothing else while [`Machine::snapshot`] runs.
    fn snapshot_later(&self) -> Option<SnapshotWork> {
        None
    }

    /// Takes the state from a snapshot that stands at this index.
    ///
    /// # Errors
    /// The bytes are no snapshot of it.
    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), String>;

    /// A hash of the state, compared between replicas. Cheap: kept up by
    /// [`Machine::apply`].
    fn hash(&self) -> u64;
}
