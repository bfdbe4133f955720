//! Fixed timeout: who is silent for longer has crashed.
//!
//! The *perfect* detector P (strong completeness, strong accuracy) if, and
//! only if, no correct node or link is ever slower than the timeout: the
//! synchronous model. Elsewhere it is complete but errs as often as the
//! network does. Cachin, Guerraoui, Rodrigues, *Introduction to Reliable and
//! Secure Distributed Programming*, 2.6.2, algorithm 2.5.

use super::estimator::Estimator;
use crate::time::Time;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Fixed {
    timeout: Duration,
}

impl Fixed {
    pub(super) fn new(timeout: Duration) -> Self {
        Fixed { timeout }
    }
}

impl Estimator for Fixed {
    fn heartbeat(&mut self, _at: Time) {}

    fn interrupted(&mut self) {}

    fn mistaken(&mut self) {}

    fn suspects(&self, silence: Duration) -> bool {
        silence > self.timeout
    }

    fn explain(&self, _silence: Duration) -> String {
        format!("timeout {:?}, fixed", self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_stays_whatever_happens() {
        let mut fixed = Fixed::new(Duration::from_secs(5));
        assert!(!fixed.suspects(Duration::from_secs(5)));
        assert!(fixed.suspects(Duration::from_millis(5001)));
        fixed.mistaken();
        fixed.heartbeat(Time::ZERO);
        assert!(fixed.suspects(Duration::from_millis(5001)));
        assert!(!fixed.suspects(Duration::from_secs(5)));
    }
}
