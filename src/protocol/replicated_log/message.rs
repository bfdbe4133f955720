//! What travels between replicas, and what may be asked of one.

use super::entry::Key;
use super::members::{Hello, Member};
use super::wire::WireMessage;
use super::wishes::Wish;
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Between two replicas.
///
/// ```text
///   Hello(replica, group)  ->  <-  Hello      on every new link
///   Propose(entry)         ->                 to the leader, until it is applied
///   Wish(join, remove ..)  ->                 to the leader, until it is so
///   Engine(..)             -><-               consensus
///   Hash(index, hash)      -><-               the same everywhere, or one stops
/// ```
#[derive(Serialize, Deserialize)]
pub struct Message(pub(super) Body);

#[derive(Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most of them are the large one, and each lives for one step")]
pub(super) enum Body {
    Hello(Hello),
    /// A message of the group's engine.
    Engine(u64, WireMessage),
    /// An entry for the group's leader; it is the body.
    Propose(u64),
    Wish(u64, Wish),
    Hash {
        group: u64,
        index: u64,
        hash: u64,
    },
}

/// What may be asked of a replica, on its own node.
#[derive(Debug)]
pub enum Call {
    /// Appends a command for the machine of a channel. Answered with
    /// [`Proposed`].
    Propose {
        /// The machine's channel.
        channel: Kind,
        /// The command; at most 1 MiB less its head.
        command: Bytes,
        /// The same key again does it once, by whatever node.
        key: Option<Key>,
        /// Until when it is tried.
        within: Duration,
    },
    /// What became of the proposal with this key. Answered with [`Answer`]: empty
    /// if no such outcome is remembered, else term and index, 8 bytes each, and
    /// the reply.
    Outcome {
        /// The key.
        key: Key,
        /// Until when.
        within: Duration,
    },
    /// Asks a machine. Answered with [`Answer`].
    Query {
        /// The machine's channel.
        channel: Kind,
        /// The query.
        query: Bytes,
        /// How new the state must be.
        level: Level,
        /// Until when.
        within: Duration,
    },
    /// Removes a node from the group, unless the voters that are left would not answer
    /// as a majority of themselves. It is its present replica that goes: one that takes
    /// part anew stays. Answered with `Result<(), CallError>`.
    Remove {
        /// The node.
        node: NodeId,
        /// Until when it is tried.
        within: Duration,
    },
    /// Lets another node lead. Answered with `Result<(), CallError>`.
    Transfer {
        /// The node.
        to: NodeId,
        /// Until when it is tried.
        within: Duration,
    },
    /// Answered with [`Status`].
    Status,
}

/// How new the state must be that answers a query.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Level {
    /// As new as anything acknowledged before the query: a round of a majority.
    #[default]
    Linearizable,
    /// What this replica has now.
    Stale,
    /// At least the state at this index: a session's own last write, say.
    AtLeast(u64),
}

/// A command that is done: durable on a majority, applied here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Term of the leader that took it.
    pub term: u64,
    /// Its place in the log; with a key that came again, the first one's.
    pub index: u64,
    /// On how many replicas it is synced at the least.
    pub synced: usize,
    /// The machine's reply.
    pub reply: Bytes,
}

/// Answer to [`Call::Propose`].
pub type Proposed = Result<Done, CallError>;

/// A query's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The index of the state that answered.
    pub applied: u64,
    /// The machine's reply.
    pub reply: Bytes,
}

/// Answer to [`Call::Query`] and [`Call::Outcome`].
pub type Answer = Result<Answered, CallError>;

/// A replica's own view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The id of its data directory.
    pub replica: u64,
    /// Whether it leads.
    pub leads: bool,
    /// The leader's node, if it is known.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// What it knows to be committed.
    pub commit: u64,
    /// What it has applied.
    pub applied: u64,
    /// Those that vote.
    pub voters: Vec<Member>,
    /// Those that learn.
    pub learners: Vec<Member>,
    /// A hash of the state at `applied`.
    pub hash: u64,
    /// Why it does not serve, if it does not.
    pub unusable: Option<String>,
}
