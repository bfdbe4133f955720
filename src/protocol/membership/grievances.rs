//! What this node holds against others, and since when.

use crate::id::{Life, NodeId};
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// One entry a node: a new life starts with a clean record.
#[derive(Default)]
pub(super) struct Grievances {
    held: BTreeMap<NodeId, Grievance>,
}

struct Grievance {
    life: Life,
    suspected: Option<Time>,
    holding_back: Option<Time>,
}

impl Grievances {
    /// The detector suspects `life`, or does no more.
    pub(super) fn suspected(&mut self, life: Life, yes: bool, now: Time) {
        let grievance = self.of(life);
        grievance.suspected = yes.then(|| grievance.suspected.unwrap_or(now));
        self.drop_settled();
    }

    /// A delivery is held back by `life`, or is no more.
    pub(super) fn holding_back(&mut self, life: Life, yes: bool, now: Time) {
        let grievance = self.of(life);
        grievance.holding_back = yes.then(|| grievance.holding_back.unwrap_or(now));
        self.drop_settled();
    }

    /// This node was paused: everything held against others begins anew.
    pub(super) fn forgive(&mut self, now: Time) {
        for grievance in self.held.values_mut() {
            grievance.suspected = grievance.suspected.map(|_| now);
            grievance.holding_back = grievance.holding_back.map(|_| now);
        }
    }

    /// That life, and earlier ones of its node, are over.
    pub(super) fn forget(&mut self, life: Life) {
        self.held.retain(|node, grievance| *node != life.node || grievance.life.incarnation > life.incarnation);
    }

    /// The lives against which something was held for this long.
    pub(super) fn lasting(&self, long: Duration, now: Time) -> impl Iterator<Item = Life> + '_ {
        let lasts = move |since: &Option<Time>| since.is_some_and(|since| now.since(since) >= long);
        self.held.values().filter(move |held| lasts(&held.suspected) || lasts(&held.holding_back)).map(|held| held.life)
    }

    /// For people.
    pub(super) fn describe(&self) -> impl Iterator<Item = (Life, String)> + '_ {
        let words = |what: &str, since: Option<Time>| since.map(|since| format!("{what} since {since:?}"));
        self.held.values().map(move |held| {
            let parts = [words("suspected", held.suspected), words("holding back", held.holding_back)];
            (held.life, parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        })
    }

    fn of(&mut self, life: Life) -> &mut Grievance {
        let fresh = || Grievance { life, suspected: None, holding_back: None };
        let grievance = self.held.entry(life.node).or_insert_with(fresh);
        if grievance.life != life {
            *grievance = fresh();
        }
        grievance
    }

    fn drop_settled(&mut self) {
        self.held.retain(|_, held| held.suspected.is_some() || held.holding_back.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn life(incarnation: u64) -> Life {
        Life::new(NodeId(2), incarnation)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn lasting(grievances: &Grievances, seconds: u64) -> Vec<Life> {
        grievances.lasting(LONG, at(seconds)).collect()
    }

    #[test]
    fn a_grievance_lasts_from_its_first_report_to_its_end() {
        let mut grievances = Grievances::default();
        grievances.suspected(life(1), true, at(0));
        grievances.suspected(life(1), true, at(20));
        assert!(lasting(&grievances, 29).is_empty());
        assert_eq!(lasting(&grievances, 30), [life(1)]);
        grievances.suspected(life(1), false, at(31));
        assert!(lasting(&grievances, 99).is_empty());
    }

    #[test]
    fn either_kind_suffices_and_they_do_not_add_up() {
        let mut grievances = Grievances::default();
        grievances.suspected(life(1), true, at(0));
        grievances.holding_back(life(1), true, at(20));
        grievances.suspected(life(1), false, at(25));
        assert!(lasting(&grievances, 49).is_empty());
        assert_eq!(lasting(&grievances, 50), [life(1)]);
    }

    #[test]
    fn a_new_life_starts_clean_and_a_pause_starts_over() {
        let mut grievances = Grievances::default();
        grievances.suspected(life(1), true, at(0));
        grievances.suspected(life(2), true, at(20));
        assert!(lasting(&grievances, 30).is_empty());
        grievances.forgive(at(40));
        assert!(lasting(&grievances, 69).is_empty());
        assert_eq!(lasting(&grievances, 70), [life(2)]);
        grievances.forget(life(2));
        assert!(lasting(&grievances, 99).is_empty());
    }
}
