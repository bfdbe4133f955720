//! The names of a component's files: those that are durable, and the changes
//! that no sync of a directory has made so yet. A name leads to a file's
//! number, so a file has its content whatever it is called.

use super::faults::{DiskFaults, Loss};
use super::file::spared;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};

/// A file's number, never used again.
pub(super) type Inode = u64;

/// A change of names on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    Create {
        name: String,
        inode: Inode,
    },
    Remove {
        name: String,
        inode: Inode,
    },
    /// `left`: whether the old name's directory was synced since, another than
    /// the new name's.
    Rename {
        from: String,
        to: String,
        inode: Inode,
        left: bool,
    },
}

impl Change {
    fn inode(&self) -> Inode {
        match self {
            Change::Create { inode, .. } | Change::Remove { inode, .. } | Change::Rename { inode, .. } => *inode,
        }
    }

    /// The names that it gives or takes.
    fn names(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Change::Create { name, .. } | Change::Remove { name, .. } => (name, None),
            Change::Rename { from, to, .. } => (from, Some(to)),
        };
        [Some(first), second].into_iter().flatten().map(String::as_str)
    }

    /// The directory whose sync makes it durable; for a renaming, that of the
    /// new name.
    fn directory(&self) -> &str {
        match self {
            Change::Create { name, .. } | Change::Remove { name, .. } | Change::Rename { to: name, .. } => parent(name),
        }
    }
}

/// Directories are durable as soon as they are made, and never removed.
#[derive(Clone, Default)]
pub(super) struct Names {
    directories: BTreeSet<String>,
    seen: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    unsynced: Vec<Change>,
}

impl Names {
    /// The file with this name.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, or `NotADirectory` where a file stands above it.
    pub(super) fn find(&self, name: &str) -> io::Result<Inode> {
        self.enter(parent(name))?;
        match self.seen.get(name) {
            Some(inode) => Ok(*inode),
            None if self.directories.contains(name) => Err(ErrorKind::IsADirectory.into()),
            None => Err(missing(name)),
        }
    }

    /// Makes what is missing above `name`.
    ///
    /// # Errors
    /// `NotADirectory` where a file stands above it, `IsADirectory` where it is
    /// one itself.
    pub(super) fn make_room(&mut self, name: &str) -> io::Result<()> {
        for (at, _) in name.match_indices('/') {
            let directory = &name[..at];
            if self.seen.contains_key(directory) {
                return Err(ErrorKind::NotADirectory.into());
            }
            if self.directories.insert(directory.to_owned()) {
                self.apply(parent(directory), Some(directory)); // whose sync makes the new one durable
            }
        }
        if self.directories.contains(name) { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) }
    }

    /// Gives a new file a name that has room.
    pub(super) fn create(&mut self, name: &str, inode: Inode) {
        self.seen.insert(name.to_owned(), inode);
        self.unsynced.push(Change::Create { name: name.to_owned(), inode });
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(inode) = self.seen.remove(name) {
            self.unsynced.push(Change::Remove { name: name.to_owned(), inode });
        }
    }

    /// # Errors
    /// See [`Names::find`] and [`Names::make_room`].
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        self.make_room(to)?;
        if from != to {
            self.seen.remove(from);
            self.seen.insert(to.to_owned(), inode);
            self.unsynced.push(Change::Rename { from: from.to_owned(), to: to.to_owned(), inode, left: false });
        }
        Ok(())
    }

    /// The files that stand directly in a directory.
    ///
    /// # Errors
    /// `NotADirectory`; one that is missing is empty.
    pub(super) fn list(&self, directory: &str) -> io::Result<Vec<(&str, Inode)>> {
        match self.enter(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entered => entered?,
        }
        let files = self.seen.iter().filter(|(name, _)| parent(name) == directory);
        Ok(files.map(|(name, inode)| (name.rsplit('/').next().unwrap_or(name), *inode)).collect())
    }

    /// Changes in this directory become durable.
    ///
    /// # Errors
    /// `NotFound` or `NotADirectory`.
    pub(super) fn sync(&mut self, directory: &str) -> io::Result<()> {
        self.enter(directory)?;
        self.apply(directory, None);
        Ok(())
    }

    /// Some changes in this directory become durable; the others never will,
    /// though they are seen.
    ///
    /// # Errors
    /// See [`Names::sync`].
    pub(super) fn fail_sync(&mut self, directory: &str, rng: &mut Rng) -> io::Result<()> {
        self.enter(directory)?;
        self.lose(|change| change.directory() == directory && rng.bool());
        self.apply(directory, None);
        Ok(())
    }

    /// What was not synced is gone, as far as `faults` have it.
    pub(super) fn crash(&mut self, faults: &DiskFaults, rng: &mut Rng, loss: &mut Loss) {
        let mut spared = spared(self.unsynced.len(), faults, rng).into_iter();
        loss.names += self.lose(|_| spared.next() == Some(false));
        self.unsynced.drain(..).for_each(|change| perform(&mut self.durable, &change));
        self.seen.clone_from(&self.durable);
    }

    /// Forgets changes, and the later ones of the same names; says how many.
    fn lose(&mut self, mut lost: impl FnMut(&Change) -> bool) -> u64 {
        let (before, mut names) = (self.unsynced.len(), BTreeSet::new());
        self.unsynced.retain(|change| {
            let lost = lost(change) || change.names().any(|name| names.contains(name));
            if lost {
                names.extend(change.names().map(str::to_owned));
            }
            !lost
        });
        (before - self.unsynced.len()) as u64
    }

    /// The files that have, or may have after a crash, a name.
    pub(super) fn in_use(&self) -> BTreeSet<Inode> {
        let named = self.seen.values().chain(self.durable.values()).copied();
        named.chain(self.unsynced.iter().map(Change::inode)).collect()
    }

    pub(super) fn seen(&self) -> impl Iterator<Item = Inode> {
        self.seen.values().copied()
    }

    fn enter(&self, directory: &str) -> io::Result<()> {
        let above = directory.match_indices('/').map(|(at, _)| &directory[..at]);
        for directory in above.chain([directory]).filter(|directory| !directory.is_empty()) {
            if self.seen.contains_key(directory) {
                return Err(ErrorKind::NotADirectory.into());
            }
            if !self.directories.contains(directory) {
                return Err(missing(directory));
            }
        }
        Ok(())
    }

    /// All changes in a directory happen, and the earlier ones of the same names:
    /// what takes a name that another file has left does not come before that.
    /// A renaming from one directory to another happens with the new name's;
    /// until the old one's is synced too, the old name may come back, unless
    /// it becomes the name of something else, as `taken` does.
    fn apply(&mut self, directory: &str, taken: Option<&str>) {
        let mut names: BTreeSet<String> = taken.map(str::to_owned).into_iter().collect();
        let mut waiting = Vec::new();
        let mut happening = Vec::new();
        for mut change in std::mem::take(&mut self.unsynced).into_iter().rev() {
            let needed = change.names().any(|name| names.contains(name));
            let here = change.directory() == directory;
            match &mut change {
                Change::Rename { from, to, inode, left: left @ false } if !needed && parent(from) != parent(to) => {
                    if here {
                        waiting.push(Change::Remove { name: from.clone(), inode: *inode });
                        names.insert(to.clone());
                        happening.push(Change::Create { name: to.clone(), inode: *inode });
                    } else {
                        *left = parent(from) == directory;
                        waiting.push(change);
                    }
                }
                _ if needed || here => {
                    names.extend(change.names().map(str::to_owned));
                    happening.push(change);
                }
                _ => waiting.push(change),
            }
        }
        happening.iter().rev().for_each(|change| perform(&mut self.durable, change));
        waiting.reverse();
        self.unsynced = waiting;
    }
}

/// One change, all or nothing. A name that meanwhile leads to another file is
/// left alone.
fn perform(names: &mut BTreeMap<String, Inode>, change: &Change) {
    match change {
        Change::Create { name, inode } => {
            names.insert(name.clone(), *inode);
        }
        Change::Remove { name, inode } => {
            if names.get(name) == Some(inode) {
                names.remove(name);
            }
        }
        Change::Rename { from, to, inode, .. } => {
            if names.get(from) == Some(inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
    }
}

/// The directory in which a name stands; the component's own is empty.
pub(super) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn missing(name: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("no file '{name}'"))
}
