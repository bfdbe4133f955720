//! What is there: told, read, and compared with its hashes.

use super::super::cuts::BLOCK_BYTES;
use super::super::parts_log::{PartId, Place, Record};
use super::super::sums::{block_hash, block_offset};
use super::call::{Committed, Held, Refusal, Scrubbed};
use super::component::{Cx, Holder};
use super::shelf::Part;
use super::steps::{Answer, Scrubbing, Then, Work};
use crate::component::{DiskOp, ReplyTo};
use bytes::Bytes;

impl Holder {
    pub(super) fn tell(&mut self, id: PartId, to: ReplyTo, cx: Cx<'_, '_>) {
        let held = self.shelf.parts.get(&id).map(|part| {
            let Part { place, bytes, digest, sums, checked_ms, .. } = part.clone();
            Held { place, bytes, digest, sums, checked_ms }
        });
        cx.reply(to, held.ok_or(Refusal::Unknown));
    }

    pub(super) fn read(&mut self, id: PartId, offset: u64, bytes: u64, to: ReplyTo, cx: Cx<'_, '_>) {
        let Some(part) = self.shelf.parts.get(&id).filter(|_| !self.shelf.quarantined.contains(&id)) else {
            return cx.reply(to, Err::<Bytes, _>(Refusal::Unknown));
        };
        let bytes = bytes.min(BLOCK_BYTES).min(part.bytes.saturating_sub(offset));
        let token = cx.disk(DiskOp::Read { name: part.file(id, part.place), offset, bytes });
        self.work.insert(token, Then::Read(to));
    }

    pub(super) fn rot(&mut self, nth: usize, to: ReplyTo, cx: Cx<'_, '_>) {
        let readable = |part: &Part| matches!(part.place, Place::Content | Place::Backup) && part.bytes > 0;
        let all: Vec<(&PartId, &Part)> = self.shelf.parts.iter().filter(|(_, part)| readable(part)).collect();
        let Some((id, part)) = nth.checked_rem(all.len()).and_then(|nth| all.get(nth)) else {
            return cx.reply(to, false);
        };
        let (name, offset) = (part.file(**id, part.place), part.bytes / 2);
        let bytes = Bytes::from_static(b"\xA5");
        self.must(DiskOp::WriteAt { name: name.clone(), offset, bytes }, cx);
        self.must(DiskOp::Sync { name }, cx);
        cx.reply(to, true);
    }

    pub(super) fn scrub(&mut self, id: PartId, at_ms: u64, to: ReplyTo, cx: Cx<'_, '_>) {
        if !self.shelf.parts.contains_key(&id) || self.shelf.quarantined.contains(&id) {
            return cx.reply(to, Err::<Scrubbed, _>(Refusal::Unknown));
        }
        self.scrub_block(Scrubbing { id, block: 0, at_ms, to }, cx);
    }

    fn scrub_block(&mut self, scrubbing: Scrubbing, cx: Cx<'_, '_>) {
        let Scrubbing { id, block, at_ms, to } = scrubbing;
        let Some(part) = self.shelf.parts.get_mut(&id) else {
            return cx.reply(to, Err::<Scrubbed, _>(Refusal::Unknown));
        };
        if block >= part.sums.len() as u64 {
            part.checked_ms = Some(at_ms);
            let whole = Scrubbed { bytes: part.bytes, bad: None };
            self.log(&[Record::Checked { id, at_ms }]);
            return cx.reply(to, Ok::<_, Refusal>(whole));
        }
        let (name, offset) = (part.file(id, part.place), block * BLOCK_BYTES);
        let token = cx.disk(DiskOp::Read { name, offset, bytes: BLOCK_BYTES.min(part.bytes - offset) });
        self.work.insert(token, Then::Scrub(scrubbing));
    }

    /// A block was read: the next one, or quarantine. Before the commit nobody
    /// knows how the file is cut, so what is staged is not scrubbed.
    pub(super) fn compare(&mut self, scrubbing: Scrubbing, bytes: &[u8], cx: Cx<'_, '_>) {
        let Scrubbing { id, block, to, .. } = scrubbing;
        let cuts = self.shelf.committed.get(&id.push).map(|manifest| manifest.cuts);
        let (Some(part), Some(cuts)) = (self.shelf.parts.get(&id), cuts) else {
            return cx.reply(to, Err::<Scrubbed, _>(Refusal::State(Committed::No)));
        };
        let read = block * BLOCK_BYTES + bytes.len() as u64;
        if part.sums.get(block as usize) == Some(&block_hash(block_offset(&cuts, id.part, block), bytes)) {
            return self.scrub_block(Scrubbing { block: block + 1, ..scrubbing }, cx);
        }
        self.set_aside(id, block, read, to);
    }

    fn set_aside(&mut self, id: PartId, block: u64, read: u64, to: ReplyTo) {
        self.shelf.quarantined.insert(id);
        self.log(&[Record::Moved { id, to: Place::Quarantine }]);
        let answer = Answer::Scrubbed(Scrubbed { bytes: read, bad: Some(block) });
        self.waiting.push(Work::Settle(vec![id], answer, to));
    }
}
