//! A seed that fails, the command that replays it, and the smallest run that
//! fails in the same way.

use crate::cli::terminal::{Paint, Terminal};
use crate::scenario::{Planted, Scenario};
use crate::sim::check::Violation;
use crate::sim::{Outcome, Setup, shrink};
use serde_json::json;

/// Runs that shrinking may take.
const RUNS_MAX: usize = 1500;
/// Lines of a transcript that are shown, its last ones; the whole is had by
/// replaying.
const LINES_MAX: usize = 60;

/// What is run again and again.
pub(super) struct Command<'a> {
    pub(super) scenario: &'a dyn Scenario,
    pub(super) planted: Option<&'a Planted>,
}

impl Command<'_> {
    pub(super) fn run(&self, setup: &Setup) -> Outcome {
        self.scenario.run(setup, self.planted)
    }

    /// As it is typed.
    fn replay(&self, setup: &Setup) -> String {
        let mutant = self.planted.map(|planted| format!(" --mutant {}", planted.name)).unwrap_or_default();
        format!("nodewright sim --what {} {setup}{mutant}", self.scenario.name())
    }
}

/// A run in which a property does not hold.
pub(super) struct Failed<'a> {
    pub(super) command: &'a Command<'a>,
    pub(super) setup: Setup,
    pub(super) violation: &'a Violation,
}

impl Failed<'_> {
    /// Says what is wrong and how to replay it.
    pub(super) fn tell(&self, json: bool, terminal: &Terminal) {
        let Failed { command, setup, violation } = self;
        let replay = command.replay(setup);
        if json {
            let Violation { property, what } = violation;
            return terminal
                .json(&json!({"seed": setup.seed, "property": property, "violation": what, "replay": replay}));
        }
        terminal.line(&format!("seed {}: {}", setup.seed, terminal.paint(Paint::Red, &violation.to_string())));
        terminal.line(&format!("replay: {replay}"));
    }

    /// Says so, shrinks the run, and shows what is left of it.
    pub(super) fn show(&self, json: bool, terminal: &Terminal) {
        self.tell(json, terminal);
        let Failed { command, setup, violation } = self;
        terminal.progress("shrinking");
        let smallest = command.scenario.smallest();
        let shrunk = shrink(*setup, violation.property, smallest, RUNS_MAX, |setup| command.run(setup));
        terminal.progress_done();
        let Some(shrunk) = shrunk else {
            return terminal.complain("the run does not fail again: it depends on more than its seed");
        };
        let Err(violation) = &shrunk.outcome.result else { return };
        let replay = command.replay(&shrunk.setup);
        let events = |outcome: &Outcome| outcome.trace.records().len();
        let (before, after) = (events(&command.run(setup)), events(&shrunk.outcome));
        if json {
            let text = shrunk.outcome.trace.transcript();
            return terminal.json(&json!({
                "shrunk": replay, "violation": violation.what, "runs": shrunk.runs, "steps": shrunk.steps.len(),
                "events_before": before, "events": after, "transcript": text,
            }));
        }
        let steps = shrunk.steps.len();
        terminal.line(&format!("shrunk from {before} to {after} events in {steps} steps, {} runs", shrunk.runs));
        terminal.line(&format!("    {}", terminal.paint(Paint::Red, &violation.to_string())));
        terminal.line(&format!("replay: {replay}"));
        let text = shrunk.outcome.trace.transcript();
        let before = text.lines().count().saturating_sub(LINES_MAX);
        if before > 0 {
            terminal.line(&format!("... {before} before this: replay it"));
        }
        for line in text.lines().skip(before) {
            terminal.line(&terminal.paint(Paint::Dim, line));
        }
    }
}
