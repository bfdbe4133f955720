//! What strangers can write to a ring: lines, files of disks, values of the map.
//!
//! ```text
//!   [chunk][text protocol, or a log of parts, or a manifest, or a netmap]
//! ```

use super::manifest::Manifest;
use super::netmap::Netmap;
use super::parts_log::{FRAME_BYTES_MAX, Found, Scanner, scan};
use super::text::{HEADER_BYTES_MAX, Heard, Reader, Request, parse};
use bytes::Bytes;

/// Any bytes are requests, records and values, or are refused, and the same
/// however they are cut.
pub(crate) fn ring(input: &[u8]) {
    let (chunk, input) = input.split_first().map_or((1, input), |(chunk, rest)| (usize::from(*chunk).max(1), rest));
    let at_once = connection(input, input.len().max(1), false);
    assert_eq!(connection(input, chunk, false), at_once, "cut at {chunk}");
    for heard in &at_once {
        match heard {
            Heard::Request(request) => printed(request),
            Heard::Refused(refused) => assert!(!refused.text.is_empty(), "says what is wrong"),
            Heard::Body(_) | Heard::BodyEnds => {}
        }
    }
    let found = scan(input);
    assert_eq!(log(input, chunk), found, "cut at {chunk}");
    records(&found);
    if let Ok(manifest) = Manifest::decode_whole(input) {
        assert_eq!(Manifest::decode_whole(&manifest.encode_whole()), Ok(manifest));
    }
    if let Ok(map) = Netmap::from_entries(&String::from_utf8_lossy(input)) {
        assert_eq!(Netmap::from_entries(&map.entries()), Ok(map));
    }
}

/// All that a connection says, bodies joined; `forgetful` begins anew with each
/// chunk.
fn connection(input: &[u8], chunk: usize, forgetful: bool) -> Vec<Heard> {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    let take = |all: &mut Vec<Heard>, heard| match (all.last_mut(), heard) {
        (Some(Heard::Body(body)), Heard::Body(more)) => *body = [&body[..], &more[..]].concat().into(),
        (_, heard) => all.push(heard),
    };
    for bytes in input.chunks(chunk) {
        let mut bytes = Bytes::copy_from_slice(bytes);
        while let Some(heard) = reader.read(&mut bytes) {
            take(&mut all, heard);
        }
        assert!(bytes.is_empty(), "everything is used up");
        assert!(reader.kept() < HEADER_BYTES_MAX, "less than a line is kept");
        if forgetful {
            reader = Reader::default();
        }
    }
    reader.end().into_iter().for_each(|heard| take(&mut all, heard));
    all
}

/// A request reads as it is printed, and what it names is a plain file.
fn printed(request: &Request) {
    let line = request.to_string();
    assert_eq!(parse(line.as_bytes()).as_ref(), Ok(request), "{line}");
    if let Request::Push { name, .. } | Request::Pull(name) = request {
        let file = name.part_file(1, 1);
        assert!(!file.contains('/') && !file.starts_with('.') && file.len() <= 254, "{file}");
    }
}

fn log(input: &[u8], chunk: usize) -> Vec<Found> {
    let (mut scanner, mut found) = (Scanner::default(), Vec::new());
    for bytes in input.chunks(chunk) {
        scanner.push(bytes);
        found.extend(std::iter::from_fn(|| scanner.next_found()));
        assert!(scanner.kept() <= FRAME_BYTES_MAX + chunk, "one record is kept");
    }
    scanner.end();
    found.extend(std::iter::from_fn(|| scanner.next_found()));
    found
}

/// What was found stands in order, and records are written as they are read.
fn records(found: &[Found]) {
    let mut end = 0;
    for found in found {
        match found {
            Found::Record { at, record } => {
                assert!(*at >= end);
                let mut bytes = Vec::new();
                record.put(&mut bytes);
                end = at + 1;
                assert_eq!(scan(&bytes), [Found::Record { at: 0, record: record.clone() }]);
            }
            Found::Damaged { from, to } => {
                assert!(end <= *from && from < to);
                end = *to;
            }
            Found::Torn { from } => assert!(end <= *from),
        }
    }
}

/// Bodies with bugs that the kept corpus must catch.
#[cfg(test)]
pub(crate) mod planted {
    use super::*;

    /// A line that comes in two chunks is two.
    pub(crate) fn forgets_half_a_line(input: &[u8]) {
        let (chunk, input) = input.split_first().expect("is not empty");
        let at_once = connection(input, input.len().max(1), false);
        assert_eq!(connection(input, usize::from(*chunk).max(1), true), at_once);
    }

    /// A log ends where a record is damaged.
    pub(crate) fn stops_at_damage(input: &[u8]) {
        let whole = |found: &[Found]| found.iter().filter(|found| matches!(found, Found::Record { .. })).count();
        let found = scan(&input[1..]);
        let until = found.iter().position(|found| !matches!(found, Found::Record { .. })).unwrap_or(found.len());
        assert_eq!(whole(&found), whole(&found[..until]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::super::parts_log::{PartId, Record};

    /// Writes the binary inputs of the corpus; run by hand when a format changes.
    #[test]
    #[ignore = "writes to tests/corpus"]
    fn write_the_corpus() {
        let dir = std::path::PathBuf::from(std::env::var("CORPUS").expect("names the folder"));
        let one = manifest("a b", 2, 10, &[1, 2, 3]);
        let mut log = vec![5];
        Record::committed(&one).put(&mut log);
        let first = log.len();
        Record::Removed(PartId { push: one.push, part: 1 }).put(&mut log);
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("is written");
        write("log", &log);
        write("log_torn", &log[..log.len() - 3]);
        let mut damaged = log.clone();
        damaged[first / 2] ^= 4;
        write("log_damaged", &damaged);
        write("log_long", &[&[9, 0xF5, b'R', b'N', 0xA7, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0][..], &log[1..]].concat());
        write("manifest", &[&[3][..], &one.encode_whole()].concat());
    }
}
