//! Many seeds on all cores. What comes out does not depend on how many there
//! are: worlds share nothing, and results are taken in the order of the seeds.

use super::check::Violation;
use super::outcome::Outcome;
use super::world::Counts;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the worlds of a batch came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Worlds that were run.
    pub seeds: u64,
    /// Worlds in which a property did not hold.
    pub violations: u64,
    /// The first of them.
    pub first_bad: Option<(u64, Violation)>,
    /// What happened in all worlds together.
    pub counts: Counts,
    /// The worlds' trace hashes, combined in the order of the seeds.
    pub trace_hash: u64,
}

/// How a batch is run: see [`Batch::run`].
pub struct Batch<'a> {
    /// The seeds.
    pub range: Range<u64>,
    /// Threads; 0 for one a core.
    pub threads: usize,
    /// Whether seeds after the first bad one are left out.
    pub until_first_bad: bool,
    /// Told how many worlds are done, now and then, from any thread.
    pub progress: Option<&'a (dyn Fn(u64) + Sync)>,
}

struct Done {
    seed: u64,
    hash: u64,
    violation: Option<Violation>,
}

impl Batch<'_> {
    /// The seeds of `range` on all cores.
    pub fn of(range: Range<u64>) -> Self {
        Batch { range, threads: 0, until_first_bad: false, progress: None }
    }

    /// Runs a world for each seed. A world that panics has violated the
    /// property "no panic".
    pub fn run<R: Into<Outcome>>(&self, world: impl Fn(u64) -> R + Sync) -> Tally {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if self.threads == 0 { cores() } else { self.threads };
        let (next, first_bad, finished) =
            (AtomicU64::new(self.range.start), AtomicU64::new(u64::MAX), AtomicU64::new(0));
        let work = || {
            let (mut done, mut counts) = (Vec::new(), Counts::new());
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let enough = self.until_first_bad && seed > first_bad.load(Ordering::Relaxed);
                if seed >= self.range.end || enough {
                    return (done, counts);
                }
                let outcome = catch_unwind(AssertUnwindSafe(|| world(seed).into()));
                let (hash, violation) = match outcome {
                    Ok(outcome) => {
                        add(&mut counts, outcome.counts);
                        (outcome.trace.hash(), outcome.result.err())
                    }
                    Err(_) => (0, Some(Violation::new("no panic", "a component or the test panicked"))),
                };
                if violation.is_some() {
                    first_bad.fetch_min(seed, Ordering::Relaxed);
                }
                done.push(Done { seed, hash, violation });
                if let Some(progress) = self.progress {
                    progress(finished.fetch_add(1, Ordering::Relaxed) + 1);
                }
            }
        };
        let (mut all, mut counts) = (Vec::new(), Counts::new());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                let (done, counted) = worker.join().expect("a panic of a world is caught");
                all.extend(done);
                add(&mut counts, counted);
            }
        });
        all.sort_by_key(|done| done.seed);
        tally(all, counts)
    }
}

fn tally(all: Vec<Done>, counts: Counts) -> Tally {
    let mut tally = Tally { counts, ..Tally::default() };
    for Done { seed, hash, violation } in all {
        tally.seeds += 1;
        tally.trace_hash = (tally.trace_hash.rotate_left(7) ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(violation) = violation {
            tally.violations += 1;
            tally.first_bad.get_or_insert((seed, violation));
        }
    }
    tally
}

fn add(counts: &mut Counts, more: Counts) {
    for (what, count) in more {
        *counts.entry(what).or_insert(0) += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Trace;

    fn outcome(seed: u64) -> Outcome {
        let result = if seed % 10 == 7 { Err(Violation::new("sevens", seed.to_string())) } else { Ok(()) };
        let mut trace = Trace::default();
        trace.mix(seed);
        Outcome { result, counts: Counts::from([("worlds", 1)]), trace }
    }

    #[test]
    fn the_order_of_results_is_that_of_the_seeds() {
        let tally = |threads| Batch { threads, ..Batch::of(3..100) }.run(outcome);
        let (one, many) = (tally(1), tally(5));
        assert_eq!((one.seeds, one.violations, one.counts["worlds"]), (97, 10, 97));
        assert_eq!(one.first_bad, Some((7, Violation::new("sevens", "7"))));
        assert_eq!((one.trace_hash, &one.first_bad), (many.trace_hash, &many.first_bad));
        assert_ne!(one.trace_hash, Batch::of(3..99).run(outcome).trace_hash);
    }

    #[test]
    fn a_batch_may_end_with_its_first_bad_seed() {
        let tally = Batch { threads: 4, until_first_bad: true, ..Batch::of(8..10_000) }.run(outcome);
        assert_eq!(tally.first_bad.map(|(seed, _)| seed), Some(17));
        assert!(tally.seeds < 1000);
    }

    #[test]
    fn a_panic_is_a_violation_of_its_seed() {
        let tally = Batch::of(0..9).run(|seed| {
            assert_ne!(seed, 5, "planted");
            outcome(seed)
        });
        assert_eq!(tally.violations, 2);
        assert_eq!(tally.first_bad.map(|(seed, violation)| (seed, violation.property)), Some((5, "no panic")));
    }
}
