//! The bytes of the write-ahead log.
//!
//! ```text
//!   [length 4][crc32c 4][kind 1][term 8][index 8][payload]
//! ```
//!
//! The checksum covers the replica's id (a foreign file's records are none), the
//! segment, kind, term, index, length and payload. A length of zero is the end:
//! segments are zeroed when they are made and never used again.

use super::engine::Hard;
use super::wire::{EntryKind, WireEntry};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const HEAD_BYTES: usize = 25;
/// Longest payload.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// Marks are looked for byte by byte, so they begin with what nothing else does.
const MARK: &[u8; 8] = b"\xF5NWMARK\xA9";

/// A place in the log: segment and offset.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// What the log holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// First record of a segment.
    Header(Header),
    /// All before this place is known to be durable.
    Mark(Place),
    /// Term, vote and commit index.
    Hard(Hard),
    /// An entry; what stood at its index and behind it is gone.
    Entry(WireEntry),
}

/// How a segment goes on from the ones before it.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Header {
    /// Where the log goes on here: what stands behind that in the segment named
    /// is not of the log. `None` if it begins here.
    pub(super) after: Option<Place>,
    /// The entry before the first of the log, if it begins here.
    pub(super) base: u64,
}

const KIND_HEADER: u8 = 1;
const KIND_MARK: u8 = 2;
const KIND_HARD: u8 = 3;
const KIND_ENTRY: u8 = 4;
const KIND_CHANGE: u8 = 5;

/// Appends records of one segment of one replica.
pub(super) fn put(out: &mut Vec<u8>, replica: u64, segment: u64, record: &Record) {
    let (kind, term, index, payload): (u8, u64, u64, Bytes) = match record {
        Record::Header(header) => (KIND_HEADER, 0, 0, postcard::to_stdvec(header).unwrap_or_default().into()),
        Record::Mark(place) => (KIND_MARK, place.segment, place.offset, Bytes::from_static(MARK)),
        Record::Hard(hard) => (KIND_HARD, hard.term, hard.commit, Bytes::copy_from_slice(&hard.vote.to_le_bytes())),
        Record::Entry(entry) => {
            let kind = if entry.kind == EntryKind::Normal { KIND_ENTRY } else { KIND_CHANGE };
            (kind, entry.term, entry.index, entry.payload.clone())
        }
    };
    let mut head = [0; 17];
    head[0] = kind;
    head[1..9].copy_from_slice(&term.to_le_bytes());
    head[9..].copy_from_slice(&index.to_le_bytes());
    // a length of zero is the end, so the head counts
    let length = (17 + payload.len()) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(replica, segment, length, &head, &payload).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(&payload);
}

fn checksum(replica: u64, segment: u64, length: u32, head: &[u8], payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&replica.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &segment.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &length.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, head), payload)
}

/// The record at the front of `bytes` and its length, if there is a whole one.
pub(super) fn take(bytes: &Bytes, at: usize, replica: u64, segment: u64) -> Option<(Record, usize)> {
    let front = bytes.get(at..)?;
    let head = front.get(..HEAD_BYTES)?;
    let number = |range: std::ops::Range<usize>| {
        head.get(range).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes).unwrap_or_default()
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let payload_bytes = (length as usize).checked_sub(17).filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)?;
    let payload = front.get(HEAD_BYTES..HEAD_BYTES + payload_bytes)?;
    if checksum(replica, segment, length, &head[8..], payload) != sum {
        return None;
    }
    let (term, index) = (number(9..17), number(17..25));
    let shared = || bytes.slice(at + HEAD_BYTES..at + HEAD_BYTES + payload_bytes);
    let entry = |kind| Record::Entry(WireEntry { kind, term, index, payload: shared() });
    let record = match head[8] {
        KIND_HEADER => Record::Header(postcard::from_bytes(payload).ok()?),
        KIND_MARK if payload == MARK => Record::Mark(Place { segment: term, offset: index }),
        KIND_HARD => Record::Hard(Hard { term, commit: index, vote: u64::from_le_bytes(payload.try_into().ok()?) }),
        KIND_ENTRY => entry(EntryKind::Normal),
        KIND_CHANGE => entry(EntryKind::Change),
        _ => return None,
    };
    Some((record, HEAD_BYTES + payload_bytes))
}

/// The farthest place that any whole mark in `bytes`, from `at` on, says to be
/// durable: also marks behind damage count.
pub(super) fn farthest_mark(bytes: &Bytes, at: usize, replica: u64, segment: u64) -> Option<Place> {
    let mut farthest = None;
    let mut from = at;
    while let Some(found) = bytes.get(from..).and_then(|rest| find(rest, MARK)) {
        let payload_at = from + found;
        if let Some(start) = payload_at.checked_sub(HEAD_BYTES)
            && let Some((Record::Mark(place), _)) = take(bytes, start, replica, segment)
        {
            farthest = farthest.max(Some(place));
        }
        from = payload_at + 1;
    }
    farthest
}

fn find(bytes: &[u8], wanted: &[u8; 8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == wanted[0]) {
        if bytes.get(at + found..at + found + 8)? == wanted {
            return Some(at + found);
        }
        at += found + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::replicated_log::engine::normal;
    use proptest::prelude::*;

    fn all() -> Vec<Record> {
        vec![
            Record::Header(Header { after: Some(Place { segment: 3, offset: 99 }), base: 0 }),
            Record::Mark(Place { segment: 3, offset: 17 }),
            Record::Hard(Hard { term: 5, vote: u64::MAX - 1, commit: 4 }),
            Record::Entry(normal(5, 12, b"payload")),
            Record::Entry(WireEntry { kind: EntryKind::Change, ..normal(5, 13, b"") }),
        ]
    }

    #[test]
    fn records_read_as_they_were_written_by_their_replica_in_their_segment_alone() {
        let mut out = Vec::new();
        for record in all() {
            put(&mut out, 7, 4, &record);
        }
        let bytes = Bytes::from(out);
        let (mut at, mut read) = (0, Vec::new());
        while let Some((record, length)) = take(&bytes, at, 7, 4) {
            read.push(record);
            at += length;
        }
        assert_eq!((read, at), (all(), bytes.len()));
        assert_eq!(take(&bytes, 0, 8, 4), None, "another replica's");
        assert_eq!(take(&bytes, 0, 7, 5), None, "another segment's");
        assert_eq!(farthest_mark(&bytes, 0, 7, 4), Some(Place { segment: 3, offset: 17 }));
        assert_eq!(take(&Bytes::from(vec![0; 64]), 0, 7, 4), None, "zeros are the end");
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_no_record(which in 0usize..5, bit in 0usize..400) {
            let mut out = Vec::new();
            put(&mut out, 7, 4, &all()[which]);
            let bit = bit % (8 * out.len());
            out[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(take(&out.into(), 0, 7, 4), None);
        }

        #[test]
        fn junk_is_no_record(junk in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(take(&junk.into(), 0, 7, 4), None);
        }
    }
}
