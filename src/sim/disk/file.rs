//! A file: what is durable of it, and the writes that no sync has made so yet.

use super::content::Content;
use super::faults::{DiskFaults, Loss};
use bytes::Bytes;
use fastrand::Rng;
use std::sync::Arc;

/// What a disk writes at once or not at all: a write that a crash tears loses
/// whole sectors, or is cut where the file's length was to grow.
const SECTOR: u64 = 512;

/// A write on its way. An append is a write at what was then the end.
#[derive(Clone, Debug)]
enum Write {
    Data { offset: u64, bytes: Bytes },
    Length(u64),
}

/// What becomes of a write in a crash.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Fate {
    Kept,
    Torn,
    Lost,
}

/// The unsynced writes are bounded by what is written between two syncs.
#[derive(Clone, Default)]
pub(super) struct File {
    durable: Content,
    /// What programs see: with all writes, also those that a failed sync
    /// dropped.
    seen: Content,
    unsynced: Vec<Write>,
    readers: Readers,
}

/// Shared with the streams that read the file, which keep it though it has no
/// name. A copy of a file has none yet.
#[derive(Default)]
struct Readers(Arc<()>);

impl Clone for Readers {
    fn clone(&self) -> Self {
        Readers::default()
    }
}

impl File {
    pub(super) fn len(&self) -> u64 {
        self.seen.len()
    }

    pub(super) fn read(&self, offset: u64, bytes: u64) -> Bytes {
        self.seen.read(offset, bytes)
    }

    /// A reader, which keeps the file until it is dropped.
    pub(super) fn reader(&self) -> Arc<()> {
        self.readers.0.clone()
    }

    pub(super) fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers.0) > 1
    }

    pub(super) fn write(&mut self, offset: u64, bytes: Bytes) {
        if !bytes.is_empty() {
            self.seen.write(offset, &bytes);
            self.unsynced.push(Write::Data { offset, bytes });
        }
    }

    pub(super) fn set_len(&mut self, bytes: u64) {
        self.seen.set_len(bytes);
        self.unsynced.push(Write::Length(bytes));
    }

    /// All writes become durable.
    pub(super) fn sync(&mut self) {
        for write in self.unsynced.drain(..) {
            apply(&mut self.durable, &write);
        }
    }

    /// Some writes become durable; the others are dropped and never will. ext4
    /// and XFS then go on showing them from memory, as if they were written,
    /// Btrfs shows what is on the disk (Rebello et al., ATC 2020, table 1).
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        for write in self.unsynced.drain(..) {
            if rng.bool() {
                apply(&mut self.durable, &write);
            }
        }
        if rng.bool() {
            self.seen = self.durable.clone();
        }
    }

    /// What was not synced is gone, as far as `faults` have it.
    pub(super) fn crash(&mut self, faults: &DiskFaults, rng: &mut Rng, loss: &mut Loss) {
        let fates = fates(self.unsynced.len(), faults, rng);
        let last_kept = fates.iter().rposition(|fate| *fate != Fate::Lost);
        let first_lost = fates.iter().position(|fate| *fate == Fate::Lost);
        loss.reordered += u64::from(first_lost.is_some() && first_lost < last_kept);
        for (write, fate) in std::mem::take(&mut self.unsynced).iter().zip(fates) {
            match (fate, write) {
                (Fate::Kept, _) => apply(&mut self.durable, write),
                (Fate::Torn, Write::Data { offset, bytes }) if bytes.len() > 1 => {
                    loss.torn += 1;
                    tear(&mut self.durable, *offset, bytes, rng);
                }
                (Fate::Torn, _) => apply(&mut self.durable, write),
                (Fate::Lost, _) => {
                    loss.writes += 1;
                    // the length is written apart from the data: zeros are left
                    if let Write::Data { offset, bytes } = write
                        && faults.spared > 0.0
                        && rng.u32(0..4) == 0
                    {
                        let end = offset + bytes.len() as u64;
                        self.durable.set_len(self.durable.len().max(end));
                    }
                }
            }
        }
        self.seen = self.durable.clone();
    }

    pub(super) fn durable_len(&self) -> u64 {
        self.durable.len()
    }

    /// Flips a bit of what is durable, and of what is seen.
    pub(super) fn flip(&mut self, bit: u64) -> bool {
        let flipped = self.durable.flip(bit);
        if flipped {
            self.seen.flip(bit);
        }
        flipped
    }
}

fn apply(content: &mut Content, write: &Write) {
    match write {
        Write::Data { offset, bytes } => content.write(*offset, bytes),
        Write::Length(bytes) => content.set_len(*bytes),
    }
}

/// The fates of `count` writes or changes, in the order in which they were made.
pub(super) fn spared(count: usize, faults: &DiskFaults, rng: &mut Rng) -> Vec<bool> {
    if rng.f64() >= faults.spared {
        return vec![false; count];
    }
    if rng.f64() < faults.reordered {
        return std::iter::repeat_with(|| rng.bool()).take(count).collect();
    }
    let kept = rng.usize(0..=count);
    (0..count).map(|at| at < kept).collect()
}

fn fates(count: usize, faults: &DiskFaults, rng: &mut Rng) -> Vec<Fate> {
    let spared = spared(count, faults, rng);
    let mut fates: Vec<Fate> = spared.iter().map(|spared| if *spared { Fate::Kept } else { Fate::Lost }).collect();
    if let Some(last) = fates.iter().rposition(|fate| *fate == Fate::Kept)
        && rng.f64() < faults.torn
    {
        fates[last] = Fate::Torn;
    }
    fates
}

/// Writes a part of `bytes`: up to some byte, or some sectors and not others.
fn tear(content: &mut Content, offset: u64, bytes: &[u8], rng: &mut Rng) {
    let end = offset + bytes.len() as u64;
    let sectors = offset / SECTOR..end.div_ceil(SECTOR);
    if sectors.end - sectors.start == 1 || rng.bool() {
        return content.write(offset, &bytes[..rng.usize(1..bytes.len())]);
    }
    let lost = rng.u64(sectors.clone());
    let kept = if lost == sectors.start { lost + 1 } else { lost - 1 };
    for sector in sectors {
        if sector == kept || (sector != lost && rng.bool()) {
            let from = (sector * SECTOR).max(offset);
            let to = ((sector + 1) * SECTOR).min(end);
            content.write(from, &bytes[(from - offset) as usize..(to - offset) as usize]);
        }
    }
}
