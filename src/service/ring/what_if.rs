//! What would be unreadable if some nodes were down.
//!
//! **Guarantee.** The answer is right as far as every copy is where it belongs;
//! copies that are known to be missing are told with `lacks`.

use super::manifest::{Manifest, State};
use crate::id::NodeId;
use std::collections::BTreeSet;

/// What would become of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Parts without a copy on a node that is up.
    pub unreadable: Vec<u16>,
    /// Parts with one, but fewer than there should be.
    pub degraded: Vec<u16>,
}

impl Outcome {
    /// Whether the whole file can be read.
    pub fn is_readable(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// Whether there are as many copies as there should be.
    pub fn is_whole(&self) -> bool {
        self.is_readable() && self.degraded.is_empty()
    }
}

/// What becomes of a file of these members if the nodes of `down` are.
pub fn outcome(
    file: &Manifest,
    members: &BTreeSet<NodeId>,
    down: &BTreeSet<NodeId>,
    lacks: impl Fn(u16, NodeId) -> bool,
) -> Outcome {
    let (mut unreadable, mut degraded) = (Vec::new(), Vec::new());
    for part in 1..=file.cuts.parts() {
        let holders = file.holders(part, members);
        let up = holders.iter().filter(|node| !down.contains(node) && !lacks(part, **node)).count();
        if up == 0 {
            unreadable.push(part);
        } else if up < usize::from(file.copies.max(1)) {
            degraded.push(part);
        }
    }
    Outcome { unreadable, degraded }
}

/// The same over many files, counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Files that were asked for.
    pub files: u64,
    /// Files that could not be read.
    pub unreadable: u64,
    /// Their bytes.
    pub unreadable_bytes: u64,
    /// Files that could be read, with fewer copies than there should be.
    pub degraded: u64,
}

impl Tally {
    /// Counts one more file; a deleted one is none.
    pub fn add(&mut self, file: &Manifest, outcome: &Outcome) {
        if file.state != State::Live {
            return;
        }
        self.files += 1;
        if !outcome.is_readable() {
            self.unreadable += 1;
            self.unreadable_bytes += file.cuts.size();
        } else if !outcome.is_whole() {
            self.degraded += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::*;
    use proptest::prelude::*;

    fn set(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn if_down(down: &[u64]) -> Outcome {
        outcome(&manifest("a", 1, 10, &[0, 1, 2, 3, 4]), &set(&[0, 1, 2, 3, 4]), &set(down), |_, _| false)
    }

    #[test]
    fn one_down_loses_nothing_two_adjacent_lose_a_part() {
        assert!(if_down(&[]).is_whole());
        let one = if_down(&[2]);
        assert!(one.is_readable() && !one.is_whole());
        assert_eq!(one.degraded, [3, 4], "its own, and the one it backs up");
        assert!(if_down(&[1, 3]).is_readable());
        assert_eq!(if_down(&[1, 2]).unreadable, [3]);
        assert_eq!(if_down(&[0, 4]).unreadable, [1]);
        assert_eq!(if_down(&[0, 1, 2, 3, 4]).unreadable, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_copy_that_is_missing_is_none() {
        let file = manifest("a", 1, 10, &[0, 1, 2]);
        let lacks = |part, node| part == 2 && node == NodeId(0);
        let found = outcome(&file, &set(&[0, 1, 2]), &set(&[1]), lacks);
        assert_eq!((found.unreadable, found.degraded), (vec![2], vec![3]));
        assert_eq!(outcome(&file, &set(&[0, 1, 2]), &set(&[]), lacks).degraded, [2]);
    }

    #[test]
    fn files_are_counted() {
        let members = set(&[0, 1, 2]);
        let mut tally = Tally::default();
        for (name, slots) in [("a", vec![0u64]), ("b", vec![1]), ("c", vec![2, 0])] {
            let file = manifest(name, 1, 10, &slots);
            tally.add(&file, &outcome(&file, &members, &set(&[0]), |_, _| false));
        }
        let mut gone = manifest("d", 1, 10, &[0]);
        gone.state = State::Deleted { until_ms: 5 };
        tally.add(&gone, &outcome(&gone, &members, &set(&[0]), |_, _| false));
        // b lies on one node although two copies are asked for
        assert_eq!(tally, Tally { files: 3, unreadable: 1, unreadable_bytes: 10, degraded: 2 });
    }

    proptest! {
        #[test]
        fn more_down_is_never_better(slots in 1..8usize, down in 0..256u64, more in 0..8u64, copies in 1..4u8) {
            let ids: Vec<u64> = (0..slots as u64).collect();
            let mut file = manifest("a", 1, 10, &ids);
            file.copies = copies;
            let down: BTreeSet<NodeId> = ids.iter().filter(|id| down >> **id & 1 == 1).copied().map(NodeId).collect();
            let worse = down.iter().copied().chain([NodeId(more)]).collect();
            let (a, b) = (outcome(&file, &set(&ids), &down, |_, _| false), outcome(&file, &set(&ids), &worse, |_, _| false));
            prop_assert!(a.unreadable.iter().all(|part| b.unreadable.contains(part)));
            let few = down.len() < usize::from(copies).min(slots);
            prop_assert!(!few || a.is_readable(), "fewer down than there are copies");
        }
    }
}
