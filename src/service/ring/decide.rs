//! How the map decides what becomes of pushes, deletions and undoings: one
//! transaction each, and nothing else is a decision.
//!
//! ```text
//!   begin    {no ring/t/<push>}                        ring/t/<push> = intent
//!   commit   {ring/t/<push> as begun, ring/f/<name> as read}
//!                                                      ring/f/<name> = manifest, ring/o/<name> = what it was,
//!                                                      ring/t/<push> gone
//!   abort    {ring/t/<push> as begun}                  ring/t/<push> gone
//!   delete   {ring/f/<name> as read}                   ring/f/<name> = deleted until
//!   undo     {ring/f/<name>, ring/o/<name> as read}    each is what the other was
//!   expire   {as read}                                 gone
//! ```
//!
//! **Guarantee.** Of a commit and an abort of one push at most one is done, since
//! each takes the key away that both need; so staged bytes may be removed once an
//! abort is done, and never after a commit. Of two commits of one name, the later
//! is done only if it was made from what the earlier one wrote: versions rise one
//! by one, and none comes twice while anything is known of the file.
//!
//! A transaction that failed decided nothing: read again. One without an answer
//! may have been done: ask again with the same key of the log, which answers with
//! the first outcome.

use super::manifest::{FILES, Manifest, ManifestError, OLD, PushId, State};
use super::name::Name;
use super::text::Expected;
use crate::protocol::replicated_map::{Condition, Entry, Transaction};
use bytes::Bytes;

/// A manifest as it was read: what a transaction rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What it says.
    pub manifest: Manifest,
    /// The map's version of its key.
    pub written: u64,
}

/// What a file is, read at one index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// What stands under its name.
    pub now: Option<Seen>,
    /// What stood there before, while undo is open.
    pub before: Option<Seen>,
}

/// Why something is not even tried. Nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Conflict {
    /// There is no such file.
    #[error("file not found")]
    NotFound,
    /// A file is there, in this version, and another or none was expected.
    #[error("the file has version {0}")]
    Version(u64),
    /// There is nothing to go back to.
    #[error("nothing can be undone: the time for it is over, or there was nothing before")]
    NothingBefore,
}

impl Seen {
    /// Reads an entry behind `prefix`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(prefix: &[u8], entry: &Entry) -> Result<Self, ManifestError> {
        let manifest = Manifest::decode(prefix, &entry.key, &entry.value)?;
        Ok(Seen { manifest, written: entry.version })
    }
}

impl File {
    /// The keys that are read together.
    pub fn keys(name: &Name) -> [Bytes; 2] {
        [name.map_key(FILES).into(), name.map_key(OLD).into()]
    }

    /// Reads what the map answers for [`File::keys`].
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn read(entries: &[Option<Entry>]) -> Result<Self, ManifestError> {
        let seen = |at: usize, prefix| {
            let entry: Option<&Entry> = entries.get(at).and_then(Option::as_ref);
            entry.map(|entry| Seen::read(prefix, entry)).transpose()
        };
        Ok(File { now: seen(0, FILES)?, before: seen(1, OLD)? })
    }

    /// The manifest, if there is a file.
    pub fn live(&self) -> Option<&Manifest> {
        self.now.as_ref().map(|seen| &seen.manifest).filter(|manifest| manifest.state == State::Live)
    }

    /// The version that a push makes.
    ///
    /// # Errors
    /// Something else is there than is expected.
    pub fn next(&self, expected: Option<Expected>) -> Result<u64, Conflict> {
        let found = self.live().map(|manifest| manifest.version);
        match (expected, found) {
            (Some(Expected::Nothing), Some(found)) => return Err(Conflict::Version(found)),
            (Some(Expected::Version(wanted)), Some(found)) if wanted != found => return Err(Conflict::Version(found)),
            (Some(Expected::Version(_)), None) => return Err(Conflict::NotFound),
            _ => {}
        }
        let known = [&self.now, &self.before].into_iter().flatten().map(|seen| seen.manifest.version);
        Ok(known.max().unwrap_or(0) + 1)
    }

    /// The file stands as it was read.
    fn unchanged(&self, name: &Name, transaction: Transaction) -> Transaction {
        let [now, before] = File::keys(name);
        let as_read = |key: Bytes, seen: &Option<Seen>| match seen {
            Some(seen) => Condition::Version(key, seen.written),
            None => Condition::Absent(key),
        };
        transaction.when(as_read(now, &self.now)).when(as_read(before, &self.before))
    }

    /// Makes `manifest` the file; what it was can be brought back until then.
    /// `begun` is the version of the push's key.
    pub fn commit(&self, manifest: &Manifest, begun: u64, undo_until_ms: u64) -> Transaction {
        let push = Bytes::from(manifest.push.key());
        let transaction = Transaction::default().when(Condition::Version(push.clone(), begun)).delete(push);
        let transaction = self.unchanged(&manifest.name, transaction).put(manifest.key(FILES), manifest.encode());
        match self.live() {
            Some(old) => {
                let old = Manifest { state: State::Deleted { until_ms: undo_until_ms }, ..old.clone() };
                transaction.put(old.key(OLD), old.encode())
            }
            None => transaction,
        }
    }

    /// The file is there no more, and can be brought back until then.
    ///
    /// # Errors
    /// There is none.
    pub fn delete(&self, until_ms: u64) -> Result<(Manifest, Transaction), Conflict> {
        let live = self.live().ok_or(Conflict::NotFound)?;
        let version = self.next(None)?;
        let gone = Manifest { version, state: State::Deleted { until_ms }, ..live.clone() };
        let transaction = self.unchanged(&gone.name, Transaction::default());
        let transaction = transaction.put(gone.key(FILES), gone.encode());
        Ok((gone, transaction))
    }

    /// The file is again what it was before it was deleted or overwritten; what it
    /// is now can be brought back in turn.
    ///
    /// # Errors
    /// Nothing is known of what it was.
    pub fn undo(&self, now_ms: u64, until_ms: u64) -> Result<(Manifest, Transaction), Conflict> {
        let version = self.next(None)?;
        let open = |seen: &&Seen| matches!(seen.manifest.state, State::Deleted { until_ms } if now_ms < until_ms);
        let deleted = self.now.iter().find(open);
        let (back, away) = match (deleted, self.live()) {
            (Some(deleted), _) => (&deleted.manifest, None),
            (None, live) => (&self.before.iter().find(open).ok_or(Conflict::NothingBefore)?.manifest, live),
        };
        let back = Manifest { version, state: State::Live, ..back.clone() };
        let mut transaction = self.unchanged(&back.name, Transaction::default()).put(back.key(FILES), back.encode());
        if let Some(away) = away {
            let away = Manifest { state: State::Deleted { until_ms }, ..away.clone() };
            transaction = transaction.put(away.key(OLD), away.encode());
        }
        Ok((back, transaction))
    }

    /// Makes `manifest`, which a disk knows, the file again, where the map knows nothing
    /// as new. `None` if it does.
    pub fn restore(&self, manifest: &Manifest) -> Option<Transaction> {
        let known = [&self.now, &self.before].into_iter().flatten().map(|seen| seen.manifest.version).max();
        if manifest.state != State::Live || known.is_some_and(|known| known >= manifest.version) {
            return None;
        }
        let transaction = self.unchanged(&manifest.name, Transaction::default());
        Some(transaction.put(manifest.key(FILES), manifest.encode()))
    }

    /// What can be undone no more is gone from the map; its pushes' bytes may go
    /// once this is done. `None` if there is nothing of that kind.
    pub fn expire(&self, now_ms: u64) -> Option<(Vec<PushId>, Transaction)> {
        let over = |seen: &&Seen| matches!(seen.manifest.state, State::Deleted { until_ms } if until_ms <= now_ms);
        let (now, before) = (self.now.as_ref().filter(over), self.before.as_ref().filter(over));
        let name = &now.or(before)?.manifest.name;
        let mut transaction = self.unchanged(name, Transaction::default());
        let mut pushes = Vec::new();
        for (seen, prefix) in [(now, FILES), (before, OLD)] {
            if let Some(Seen { manifest, .. }) = seen {
                transaction = transaction.delete(manifest.key(prefix));
                pushes.push(manifest.push);
            }
        }
        Some((pushes, transaction))
    }
}

/// A push is under way. Its intent is a manifest whose sums are not known yet.
pub fn begin(intent: &Manifest) -> Transaction {
    let key = Bytes::from(intent.push.key());
    Transaction::default().when(Condition::Absent(key.clone())).put(key, intent.encode_whole())
}

/// The push will never be committed. *Only once this is done* may its staged bytes
/// go. `begun` is the version of the push's key.
pub fn abort(push: PushId, begun: u64) -> Transaction {
    let key = Bytes::from(push.key());
    Transaction::default().when(Condition::Version(key.clone(), begun)).delete(key)
}

#[cfg(test)]
mod tests;
