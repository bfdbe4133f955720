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

/// A deterministic state machine: the same commands in the same order give the
/// same replies and the same [`Machine::hash`] on every replica. It runs inside
/// the log's component, one per channel, and is rebuilt from the newest snapshot
/// and the log for every life.
pub trait Machine: Send + 'static {
    /// Applies a command. Its reply goes to whoever proposed it; a command that
    /// cannot be done says so in the reply. Never panics on any bytes.
    fn apply(&mut self, at: At, command: &[u8]) -> Bytes;

    /// Answers from the state. `None`: there is no answer yet; asked again after
    /// each entry, until the asker's deadline (so a watch waits).
    fn query(&self, applied: u64, query: &[u8]) -> Option<Bytes>;

    /// Appends the whole state.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Takes the state from a snapshot that stands at this index.
    ///
    /// # Errors
    /// The bytes are no snapshot of it.
    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), String>;

    /// A hash of the state, compared between replicas. Cheap: kept up by
    /// [`Machine::apply`].
    fn hash(&self) -> u64;
}
