//! Many worlds, one property: a failure is a seed, printed as the command that
//! replays it, and shown as the smallest run that fails in the same way.

use super::batch::{Batch, Tally};
use super::check::Violation;
use super::outcome::Outcome;
use super::setup::Setup;
use super::shrink::{Smallest, shrink};
use super::world::Counts;
use std::fmt::Write;
use std::ops::Range;

/// Environment variable that replays one seed.
const SEED: &str = "NODEWRIGHT_SEED";
/// Environment variable that says how many seeds a batch has.
const SEEDS: &str = "NODEWRIGHT_SEEDS";
/// Environment variable that replays one setup, as it was printed.
const SETUP: &str = "NODEWRIGHT_SETUP";
/// Runs that shrinking a failure may take.
const SHRINK_RUNS_MAX: usize = 1500;

/// A batch of seeds to be run: see [`seeds`].
#[derive(Clone, Debug)]
pub struct Seeds {
    replay: String,
    range: Range<u64>,
    sometimes: Vec<&'static str>,
    setup: Setup,
    smallest: Smallest,
}

/// A batch of worlds for the test named `test` (its path in the test binary
/// `it`, for the command that replays it; see [`Seeds::replayed_by`]).
///
/// `NODEWRIGHT_SEED=17` runs that seed alone and shows its transcript when it
/// fails; `NODEWRIGHT_SEEDS=50000` changes the number of seeds.
pub fn seeds(test: &str, range: Range<u64>) -> Seeds {
    Seeds {
        replay: format!("cargo test --test it {test} -- --exact"),
        range,
        sometimes: Vec::new(),
        setup: Setup::default(),
        smallest: Smallest { nodes: 2, calls: 1 },
    }
}

impl Seeds {
    /// Things that must happen at least once in the batch (names of
    /// [`super::World::counts`], which has published events by their names): a
    /// batch in which they do not tests less than it says.
    pub fn sometimes(mut self, goals: &[&'static str]) -> Self {
        self.sometimes.extend_from_slice(goals);
        self
    }

    /// The command that runs this batch again, if it is not a test of the test
    /// binary `it`: printed behind the variable that names the failing run.
    pub fn replayed_by(mut self, command: &str) -> Self {
        command.clone_into(&mut self.replay);
        self
    }

    /// The measures with which [`Seeds::explore`] begins (their seed apart),
    /// and how small they may become.
    pub fn measures(mut self, setup: Setup, smallest: Smallest) -> Self {
        (self.setup, self.smallest) = (setup, smallest);
        self
    }

    /// Runs the batch on all cores; what happened in all its worlds together.
    ///
    /// # Errors
    /// The first seed that fails, why, and how to replay it; or the goals that
    /// were never met.
    pub fn run<R: Into<Outcome>>(self, world: impl Fn(u64) -> R + Sync) -> Result<Counts, String> {
        if let Some(seed) = variable(SEED)?.map(|text| number(SEED, &text)).transpose()? {
            return self.alone(&format!("{SEED}={seed}"), world(seed).into());
        }
        let tally = self.tally(&world)?;
        match &tally.first_bad {
            Some((seed, violation)) => Err(format!("seed {seed}: {violation}\nreplay: {SEED}={seed} {}", self.replay)),
            None => self.goals_met(tally),
        }
    }

    /// Like [`Seeds::run`] for runs that take their measures as an argument: a
    /// failure is also shrunk, and the smallest run is shown with the command
    /// that replays it and its transcript.
    ///
    /// # Errors
    /// As [`Seeds::run`].
    pub fn explore<R: Into<Outcome>>(self, run: impl Fn(&Setup) -> R + Sync) -> Result<Counts, String> {
        if let Some(text) = variable(SETUP)? {
            let setup: Setup = text.parse().map_err(|why| format!("{SETUP}: {why}"))?;
            return self.alone(&format!("{SETUP}='{setup}'"), run(&setup).into());
        }
        let tally = self.tally(&|seed| run(&self.setup.seeded(seed)))?;
        let Some((seed, violation)) = &tally.first_bad else { return self.goals_met(tally) };
        let failing = self.setup.seeded(*seed);
        let mut text = format!("seed {seed}: {violation}\nreplay: {SETUP}='{failing}' {}", self.replay);
        if let Some(shrunk) = shrink(failing, violation.property, self.smallest, SHRINK_RUNS_MAX, run)
            && let Err(violation) = &shrunk.outcome.result
        {
            // writing to a String cannot fail
            let _ = write!(
                text,
                "\nshrunk by {} runs: {violation}\nreplay: {SETUP}='{}' {}\n{}",
                shrunk.runs,
                shrunk.setup,
                self.replay,
                shrunk.outcome.trace.transcript()
            );
        }
        Err(text)
    }

    /// Runs worlds with a planted bug until one fails, as it must: the first
    /// bad seed and its violation.
    ///
    /// # Errors
    /// The bug was not caught within the batch.
    pub fn catch<R: Into<Outcome>>(self, world: impl Fn(u64) -> R + Sync) -> Result<(u64, Violation), String> {
        let tally = Batch { until_first_bad: true, ..Batch::of(self.range.clone()) }.run(world);
        tally.first_bad.ok_or_else(|| format!("the planted bug was not caught with the seeds {:?}", self.range))
    }

    fn tally<R: Into<Outcome>>(&self, world: &(impl Fn(u64) -> R + Sync)) -> Result<Tally, String> {
        let count = variable(SEEDS)?.map(|text| number(SEEDS, &text)).transpose()?;
        let end = count.map_or(self.range.end, |count| self.range.start + count);
        Ok(Batch { until_first_bad: true, ..Batch::of(self.range.start..end) }.run(world))
    }

    fn goals_met(&self, tally: Tally) -> Result<Counts, String> {
        let met = |goal: &&&'static str| tally.counts.get(**goal).is_some_and(|count| *count > 0);
        let missed: Vec<_> = self.sometimes.iter().filter(|goal| !met(goal)).collect();
        if missed.is_empty() {
            return Ok(tally.counts);
        }
        Err(format!("never happened in {} worlds: {missed:?}; happened: {:?}", tally.seeds, tally.counts))
    }

    /// One run, shown whole if it fails.
    fn alone(&self, which: &str, outcome: Outcome) -> Result<Counts, String> {
        match outcome.result {
            Ok(()) => Ok(outcome.counts),
            Err(violation) => {
                Err(format!("{violation}\nreplay: {which} {}\n{}", self.replay, outcome.trace.transcript()))
            }
        }
    }
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name}={text}: no whole number"))
}
