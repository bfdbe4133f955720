//! Lamport's clock. Source: Lamport, *Time, Clocks, and the Ordering of Events
//! in a Distributed System*, 1978, implementation rules IR1 and IR2.

use serde::{Deserialize, Serialize};

/// A Lamport clock's reading: the number of events that it knows of at least.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Lamport(pub u64);

impl Lamport {
    /// Counts `events` own events and returns the first one's time; event `i`
    /// of them has that plus `i`.
    pub fn tick(&mut self, events: u32) -> u64 {
        let first = self.0.saturating_add(1);
        self.0 = self.0.saturating_add(u64::from(events));
        first
    }

    /// Counts the arrival of something stamped `stamp`: the clock becomes
    /// greater than both.
    pub fn observe(&mut self, stamp: u64) {
        self.0 = self.0.max(stamp).saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_before_has_the_smaller_time() {
        let (mut a, mut b) = (Lamport::default(), Lamport::default());
        let first = a.tick(3);
        assert_eq!(first, 1);
        b.observe(first + 2);
        let answer = b.tick(1);
        assert!(answer > first + 2);
        a.observe(answer);
        assert!(a.0 > answer);
    }

    #[test]
    fn a_stamp_at_the_end_of_time_does_not_overflow() {
        let mut clock = Lamport::default();
        clock.observe(u64::MAX);
        assert_eq!(clock.tick(7), u64::MAX);
    }
}
