//! What a life finds of its log, and what it may rest on.
//!
//! Segments form a chain: each says in its header where it goes on from. What
//! is no record at or behind the farthest known mark is a torn tail, whatever
//! follows it; before that it is corruption. (Assumption: a bit that flips in
//! the very last batch looks torn.) What stands behind the mark may be in the
//! machine's memory alone, so it is written again.

use super::engine::Hard;
use super::record::{Header, Place, Record, farthest_mark, take};
use super::snapshot::Meta;
use super::wal::File;
use super::wire::WireEntry;
use std::collections::BTreeMap;

/// A replica's state as its disk has it.
#[derive(Debug, PartialEq)]
pub(super) struct Recovered {
    pub(super) hard: Hard,
    /// The newest whole snapshot that the log connects with.
    pub(super) snapshot: Option<(Meta, Vec<u8>)>,
    /// Entries behind it.
    pub(super) entries: Vec<WireEntry>,
    /// The segment to begin, how, and with which records.
    pub(super) next: u64,
    pub(super) header: Header,
    pub(super) rewrite: Vec<Record>,
    /// Segments of the chain, and the highest index in each.
    pub(super) live: Vec<(u64, u64)>,
    /// Segments that are no more of the log.
    pub(super) dead: Vec<u64>,
    /// Whether something was no record behind the mark.
    pub(super) torn: bool,
}

/// What is left of one segment, as it is read.
struct Reader<'a> {
    replica: u64,
    segments: &'a BTreeMap<u64, File>,
}

impl Reader<'_> {
    fn header(&self, segment: u64) -> Option<Header> {
        match take(self.segments.get(&segment)?, 0, self.replica, segment)? {
            (Record::Header(header), _) => Some(header),
            _ => None,
        }
    }

    /// The records of a segment up to `end` or to the first that is none, each
    /// with its offset; and where that is.
    fn records(&self, segment: u64, end: Option<u64>) -> (Vec<(u64, Record)>, u64) {
        let (mut records, mut at) = (Vec::new(), 0usize);
        if let Some(bytes) = self.segments.get(&segment) {
            while end.is_none_or(|end| (at as u64) < end)
                && let Some((record, length)) = take(bytes, at, self.replica, segment)
            {
                records.push((at as u64, record));
                at += length;
            }
        }
        (records, at as u64)
    }

    /// Whether a segment holds anything but zeros behind `at`.
    fn has_more(&self, segment: u64, at: u64) -> bool {
        let rest = self.segments.get(&segment).and_then(|bytes| bytes.get(at as usize..));
        rest.is_some_and(|rest| rest.iter().any(|byte| *byte != 0))
    }
}

/// Reads a replica's segments and snapshots (the newest first, whole ones only).
///
/// # Errors
/// What is corrupt, for people.
pub(super) fn recover(
    replica: u64,
    segments: &BTreeMap<u64, File>,
    snapshots: Vec<(Meta, Vec<u8>)>,
) -> Result<Option<Recovered>, String> {
    let reader = Reader { replica, segments };
    let Some(tail) = segments.keys().rev().copied().find(|segment| reader.header(*segment).is_some()) else {
        // A first segment whose making was cut off is none; a mark or a snapshot says that there was more.
        let lost = segments.iter().any(|(segment, bytes)| farthest_mark(bytes, 0, replica, *segment).is_some());
        return if lost || !snapshots.is_empty() { Err("the log is lost or its headers are".into()) } else { Ok(None) };
    };
    let chain = chain(&reader, tail);
    let mut known = segments.iter().filter_map(|(number, bytes)| farthest_mark(bytes, 0, replica, *number)).max();
    known = known.max(chain.last().and_then(|(_, header)| header.after));
    let mut log = Log::default();
    let (mut live, mut rewrite, mut torn) = (Vec::new(), Vec::new(), false);
    for (at, (segment, header)) in chain.iter().enumerate() {
        let end = chain.get(at + 1).and_then(|(_, next)| next.after).map(|place| place.offset);
        let (records, whole) = reader.records(*segment, end);
        let here = Place { segment: *segment, offset: whole };
        if end.is_some_and(|end| end != whole) || (end.is_none() && known > Some(here)) {
            return Err(format!("segment {segment:016x} is damaged at byte {whole}, which was durable"));
        }
        let (mut highest, last) = (0, *segment == tail);
        torn |= last && reader.has_more(*segment, whole);
        for (offset, record) in records {
            if let Record::Entry(entry) = &record {
                highest = highest.max(entry.index);
            }
            log.take(&record, header)?;
            let durable = known.is_some_and(|known| Place { segment: *segment, offset } < known);
            if last && !durable && matches!(record, Record::Entry(_) | Record::Hard(_)) {
                rewrite.push(record);
            }
        }
        live.push((*segment, highest));
    }
    let next = segments.keys().next_back().map_or(1, |segment| segment + 1);
    let tail_header = chain.last().map(|(_, header)| *header).unwrap_or_default();
    let mut header = match known.filter(|known| known.segment == tail) {
        Some(place) => Header { after: Some(place), base: 0 },
        None => {
            live.pop(); // nothing of the tail is known to be durable: all of it is written again
            tail_header
        }
    };
    let snapshot = connect(snapshots, &log)?;
    let (index, term) = snapshot.as_ref().map_or((0, 0), |(meta, _)| (meta.index, meta.term));
    if !log.follows(index, term) {
        // the leader's snapshot took the place of this log
        (header, rewrite) = (Header { after: None, base: index }, Vec::new());
        log.entries.clear();
        live.clear();
    }
    log.entries.retain(|entry| entry.index > index);
    let last = log.entries.last().map_or(index, |entry| entry.index);
    let mut hard = log.hard;
    if hard.term < term {
        hard = Hard { term, vote: 0, commit: index };
    }
    hard.commit = hard.commit.max(index).min(last);
    let dead = segments.keys().copied().filter(|segment| live.iter().all(|(alive, _)| alive != segment)).collect();
    Ok(Some(Recovered { hard, snapshot, entries: log.entries, next, header, rewrite, live, dead, torn }))
}

/// The segments of the log, the first one first.
fn chain(reader: &Reader<'_>, tail: u64) -> Vec<(u64, Header)> {
    let (mut chain, mut at) = (Vec::new(), Some(tail));
    while let Some(segment) = at
        && let Some(header) = reader.header(segment)
    {
        chain.push((segment, header));
        at = header.after.map(|place| place.segment).filter(|before| *before < segment);
    }
    chain.reverse();
    chain
}

/// The newest snapshot behind which the log goes on without a gap.
fn connect(snapshots: Vec<(Meta, Vec<u8>)>, log: &Log) -> Result<Option<(Meta, Vec<u8>)>, String> {
    if snapshots.is_empty() && log.entries.is_empty() && log.base.unwrap_or(0) == 0 {
        return Ok(None);
    }
    let first = log.entries.first().map(|entry| entry.index).or(log.base.map(|base| base + 1));
    let connects = |meta: &Meta| first.is_none_or(|first| meta.index + 1 >= first);
    snapshots
        .into_iter()
        .find(|(meta, _)| connects(meta))
        .map(Some)
        .ok_or_else(|| "no whole snapshot stands before the log".to_string())
}

/// The log as records change it.
#[derive(Default)]
struct Log {
    hard: Hard,
    base: Option<u64>,
    entries: Vec<WireEntry>,
}

impl Log {
    fn take(&mut self, record: &Record, header: &Header) -> Result<(), String> {
        match record {
            Record::Header(_) => {
                if header.after.is_none() {
                    self.base = Some(header.base);
                    self.entries.clear();
                }
            }
            Record::Mark(_) => {}
            Record::Hard(hard) => self.hard = *hard,
            Record::Entry(entry) => {
                if let Some(first) = self.entries.first().map(|entry| entry.index) {
                    let keep = entry.index.checked_sub(first).map_or(0, |keep| keep as usize);
                    if keep > self.entries.len() {
                        return Err(format!("entries before {} are missing", entry.index));
                    }
                    self.entries.truncate(keep);
                }
                self.entries.push(entry.clone());
            }
        }
        Ok(())
    }

    /// Whether its entries are of one history with a snapshot's place.
    fn follows(&self, index: u64, term: u64) -> bool {
        match self.entries.first() {
            None => self.base.is_none_or(|base| base == index),
            Some(first) if first.index == index + 1 => true,
            Some(first) => {
                let at = index.checked_sub(first.index).map(|at| at as usize);
                at.and_then(|at| self.entries.get(at)).is_some_and(|entry| entry.term == term)
            }
        }
    }
}

#[cfg(test)]
mod tests;
