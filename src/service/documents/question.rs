//! What is asked of the store, and what it answers.

use super::command::{CollectionOptions, IndexSpec};
use super::document::Document;
use super::query::{Filter, Projection, Sort};
use super::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Documents of a page unless the query says otherwise.
pub const LIMIT_DEFAULT: u32 = 100;
/// Most documents, or changes, of one answer; and about as many bytes.
pub const ANSWER_MAX: usize = 1000;
pub(super) const ANSWER_BYTES: usize = 1 << 20;
/// Documents that a query or a write by filter examines at most, unless a query
/// asks for more.
pub const EXAMINED_DEFAULT: u64 = 100_000;
/// What a query may raise that to. What looks at many is answered on the pool
/// ([`Limits::examined_in_place`](super::Limits)), a write by filter holds all up.
pub const EXAMINED_MAX: u64 = 1_000_000;

/// A question; answered from the state at one index.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Question {
    /// The documents with these ids, in that order.
    Get {
        /// Where.
        collection: String,
        /// Their ids; at most [`ANSWER_MAX`].
        ids: Vec<String>,
        /// Which of their fields.
        projection: Projection,
    },
    /// A page of those that pass.
    Find(String, Find),
    /// How many pass.
    Count(String, Find),
    /// How [`Question::Find`] would go about it, and what it would examine: it does
    /// so, and shows no documents.
    Explain(String, Find),
    /// All collections and their indexes.
    Collections,
    /// Changes behind an index.
    Watch(Watch),
    /// Whether there is something to be done as time passes.
    Chores,
}

/// Which documents, in which order, how many.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default)]
pub struct Find {
    /// Which.
    pub filter: Filter,
    /// In which order; the id is the last tie-break.
    pub sort: Sort,
    /// Which of their fields.
    pub projection: Projection,
    /// At most so many a page, and at most [`ANSWER_MAX`].
    pub limit: u32,
    /// Goes on behind a page, in the state of the first one.
    pub cursor: Option<String>,
    /// Refused unless an index (or the id) narrows it.
    pub demand_index: bool,
    /// Refused once more documents than this were examined;
    /// [`EXAMINED_DEFAULT`] if not given, at most [`EXAMINED_MAX`].
    pub examined_max: Option<u64>,
}

impl Default for Find {
    fn default() -> Self {
        Find {
            filter: Filter::default(),
            sort: Sort::default(),
            projection: Projection::default(),
            limit: LIMIT_DEFAULT,
            cursor: None,
            demand_index: false,
            examined_max: None,
        }
    }
}

impl Find {
    /// All that pass this filter.
    pub fn matching(filter: Filter) -> Self {
        Find { filter, ..Find::default() }
    }

    /// In this order.
    #[must_use]
    pub fn sorted(self, sort: Sort) -> Self {
        Find { sort, ..self }
    }

    /// With these fields only.
    #[must_use]
    pub fn projected(self, projection: Projection) -> Self {
        Find { projection, ..self }
    }

    /// At most so many a page.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Find { limit, ..self }
    }

    /// Behind the page that had this cursor.
    #[must_use]
    pub fn after(self, cursor: impl Into<String>) -> Self {
        Find { cursor: Some(cursor.into()), ..self }
    }

    /// Only with an index.
    #[must_use]
    pub fn demanding_index(self) -> Self {
        Find { demand_index: true, ..self }
    }

    /// Examining at most so many documents.
    #[must_use]
    pub fn examining_at_most(self, documents: u64) -> Self {
        Find { examined_max: Some(documents), ..self }
    }
}

/// Changes behind an index.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Watch {
    /// Of which collection; `None` for all.
    pub collection: Option<String>,
    /// Behind this index.
    pub after: u64,
    /// About so many at most; those of one index are never parted.
    pub limit: u32,
}

/// What the store says.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Answer {
    /// To [`Question::Get`]; `None` where there is none.
    Documents(Vec<Option<Found>>),
    /// To [`Question::Find`].
    Page(Page),
    /// To [`Question::Count`].
    Count(u64),
    /// To [`Question::Explain`].
    Plan(Plan),
    /// To [`Question::Collections`].
    Collections(Stats),
    /// To [`Question::Watch`].
    Watched(Watched),
    /// To [`Question::Chores`].
    Chores(Chores),
    /// Nothing was read.
    Refused(Refusal),
}

/// A document as it was found.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// The index at which it was last changed.
    pub revision: u64,
    /// The document, or what the projection leaves of it.
    pub document: Document,
}

/// A page of what was found.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// In the order asked for.
    pub documents: Vec<Found>,
    /// The index of the state that all pages show.
    pub at: u64,
    /// Documents examined for it.
    pub examined: u64,
    /// For the next page; `None` where there is none.
    pub cursor: Option<String>,
}

/// How a query is gone about.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Which way.
    pub access: Access,
    /// Whether what it finds is sorted afterwards: then all that pass are looked at
    /// for every page.
    pub sorts: bool,
    /// Documents examined.
    pub examined: u64,
    /// Those that passed.
    pub matched: u64,
    /// Documents of the collection.
    pub documents: u64,
    /// Indexes that could not serve, and why.
    pub passed_over: Vec<(String, String)>,
}

/// Where a query looks.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// At one id, or some.
    Ids(u64),
    /// At a range of ids, in their order.
    IdRange,
    /// At ranges of an index.
    Index {
        /// Its name.
        name: String,
        /// How many of its fields narrow it.
        fields: u64,
        /// In how many ranges.
        ranges: u64,
    },
    /// At all documents.
    Scan,
}

/// The store, in numbers.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// By name.
    pub collections: Vec<CollectionStats>,
    /// Bytes held, as the budget counts them.
    pub bytes: u64,
    /// The budget.
    pub budget: u64,
    /// The group's time, in milliseconds.
    pub clock_ms: u64,
    /// All changes behind this index are held for watches.
    pub watch_from: u64,
    /// States that cursors are pinned to, on the node that answers.
    pub pins: u64,
}

/// A collection, in numbers.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct CollectionStats {
    /// Its name.
    pub name: String,
    /// How it is.
    pub options: CollectionOptions,
    /// The index at which it was made.
    pub created: u64,
    /// The index at which it was last changed.
    pub changed: u64,
    /// How many documents.
    pub documents: u64,
    /// Their bytes, as the budget counts them, with those of indexes.
    pub bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexStats>,
}

/// An index, in numbers.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct IndexStats {
    /// What it is over.
    pub spec: IndexSpec,
    /// Documents in it.
    pub entries: u64,
    /// How far it is.
    pub state: IndexState,
}

/// How far an index is.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum IndexState {
    /// It serves queries.
    Ready,
    /// So many documents are in it by now.
    Building(u64),
    /// Two documents have the same values: it serves nothing and stays out of the way.
    Failed {
        /// Their ids.
        holders: (String, String),
        /// The values, as JSON.
        values: String,
    },
}

/// A document was written or deleted.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The index of the command.
    pub index: u64,
    /// Where.
    pub collection: String,
    /// What.
    pub what: Changed,
}

/// What changed.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The document is new or different.
    Put(String, Document),
    /// The document is gone.
    Deleted(String),
    /// The collection is gone with all that it held.
    Dropped,
}

/// What a watch hears.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Watched {
    /// Every change through an index, from which the next watch goes on.
    Changes {
        /// In the log's order.
        changes: Vec<Change>,
        /// All through here is told.
        through: u64,
    },
    /// The changes behind the index are no longer held: read the state again, and
    /// watch from its index.
    Gone {
        /// The oldest index from which a watch may go on.
        oldest: u64,
    },
}

/// What is to be done as time passes.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chores {
    /// Indexes are being built.
    pub building: bool,
    /// Documents expire.
    pub expiring: bool,
}
