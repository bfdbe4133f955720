//! The machine: collections, the newest changes, the group's time.

use super::collection::{Collection, mix};
use super::command::{
    COLLECTIONS_MAX, CollectionOptions, Command, Committed, Done, INDEXES_MAX, IndexSpec, Step, Write, Written,
};
use super::component::encoded;
use super::cursor::Pins;
use super::document::Document;
use super::history::{History, Told, What};
use super::index::Index;
use super::limits::{Limits, Mutant};
use super::plan::choose;
use super::query::{Filter, ID, Patch, Sort};
use super::question::{Answer, Question};
use super::refusal::Refusal;
use crate::protocol::replicated_log::{At, Machine, Queried, SnapshotWork};
use bytes::Bytes;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Documents that expire with one entry, at most.
const EXPIRED_MAX: usize = 1000;

pub(super) type Collections = BTreeMap<Arc<str>, Arc<Collection>>;

/// See the module.
#[derive(Default)]
pub struct Store {
    pub(super) limits: Limits,
    pub(super) collections: Collections,
    /// Bytes of all of them, as the budget counts.
    pub(super) bytes: u64,
    pub(super) history: History,
    /// Milliseconds for which the group has had a leader, as its leaders told.
    pub(super) clock: u64,
    /// Bytes written since this life began: the age of pins.
    pub(super) written: u64,
    /// Not of the replicated state. Cells, since asking pins: one thread has both.
    pub(super) pins: RefCell<Pins>,
}

/// What a command has changed so far, for it to be taken back.
#[derive(Default)]
struct Undo {
    collections: BTreeMap<Arc<str>, Arc<Collection>>,
    told: Vec<Told>,
}

type Judged<T> = Result<T, Refusal>;

impl Store {
    /// An empty one with these bounds.
    pub fn new(limits: Limits) -> Self {
        Store { limits, ..Store::default() }
    }

    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.limits.mutant == Some(mutant)
    }

    pub(super) fn recount(&mut self) {
        self.bytes = self.collections.values().map(|collection| collection.bytes).sum();
    }

    pub(super) fn collection(&self, name: &str) -> Judged<&Arc<Collection>> {
        self.collections.get(name).ok_or_else(|| Refusal::NoCollection(name.to_string()))
    }

    fn collection_mut(&mut self, name: &str) -> Judged<&mut Collection> {
        let found = self.collections.get_mut(name).ok_or_else(|| Refusal::NoCollection(name.to_string()))?;
        Ok(Arc::make_mut(found))
    }

    fn commit(&mut self, at: u64, command: &[u8]) -> Committed {
        let Ok(command) = postcard::from_bytes::<Command>(command) else {
            return Committed::Refused { step: 0, why: Refusal::Unreadable };
        };
        if let Err((step, why)) = command.check() {
            return Committed::Refused { step, why };
        }
        let changed = |result: Judged<bool>| match result {
            Ok(changed) => Committed::Done(Done::Changed(changed)),
            Err(why) => Committed::Refused { step: 0, why },
        };
        match command {
            Command::Write(steps) => self.write(at, steps),
            Command::CreateCollection(name, options) => changed(self.create_collection(at, name, options)),
            Command::DropCollection(name) => changed(Ok(self.drop_collection(at, &name))),
            Command::CreateIndex(collection, spec) => changed(self.create_index(at, &collection, spec)),
            Command::DropIndex(collection, name) => changed(self.drop_index(at, &collection, &name)),
            Command::Pass(milliseconds) => {
                self.clock = self.clock.saturating_add(milliseconds);
                self.expire(at);
                changed(Ok(self.collections.values().any(|collection| collection.is_building())))
            }
        }
    }

    // --- collections and indexes ---

    fn create_collection(&mut self, at: u64, name: String, options: CollectionOptions) -> Judged<bool> {
        if let Some(found) = self.collections.get(&*name) {
            return if found.options == options { Ok(false) } else { Err(Refusal::Differs(name)) };
        }
        let (asked, max) = (self.collections.len() as u64 + 1, COLLECTIONS_MAX as u64);
        if asked > max {
            return Err(Refusal::TooMany { what: "collections".into(), asked, max });
        }
        let name: Arc<str> = name.into();
        self.collections.insert(name.clone(), Arc::new(Collection::new(name, options, at)));
        Ok(true)
    }

    fn drop_collection(&mut self, at: u64, name: &str) -> bool {
        let Some(dropped) = self.collections.remove(name) else { return false };
        let told = Told { index: at, collection: dropped.name.clone(), what: What::Dropped };
        self.history.push(told, &self.limits);
        self.recount();
        true
    }

    fn create_index(&mut self, at: u64, collection: &str, spec: IndexSpec) -> Judged<bool> {
        let found = self.collection(collection)?;
        if let Some(index) = found.indexes.iter().find(|index| index.spec.name == spec.name) {
            return if *index.spec == spec { Ok(false) } else { Err(Refusal::Differs(spec.name)) };
        }
        let (asked, max) = (found.indexes.len() as u64 + 1, INDEXES_MAX as u64);
        if asked > max {
            return Err(Refusal::TooMany { what: "indexes of a collection".into(), asked, max });
        }
        let index = Index::new(spec)?;
        let collection = self.collection_mut(collection)?;
        collection.indexes.push(index);
        collection.indexes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        collection.changed = at;
        Ok(true)
    }

    fn drop_index(&mut self, at: u64, collection: &str, name: &str) -> Judged<bool> {
        if !self.collection(collection)?.indexes.iter().any(|index| index.spec.name == name) {
            return Ok(false);
        }
        let collection = self.collection_mut(collection)?;
        for index in collection.indexes.extract_if(.., |index| index.spec.name == name) {
            collection.bytes = collection.bytes.saturating_sub(index.bytes());
        }
        collection.changed = at;
        self.recount();
        Ok(true)
    }

    /// Takes documents into the first index that is not ready: some with each entry,
    /// so that none takes long.
    fn build(&mut self, at: u64) {
        if let Some(building) = self.collections.values_mut().find(|collection| collection.is_building()) {
            Arc::make_mut(building).build(at, self.limits.build_step);
            self.recount();
        }
    }

    fn expire(&mut self, at: u64) {
        let due: Vec<(Arc<str>, Vec<Arc<str>>)> = self
            .collections
            .iter()
            .map(|(name, collection)| (name.clone(), collection.due(self.clock, EXPIRED_MAX)))
            .filter(|(_, due)| !due.is_empty())
            .collect();
        let mut undo = Undo::default();
        for (name, ids) in due {
            for id in ids {
                // a deletion breaks no index and needs no room
                let _ = self.put(at, &name, &id, None, &mut undo);
            }
        }
        self.tell(undo.told);
    }

    fn tell(&mut self, told: Vec<Told>) {
        for told in told {
            self.history.push(told, &self.limits);
        }
    }

    // --- documents ---

    /// All writes, or none.
    fn write(&mut self, at: u64, steps: Vec<Step>) -> Committed {
        // what can fail in its midst is noted before it begins
        let parts = steps.len() > 1
            || steps.iter().any(|step| matches!(step.write, Write::PatchWhere(..) | Write::DeleteWhere(_)));
        let (mut undo, mut all) = (Undo::default(), Vec::with_capacity(steps.len()));
        for (number, Step { collection, write }) in steps.into_iter().enumerate() {
            if parts && let Some((name, state)) = self.collections.get_key_value(&*collection) {
                undo.collections.entry(name.clone()).or_insert_with(|| state.clone());
            }
            match self.write_one(at, &collection, write, &mut undo) {
                Ok(written) => all.push(written),
                Err(why) => {
                    if !self.has(Mutant::HalfBatch) {
                        self.collections.extend(undo.collections);
                        self.recount();
                    }
                    return Committed::Refused { step: number, why };
                }
            }
        }
        self.tell(undo.told);
        Committed::Done(Done::Written(all))
    }

    fn write_one(&mut self, at: u64, collection: &str, write: Write, undo: &mut Undo) -> Judged<Written> {
        let state = self.collection(collection)?;
        let missing = |id: &str| Refusal::NoDocument { collection: collection.to_string(), id: id.to_string() };
        let of = |document: &Document| document.id().ok_or_else(|| Refusal::Document(format!("it has no '{ID}'")));
        match write {
            Write::Insert(document) => {
                let id = of(&document)?;
                if let Some(held) = state.get(&id) {
                    return Err(Refusal::Exists { id, revision: held.revision });
                }
                self.put(at, collection, &id, Some(document), undo)
            }
            Write::Upsert(document) => {
                let id = of(&document)?;
                self.put(at, collection, &id, Some(document), undo)
            }
            Write::Replace(document, revision) => {
                let id = of(&document)?;
                let held = state.get(&id).ok_or_else(|| missing(&id))?;
                check_revision(&id, held.revision, revision)?;
                self.put(at, collection, &id, Some(document), undo)
            }
            Write::Patch { id, patch, revision, upsert } => {
                let before = match (state.get(&id), upsert && revision.is_none()) {
                    (Some(held), _) => {
                        check_revision(&id, held.revision, revision)?;
                        held.document.value()
                    }
                    (None, true) => json!({ ID: id }),
                    (None, false) => return Err(missing(&id)),
                };
                let document = patched(&id, &before, &patch)?;
                self.put(at, collection, &id, Some(document), undo)
            }
            Write::Delete(id, revision) => {
                match (state.get(&id), revision) {
                    (Some(held), _) => check_revision(&id, held.revision, revision)?,
                    (None, Some(_)) => return Err(missing(&id)),
                    (None, None) => return Ok(Written { id: Some(id), ..Written::default() }),
                }
                self.put(at, collection, &id, None, undo)
            }
            Write::PatchWhere(filter, patch) => {
                let ids = self.passing(collection, &filter)?;
                self.for_all(ids, |store, id| {
                    let before = store.collection(collection)?.get(id).ok_or_else(|| missing(id))?.document.value();
                    let document = patched(id, &before, &patch)?;
                    store.put(at, collection, id, Some(document), undo)
                })
            }
            Write::DeleteWhere(filter) => {
                let ids = self.passing(collection, &filter)?;
                self.for_all(ids, |store, id| store.put(at, collection, id, None, undo))
            }
        }
    }

    fn passing(&self, collection: &str, filter: &Filter) -> Judged<Vec<Arc<str>>> {
        choose(self.collection(collection)?, filter, &Sort::default()).ids(filter)
    }

    fn for_all(
        &mut self,
        ids: Vec<Arc<str>>,
        mut write: impl FnMut(&mut Self, &str) -> Judged<Written>,
    ) -> Judged<Written> {
        let mut sum = Written::default();
        for id in ids {
            let Written { matched, inserted, changed, deleted, .. } = write(self, &id)?;
            sum.matched += matched;
            sum.inserted += inserted;
            sum.changed += changed;
            sum.deleted += deleted;
        }
        Ok(sum)
    }

    /// Gives an id this document, or none; judged as a whole before anything is done.
    fn put(
        &mut self,
        at: u64,
        collection: &str,
        id: &str,
        document: Option<Document>,
        undo: &mut Undo,
    ) -> Judged<Written> {
        let state = self.collection(collection)?;
        let before = state.get(id).map(|held| (held.revision, held.document.clone()));
        let mut written = Written { id: Some(id.to_string()), ..Written::default() };
        match (&before, &document) {
            (None, None) => return Ok(written),
            (Some((revision, before)), Some(after)) if before == after => {
                return Ok(Written { revision: *revision, matched: 1, ..written });
            }
            (Some(_), Some(_)) => (written.matched, written.changed, written.revision) = (1, 1, at),
            (Some(_), None) => (written.matched, written.deleted) = (1, 1),
            (None, Some(_)) => (written.inserted, written.revision) = (1, at),
        }
        let patches = before.is_some() && document.is_some();
        let unindexed = patches && self.has(Mutant::IndexStale);
        let blind = self.has(Mutant::UniqueBlind);
        let mut prepared = state.prepare(id, document.clone(), blind)?;
        if unindexed {
            prepared.forget_indexes();
        }
        let (held, budget) = (self.bytes, self.limits.bytes_max);
        if prepared.takes > prepared.gives && held + prepared.takes - prepared.gives > budget {
            return Err(Refusal::Full { held, budget });
        }
        self.written += prepared.takes;
        self.bytes = (held + prepared.takes).saturating_sub(prepared.gives);
        let clock = self.clock;
        let state = self.collection_mut(collection)?;
        let (name, shared) = (state.name.clone(), prepared.id());
        state.perform(prepared, at, clock);
        let what = match document {
            Some(document) => What::Put(shared, document),
            None => What::Deleted(shared),
        };
        undo.told.push(Told { index: at, collection: name, what });
        Ok(written)
    }
}

fn check_revision(id: &str, found: u64, wanted: Option<u64>) -> Judged<()> {
    match wanted {
        Some(wanted) if wanted != found => Err(Refusal::Revision { id: id.to_string(), wanted, found }),
        _ => Ok(()),
    }
}

fn patched(id: &str, before: &serde_json::Value, patch: &Patch) -> Judged<Document> {
    let after = patch.apply(before).map_err(|error| Refusal::patch(id, &error))?;
    Document::new(&after)
}

impl Machine for Store {
    fn apply(&mut self, at: At, command: &[u8]) -> Bytes {
        let committed = self.commit(at.index, command);
        self.build(at.index);
        let (written, limits) = (self.written, self.limits);
        self.pins.get_mut().age(written, &limits);
        encoded(&committed)
    }

    fn query(&self, applied: u64, query: &[u8]) -> Queried {
        match postcard::from_bytes::<Question>(query) {
            Ok(question) => self.answer(applied, question),
            Err(_) => Queried::Now(encoded(&Answer::Refused(Refusal::Unreadable))),
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.image().write(out);
    }

    fn snapshot_later(&self) -> Option<SnapshotWork> {
        let image = self.image();
        Some(Box::new(move |out| image.write(out)))
    }

    fn restore(&mut self, _: u64, snapshot: &[u8]) -> Result<(), String> {
        *self = super::snapshot::read(self.limits, snapshot)?;
        Ok(())
    }

    fn hash(&self) -> u64 {
        self.collections.values().fold(self.clock, |all, collection| mix(all ^ collection.hash()))
    }
}
