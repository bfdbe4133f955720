//! The shipped scenarios: whole runs of what the simulator knows nothing of,
//! judged by [`crate::sim::check`].
//!
//! A [`Scenario`] builds a world for a [`Setup`], drives it through a chaos and
//! a heal phase, and judges what happened. The command `nodewright sim` runs
//! them, so do the tests and the checks of every change; there is no second
//! copy. One file a family, one line in [`scenarios`].
//!
//! | file | what |
//! |---|---|
//! | `delivery` | each rung of the ladder under all faults, on whole stacks |
//! | `core` | the same rungs alone, over perfect queues, with a scripted detector: many seeds |
//! | `detector` | detectors and membership |
//! | `election` | one leader, in textbook and in safe mode |
//! | `link` | perfect links between lives |
//! | `recorded` | runs that were recorded, judged by the same properties |
//! | `log` | the replicated log on faulty disks |
//! | `documents` | the document store on it: users, sessions, watches, pages |
//! | `ring` | the ring's file store: pushes, reads, repair |
//! | `map` | compare-and-set, reads and lists of the replicated map |
//! | `steering` | the log's leader by load |
//! | `stego` | the steganography service: tasks, leaders, fallen servers |
//! | `voters` | a delivery's voters change as entries of the log |
//! | `chaos` `stacks` | what those on the log strike with; the nodes that these are made of |
//!
//! The planted bugs ([`Planted`]) are for a person who wants to see a failure
//! and for the tests that must catch them.

#[cfg(feature = "replicated_log")]
mod chaos;
mod core;
mod delivery;
mod detector;
#[cfg(feature = "documents")]
mod documents;
mod election;
mod link;
#[cfg(feature = "replicated_log")]
mod log;
#[cfg(feature = "replicated_log")]
mod map;
pub mod recorded;
#[cfg(feature = "ring")]
mod ring;
#[doc(hidden)]
pub mod stacks;
#[cfg(feature = "replicated_log")]
mod steering;
#[cfg(feature = "stego_service")]
mod stego;
mod talker;
#[cfg(feature = "replicated_log")]
mod voters;

use crate::sim::{FaultClass, Outcome, Setup, Smallest};
use std::ops::RangeInclusive;

/// A run that can be had with any [`Setup`].
pub trait Scenario: Send + Sync {
    /// As people write it: `uniform.fifo`.
    fn name(&self) -> String;
    /// What it shows, in a line.
    fn about(&self) -> &'static str;
    /// How many nodes it can have.
    fn nodes(&self) -> RangeInclusive<usize> {
        2..=stacks::NAMES.len()
    }
    /// What must happen at least once in a batch.
    fn goals(&self) -> &'static [Goal];
    /// Bugs that can be planted in it.
    fn mutants(&self) -> &'static [Planted];
    /// Runs it and judges it. The same setup gives the same trace.
    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome;

    /// How small shrinking may make it.
    fn smallest(&self) -> Smallest {
        Smallest { nodes: *self.nodes().start(), calls: 1 }
    }
}

/// Something that must happen sometimes: a name of [`Outcome::counts`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Goal {
    /// What.
    pub what: &'static str,
    /// Any of these classes of faults makes it happen; if the setup has none of
    /// them, it is no goal. Empty for what always happens.
    pub by: &'static [FaultClass],
}

impl Goal {
    /// Whether it is one with this setup.
    pub fn applies(&self, setup: &Setup) -> bool {
        self.by.is_empty() || self.by.iter().any(|class| setup.faults.has(*class))
    }
}

/// A bug that can be planted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Planted {
    /// As people write it: `no-relay-no-pull`.
    pub name: &'static str,
    /// The property that it breaks.
    pub property: &'static str,
    /// What is wrong with it.
    pub about: &'static str,
}

/// All scenarios.
pub fn scenarios() -> Vec<Box<dyn Scenario>> {
    let mut all = delivery::scenarios();
    all.extend(core::scenarios());
    all.extend(detector::scenarios());
    all.extend(link::scenarios());
    all.extend(election::scenarios());
    #[cfg(feature = "replicated_log")]
    all.extend(log::scenarios());
    #[cfg(feature = "documents")]
    all.extend(documents::scenarios());
    #[cfg(feature = "replicated_log")]
    all.extend(map::scenarios());
    #[cfg(feature = "replicated_log")]
    all.extend(steering::scenarios());
    #[cfg(feature = "replicated_log")]
    all.extend(voters::scenarios());
    #[cfg(feature = "ring")]
    all.extend(ring::scenarios());
    #[cfg(feature = "stego_service")]
    all.extend(stego::scenarios());
    all
}

/// The scenario with this name; `_` and `-` are the same.
///
/// # Errors
/// The names that there are.
pub fn find(name: &str) -> Result<Box<dyn Scenario>, String> {
    let wanted = name.replace('_', "-");
    scenarios().into_iter().find(|scenario| scenario.name() == wanted).ok_or_else(|| {
        let names: Vec<_> = scenarios().iter().map(|scenario| scenario.name()).collect();
        format!("no scenario '{name}': one of {}", names.join(", "))
    })
}
