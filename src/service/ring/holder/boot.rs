//! A life begins: what is in the directory, and what of it is a part.
//!
//! ```text
//!   read parts.log -> list the five directories -> finish moves -> parts.log anew
//! ```
//!
//! A crash leaves each rename done or not done. Where the push stands in a file's
//! name that says where the part is. Where the name is the file's own
//! (`content/`, `backup/`) it belongs to the one content that is nowhere else, and
//! of several to the newest: what made way for it was made durable before.
//!
//! The log is replaced as a whole: its torn tail goes, and what a failed sync left
//! in memory is written once more, to another file.

use super::super::parts_log::{PartId, Place, Scanner};
use super::shelf::{BACKUP, CONTENT, LOG, OLD, Part, QUARANTINE, STAGE, Scanned, Shelf, file};
use crate::component::{DiskDone, DiskOp};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Reads the directory.
pub(super) struct Boot {
    scanner: Scanner,
    offset: u64,
    shelf: Shelf,
    scanned: Scanned,
    listing: VecDeque<&'static str>,
    files: BTreeMap<String, u64>,
    /// Where parts that are lost should lie: what is there instead is looked at.
    probing: VecDeque<(PartId, String)>,
    booted: Option<Box<Booted>>,
}

/// What comes next.
pub(super) enum Step {
    Ask(DiskOp),
    Done(Box<Booted>),
}

/// A directory that was read.
pub(super) struct Booted {
    pub(super) shelf: Shelf,
    pub(super) scanned: Scanned,
    /// Parts that the log knows and the disk has not.
    pub(super) lost: Vec<(PartId, Part)>,
    /// Parts in whose place something lies that is no file.
    pub(super) blocked: std::collections::BTreeSet<PartId>,
    /// Pushes of which they are, that are files.
    places: std::collections::BTreeSet<super::super::manifest::PushId>,
    /// What has to be done before anything is answered.
    pub(super) ops: Vec<DiskOp>,
}

impl Boot {
    pub(super) fn begin() -> (Self, DiskOp) {
        let boot = Boot {
            scanner: Scanner::default(),
            offset: 0,
            shelf: Shelf::default(),
            scanned: Scanned::default(),
            listing: [STAGE, CONTENT, BACKUP, OLD, QUARANTINE].into(),
            files: BTreeMap::new(),
            probing: VecDeque::new(),
            booted: None,
        };
        let first = boot.read();
        (boot, first)
    }

    fn read(&self) -> DiskOp {
        DiskOp::Read { name: LOG.into(), offset: self.offset, bytes: DiskOp::READ_BYTES_MAX }
    }

    /// An operation is done.
    ///
    /// # Errors
    /// The disk's, but that a new directory has no log.
    pub(super) fn done(&mut self, result: io::Result<DiskDone>) -> io::Result<Step> {
        if self.booted.is_some() {
            return self.probed(result);
        }
        let done = match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => DiskDone::Read(Bytes::new()),
            other => other?,
        };
        match done {
            DiskDone::Read(bytes) if !bytes.is_empty() => {
                self.offset += bytes.len() as u64;
                self.scanner.push(&bytes);
                self.scan();
                return Ok(Step::Ask(self.read()));
            }
            DiskDone::Read(_) => {
                self.scanner.end();
                self.scan();
            }
            DiskDone::List(files) => {
                let directory = self.listing.pop_front().unwrap_or_default();
                self.files.extend(files.into_iter().map(|(name, bytes)| (format!("{directory}/{name}"), bytes)));
            }
            DiskDone::Ok => {}
        }
        Ok(match self.listing.front() {
            Some(directory) => Step::Ask(DiskOp::List { name: (*directory).into() }),
            None => {
                let booted = self.booted();
                let lost = booted.lost.iter().filter_map(|(id, part)| {
                    let [content, backup] = [Place::Content, Place::Backup].map(|place| (*id, part.file(*id, place)));
                    booted.places.contains(&id.push).then_some([content, backup])
                });
                self.probing = lost.flatten().collect();
                self.booted = Some(Box::new(booted));
                self.probe()
            }
        })
    }

    fn probe(&mut self) -> Step {
        match (self.probing.front(), self.booted.take()) {
            (Some((_, name)), booted) => {
                self.booted = booted;
                Step::Ask(DiskOp::Read { name: name.clone(), offset: 0, bytes: 1 })
            }
            (None, Some(booted)) => Step::Done(booted),
            (None, None) => Step::Ask(self.read()), // not after the last was given
        }
    }

    /// A directory in the place of a part is in the way of a right one, and no
    /// operation moves directories.
    fn probed(&mut self, result: io::Result<DiskDone>) -> io::Result<Step> {
        if let (Some((id, from)), Some(booted)) = (self.probing.pop_front(), &mut self.booted)
            && result.is_err_and(|error| error.kind() == io::ErrorKind::IsADirectory)
        {
            log::error!(target: "nodewright::ring_holder", "{from} is a directory, where a part should lie: move it away");
            booted.blocked.insert(id);
        }
        Ok(self.probe())
    }

    fn scan(&mut self) {
        while let Some(found) = self.scanner.next_found() {
            self.scanned.take(found, &mut self.shelf);
        }
    }

    fn booted(&mut self) -> Booted {
        let (mut shelf, mut files) = (std::mem::take(&mut self.shelf), std::mem::take(&mut self.files));
        let (mut lost, mut elsewhere) = (Vec::new(), Vec::new());
        for (id, part) in &mut shelf.parts {
            let named = [Place::Stage, Place::Old, Place::Quarantine];
            let there = |place: &Place| files.get(&part.file(*id, *place)) == Some(&part.bytes);
            match named.into_iter().find(there) {
                Some(place) => {
                    files.remove(&part.file(*id, place));
                    part.place = place;
                }
                None if shelf.committed.contains_key(&id.push) => elsewhere.push(*id),
                None => lost.push(*id),
            }
        }
        // of several that could be one file the newest is
        elsewhere.sort_by_key(|id| shelf.committed.get(&id.push).map(|manifest| manifest.version));
        for id in elsewhere.into_iter().rev() {
            let Some(part) = shelf.parts.get_mut(&id) else { continue };
            let place = [part.role, Place::Content, Place::Backup].into_iter();
            let found = place.map(|place| (place, part.file(id, place)));
            match found.into_iter().find(|(_, file)| files.get(file) == Some(&part.bytes)) {
                Some((place, file)) => {
                    files.remove(&file);
                    part.place = place;
                }
                None => lost.push(id),
            }
        }
        let places = lost.iter().map(|id| id.push).filter(|push| shelf.committed.contains_key(push)).collect();
        let lost: Vec<(PartId, Part)> =
            lost.into_iter().filter_map(|id| Some((id, shelf.parts.get(&id)?.clone()))).collect();
        lost.iter().for_each(|(id, _)| shelf.forget(*id));
        let mut ops = self.clean(&files);
        let ids: Vec<PartId> = shelf.parts.keys().copied().collect();
        ops.extend(settle(&mut shelf, ids));
        let mut log = Vec::new();
        shelf.records().iter().for_each(|record| record.put(&mut log));
        ops.push(DiskOp::Replace { name: LOG.into(), bytes: log.into() });
        Booted { shelf, scanned: std::mem::take(&mut self.scanned), lost, blocked: Default::default(), places, ops }
    }

    /// Removes what nobody was told of: unless records are missing, what is no part
    /// was never acknowledged.
    fn clean(&self, left: &BTreeMap<String, u64>) -> Vec<DiskOp> {
        let is_staged = |file: &&String| file.starts_with(STAGE) && file.as_bytes()[STAGE.len()] == b'/';
        let junk = left.keys().filter(is_staged).filter(|file| self.scanned.damaged == 0 || file.ends_with(".new"));
        junk.map(|file| DiskOp::Remove { name: file.clone() }).collect()
    }
}

/// Brings parts where they belong, what makes way first and durably.
pub(super) fn settle(shelf: &mut Shelf, parts: Vec<PartId>) -> Vec<DiskOp> {
    let mut ops = Vec::new();
    for moves in shelf.moves(parts) {
        if moves.is_empty() {
            continue;
        }
        let mut touched = std::collections::BTreeSet::new();
        for (id, to) in moves {
            let Some(part) = shelf.parts.get_mut(&id) else { continue };
            let from = part.file(id, part.place);
            touched.extend([super::shelf::directory(part.place), super::shelf::directory(to)]);
            ops.push(DiskOp::Rename { from, to: file(&part.name, part.parts, id, to) });
            part.place = to;
        }
        ops.extend(touched.into_iter().map(|name| DiskOp::SyncDir { name: name.into() }));
    }
    ops
}
