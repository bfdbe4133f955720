//! A crash leaves what was synced, and of the rest what some of its writes
//! explain.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Unsynced writes of a file at most: all that they explain is tried.
const UNSYNCED_MAX: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    WriteAt(u64, usize),
    Allocate(u64),
    Sync,
}

impl Step {
    /// The operation, whose bytes tell which step wrote them.
    fn op(&self, number: usize) -> DiskOp {
        let name = NAME.to_owned();
        let bytes = |length: usize| Bytes::from(vec![number as u8 + 1; length]);
        match *self {
            Step::Append(length) => DiskOp::Append { name, bytes: bytes(length) },
            Step::WriteAt(offset, length) => DiskOp::WriteAt { name, offset, bytes: bytes(length) },
            Step::Allocate(bytes) => DiskOp::Allocate { name, bytes },
            Step::Sync => DiskOp::Sync { name },
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![8 => 1usize..24, 1 => 500usize..1300];
    prop_oneof![
        4 => length().prop_map(Step::Append),
        3 => (0u64..60, length()).prop_map(|(offset, length)| Step::WriteAt(offset, length)),
        1 => (0u64..80).prop_map(Step::Allocate),
        2 => Just(Step::Sync),
    ]
}

/// A plain file: a write as (offset, bytes), a length without bytes.
#[derive(Clone)]
enum Plain {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

fn written(mut content: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    if !bytes.is_empty() {
        content.resize(content.len().max(offset + bytes.len()), 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    content
}

fn applied(content: Vec<u8>, write: &Plain) -> Vec<u8> {
    match write {
        Plain::Bytes(offset, bytes) => written(content, *offset, bytes),
        Plain::Length(length) => {
            let mut content = content;
            content.resize(*length, 0);
            content
        }
    }
}

/// Where a write of bytes ends.
fn end(write: &Plain) -> Option<usize> {
    match write {
        Plain::Bytes(offset, bytes) => Some(offset + bytes.len()),
        Plain::Length(_) => None,
    }
}

/// All that a lost write can leave: nothing, or its length.
fn without(content: Vec<u8>, write: &Plain) -> Vec<Vec<u8>> {
    let mut longer = content.clone();
    longer.resize(content.len().max(end(write).unwrap_or(0)), 0);
    vec![content, longer]
}

/// Whether `part` is a torn write of `bytes` over `content`: up to a byte, or
/// any of its sectors.
fn is_torn(content: &[u8], offset: usize, bytes: &[u8], part: &[u8]) -> bool {
    if (1..bytes.len()).any(|cut| written(content.to_vec(), offset, &bytes[..cut]) == part) {
        return true;
    }
    let (first, last) = (offset / 512, (offset + bytes.len() - 1) / 512);
    (1..1u32 << (last - first + 1)).any(|mask| {
        let kept = (first..=last).filter(|sector| mask >> (sector - first) & 1 == 1);
        let torn = kept.fold(content.to_vec(), |content, sector| {
            let from = (sector * 512).max(offset);
            let to = (sector * 512 + 512).min(offset + bytes.len());
            written(content, from, &bytes[from - offset..to - offset])
        });
        torn == part
    })
}

/// Whether some fate of the writes in `rest` leads from `content` to `found`.
fn explains(content: Vec<u8>, rest: &[Plain], found: &[u8]) -> bool {
    let Some((write, rest)) = rest.split_first() else { return content == found };
    // the last one that is left may be torn: after it, all are lost
    let ends: Vec<usize> = rest.iter().filter_map(end).collect();
    let torn = matches!(write, Plain::Bytes(offset, bytes) if (0..=found.len()).any(|cut| {
        (cut == found.len() || ends.contains(&found.len()))
            && found[cut..].iter().all(|byte| *byte == 0)
            && is_torn(&content, *offset, bytes, &found[..cut])
    }));
    torn || explains(applied(content.clone(), write), rest, found)
        || without(content, write).into_iter().any(|content| explains(content, rest, found))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_is_explained_by_some_of_the_unsynced_writes(
        steps in prop::collection::vec(step(), 1..14),
        seed in any::<u64>(),
    ) {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"");
        sync_dir(&mut disk, "");
        let (mut synced, mut seen, mut unsynced) = (Vec::new(), Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let step = if unsynced.len() == UNSYNCED_MAX { Step::Sync } else { step };
            ok(&mut disk, step.op(number));
            let byte = number as u8 + 1;
            let write = match step {
                Step::Append(length) => Plain::Bytes(seen.len(), vec![byte; length]),
                Step::WriteAt(offset, length) => Plain::Bytes(offset as usize, vec![byte; length]),
                Step::Allocate(length) => Plain::Length(length as usize),
                Step::Sync => {
                    synced.clone_from(&seen);
                    unsynced.clear();
                    continue;
                }
            };
            seen = applied(seen, &write);
            unsynced.push(write);
        }
        prop_assert_eq!(read(&mut disk, NAME).expect("its name is durable"), &seen[..]);
        crash(&mut disk, &crashes(), seed);
        let found = read(&mut disk, NAME).expect("its name is durable");
        prop_assert!(explains(synced, &unsynced, &found), "{} unsynced: {found:?}", unsynced.len());
    }
}

/// What a crash leaves of three unsynced writes, over many seeds.
fn outcomes(faults: &DiskFaults) -> (BTreeSet<Vec<u8>>, Loss) {
    let (mut outcomes, mut losses) = (BTreeSet::new(), Loss::default());
    for seed in 0..300 {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"ab");
        sync(&mut disk, NAME);
        sync_dir(&mut disk, "");
        for bytes in [b"cd", b"ef", b"gh"] {
            append(&mut disk, NAME, bytes);
        }
        let loss = crash(&mut disk, faults, seed);
        losses.writes += loss.writes;
        losses.torn += loss.torn;
        losses.reordered += loss.reordered;
        outcomes.insert(read(&mut disk, NAME).expect("its name is durable").to_vec());
    }
    (outcomes, losses)
}

#[test]
fn without_faults_a_crash_leaves_what_was_synced_and_no_more() {
    let (outcomes, losses) = outcomes(&DiskFaults::none());
    assert_eq!(outcomes, BTreeSet::from([b"ab".to_vec()]));
    assert_eq!((losses.writes, losses.torn, losses.reordered), (900, 0, 0));
}

#[test]
fn what_is_spared_in_order_is_a_beginning_or_zeros() {
    let (outcomes, losses) = outcomes(&DiskFaults { spared: 0.9, ..DiskFaults::none() });
    let beginnings = ["ab", "abcd", "abcdef", "abcdefgh"];
    assert!(beginnings.iter().all(|text| outcomes.contains(text.as_bytes())), "{outcomes:?}");
    for outcome in &outcomes {
        let text = outcome.iter().position(|byte| *byte == 0).map_or(&outcome[..], |zeros| &outcome[..zeros]);
        assert!(beginnings.iter().any(|whole| text == whole.as_bytes()), "{outcome:?}");
        assert!(outcome[text.len()..].iter().all(|byte| *byte == 0), "{outcome:?}");
    }
    assert_eq!((losses.torn, losses.reordered), (0, 0));
}

#[test]
fn writes_are_lost_torn_and_reordered() {
    let (outcomes, losses) = outcomes(&crashes());
    for expected in ["abc", "abcde", "ab\0\0ef", "ab\0\0\0\0gh", "abcd\0\0g", "abcdef\0\0"] {
        assert!(outcomes.contains(expected.as_bytes()), "no {expected:?} in {outcomes:?}");
    }
    assert!(losses.torn > 0 && losses.reordered > 0, "{losses:?}");
}

#[test]
fn a_write_of_many_sectors_is_torn_in_the_middle_too() {
    let hole = (0..100).any(|seed| {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"");
        sync_dir(&mut disk, "");
        append(&mut disk, NAME, &[7; 2048]);
        crash(&mut disk, &DiskFaults { spared: 1.0, torn: 1.0, ..DiskFaults::none() }, seed);
        let found = read(&mut disk, NAME).expect("its name is durable");
        let sectors: Vec<bool> = found.chunks(512).map(|sector| sector == [7; 512]).collect();
        sectors == [false, true, true, true] || sectors == [true, false, true, true]
    });
    assert!(hole, "every torn write was a beginning");
}
