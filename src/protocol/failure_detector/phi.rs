//! Phi accrual: how improbable is this silence, given the intervals seen?
//!
//! `phi(t) = -log10(P(a heartbeat comes later than t))`, with the intervals
//! taken as normally distributed. A scale instead of a yes or no; suspicion is
//! a threshold on it. Adapts to each peer's own rhythm and is eventually
//! perfect where delays are eventually stable. Hayashibara, Defago, Yared,
//! Katayama, *The phi Accrual Failure Detector*, SRDS 2004.
//!
//! Two additions from practice: a floor under the deviation, and a pause that
//! is always acceptable. The normal distribution's tail is taken from a
//! logistic curve (absolute error of the distribution below 2e-4), which stays
//! finite and rises without end where the exact tail underflows.

use super::estimator::Estimator;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Phi {
    threshold: f64,
    window: usize,
    deviation_min: f64,
    acceptable_pause: f64,
    /// The last intervals in seconds, the oldest first; never empty.
    intervals: VecDeque<f64>,
    last: Option<Time>,
}

impl Phi {
    /// Starts from one guessed interval, the period, so that a peer which
    /// sends one heartbeat and dies is suspected too.
    pub(super) fn new(
        threshold: f64,
        window: usize,
        deviation_min: Duration,
        acceptable_pause: Duration,
        period: Duration,
    ) -> Self {
        Phi {
            threshold,
            window: window.max(1),
            // The first guess is a quarter of a period wide at the least.
            deviation_min: deviation_min.as_secs_f64().max(period.as_secs_f64() / 4.0),
            acceptable_pause: acceptable_pause.as_secs_f64(),
            intervals: VecDeque::from([period.as_secs_f64()]),
            last: None,
        }
    }

    /// Mean and deviation of the remembered intervals.
    fn distribution(&self) -> (f64, f64) {
        let count = self.intervals.len() as f64;
        let mean = self.intervals.iter().sum::<f64>() / count;
        let variance = self.intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt().max(self.deviation_min))
    }

    fn phi(&self, silence: Duration) -> f64 {
        let (mean, deviation) = self.distribution();
        let y = (silence.as_secs_f64() - mean - self.acceptable_pause) / deviation;
        // P(later) = 1 / (1 + e^x), so phi = log10(1 + e^x).
        let x = y * (1.5976 + 0.070_566 * y * y);
        if x > 30.0 { x / std::f64::consts::LN_10 } else { x.exp().ln_1p() / std::f64::consts::LN_10 }
    }
}

impl Estimator for Phi {
    fn heartbeat(&mut self, at: Time) {
        if let Some(last) = self.last.replace(at) {
            if self.intervals.len() == self.window {
                self.intervals.pop_front();
            }
            self.intervals.push_back(at.since(last).as_secs_f64());
        }
    }

    fn interrupted(&mut self) {
        self.last = None;
    }

    fn mistaken(&mut self) {
        // The long silence is over, and is no sample: one cut cable would make
        // this detector blind for a whole window.
        self.last = None;
    }

    fn suspects(&self, silence: Duration) -> bool {
        self.phi(silence) >= self.threshold
    }

    fn explain(&self, silence: Duration) -> String {
        let (mean, deviation) = self.distribution();
        format!(
            "phi {:.1} of {:.1} (intervals {:.0} ms, deviation {:.0} ms, {} seen)",
            self.phi(silence),
            self.threshold,
            mean * 1e3,
            deviation * 1e3,
            self.intervals.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(200);

    fn phi() -> Phi {
        Phi::new(8.0, 100, Duration::from_millis(50), Duration::ZERO, PERIOD)
    }

    fn fed(intervals: impl Iterator<Item = u64>) -> Phi {
        let mut phi = phi();
        let mut at = Time::ZERO;
        phi.heartbeat(at);
        for millis in intervals {
            at = at + Duration::from_millis(millis);
            phi.heartbeat(at);
        }
        phi
    }

    #[test]
    fn phi_is_the_exponent_of_the_mistakes_probability() {
        let phi = fed(std::iter::repeat_n(200, 50));
        // Deviation 50 ms: half of the heartbeats come after the mean, one in
        // 741 after three deviations.
        assert!((phi.phi(Duration::from_millis(200)) - 0.301).abs() < 0.01);
        assert!((phi.phi(Duration::from_millis(350)) - 2.87).abs() < 0.1);
        assert!(phi.phi(Duration::from_secs(3600)).is_finite());
    }

    #[test]
    fn phi_rises_with_the_silence() {
        let phi = fed(std::iter::repeat_n(200, 50));
        let levels: Vec<f64> = (0..100).map(|i| phi.phi(Duration::from_millis(100 * i))).collect();
        assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]), "{levels:?}");
        assert!(phi.phi(Duration::from_secs(9)) < phi.phi(Duration::from_secs(10)));
    }

    #[test]
    fn an_irregular_peer_gets_more_patience() {
        let regular = fed(std::iter::repeat_n(200, 50));
        let irregular = fed((0..50).map(|i| if i % 2 == 0 { 20 } else { 900 }));
        let silence = Duration::from_millis(1500);
        assert!(regular.suspects(silence));
        assert!(!irregular.suspects(silence));
        assert!(irregular.suspects(Duration::from_secs(6)));
    }

    #[test]
    fn a_peer_that_never_sent_a_heartbeat_is_suspected_too() {
        assert!(!phi().suspects(PERIOD));
        assert!(phi().suspects(Duration::from_secs(2)));
    }

    #[test]
    fn a_pause_or_a_mistake_is_no_sample() {
        let mut phi = fed(std::iter::repeat_n(200, 50));
        let before = phi.distribution();
        phi.interrupted();
        phi.heartbeat(Time::ZERO + Duration::from_secs(100));
        phi.mistaken();
        phi.heartbeat(Time::ZERO + Duration::from_secs(200));
        assert_eq!(phi.distribution(), before);
    }

    #[test]
    fn the_window_forgets() {
        let phi = fed(std::iter::repeat_n(5000, 200).chain(std::iter::repeat_n(200, 100)));
        assert_eq!(phi.intervals.len(), 100);
        assert!((phi.distribution().0 - 0.2).abs() < 1e-9);
    }
}
