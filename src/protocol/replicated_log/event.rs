//! What a replica tells its node.

use crate::event::Event;
use crate::id::NodeId;

/// Who leads, as far as this replica knows. Retained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLeader {
    /// The leader's node; `None` while there is none.
    pub node: Option<NodeId>,
    /// The term.
    pub term: u64,
}

impl Event for LogLeader {
    const NAME: &'static str = "log_leader";
    const RETAINED: bool = true;
}

/// This life does not deliver what stands up to this index: a snapshot took its
/// place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Last index that is not delivered.
    pub through: u64,
}

impl Event for Skipped {
    const NAME: &'static str = "log_skipped";
}

/// A leader's snapshot took the place of this replica's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotInstalled {
    /// Where it stands.
    pub index: u64,
}

impl Event for SnapshotInstalled {
    const NAME: &'static str = "log_snapshot_installed";
}

/// The last life's last batch was torn, and cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail;

impl Event for TornTail {
    const NAME: &'static str = "log_torn_tail";
}

/// This replica does not vote and does not serve. Retained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unusable {
    /// Why, and what to do.
    pub why: String,
}

impl Event for Unusable {
    const NAME: &'static str = "log_unusable";
    const RETAINED: bool = true;
}

/// This replica's state differs from the others' at one index: it stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diverged {
    /// The index.
    pub index: u64,
}

impl Event for Diverged {
    const NAME: &'static str = "log_diverged";
}

/// Term and vote are durable here; only where a checker asked for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogVote {
    /// The term.
    pub term: u64,
    /// The replica voted for, 0 for none.
    pub vote: u64,
}

impl Event for LogVote {
    const NAME: &'static str = "log_vote";
}

/// An entry was applied here; only where a checker asked for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogApplied {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// A checksum of its bytes.
    pub entry: u32,
    /// The state's hash after it.
    pub state: u64,
    /// The replica's term and commit index then.
    pub hard: (u64, u64),
}

impl Event for LogApplied {
    const NAME: &'static str = "log_applied";
}
