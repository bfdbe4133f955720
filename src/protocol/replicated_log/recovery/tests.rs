//! What is written is found again, whatever happens to the tail.

use super::*;
use crate::component::{DiskOp, Token};
use crate::protocol::replicated_log::engine::normal;
use crate::protocol::replicated_log::snapshot::Conf;
use crate::protocol::replicated_log::wal::{Wal, number};
use proptest::prelude::*;

const REPLICA: u64 = 7;

/// Files as the log's writes leave them, all of them durable.
#[derive(Default, Clone)]
struct Files {
    segments: BTreeMap<u64, Vec<u8>>,
    operations: u64,
    /// Where the last write began.
    written_at: usize,
}

impl Files {
    fn perform(&mut self, op: DiskOp) -> Token {
        let segment = |name: &str| number(name.rsplit_once('/').expect("in a directory").1).expect("a segment");
        match op {
            DiskOp::Allocate { name, bytes } => {
                self.segments.entry(segment(&name)).or_default().resize(bytes as usize, 0)
            }
            DiskOp::WriteAt { name, offset, bytes } => {
                let file = self.segments.entry(segment(&name)).or_default();
                self.written_at = offset as usize;
                let end = offset as usize + bytes.len();
                file.resize(file.len().max(end), 0);
                file[offset as usize..end].copy_from_slice(&bytes);
            }
            DiskOp::Remove { name } => drop(self.segments.remove(&segment(&name))),
            _ => {}
        }
        self.operations += 1;
        Token(self.operations)
    }

    fn recover(&self) -> Result<Option<Recovered>, String> {
        let conf = Conf { voters: vec![REPLICA], ..Conf::default() };
        let segments = self.segments.iter().map(|(number, bytes)| (*number, File::from(bytes.clone()))).collect();
        recover(REPLICA, &segments, vec![(Meta { index: 1, term: 1, conf }, vec![])])
    }
}

/// A log of `count` entries, a batch each, in segments of `segment_bytes`.
fn written(count: u64, segment_bytes: u64) -> Files {
    let mut files = Files::default();
    let mut wal = Wal::new(REPLICA, segment_bytes, vec![], Hard::default());
    wal.begin(1, Header::default(), vec![], vec![], &mut |op| files.perform(op));
    let token = Token(files.operations);
    wal.done(token, &mut |op| files.perform(op));
    for n in 0..count {
        wal.push(Record::Hard(Hard { term: 3, vote: 7, commit: 1 + n }), false);
        wal.push(Record::Entry(normal(3, 2 + n, b"an entry's payload of some length")), true);
        wal.write(&mut |op| files.perform(op));
        let token = Token(files.operations);
        assert!(wal.done(token, &mut |op| files.perform(op)));
    }
    assert_eq!(wal.durable(), 2 * count);
    files
}

fn indexes(recovered: &Recovered) -> Vec<u64> {
    recovered.entries.iter().map(|entry| entry.index).collect()
}

#[test]
fn all_of_it_is_found_in_however_many_segments() {
    for segment_bytes in [1 << 20, 1000, 300] {
        let recovered = written(20, segment_bytes).recover().expect("sound").expect("there");
        assert_eq!(indexes(&recovered), (2..22).collect::<Vec<_>>());
        assert_eq!(recovered.hard, Hard { term: 3, vote: 7, commit: 20 });
        assert!(!recovered.torn);
    }
}

#[test]
fn what_a_life_writes_again_is_found_by_the_next_and_the_one_after() {
    let mut files = written(5, 1000);
    for _ in 0..4 {
        let Recovered { next, header, rewrite, live, dead, hard, .. } = files.recover().expect("sound").expect("there");
        let mut wal = Wal::new(REPLICA, 1000, live, hard);
        wal.begin(next, header, rewrite, dead, &mut |op| files.perform(op));
        let token = Token(files.operations);
        wal.done(token, &mut |op| files.perform(op));
        assert_eq!(indexes(&files.recover().expect("sound").expect("there")), [2, 3, 4, 5, 6]);
    }
}

#[test]
fn no_log_is_no_replica_and_a_lost_one_is_told() {
    assert_eq!(recover(REPLICA, &BTreeMap::new(), vec![]), Ok(None));
    assert!(Files::default().recover().is_err(), "a snapshot without a log");
    let mut files = written(20, 300);
    let middle = *files.segments.keys().nth(3).expect("many segments");
    files.segments.remove(&middle);
    assert!(files.recover().is_err(), "a segment in the middle");
}

proptest! {
    /// Damage behind the last mark is a torn tail: what is before it is there.
    /// Damage before it is corruption, and is told.
    #[test]
    fn a_torn_tail_is_cut_off_and_corruption_is_told(
        count in 1u64..12, small in any::<bool>(), at in 0.0f64..1.0, bit in 0u32..8,
    ) {
        let segment_bytes = if small { 400 } else { 4096 };
        let mut files = written(count, segment_bytes);
        let ended = files.written_at;
        let bytes = files.segments.values_mut().next_back().expect("one");
        let used = bytes.iter().rposition(|byte| *byte != 0).expect("a record") + 1;
        let at = (at * used as f64) as usize;
        bytes[at] ^= 1 << bit;
        match files.recover() {
            Ok(Some(recovered)) => {
                prop_assert!(at >= ended, "damage at {at} before {ended} went unnoticed");
                prop_assert!(recovered.torn || recovered.dead.len() == 1);
                let kept = indexes(&recovered);
                prop_assert!(kept.len() as u64 >= count - 1, "{kept:?} of {count}");
            }
            Ok(None) => prop_assert!(false, "all is lost"),
            Err(_) => prop_assert!(at < ended),
        }
    }

    /// Whatever is in the files, nothing panics.
    #[test]
    fn junk_is_no_log(junk in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..600) {
        let mut files = written(8, 400);
        let bytes = files.segments.values_mut().next_back().expect("one");
        for (n, byte) in junk.iter().enumerate() {
            if let Some(place) = bytes.get_mut(at + n) {
                *place = *byte;
            }
        }
        let _ = files.recover();
    }
}
