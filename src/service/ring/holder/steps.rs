//! What a holder does, step by step.

use super::super::cuts::Cuts;
use super::super::durability::Durability;
use super::super::manifest::{Manifest, PushId};
use super::super::name::Name;
use super::super::parts_log::{PartId, Place, Record};
use super::super::sums::{Hash, PartSums, part_digest};
use super::boot::settle;
use super::call::{Committed, Refusal, Scrubbed};
use super::component::{Cx, Holder, Mutant};
use super::shelf::{LOG, Part, QUARANTINE, STAGE, Shelf, growing};
use crate::component::{DiskDone, DiskOp, ReplyTo, Token};
use crate::error::Fault;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

/// Most parts that are written at once; more are refused as busy.
const GROWING_MAX: usize = 256;

/// A part that is being written.
pub(super) struct Growing {
    name: Name,
    cuts: Cuts,
    role: Place,
    bytes: u64,
    sums: PartSums,
    sealed: bool,
}

impl Growing {
    pub(super) fn new(name: Name, cuts: Cuts, part: u16, role: Place) -> Self {
        let role = if role == Place::Content { role } else { Place::Backup };
        Growing { name, cuts, role, bytes: cuts.bytes(part), sums: PartSums::new(&cuts, part), sealed: false }
    }
}

/// What waits for a disk operation. Where it is not said, an error ends the life.
pub(super) enum Then {
    Nothing,
    /// Room was made or bytes were written; an error refuses the part.
    Grown(PartId, ReplyTo),
    /// The file has its name, and both are durable where they are to be.
    Named(Sealed),
    /// The log was synced.
    Logged(Vec<Work>),
    /// Renames, of commits or retirements, are durable.
    Answer(Vec<(Answer, ReplyTo)>),
    Read(ReplyTo),
    /// A block was read, to be compared.
    Scrub(Scrubbing),
    /// Room is kept again, or there is none.
    Ballast,
    /// Records were written, and no sync is waited for.
    Written(Vec<Sealed>),
    /// A part that was only written is synced. One that was taken away meanwhile is none.
    Synced,
}

/// A part that is read whole.
pub(super) struct Scrubbing {
    pub(super) id: PartId,
    /// The block that is read.
    pub(super) block: u64,
    pub(super) at_ms: u64,
    pub(super) to: ReplyTo,
}

/// A part that was called whole.
pub(super) struct Sealed {
    pub(super) id: PartId,
    part: Box<Part>,
    pub(super) durability: Durability,
    to: ReplyTo,
}

/// What waits for the log.
pub(super) enum Work {
    Staged(Sealed),
    Settle(Vec<PartId>, Answer, ReplyTo),
}

#[derive(Clone, Copy)]
pub(super) enum Answer {
    Done,
    Parts(u16),
    Scrubbed(Scrubbed),
}

type Asked = Result<(), Refusal>;

impl Holder {
    // --- a part is written ---

    pub(super) fn prepare(&mut self, id: PartId, part: Growing, to: ReplyTo, cx: Cx<'_, '_>) {
        let whole = self.shelf.parts.get(&id).is_some_and(|part| part.place != Place::Quarantine);
        if whole || self.growing.contains_key(&id) {
            return cx.reply(to, Asked::Err(Refusal::Twice));
        }
        if self.blocked.contains(&id) {
            let why = "a directory lies in the part's place: move it away, and start the node again";
            return cx.reply(to, Asked::Err(Refusal::Disk(why.into())));
        }
        if self.ballast.is_gone() {
            return cx.reply(to, Asked::Err(Refusal::Full));
        }
        if self.growing.len() >= GROWING_MAX {
            return cx.reply(to, Asked::Err(Refusal::Busy));
        }
        let token = cx.disk(DiskOp::Allocate { name: growing(id), bytes: part.bytes });
        self.work.insert(token, Then::Grown(id, to));
        self.growing.insert(id, part);
    }

    pub(super) fn write(&mut self, id: PartId, offset: u64, bytes: Bytes, to: ReplyTo, cx: Cx<'_, '_>) {
        let Some(part) = self.growing.get_mut(&id).filter(|part| !part.sealed) else {
            return cx.reply(to, Asked::Err(Refusal::Unknown));
        };
        let taken = part.sums.taken();
        if offset != taken || bytes.len() as u64 > part.bytes - taken {
            return cx.reply(to, Asked::Err(Refusal::OutOfOrder(taken)));
        }
        part.sums.push(&bytes);
        let token = cx.disk(DiskOp::WriteAt { name: growing(id), offset, bytes });
        self.work.insert(token, Then::Grown(id, to));
    }

    pub(super) fn seal(&mut self, id: PartId, digest: Hash, durability: Durability, to: ReplyTo, cx: Cx<'_, '_>) {
        let Some(part) = self.growing.get_mut(&id).filter(|part| !part.sealed) else {
            return cx.reply(to, Asked::Err(Refusal::Unknown));
        };
        part.sealed = true;
        let (name, parts, bytes, role) = (part.name.clone(), part.cuts.parts(), part.bytes, part.role);
        let taken = part.sums.taken();
        let sums = std::mem::replace(&mut part.sums, PartSums::new(&part.cuts, id.part)).finish();
        let whole = taken == bytes && part_digest(&sums) == digest;
        if !whole && !self.has(Mutant::RelabelsEmpty) {
            self.give_up(id, cx);
            let refusal = if taken < bytes { Refusal::Short(taken) } else { Refusal::Wrong };
            return cx.reply(to, Asked::Err(refusal));
        }
        let part = Part { name, parts, bytes, digest, sums, role, place: Place::Stage, checked_ms: None };
        let (from, file) = (growing(id), part.file(id, Place::Stage));
        if self.has(Mutant::AckBeforeSync) {
            cx.reply(to, Asked::Ok(()));
        }
        let strict = durability == Durability::Strict;
        if strict {
            self.must(DiskOp::Sync { name: from.clone() }, cx);
        }
        if let Some(bad) = self.shelf.parts.get(&id).filter(|bad| bad.place == Place::Quarantine) {
            // under this name the next life would take it for the part
            let from = bad.file(id, Place::Quarantine);
            let aside = format!("{from}.bad");
            self.must(DiskOp::Rename { from, to: aside }, cx);
            self.must(DiskOp::SyncDir { name: QUARANTINE.into() }, cx);
        }
        let mut named = cx.disk(DiskOp::Rename { from, to: file.clone() });
        if strict {
            self.work.insert(named, Then::Nothing);
            named = cx.disk(match self.has(Mutant::NoDirectorySync) {
                true => DiskOp::Sync { name: file },
                false => DiskOp::SyncDir { name: STAGE.into() },
            });
        }
        self.work.insert(named, Then::Named(Sealed { id, part: Box::new(part), durability, to }));
    }

    /// What was written of the part goes.
    pub(super) fn give_up(&mut self, id: PartId, cx: Cx<'_, '_>) {
        if self.growing.remove(&id).is_some() {
            self.must(DiskOp::Remove { name: growing(id) }, cx);
        }
    }

    // --- what becomes of a push ---

    pub(super) fn commit(&mut self, manifest: Manifest, to: ReplyTo) {
        let (push, name) = (manifest.push, manifest.name.clone());
        let own = self.shelf.of(push);
        let count = own.len() as u16;
        if own.is_empty() || self.shelf.committed.get(&push) == Some(&manifest) && !self.shelf.retired.contains(&push) {
            // what it makes true is in the log, or on its way there before this is
            let work = Work::Settle(own, Answer::Parts(count), to);
            return self.waiting.push(work);
        }
        self.log(&[Record::committed(&manifest)]);
        self.shelf.commit(manifest);
        let all = match self.has(Mutant::Overwrites) {
            true => own,
            false => {
                self.shelf.of_file(&name).collect::<Vec<_>>().into_iter().flat_map(|push| self.shelf.of(push)).collect()
            }
        };
        self.waiting.push(Work::Settle(all, Answer::Parts(count), to));
    }

    pub(super) fn abort(&mut self, push: PushId, to: ReplyTo, cx: Cx<'_, '_>) {
        if self.shelf.committed.contains_key(&push) {
            return cx.reply(to, Asked::Err(Refusal::State(Committed::Yes)));
        }
        let growing: Vec<PartId> = self.growing.keys().filter(|id| id.push == push).copied().collect();
        growing.into_iter().for_each(|id| self.give_up(id, cx));
        self.remove(push, to, cx);
    }

    pub(super) fn retire(&mut self, push: PushId, to: ReplyTo, cx: Cx<'_, '_>) {
        let own = self.shelf.of(push);
        if !own.is_empty() {
            if !self.shelf.committed.contains_key(&push) {
                return cx.reply(to, Asked::Err(Refusal::State(Committed::No)));
            }
            if self.shelf.retired.insert(push) {
                self.log(&[Record::Moved { id: PartId { push, part: 0 }, to: Place::Old }]);
            }
        }
        self.waiting.push(Work::Settle(own, Answer::Done, to));
    }

    pub(super) fn purge(&mut self, push: PushId, to: ReplyTo, cx: Cx<'_, '_>) {
        let kept = |id: &PartId| matches!(self.shelf.belongs(*id), Place::Content | Place::Backup | Place::Stage);
        if self.shelf.of(push).iter().any(kept) {
            let state = if self.shelf.committed.contains_key(&push) { Committed::Yes } else { Committed::No };
            return cx.reply(to, Asked::Err(Refusal::State(state)));
        }
        self.remove(push, to, cx);
    }

    fn remove(&mut self, push: PushId, to: ReplyTo, cx: Cx<'_, '_>) {
        let mut records = Vec::new();
        for id in self.shelf.of(push) {
            let Some(part) = self.shelf.parts.get(&id) else { continue };
            let name = part.file(id, part.place);
            self.must(DiskOp::Remove { name }, cx);
            self.shelf.forget(id);
            records.push(Record::Removed(id));
        }
        self.log(&records);
        self.waiting.push(Work::Settle(Vec::new(), Answer::Done, to));
        if self.ballast.is_gone() {
            self.make_ballast(cx);
        }
    }

    // --- the disk ---

    /// An operation whose error ends the life.
    pub(super) fn must(&mut self, op: DiskOp, cx: Cx<'_, '_>) {
        self.work.insert(cx.disk(op), Then::Nothing);
    }

    pub(super) fn log(&mut self, records: &[Record]) {
        records.iter().for_each(|record| record.put(&mut self.records));
    }

    /// Writes and syncs the records that wait, if no sync is under way: what comes
    /// during one joins the next.
    pub(super) fn write_log(&mut self, cx: Cx<'_, '_>) {
        if self.syncing || self.waiting.is_empty() && self.records.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut last = DiskOp::Sync { name: LOG.into() };
        if !self.records.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.records));
            self.must(DiskOp::Append { name: LOG.into(), bytes }, cx);
            if self.has(Mutant::LogUnsynced) {
                last = DiskOp::List { name: STAGE.into() };
            }
        }
        self.syncing = true;
        let token = cx.disk(last);
        self.work.insert(token, Then::Logged(waiting));
    }

    pub(super) fn done(&mut self, token: Token, result: io::Result<DiskDone>, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let broken = |error: io::Error| Fault::Broken(format!("the holder's disk failed: {error}"));
        match self.work.remove(&token).unwrap_or(Then::Nothing) {
            Then::Grown(id, to) => {
                let answer = result.map(drop).map_err(|error| match error.kind() {
                    ErrorKind::StorageFull => Refusal::Full,
                    _ => Refusal::Disk(error.to_string()),
                });
                if answer.is_err() && self.growing.get(&id).is_some_and(|part| part.sealed) {
                    return Err(Fault::Broken("a part was called whole before it was written".into()));
                }
                if answer.is_err() {
                    self.give_up(id, cx);
                }
                if answer == Err(Refusal::Full) {
                    self.drop_ballast(cx);
                }
                cx.reply(to, answer);
            }
            Then::Nothing => _ = result.map_err(broken)?,
            Then::Named(sealed) => {
                result.map_err(broken)?;
                self.log(&Shelf::staged(sealed.id, &sealed.part));
                match sealed.durability {
                    Durability::Strict => self.waiting.push(Work::Staged(sealed)),
                    Durability::Group | Durability::None => self.group.written.push(sealed),
                }
            }
            Then::Written(all) => {
                result.map_err(broken)?;
                all.into_iter().for_each(|sealed| self.staged(sealed, cx));
            }
            Then::Synced => match result {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => _ = other.map_err(broken)?,
            },
            Then::Logged(waiting) => {
                result.map_err(broken)?;
                self.syncing = false;
                self.logged(waiting, cx);
            }
            Then::Answer(answers) => {
                result.map_err(broken)?;
                answers.into_iter().for_each(|(answer, to)| reply(answer, to, cx));
            }
            Then::Read(to) => match result {
                Ok(DiskDone::Read(bytes)) => cx.reply(to, Ok::<_, Refusal>(bytes)),
                Ok(_) => cx.reply(to, Err::<Bytes, _>(Refusal::Unknown)),
                Err(error) => cx.reply(to, Err::<Bytes, _>(Refusal::Disk(error.to_string()))),
            },
            Then::Ballast => self.ballast_made(&result.map(drop), cx),
            Then::Scrub(scrubbing) => match result {
                Ok(DiskDone::Read(bytes)) => self.compare(scrubbing, &bytes, cx),
                Ok(_) => cx.reply(scrubbing.to, Err::<Scrubbed, _>(Refusal::Unknown)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    // somebody took it away: it is to be fetched anew
                    self.shelf.forget(scrubbing.id);
                    self.log(&[Record::Removed(scrubbing.id)]);
                    cx.reply(scrubbing.to, Err::<Scrubbed, _>(Refusal::Unknown));
                }
                Err(error) => cx.reply(scrubbing.to, Err::<Scrubbed, _>(Refusal::Disk(error.to_string()))),
            },
        }
        Ok(())
    }

    /// A part is as durable as it was asked to be.
    fn staged(&mut self, sealed: Sealed, cx: Cx<'_, '_>) {
        let Sealed { id, part, durability, to } = sealed;
        if self.growing.remove(&id).is_none() {
            // aborted meanwhile
            self.must(DiskOp::Remove { name: part.file(id, Place::Stage) }, cx);
            self.log(&[Record::Removed(id)]);
            return cx.reply(to, Asked::Err(Refusal::Unknown));
        }
        self.shelf.quarantined.remove(&id);
        self.shelf.parts.insert(id, *part);
        if durability == Durability::Group {
            self.group_later(id, cx);
        }
        if !self.has(Mutant::AckBeforeSync) {
            cx.reply(to, Asked::Ok(()));
        }
    }

    /// What waited for the log goes on: all that changes its place with one sync of each
    /// directory.
    fn logged(&mut self, waiting: Vec<Work>, cx: Cx<'_, '_>) {
        let (mut moved, mut answers) = (BTreeSet::new(), Vec::new());
        for work in waiting {
            match work {
                Work::Staged(sealed) => self.staged(sealed, cx),
                Work::Settle(parts, answer, to) => {
                    moved.extend(parts);
                    answers.push((answer, to));
                }
            }
        }
        let mut ops = settle(&mut self.shelf, moved.into_iter().collect());
        let Some(last) = ops.pop() else {
            return answers.into_iter().for_each(|(answer, to)| reply(answer, to, cx));
        };
        ops.into_iter().for_each(|op| self.must(op, cx));
        let token = cx.disk(last);
        self.work.insert(token, Then::Answer(answers));
    }
}

fn reply(answer: Answer, to: ReplyTo, cx: Cx<'_, '_>) {
    match answer {
        Answer::Done => cx.reply(to, Asked::Ok(())),
        Answer::Parts(parts) => cx.reply(to, Ok::<_, Refusal>(parts)),
        Answer::Scrubbed(scrubbed) => cx.reply(to, Ok::<_, Refusal>(scrubbed)),
    }
}
