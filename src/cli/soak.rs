//! `nodewright soak`: long runs that show what grows.

#[cfg(feature = "http")]
mod docs;

use super::mesh::{Action, Plan, run_plan};
use super::records::Sample;
use super::terminal::{Paint, Terminal};
use super::values::{duration, show};
use super::verdict::{Histories, NodeTotals};
use super::verdict_command::tell;
use super::{Failure, payload};
use crate::protocol::delivery::Delivery;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Run for long under load and faults, and see that nothing grows
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  nodewright soak mesh --for 10m\n  nodewright soak docs --rounds 100")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Mesh(MeshArgs),
    #[cfg(feature = "http")]
    Docs(docs::Args),
}

/// A mesh under load, one of its nodes killed and restarted again and again
#[derive(clap::Args)]
#[command(after_help = "\
The later half of the nodes is killed in turn; the earlier half is up throughout and is measured. Flat means
that the median of the resident memory over the last minute is within 10 % of that over the second minute; a
run shorter than 4 minutes compares its last quarter with its third.

Examples:
  nodewright soak mesh --for 10m
  nodewright soak mesh --for 1m --every 10s --json | tail -n 1")]
struct MeshArgs {
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = duration)]
    run_for: Duration,
    /// How often a node is killed; it is restarted half that time later
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    every: Duration,
    /// How many nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=32))]
    nodes: u16,
    /// What each broadcasts by
    #[arg(long, default_value = "uniform.causal")]
    delivery: Delivery,
    /// Broadcasts a second and node
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Bytes of a broadcast
    #[arg(long, default_value_t = 64.max(payload::BYTES_MIN))]
    size: usize,
    /// Where records, logs and the secret go (default: a temporary directory)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// One JSON object a line, the verdict last
    #[arg(long)]
    json: bool,
}

/// How much the resident memory may differ between the two windows.
const RSS_TOLERANCE: f64 = 0.10;
/// Threads that may come and go: dialling and handshakes have their own.
const THREADS_TOLERANCE: u32 = 4;
/// Descriptors that may come and go: a dead peer's connections being dialled.
const DESCRIPTORS_TOLERANCE: u32 = 6;

/// What a node that was up throughout held in two windows of the run: medians.
#[derive(Debug, PartialEq, Serialize)]
struct Growth {
    node: String,
    window_s: f64,
    rss_bytes_early: u64,
    rss_bytes_late: u64,
    threads_early: u32,
    threads_late: u32,
    descriptors_early: u32,
    descriptors_late: u32,
    flat: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let args = match args.what {
        What::Mesh(args) => args,
        #[cfg(feature = "http")]
        What::Docs(args) => return docs::run(&args, terminal),
    };
    let nodes = usize::from(args.nodes);
    let plan = Plan {
        nodes,
        run_for: args.run_for,
        script: script(nodes, args.run_for, args.every).map_err(Failure::usage)?,
        cut_links: None,
        delivery: args.delivery,
        rate: args.rate,
        size: args.size,
        dir: args.dir,
        trace: None,
    };
    let outcome = run_plan(&plan.checked().map_err(Failure::usage)?, terminal, args.json)?;
    let growth = growth(&outcome.histories, &outcome.totals, args.run_for);
    let mut verdict = outcome.verdict;
    let growing = growth.is_empty() || growth.iter().any(|node| !node.flat);
    if growing {
        verdict.verdict = "failed";
    }
    for node in &growth {
        if args.json {
            terminal.json(node);
            continue;
        }
        let word = if node.flat { terminal.paint(Paint::Green, "flat") } else { terminal.paint(Paint::Red, "grows") };
        terminal.line(&format!(
            "{:<9} {word}: resident {:.1} -> {:.1} MiB, threads {} -> {}, descriptors {} -> {} (medians of {} each)",
            node.node,
            node.rss_bytes_early as f64 / f64::from(1 << 20),
            node.rss_bytes_late as f64 / f64::from(1 << 20),
            node.threads_early,
            node.threads_late,
            node.descriptors_early,
            node.descriptors_late,
            show(Duration::from_secs_f64(node.window_s)),
        ));
    }
    if args.run_for < FULL && !args.json {
        terminal.line("a short dose: its quarters are compared, which says less than minutes do (--for 10m)");
    }
    tell(terminal, args.json, &verdict, &outcome.totals, &outcome.findings);
    if verdict.ok() { Ok(()) } else { Err(Failure::told()) }
}

/// From this length on, whole minutes are compared.
const FULL: Duration = Duration::from_secs(240);

/// Kills one of the later half of the nodes `every` so often, in turn.
fn script(nodes: usize, run_for: Duration, every: Duration) -> Result<Vec<(Duration, Action)>, String> {
    if every < Duration::from_secs(2) {
        return Err("--every: at least 2s, a node needs a moment to come back".to_string());
    }
    let victims = nodes.div_ceil(2)..nodes;
    let mut script = Vec::new();
    let mut at = every;
    for node in victims.cycle() {
        // A node that is not back well before the end could not be judged.
        if at + every > run_for {
            break;
        }
        script.push((at, Action::Kill(node)));
        script.push((at + every / 2, Action::Restart(node)));
        at += every;
    }
    Ok(script)
}

/// Compares two windows of each life that was up throughout.
fn growth(histories: &Histories, totals: &[NodeTotals], run_for: Duration) -> Vec<Growth> {
    let survivors = totals.iter().filter(|totals| totals.up_throughout);
    let window = if run_for < FULL { run_for / 4 } else { Duration::from_secs(60) };
    let of = |totals: &NodeTotals| {
        let samples = histories.samples(&totals.node, totals.incarnation);
        compare(&totals.node, samples, run_for, window)
    };
    survivors.filter_map(of).collect()
}

fn compare(node: &str, samples: &[Sample], run_for: Duration, window: Duration) -> Option<Growth> {
    let within = |from: Duration, until: Duration| {
        let span = from.as_millis()..until.as_millis();
        samples.iter().filter(move |sample| span.contains(&u128::from(sample.at_ms))).collect::<Vec<_>>()
    };
    let begins = run_for.saturating_sub(window);
    // In a short run the first node is still being killed for the first time
    // while memory is measured: its second half is compared.
    let early = if run_for < FULL { begins.saturating_sub(window) } else { window };
    let (early, late) = (within(early, early + window), within(begins, run_for));
    let growth = Growth {
        node: node.to_string(),
        window_s: window.as_secs_f64(),
        rss_bytes_early: median(&early, |sample| sample.rss_bytes)?,
        rss_bytes_late: median(&late, |sample| sample.rss_bytes)?,
        threads_early: median(&early, |sample| sample.threads)?,
        threads_late: median(&late, |sample| sample.threads)?,
        descriptors_early: median(&early, |sample| sample.descriptors)?,
        descriptors_late: median(&late, |sample| sample.descriptors)?,
        flat: false,
    };
    let allowed = growth.rss_bytes_early as f64 * (1.0 + RSS_TOLERANCE);
    let flat = growth.rss_bytes_late as f64 <= allowed
        && growth.threads_late <= growth.threads_early + THREADS_TOLERANCE
        && growth.descriptors_late <= growth.descriptors_early + DESCRIPTORS_TOLERANCE;
    Some(Growth { flat, ..growth })
}

fn median<T: Ord + Copy>(samples: &[&Sample], of: impl Fn(&Sample) -> T) -> Option<T> {
    let mut values: Vec<T> = samples.iter().map(|sample| of(sample)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss: impl Fn(u64) -> u64, descriptors: impl Fn(u64) -> u32) -> Vec<Sample> {
        (0..600)
            .map(|s| Sample {
                at_ms: s * 1000,
                rss_bytes: rss(s),
                threads: 20,
                descriptors: descriptors(s),
                ..Sample::default()
            })
            .collect()
    }

    fn flat(samples: &[Sample]) -> bool {
        compare("alpha", samples, Duration::from_secs(600), Duration::from_secs(60)).unwrap().flat
    }

    #[test]
    fn what_grows_is_seen_and_what_wavers_is_not() {
        assert!(flat(&samples(|s| 20_000_000 + s % 7 * 100_000, |_| 12)));
        assert!(!flat(&samples(|s| 20_000_000 + s * 10_000, |_| 12)));
        assert!(!flat(&samples(|_| 20_000_000, |s| 12 + s as u32 / 20)));
    }

    #[test]
    fn the_later_half_is_killed_in_turn_and_is_back_before_the_end() {
        let s = Duration::from_secs;
        let script = script(4, s(60), s(20)).unwrap();
        assert_eq!(
            script,
            [
                (s(20), Action::Kill(2)),
                (s(30), Action::Restart(2)),
                (s(40), Action::Kill(3)),
                (s(50), Action::Restart(3))
            ]
        );
    }
}
