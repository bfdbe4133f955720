use super::super::cuts::{BLOCK_BYTES, Cuts};
use super::super::manifest::tests::manifest;
use super::super::sums::{PartSums, Sums};
use super::*;
use proptest::prelude::*;

/// What is planted into a pull.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bug {
    BelievesEveryList,
    BelievesEveryBlock,
}

/// How a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copy {
    Right,
    /// A bit of the last block is another one, the list is the old one.
    Flipped,
    /// Another content of the same length, with its own list.
    Other,
    /// Empty, under the right name and list.
    Empty,
    Quarantined,
    Absent,
    /// Says what it has, and then nothing more.
    Dies,
    Dead,
}

const COPIES: [Copy; 8] =
    [Copy::Right, Copy::Flipped, Copy::Other, Copy::Empty, Copy::Quarantined, Copy::Absent, Copy::Dies, Copy::Dead];

struct Ring {
    manifest: Manifest,
    content: Vec<u8>,
    copies: BTreeMap<(u16, NodeId), Copy>,
}

impl Ring {
    /// A file of so many bytes on three nodes, the copies of each part as given.
    fn new(size: u64, exact: bool, copies: &[Copy]) -> Self {
        let content: Vec<u8> = (0..size).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
        let mut one = manifest("a", 1, size, &[1, 2, 3]);
        one.cuts = Cuts::new(size, 3, exact);
        let mut sums = Sums::new(one.cuts);
        sums.push(&content, |_| {});
        (one.root, one.digests) = sums.finish().expect("is whole");
        let holders = (1..=3).flat_map(|part| one.holders(part, &members()).into_iter().map(move |node| (part, node)));
        let copies = holders.zip(copies.iter().copied().cycle()).collect();
        Ring { manifest: one, content, copies }
    }

    fn part(&self, part: u16) -> &[u8] {
        let from = self.manifest.cuts.start(part) as usize;
        &self.content[from..from + self.manifest.cuts.bytes(part) as usize]
    }

    fn bytes(&self, part: u16, node: NodeId) -> Vec<u8> {
        let mut bytes = self.part(part).to_vec();
        match self.copies[&(part, node)] {
            Copy::Flipped => bytes.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1),
            Copy::Other => bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
            Copy::Empty => bytes.clear(),
            _ => {}
        }
        bytes
    }

    fn held(&self, part: u16, node: NodeId) -> Option<Held> {
        let listed = match self.copies[&(part, node)] {
            Copy::Other => self.bytes(part, node),
            _ => self.part(part).to_vec(),
        };
        let mut sums = PartSums::new(&self.manifest.cuts, part);
        sums.push(&listed);
        let sums = sums.finish();
        let place = match self.copies[&(part, node)] {
            Copy::Absent => return None,
            Copy::Quarantined => Place::Quarantine,
            _ => Place::Content,
        };
        Some(Held { place, bytes: listed.len() as u64, digest: part_digest(&sums), sums, checked_ms: None })
    }

    /// Whether the part can be read.
    fn is_readable(&self, part: u16) -> bool {
        let copies = self.copies.iter().filter(|((of, _), _)| *of == part);
        self.manifest.cuts.bytes(part) == 0 || copies.into_iter().any(|(_, copy)| *copy == Copy::Right)
    }
}

fn members() -> BTreeSet<NodeId> {
    [1, 2, 3].map(NodeId).into()
}

/// What a client saw of a pull, and what was reported.
fn pull(
    ring: &Ring,
    offset: u64,
    length: u64,
    bug: Option<Bug>,
    rng: &mut impl FnMut(usize) -> usize,
) -> (Vec<u8>, Option<Unavailable>, BTreeSet<Report>) {
    let mut pull = Pull::new(ring.manifest.clone(), &members(), offset, length);
    pull.planted = bug;
    let mut asks: Vec<(u16, NodeId)> = pull.asks().collect();
    let (mut fetches, mut out, mut reports) = (Vec::new(), Vec::new(), BTreeSet::new());
    for step in 0.. {
        assert!(step < 10_000, "it ends");
        reports.extend(pull.reports());
        if let Some(Err(unavailable)) = pull.plan().filter(|_| out.is_empty()) {
            return (out, Some(unavailable), reports);
        }
        if !asks.is_empty() && (fetches.is_empty() || rng(2) == 0) {
            let (part, node) = asks.swap_remove(rng(asks.len()));
            match ring.copies[&(part, node)] {
                Copy::Dead => pull.silent(part, node),
                _ => pull.has(part, node, ring.held(part, node)),
            }
        }
        while let Some(fetch) = pull.wants(AHEAD_MAX) {
            fetches.push(fetch);
            assert!(fetches.len() <= AHEAD_MAX * 2, "bounded");
        }
        if !fetches.is_empty() {
            let fetch: Fetch = fetches.swap_remove(rng(fetches.len()));
            let bytes = ring.bytes(fetch.part, fetch.node);
            let end = bytes.len().min((fetch.offset + fetch.bytes) as usize);
            let bytes = Bytes::copy_from_slice(&bytes[end.min(fetch.offset as usize)..end]);
            match ring.copies[&(fetch.part, fetch.node)] {
                Copy::Dies | Copy::Dead => pull.failed(fetch),
                _ => pull.came(fetch, bytes),
            }
        }
        loop {
            match pull.take() {
                Taken::Bytes(bytes) => out.extend_from_slice(&bytes),
                Taken::Later => break,
                Taken::Done if pull.plan() == Some(Ok(())) || out.len() as u64 >= length.min(1) => {
                    reports.extend(pull.reports());
                    return (out, None, reports);
                }
                Taken::Done => break,
                Taken::Lost(unavailable) => return (out, Some(unavailable), reports),
            }
        }
    }
    unreachable!("steps are counted")
}

fn judge(ring: &Ring, offset: u64, length: u64, bug: Option<Bug>, seed: u64) -> Result<(), String> {
    let mut state = seed | 1;
    let mut rng = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let (out, lost, _) = pull(ring, offset, length, bug, &mut rng);
    let from = (offset as usize).min(ring.content.len());
    let to = (from + length as usize).min(ring.content.len());
    let wanted = &ring.content[from..to];
    if !wanted.starts_with(&out) {
        return Err("a wrong byte".into());
    }
    let needed: BTreeSet<u16> = ring.manifest.cuts.pieces(offset, length).map(|piece| piece.part).collect();
    match lost {
        None if out.len() < wanted.len() => Err("bytes are missing, and nobody says so".into()),
        None => Ok(()),
        Some(lost) if ring.is_readable(lost.part) => Err(format!("part {} could be read", lost.part)),
        Some(lost) if !needed.contains(&lost.part) => Err(format!("part {} is not needed", lost.part)),
        Some(_) => Ok(()),
    }
}

#[test]
fn a_bad_copy_is_replaced_and_reported() {
    let ring = Ring::new(3 * BLOCK_BYTES + 5, false, &[Copy::Flipped, Copy::Right]);
    let (out, lost, reports) = pull(&ring, 0, u64::MAX, None, &mut |_| 0);
    assert_eq!((out == ring.content, lost), (true, None));
    let bad: Vec<(u16, NodeId)> =
        ring.copies.iter().filter(|(_, copy)| **copy == Copy::Flipped).map(|(at, _)| *at).collect();
    let told = reports.iter().filter(|report| report.what == Fault::Bad).map(|report| (report.part, report.node));
    assert_eq!(told.collect::<Vec<_>>(), bad);
}

#[test]
fn a_part_without_a_source_is_an_error_before_the_first_byte() {
    let mut ring = Ring::new(3000, false, &[Copy::Right]);
    for node in ring.manifest.holders(3, &members()) {
        ring.copies.insert((3, node), Copy::Dead);
    }
    let (out, lost, _) = pull(&ring, 0, u64::MAX, None, &mut |_| 0);
    let holders = vec![NodeId(3), NodeId(2)];
    assert_eq!((out.len(), lost), (0, Some(Unavailable { part: 3, parts: 3, holders })));
    let (out, lost, _) = pull(&ring, 0, 2000, None, &mut |_| 0);
    assert_eq!((out.len(), lost), (2000, None), "a range that needs it not is served");
}

/// A part whose last source fell silent ahead of its turn stopped what stands
/// before it, too: neither bytes nor an end.
#[test]
fn what_stands_before_a_lost_part_is_read() {
    let mut ring = Ring::new(7 * BLOCK_BYTES + 1, false, &[Copy::Right]);
    for node in ring.manifest.holders(3, &members()) {
        ring.copies.insert((3, node), Copy::Dies);
    }
    let (out, lost, _) = pull(&ring, 0, u64::MAX, None, &mut |below| below - 1);
    assert_eq!(lost.map(|lost| lost.part), Some(3));
    assert!(out == ring.content[..ring.manifest.cuts.start(3) as usize], "{} bytes", out.len());
}

/// The own copy answers first, and a bad one of it once cut the client off although
/// the other holder had not been heard.
#[test]
fn who_has_not_answered_yet_may_have_it() {
    let ring = Ring::new(30, true, &[Copy::Flipped, Copy::Right]);
    let mut pull = Pull::new(ring.manifest.clone(), &members(), 0, 10);
    let asks: Vec<(u16, NodeId)> = pull.asks().collect();
    assert_eq!(asks.len(), 2, "the owner and a backup of part 1");
    let (bad, right) = match ring.copies[&asks[0]] {
        Copy::Flipped => (asks[0].1, asks[1].1),
        _ => (asks[1].1, asks[0].1),
    };
    pull.has(1, bad, ring.held(1, bad));
    let fetch = pull.wants(AHEAD_MAX).expect("it has a source");
    pull.came(fetch, ring.bytes(1, bad).into());
    assert_eq!(pull.take(), Taken::Later);
    pull.has(1, right, ring.held(1, right));
    let fetch = pull.wants(AHEAD_MAX).expect("another source");
    pull.came(fetch, ring.bytes(1, right).into());
    assert!(matches!(pull.take(), Taken::Bytes(_)));
}

#[test]
fn planted_bugs_are_caught() {
    for (bug, copy) in [
        (Bug::BelievesEveryBlock, Copy::Flipped),
        (Bug::BelievesEveryBlock, Copy::Empty),
        (Bug::BelievesEveryList, Copy::Other),
    ] {
        let ring = Ring::new(3000, false, &[copy, Copy::Right]);
        assert_eq!(judge(&ring, 0, u64::MAX >> 1, None, 1), Ok(()));
        let caught = (0..20).any(|seed| judge(&ring, 0, u64::MAX >> 1, Some(bug), seed).is_err());
        assert!(caught, "{bug:?} with {copy:?} copies is not noticed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn right_bytes_or_an_error(
        size in prop_oneof![8 => 0..5000u64, 1 => 0..3_500_000u64], exact: bool,
        copies in prop::collection::vec(0..COPIES.len(), 6), right in 0..64usize,
        offset in 0..6000u64, whole: bool, length in 0..5000u64, seed: u64,
    ) {
        let copies: Vec<Copy> =
            copies.iter().enumerate().map(|(at, copy)| if right >> at & 1 == 1 { Copy::Right } else { COPIES[*copy] }).collect();
        let ring = Ring::new(size, exact, &copies);
        let (offset, length) = if whole { (0, u64::MAX >> 1) } else { (offset, length) };
        prop_assert_eq!(judge(&ring, offset, length, None, seed), Ok(()));
    }
}
