//! What a holder knows of its parts, as it stands in `parts.log`.
//!
//! ```text
//!   [magic 4][length 4][crc32c 4][record]      crc over length and record
//! ```
//!
//! Records are only appended. After a crash what was not synced is there or not,
//! in part, or as zeros: a [`Scanner`] gives every record that is whole, and says
//! where something else stood. At the end that is a torn tail; before a whole
//! record it may be too, since a later write can survive an earlier one, or it is
//! damage. Either way nothing that was acknowledged is told from it but by records,
//! and a part without one has to be verified anew.
//!
//! **Bounds.** A scanner keeps one record's bytes, at most [`FRAME_BYTES_MAX`];
//! nothing is made from a declared length.

use super::manifest::{Manifest, PushId};
use super::name::Name;
use super::sums::Hash;
use serde::{Deserialize, Serialize};

/// Before every record: in no UTF-8.
const MAGIC: [u8; 4] = [0xF5, b'R', b'N', 0xA7];
const HEAD_BYTES: usize = 12;
/// Longest record in its frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 256 << 10;
/// Most hashes of one [`Record::Sums`].
pub const SUMS_MAX: usize = 4096;

/// Where a part lies in the holder's directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum Place {
    /// `stage/<push>/`: of no file yet.
    Stage,
    /// `content/`: as the part's owner.
    Content,
    /// `backup/`.
    Backup,
    /// `old/<push>/`: undo is open.
    Old,
    /// `quarantine/`: never a source.
    Quarantine,
}

/// Which part of which content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct PartId {
    /// The push.
    pub push: PushId,
    /// The part, from 1.
    pub part: u16,
}

/// One thing that became true on a holder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Hashes of a part's blocks, before its [`Record::Staged`].
    Sums {
        /// Whose.
        id: PartId,
        /// The first one's block.
        first: u64,
        /// At most [`SUMS_MAX`].
        hashes: Vec<Hash>,
    },
    /// A part's bytes are whole and synced.
    Staged {
        /// Which.
        id: PartId,
        /// The file's name.
        name: Name,
        /// How many parts the file has.
        parts: u16,
        /// Length, in bytes.
        bytes: u64,
        /// Over its blocks' hashes.
        digest: Hash,
        /// Where it goes when the push is committed.
        role: Place,
    },
    /// A push was committed; the encoded manifest ([`Manifest::encode_whole`]).
    Committed(Box<[u8]>),
    /// A part lies elsewhere now.
    Moved {
        /// Which.
        id: PartId,
        /// Where.
        to: Place,
    },
    /// A part is gone, and everything known of it.
    Removed(PartId),
    /// A part was read whole and was right.
    Checked {
        /// Which.
        id: PartId,
        /// Milliseconds since 1970.
        at_ms: u64,
    },
}

impl Record {
    /// The record of a commit.
    pub fn committed(manifest: &Manifest) -> Self {
        Record::Committed(manifest.encode_whole().into())
    }

    /// Appends the record in its frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; HEAD_BYTES - MAGIC.len()]);
        // of plain values into memory: nothing in it can refuse
        *out = postcard::to_extend(self, std::mem::take(out)).unwrap_or_default();
        let length = (out.len().saturating_sub(at + HEAD_BYTES) as u32).to_le_bytes();
        let Some(frame) = out.get_mut(at..) else { return };
        frame[4..8].copy_from_slice(&length);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&length), &frame[HEAD_BYTES..]);
        frame[8..12].copy_from_slice(&crc.to_le_bytes());
    }
}

/// What stands in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// A record, and where its frame begins.
    Record {
        /// Offset in the file.
        at: u64,
        /// The record.
        record: Record,
    },
    /// Bytes that are no record, with a whole one behind them.
    Damaged {
        /// Offset of the first.
        from: u64,
        /// Offset behind the last.
        to: u64,
    },
    /// Bytes that are no record, up to the end of the file.
    Torn {
        /// Offset of the first: what is appended belongs here.
        from: u64,
    },
}

/// Reads a log as its bytes come.
#[derive(Default)]
pub struct Scanner {
    bytes: Vec<u8>,
    /// Offset in the file of the first of `bytes`.
    offset: u64,
    /// How many of `bytes` are read.
    read: usize,
    /// Where bytes that are no record began.
    bad: Option<u64>,
    /// A record that waits for what stood before it to be told.
    next: Option<Found>,
    ended: bool,
}

enum Frame {
    Whole(Record, usize),
    Short,
    Bad,
}

impl Scanner {
    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.offset += self.read as u64;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The file ends here.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// How many bytes it keeps that are not read.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn kept(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// What is known from the bytes so far; after [`Scanner::end`] `None` is the
    /// end.
    pub fn next_found(&mut self) -> Option<Found> {
        if let Some(found) = self.next.take() {
            return Some(found);
        }
        loop {
            let at = self.offset + self.read as u64;
            match frame(&self.bytes[self.read..]) {
                Frame::Whole(record, length) => {
                    self.read += length;
                    let found = Found::Record { at, record };
                    let Some(from) = self.bad.take() else { return Some(found) };
                    self.next = Some(found);
                    return Some(Found::Damaged { from, to: at });
                }
                Frame::Short if !self.ended => return None,
                Frame::Short if self.read == self.bytes.len() => {
                    return self.bad.take().map(|from| Found::Torn { from });
                }
                Frame::Short | Frame::Bad => {
                    self.bad.get_or_insert(at);
                    let rest = &self.bytes[self.read + 1..];
                    let skip = rest.iter().position(|byte| *byte == MAGIC[0]).unwrap_or(rest.len());
                    self.read += 1 + skip;
                }
            }
        }
    }
}

fn frame(bytes: &[u8]) -> Frame {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Frame::Bad;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else { return Frame::Short };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = word(4) as usize;
    if length > FRAME_BYTES_MAX - HEAD_BYTES {
        return Frame::Bad;
    }
    let Some(record) = rest.get(..length) else { return Frame::Short };
    if crc32c::crc32c_append(crc32c::crc32c(&head[4..8]), record) != word(8) {
        return Frame::Bad;
    }
    match postcard::take_from_bytes(record) {
        Ok((record, [])) => Frame::Whole(record, HEAD_BYTES + length),
        _ => Frame::Bad,
    }
}

/// Everything in a log that is at hand as a whole.
pub fn scan(bytes: &[u8]) -> Vec<Found> {
    let mut scanner = Scanner::default();
    scanner.push(bytes);
    scanner.end();
    std::iter::from_fn(|| scanner.next_found()).collect()
}

#[cfg(test)]
mod tests;
