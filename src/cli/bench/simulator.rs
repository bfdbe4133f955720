//! How fast the simulator is, beside an event queue with nothing to do.
//!
//! `sim core` is a broadcast core on each of five nodes, over perfect queues,
//! with a scripted detector; `sim stack` the whole stack: links, detectors,
//! membership, delivery, with every fault. Both make twenty broadcasts and judge
//! what happened. The limit takes as many events, in the order of their times,
//! through a binary heap, and does nothing with them: no world is faster.

use super::rounds::{Measured, Sample};
use crate::scenario::{self, Scenario};
use crate::sim::{Outcome, Setup};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

/// Worlds whose events are counted for the limit.
const COUNTED: u64 = 64;
/// Events that are planned at any time in the limit's queue.
const PLANNED: u64 = 64;

/// Worlds of one scenario, seed after seed.
pub(super) struct Worlds {
    scenario: Box<dyn Scenario>,
    seed: u64,
}

impl Worlds {
    pub(super) fn new(scenario: &str) -> io::Result<Self> {
        log::set_max_level(log::LevelFilter::Off); // nodes of worlds, that pause and fall
        Ok(Worlds { scenario: scenario::find(scenario).map_err(io::Error::other)?, seed: 0 })
    }

    pub(super) fn nodes(&self) -> usize {
        Setup::default().nodes
    }

    /// How many events a world has, on average.
    pub(super) fn events_each(&mut self) -> io::Result<u64> {
        let mut events = 0;
        for _ in 0..COUNTED {
            events += self.next()?.counts.get("events").copied().unwrap_or(0);
        }
        Ok(events / COUNTED)
    }

    fn next(&mut self) -> io::Result<Outcome> {
        let setup = Setup::default().seeded(self.seed);
        self.seed += 1;
        let outcome = self.scenario.run(&setup, None);
        match outcome.result {
            Ok(()) => Ok(outcome),
            Err(violation) => {
                Err(io::Error::other(format!("{} --seed {}: {violation}", self.scenario.name(), setup.seed)))
            }
        }
    }
}

impl Measured for Worlds {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        rate(time, || self.next().map(drop))
    }
}

/// As many events as a world has, for nothing.
pub(super) struct EmptyQueue {
    pub(super) events: u64,
}

impl Measured for EmptyQueue {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        rate(time, || {
            let mut rng = fastrand::Rng::with_seed(1);
            let mut queue = BinaryHeap::new();
            for number in 0..self.events {
                if number >= PLANNED {
                    black_box(queue.pop());
                }
                queue.push(Reverse((number + rng.u64(0..1000), number, [0u64; 6])));
            }
            black_box(queue.len());
            Ok(())
        })
    }
}

/// How often `run` runs in a second.
fn rate(time: Duration, mut run: impl FnMut() -> io::Result<()>) -> io::Result<Sample> {
    let (began, mut runs) = (Instant::now(), 0u64);
    while runs == 0 || began.elapsed() < time {
        run()?;
        runs += 1;
    }
    Ok(Sample { value: runs as f64 / began.elapsed().as_secs_f64(), p99_us: None })
}
