//! Vector clocks: one counter per life. Source: Fidge 1988; Mattern, *Virtual
//! Time and Global States of Distributed Systems*, 1989.

use crate::id::Life;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A vector time. Two times compare only if one happened before the other;
/// concurrent ones do not, which is why there is no total order here.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct VectorClock {
    entries: BTreeMap<Life, u64>,
}

impl VectorClock {
    /// How many events of `life` this time includes.
    pub fn get(&self, life: Life) -> u64 {
        self.entries.get(&life).copied().unwrap_or(0)
    }

    /// Counts `events` events of `life`.
    pub fn tick(&mut self, life: Life, events: u32) {
        let entry = self.entries.entry(life).or_insert(0);
        *entry = entry.saturating_add(u64::from(events));
    }

    /// Raises the entry of `life` to `count`.
    pub fn raise(&mut self, life: Life, count: u64) {
        if count > 0 {
            let entry = self.entries.entry(life).or_insert(0);
            *entry = count.max(*entry);
        }
    }

    /// Raises every entry to at least that of `other`.
    pub fn merge(&mut self, other: &VectorClock) {
        for (life, count) in &other.entries {
            self.raise(*life, *count);
        }
    }

    /// Drops the entries of lives for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(Life) -> bool) {
        self.entries.retain(|life, _| keep(*life));
    }

    /// The entries, in the order of lives.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (Life, u64)> {
        self.entries.iter().map(|(life, count)| (*life, *count))
    }

    fn within(&self, other: &VectorClock) -> bool {
        self.entries.iter().all(|(life, count)| *count <= other.get(*life))
    }
}

impl FromIterator<(Life, u64)> for VectorClock {
    fn from_iter<I: IntoIterator<Item = (Life, u64)>>(entries: I) -> Self {
        let mut clock = VectorClock::default();
        for (life, count) in entries {
            clock.raise(life, count);
        }
        clock
    }
}

impl PartialOrd for VectorClock {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.within(other), other.within(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    fn life(n: u64) -> Life {
        Life::new(NodeId(n), 1)
    }

    #[test]
    fn concurrent_times_do_not_compare() {
        let (mut a, mut b) = (VectorClock::default(), VectorClock::default());
        a.tick(life(1), 1);
        b.tick(life(2), 1);
        assert_eq!(a.partial_cmp(&b), None);
        let before = b.clone();
        b.merge(&a);
        b.tick(life(2), 1);
        assert!(a < b && before < b);
        assert_eq!(b.partial_cmp(&b.clone()), Some(Ordering::Equal));
    }

    #[test]
    fn a_zero_entry_is_no_entry() {
        let with: VectorClock = [(life(1), 0)].into_iter().collect();
        assert_eq!(with, VectorClock::default());
    }
}
