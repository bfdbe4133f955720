//! Who accuses whom, and since when: the pure part of a decision.

use crate::id::{Incarnation, Life, NodeId};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The accusations that a node knows of, its own included.
#[derive(Default)]
pub(super) struct Accusations {
    /// By accuser; one life of a node accuses at a time.
    said: BTreeMap<NodeId, Said>,
}

struct Said {
    by: Incarnation,
    version: u64,
    at: Time,
    accused: BTreeSet<Life>,
}

impl Accusations {
    /// `accuser` said at this time that it accuses these lives and no others.
    /// An older saying than the last one of the same life is ignored.
    pub(super) fn hear(&mut self, accuser: Life, version: u64, accused: BTreeSet<Life>, at: Time) {
        let stale =
            self.said.get(&accuser.node).is_some_and(|said| (said.by, said.version) > (accuser.incarnation, version));
        if !stale {
            self.said.insert(accuser.node, Said { by: accuser.incarnation, version, at, accused });
        }
    }

    /// That life of the accuser is over: what it said is void, and so is what
    /// others said of it.
    pub(super) fn forget(&mut self, life: Life) {
        self.said.retain(|node, said| *node != life.node || said.by > life.incarnation);
        for said in self.said.values_mut() {
            said.accused.retain(|accused| accused.node != life.node || accused.incarnation > life.incarnation);
        }
    }

    /// Who accuses `life`, by what was said within `fresh` before `now`.
    pub(super) fn accusers(&self, life: Life, now: Time, fresh: Duration) -> impl Iterator<Item = NodeId> + '_ {
        self.said
            .iter()
            .filter(move |(node, said)| {
                **node != life.node && now.since(said.at) < fresh && said.accused.contains(&life)
            })
            .map(|(node, _)| *node)
    }

    /// The lives that at least `majority` accuse.
    pub(super) fn convicted(&self, majority: usize, now: Time, fresh: Duration) -> Vec<Life> {
        let accused: BTreeSet<Life> = self.said.values().flat_map(|said| said.accused.iter().copied()).collect();
        accused.into_iter().filter(|life| self.accusers(*life, now, fresh).count() >= majority).collect()
    }

    /// Every accused life, for people.
    pub(super) fn accused(&self) -> BTreeSet<Life> {
        self.said.values().flat_map(|said| said.accused.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_secs(10);

    fn life(node: u64, incarnation: u64) -> Life {
        Life::new(NodeId(node), incarnation)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn heard(accusers: &[Life], accused: Life) -> Accusations {
        let mut accusations = Accusations::default();
        for accuser in accusers {
            accusations.hear(*accuser, 1, BTreeSet::from([accused]), at(0));
        }
        accusations
    }

    #[test]
    fn a_majority_convicts_and_a_minority_does_not() {
        let bad = life(9, 1);
        assert_eq!(heard(&[life(1, 1), life(2, 1)], bad).convicted(2, at(1), FRESH), [bad]);
        assert!(heard(&[life(1, 1)], bad).convicted(2, at(1), FRESH).is_empty());
    }

    #[test]
    fn one_node_counts_once_whatever_its_lives() {
        let bad = life(9, 1);
        assert!(heard(&[life(1, 1), life(1, 2)], bad).convicted(2, at(1), FRESH).is_empty());
    }

    #[test]
    fn nobody_convicts_itself() {
        let bad = life(9, 1);
        assert!(heard(&[life(1, 1), bad], bad).convicted(2, at(1), FRESH).is_empty());
    }

    #[test]
    fn what_was_not_repeated_is_void() {
        let bad = life(9, 1);
        let mut accusations = heard(&[life(1, 1)], bad);
        accusations.hear(life(2, 1), 1, BTreeSet::from([bad]), at(10));
        assert!(accusations.convicted(2, at(10), FRESH).is_empty());
        accusations.hear(life(1, 1), 1, BTreeSet::from([bad]), at(11));
        assert_eq!(accusations.convicted(2, at(11), FRESH), [bad]);
    }

    #[test]
    fn an_overtaken_saying_is_ignored() {
        let bad = life(9, 1);
        let mut accusations = heard(&[life(1, 1)], bad);
        accusations.hear(life(2, 1), 7, BTreeSet::new(), at(1));
        accusations.hear(life(2, 1), 6, BTreeSet::from([bad]), at(1));
        assert!(accusations.convicted(2, at(1), FRESH).is_empty());
    }

    #[test]
    fn an_earlier_life_of_the_accuser_is_void() {
        let bad = life(9, 1);
        let mut accusations = heard(&[life(1, 1), life(2, 1)], bad);
        accusations.forget(life(2, 1));
        assert!(accusations.convicted(2, at(1), FRESH).is_empty());
        accusations.hear(life(2, 2), 0, BTreeSet::new(), at(1));
        accusations.hear(life(2, 1), 9, BTreeSet::from([bad]), at(1));
        assert!(accusations.convicted(2, at(1), FRESH).is_empty());
    }
}
