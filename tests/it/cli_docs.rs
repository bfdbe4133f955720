//! The document store by the built command: stores in directories, clusters of real
//! processes, and what happens when those are killed.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub const DEADLINE: Duration = Duration::from_secs(90);

/// A directory of its own, removed afterwards.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-docs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Directory(dir)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.arg("docs").args(args).stdin(Stdio::null());
    command
}

/// Runs to the end: exit status, standard output and error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = command(args).output().expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Runs well, with JSON lines.
#[track_caller]
pub fn json(args: &[&str]) -> Vec<Value> {
    let (status, out, err) = run(&[args, &["--json"]].concat());
    assert_eq!(status, 0, "{args:?}: {out}{err}");
    out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[track_caller]
fn refused(args: &[&str], status: i32, why: &str) {
    let (code, out, err) = run(args);
    assert_eq!(code, status, "{args:?}: {out}{err}");
    assert!(err.contains(why), "{args:?}: {err}");
}

/// A running `docs up`; killed with its nodes when dropped.
pub struct Up {
    process: Child,
    lines: Receiver<Value>,
    pub nodes: Vec<(String, u64, String)>,
}

impl Up {
    pub fn start(dir: &str) -> Up {
        let mut process = command(&["up", "--nodes", "3", "--json", "--dir", dir])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON")); // nobody may read on
            }
        });
        let mut up = Up { process, lines, nodes: Vec::new() };
        loop {
            let line = up.lines.recv_timeout(DEADLINE).expect("it gets ready");
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_string();
            match line["event"].as_str() {
                Some("up") => up.nodes.push((text("node"), line["more"]["pid"].as_u64().expect("a pid"), text("http"))),
                Some("ready") => return up,
                _ => {}
            }
        }
    }

    pub fn at(&self, number: usize) -> &str {
        &self.nodes[number].2
    }

    pub fn leader(&self, dir: &str) -> usize {
        let end = Instant::now() + DEADLINE;
        loop {
            let members = json(&["members", "--dir", dir]).remove(0);
            let leader = members["members"].as_array().expect("members").iter().find(|it| it["leads"] == true);
            let name = leader.and_then(|it| it["name"].as_str());
            if let Some(at) = self.nodes.iter().position(|(node, ..)| Some(node.as_str()) == name) {
                return at;
            }
            assert!(Instant::now() < end, "no leader: {members}");
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }

    /// kill -9, and waits until the supervisor says that it is gone.
    pub fn kill(&self, number: usize) {
        let (name, pid, _) = &self.nodes[number];
        let pid = Pid::from_raw(i32::try_from(*pid).expect("a pid")).expect("not 0");
        kill_process(pid, Signal::KILL).expect("it runs");
        let gone = |line: &Value| line["event"] == "ended" && line["node"] == name.as_str();
        while !gone(&self.lines.recv_timeout(DEADLINE).expect("the end is told")) {}
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill(); // its nodes die with it
        let _ = self.process.wait();
    }
}

/// A running `docs watch --json`.
struct Watch {
    process: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(args: &[&str]) -> Watch {
        let mut process =
            command(&[&["watch", "--json"], args].concat()).stdout(Stdio::piped()).spawn().expect("starts");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON")); // nobody may read on
            }
        });
        Watch { process, lines }
    }

    /// Events up to one that is wanted.
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("not in time: {events:?}"));
            events.push(event);
            if events.last().is_some_and(&wanted) {
                return events;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn ids(dir: &[&str]) -> BTreeSet<String> {
    let found = json(&[&["find", "people", "--all"], dir].concat());
    found.iter().filter_map(|line| line["id"].as_str().map(str::to_string)).collect()
}

#[test]
fn what_was_acknowledged_outlives_the_leader_and_then_all_nodes_and_a_watch_misses_nothing() {
    let dir = Directory::new();
    let cluster = dir.path("cluster");
    let up = Up::start(&cluster);
    json(&["create", "people", "--at", up.at(0)]);
    let mut added = BTreeSet::new();
    let mut add = |id: String, at: &[&str]| {
        let answer = json(&[&["add", "people", &format!("{{\"_id\":\"{id}\"}}")], at].concat()).remove(0);
        assert!(answer["receipt"]["synced"].as_u64() >= Some(2), "{answer}");
        added.insert(id);
    };
    for number in 0..3 {
        add(format!("by-{number}"), &["--at", up.at(number)]);
    }
    for number in 0..3 {
        assert_eq!(ids(&["--at", up.at(number)]).len(), 3, "any node answers");
    }
    let watch = Watch::start(&["people", "--state", "--dir", &cluster]);
    let state = watch.until(|event| event["event"] == "state");
    assert_eq!(state.len(), 4, "{state:?}");

    // Without its leader it goes on, at once and whoever is asked.
    let leader = up.leader(&cluster);
    up.kill(leader);
    for n in 0..5 {
        add(format!("after-{n}"), &["--within", "30s", "--dir", &cluster]);
    }
    assert_eq!(ids(&["--dir", &cluster]).len(), 8);
    let told = watch.until(|event| event["data"]["id"] == "after-4");
    let changes: Vec<_> = told.iter().filter_map(|event| event["data"]["id"].as_str()).collect();
    assert_eq!(changes, ["after-0", "after-1", "after-2", "after-3", "after-4"], "each once, in order");
    drop(watch);

    // All at once, and again.
    drop(up);
    let up = Up::start(&cluster);
    assert_eq!(ids(&["--dir", &cluster]), added);
    let changed = json(&["patch", "people", "by-0", "{\"$inc\":{\"n\":1}}", "--at", up.at(2)]).remove(0);
    assert_eq!(changed["changed"], 1);
}

#[test]
fn a_minority_refuses_and_says_what_is_known() {
    let dir = Directory::new();
    let cluster = dir.path("cluster");
    let up = Up::start(&cluster);
    json(&["create", "people", "--dir", &cluster]);
    json(&["add", "people", "{\"_id\":\"ada\"}", "--dir", &cluster]);
    up.kill(0);
    up.kill(1);
    let key = "6fa459eaee8a3ca4894edb77e160355e";
    let add = ["add", "people", "{\"_id\":\"bo\"}", "--key", key, "--within", "3s", "--at", up.at(2), "--json"];
    let (status, out, err) = run(&add);
    let problem: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    // Its log may have taken it to a leader that is gone, or have known of none.
    let state = problem["problem"]["state"].as_str().expect("a state").to_string();
    assert!([(3, "unknown"), (4, "not_done")].contains(&(status, state.as_str())), "{status} {out}");
    refused(&["get", "people", "ada", "--within", "2s", "--at", up.at(2)], 4, "not done");
    // What it has itself it shows when that is asked for.
    let ada = json(&["get", "people", "ada", "--stale", "--at", up.at(2)]).remove(0);
    assert_eq!(ada["document"], json!({"_id": "ada"}));
    drop(up);

    // With a majority again the same key does it once.
    let up = Up::start(&cluster);
    for _ in 0..2 {
        json(&["add", "people", "{\"_id\":\"bo\"}", "--key", key, "--within", "30s", "--at", up.at(1)]);
    }
    let outcome = json(&["outcome", key, "--dir", &cluster]).remove(0);
    assert_eq!((&outcome["state"], outcome["result"][0]["id"].as_str()), (&json!("done"), Some("bo")), "{outcome}");
    assert_eq!(ids(&["--dir", &cluster]).len(), 2);
}

#[test]
fn a_directory_is_a_store_without_any_set_up() {
    let dir = Directory::new();
    let store = dir.path("store");
    let at = ["--dir", store.as_str()];
    fn joined<'a>(args: &[&'a str], at: &[&'a str]) -> Vec<&'a str> {
        [args, at].concat()
    }
    let with = |args| joined(args, &at);
    json(&with(&["add", "people", "{\"_id\":\"ada\",\"born\":1815}", "{\"born\":1912}", "--create"]));
    json(&with(&["index", "people", "mail", "--fields", "mail", "--unique", "--sparse"]));
    json(&with(&["patch", "people", "ada", "{\"$set\":{\"mail\":\"a@b\"}}"]));
    let found = json(&with(&["find", "people", "{\"born\":{\"$lt\":1900}}", "--fields", "mail"]));
    assert_eq!(found[0]["document"], json!({"_id": "ada", "mail": "a@b"}));
    assert_eq!(json(&with(&["count", "people"]))[0]["count"], 2);

    // What is wrong, by its exit status and its words.
    refused(&with(&["get", "people", "nobody"]), 5, "there is no document 'nobody'");
    refused(&with(&["add", "people", "{\"_id\":\"ada\"}"]), 1, "already");
    refused(&with(&["add", "people", "{\"mail\":\"a@b\"}"]), 1, "unique");
    refused(&with(&["patch", "people", "ada", "{\"n\":1}", "--revision", "1"]), 1, "revision");
    refused(&with(&["add", "nowhere", "{}"]), 1, "there is no collection 'nowhere'");
    refused(&with(&["find", "people", "{\"born\":{\"$near\":1}}"]), 1, "unknown operator '$near'");
    refused(&with(&["find", "people", "--cursor", "xyz"]), 1, "cursor");
    refused(&with(&["add", "people", "{\"a\":NaN}"]), 2, "no JSON");
    refused(&with(&["add", "people", "{", "--key", "1"]), 2, "no key");
    refused(&["list"], 2, "--at");
    refused(&["list", "--at", "127.0.0.1:1", "--within", "500ms"], 4, "cannot be reached");
    json(&with(&["delete", "people", "--exact", "{\"born\":1912}"]));
    assert_eq!(json(&with(&["count", "people"]))[0]["count"], 1);
}

#[test]
fn documents_come_back_as_they_went_out() {
    let dir = Directory::new();
    let (one, two, three) = (dir.path("one"), dir.path("two"), dir.path("three"));
    let (lines, out, again, backup) =
        (dir.path("in.ndjson"), dir.path("out.ndjson"), dir.path("2.ndjson"), dir.path("all.backup"));
    let edges =
        ["0.1", "1e+308", "-0.0", "5e-324", "3.6043692994394215e-221", "18446744073709551615", "-9223372036854775808"];
    let mut file = std::fs::File::create(&lines).expect("a file");
    for n in 0..700 {
        let edge = edges[n % edges.len()];
        writeln!(file, "{{\"_id\":\"d{n:04}\",\"deep\":[{{\"ä\":null}}],\"n\":{edge}}}").expect("is written");
    }
    drop(file);
    assert_eq!(json(&["import", "things", &lines, "--create", "--dir", &one])[0]["imported"], 700);
    json(&["index", "things", "n", "--fields", "n", "--dir", &one]);
    json(&["export", "things", &out, "--dir", &one]);
    let read = |path: &str| std::fs::read_to_string(path).expect("is there");
    assert!(read(&out) == read(&lines), "as it went in");

    let backed = json(&["backup", &backup, "--dir", &one]).remove(0);
    assert_eq!(backed["documents"], 700, "{backed}");
    json(&["restore", &backup, "--dir", &two]);
    json(&["export", "things", &again, "--dir", &two]);
    assert!(read(&again) == read(&lines), "as it went in");
    assert_eq!(json(&["list", "--dir", &two])[0]["collections"][0]["indexes"][0]["spec"]["name"], "n");
    refused(&["restore", &backup, "--dir", &two], 1, "already");

    // A damaged one does nothing.
    let whole = read(&backup);
    std::fs::write(&backup, whole.replacen("d0001", "d9999", 1)).expect("is written");
    refused(&["restore", &backup, "--dir", &three], 2, "checksum");
    std::fs::write(&backup, &whole[..whole.len() / 2]).expect("is written");
    refused(&["restore", &backup, "--dir", &three], 2, "nothing was done");
    std::fs::write(&backup, whole.replacen("\"backup\":1", "\"backup\":2", 1)).expect("is written");
    refused(&["restore", &backup, "--dir", &three], 2, "this program reads 1");

    // An import that stops says where, and goes on from there.
    std::fs::write(&lines, "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n{\"_id\":\"c\"}\n").expect("is written");
    refused(&["import", "few", &lines, "--create", "--batch", "2", "--dir", &three], 1, "line 3: ");
    refused(&["import", "few", &lines, "--batch", "2", "--from", "3", "--dir", &three], 1, "go on by --from 3");
    assert_eq!(json(&["import", "few", &lines, "--upsert", "--dir", &three])[0]["imported"], 4);
    assert_eq!(json(&["count", "few", "--dir", &three])[0]["count"], 3);
    std::fs::write(&lines, "{\"_id\":\"x\"}\nnonsense\n").expect("is written");
    refused(
        &["import", "few", &lines, "--batch", "1", "--dir", &three],
        1,
        "1 documents, of lines 1 to 1, are imported",
    );
}

#[test]
fn killed_clusters_under_load_lose_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_nodewright"))
        .args(["soak", "docs", "--rounds", "3", "--clients", "2", "--json"])
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let verdict: Value = serde_json::from_str(text.lines().last().expect("a verdict")).expect("JSON");
    assert_eq!(verdict["verdict"], "ok", "{verdict}");
    assert!(verdict["acknowledged"].as_u64() > Some(60), "{verdict}");
}
