//! Documents in collections, on all voters: a machine of the
//! [replicated log](crate::protocol::replicated_log).
//!
//! ```text
//!   insert, replace, patch, delete, a batch -> one entry of the log -> all or nothing
//!   get, find, count                        -> linearizable, at least an index, or stale
//!   watch(after)                            -> every change behind that index, without a gap
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`query`] | filters, sorts, projections, patches, and the order of values |
//! | `document` `command` `question` `refusal` | what is stored, done, asked, refused |
//! | `store` | the machine |
//! | `component` | its face on a node |

mod command;
mod component;
mod document;
mod limits;
pub mod query;
mod question;
mod refusal;
mod store;

pub use command::{
    COLLECTIONS_MAX, CollectionOptions, Command, Committed, Done, INDEX_FIELDS_MAX, INDEXES_MAX, IndexSpec,
    NAME_BYTES_MAX, STEPS_MAX, Step, Write, Written, check_name,
};
pub use component::{
    Answered, BATCH_BYTES_MAX, CHANNEL, Call, DocumentStore, Got, NAME, Read, Receipt, Remembered, Timer,
};
pub use document::{DOCUMENT_BYTES_MAX, Document, ID_BYTES_MAX};
pub use limits::Limits;
pub use question::{
    ANSWER_MAX, Access, Answer, Change, Changed, Chores, CollectionStats, EXAMINED_DEFAULT, EXAMINED_MAX, Find, Found,
    IndexState, IndexStats, LIMIT_DEFAULT, Page, Plan, Question, Stats, Watch, Watched,
};
pub use refusal::{DocumentError, Fate, Refusal};
pub use store::Store;
