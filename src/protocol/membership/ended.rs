//! The lives that are over: a set that only grows, so it may be learnt in any
//! order and from anybody.

use crate::id::{Incarnation, Life, NodeId};
use std::collections::BTreeMap;

/// The greatest ended incarnation of each voter; earlier ones are over too.
#[derive(Default)]
pub(super) struct Ended {
    greatest: BTreeMap<NodeId, Incarnation>,
}

impl Ended {
    /// Whether `life` is known to be over.
    pub(super) fn covers(&self, life: Life) -> bool {
        self.greatest.get(&life.node).is_some_and(|ended| *ended >= life.incarnation)
    }

    /// Adds `life`, unless that makes more nodes than there are voters.
    pub(super) fn add(&mut self, life: Life, voters: usize) -> Added {
        if self.covers(life) {
            return Added::Known;
        }
        if self.greatest.len() >= voters && !self.greatest.contains_key(&life.node) {
            return Added::TooMany;
        }
        self.greatest.insert(life.node, life.incarnation);
        Added::New
    }

    /// Forgets the lives of other nodes than these.
    pub(super) fn retain(&mut self, nodes: impl Fn(NodeId) -> bool) {
        self.greatest.retain(|node, _| nodes(*node));
    }

    /// The set, one life a node.
    pub(super) fn lives(&self) -> Vec<Life> {
        self.greatest.iter().map(|(node, incarnation)| Life { node: *node, incarnation: *incarnation }).collect()
    }
}

/// What adding to the set did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Added {
    New,
    Known,
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_only_and_covers_what_was_before() {
        let mut ended = Ended::default();
        let life = |node, incarnation| Life::new(NodeId(node), incarnation);
        assert_eq!(ended.add(life(1, 5), 2), Added::New);
        assert_eq!(ended.add(life(1, 4), 2), Added::Known);
        assert!(ended.covers(life(1, 3)) && !ended.covers(life(1, 6)));
        assert_eq!(ended.add(life(1, 7), 2), Added::New);
        assert_eq!(ended.add(life(2, 1), 2), Added::New);
        assert_eq!(ended.add(life(3, 1), 2), Added::TooMany);
        assert_eq!(ended.lives(), [life(1, 7), life(2, 1)]);
    }
}
