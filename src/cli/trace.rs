//! `nodewright trace`: draws recorded runs.

use super::terminal::Terminal;
use super::{Failure, traces};
use crate::trace::diagram;
use std::io::Write;
use std::path::PathBuf;

/// Draws recorded runs as a space-time diagram, or merges them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright sim --what uniform --seed 17 --trace out.trace && nodewright trace out.trace --html out.html
      A simulated world as one page that needs no network: open it in a browser
  nodewright trace traces/ --html run.html
      The traces of several nodes in one diagram
  nodewright trace traces/ --merge run.trace
      The same, as one trace

A lane for each node, time to the right, messages as arrows; lives, crashes,
suspicions and partitions. Keys: press ? on the page.

Exit status: 0 written, 1 it could not be, 2 the traces cannot be read")]
pub(super) struct Args {
    /// Traces of one run, or directories of them
    #[arg(required = true)]
    traces: Vec<PathBuf>,
    /// Where to write the diagram
    #[arg(long, value_name = "FILE", required_unless_present = "merge")]
    html: Option<PathBuf>,
    /// Where to write all of them as one trace
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let trace = traces::load(&args.traces)?;
    let records = trace.records.len();
    if let Some(path) = &args.merge {
        traces::save(&trace, path)?;
        terminal.line(&format!("{}: {records} records", path.display()));
    }
    if let Some(path) = &args.html {
        let page = diagram(&trace);
        traces::replace(path, |out| out.write_all(page.as_bytes()))?;
        terminal.line(&format!("{}: {records} records drawn, open it in a browser", path.display()));
    }
    Ok(())
}
