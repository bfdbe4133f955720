//! Why something is not done, and what became of what was asked.

use super::query::{PatchError, QueryError};
use crate::error::CallError;
use crate::protocol::replicated_log::DONE_UNSEEN;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the store did not do what was asked. Nothing changed.
#[derive(Error, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The collection is not there.
    #[error("there is no collection '{0}': create it first")]
    NoCollection(String),
    /// A name that no collection or index can have.
    #[error("'{name}' is no name: {why}")]
    Name {
        /// As given, at most 80 characters.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The document is not there.
    #[error("there is no document '{id}' in '{collection}'")]
    NoDocument {
        /// Where.
        collection: String,
        /// Its id.
        id: String,
    },
    /// The document is there already.
    #[error("there is a document '{id}' already, at revision {revision}: replace, patch or upsert it")]
    Exists {
        /// Its id.
        id: String,
        /// Its revision.
        revision: u64,
    },
    /// The document has another revision than the one wanted.
    #[error("'{id}' is at revision {found}, not at {wanted}: read it again")]
    Revision {
        /// Its id.
        id: String,
        /// As wanted.
        wanted: u64,
        /// As it is.
        found: u64,
    },
    /// Another document holds these values in a unique index.
    #[error("'{holder}' holds {values} in the unique index '{index}' already")]
    Unique {
        /// The index.
        index: String,
        /// The document that holds them.
        holder: String,
        /// The values, as JSON.
        values: String,
    },
    /// The memory budget is used up.
    #[error("the store holds {held} of {budget} bytes, and this would be more: delete something, or raise the budget")]
    Full {
        /// Bytes that are held.
        held: u64,
        /// Bytes that may be held.
        budget: u64,
    },
    /// It is no document, or none that is taken.
    #[error("not a document that can be taken: {0}")]
    Document(String),
    /// A filter, sort, projection or patch that is none.
    #[error("{0}")]
    Query(String),
    /// The patch does not fit the document.
    #[error("the patch does not fit '{id}': {why}")]
    Patch {
        /// The document.
        id: String,
        /// Why.
        why: String,
    },
    /// More of something than is taken.
    #[error("{asked} {what}, at most {max} are taken: split it")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there would be.
        asked: u64,
        /// The bound.
        max: u64,
    },
    /// The index is not there.
    #[error("there is no index '{index}' on '{collection}'")]
    NoIndex {
        /// Where.
        collection: String,
        /// Its name.
        index: String,
    },
    /// There is another index or collection of that name, with other options.
    #[error("there is a '{0}' already, and it is another one: drop it first, or choose another name")]
    Differs(String),
    /// More documents would be examined than may be.
    #[error("more than {max} documents of '{collection}' would be examined: {mend}")]
    Scan {
        /// Where.
        collection: String,
        /// The bound.
        max: u64,
        /// What to do.
        mend: String,
    },
    /// The cursor's state is no longer held.
    #[error("the cursor has expired: its state, at index {at}, is no longer held here; begin anew without a cursor")]
    CursorExpired {
        /// Where it stood.
        at: u64,
    },
    /// The cursor belongs to another query, or is none.
    #[error("the cursor is not of this query ({0}): begin anew without a cursor")]
    CursorForeign(String),
    /// The command or question is of another program.
    #[error("it does not decode: are all nodes of one version?")]
    Unreadable,
}

impl Refusal {
    /// A short name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NoCollection(_) => "no_collection",
            Refusal::Name { .. } => "name",
            Refusal::NoDocument { .. } => "no_document",
            Refusal::Exists { .. } => "exists",
            Refusal::Revision { .. } => "revision",
            Refusal::Unique { .. } => "unique",
            Refusal::Full { .. } => "full",
            Refusal::Document(_) => "document",
            Refusal::Query(_) => "query",
            Refusal::Patch { .. } => "patch",
            Refusal::TooMany { .. } => "too_many",
            Refusal::NoIndex { .. } => "no_index",
            Refusal::Differs(_) => "differs",
            Refusal::Scan { .. } => "scan",
            Refusal::CursorExpired { .. } => "cursor_expired",
            Refusal::CursorForeign(_) => "cursor_foreign",
            Refusal::Unreadable => "unreadable",
        }
    }

    pub(super) fn patch(id: &str, error: &PatchError) -> Self {
        Refusal::Patch { id: id.to_string(), why: error.to_string() }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Refusal::Query(error.to_string())
    }
}

/// What is known of a state after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was done.
    Done,
    /// It was not done, and never will be.
    NotDone,
    /// It may have been done, or may still be.
    Unknown,
}

/// Why a call brought no result, and what that means for the state.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum DocumentError {
    /// The store judged it, and did not do it.
    #[error("not done: {why}")]
    Refused {
        /// At which index it was judged; 0 if it never came to the log.
        at: u64,
        /// Which write of a batch it is about, counted from 0.
        step: usize,
        /// Why.
        why: Refusal,
    },
    /// It never came to the log.
    #[error("not done: {0}")]
    NotDone(String),
    /// It was done, and what it came to is not known here.
    #[error("done, but its answer is lost ({0}): read, or ask for the outcome by its key")]
    Done(String),
    /// It may have been done, or may still be.
    #[error("it is unknown whether it is done ({0}): ask for the outcome by its key, or do it again with the same key")]
    Unknown(String),
}

impl DocumentError {
    /// A refusal before anything came to the log.
    pub fn refused(why: Refusal) -> Self {
        DocumentError::Refused { at: 0, step: 0, why }
    }

    /// What it says of the state.
    pub fn fate(&self) -> Fate {
        match self {
            DocumentError::Refused { .. } | DocumentError::NotDone(_) => Fate::NotDone,
            DocumentError::Done(_) => Fate::Done,
            DocumentError::Unknown(_) => Fate::Unknown,
        }
    }

    /// Why the store refused it, if it did.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            DocumentError::Refused { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl From<CallError> for DocumentError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(why) => DocumentError::NotDone(why),
            // what was under way when the node stopped may stand in the log
            CallError::Stopping => DocumentError::Unknown("the node stopped meanwhile".into()),
            CallError::TimedOut(within) => DocumentError::Unknown(format!("no answer within {within:?}")),
            CallError::Failed(why) if why == DONE_UNSEEN => {
                DocumentError::Done("a snapshot took the place of its entry".into())
            }
            CallError::Ended(why) | CallError::Failed(why) => DocumentError::Unknown(why),
        }
    }
}

impl From<Refusal> for DocumentError {
    fn from(why: Refusal) -> Self {
        DocumentError::refused(why)
    }
}

impl From<std::convert::Infallible> for Refusal {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
