//! Recorded meshes of real processes: `--trace`, `check`, `trace`.

use nodewright::trace::{Record, Trace, What};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn nodewright(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nodewright")).args(arguments).output().expect("the command starts")
}

/// A directory of this test's own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("nodewright-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Scratch(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(path: impl AsRef<Path>) -> Trace {
    Trace::load(&std::fs::read(path).expect("a file")[..]).expect("a trace")
}

/// The exit status, the names of the violated properties, and the verdict.
fn check(path: &str) -> (Option<i32>, Vec<String>, Value) {
    let output = nodewright(&["check", path, "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let verdict = lines.pop().unwrap_or_else(|| panic!("no verdict: {}", String::from_utf8_lossy(&output.stderr)));
    let violated = lines.iter().filter(|line| line["holds"] == false);
    let names = violated.map(|line| line["property"].as_str().expect("a name").to_owned()).collect();
    (output.status.code(), names, verdict)
}

fn places(trace: &Trace, of: impl Fn(&Record) -> bool) -> Vec<usize> {
    trace.records.iter().enumerate().filter(|(_, record)| of(record)).map(|(place, _)| place).collect()
}

/// A mesh whose second node is killed and comes back, recorded, judged, drawn;
/// then with one delivery taken out, doubled, moved.
#[test]
fn a_recorded_mesh_is_judged_and_a_doctored_one_is_caught() {
    let scratch = Scratch::new("traced-mesh");
    let path = scratch.path("run.trace");
    let plan = ["--nodes", "3", "--for", "4s", "--rate", "20", "--kill", "2@1s", "--restart", "2@2s"];
    let output = nodewright(&[&["mesh", "--json", "--trace", &path], &plan[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let (status, violated, verdict) = check(&path);
    assert_eq!((status, violated.as_slice()), (Some(0), [].as_slice()), "{verdict}");
    assert_eq!(verdict["verdict"], "partial", "the killed process could not finish its recording: {verdict}");
    assert!(verdict["deliveries"].as_u64() > Some(100), "{verdict}");
    assert!(verdict["judged"].as_u64() >= Some(6), "{verdict}");

    let trace = load(&path);
    let count = |of: fn(&What) -> bool| places(&trace, |record| of(&record.what)).len();
    assert_eq!(count(|what| matches!(what, What::Started { .. })), 4);
    assert_eq!(count(|what| matches!(what, What::Crashed)), 1);
    assert_eq!(count(|what| matches!(what, What::Cut)), 1);
    assert_eq!(count(|what| matches!(what, What::Stopped)), 3);
    assert!(count(|what| matches!(what, What::Arrived(_))) > 100);

    let page = scratch.path("run.html");
    assert_eq!(nodewright(&["trace", &path, "--html", &page]).status.code(), Some(0));
    assert!(std::fs::read_to_string(&page).expect("it is written").contains("Space-time diagram"));

    // Deliveries of a life that was up throughout.
    let crashed = trace.records.iter().find(|record| record.what == What::Crashed).expect("it crashed").life.node;
    let life = trace.records.iter().map(|record| record.life).find(|life| life.node != crashed).expect("another one");
    let own = |record: &Record| {
        record.life == life && matches!(&record.what, What::Delivered { id, .. } if id.origin == life)
    };
    let delivered = places(&trace, own);
    let doctored = |name: &str, change: &dyn Fn(&mut Vec<Record>)| {
        let mut trace = trace.clone();
        change(&mut trace.records);
        let path = scratch.path(name);
        std::fs::write(&path, trace.save(Vec::new()).expect("memory takes it")).expect("written");
        let (status, violated, _) = check(&path);
        assert_eq!(status, Some(1), "{name}");
        violated
    };
    let removed = doctored("removed", &|records| drop(records.remove(delivered[3])));
    assert_eq!(removed, ["causal order", "uniform agreement", "validity"]);
    let doubled = doctored("doubled", &|records| records.insert(delivered[3] + 1, records[delivered[3]].clone()));
    assert_eq!(doubled, ["no duplication"]);
    let moved = doctored("moved", &|records| {
        let later = records.remove(delivered[3]);
        records.insert(delivered[4], later);
    });
    assert_eq!(moved, ["causal order"]);
}

/// The traces of processes in a directory are merged when they are read.
#[test]
fn a_directory_of_traces_is_one_run() {
    let scratch = Scratch::new("traced-directory");
    let dir = scratch.path("");
    let output = nodewright(&["mesh", "--json", "--nodes", "2", "--for", "1s", "--rate", "10", "--trace", &dir]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let (status, violated, verdict) = check(&dir);
    assert_eq!((status, violated.as_slice(), &verdict["verdict"]), (Some(0), [].as_slice(), &Value::from("ok")));

    let whole = scratch.path("whole.trace");
    assert_eq!(nodewright(&["trace", &dir, "--merge", &whole]).status.code(), Some(0));
    let (_, _, again) = check(&whole);
    assert_eq!(again["records"], verdict["records"]);

    // one node alone: what it had from the other is not judged
    let names = std::fs::read_dir(&dir).expect("it is there").map(|entry| entry.expect("readable").path());
    let mut alone =
        names.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("alpha")));
    let alone = alone.next().expect("alpha recorded");
    let (status, _, verdict) = check(alone.to_str().expect("a plain name"));
    assert_eq!((status, &verdict["verdict"]), (Some(0), &Value::from("partial")), "{verdict}");
    assert!(verdict["partial"].to_string().contains("there is no recording of"), "{verdict}");
}

#[test]
fn what_is_no_trace_is_wrong_usage_and_named() {
    let scratch = Scratch::new("no-trace");
    let junk = scratch.path("junk");
    std::fs::write(&junk, [0xff; 100]).expect("written");
    for (arguments, why) in [
        (["check", &junk].as_slice(), "line 1: this is no trace of nodewright"),
        (&["check", "/nonexistent"], "/nonexistent: No such file"),
        (&["check", &scratch.path("")], "there is no *.trace in it"),
        (&["trace", &junk, "--html", "out.html"], "line 1: this is no trace"),
    ] {
        let output = nodewright(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(nodewright(&["trace", &junk]).status.code(), Some(2), "nothing to write");
}
