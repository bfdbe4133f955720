//! Where the copies of a part belong: the frozen ring of its file.
//!
//! **Idea.** A file remembers the ring as it was when it was pushed: its *slots*,
//! nodes in ring order from the entry node on. Part k belongs to slot k, its backups
//! to the slots before it. Where a slot's node has left, the next one takes its
//! part, as in successor lists (Stoica et al., *Chord*, SIGCOMM 2001, section 5.2),
//! but on this file's own slots: whoever joined later is never asked for what he
//! cannot have.
//!
//! **Guarantee.** Among slots and members that do not change, the answer does not.
//! A join changes nothing. A leave adds at most one holder to a part, and only to
//! parts that the leaver held. A node that is down has not left: membership
//! changes by decision alone.

use crate::id::NodeId;
use std::collections::BTreeSet;

/// Most slots of one file: a manifest has a digest for each and stays short. In a
/// longer ring a file lies on so many nodes from its entry on.
pub const SLOTS_MAX: usize = 20;

/// Who holds a part: the owner first, then the backups, the nearest first. Fewer
/// than `copies` where fewer of the slots' nodes are members, none where none is.
///
/// `part` counts from 1.
pub fn place(slots: &[NodeId], part: u16, copies: u8, members: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let count = slots.len();
    let Some(own) = usize::from(part).checked_sub(1).filter(|own| *own < count) else { return Vec::new() };
    let is_member = |node: &&NodeId| members.contains(*node);
    let mut forward = (own..own + count).map(|slot| &slots[slot % count]);
    let mut holders: Vec<NodeId> = forward.find(is_member).copied().into_iter().collect();
    for node in (1..count).map(|back| &slots[(own + count - back) % count]).filter(is_member) {
        if holders.len() >= usize::from(copies.max(1)) {
            break;
        }
        if !holders.contains(node) {
            holders.push(*node);
        }
    }
    holders
}

/// The slots of a new file: the nodes of `ring` that `can_take` it, in order from
/// `entry` on, at most `most`. An entry node that takes nothing itself is the place
/// where counting begins all the same; one that is not in the ring counts as
/// before its first.
pub fn slots(ring: &[NodeId], entry: NodeId, most: u16, can_take: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let from = ring.iter().position(|node| *node == entry).unwrap_or(0);
    let most = usize::from(most).min(SLOTS_MAX);
    let around = ring[from..].iter().chain(&ring[..from]).copied();
    around.filter(|node| can_take(*node)).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn the_table() {
        // slots, members, part, copies -> owner, backups
        type Row<'a> = (&'a [u64], &'a [u64], u16, u8, &'a [u64]);
        let rows: [Row<'_>; 24] = [
            // all there: the k-th node from the start, and its predecessor
            (&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4], 1, 2, &[0, 4]),
            (&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4], 2, 2, &[1, 0]),
            (&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4], 5, 2, &[4, 3]),
            (&[2, 3, 4, 0, 1], &[0, 1, 2, 3, 4], 1, 2, &[2, 1]),
            (&[2, 3, 4, 0, 1], &[0, 1, 2, 3, 4], 4, 3, &[0, 4, 3]),
            (&[0, 1, 2], &[0, 1, 2], 2, 1, &[1]),
            (&[0, 1, 2], &[0, 1, 2], 2, 0, &[1]),
            (&[0, 1, 2], &[0, 1, 2], 2, 9, &[1, 0, 2]),
            // who joined later is never named, wherever it stands in today's ring
            (&[0, 2, 4], &[0, 1, 2, 3, 4, 5], 2, 2, &[2, 0]),
            // the owner left: the next slot takes its part
            (&[0, 1, 2, 3, 4], &[0, 2, 3, 4], 2, 2, &[2, 0]),
            (&[0, 1, 2, 3, 4], &[0, 1, 2, 3], 5, 2, &[0, 3]),
            // owner and its successor left
            (&[0, 1, 2, 3, 4], &[0, 3, 4], 2, 2, &[3, 0]),
            // the backup left: the one before it
            (&[0, 1, 2, 3, 4], &[1, 2, 3, 4], 2, 2, &[1, 4]),
            // both left
            (&[0, 1, 2, 3, 4], &[2, 3, 4], 2, 2, &[2, 4]),
            // the successor is the only other one: owner, and no backup beside it
            (&[0, 1, 2], &[2], 1, 2, &[2]),
            (&[0, 1, 2], &[2], 3, 2, &[2]),
            // two left over hold everything
            (&[0, 1, 2, 3, 4], &[1, 3], 1, 2, &[1, 3]),
            (&[0, 1, 2, 3, 4], &[1, 3], 3, 2, &[3, 1]),
            // one node is a ring
            (&[7], &[7], 1, 2, &[7]),
            // nobody left
            (&[0, 1], &[5], 1, 2, &[]),
            (&[], &[5], 1, 2, &[]),
            // no such part
            (&[0, 1], &[0, 1], 0, 2, &[]),
            (&[0, 1], &[0, 1], 3, 2, &[]),
            // a node that stands in two slots is one copy
            (&[0, 0, 1], &[0, 1], 2, 2, &[0, 1]),
        ];
        for (slots, members, part, copies, holders) in rows {
            let members: BTreeSet<NodeId> = nodes(members).into_iter().collect();
            let found = place(&nodes(slots), part, copies, &members);
            assert_eq!(found, nodes(holders), "slots {slots:?}, members {members:?}, part {part}, copies {copies}");
        }
    }

    #[test]
    fn slots_of_a_new_file() {
        let ring = nodes(&[10, 11, 12, 13, 14]);
        let all = |_: NodeId| true;
        assert_eq!(slots(&ring, NodeId(12), 5, all), nodes(&[12, 13, 14, 10, 11]));
        assert_eq!(slots(&ring, NodeId(14), 2, all), nodes(&[14, 10]));
        assert_eq!(slots(&ring, NodeId(12), 5, |node| node.0 != 13 && node.0 != 10), nodes(&[12, 14, 11]));
        assert_eq!(slots(&ring, NodeId(12), 3, |node| node.0 != 12), nodes(&[13, 14, 10]));
        assert_eq!(slots(&ring, NodeId(99), 2, all), nodes(&[10, 11]));
        assert_eq!(slots(&ring, NodeId(10), 5, |_| false), []);
        assert_eq!(slots(&[], NodeId(10), 5, all), []);
        let long: Vec<NodeId> = (0..100).map(NodeId).collect();
        assert_eq!(slots(&long, NodeId(95), 100, all).len(), SLOTS_MAX);
    }

    type World = (Vec<NodeId>, BTreeSet<NodeId>, u16, u8);

    fn world() -> impl Strategy<Value = World> {
        let ids = prop::collection::vec(0..40u64, 1..12).prop_map(|mut ids| {
            let mut seen = BTreeSet::new();
            ids.retain(|id| seen.insert(*id));
            ids
        });
        (ids, prop::collection::btree_set(0..40u64, 0..20), any::<u64>(), 1..12u16, 1..5u8).prop_map(
            |(slots, others, kept, part, copies)| {
                let kept = slots.iter().enumerate().filter(|(at, _)| kept >> at & 1 == 1).map(|(_, id)| *id);
                let others = others.into_iter().filter(|id| !slots.contains(id));
                let members = kept.chain(others).map(NodeId).collect();
                (nodes(&slots), members, part.min(slots.len() as u16), copies)
            },
        )
    }

    proptest! {
        #[test]
        fn as_many_as_there_are_each_once_and_of_the_files_own((slots, members, part, copies) in world()) {
            let holders = place(&slots, part, copies, &members);
            let there = slots.iter().filter(|node| members.contains(node)).count();
            prop_assert_eq!(holders.len(), there.min(usize::from(copies)));
            prop_assert!(holders.iter().all(|node| slots.contains(node) && members.contains(node)));
            prop_assert_eq!(holders.iter().collect::<BTreeSet<_>>().len(), holders.len());
        }

        #[test]
        fn a_join_moves_nothing((slots, mut members, part, copies) in world(), joiner in 100..200u64) {
            let before = place(&slots, part, copies, &members);
            members.insert(NodeId(joiner));
            prop_assert_eq!(place(&slots, part, copies, &members), before);
        }

        #[test]
        fn a_leave_moves_what_was_lost((slots, members, part, copies) in world()) {
            let before: BTreeSet<NodeId> = place(&slots, part, copies, &members).into_iter().collect();
            for leaver in &members {
                let mut members = members.clone();
                members.remove(leaver);
                let after: BTreeSet<NodeId> = place(&slots, part, copies, &members).into_iter().collect();
                let new: Vec<&NodeId> = after.difference(&before).collect();
                prop_assert!(new.len() <= usize::from(before.contains(leaver)), "{} leaves: {:?}", leaver, new);
                prop_assert!(before.iter().all(|node| node == leaver || after.contains(node)));
            }
        }

        #[test]
        fn a_leaver_that_returns_has_its_parts_again((slots, members, part, copies) in world()) {
            let all: BTreeSet<NodeId> = slots.iter().copied().chain(members).collect();
            let holders = place(&slots, part, copies, &all);
            prop_assert_eq!(holders[0], slots[usize::from(part) - 1]);
            let backups = 1..usize::from(copies).min(slots.len());
            let before = backups.map(|back| slots[(usize::from(part) - 1 + slots.len() - back) % slots.len()]);
            prop_assert_eq!(&holders[1..], &before.collect::<Vec<_>>()[..]);
        }
    }

    /// The planted bug: the owner as today's ring has it.
    #[test]
    fn an_owner_from_todays_ring_is_caught() {
        let slots = nodes(&[0, 2, 4]);
        let todays: Vec<NodeId> = nodes(&[0, 1, 2, 3, 4]);
        let members: BTreeSet<NodeId> = todays.iter().copied().collect();
        let moved = (1..=3).any(|part| place(&todays, part, 2, &members) != place(&slots, part, 2, &members));
        assert!(moved, "a join would move parts");
    }
}
