//! The state as bytes: items, each with its own length, after one that says the
//! format. Entries of indexes are not among them: they are made from the documents.

use super::collection::{Collection, Held};
use super::command::{CollectionOptions, IndexSpec};
use super::document::Document;
use super::history::{History, Told, What};
use super::index::{Index, Progress};
use super::limits::Limits;
use super::store::{Collections, Store};
use crate::codec::{Items, put_head, put_item};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Changes with what is written here; a newer one is refused by name.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
enum Item {
    Head {
        format: u32,
        clock: u64,
        history_from: u64,
    },
    Collection {
        name: String,
        options: CollectionOptions,
        created: u64,
        changed: u64,
    },
    /// Of the collection before it.
    Document {
        id: String,
        revision: u64,
        written: u64,
        document: Document,
    },
    /// Of the collection before it, behind its documents.
    Index {
        spec: IndexSpec,
        progress: Made,
    },
    Change {
        index: u64,
        collection: String,
        what: Kind,
    },
}

#[derive(Serialize, Deserialize)]
enum Made {
    Ready,
    Building(Option<String>),
    Failed { holders: (String, String), values: String },
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Put(String, Document),
    Deleted(String),
    Dropped,
}

/// What a snapshot is made of: it shares its parts with the state.
pub(super) struct Image {
    clock: u64,
    collections: Collections,
    history: History,
}

impl Store {
    /// The state as it is now.
    pub(super) fn image(&self) -> Image {
        Image { clock: self.clock, collections: self.collections.clone(), history: self.history.clone() }
    }
}

impl Image {
    /// Appends the state.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut put = |item: &Item| put_item(out, |out| put_head(out, item));
        put(&Item::Head { format: FORMAT, clock: self.clock, history_from: self.history.from });
        for collection in self.collections.values() {
            put(&Item::Collection {
                name: collection.name.to_string(),
                options: collection.options.clone(),
                created: collection.created,
                changed: collection.changed,
            });
            for (id, held) in collection.documents.iter() {
                let Held { revision, written, document } = held.clone();
                put(&Item::Document { id: id.to_string(), revision, written, document });
            }
            for index in &collection.indexes {
                let progress = match &index.progress {
                    Progress::Ready => Made::Ready,
                    Progress::Building(through) => Made::Building(through.as_ref().map(ToString::to_string)),
                    Progress::Failed { holders, values } => {
                        Made::Failed { holders: holders.clone(), values: values.clone() }
                    }
                };
                put(&Item::Index { spec: (*index.spec).clone(), progress });
            }
        }
        for Told { index, collection, what } in self.history.iter() {
            let what = match what {
                What::Put(id, document) => Kind::Put(id.to_string(), document.clone()),
                What::Deleted(id) => Kind::Deleted(id.to_string()),
                What::Dropped => Kind::Dropped,
            };
            put(&Item::Change { index: *index, collection: collection.to_string(), what });
        }
    }
}

/// The state in these bytes.
///
/// # Errors
/// They are none, or of a newer program.
pub(super) fn read(limits: Limits, snapshot: &[u8]) -> Result<Store, String> {
    let mut store = Store::new(limits);
    let mut open: Option<Collection> = None;
    let mut items = Items::new(snapshot);
    for (_, bytes) in items.by_ref() {
        match postcard::from_bytes::<Item>(bytes).map_err(|_| "an item of the documents does not decode")? {
            Item::Head { format, .. } if format > FORMAT => {
                return Err(format!("the documents are of format {format}, this program reads up to {FORMAT}"));
            }
            Item::Head { clock, history_from, .. } => {
                store.clock = clock;
                store.history.from = history_from;
            }
            Item::Collection { name, options, created, changed } => {
                keep(&mut store, open.take());
                let mut next = Collection::new(name.into(), options, created);
                next.changed = changed;
                open = Some(next);
            }
            Item::Document { id, revision, written, document } => {
                let collection = open.as_mut().ok_or("a document stands before its collection")?;
                collection.restore(id.into(), Held { revision, written, document });
            }
            Item::Index { spec, progress } => {
                let collection = open.as_mut().ok_or("an index stands before its collection")?;
                index(collection, spec, progress)?;
            }
            Item::Change { index, collection, what } => {
                keep(&mut store, open.take());
                let told = told(&store, index, collection, what);
                store.history.push(told, &limits);
            }
        }
    }
    keep(&mut store, open);
    store.recount();
    if items.malformed() { Err("a snapshot of the documents ends too early".into()) } else { Ok(store) }
}

fn keep(store: &mut Store, collection: Option<Collection>) {
    if let Some(collection) = collection {
        store.collections.insert(collection.name.clone(), Arc::new(collection));
    }
}

/// Makes an index as far as it was.
fn index(collection: &mut Collection, spec: IndexSpec, progress: Made) -> Result<(), String> {
    let mut index = Index::new(spec).map_err(|why| format!("an index of the documents is none: {why}"))?;
    let through = match progress {
        Made::Ready => None,
        Made::Building(None) => Some("".into()),
        Made::Building(Some(through)) => Some(through),
        Made::Failed { holders, values } => {
            index.progress = Progress::Failed { holders, values };
            collection.indexes.push(index);
            return Ok(());
        }
    };
    let is_in = |id: &str| through.as_ref().is_none_or(|through| id <= through.as_str());
    for (id, held) in collection.documents.iter().take_while(|(id, _)| is_in(id)) {
        collection.bytes += index.take(id, &held.document.value());
    }
    match (&index.progress, through) {
        (Progress::Failed { .. }, _) => return Err("a unique index of the documents is none".into()),
        (_, None) => index.progress = Progress::Ready,
        // the document that was taken last may be gone
        (_, Some(through)) => index.progress = Progress::Building((!through.is_empty()).then(|| through.into())),
    }
    collection.indexes.push(index);
    Ok(())
}

/// A change, sharing what the state holds.
fn told(store: &Store, index: u64, collection: String, what: Kind) -> Told {
    let state = store.collections.get(&*collection);
    let collection = state.map_or_else(|| collection.into(), |state| state.name.clone());
    let what = match what {
        Kind::Put(id, document) => {
            let held = state.and_then(|state| state.get(&id)).filter(|held| held.revision == index);
            What::Put(id.into(), held.map_or(document, |held| held.document.clone()))
        }
        Kind::Deleted(id) => What::Deleted(id.into()),
        Kind::Dropped => What::Dropped,
    };
    Told { index, collection, what }
}
