//! `nodewright soak docs`: a cluster of processes under load, killed again and again.
//!
//! Each client adds documents with ids of its own and counts them in one document by
//! `$inc`; every write has its key, and is tried through all nodes. At the end every
//! id that was acknowledged is there, none that was refused, and each counter stands
//! between what was acknowledged and what may have been done: a write done twice
//! would show.

use crate::cli::Failure;
use crate::cli::docs::up::Cluster;
use crate::cli::terminal::{Paint, Terminal};
use crate::http::{Client, Problem};
use crate::service::documents::Fate;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a write is tried.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How long a killed cluster has to serve again.
const AGAIN_WITHIN: Duration = Duration::from_secs(60);
const COLLECTION: &str = "soak";
const COUNTERS: &str = "counters";

/// A cluster of three processes, killed (one, a majority, all) in turn under load
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright soak docs --rounds 100
  nodewright soak docs --rounds 6 --json | tail -n 1")]
pub(super) struct Args {
    /// How often nodes are killed
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=5))]
    nodes: u16,
    /// Clients that write
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Chooses who is killed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the nodes keep everything (default: a temporary directory)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// One JSON object a line, the verdict last
    #[arg(long)]
    json: bool,
}

/// What a client knows of its writes.
#[derive(Default)]
struct Wrote {
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
    refused: BTreeSet<String>,
    counted: u64,
    maybe_counted: u64,
    odd: Vec<String>,
}

#[derive(Serialize, Default, Debug)]
struct Verdict {
    verdict: &'static str,
    rounds: u32,
    nodes: usize,
    clients: u16,
    acknowledged: u64,
    unknown: u64,
    not_done: u64,
    lost: u64,
    duplicated: u64,
    unasked: u64,
    again_ms_median: u64,
    again_ms_max: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

struct Shared {
    addresses: Vec<String>,
    stop: AtomicBool,
    acknowledged: AtomicU64,
}

fn client(addresses: &[String]) -> Client {
    Client::new(addresses.iter().cloned()).within(WRITE_WITHIN)
}

fn write(shared: &Shared, number: u16) -> Wrote {
    let (mut wrote, mut client) = (Wrote::default(), client(&shared.addresses));
    let counter = format!("c{number}");
    for count in 0u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("c{number}-{count}");
        match client.insert(COLLECTION, &json!({ "_id": id, "client": number, "count": count })) {
            Ok(_) => {
                wrote.acknowledged.insert(id);
                shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(problem) => {
                wrote.note(&problem);
                let set = if problem.state == Fate::Unknown { &mut wrote.unknown } else { &mut wrote.refused };
                set.insert(id);
            }
        }
        match client.patch(COUNTERS, &counter, &json!({ "$inc": { "n": 1 } }), None) {
            Ok(_) => wrote.counted += 1,
            Err(problem) => {
                wrote.note(&problem);
                wrote.maybe_counted += u64::from(problem.state == Fate::Unknown);
            }
        }
    }
    wrote
}

impl Wrote {
    /// In a soak nothing but absence of a majority is a reason.
    fn note(&mut self, problem: &Problem) {
        let expected = ["unreachable", "unavailable", "unknown", "connections"].contains(&problem.code.as_str());
        if !expected && self.odd.len() < 5 {
            self.odd.push(problem.to_string());
        }
    }
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let made = std::env::temp_dir().join(format!("nodewright-soak-docs-{}", std::process::id()));
    let dir = args.dir.clone().unwrap_or_else(|| made.clone());
    let verdict = soak(args, &dir, terminal);
    if args.dir.is_none() && verdict.as_ref().is_ok_and(|verdict| verdict.verdict == "ok") {
        let _ = std::fs::remove_dir_all(&made); // what is left is in a temporary directory
    }
    let verdict = verdict?;
    if args.json {
        terminal.json(&verdict);
    } else {
        let paint = if verdict.verdict == "ok" { Paint::Green } else { Paint::Red };
        terminal.line(&format!(
            "{}: {} rounds, {} acknowledged, {} unknown, {} not done; lost {}, duplicated {}, unasked {}; again after {} ms (median)",
            terminal.paint(paint, verdict.verdict), verdict.rounds, verdict.acknowledged, verdict.unknown,
            verdict.not_done, verdict.lost, verdict.duplicated, verdict.unasked, verdict.again_ms_median
        ));
        verdict.problems.iter().for_each(|problem| terminal.line(problem));
    }
    if verdict.verdict == "ok" { Ok(()) } else { Err(Failure::told()) }
}

fn soak(args: &Args, dir: &std::path::Path, terminal: &Terminal) -> Result<Verdict, Failure> {
    let mut cluster = Cluster::open(dir, args.nodes, None)?;
    for number in 0..cluster.len() {
        cluster.start(number).map_err(Failure::failed)?;
    }
    cluster.ready()?;
    let shared =
        Shared { addresses: cluster.addresses(), stop: AtomicBool::new(false), acknowledged: AtomicU64::new(0) };
    let mut asking = client(&shared.addresses).within(AGAIN_WITHIN);
    for name in [COLLECTION, COUNTERS] {
        asking.create_collection(name).map_err(Failure::failed)?;
    }
    for number in 0..args.clients {
        asking.insert(COUNTERS, &json!({ "_id": format!("c{number}"), "n": 0 })).map_err(Failure::failed)?;
    }
    let (rounds, wrote) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..args.clients)
            .map(|number| {
                scope.spawn({
                    let shared = &shared;
                    move || write(shared, number)
                })
            })
            .collect();
        let rounds = rounds(args, &mut cluster, &shared, &mut asking, terminal);
        shared.stop.store(true, Ordering::Relaxed);
        let wrote: Vec<Wrote> = writers.into_iter().filter_map(|writer| writer.join().ok()).collect();
        (rounds, wrote)
    });
    let mut again = rounds?;
    again.sort_unstable();
    let mut verdict = judge(&wrote, &mut asking)?;
    verdict.rounds = args.rounds;
    (verdict.nodes, verdict.clients) = (cluster.len(), args.clients);
    verdict.again_ms_median = again.get(again.len() / 2).copied().unwrap_or(0);
    verdict.again_ms_max = again.last().copied().unwrap_or(0);
    let whole = wrote.len() == usize::from(args.clients);
    let well = verdict.lost + verdict.duplicated + verdict.unasked == 0 && verdict.problems.is_empty() && whole;
    verdict.verdict = if well { "ok" } else { "failed" };
    Ok(verdict)
}

/// Kills and restarts; how long it took each time until a write was acknowledged
/// again, in milliseconds.
fn rounds(
    args: &Args,
    cluster: &mut Cluster,
    shared: &Shared,
    asking: &mut Client,
    terminal: &Terminal,
) -> Result<Vec<u64>, Failure> {
    let mut random = fastrand::Rng::with_seed(args.seed);
    let (nodes, mut again) = (cluster.len(), Vec::new());
    for round in 0..args.rounds {
        // Some load between two strikes.
        wait_for(shared, 20)?;
        let count = match round % 3 {
            0 => 1,
            1 => nodes / 2 + 1,
            _ => nodes,
        };
        let mut order: Vec<usize> = (0..nodes).collect();
        random.shuffle(&mut order);
        if let Some(leader) = cluster.leader().filter(|_| random.bool()) {
            order.retain(|number| *number != leader);
            order.insert(0, leader);
        }
        let struck = &order[..count.min(nodes)];
        for number in struck {
            cluster.kill(*number).map_err(Failure::failed)?;
        }
        let begin = Instant::now();
        if count <= nodes - (nodes / 2 + 1) {
            wait_for(shared, 5)?; // a majority is left: writes go on
        }
        for number in struck {
            cluster.start(*number).map_err(Failure::failed)?;
        }
        wait_for(shared, 1)?;
        let took = begin.elapsed().as_millis() as u64;
        again.push(took);
        // What was acknowledged by now is there.
        let before = shared.acknowledged.load(Ordering::Relaxed);
        let there = asking.count(COLLECTION, &json!({})).map_err(Failure::failed)?;
        if there < before {
            return Err(Failure::failed(format!("round {round}: {before} were acknowledged, {there} are there")));
        }
        if args.json {
            terminal.json(&json!({ "round": round, "killed": count, "again_ms": took, "acknowledged": before }));
        } else {
            terminal.progress(&format!(
                "round {} of {}: {count} killed, again after {took} ms, {before} acknowledged",
                round + 1,
                args.rounds
            ));
        }
    }
    terminal.progress_done();
    Ok(again)
}

/// Waits for so many more acknowledgements.
fn wait_for(shared: &Shared, more: u64) -> Result<(), Failure> {
    let (until, from) = (Instant::now() + AGAIN_WITHIN, shared.acknowledged.load(Ordering::Relaxed));
    while shared.acknowledged.load(Ordering::Relaxed) < from + more {
        if Instant::now() > until {
            return Err(Failure::failed(format!("nothing was acknowledged within {AGAIN_WITHIN:?}")));
        }
        std::thread::sleep(Duration::from_millis(2)); // between two looks
    }
    Ok(())
}

fn judge(wrote: &[Wrote], asking: &mut Client) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    let mut there = BTreeSet::new();
    let mut query = json!({ "limit": 1000, "projection": ["_id"] });
    loop {
        let page = asking.find(COLLECTION, &query).map_err(Failure::failed)?;
        for found in page["documents"].as_array().into_iter().flatten() {
            let id = found["id"].as_str().unwrap_or_default().to_string();
            verdict.duplicated += u64::from(!there.insert(id));
        }
        match &page["cursor"] {
            Value::Null => break,
            cursor => query["cursor"] = cursor.clone(),
        }
    }
    let mut accounted = 0;
    for (number, wrote) in wrote.iter().enumerate() {
        verdict.acknowledged += wrote.acknowledged.len() as u64;
        verdict.unknown += wrote.unknown.len() as u64;
        verdict.not_done += wrote.refused.len() as u64;
        verdict.lost += wrote.acknowledged.difference(&there).count() as u64;
        verdict.unasked += wrote.refused.intersection(&there).count() as u64;
        accounted += there.intersection(&wrote.acknowledged).count() + there.intersection(&wrote.unknown).count();
        verdict.problems.extend(wrote.odd.iter().cloned());
        let counter = asking.get(COUNTERS, &format!("c{number}")).map_err(Failure::failed)?;
        let count = counter.and_then(|it| it.document["n"].as_u64()).unwrap_or(0);
        verdict.lost += wrote.counted.saturating_sub(count);
        verdict.duplicated += count.saturating_sub(wrote.counted + wrote.maybe_counted);
    }
    verdict.unasked += (there.len() - accounted.min(there.len())) as u64;
    Ok(verdict)
}
