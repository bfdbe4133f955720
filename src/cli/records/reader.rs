//! Reads a life's history back, as far as it goes.

use super::{RECORD_BYTES_MAX, Record};
use std::io::{self, Read};
use thiserror::Error;

/// How a file of records ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a whole record.
    Whole,
    /// In the middle of a record: the life was killed while it wrote.
    Torn,
}

/// Why a history cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A whole frame does not hold what was written.
    #[error("damaged at byte {at}: {what}")]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Hands every whole record of `input` to `each`, in order.
///
/// # Errors
/// See [`ReadError`]; records before the error were handed over.
pub(crate) fn read(mut input: impl Read, mut each: impl FnMut(Record)) -> Result<Tail, ReadError> {
    let mut body = Vec::new();
    let mut at = 0u64;
    loop {
        let mut head = [0; 8];
        match fill(&mut input, &mut head)? {
            0 => return Ok(Tail::Whole),
            8 => {}
            _ => return Ok(Tail::Torn),
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        if length > RECORD_BYTES_MAX {
            return Err(ReadError::Damaged { at, what: "a length that no record has" });
        }
        body.resize(length, 0);
        if fill(&mut input, &mut body)? < length {
            return Ok(Tail::Torn);
        }
        if crc32c::crc32c(&body) != crc {
            return Err(ReadError::Damaged { at, what: "a checksum that does not match" });
        }
        match postcard::from_bytes(&body) {
            Ok(record) => each(record),
            Err(_) => return Err(ReadError::Damaged { at, what: "no record of this format" }),
        }
        at += 8 + length as u64;
    }
}

/// Reads until `buffer` is full or the input ends: how many bytes came.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::super::writer::frame;
    use super::*;
    use crate::cli::records::{Delivered, Recorder, file_of, header};
    use crate::id::{Life, NodeId};
    use crate::protocol::delivery::Delivery;

    fn all(bytes: &[u8]) -> (Vec<Record>, Result<Tail, ReadError>) {
        let mut records = Vec::new();
        let tail = read(bytes, |record| records.push(record));
        (records, tail)
    }

    #[test]
    fn what_was_recorded_is_read_and_a_second_life_never_appends() {
        let dir = std::env::temp_dir().join(format!("nodewright-records-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let life = Life::new(NodeId(7), 3);
        let path = file_of(&dir, "alpha", life);
        let first = header(life, "alpha", Delivery::UniformCausal);
        let recorder = Recorder::create(&path, &first).unwrap();
        let delivered = Delivered { origin: life, batch: 1, index: 0, payload: Some((life, 1)) };
        for record in [Record::Broadcast { n: 1 }, Record::Delivered(delivered), Record::End] {
            recorder.append(&record);
        }
        recorder.flush().unwrap();
        let (records, tail) = all(&std::fs::read(&path).unwrap());
        assert_eq!(records, [first.clone(), Record::Broadcast { n: 1 }, Record::Delivered(delivered), Record::End]);
        assert_eq!(tail.unwrap(), Tail::Whole);
        assert!(Recorder::create(&path, &first).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn every_cut_is_a_torn_tail_and_every_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        let records: Vec<_> = (1..=3).map(|n| Record::Broadcast { n }).collect();
        let mut ends = vec![0];
        for record in &records {
            frame(&mut bytes, record);
            ends.push(bytes.len());
        }
        for cut in 0..bytes.len() {
            let (read, tail) = all(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(read, records[..whole]);
            assert_eq!(tail.unwrap(), if ends.contains(&cut) { Tail::Whole } else { Tail::Torn });
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (read, tail) = all(&flipped);
            assert!(tail.is_err() || matches!(tail, Ok(Tail::Torn)) || read != records, "bit {bit} went unseen");
            assert!(read.len() < records.len() || read != records);
        }
    }
}
