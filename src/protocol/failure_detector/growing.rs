//! Growing timeout: every mistake about a peer makes it more patient with it.
//!
//! The *eventually perfect* detector <>P in a partially synchronous system: a
//! delay bound exists but is unknown, so after finitely many mistakes the
//! timeout exceeds it and no correct peer is suspected any more. Chandra and
//! Toueg, *Unreliable Failure Detectors for Reliable Distributed Systems*, JACM
//! 43(2), 1996, section 10.

use super::estimator::Estimator;
use crate::time::Time;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Growing {
    timeout: Duration,
    step: Duration,
}

impl Growing {
    pub(super) fn new(initial: Duration, step: Duration) -> Self {
        Growing { timeout: initial, step }
    }
}

impl Estimator for Growing {
    fn heartbeat(&mut self, _at: Time) {}

    fn interrupted(&mut self) {}

    fn mistaken(&mut self) {
        self.timeout = self.timeout.saturating_add(self.step);
    }

    fn suspects(&self, silence: Duration) -> bool {
        silence > self.timeout
    }

    fn explain(&self, _silence: Duration) -> String {
        format!("timeout {:?}, growing by {:?}", self.timeout, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_adds_a_step() {
        let mut growing = Growing::new(Duration::from_secs(1), Duration::from_millis(500));
        assert!(growing.suspects(Duration::from_millis(1400)));
        growing.mistaken();
        assert!(!growing.suspects(Duration::from_millis(1400)));
        assert!(growing.suspects(Duration::from_millis(1501)));
    }
}
