//! A collection: documents by id, their indexes, a hash of it all. A clone shares
//! what it has in common with the original.

use super::command::CollectionOptions;
use super::document::Document;
use super::index::{Index, Key, Progress};
use super::question::CollectionStats;
use super::refusal::Refusal;
use super::tree::Tree;
use serde_json::Value;
use std::sync::Arc;

/// What a document takes beside its text and its id: the tree's place, two counters
/// and handles, and what the allocator rounds up.
const DOCUMENT_BYTES: u64 = 144;

/// A document as it is held.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) revision: u64,
    /// The group's time, in milliseconds, when it was written.
    pub(super) written: u64,
    pub(super) document: Document,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Collection {
    pub(super) name: Arc<str>,
    pub(super) options: CollectionOptions,
    /// The index of the entry that made it.
    pub(super) created: u64,
    /// The index of the last entry that changed documents, or what indexes serve.
    pub(super) changed: u64,
    pub(super) documents: Tree<Arc<str>, Held>,
    /// By name.
    pub(super) indexes: Vec<Index>,
    /// Documents by the time at which they were written, where they expire.
    by_age: Tree<(u64, Arc<str>), ()>,
    pub(super) bytes: u64,
    hash: u64,
}

/// A change of one document, judged and not yet done.
pub(super) struct Prepared {
    id: Arc<str>,
    document: Option<Document>,
    /// For each index, by its place: what goes and what comes.
    keys: Vec<(usize, Option<Key>, Option<Key>)>,
    /// Bytes that it takes, and those that it gives back.
    pub(super) takes: u64,
    pub(super) gives: u64,
}

impl Prepared {
    pub(super) fn id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// A planted bug.
    pub(super) fn forget_indexes(&mut self) {
        self.keys.clear();
    }
}

impl Collection {
    pub(super) fn new(name: Arc<str>, options: CollectionOptions, at: u64) -> Self {
        Collection {
            name,
            options,
            created: at,
            changed: at,
            documents: Tree::default(),
            indexes: Vec::new(),
            by_age: Tree::default(),
            bytes: 0,
            hash: 0,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Held> {
        self.documents.get(|it| (**it).cmp(id)).map(|(_, held)| held)
    }

    fn shared_id(&self, id: &str) -> Arc<str> {
        self.documents.get(|it| (**it).cmp(id)).map_or_else(|| id.into(), |(it, _)| it.clone())
    }

    /// Judges a change of one document: `None` deletes it. (`blind` is planted: what
    /// others hold is not looked at.)
    pub(super) fn prepare(&self, id: &str, document: Option<Document>, blind: bool) -> Result<Prepared, Refusal> {
        let before = self.get(id);
        let mut prepared = Prepared {
            id: self.shared_id(id),
            takes: document.as_ref().map_or(0, |document| size(id, document)),
            gives: before.map_or(0, |held| size(id, &held.document)),
            keys: Vec::new(),
            document: None,
        };
        if self.indexes.iter().any(|index| index.covers(id)) {
            let old = before.map(|held| held.document.value());
            let new = document.as_ref().map(Document::value);
            for (at, index) in self.indexes.iter().enumerate().filter(|(_, index)| index.covers(id)) {
                let key = |value: &Option<Value>| value.as_ref().and_then(|value| index.key(id, value));
                let (goes, comes) = (key(&old), key(&new));
                if let (Some(goes), Some(comes)) = (&goes, &comes)
                    && goes.is(comes)
                {
                    continue;
                }
                if let (Some(comes), Some(new)) = (&comes, &new)
                    && !blind
                    && let Some(holder) = index.holder(id, comes)
                {
                    return Err(index.violation(holder, new));
                }
                prepared.takes += comes.as_ref().map_or(0, Key::size);
                prepared.gives += goes.as_ref().map_or(0, Key::size);
                prepared.keys.push((at, goes, comes));
            }
        }
        prepared.document = document;
        Ok(prepared)
    }

    /// Does what was judged.
    pub(super) fn perform(&mut self, prepared: Prepared, at: u64, clock: u64) {
        let Prepared { id, document, keys, takes, gives } = prepared;
        for (place, goes, comes) in keys {
            let Some(index) = self.indexes.get_mut(place) else { continue };
            if let Some(goes) = &goes {
                index.remove(goes);
            }
            if let Some(comes) = comes {
                index.insert(&id, comes);
            }
        }
        let before = match document {
            Some(document) => self.put(&id, Held { revision: at, written: clock, document }),
            None => self.documents.remove(|it| it.cmp(&id)),
        };
        if let Some(before) = before {
            self.hash = self.hash.wrapping_sub(hash(&id, &before));
            if self.options.expire_after_ms.is_some() {
                let now = self.get(&id).map(|held| held.written);
                if now != Some(before.written) {
                    self.by_age.remove(|(written, it)| (*written, it).cmp(&(before.written, &id)));
                }
            }
        }
        self.bytes = (self.bytes + takes).saturating_sub(gives);
        self.changed = at;
    }

    fn put(&mut self, id: &Arc<str>, held: Held) -> Option<Held> {
        self.hash = self.hash.wrapping_add(hash(id, &held));
        if self.options.expire_after_ms.is_some() {
            self.by_age.insert((held.written, id.clone()), ());
        }
        self.documents.insert(id.clone(), held)
    }

    /// Takes a document in from a snapshot.
    pub(super) fn restore(&mut self, id: Arc<str>, held: Held) {
        self.bytes += size(&id, &held.document);
        self.put(&id, held);
    }

    /// Ids of documents that are due at this time, at most so many.
    pub(super) fn due(&self, clock: u64, most: usize) -> Vec<Arc<str>> {
        let Some(after) = self.options.expire_after_ms else { return Vec::new() };
        let due = self.by_age.iter().take_while(|((written, _), ())| written.saturating_add(after) <= clock);
        due.take(most).map(|((_, id), ())| id.clone()).collect()
    }

    /// Builds the indexes that are not ready further, by so many documents; whether
    /// there was something to build.
    pub(super) fn build(&mut self, at: u64, step: usize) -> bool {
        let Collection { indexes, documents, bytes, changed, .. } = self;
        for index in indexes {
            let Progress::Building(through) = index.progress.clone() else { continue };
            let is_done = |id: &Arc<str>| through.as_ref().is_some_and(|through| id <= through);
            let mut next = documents.from(is_done);
            for (id, held) in next.by_ref().take(step) {
                *bytes += index.take(id, &held.document.value());
                if let Progress::Failed { .. } = index.progress {
                    break;
                }
            }
            match index.progress {
                Progress::Failed { .. } => {
                    *bytes = bytes.saturating_sub(index.bytes());
                    index.entries = Tree::default();
                    *changed = at;
                }
                _ if next.next().is_none() => {
                    index.progress = Progress::Ready;
                    *changed = at; // what is planned may differ from here on
                }
                _ => {}
            }
            return true;
        }
        false
    }

    pub(super) fn is_building(&self) -> bool {
        self.indexes.iter().any(|index| matches!(index.progress, Progress::Building(_)))
    }

    pub(super) fn stats(&self) -> CollectionStats {
        CollectionStats {
            name: self.name.to_string(),
            options: self.options.clone(),
            created: self.created,
            changed: self.changed,
            documents: self.documents.len() as u64,
            bytes: self.bytes,
            indexes: self.indexes.iter().map(Index::stats).collect(),
        }
    }

    /// A hash of what it holds.
    pub(super) fn hash(&self) -> u64 {
        let mut all = mix(self.hash ^ u64::from(crc32c::crc32c(self.name.as_bytes())) ^ self.created.rotate_left(32));
        for index in &self.indexes {
            let state = match &index.progress {
                Progress::Ready => 1,
                Progress::Building(_) => 2,
                Progress::Failed { .. } => 3,
            };
            let name = u64::from(crc32c::crc32c(index.spec.name.as_bytes()));
            all = mix(all ^ name ^ (index.entries.len() as u64).rotate_left(34) ^ (state << 60));
        }
        all
    }
}

fn size(id: &str, document: &Document) -> u64 {
    (id.len() + document.len()) as u64 + DOCUMENT_BYTES
}

/// A hash of one document; those of all are summed, so that each change costs one.
fn hash(id: &str, held: &Held) -> u64 {
    let name = crc32c::crc32c(id.as_bytes());
    let text = crc32c::crc32c_append(name, held.document.as_bytes());
    mix(u64::from(name) << 32 ^ u64::from(text) ^ mix(held.revision))
}

/// Spreads a value's bits (the finaliser of splitmix64).
pub(super) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
