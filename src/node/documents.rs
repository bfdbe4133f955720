//! The document store, for the user's threads.

use super::running::Running;
use crate::id::Kind;
use crate::protocol::replicated_log::{Key, Level};
use crate::service::documents::query::{Filter, Patch, Projection};
use crate::service::documents::{
    Answer, Answered, Call, CollectionOptions, Command, Document, DocumentError, Done, Find, Found, Got, IndexSpec,
    NAME, Page, Plan, Question, Read, Receipt, Refusal, Remembered, Stats, Step, Watch, Watched, Write, Written,
};
use std::any::Any;
use std::time::Duration;

/// The driver's deadline is this much later than the component's own, which says
/// more.
const GRACE: Duration = Duration::from_secs(6);
/// How long calls are tried unless it is said.
const WITHIN: Duration = Duration::from_secs(10);

/// The document store of a running node: see [`Running::documents`]. How long a
/// call is tried, how new a read is and which key a write has is set before it:
/// `documents.within(time).key(42).insert(..)`.
///
/// ```no_run
/// use nodewright::node::Node;
/// use nodewright::service::documents::{Find, query::Filter};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new("alpha", 0, 5).has_documents("data/alpha").start()?;
/// let documents = node.documents();
/// documents.create_collection("people")?;
/// let ada = documents.insert("people", &json!({"name": "Ada", "born": 1815}))?;
/// println!("{:?} is synced on {} nodes, at index {}", ada.value.id, ada.synced, ada.index);
/// let old = Filter::parse(&json!({"born": {"$lt": 1900}}))?;
/// for found in documents.find("people", Find::matching(old))?.value.documents {
///     println!("{} {}", found.revision, found.document);
/// }
/// node.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Documents {
    node: Running,
    within: Duration,
    level: Level,
    key: Option<Key>,
}

/// Writes of one entry of the log: all are done at one index, or none.
#[derive(Clone, Debug, Default)]
pub struct Batch(Vec<Step>);

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Batch::default()
    }

    /// With one more write.
    #[must_use]
    pub fn with(mut self, collection: impl Into<String>, write: Write) -> Self {
        self.0.push(Step { collection: collection.into(), write });
        self
    }

    /// Adds a write.
    pub fn push(&mut self, collection: impl Into<String>, write: Write) {
        self.0.push(Step { collection: collection.into(), write });
    }

    /// How many writes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Running {
    /// The document store, where the node has one ([`Node::has_documents`]); else
    /// its calls are refused.
    ///
    /// [`Node::has_documents`]: super::Node::has_documents
    pub fn documents(&self) -> Documents {
        Documents { node: self.clone(), within: WITHIN, level: Level::Linearizable, key: None }
    }
}

/// The answer that was asked for, else another one.
fn expected<T>(got: Got<Answer>, pick: impl FnOnce(Answer) -> Option<T>) -> Result<Got<T>, DocumentError> {
    let Got { applied, level, value } = got;
    let value = pick(value).ok_or_else(|| DocumentError::refused(Refusal::Unreadable))?;
    Ok(Got { applied, level, value })
}

impl Documents {
    /// With calls that are tried so long; 10 s unless it is said.
    #[must_use]
    pub fn within(&self, within: Duration) -> Self {
        Documents { within, ..self.clone() }
    }

    /// With reads of this level; linearizable unless it is said.
    #[must_use]
    pub fn level(&self, level: Level) -> Self {
        Documents { level, ..self.clone() }
    }

    /// With writes that have this key: the same key again, through whatever node,
    /// does it once and answers with the first outcome, as long as the log remembers
    /// it ([`KEYS_MAX`](crate::protocol::replicated_log::KEYS_MAX)). For one write.
    #[must_use]
    pub fn key(&self, key: Key) -> Self {
        Documents { key: Some(key), ..self.clone() }
    }

    fn call<T: 'static>(&self, call: impl Any + Send) -> Result<T, DocumentError> {
        let answer = self.node.handle().call(Kind::of(NAME), Box::new(call), self.within + GRACE)?;
        answer.downcast().map(|answer| *answer).map_err(|_| DocumentError::refused(Refusal::Unreadable))
    }

    /// Does a command.
    ///
    /// # Errors
    /// [`DocumentError::fate`] says what became of it.
    pub fn commit(&self, command: Command) -> Result<Receipt<Done>, DocumentError> {
        self.call::<Answered>(Call::Commit { command, key: self.key, within: self.within })?
    }

    /// Asks the store.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn ask(&self, question: Question) -> Result<Got<Answer>, DocumentError> {
        self.call::<Read>(Call::Ask { question, level: self.level, within: self.within })?
    }

    /// What became of the write with this key; `None` if none is remembered by now.
    ///
    /// # Errors
    /// [`DocumentError::Refused`] if it was refused; else nothing was learnt.
    pub fn outcome(&self, key: Key) -> Result<Option<Receipt<Done>>, DocumentError> {
        self.call::<Remembered>(Call::Outcome { key, within: self.within })?
    }

    // --- collections and indexes ---

    fn change(&self, command: Command) -> Result<Receipt<bool>, DocumentError> {
        let receipt = self.commit(command)?;
        Ok(receipt.map(|done| done == Done::Changed(true)))
    }

    /// Makes a collection; whether it is new.
    ///
    /// # Errors
    /// The name is none, or the collection is there with other options.
    pub fn create_collection(&self, name: impl Into<String>) -> Result<Receipt<bool>, DocumentError> {
        self.create_collection_with(name, CollectionOptions::default())
    }

    /// Makes a collection with options; whether it is new.
    ///
    /// # Errors
    /// As [`Documents::create_collection`].
    pub fn create_collection_with(
        &self,
        name: impl Into<String>,
        options: CollectionOptions,
    ) -> Result<Receipt<bool>, DocumentError> {
        self.change(Command::CreateCollection(name.into(), options))
    }

    /// Drops a collection with all it holds; whether it was there.
    ///
    /// # Errors
    /// [`DocumentError::fate`] says what became of it.
    pub fn drop_collection(&self, name: impl Into<String>) -> Result<Receipt<bool>, DocumentError> {
        self.change(Command::DropCollection(name.into()))
    }

    /// All collections and their indexes, in numbers.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn collections(&self) -> Result<Got<Stats>, DocumentError> {
        expected(self.ask(Question::Collections)?, |answer| match answer {
            Answer::Collections(stats) => Some(stats),
            _ => None,
        })
    }

    /// Makes an index; whether it is new. It serves once it is built
    /// ([`Documents::collections`] tells); a unique one keeps out what it knows of
    /// from now on.
    ///
    /// # Errors
    /// There is another of that name, or too many.
    pub fn create_index(
        &self,
        collection: impl Into<String>,
        index: IndexSpec,
    ) -> Result<Receipt<bool>, DocumentError> {
        self.change(Command::CreateIndex(collection.into(), index))
    }

    /// Drops an index; whether it was there.
    ///
    /// # Errors
    /// There is no such collection.
    pub fn drop_index(
        &self,
        collection: impl Into<String>,
        index: impl Into<String>,
    ) -> Result<Receipt<bool>, DocumentError> {
        self.change(Command::DropIndex(collection.into(), index.into()))
    }

    // --- writes ---

    /// Does a batch: all of it at one index, or nothing.
    ///
    /// # Errors
    /// [`DocumentError::Refused`] says which write was refused.
    pub fn batch(&self, batch: Batch) -> Result<Receipt<Vec<Written>>, DocumentError> {
        let receipt = self.commit(Command::Write(batch.0))?;
        Ok(receipt.map(|done| match done {
            Done::Written(written) => written,
            Done::Changed(_) => Vec::new(),
        }))
    }

    /// Does one write.
    ///
    /// # Errors
    /// [`DocumentError::fate`] says what became of it.
    pub fn write(&self, collection: impl Into<String>, write: Write) -> Result<Receipt<Written>, DocumentError> {
        let receipt = self.batch(Batch::new().with(collection, write))?;
        Ok(receipt.map(|mut written| written.pop().unwrap_or_default()))
    }

    /// A new document; one without `_id` gets one.
    ///
    /// # Errors
    /// It is no document, it is there already, or a unique index keeps it out.
    pub fn insert<D>(&self, collection: impl Into<String>, document: D) -> Result<Receipt<Written>, DocumentError>
    where
        D: TryInto<Document>,
        Refusal: From<D::Error>,
    {
        self.write(collection, Write::Insert(taken(document)?))
    }

    /// Takes the place of the document with its `_id`, at `revision` if one is given.
    ///
    /// # Errors
    /// It is not there, or at another revision.
    pub fn replace<D>(
        &self,
        collection: impl Into<String>,
        document: D,
        revision: Option<u64>,
    ) -> Result<Receipt<Written>, DocumentError>
    where
        D: TryInto<Document>,
        Refusal: From<D::Error>,
    {
        self.write(collection, Write::Replace(taken(document)?, revision))
    }

    /// Takes the place of the document with its `_id`, or is new.
    ///
    /// # Errors
    /// It is no document, or a unique index keeps it out.
    pub fn upsert<D>(&self, collection: impl Into<String>, document: D) -> Result<Receipt<Written>, DocumentError>
    where
        D: TryInto<Document>,
        Refusal: From<D::Error>,
    {
        self.write(collection, Write::Upsert(taken(document)?))
    }

    /// Changes a document, at `revision` if one is given.
    ///
    /// # Errors
    /// It is not there, or at another revision; the patch does not fit it.
    pub fn patch(
        &self,
        collection: impl Into<String>,
        id: impl Into<String>,
        patch: Patch,
        revision: Option<u64>,
    ) -> Result<Receipt<Written>, DocumentError> {
        self.write(collection, Write::Patch { id: id.into(), patch, revision, upsert: false })
    }

    /// Changes all documents that pass; [`Written::changed`] says how many.
    ///
    /// # Errors
    /// The patch does not fit one of them: then none is changed.
    pub fn patch_where(
        &self,
        collection: impl Into<String>,
        filter: Filter,
        patch: Patch,
    ) -> Result<Receipt<Written>, DocumentError> {
        self.write(collection, Write::PatchWhere(filter, patch))
    }

    /// Deletes a document, at `revision` if one is given; [`Written::deleted`] says
    /// whether it was there.
    ///
    /// # Errors
    /// It is at another revision.
    pub fn delete(
        &self,
        collection: impl Into<String>,
        id: impl Into<String>,
        revision: Option<u64>,
    ) -> Result<Receipt<Written>, DocumentError> {
        self.write(collection, Write::Delete(id.into(), revision))
    }

    /// Deletes all documents that pass; [`Written::deleted`] says how many.
    ///
    /// # Errors
    /// Too many would be examined: make an index.
    pub fn delete_where(
        &self,
        collection: impl Into<String>,
        filter: Filter,
    ) -> Result<Receipt<Written>, DocumentError> {
        self.write(collection, Write::DeleteWhere(filter))
    }

    // --- reads ---

    /// The document with this id.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn get(
        &self,
        collection: impl Into<String>,
        id: impl Into<String>,
    ) -> Result<Got<Option<Found>>, DocumentError> {
        let got = self.get_all(collection, vec![id.into()])?;
        Ok(got.map(|mut found| found.pop().flatten()))
    }

    /// The documents with these ids, in that order, at one index.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn get_all(
        &self,
        collection: impl Into<String>,
        ids: Vec<String>,
    ) -> Result<Got<Vec<Option<Found>>>, DocumentError> {
        let question = Question::Get { collection: collection.into(), ids, projection: Projection::default() };
        expected(self.ask(question)?, |answer| match answer {
            Answer::Documents(found) => Some(found),
            _ => None,
        })
    }

    /// A page of the documents that pass. The next page is
    /// [`Find::after`](Find::after) its cursor: all pages show one state.
    ///
    /// # Errors
    /// Nothing was read: the cursor has expired or is of another query, or too many
    /// documents would be examined.
    pub fn find(&self, collection: impl Into<String>, find: Find) -> Result<Got<Page>, DocumentError> {
        expected(self.ask(Question::Find(collection.into(), find))?, |answer| match answer {
            Answer::Page(page) => Some(page),
            _ => None,
        })
    }

    /// How many documents pass.
    ///
    /// # Errors
    /// Nothing was read: too many documents would be examined.
    pub fn count(&self, collection: impl Into<String>, filter: Filter) -> Result<Got<u64>, DocumentError> {
        expected(self.ask(Question::Count(collection.into(), Find::matching(filter)))?, |answer| match answer {
            Answer::Count(count) => Some(count),
            _ => None,
        })
    }

    /// How a query is gone about.
    ///
    /// # Errors
    /// Nothing was read: too many documents would be examined.
    pub fn explain(&self, collection: impl Into<String>, find: Find) -> Result<Got<Plan>, DocumentError> {
        expected(self.ask(Question::Explain(collection.into(), find))?, |answer| match answer {
            Answer::Plan(plan) => Some(plan),
            _ => None,
        })
    }

    /// Waits for changes behind an index, of one collection or all. Go on from
    /// where the answer says, through whatever node.
    ///
    /// # Errors
    /// [`DocumentError::Unknown`]: there was none in time.
    pub fn watch(&self, collection: Option<&str>, after: u64) -> Result<Got<Watched>, DocumentError> {
        let watch = Watch { collection: collection.map(str::to_string), after, limit: 1000 };
        expected(self.ask(Question::Watch(watch))?, |answer| match answer {
            Answer::Watched(watched) => Some(watched),
            _ => None,
        })
    }
}

fn taken<D>(document: D) -> Result<Document, DocumentError>
where
    D: TryInto<Document>,
    Refusal: From<D::Error>,
{
    document.try_into().map_err(|error| DocumentError::refused(error.into()))
}
