//! `nodewright check`: judges recorded runs, simulated or live.

use super::terminal::{Paint, Terminal};
use super::{Failure, traces};
use crate::scenario::recorded::{Judged, Judgement, judge};
use serde_json::json;
use std::path::PathBuf;

/// Judges recorded runs by what their deliveries promise
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright sim --what uniform.causal --seed 17 --trace out.trace && nodewright check out.trace
      A simulated world, judged from its file
  nodewright mesh --kill 2@5s --restart 2@10s --trace run.trace && nodewright check run.trace
      Real processes, one of them killed
  nodewright check traces/ --json
      The traces of several nodes, merged; one JSON object a property, the verdict last

The properties: no creation, no duplication, FIFO and causal order, agreement,
uniform agreement, validity; of links: no creation, no duplication, order; of
membership: a life is ended by a majority only. Each is judged where the trace
shows enough; what was not judged is said, and the verdict is then partial.

Exit status: 0 no property is violated, 1 one is, 2 the traces cannot be read")]
pub(super) struct Args {
    /// Traces of one run, or directories of them
    #[arg(required = true)]
    traces: Vec<PathBuf>,
    /// One JSON object a line, the verdict last
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let trace = traces::load(&args.traces)?;
    let judgement = judge(&trace);
    tell(&judgement, args.json, terminal);
    if judgement.ok() { Ok(()) } else { Err(Failure::told()) }
}

fn tell(judgement: &Judgement, json: bool, terminal: &Terminal) {
    let Judgement { records, broadcasts, deliveries, judged, partial } = judgement;
    let verdict = match (judgement.ok(), partial.is_empty()) {
        (false, _) => "violated",
        (true, false) => "partial",
        (true, true) => "ok",
    };
    if json {
        for Judged { of, property, result } in judged {
            let what = result.as_ref().err().map(|violation| &violation.what);
            terminal.json(&json!({"of": of, "property": property, "holds": result.is_ok(), "violation": what}));
        }
        return terminal.json(&json!({
            "verdict": verdict, "records": records, "broadcasts": broadcasts, "deliveries": deliveries,
            "judged": judged.len(), "violated": judged.iter().filter(|it| it.result.is_err()).count(),
            "partial": partial,
        }));
    }
    for Judged { of, property, result } in judged {
        let (word, what) = match result {
            Ok(()) => (terminal.paint(Paint::Green, "holds   "), String::new()),
            Err(violation) => (terminal.paint(Paint::Red, "VIOLATED"), format!("\n    {violation}")),
        };
        terminal.line(&format!("{word} {of}: {property}{what}"));
    }
    for why in partial {
        terminal.line(&format!("{} {why}", terminal.paint(Paint::Yellow, "in part ")));
    }
    let paint = match verdict {
        "ok" => Paint::Green,
        "partial" => Paint::Yellow,
        _ => Paint::Red,
    };
    terminal.line(&format!(
        "verdict {}: {} properties judged on {records} events, {broadcasts} broadcasts, {deliveries} deliveries",
        terminal.paint(paint, verdict),
        judged.len(),
    ));
}
