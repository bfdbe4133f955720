//! The delivery ladder under all faults: each rung keeps what it promises, on
//! whole stacks and alone. The scenarios are the library's; the planted bugs
//! that they must catch are in `mutants.rs`.

use nodewright::component::Stack;
use nodewright::protocol::delivery::{Delivery, Mutant};
use nodewright::scenario::{self, stacks};
use nodewright::sim::seeds;
use std::time::Duration;

pub use nodewright::scenario::stacks::{EXCLUDE_AFTER, joined, millis};

/// A node as the schedules by name have it.
pub fn stack(rung: Delivery, mutant: Option<Mutant>) -> Stack {
    stacks::stack(rung, mutant, EXCLUDE_AFTER)
}

/// So many seeds of a scenario, all its goals met.
pub fn holds(test: &str, what: &str, seeds_each: u64) {
    let scenario = scenario::find(what).expect("a shipped scenario");
    let goals: Vec<_> = scenario.goals().iter().map(|goal| goal.what).collect();
    if let Err(failure) = seeds(test, 0..seeds_each).sometimes(&goals).explore(|setup| scenario.run(setup, None)) {
        panic!("{what}: {failure}");
    }
}

fn rung(test: &str, what: &str) {
    holds(&format!("sim_delivery::{test}"), what, 40);
    holds(&format!("sim_delivery::{test}"), &format!("core.{what}"), 200);
}

#[test]
fn best_effort() {
    rung("best_effort", "best-effort");
}

#[test]
fn best_effort_fifo() {
    rung("best_effort_fifo", "best-effort.fifo");
}

#[test]
fn reliable() {
    rung("reliable", "reliable");
}

#[test]
fn reliable_fifo() {
    rung("reliable_fifo", "reliable.fifo");
}

#[test]
fn reliable_causal() {
    rung("reliable_causal", "reliable.causal");
}

#[test]
fn uniform() {
    rung("uniform", "uniform");
}

#[test]
fn uniform_fifo() {
    rung("uniform_fifo", "uniform.fifo");
}

#[test]
fn uniform_causal() {
    rung("uniform_causal", "uniform.causal");
}

#[test]
fn uniform_all_ack_under_synchrony() {
    rung("uniform_all_ack_under_synchrony", "uniform.all-ack");
}

#[test]
fn the_rungs_of_a_scenario_are_those_of_the_ladder() {
    for rung in Delivery::ALL {
        for what in [rung.name().to_string(), format!("core.{}", rung.name())] {
            assert!(scenario::find(&what).is_ok_and(|it| it.name() == what.replace('_', "-")), "{what}");
        }
    }
    assert_eq!(EXCLUDE_AFTER, Duration::from_secs(3));
    assert!(scenario::find("rumour").is_err_and(|why| why.contains("one of best-effort,")));
}
