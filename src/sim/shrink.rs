//! Makes a failing run smaller while it still violates the same property.
//!
//! Greedy: tries, smallest first, to leave out classes of faults, nodes, calls
//! and a part of the chaos phase; what still fails is taken, and all is tried
//! again, until nothing smaller fails. A smaller run makes other draws from the
//! same seed, so each size is tried with a few seeds. Deterministic, and
//! bounded by a number of runs, not by a clock.
//!
//! After Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing
//! Input* (TSE 2002), whose unit is a part of the input; here it is a measure of
//! the run.

use super::outcome::Outcome;
use super::setup::{FaultClass, FaultClasses, Setup};
use std::ops::Range;

/// Seeds that are tried for each size, beside the one that failed.
const SEEDS_TRIED: u64 = 24;

/// A small failing run.
pub struct Shrunk {
    /// Its measures; it replays from these.
    pub setup: Setup,
    /// What it comes to: the same property is violated.
    pub outcome: Outcome,
    /// Each smaller run that was taken, in order; the last is `setup`.
    pub steps: Vec<Setup>,
    /// How many runs it took.
    pub runs: usize,
}

/// Shrinks the run `failing`, in which `property` is violated, with at most
/// `runs_max` runs. `nodes` and `calls` bound how small a run may be.
/// `None` if `failing` does not violate it, or not again.
pub fn shrink<R: Into<Outcome>>(
    failing: Setup,
    property: &str,
    smallest: Smallest,
    runs_max: usize,
    run: impl Fn(&Setup) -> R,
) -> Option<Shrunk> {
    let outcome = run(&failing).into();
    if !outcome.violates(property) {
        return None;
    }
    let mut shrunk = Shrunk { setup: failing, outcome, steps: Vec::new(), runs: 1 };
    'smaller: loop {
        for candidate in smaller(&shrunk.setup, smallest) {
            for seed in seeds(shrunk.setup.seed) {
                if shrunk.runs == runs_max {
                    return Some(shrunk);
                }
                shrunk.runs += 1;
                let setup = candidate.seeded(seed);
                let outcome = run(&setup).into();
                if outcome.violates(property) {
                    (shrunk.setup, shrunk.outcome) = (setup, outcome);
                    shrunk.steps.push(setup);
                    continue 'smaller;
                }
            }
        }
        return Some(shrunk);
    }
}

/// How small a run may become.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Smallest {
    /// Fewest nodes.
    pub nodes: usize,
    /// Fewest calls.
    pub calls: usize,
}

fn seeds(failed: u64) -> impl Iterator<Item = u64> {
    let others: Range<u64> = 0..SEEDS_TRIED;
    std::iter::once(failed).chain(others.filter(move |seed| *seed != failed))
}

/// Smaller setups, the smallest of each measure first.
fn smaller(setup: &Setup, smallest: Smallest) -> Vec<Setup> {
    let mut all = Vec::new();
    if setup.faults != FaultClasses::none() {
        all.push(Setup { faults: FaultClasses::none(), ..*setup });
        let alone = |class: FaultClass| FaultClasses::none().with(class);
        let singles = setup.faults.iter().filter(|class| alone(*class) != setup.faults);
        all.extend(singles.map(|class| Setup { faults: alone(class), ..*setup }));
    }
    all.extend((smallest.nodes..setup.nodes).map(|nodes| Setup { nodes, ..*setup }));
    let calls = setup.calls.saturating_sub(smallest.calls);
    let fewer = [calls, calls - calls / 4, calls / 2, 1].into_iter().filter(|less| (1..=calls).contains(less));
    all.extend(fewer.map(|less| Setup { calls: setup.calls - less, ..*setup }));
    all.extend(setup.faults.iter().map(|class| Setup { faults: setup.faults.without(class), ..*setup }));
    all.extend([5, 20, 50].into_iter().filter(|chaos| *chaos < setup.chaos).map(|chaos| Setup { chaos, ..*setup }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::Violation;
    use crate::sim::{Counts, Trace};

    const SMALLEST: Smallest = Smallest { nodes: 2, calls: 1 };

    fn outcome(property: Option<&'static str>) -> Outcome {
        let result = property.map_or(Ok(()), |property| Err(Violation::new(property, "planted")));
        Outcome { result, counts: Counts::new(), trace: Trace::default() }
    }

    /// Fails with loss and crashes, three nodes and four calls or more, for one
    /// seed in five; smaller runs fail in another way.
    fn planted(setup: &Setup) -> Outcome {
        let faults = setup.faults.has(FaultClass::Loss) && setup.faults.has(FaultClass::Crash);
        let fails = faults && setup.nodes >= 3 && setup.calls >= 4 && setup.seed % 5 == 2;
        outcome(Some(if fails { "mine" } else { "another" }))
    }

    #[test]
    fn the_smallest_run_that_fails_in_the_same_way() {
        let failing = Setup { seed: 1002, ..Setup::default() };
        let shrunk = shrink(failing, "mine", SMALLEST, 5000, planted).expect("it fails");
        let faults = FaultClasses::none().with(FaultClass::Loss).with(FaultClass::Crash);
        assert_eq!(shrunk.setup, Setup { seed: shrunk.setup.seed, nodes: 3, calls: 4, faults, chaos: 5 });
        assert_eq!(shrunk.steps.last(), Some(&shrunk.setup));
        assert!(shrunk.steps.iter().all(|step| planted(step).violates("mine")));
        let again = shrink(failing, "mine", SMALLEST, 5000, planted).expect("it fails");
        assert_eq!((again.setup, again.runs, again.steps), (shrunk.setup, shrunk.runs, shrunk.steps));
    }

    #[test]
    fn it_ends_after_so_many_runs() {
        let failing = Setup { seed: 2, ..Setup::default() };
        let shrunk = shrink(failing, "mine", SMALLEST, 40, planted).expect("it fails");
        assert!(shrunk.runs <= 40 && planted(&shrunk.setup).violates("mine"));
    }

    #[test]
    fn what_does_not_fail_is_not_shrunk() {
        assert!(shrink(Setup::default(), "mine", SMALLEST, 100, |_| outcome(None)).is_none());
    }
}
