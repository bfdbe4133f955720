//! What a detector is told when it is composed.

use super::estimator::Estimator;
use super::fixed::Fixed;
use super::growing::Growing;
use super::phi::Phi;
use std::time::Duration;

/// How silence becomes suspicion.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Algorithm {
    /// A silence longer than `timeout` is a crash: see [`super::fixed`].
    FixedTimeout {
        /// Longest silence of a correct peer, several periods.
        timeout: Duration,
    },
    /// The timeout grows with every mistake: see [`super::growing`].
    GrowingTimeout {
        /// First timeout, a few periods.
        initial: Duration,
        /// Added after every mistake about that peer.
        step: Duration,
    },
    /// The silence is judged by the intervals seen so far: see [`super::phi`].
    PhiAccrual {
        /// Suspect from here on; 8 means that one silence in 10^8 is mistaken
        /// if the intervals are normally distributed. Higher is slower and
        /// surer.
        threshold: f64,
        /// How many intervals are remembered, 1 to 256.
        window: usize,
        /// The deviation is never taken to be less than this: regular intervals
        /// in a quiet hour must not make the first delay a suspicion.
        deviation_min: Duration,
        /// Added to the mean: a pause of this length (scheduling, a slow disk)
        /// is no surprise.
        acceptable_pause: Duration,
    },
}

/// More remembered intervals make phi no wiser, only larger.
const WINDOW_MAX: usize = 256;

/// Configuration of the [`Detector`](super::Detector).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Config {
    /// How silence becomes suspicion.
    pub algorithm: Algorithm,
    /// Time between two heartbeats, and between two looks at the silences.
    /// Shorter notices sooner and costs more: two small datagram-like frames a
    /// pair of nodes and period. At least 1 ms.
    pub period: Duration,
    /// The user warrants that no correct node or link is ever slower than the
    /// fixed timeout. Makes that detector provide `failure_detector.accurate`;
    /// without effect on the others.
    pub assume_synchrony: bool,
}

impl Config {
    /// A fixed timeout, heartbeats every `period`.
    pub fn fixed(timeout: Duration, period: Duration) -> Self {
        Config { algorithm: Algorithm::FixedTimeout { timeout }, period, assume_synchrony: false }
    }

    /// A timeout that starts at `initial` and grows by `step` with every mistake.
    pub fn growing(initial: Duration, step: Duration, period: Duration) -> Self {
        Config { algorithm: Algorithm::GrowingTimeout { initial, step }, period, assume_synchrony: false }
    }

    /// Phi accrual with this threshold, else as [`Config::default`].
    pub fn phi(threshold: f64, period: Duration) -> Self {
        let algorithm = Algorithm::PhiAccrual {
            threshold,
            window: 200,
            deviation_min: Duration::from_millis(100),
            acceptable_pause: Duration::from_secs(1),
        };
        Config { algorithm, period, assume_synchrony: false }
    }

    /// The user warrants synchrony: see [`Config::assume_synchrony`].
    pub fn assuming_synchrony(self) -> Self {
        Config { assume_synchrony: true, ..self }
    }

    /// Whether this detector may be called accurate.
    pub fn accurate(&self) -> bool {
        self.assume_synchrony && matches!(self.algorithm, Algorithm::FixedTimeout { .. })
    }

    /// What is wrong with these values, and what would be right; `None` if
    /// nothing is.
    pub fn fault(&self) -> Option<String> {
        if self.period < Duration::from_millis(1) {
            return Some(format!("the detector's period is {:?}: take at least 1 ms", self.period));
        }
        match self.algorithm {
            Algorithm::FixedTimeout { timeout } if timeout < 2 * self.period => {
                Some(format!("the timeout {timeout:?} is shorter than two periods of {:?}: raise it", self.period))
            }
            Algorithm::GrowingTimeout { initial, step } if initial < self.period || step.is_zero() => Some(format!(
                "the growing timeout starts at {initial:?} and grows by {step:?}: start at a period of {:?} or more and grow by more than nothing",
                self.period
            )),
            Algorithm::PhiAccrual { threshold, window, .. }
                if !(threshold.is_finite() && threshold > 0.0 && (1..=WINDOW_MAX).contains(&window)) =>
            {
                Some(format!(
                    "phi's threshold is {threshold} and its window {window}: the threshold must be above 0 (8 is sane), the window from 1 to {WINDOW_MAX}"
                ))
            }
            _ => None,
        }
    }

    /// A fresh estimator for a life that has just joined.
    pub(super) fn estimator(&self) -> Box<dyn Estimator> {
        match self.algorithm {
            Algorithm::FixedTimeout { timeout } => Box::new(Fixed::new(timeout)),
            Algorithm::GrowingTimeout { initial, step } => Box::new(Growing::new(initial, step)),
            Algorithm::PhiAccrual { threshold, window, deviation_min, acceptable_pause } => {
                Box::new(Phi::new(threshold, window, deviation_min, acceptable_pause, self.period))
            }
        }
    }
}

/// Phi accrual, threshold 8, a heartbeat every 200 ms: a crash is noticed
/// within about 2 s.
impl Default for Config {
    fn default() -> Self {
        Config::phi(8.0, Duration::from_millis(200))
    }
}
