//! Failure detectors: opinions on who has crashed, taken back when wrong.
//!
//! Every member sends heartbeats to every member it is linked with; the
//! [`Detector`] of each node turns silence into [`Suspicion`] by one of three
//! algorithms: a fixed timeout ([`fixed`]), a growing one ([`growing`]), phi
//! accrual ([`phi`], the default).
//!
//! - *Completeness*: a crashed member is in the end suspected by every correct
//!   member that was linked with it, under any timing.
//! - *Accuracy*: the fixed timeout's if, and only if, the system is synchronous;
//!   eventual for the growing timeout under partial synchrony, and for phi
//!   where delays become stable.
//!
//! A suspicion is an opinion. Nothing but the user's callbacks and waiting
//! rests on one: ending a life is [`super::membership`]'s decision.
//!
//! Chandra and Toueg, JACM 43(2), 1996; Hayashibara et al., SRDS 2004; Cachin,
//! Guerraoui, Rodrigues, chapter 2.6.

mod config;
mod detector;
mod estimator;
pub mod fixed;
pub mod growing;
pub mod phi;
#[cfg(test)]
mod tests;

pub use config::{Algorithm, Config};
pub use detector::{Detector, Heartbeat, Tick};

use crate::event::Event;
use crate::id::Life;
use std::sync::Arc;
use std::time::Duration;

/// A detector's opinion on one life; retained per node. Opinion only: it may
/// be wrong and taken back.
///
/// A suspected life that ends is not restored. If its node comes back, the new
/// life is announced as not suspected: the same node, another life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspicion {
    /// The life.
    pub life: Life,
    /// Its node's name.
    pub name: Arc<str>,
    /// Suspected (true) or restored (false).
    pub suspected: bool,
}

impl Event for Suspicion {
    const NAME: &'static str = "suspicion";
    const RETAINED: bool = true;

    fn retained_key(&self) -> u64 {
        self.life.node.0
    }
}

/// This node's own detector was not run for much longer than it asked for: the
/// process was paused, its machine asleep or overloaded. Silences in that time
/// say nothing about the others.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SelfPaused {
    /// How late the detector was run.
    pub late: Duration,
}

impl Event for SelfPaused {
    const NAME: &'static str = "self_paused";
}
