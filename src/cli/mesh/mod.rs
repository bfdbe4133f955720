//! `nodewright mesh`: nodes as real processes on loopback, faults by plan, a
//! verdict at the end.

mod children;
mod plan;
mod run;
mod tracing;

pub(crate) use plan::{Action, Plan};
pub(crate) use run::run_plan;

use super::Failure;
use super::terminal::Terminal;
use super::values::{At, Span, duration};
use super::verdict_command::tell;
use crate::protocol::delivery::Delivery;
use std::path::PathBuf;
use std::time::Duration;

/// Run a mesh of nodes as processes on this machine, trouble them, and judge
#[derive(clap::Args)]
#[command(after_help = "\
Every node is a process of its own on loopback, secured by a secret made for the run, and broadcasts.
The verdict is computed from the records that the nodes left on disk.

Examples:
  nodewright mesh
      Four nodes, 20 seconds, uniform causal delivery
  nodewright mesh --kill 2@5s --restart 2@10s
      kill -9 of the second node, and its return as a new life
  nodewright mesh --for 60s --cut-links 500ms --rate 1000
      Every link cut at random twice a second under load
  nodewright mesh --pause 3@6s..9s --json | tail -n 1
      The verdict alone, for a program
  nodewright mesh --for 5s --rate 20 --kill 2@1s --restart 2@3s --trace run.trace
      Recorded: draw it by `nodewright trace run.trace --html run.html`, judge it by `nodewright check run.trace`

Exit status: 0 verdict ok, 1 verdict failed, 2 wrong usage")]
pub(crate) struct Args {
    /// How many nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// How long they broadcast, counted from when all are linked
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = duration)]
    run_for: Duration,
    /// Kill a node (SIGKILL), as in 2@5s; may be repeated
    #[arg(long, value_name = "NODE@TIME", value_delimiter = ',')]
    kill: Vec<At>,
    /// Start a killed node again, as in 2@10s
    #[arg(long, value_name = "NODE@TIME", value_delimiter = ',')]
    restart: Vec<At>,
    /// Stop a node's process and let it go on, as in 3@6s..9s
    #[arg(long, value_name = "NODE@FROM..UNTIL", value_delimiter = ',')]
    pause: Vec<Span>,
    /// How often to cut about half of all connections, at random
    #[arg(long, value_name = "TIME", value_parser = duration)]
    cut_links: Option<Duration>,
    /// What each broadcasts by: best_effort, reliable, uniform, each also with
    /// .fifo, the latter two also with .causal
    #[arg(long, default_value = "uniform.causal")]
    delivery: Delivery,
    /// Broadcasts a second and node; 0 for an idle mesh
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Bytes of a broadcast, at least 28
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Where records, logs and the secret go (default: a temporary directory,
    /// kept when the verdict failed)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Record all that happens: into this file, or a file a process into this
    /// directory if it is there
    #[arg(long, value_name = "FILE|DIR")]
    trace: Option<PathBuf>,
    /// One JSON object a line, the verdict last
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let json = args.json;
    let outcome = run_plan(&Plan::new(args)?, terminal, json)?;
    tell(terminal, json, &outcome.verdict, &outcome.totals, &outcome.findings);
    if outcome.verdict.ok() { Ok(()) } else { Err(Failure::told()) }
}
