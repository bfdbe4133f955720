//! The write-ahead log as it is written: segments, batches, marks.
//!
//! ```text
//!   push, push -> one write, one sync -> durable        (group commit)
//!          push, push (during that sync) -> the next one
//! ```
//!
//! - What arrives during a sync joins the next; there is no timer, and a batch
//!   is capped by bytes.
//! - A batch begins with a mark: all before this place is known to be durable.
//!   It never crosses a segment's end.
//! - A segment is allocated in zeros, and its directory synced with it. It begins
//!   with where it goes on from and with the hard state, so that older ones can be
//!   removed.
//! - A sync that fails ends the life. The next one writes what stood behind the
//!   last mark once more, to a new segment: what a failed sync left in memory is
//!   not durable, and no later sync makes it so.

use super::engine::Hard;
use super::record::{Header, Place, Record, put};
use crate::component::{DiskOp, Token};
use bytes::Bytes;
use std::collections::VecDeque;

/// The directory of the segments.
pub(super) const DIR: &str = "log";
/// Most bytes of one batch, more only for one long record.
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// What a record takes beside its payload, at most.
const RECORD_BYTES: u64 = 40;

/// The file of a segment.
pub(super) fn name(segment: u64) -> String {
    format!("{DIR}/{segment:016x}")
}

/// The segment that a file of the directory is.
pub(super) fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|_| name.len() == 16)
}

/// Where disk operations go.
pub(super) type Disk<'a> = &'a mut dyn FnMut(DiskOp) -> Token;

/// The log's writing end.
pub(super) struct Wal {
    replica: u64,
    segment_bytes: u64,
    /// Where the next batch goes.
    end: Place,
    /// Segments that are there, and the highest index in each.
    live: Vec<(u64, u64)>,
    hard: Hard,
    waiting: VecDeque<Record>,
    /// Records pushed; of these, up to which one somebody waits for; and durable.
    pushed: u64,
    wanted: u64,
    durable: u64,
    syncing: Option<Batch>,
    /// Segments to be removed once the present batch is durable.
    obsolete: Vec<u64>,
    held: bool,
}

struct Batch {
    token: Token,
    records: u64,
}

impl Wal {
    /// A log whose next segment is `segment`, begun by [`Wal::begin`].
    pub(super) fn new(replica: u64, segment_bytes: u64, live: Vec<(u64, u64)>, hard: Hard) -> Self {
        Wal {
            replica,
            segment_bytes,
            end: Place::default(),
            live,
            hard,
            waiting: VecDeque::new(),
            pushed: 0,
            wanted: 0,
            durable: 0,
            syncing: None,
            obsolete: Vec::new(),
            held: false,
        }
    }

    /// Begins a segment with these records, in place of all that waits; when it
    /// is durable the obsolete segments are removed, not before: its sync may
    /// fail.
    pub(super) fn begin(
        &mut self,
        segment: u64,
        header: Header,
        records: Vec<Record>,
        obsolete: Vec<u64>,
        disk: Disk<'_>,
    ) {
        self.pushed += records.len() as u64;
        self.wanted = self.pushed;
        self.waiting = records.into();
        self.obsolete = obsolete;
        self.roll(segment, header, u64::MAX, disk);
        if let Some(batch) = &mut self.syncing {
            batch.records = self.pushed - self.durable;
        }
    }

    /// Appends a record. Where nobody waits for it, it goes with the next that
    /// somebody waits for.
    pub(super) fn push(&mut self, record: Record, wanted: bool) {
        if let Record::Hard(hard) = &record {
            self.hard = *hard;
        }
        self.waiting.push_back(record);
        self.pushed += 1;
        if wanted {
            self.wanted = self.pushed;
        }
    }

    /// What must be durable before anything that rests on what was pushed so far
    /// may leave.
    pub(super) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// How many records are durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Writes and syncs the next batch, if none is under way.
    pub(super) fn write(&mut self, disk: Disk<'_>) {
        if self.held || self.syncing.is_some() || self.wanted <= self.durable {
            return;
        }
        let known = Record::Mark(self.end);
        let (mut bytes, mut count) = (RECORD_BYTES + size(&known), 0u64);
        for record in &self.waiting {
            if count > 0 && bytes + size(record) > BATCH_BYTES_MAX {
                break;
            }
            bytes += size(record);
            count += 1;
        }
        if self.end.offset + bytes > self.segment_bytes {
            let header = Header { after: Some(self.end), base: 0 };
            return self.roll(self.end.segment + 1, header, count, disk);
        }
        let mut out = Vec::with_capacity(bytes as usize);
        put(&mut out, self.replica, self.end.segment, &known);
        self.take(count, &mut out);
        let file = name(self.end.segment);
        let offset = self.end.offset;
        self.end.offset += out.len() as u64;
        disk(DiskOp::WriteAt { name: file.clone(), offset, bytes: out.into() });
        self.syncing = Some(Batch { token: disk(DiskOp::Sync { name: file }), records: count });
    }

    /// Begins the next segment with the next batch.
    fn roll(&mut self, segment: u64, header: Header, count: u64, disk: Disk<'_>) {
        self.end = Place { segment, offset: 0 };
        self.live.push((segment, 0));
        let mut out = Vec::new();
        put(&mut out, self.replica, segment, &Record::Header(header));
        put(&mut out, self.replica, segment, &Record::Hard(self.hard));
        let count = count.min(self.waiting.len() as u64);
        self.take(count, &mut out);
        self.end.offset = out.len() as u64;
        let file = name(segment);
        disk(DiskOp::Allocate { name: file.clone(), bytes: self.segment_bytes.max(out.len() as u64) });
        disk(DiskOp::WriteAt { name: file.clone(), offset: 0, bytes: out.into() });
        disk(DiskOp::Sync { name: file });
        let token = disk(DiskOp::SyncDir { name: DIR.into() });
        self.syncing = Some(Batch { token, records: count });
    }

    fn take(&mut self, count: u64, out: &mut Vec<u8>) {
        for record in self.waiting.drain(..count as usize) {
            put(out, self.replica, self.end.segment, &record);
            if let (Record::Entry(entry), Some((_, highest))) = (&record, self.live.last_mut()) {
                *highest = entry.index.max(*highest);
            }
        }
    }

    /// A disk operation succeeded. Says whether it made a batch durable.
    pub(super) fn done(&mut self, token: Token, disk: Disk<'_>) -> bool {
        let Some(batch) = self.syncing.take_if(|batch| batch.token == token) else { return false };
        self.durable += batch.records;
        for segment in self.obsolete.drain(..) {
            disk(DiskOp::Remove { name: name(segment) });
        }
        true
    }

    /// Removes segments that hold nothing behind `index`, the present one never.
    pub(super) fn remove_through(&mut self, index: u64, disk: Disk<'_>) {
        let removable = self.live.iter().take_while(|(_, highest)| *highest <= index).count();
        let removable = removable.min(self.live.len().saturating_sub(1));
        if removable > 0 {
            for (segment, _) in self.live.drain(..removable) {
                disk(DiskOp::Remove { name: name(segment) });
            }
            disk(DiskOp::SyncDir { name: DIR.into() });
        }
    }

    /// Writes nothing until a snapshot is durable that it is to rest on: a disk
    /// that refuses that may still take what comes after it.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// What waits is of no use: a snapshot is to take its place.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// The snapshot is durable.
    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// A leader's snapshot took the place of the whole log up to `base`: it
    /// begins anew behind it, with what was pushed since.
    pub(super) fn restart(&mut self, base: u64, disk: Disk<'_>) {
        self.held = false;
        let records = std::mem::take(&mut self.waiting).into();
        let obsolete = self.live.drain(..).map(|(segment, _)| segment).collect();
        self.begin(self.end.segment + 1, Header { after: None, base }, records, obsolete, disk);
    }

    pub(super) fn segments(&self) -> usize {
        self.live.len()
    }
}

fn size(record: &Record) -> u64 {
    let payload = match record {
        Record::Entry(entry) => entry.payload.len() as u64,
        _ => 16,
    };
    RECORD_BYTES + payload
}

/// The bytes of a file, shared.
pub(super) type File = Bytes;
