//! The parts that a holder has, and where each belongs: values, no disk.

use super::super::manifest::{Manifest, PushId};
use super::super::name::Name;
use super::super::parts_log::{Found, PartId, Place, Record, SUMS_MAX};
use super::super::sums::Hash;
use super::call::Stocked;
use crate::id::{Life, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// The directories.
pub(super) const STAGE: &str = "stage";
pub(super) const CONTENT: &str = "content";
pub(super) const BACKUP: &str = "backup";
pub(super) const OLD: &str = "old";
pub(super) const QUARANTINE: &str = "quarantine";
/// The log.
pub(super) const LOG: &str = "parts.log";

/// A part that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) name: Name,
    pub(super) parts: u16,
    pub(super) bytes: u64,
    pub(super) digest: Hash,
    pub(super) sums: Vec<Hash>,
    pub(super) role: Place,
    /// Where it lies now.
    pub(super) place: Place,
    /// When it was last read whole and was right.
    pub(super) checked_ms: Option<u64>,
}

impl Part {
    /// Its file in a place.
    pub(super) fn file(&self, id: PartId, place: Place) -> String {
        file(&self.name, self.parts, id, place)
    }
}

/// The file of a part in a place. Where readers look it is named by the file, else
/// by the push.
pub(super) fn file(name: &Name, parts: u16, id: PartId, place: Place) -> String {
    match place {
        Place::Content | Place::Backup => format!("{}/{}", directory(place), name.part_file(id.part, parts)),
        Place::Stage | Place::Old | Place::Quarantine => {
            format!("{}/{}.part-{:03}-of-{parts:03}", directory(place), id.push, id.part)
        }
    }
}

/// The file of a part that is being written.
pub(super) fn growing(id: PartId) -> String {
    format!("{STAGE}/{}.part-{:03}.new", id.push, id.part)
}

pub(super) fn directory(place: Place) -> &'static str {
    match place {
        Place::Stage => STAGE,
        Place::Content => CONTENT,
        Place::Backup => BACKUP,
        Place::Old => OLD,
        Place::Quarantine => QUARANTINE,
    }
}

/// All whole parts and what is known of their pushes.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) parts: BTreeMap<PartId, Part>,
    pub(super) committed: BTreeMap<PushId, Manifest>,
    /// Contents that are their file's no more, by decision.
    pub(super) retired: BTreeSet<PushId>,
    pub(super) quarantined: BTreeSet<PartId>,
    /// All committed contents by their file, the newest last.
    contents: BTreeSet<(Name, u64, PushId)>,
    /// Hashes whose part's record is not read yet.
    sums: BTreeMap<PartId, Vec<Hash>>,
}

impl Shelf {
    /// A record of the log.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Sums { id, first, hashes } => {
                let sums = self.sums.entry(id).or_default();
                sums.truncate(first as usize);
                sums.extend(hashes);
            }
            Record::Staged { id, name, parts, bytes, digest, role } => {
                let sums = self.sums.remove(&id).unwrap_or_default();
                // a right one takes the place of one in quarantine
                self.quarantined.remove(&id);
                self.parts
                    .insert(id, Part { name, parts, bytes, digest, sums, role, place: Place::Stage, checked_ms: None });
            }
            Record::Committed(manifest) => {
                if let Ok(manifest) = Manifest::decode_whole(&manifest) {
                    self.commit(manifest);
                }
            }
            Record::Moved { id, to: Place::Quarantine } => _ = self.quarantined.insert(id),
            Record::Moved { id, to: Place::Old } => _ = self.retired.insert(id.push),
            Record::Removed(id) => self.forget(id),
            Record::Checked { id, at_ms } => {
                if let Some(part) = self.parts.get_mut(&id) {
                    part.checked_ms = Some(at_ms);
                }
            }
            Record::Moved { .. } => {}
        }
    }

    /// A content is its file's; again, with a higher version, after an undo.
    pub(super) fn commit(&mut self, manifest: Manifest) {
        self.retired.remove(&manifest.push);
        self.contents.insert((manifest.name.clone(), manifest.version, manifest.push));
        if let Some(before) = self.committed.insert(manifest.push, manifest.clone())
            && before.version != manifest.version
        {
            self.contents.remove(&(before.name, before.version, before.push));
        }
    }

    /// Everything as records, the shortest way.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, part) in &self.parts {
            records.extend(Self::staged(*id, part));
            records.extend(part.checked_ms.map(|at_ms| Record::Checked { id: *id, at_ms }));
            if self.quarantined.contains(id) {
                records.push(Record::Moved { id: *id, to: Place::Quarantine });
            }
        }
        for (push, manifest) in &self.committed {
            records.push(Record::committed(manifest));
            if self.retired.contains(push) {
                records.push(Record::Moved { id: PartId { push: *push, part: 0 }, to: Place::Old });
            }
        }
        records
    }

    /// The records of one part.
    pub(super) fn staged(id: PartId, part: &Part) -> Vec<Record> {
        let chunks = part.sums.chunks(SUMS_MAX).enumerate();
        let sums = chunks.map(|(at, hashes)| Record::Sums { id, first: (at * SUMS_MAX) as u64, hashes: hashes.into() });
        let Part { name, parts, bytes, digest, role, .. } = part.clone();
        sums.chain([Record::Staged { id, name, parts, bytes, digest, role }]).collect()
    }

    /// All whole parts.
    pub(super) fn stock(&self) -> Vec<Stocked> {
        let stocked = |(id, part): (&PartId, &Part)| {
            let version = self.committed.get(&id.push).map(|manifest| manifest.version);
            let place = if self.quarantined.contains(id) { Place::Quarantine } else { part.place };
            Stocked { id: *id, place, version }
        };
        self.parts.iter().map(stocked).collect()
    }

    /// What is some file's content, by all that this disk knows.
    pub(super) fn files(&self) -> Vec<Manifest> {
        let is_file = |push: &PushId| {
            !self.retired.contains(push)
                && self.committed.get(push).is_some_and(|own| self.of_file(&own.name).next_back() == Some(*push))
        };
        self.committed.iter().filter(|(push, _)| is_file(push)).map(|(_, manifest)| manifest.clone()).collect()
    }

    pub(super) fn of(&self, push: PushId) -> Vec<PartId> {
        let range = PartId { push, part: 0 }..=PartId { push, part: u16::MAX };
        self.parts.range(range).map(|(id, _)| *id).collect()
    }

    /// The part is gone; with the last one what is known of its push.
    pub(super) fn forget(&mut self, id: PartId) {
        self.parts.remove(&id);
        self.sums.remove(&id);
        self.quarantined.remove(&id);
        if self.of(id.push).is_empty() {
            if let Some(gone) = self.committed.remove(&id.push) {
                self.contents.remove(&(gone.name, gone.version, gone.push));
            }
            self.retired.remove(&id.push);
        }
    }

    /// Where a part belongs: of all committed contents of a file the newest is the
    /// file.
    pub(super) fn belongs(&self, id: PartId) -> Place {
        let Some(own) = self.committed.get(&id.push) else { return Place::Stage };
        if self.quarantined.contains(&id) {
            Place::Quarantine
        } else if self.retired.contains(&id.push) || self.of_file(&own.name).next_back() != Some(id.push) {
            Place::Old
        } else {
            self.parts.get(&id).map_or(Place::Stage, |part| part.role)
        }
    }

    /// The contents of a file, the newest last.
    pub(super) fn of_file(&self, name: &Name) -> impl DoubleEndedIterator<Item = PushId> {
        let (first, last) = (Life::new(NodeId(0), 0), Life::new(NodeId(u64::MAX), u64::MAX));
        let from = (name.clone(), 0, PushId { life: first, number: 0 });
        let to = (name.clone(), u64::MAX, PushId { life: last, number: u64::MAX });
        self.contents.range(from..=to).map(|(_, _, push)| *push)
    }

    /// The moves that bring parts where they belong: first those that make way.
    pub(super) fn moves(&self, parts: impl IntoIterator<Item = PartId>) -> [Vec<(PartId, Place)>; 2] {
        let wrong = |id: PartId| {
            let to = self.belongs(id);
            (self.parts.get(&id)?.place != to).then_some((id, to))
        };
        let away = parts.into_iter().filter_map(wrong);
        let (there, aside) = away.partition(|(_, to)| matches!(to, Place::Content | Place::Backup));
        [aside, there]
    }
}

/// What a scan of the log gave, besides records.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) damaged: u64,
    pub(super) torn: bool,
}

impl Scanned {
    /// Takes what was found; a record goes to the shelf.
    pub(super) fn take(&mut self, found: Found, shelf: &mut Shelf) {
        match found {
            Found::Record { record, .. } => shelf.take(record),
            Found::Damaged { .. } => self.damaged += 1,
            Found::Torn { .. } => self.torn = true,
        }
    }
}
