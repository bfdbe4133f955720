//! Documents in collections, on all voters: a machine of the
//! [replicated log](crate::protocol::replicated_log).
//!
//! ```text
//!   insert, replace, patch, delete, a batch -> one entry of the log -> all or nothing
//!   get, find, count                        -> linearizable, at least an index, or stale
//!   watch(after)                            -> every change behind that index, without a gap
//! ```
//!
//! **Guarantee.** What is acknowledged is synced on a majority of the voters and is
//! never lost while a majority of the disks keeps what it synced; writes need a
//! majority up. A write, or a batch, is done at one index on every replica alike, or
//! not at all. Reads are linearizable unless less is asked for
//! ([`Level`](crate::protocol::replicated_log::Level)); each answer says its index.
//! Replicas compare a hash of their states, and one that differs stops.
//!
//! **Errors** say *done*, *not done* or *unknown* ([`DocumentError::fate`]). A write
//! with a key of the caller's can be asked about later ([`Call::Outcome`]), and asking
//! for it again does it once.
//!
//! **Watching.** The state at index N and every change after it: find, and watch from
//! the page's index, on whatever node, across leaders, restarts and snapshots.
//! [`Watched::Gone`] says where the changes are no longer held: find again.
//!
//! **Bounds.** [`DOCUMENT_BYTES_MAX`], [`STEPS_MAX`], [`BATCH_BYTES_MAX`],
//! [`COLLECTIONS_MAX`], [`INDEXES_MAX`], [`EXAMINED_DEFAULT`], and the memory budget
//! ([`Limits`]), beyond which a write that would need more is refused and changes
//! nothing. Times, of cursors and of what expires, are not the clock's: pins age by
//! what is written, documents by the time for which the group has had a leader.
//!
//! *As in the first version of this system*, by the names of its services:
//!
//! | service | here |
//! |---|---|
//! | CreateCollection | [`Command::CreateCollection`] |
//! | AddDocument | [`Write::Insert`] |
//! | DeleteDocument, exact match on given attributes | [`Write::DeleteWhere`] with [`query::Filter::exact`] |
//! | range parameters (a wish) | any [`query::Filter`] |
//! | ReadCollection | [`Question::Find`] |
//! | pagination (a wish) | [`Find::limit`], [`Page::cursor`] |
//! | DeleteCollection (a wish) | [`Command::DropCollection`] |
//! | UpdateInfo, syncing of joining nodes (a wish) | the replicated log, by itself |
//! | Stats | [`Question::Collections`], and the node's `stats` |
//! | Encrypt | another service, steganography |
//!
//! | file | what |
//! |---|---|
//! | [`query`] | filters, sorts, projections, patches, and the order of values |
//! | `document` `command` `question` `refusal` | what is stored, done, asked, refused |
//! | `tree` | an ordered map whose clones share what they have in common |
//! | `collection` `index` | documents of a collection, and keys of their values |
//! | `plan` `cursor` `answer` | which way a query goes; pages; answers |
//! | `history` | the newest changes, for watches |
//! | `store` `snapshot` `limits` | the machine, its bytes, its bounds |
//! | `component` | its face on a node |

mod answer;
mod collection;
mod command;
mod component;
mod cursor;
mod document;
mod history;
mod index;
mod limits;
mod plan;
pub mod query;
mod question;
mod refusal;
mod snapshot;
mod store;
mod tree;

pub use command::{
    COLLECTIONS_MAX, CollectionOptions, Command, Committed, Done, INDEX_FIELDS_MAX, INDEXES_MAX, IndexSpec,
    NAME_BYTES_MAX, STEPS_MAX, Step, Write, Written, check_name,
};
pub use component::{
    Answered, BATCH_BYTES_MAX, CHANNEL, Call, DocumentStore, Got, NAME, Read, Receipt, Remembered, Timer,
};
pub use document::{DOCUMENT_BYTES_MAX, Document, ID_BYTES_MAX};
pub use limits::Limits;
#[doc(hidden)]
pub use limits::Mutant;
pub use question::{
    ANSWER_MAX, Access, Answer, Change, Changed, Chores, CollectionStats, EXAMINED_DEFAULT, EXAMINED_MAX, Find, Found,
    IndexState, IndexStats, LIMIT_DEFAULT, Page, Plan, Question, Stats, Watch, Watched,
};
pub use refusal::{DocumentError, Fate, Refusal};
pub use store::Store;

#[cfg(test)]
mod tests;
