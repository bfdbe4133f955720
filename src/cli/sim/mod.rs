//! `nodewright sim`: the shipped scenarios, many seeds on all cores.
//!
//! A seed that fails is printed as the command that replays it; then the run
//! is shrunk, and the command of the smallest run that fails in the same way is
//! printed with its transcript. The output depends on the seeds alone, not on
//! the number of threads (the rate apart).

mod failure;
mod summary;

use super::terminal::{Paint, Terminal};
use super::{Failure, traces, values};
use crate::scenario::{self, Planted, Scenario, recorded};
use crate::sim::{Batch, FaultClasses, Outcome, Setup, Tally};
use failure::{Command, Failed};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;
use summary::Summary;

/// Batches of so many worlds must have met every goal.
const GOALS_FROM: u64 = 200;

/// Runs shipped scenarios in the simulator and judges them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright sim --what uniform.causal --nodes 5 --seeds 0..2000
      Two thousand worlds, every fault, each property of the rung judged
  nodewright sim --what uniform --seed 17 --trace out.trace
      One world, and all that happened in it, to be drawn (nodewright trace) and judged (nodewright check)
  nodewright sim --what uniform --mutant first-copy --seeds 0..500
      A planted bug, caught and shrunk
  nodewright sim --list
      The scenarios and their planted bugs

Exit status: 0 all properties hold, 1 one does not or a goal was never reached, 2 wrong usage")]
pub(super) struct Args {
    /// Which scenario; see --list
    #[arg(long, default_value = "uniform")]
    what: String,
    /// Voters; without it 5
    #[arg(long)]
    nodes: Option<usize>,
    /// Seeds, the last one left out
    #[arg(long, default_value = "0..1000", value_parser = values::range, conflicts_with = "seed")]
    seeds: Range<u64>,
    /// One seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Classes of faults: all, none, or some of delay,loss,duplication,reordering,cut,partition,pause,crash,jump
    #[arg(long, default_value = "all")]
    faults: FaultClasses,
    /// Calls in the chaos phase
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// Length of the chaos phase in percent of the scenario's own
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    chaos: u32,
    /// Plants a bug, so that a failure can be seen
    #[arg(long)]
    mutant: Option<String>,
    /// Where to save all that happened, for `nodewright trace` and `nodewright check`; with --seed
    #[arg(long, value_name = "FILE", requires = "seed")]
    trace: Option<PathBuf>,
    /// Threads; 0 for one a core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Shows the scenarios and their planted bugs
    #[arg(long)]
    list: bool,
}

/// Runs what was asked for.
pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    if args.list {
        list(terminal);
        return Ok(());
    }
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(log::LevelFilter::Off); // thousands of nodes that pause and fall
    }
    let scenario = scenario::find(&args.what).map_err(Failure::usage)?;
    let scenario = &*scenario;
    let planted = args.mutant.as_deref().map(|name| mutant(scenario, name)).transpose()?;
    let nodes = args.nodes.unwrap_or(Setup::default().nodes);
    if !scenario.nodes().contains(&nodes) {
        let (least, most) = scenario.nodes().into_inner();
        return Err(Failure::usage(format!("{} takes {least} to {most} nodes, not {nodes}", args.what)));
    }
    let (calls, faults, chaos) = (args.calls as usize, args.faults, args.chaos);
    let setup = Setup { seed: 0, nodes, calls, faults, chaos };
    let command = Command { scenario, planted };
    match args.seed {
        Some(seed) => one(&command, &setup.seeded(seed), args, terminal),
        None => many(&command, &setup, args, terminal),
    }
}

fn mutant<'a>(scenario: &'a dyn Scenario, name: &str) -> Result<&'a Planted, Failure> {
    scenario.mutants().iter().find(|planted| planted.name == name).ok_or_else(|| {
        let names: Vec<_> = scenario.mutants().iter().map(|planted| planted.name).collect();
        Failure::usage(format!("{} has no planted bug '{name}': one of {}", scenario.name(), names.join(", ")))
    })
}

fn list(terminal: &Terminal) {
    for scenario in scenario::scenarios() {
        terminal.line(&format!("{:<22} {}", scenario.name(), scenario.about()));
        for Planted { name, property, about } in scenario.mutants() {
            let text = format!("    --mutant {name}: {about} (breaks: {property})");
            terminal.line(&terminal.paint(Paint::Dim, &text));
        }
    }
}

fn many(command: &Command<'_>, setup: &Setup, args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let began = Instant::now();
    let worlds = args.seeds.end - args.seeds.start;
    let progress = |done: u64| {
        if done.is_multiple_of((worlds / 200).max(1)) {
            terminal.progress(&format!("{}: {done} of {worlds} worlds", command.scenario.name()));
        }
    };
    let batch = Batch { threads: args.threads, progress: Some(&progress), ..Batch::of(args.seeds.clone()) };
    let tally = batch.run(|seed| command.run(&setup.seeded(seed)));
    terminal.progress_done();
    let seconds = began.elapsed().as_secs_f64();
    if let Some((seed, violation)) = &tally.first_bad {
        Failed { command, setup: setup.seeded(*seed), violation }.show(args.json, terminal);
    }
    let missed = if command.planted.is_none() { missed(command.scenario, setup, &tally) } else { Vec::new() };
    let summary = Summary::new(command, setup, &tally, seconds);
    summary.show(&tally, &missed, args.json, terminal);
    if tally.violations > 0 || !missed.is_empty() { Err(Failure::told()) } else { Ok(()) }
}

/// Goals that a batch large enough never reached.
fn missed(scenario: &dyn Scenario, setup: &Setup, tally: &Tally) -> Vec<&'static str> {
    let goals = scenario.goals().iter().filter(|goal| tally.seeds >= GOALS_FROM && goal.applies(setup));
    goals.map(|goal| goal.what).filter(|what| tally.counts.get(what).is_none_or(|count| *count == 0)).collect()
}

fn one(command: &Command<'_>, setup: &Setup, args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let began = Instant::now();
    let outcome = command.run(setup);
    let seconds = began.elapsed().as_secs_f64();
    match &args.trace {
        Some(path) => {
            let about = format!("{} {setup}", command.scenario.name());
            traces::save(&recorded::record(&outcome.trace, &about), path)?;
        }
        None if !args.json => terminal.line(outcome.trace.transcript().trim_end()),
        None => {}
    }
    let Outcome { result, trace, .. } = &outcome;
    if let Err(violation) = result {
        Failed { command, setup: *setup, violation }.tell(args.json, terminal);
    }
    let (violations, first_bad) = (result.is_err().into(), result.clone().err().map(|it| (setup.seed, it)));
    let tally = Tally { seeds: 1, violations, first_bad, trace_hash: trace.hash(), ..Tally::default() };
    Summary::new(command, setup, &tally, seconds).show(&tally, &[], args.json, terminal);
    if result.is_err() { Err(Failure::told()) } else { Ok(()) }
}
