//! When a process that died is started again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The wait after the first death; it doubles with each further one of late.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);
/// Deaths before that are forgotten.
const SPAN: Duration = Duration::from_secs(120);

/// The deaths of one process of late.
#[derive(Clone, Debug)]
pub(crate) struct Respawn {
    /// After so many within two minutes it is given up.
    limit: usize,
    deaths: VecDeque<Instant>,
}

impl Respawn {
    pub(crate) fn new(limit: usize) -> Self {
        Respawn { limit, deaths: VecDeque::new() }
    }

    /// It died: after which wait it is to be started again, or `None` where it is given
    /// up.
    pub(crate) fn died(&mut self, now: Instant) -> Option<Duration> {
        while self.deaths.front().is_some_and(|at| now.saturating_duration_since(*at) > SPAN) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        let before = u32::try_from(self.deaths.len() - 1).unwrap_or(u32::MAX);
        let wait = FIRST.saturating_mul(2u32.saturating_pow(before)).min(LONGEST);
        (self.deaths.len() <= self.limit).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_the_limit_gives_up() {
        let (mut respawn, now) = (Respawn::new(9), Instant::now());
        let waits: Vec<_> = (0..10).map(|n| respawn.died(now + Duration::from_secs(n))).collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000].map(Duration::from_millis);
        assert_eq!(waits[..9], expected.map(Some));
        assert_eq!(waits[9], None);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let (mut respawn, now) = (Respawn::new(1), Instant::now());
        assert_eq!(respawn.died(now), Some(FIRST));
        assert_eq!(respawn.died(now + SPAN * 2), Some(FIRST));
        assert_eq!(respawn.died(now + SPAN * 2 + FIRST), None);
    }
}
