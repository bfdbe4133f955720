//! What is done to the store, as it stands in the log, and what comes of it.

use super::document::{Document, id_fault};
use super::query::{Filter, Patch};
use super::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Most writes of a batch.
pub const STEPS_MAX: usize = 10_000;
/// Longest name of a collection or an index, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most collections.
pub const COLLECTIONS_MAX: usize = 1_000;
/// Most indexes of a collection.
pub const INDEXES_MAX: usize = 32;
/// Most fields of an index.
pub const INDEX_FIELDS_MAX: usize = 8;

/// An entry of the log: done as a whole at one index, or not at all.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Command {
    /// Writes, in their order, each seeing those before it.
    Write(Vec<Step>),
    /// Makes a collection; one with the same options that is there is no error.
    CreateCollection(String, CollectionOptions),
    /// Drops a collection with all it holds; one that is not there is no error.
    DropCollection(String),
    /// Makes an index; the same that is there is no error. It is built over the
    /// entries that follow.
    CreateIndex(String, IndexSpec),
    /// Drops an index; one that is not there is no error.
    DropIndex(String, String),
    /// Time that has passed for the group, in milliseconds: what is due expires,
    /// and indexes are built further.
    Pass(u64),
}

/// A write of a batch.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Step {
    /// Where.
    pub collection: String,
    /// What.
    pub write: Write,
}

/// What is done to documents.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Write {
    /// A new document. One without an id gets one at the node that is asked.
    Insert(Document),
    /// Takes the place of the document with its id, at this revision if one is given.
    Replace(Document, Option<u64>),
    /// Takes the place of the document with its id, or is new.
    Upsert(Document),
    /// Changes the document with this id.
    Patch {
        /// The id.
        id: String,
        /// How.
        patch: Patch,
        /// Only at this revision.
        revision: Option<u64>,
        /// Where it is not there: patches a new document that has only the id.
        upsert: bool,
    },
    /// Changes all that pass.
    PatchWhere(Filter, Patch),
    /// Deletes the document with this id, at this revision if one is given; one that
    /// is not there is no error unless a revision is given.
    Delete(String, Option<u64>),
    /// Deletes all that pass.
    DeleteWhere(Filter),
}

/// How a collection is.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct CollectionOptions {
    /// A document goes so many milliseconds after it was last written, of the time
    /// that the group counts: the time during which it has a leader.
    #[serde(default)]
    pub expire_after_ms: Option<u64>,
}

/// An index over one or several fields.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct IndexSpec {
    /// Its name, unique in the collection.
    pub name: String,
    /// Paths of fields, the first orders first.
    pub fields: Vec<String>,
    /// No two documents have the same values. A field that is missing is a value
    /// too, unless the index is sparse.
    #[serde(default)]
    pub unique: bool,
    /// Documents without the first field are not in it.
    #[serde(default)]
    pub sparse: bool,
}

impl IndexSpec {
    /// An index over these fields, named by them: `age`, `city_age`.
    pub fn over<S: Into<String>>(fields: impl IntoIterator<Item = S>) -> Self {
        let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
        IndexSpec { name: fields.join("_"), fields, unique: false, sparse: false }
    }

    /// With this name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        IndexSpec { name: name.into(), ..self }
    }

    /// Of which no two documents have the same values.
    #[must_use]
    pub fn unique(self) -> Self {
        IndexSpec { unique: true, ..self }
    }

    /// Without those that lack the first field.
    #[must_use]
    pub fn sparse(self) -> Self {
        IndexSpec { sparse: true, ..self }
    }
}

/// What became of a command.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Committed {
    /// Done.
    Done(Done),
    /// Not done: nothing changed.
    Refused {
        /// Which write of a batch, counted from 0.
        step: usize,
        /// Why.
        why: Refusal,
    },
}

/// What was done.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// For each write of the batch.
    Written(Vec<Written>),
    /// Whether that made or dropped something, or it was so already.
    Changed(bool),
}

/// What a write came to.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// The document's id, where the write is about one.
    pub id: Option<String>,
    /// The document's revision now: the index at which it was last changed; 0 where
    /// the write is not about one, or it is gone.
    pub revision: u64,
    /// Documents that were there and meant.
    pub matched: u64,
    /// New ones.
    pub inserted: u64,
    /// Those that are different now. A write that changes nothing leaves the revision.
    pub changed: u64,
    /// Those that are gone.
    pub deleted: u64,
}

impl Command {
    /// What is wrong with it by itself, whatever the store holds, and with which
    /// write.
    ///
    /// # Errors
    /// The number of the write, and why.
    pub fn check(&self) -> Result<(), (usize, Refusal)> {
        let first = |result: Result<(), Refusal>| result.map_err(|why| (0, why));
        match self {
            Command::Write(steps) if steps.len() > STEPS_MAX => {
                let (what, asked, max) = ("writes in a batch".into(), steps.len() as u64, STEPS_MAX as u64);
                Err((STEPS_MAX, Refusal::TooMany { what, asked, max }))
            }
            Command::Write(steps) => {
                steps.iter().enumerate().try_for_each(|(at, step)| step.check().map_err(|why| (at, why)))
            }
            Command::CreateCollection(name, _) => first(check_name(name)),
            Command::CreateIndex(collection, spec) => {
                first(check_name(collection).and_then(|()| check_name(&spec.name)).and_then(|()| spec.check()))
            }
            Command::DropCollection(_) | Command::DropIndex(..) | Command::Pass(_) => Ok(()),
        }
    }
}

impl Step {
    fn check(&self) -> Result<(), Refusal> {
        match &self.write {
            Write::Patch { id, .. } | Write::Delete(id, _) => match id_fault(id) {
                Some(why) => Err(Refusal::Document(format!("the id {why}"))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl IndexSpec {
    fn check(&self) -> Result<(), Refusal> {
        let (asked, max) = (self.fields.len() as u64, INDEX_FIELDS_MAX as u64);
        if asked > max {
            return Err(Refusal::TooMany { what: "fields of an index".into(), asked, max });
        }
        if self.fields.is_empty() {
            return Err(Refusal::Query("an index has at least one field".into()));
        }
        self.paths().map(|_| ())
    }

    pub(super) fn paths(&self) -> Result<Vec<super::query::Path>, Refusal> {
        self.fields.iter().map(|field| field.parse().map_err(Refusal::from)).collect()
    }
}

/// Whether a collection or an index can have this name: letters, digits, and `_-.`
/// behind the first; at most [`NAME_BYTES_MAX`] bytes.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it is longer than 64 bytes"
    } else if name.starts_with(['-', '.', '_']) {
        "it begins with one of '_-.'"
    } else if !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
        "it has other characters than letters, digits and '_-.'"
    } else {
        return Ok(());
    };
    Err(Refusal::Name { name: name.chars().take(80).collect(), why: why.into() })
}
