//! Keys to small values, on all voters, with multi-key compare-and-set: a machine
//! of the [replicated log](super::replicated_log).
//!
//! ```text
//!   commit(conditions, operations) -> one entry of the log -> all or nothing
//!   get, list                      -> linearizable, at least an index, or stale
//!   watch(prefix, after)           -> every change behind that index, without a gap
//! ```
//!
//! **Guarantee.** A transaction is one entry: its conditions are judged and its
//! operations done at one index, which is the version of what it wrote, on every
//! replica alike. Reads are linearizable unless less is asked for. What was
//! acknowledged is as durable as the log.
//!
//! **Watching.** The state at index N and every change after it: list, and watch
//! from the index of the first page. Each answer says through which index it tells
//! all; the next watch goes on there, on whatever node, across leaders, restarts
//! and snapshots. Where the changes are no longer held, [`Watched::Gone`] says so:
//! list again.
//!
//! **Bounds.** [`KEY_BYTES_MAX`], [`VALUE_BYTES_MAX`], [`OPERATIONS_MAX`], and a
//! memory budget, beyond which a transaction that would grow the map is refused and
//! changes nothing. The last [`HISTORY_MAX`] changes are held for watches.

mod command;
mod component;
mod table;

pub use command::{
    Change, Committed, Condition, Entry, KEY_BYTES_MAX, OPERATIONS_MAX, Operation, Page, Query, Refusal, Transaction,
    VALUE_BYTES_MAX, Watched,
};
pub use component::{CHANNEL, Call, Got, NAME, ReplicatedMap};
pub use table::{HISTORY_MAX, MEMORY_BYTES_MAX, Table};
