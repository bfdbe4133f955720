//! An index: keys of documents' values, in their order, and whose they are.
//!
//! A key is the joined encodings of the fields, and the id's bytes, so that equal
//! values stand side by side in the order of ids. It is built over the entries that
//! follow its creation, some documents with each, in the order of ids: those up to
//! the last one taken are kept up by writes meanwhile, those behind it are not yet.

use super::command::IndexSpec;
use super::query::{Path, encode_field};
use super::question::{IndexState, IndexStats};
use super::refusal::Refusal;
use super::tree::Tree;
use serde_json::Value;
use std::sync::Arc;

/// What an entry takes beside its key: the tree's place, two counters and handles.
const ENTRY_BYTES: u64 = 80;

/// See the module.
#[derive(Clone)]
pub(super) struct Index {
    pub(super) spec: Arc<IndexSpec>,
    pub(super) paths: Arc<[Path]>,
    pub(super) entries: Tree<Arc<[u8]>, Arc<str>>,
    pub(super) progress: Progress,
}

/// How far an index is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Progress {
    Ready,
    /// Documents through this id are in it; none yet.
    Building(Option<Arc<str>>),
    Failed {
        holders: (String, String),
        values: String,
    },
}

/// What an index has of a document: its values, and its key.
pub(super) struct Key {
    values: usize,
    bytes: Vec<u8>,
}

impl Index {
    pub(super) fn new(spec: IndexSpec) -> Result<Self, Refusal> {
        let paths = spec.paths()?.into();
        Ok(Index { spec: spec.into(), paths, entries: Tree::default(), progress: Progress::Building(None) })
    }

    /// Whether writes of this document concern it.
    pub(super) fn covers(&self, id: &str) -> bool {
        match &self.progress {
            Progress::Ready => true,
            Progress::Building(through) => through.as_ref().is_some_and(|through| id <= &**through),
            Progress::Failed { .. } => false,
        }
    }

    /// The document's key, if it is one that the index holds.
    pub(super) fn key(&self, id: &str, document: &Value) -> Option<Key> {
        if self.spec.sparse && self.paths.first().is_some_and(|path| path.get(document).is_none()) {
            return None;
        }
        let mut bytes = Vec::new();
        self.paths.iter().for_each(|path| encode_field(path.get(document), &mut bytes));
        let values = bytes.len();
        bytes.extend_from_slice(id.as_bytes());
        Some(Key { values, bytes })
    }

    /// Another document that holds the same values, where that is not to be.
    pub(super) fn holder(&self, id: &str, key: &Key) -> Option<&Arc<str>> {
        if !self.spec.unique {
            return None;
        }
        let values = &key.bytes[..key.values];
        // no values are the beginning of others
        let same = self.entries.from(|it| **it < *values).take_while(|(it, _)| it.starts_with(values));
        same.map(|(_, holder)| holder).find(|holder| &***holder != id)
    }

    pub(super) fn violation(&self, holder: &str, document: &Value) -> Refusal {
        let (index, holder) = (self.spec.name.clone(), holder.to_string());
        Refusal::Unique { index, holder, values: self.values(document) }
    }

    /// A document's values, for people.
    fn values(&self, document: &Value) -> String {
        let values: Vec<&Value> = self.paths.iter().map(|path| path.get(document).unwrap_or(&Value::Null)).collect();
        let text = serde_json::to_string(&values).unwrap_or_default();
        match text.char_indices().nth(200) {
            Some((at, _)) => format!("{}..", &text[..at]),
            None => text,
        }
    }

    pub(super) fn insert(&mut self, id: &Arc<str>, key: Key) {
        self.entries.insert(key.bytes.into(), id.clone());
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.entries.remove(|it| (**it).cmp(&key.bytes));
    }

    /// Takes the next document in while it is built; the bytes that it takes.
    pub(super) fn take(&mut self, id: &Arc<str>, document: &Value) -> u64 {
        let key = self.key(id, document);
        let holder = key.as_ref().and_then(|key| self.holder(id, key)).map(|it| it.to_string());
        if let Some(holder) = holder {
            self.progress = Progress::Failed { holders: (holder, id.to_string()), values: self.values(document) };
            return 0;
        }
        let bytes = key.as_ref().map_or(0, Key::size);
        if let Some(key) = key {
            self.insert(id, key);
        }
        self.progress = Progress::Building(Some(id.clone()));
        bytes
    }

    /// Bytes of all entries, as the budget counts them.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|(key, _)| key.len() as u64 + ENTRY_BYTES).sum()
    }

    pub(super) fn stats(&self) -> IndexStats {
        let entries = self.entries.len() as u64;
        let state = match &self.progress {
            Progress::Ready => IndexState::Ready,
            Progress::Building(_) => IndexState::Building(entries),
            Progress::Failed { holders, values } => {
                IndexState::Failed { holders: holders.clone(), values: values.clone() }
            }
        };
        IndexStats { spec: (*self.spec).clone(), entries, state }
    }
}

impl Key {
    /// What it takes in an index.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64 + ENTRY_BYTES
    }

    pub(super) fn is(&self, other: &Key) -> bool {
        self.bytes == other.bytes
    }
}
