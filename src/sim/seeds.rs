//! Many worlds, one property: a failure is a seed, printed as the command that
//! replays it.

use super::check::Violation;
use super::world::{Counts, World};
use std::fmt::Write;
use std::ops::Range;

/// Environment variable that replays one seed.
const SEED: &str = "NODEWRIGHT_SEED";
/// Environment variable that says how many seeds a batch has.
const SEEDS: &str = "NODEWRIGHT_SEEDS";

/// A batch of seeds to be run: see [`seeds`].
#[derive(Clone, Debug)]
pub struct Seeds {
    test: String,
    range: Range<u64>,
    sometimes: Vec<&'static str>,
}

/// A batch of worlds for the test named `test` (its path in the test binary,
/// for the command that replays it).
///
/// `NODEWRIGHT_SEED=17` runs that seed alone and shows its transcript when it
/// fails; `NODEWRIGHT_SEEDS=50000` changes the number of seeds.
pub fn seeds(test: &str, range: Range<u64>) -> Seeds {
    Seeds { test: test.to_owned(), range, sometimes: Vec::new() }
}

impl Seeds {
    /// Things that must happen at least once in the batch (names of
    /// [`World::counts`], which has published events by their names): a batch
    /// in which they do not tests less than it says.
    pub fn sometimes(mut self, goals: &[&'static str]) -> Self {
        self.sometimes.extend_from_slice(goals);
        self
    }

    /// Runs the batch; what happened in all its worlds together.
    ///
    /// # Errors
    /// The first seed that fails, why, and how to replay it; or the goals that
    /// were never met.
    pub fn run(self, world: impl Fn(u64) -> (World, Result<(), Violation>)) -> Result<Counts, String> {
        let only: Option<u64> = number(SEED);
        let range = match (only, number(SEEDS)) {
            (Some(seed), _) => seed..seed + 1,
            (None, Some(count)) => self.range.start..self.range.start + count,
            (None, None) => self.range.clone(),
        };
        let mut counts = Counts::new();
        for seed in range {
            let (world, result) = world(seed);
            if let Err(violation) = result {
                return Err(self.failure(seed, &violation, only.map(|_| &world)));
            }
            for (what, count) in world.counts() {
                *counts.entry(what).or_insert(0) += count;
            }
        }
        let missed: Vec<_> = self.sometimes.iter().filter(|goal| !counts.contains_key(*goal)).collect();
        if only.is_none() && !missed.is_empty() {
            return Err(format!("{}: never happened in {:?}: {missed:?}; happened: {counts:?}", self.test, self.range));
        }
        Ok(counts)
    }

    /// Runs worlds with a planted bug until one fails, as it must: the seed
    /// and the violation.
    ///
    /// # Errors
    /// The bug was not caught within the batch.
    pub fn catch(self, world: impl Fn(u64) -> (World, Result<(), Violation>)) -> Result<(u64, Violation), String> {
        for seed in self.range.clone() {
            if let (_, Err(violation)) = world(seed) {
                return Ok((seed, violation));
            }
        }
        Err(format!("{}: the planted bug was not caught with the seeds {:?}", self.test, self.range))
    }

    fn failure(&self, seed: u64, violation: &Violation, world: Option<&World>) -> String {
        let test = &self.test;
        let mut text =
            format!("seed {seed}: {violation}\nreplay: {SEED}={seed} cargo test --test it {test} -- --exact");
        if let Some(world) = world {
            // writing to a String cannot fail
            let _ = write!(text, "\n{}", world.trace().transcript());
        }
        text
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
