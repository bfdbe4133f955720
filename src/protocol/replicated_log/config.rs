//! Settings of a replica, the same on all of a group where it says so.

use super::machine::Machine;
use crate::id::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The machines of a group, by the channel of their commands; the same on all
/// replicas.
pub type Machines = BTreeMap<Kind, Arc<dyn Fn() -> Box<dyn Machine> + Send + Sync>>;

/// How a replica runs.
#[derive(Clone)]
pub struct Config {
    /// What is replicated.
    pub machines: Machines,
    /// Length of a segment of the log: 16 MiB. Longer ones are made and removed
    /// less often.
    pub segment_bytes: u64,
    /// Bytes of applied entries after which a snapshot is made: 32 MiB. Twice as
    /// much is held in memory, for followers that lag; those that lag more get a
    /// snapshot.
    pub snapshot_bytes: u64,
    /// Unit of the engine's time: 25 ms. An election begins after 20 to 60 of
    /// them without a leader, and the leader is heard every 4.
    pub tick: Duration,
    /// Bytes of proposals that wait here before more are refused: 16 MiB.
    pub proposed_bytes_max: u64,
    /// Bytes delivered and not yet handled, at which applying waits: 8 MiB.
    pub unhandled_bytes_max: u64,
    /// Publishes [`LogApplied`](super::LogApplied) for every entry, for checkers.
    #[doc(hidden)]
    pub traced: bool,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            machines: Machines::new(),
            segment_bytes: 16 << 20,
            snapshot_bytes: 32 << 20,
            tick: Duration::from_millis(25),
            proposed_bytes_max: 16 << 20,
            unhandled_bytes_max: 8 << 20,
            traced: false,
            mutant: None,
        }
    }
}

impl Config {
    /// With a machine for commands on `channel`.
    #[must_use]
    pub fn machine(mut self, channel: Kind, make: impl Fn() -> Box<dyn Machine> + Send + Sync + 'static) -> Self {
        self.machines.insert(channel, Arc::new(make));
        self
    }
}

/// Bugs for the tests to catch.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// What rests on a sync leaves before it.
    SyncDropped,
    /// The vote is not written.
    VoteNotPersisted,
    /// A leader answers reads without asking a majority.
    LeaseRead,
    /// A proposal that comes again is done again.
    ApplyTwice,
    /// A leader acknowledges what it alone has.
    AckBeforeMajority,
    /// The log is truncated behind a snapshot that was not synced.
    SnapshotUnsynced,
    /// A disk operation that failed counts as done.
    FailedSyncIgnored,
    /// The term is forgotten with every life.
    TermForgotten,
}
