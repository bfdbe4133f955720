//! One log for a group of voters: total-order, uniform, durable broadcast, and
//! machines that apply its commands.
//!
//! **Guarantee.** What is acknowledged is synced on a majority of the voters and
//! stands in one order that all replicas apply; it is never lost while a
//! majority of the disks keeps what it synced, whatever crashes, and however
//! often. No detector and no clock is needed for that; for progress a majority
//! must be up and in touch. Two voters stop writing when one of them is down.
//!
//! ```text
//!   propose -> proposals -> [leader] engine -> log on disk, peers -> committed
//!                  ^                                                   |
//!                  +--- outcome, at the proposer's own replica <- state +-> deliver
//! ```
//!
//! *Who calls whom.* A component (or the user) calls its own node's log. What it
//! proposes is numbered and sent to the leader, again and again until it comes
//! back in the log; the number makes that harmless. The outcome is computed where
//! it is wanted: by the proposer's own replica when it applies the entry. So there
//! is no answer that could be lost, and no forwarded call to wait for.
//!
//! *Done, not done, unknown.* What never had a number was never sent: at its
//! deadline it is refused, not done. What was sent and is not back is unknown
//! ([`CallError::TimedOut`](crate::error::CallError)): it may still be done. With
//! a key of the caller's own, [`Call::Outcome`] tells later, and proposing again
//! does it once.
//!
//! *Broadcast.* An entry for a channel that has no machine is a broadcast
//! ([`Delivery::Total`](crate::protocol::delivery::Delivery)): each replica hands
//! it to the component with that number. Within a life each is delivered once and
//! in the log's order; a life begins with the oldest entry that its disk holds
//! behind its newest snapshot, so what the last life delivered comes again, and
//! [`Skipped`] tells what is no longer held.
//!
//! *Members.* A group begins with the configured voters, all of them. Another node
//! joins it at run time: it links with all members
//! ([`PeerRole::Joiner`](crate::component::PeerRole), `transport/joiner` says how),
//! tells them its replica's id again and again, and the leader makes it a learner. A
//! snapshot and the log behind it bring it up to date, and then it votes, by joint
//! consensus, while fewer than [`VOTERS_MAX`] do; further ones learn, and one of
//! them votes when a voter is removed. Where members are is no part of the log: an
//! address may change without a majority, and has to be known before the log can
//! be read. Direct links to all rather than a relay: no joiner hangs on one sponsor.
//!
//! *Who votes in deliveries.* The nodes of the voters are published as each change of
//! them is applied ([`VoterList`](crate::protocol::membership::VoterList)), with the
//! entry's index as the list's version: the delivery ladder, membership and whoever
//! else counts majorities follow it. It is part of the state, and of snapshots.
//!
//! | file | what |
//! |---|---|
//! | `engine` `store` | consensus, behind what is needed of it |
//! | `wire` `members` `entry` | what travels |
//! | `record` `wal` `recovery` `snapshot` | what is on the disk |
//! | `machine` `state` | what is replicated |
//! | `component` `boot` `life` | a life of a replica |
//! | `peers` `asked` `replica` | what it hears |
//! | `pump` `rounds` `apply` `following` `elsewhere` | what it does |
//! | `proposals` `gathered` `reads` `transfer` `wishes` | what is asked of it |
//!
//! The traps of the engine, by number, are in the names of the tests.

mod apply;
mod asked;
mod boot;
mod component;
mod config;
mod elsewhere;
mod engine;
mod entry;
mod event;
mod following;
mod gathered;
mod life;
mod machine;
mod members;
mod message;
mod peers;
mod proposals;
mod pump;
mod reads;
mod record;
mod recovery;
mod replica;
mod rounds;
mod snapshot;
mod state;
mod store;
mod transfer;
mod wal;
mod wire;
mod wishes;

pub use component::{NAME, ReplicatedLog, Timer};
#[doc(hidden)]
pub use config::Mutant;
pub use config::{Config, Machines};
pub use entry::Key;
pub use event::{Diverged, LogApplied, LogLeader, LogVote, Skipped, SnapshotInstalled, TornTail, Unusable};
pub use machine::{At, Machine, Queried, SnapshotWork};
pub use members::Member;
pub use message::{Answer, Answered, Call, Done, Level, Message, Proposed, Status};
pub use state::{KEY_BYTES_MAX, KEYS_MAX};

/// What [`CallError::Refused`](crate::error::CallError) says of a query while a replica
/// reads its log, or too many wait.
pub const NOT_READY: &str = "not ready, or too many reads wait (nothing was read): ask again";
/// What [`CallError::Failed`](crate::error::CallError) says of a proposal that was
/// done, by a snapshot that took the place of its entry.
pub const DONE_UNSEEN: &str = "it was done, and its reply is not here: ask by its key, or read";
/// Most replicas of a group.
const MEMBERS_MAX: usize = 64;
/// Most voters of a group; further replicas learn.
pub const VOTERS_MAX: usize = 5;
/// Indexes and terms from here on are junk.
const INDEX_MAX: u64 = 1 << 60;
