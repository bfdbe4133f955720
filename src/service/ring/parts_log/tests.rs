use super::super::manifest::tests::manifest;
use super::*;
use crate::id::{Life, NodeId};
use proptest::prelude::*;

fn id(number: u64, part: u16) -> PartId {
    PartId { push: PushId { life: Life::new(NodeId(3), 9), number }, part }
}

fn staged(number: u64) -> Record {
    let name = Name::from_bytes(b"a b").expect("is taken");
    Record::Staged { id: id(number, 1), name, parts: 3, bytes: 77, digest: [7; 32], role: Place::Content }
}

fn records() -> Vec<Record> {
    vec![
        Record::Sums { id: id(1, 1), first: 0, hashes: vec![[1; 32], [0xF5; 32]] },
        staged(1),
        Record::committed(&manifest("a", 1, 10, &[1, 2, 3])),
        Record::Moved { id: id(1, 1), to: Place::Content },
        Record::Checked { id: id(1, 1), at_ms: u64::MAX },
        Record::Removed(id(1, 1)),
    ]
}

fn log(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut starts) = (Vec::new(), Vec::new());
    for record in records {
        starts.push(out.len());
        record.put(&mut out);
    }
    (out, starts)
}

fn only_records(found: &[Found]) -> Vec<Record> {
    let records = found.iter().filter_map(|found| match found {
        Found::Record { record, .. } => Some(record.clone()),
        _ => None,
    });
    records.collect()
}

#[test]
fn what_is_written_is_read() {
    let (bytes, starts) = log(&records());
    let found = scan(&bytes);
    assert_eq!(only_records(&found), records());
    let at = |found: &Found| matches!(found, Found::Record { at, .. } if starts.contains(&(*at as usize)));
    assert!(found.iter().all(at), "{found:?}");
    assert_eq!(scan(&[]), []);
}

/// The longest record fits in a frame.
#[test]
fn the_longest_is_taken() {
    let mut bytes = Vec::new();
    Record::Sums { id: id(1, 1), first: 0, hashes: vec![[9; 32]; SUMS_MAX] }.put(&mut bytes);
    assert!(bytes.len() <= FRAME_BYTES_MAX);
    assert_eq!(scan(&bytes).len(), 1);
}

#[test]
fn a_tail_that_is_torn_anywhere_costs_only_itself() {
    let (bytes, starts) = log(&records());
    for cut in 0..bytes.len() {
        for zeros in [0, 30] {
            // a record's last bytes may be zeros themselves
            let there = |end: usize| end <= cut || zeros > 0 && bytes[cut..end].iter().all(|byte| *byte == 0);
            let whole = starts.iter().skip(1).filter(|end| there(**end)).count();
            let mut torn = bytes[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            let found = scan(&torn);
            assert_eq!(only_records(&found), records()[..whole], "cut at {cut}");
            match found.last() {
                Some(Found::Torn { from }) => assert_eq!(*from, starts[whole] as u64, "cut at {cut}"),
                _ => assert!(starts.contains(&cut) && zeros == 0, "cut at {cut}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_costs_one_record() {
    let (bytes, starts) = log(&records());
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let hit = starts.iter().filter(|start| **start <= bit / 8).count() - 1;
        let found = scan(&flipped);
        let mut others = records();
        others.remove(hit);
        assert_eq!(only_records(&found), others, "bit {bit}");
        let from = starts[hit] as u64;
        let told = match starts.get(hit + 1) {
            Some(to) => Found::Damaged { from, to: *to as u64 },
            None => Found::Torn { from },
        };
        assert!(found.contains(&told), "bit {bit}: {found:?}");
    }
}

#[test]
fn a_length_is_not_believed() {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[0xFF; 8]);
    let at = bytes.len() as u64;
    staged(1).put(&mut bytes);
    assert_eq!(scan(&bytes), [Found::Damaged { from: 0, to: at }, Found::Record { at, record: staged(1) }]);
}

proptest! {
    #[test]
    fn however_it_comes(junk in prop::collection::vec(any::<u8>(), 0..40), chunk in 1..50usize, cut in 0..900usize) {
        let mut bytes = log(&records()).0;
        let at = cut.min(bytes.len());
        bytes.splice(at..at, junk);
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        for bytes in bytes.chunks(chunk) {
            scanner.push(bytes);
            found.extend(std::iter::from_fn(|| scanner.next_found()));
        }
        scanner.end();
        found.extend(std::iter::from_fn(|| scanner.next_found()));
        prop_assert_eq!(found, scan(&bytes));
    }
}
