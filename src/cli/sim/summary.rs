//! The last line of a batch.

use super::failure::Command;
use crate::cli::terminal::{Paint, Terminal};
use crate::sim::{Setup, Tally};
use serde::Serialize;
use serde_json::json;

#[derive(Serialize)]
pub(super) struct Summary {
    what: String,
    nodes: usize,
    seeds: u64,
    violations: u64,
    first_bad_seed: Option<u64>,
    seeds_per_s: f64,
    /// The hashes of all worlds' traces, combined in the order of the seeds.
    trace_hash: String,
}

impl Summary {
    pub(super) fn new(command: &Command<'_>, setup: &Setup, tally: &Tally, seconds: f64) -> Self {
        Summary {
            what: command.scenario.name(),
            nodes: setup.nodes,
            seeds: tally.seeds,
            violations: tally.violations,
            first_bad_seed: tally.first_bad.as_ref().map(|(seed, _)| *seed),
            seeds_per_s: (tally.seeds as f64 / seconds * 10.0).round() / 10.0,
            trace_hash: format!("{:016x}", tally.trace_hash),
        }
    }

    pub(super) fn show(&self, tally: &Tally, missed: &[&str], json: bool, terminal: &Terminal) {
        if json {
            if !missed.is_empty() {
                terminal.json(&json!({"goals_missed": missed}));
            }
            return terminal.json(self);
        }
        if !missed.is_empty() {
            let text = format!("never happened in {} worlds: {}", self.seeds, missed.join(", "));
            terminal.line(&terminal.paint(Paint::Red, &text));
        }
        if tally.seeds > 1 {
            let counts: Vec<_> = tally.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
            terminal.line(&terminal.paint(Paint::Dim, &format!("happened: {}", counts.join(", "))));
        }
        let verdict = match (tally.violations, missed.is_empty()) {
            (0, true) => terminal.paint(Paint::Green, "ok"),
            (0, false) => terminal.paint(Paint::Red, "goals missed"),
            (bad, _) => terminal.paint(Paint::Red, &format!("{bad} worlds violate a property")),
        };
        let Summary { what, nodes, seeds, seeds_per_s, trace_hash, .. } = self;
        let worlds = if *seeds == 1 { "world" } else { "worlds" };
        terminal.line(&format!(
            "{what}: {verdict}: {seeds} {worlds} of {nodes} nodes, {seeds_per_s:.0} a second, trace hash {trace_hash}"
        ));
    }
}
