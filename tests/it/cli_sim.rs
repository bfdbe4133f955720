//! `nodewright sim`: what it prints, its exit status, and the same traces in
//! two processes.

use nodewright::scenario::scenarios;
use nodewright::sim::{Batch, Setup};
use serde_json::Value;
use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.arg("sim").args(arguments).output().expect("starts")
}

fn json(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// The command after "nodewright sim", as arguments.
fn arguments(replay: &Value) -> Vec<String> {
    let text = replay.as_str().expect("a command").strip_prefix("nodewright sim ").expect("of this program");
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_last_line_says_all() {
    let output = sim(&["--what", "uniform.fifo", "--nodes", "3", "--seeds", "5..9", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = json(&output);
    let last = lines.last().and_then(Value::as_object).expect("an object");
    let keys: Vec<_> = last.keys().map(String::as_str).collect();
    assert_eq!(keys, ["first_bad_seed", "nodes", "seeds", "seeds_per_s", "trace_hash", "violations", "what"]);
    assert_eq!((&last["what"], &last["nodes"], &last["seeds"]), (&"uniform.fifo".into(), &3.into(), &4.into()));
    assert_eq!((&last["violations"], &last["first_bad_seed"]), (&0.into(), &Value::Null));
    assert!(last["seeds_per_s"].as_f64().is_some_and(|rate| rate > 0.0));
    assert_eq!(last["trace_hash"].as_str().map(str::len), Some(16));
}

#[test]
fn wrong_usage_is_told_from_a_violation() {
    for wrong in [
        &["--what", "rumour"][..],
        &["--nodes", "99"],
        &["--seeds", "9..3"],
        &["--seeds", "0..3", "--seed", "1"],
        &["--faults", "rain"],
        &["--mutant", "none-such"],
        &["--trace", "file"],
        &["--calls", "0"],
    ] {
        assert_eq!(sim(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_planted_bug_is_caught_shrunk_and_replayed() {
    let output = sim(&["--what", "core.reliable", "--mutant", "no-relay-no-pull", "--seeds", "0..300", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = json(&output);
    assert!(lines.last().is_some_and(|last| last["violations"].as_u64() > Some(0) && last["first_bad_seed"].is_u64()));
    let replay = lines.iter().find(|line| !line["replay"].is_null()).expect("how to replay it");
    let property = &replay["property"];
    let again = |command: &Value| {
        let arguments = arguments(command);
        let output = sim(&arguments.iter().map(String::as_str).chain(["--json"]).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        json(&output)[0].clone()
    };
    assert_eq!(&again(&replay["replay"])["property"], property);
    let shrunk = lines.iter().find(|line| !line["shrunk"].is_null()).expect("a smaller one");
    let replayed = again(&shrunk["shrunk"]);
    assert_eq!((&replayed["property"], &replayed["violation"]), (property, &shrunk["violation"]));
    let events = |key: &str| shrunk[key].as_u64().expect("a number");
    assert!(events("events") * 3 < events("events_before"), "hardly smaller: {shrunk}");
}

#[test]
fn one_seed_leaves_its_trace() {
    let file = std::env::temp_dir().join(format!("nodewright-sim-{}.trace", std::process::id()));
    let path = file.to_str().expect("a plain name");
    let run = || {
        let output = sim(&["--what", "link", "--nodes", "2", "--seed", "3", "--calls", "2", "--trace", path]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let kept = std::fs::read(&file).expect("it was written");
        std::fs::remove_file(&file).expect("it is there");
        kept
    };
    let kept = run();
    let trace = nodewright::trace::Trace::load(&kept[..]).expect("a trace");
    assert!(trace.header.about.starts_with("link --seed 3"), "{}", trace.header.about);
    assert_eq!(run(), kept, "the same seed, the same bytes");
}

#[test]
fn the_same_seeds_have_the_same_traces_in_another_process() {
    let seeds = if cfg!(debug_assertions) { 6 } else { 200 };
    for scenario in scenarios() {
        let here = Batch { threads: 3, ..Batch::of(0..seeds) };
        let here = here.run(|seed| scenario.run(&Setup::default().seeded(seed), None));
        let name = scenario.name();
        let output = sim(&["--what", &name, "--seeds", &format!("0..{seeds}"), "--threads", "1", "--json"]);
        let lines = json(&output);
        let last = lines.last().expect("a summary");
        assert_eq!(last["violations"].as_u64(), Some(0), "{name}: {lines:?}");
        assert_eq!(last["trace_hash"].as_str(), Some(&*format!("{:016x}", here.trace_hash)), "{name}");
    }
}
