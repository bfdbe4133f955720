//! What a batch waits for, packed.
//!
//! Every causal batch carries a count for each life that its sender knows, and
//! is kept with it until it is stable: while a peer is away, thousands of them.
//! So they stay as they travel, one run of bytes, a few for each life:
//!
//! ```text
//!   [node, 8 bytes][lives of it][incarnation][count] [later by][count] ...   numbers are varints
//! ```
//!
//! Nodes ascend, and so do a node's lives. Packed, the lives that died lately
//! cost 6 bytes each instead of 24; as part of the body that is kept anyway,
//! they cost no allocation.

use crate::codec::{put_varint, take_varint};
use crate::id::{Life, NodeId};
use bytes::Bytes;

/// So many broadcasts of these lives.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Dependencies {
    packed: Bytes,
}

impl Dependencies {
    /// Packs counts of lives, in any order. Of a life that is named twice, as
    /// closed and as opened again, the greater count is what was delivered.
    pub fn of(entries: impl IntoIterator<Item = (Life, u64)>) -> Self {
        let mut entries: Vec<(Life, u64)> = entries.into_iter().collect();
        entries.sort_unstable();
        entries.dedup_by(|later, before| {
            let twice = later.0 == before.0;
            if twice {
                before.1 = later.1;
            }
            twice
        });
        let mut packed = Vec::with_capacity(20 * entries.len());
        for lives in entries.chunk_by(|(one, _), (next, _)| one.node == next.node) {
            packed.extend_from_slice(&lives[0].0.node.0.to_le_bytes());
            put_varint(&mut packed, lives.len() as u64);
            let mut before = 0;
            for (life, count) in lives {
                put_varint(&mut packed, life.incarnation.0 - before);
                put_varint(&mut packed, *count);
                before = life.incarnation.0;
            }
        }
        Dependencies { packed: packed.into() }
    }

    /// Takes what a peer packed; `None` unless it is well-formed.
    pub fn checked(packed: Bytes) -> Option<Self> {
        let mut entries = Entries { rest: &packed, node: NodeId(0), lives_left: 0, before: None };
        let mut last = None;
        for (life, _) in entries.by_ref() {
            if last.is_some_and(|last| last >= life) {
                return None;
            }
            last = Some(life);
        }
        entries.rest.is_empty().then_some(Dependencies { packed })
    }

    /// What was checked before.
    pub(crate) fn known(packed: Bytes) -> Self {
        Dependencies { packed }
    }

    /// The counts, in the order of lives.
    pub fn iter(&self) -> impl Iterator<Item = (Life, u64)> {
        Entries { rest: &self.packed, node: NodeId(0), lives_left: 0, before: None }
    }

    /// As it travels.
    pub fn packed(&self) -> &Bytes {
        &self.packed
    }
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Reads entries off the front; what does not parse stays in `rest`.
struct Entries<'a> {
    rest: &'a [u8],
    node: NodeId,
    lives_left: u64,
    before: Option<u64>,
}

impl Entries<'_> {
    fn parsed(&mut self) -> Option<(Life, u64)> {
        let mut rest = self.rest;
        if self.lives_left == 0 {
            let (node, after) = rest.split_first_chunk()?;
            let (lives, length) = take_varint(after)?;
            if lives == 0 {
                return None;
            }
            (self.node, self.lives_left, self.before) = (NodeId(u64::from_le_bytes(*node)), lives, None);
            rest = &after[length..];
        }
        let (later_by, length) = take_varint(rest)?;
        let (count, more) = take_varint(&rest[length..])?;
        let incarnation = self.before.unwrap_or(0).checked_add(later_by)?;
        self.rest = &rest[length + more..];
        self.lives_left -= 1;
        self.before = Some(incarnation);
        Some((Life::new(self.node, incarnation), count))
    }
}

impl Iterator for Entries<'_> {
    type Item = (Life, u64);

    fn next(&mut self) -> Option<(Life, u64)> {
        if self.rest.is_empty() && self.lives_left == 0 {
            return None;
        }
        let entry = self.parsed();
        if entry.is_none() && self.rest.is_empty() {
            self.rest = &[0]; // lives were announced that do not follow
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn reads_what_was_packed(entries in prop::collection::btree_map((0..4u64, any::<u64>()), any::<u64>(), 0..12)) {
            let entries: BTreeMap<Life, u64> =
                entries.into_iter().map(|((node, run), count)| (Life::new(NodeId(node), run), count)).collect();
            let deps = Dependencies::of(entries.clone().into_iter().rev());
            let read = Dependencies::checked(deps.packed().clone());
            prop_assert_eq!(read.as_ref(), Some(&deps));
            prop_assert_eq!(deps.iter().collect::<BTreeMap<_, _>>(), entries);
        }

        #[test]
        fn a_part_of_it_or_junk_is_refused_or_read(junk in prop::collection::vec(any::<u8>(), 0..80), cut in 0..60usize) {
            if let Some(deps) = Dependencies::checked(junk.into()) {
                prop_assert_eq!(&Dependencies::of(deps.iter()).iter().collect::<Vec<_>>(), &deps.iter().collect::<Vec<_>>());
            }
            let whole = Dependencies::of((0..5).map(|n| (Life::new(NodeId(n / 2), 1 << 40 | n), 1000 + n)));
            let cut = cut.min(whole.packed().len() - 1);
            if let Some(part) = Dependencies::checked(whole.packed().slice(..cut)) {
                prop_assert!(whole.iter().zip(part.iter()).all(|(a, b)| a == b), "only at the end of a node");
            }
        }
    }

    #[test]
    fn lives_that_do_not_follow_are_refused() {
        let mut packed = 7u64.to_le_bytes().to_vec();
        packed.extend_from_slice(&[2, 1, 1]);
        assert_eq!(Dependencies::checked(packed.clone().into()), None, "one of two is missing");
        packed.extend_from_slice(&[0, 1]);
        assert_eq!(Dependencies::checked(packed.into()), None, "one life twice");
        let none = [7u64.to_le_bytes().as_slice(), &[0]].concat();
        assert_eq!(Dependencies::checked(none.into()), None, "a node without lives");
    }

    /// Else it would be refused wherever it goes, and its sender be mute.
    #[test]
    fn a_life_that_is_named_twice_is_packed_once() {
        let life = Life::new(NodeId(7), 3);
        let deps = Dependencies::of([(life, 2), (Life::new(NodeId(1), 1), 9), (life, 5), (life, 1)]);
        assert_eq!(deps, Dependencies::of([(Life::new(NodeId(1), 1), 9), (life, 5)]));
        assert_eq!(Dependencies::checked(deps.packed().clone()), Some(deps));
    }

    #[test]
    fn a_node_that_died_twice_costs_little() {
        let lives = (0..3).map(|n| (Life::new(NodeId::from_name("delta"), 1_795_647_470_567 + 40_000 * n), 90_000));
        assert!(Dependencies::of(lives).packed().len() <= 8 + 1 + 9 + 6 + 6);
    }
}
