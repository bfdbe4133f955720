//! `nodewright verdict`: judges a run from the records it left behind.

use super::Failure;
use super::terminal::{Paint, Terminal};
use super::verdict::{Finding, NodeTotals, Verdict, judge, load};
use std::path::PathBuf;

/// Judge a run from the records that its nodes left behind
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright verdict records
  nodewright verdict records --json | tail -n 1")]
pub(crate) struct Args {
    /// The directory with the records of all nodes
    dir: PathBuf,
    /// How many nodes the run had (default: as many as the records say)
    #[arg(long)]
    nodes: Option<usize>,
    /// One JSON object a line, the verdict last
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let histories = load(&args.dir).map_err(Failure::usage)?;
    let (verdict, totals, findings) = judge(&histories, args.nodes);
    tell(terminal, args.json, &verdict, &totals, &findings);
    if verdict.ok() { Ok(()) } else { Err(Failure::told()) }
}

/// Tells a verdict: per life, what was found, and the verdict last.
pub(crate) fn tell(terminal: &Terminal, json: bool, verdict: &Verdict, totals: &[NodeTotals], findings: &[Finding]) {
    if json {
        totals.iter().for_each(|totals| terminal.json(totals));
        findings.iter().for_each(|finding| terminal.json(finding));
        terminal.json(verdict);
        return;
    }
    terminal.line(&terminal.paint(Paint::Dim, "node      life            broadcasts  deliveries   cpu %  rss MiB"));
    for life in totals {
        let standing = match (life.up_throughout, life.ended_well) {
            (true, _) => terminal.paint(Paint::Green, "up throughout"),
            (false, true) => terminal.paint(Paint::Green, "up at the end"),
            (false, false) => terminal.paint(Paint::Red, "crashed"),
        };
        terminal.line(&format!(
            "{:<9} {:<14} {:>11} {:>11} {:>7.2} {:>8.1}  {standing}",
            life.node,
            life.incarnation,
            life.broadcasts,
            life.deliveries,
            life.cpu_percent,
            life.rss_bytes_max as f64 / f64::from(1 << 20),
        ));
    }
    for finding in findings {
        let at = if finding.node.is_empty() { String::new() } else { format!(" at {}", finding.node) };
        terminal.line(&format!("{}{at}: {}", terminal.paint(Paint::Red, finding.finding), finding.what));
    }
    let word = terminal.paint(if verdict.ok() { Paint::Green } else { Paint::Red }, verdict.verdict);
    terminal.line(&format!(
        "verdict {word}: {} nodes, {} broadcasts, {} deliveries, {} lost, {} duplicated, {} out of order, \
         {} suspected, {} restored, at most {:.1} MiB resident",
        verdict.nodes,
        verdict.broadcasts,
        verdict.deliveries,
        verdict.lost,
        verdict.duplicated,
        verdict.out_of_order,
        verdict.suspected,
        verdict.restored,
        verdict.rss_bytes_max as f64 / f64::from(1 << 20),
    ));
}
