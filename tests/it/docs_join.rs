//! Nodes that are in nobody's list join a running group of the document store: real
//! processes, under load.

use crate::cli_docs::{DEADLINE, Directory, Up, command, ids, json};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running `docs serve`; killed when dropped.
struct Member {
    process: Child,
    http: String,
}

impl Member {
    fn start(name: &str, dir: &str, secret: &str, more: &[&str]) -> Member {
        let fixed = ["serve", "--json", "--name", name, "--dir", dir, "--secret-file", secret];
        let ports = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut process =
            command(&[&fixed[..], &ports, more].concat()).stdout(Stdio::piped()).spawn().expect("the command starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it is");
        let up: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it started: {line}"));
        Member { process, http: up["http"].as_str().expect("an address").to_string() }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may be gone
        let _ = self.process.wait();
    }
}

/// Where the first node of a cluster links.
fn sponsor(cluster: &str) -> String {
    let file = std::fs::read(format!("{cluster}/cluster.json")).expect("the cluster's file");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    file["nodes"][0]["listen"].as_str().expect("an address").to_string()
}

/// Waits until the member at an address shows this of the group.
#[track_caller]
fn wait_for(at: &str, wanted: impl Fn(&[(String, bool)]) -> bool) -> Vec<(String, bool)> {
    let end = Instant::now() + DEADLINE;
    loop {
        let members = json(&["members", "--within", "30s", "--at", at]).remove(0);
        let members = members["members"].as_array().expect("members").clone();
        let members: Vec<(String, bool)> = members
            .iter()
            .map(|it| (it["name"].as_str().unwrap_or_default().to_string(), it["votes"] == true))
            .collect();
        if wanted(&members) {
            return members;
        }
        assert!(Instant::now() < end, "in time: {members:?}");
        std::thread::sleep(Duration::from_millis(100)); // between two looks
    }
}

fn votes(members: &[(String, bool)], name: &str) -> bool {
    members.iter().any(|(it, votes)| it == name && *votes)
}

/// Writes one document after the other, as long as it is held.
struct Load {
    at: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(at: String) -> Load {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let at = Arc::new(Mutex::new(at));
        let (stopped, told, asked) = (stop.clone(), acknowledged.clone(), at.clone());
        let thread = std::thread::spawn(move || {
            for n in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let document = format!("{{\"_id\":\"d{n:06}\",\"fill\":\"{}\"}}", "x".repeat(200));
                let at = asked.lock().expect("no panic").clone();
                json(&["add", "people", &document, "--within", "60s", "--at", &at]);
                told.lock().expect("no panic").insert(format!("d{n:06}"));
            }
        });
        Load { at, stop, acknowledged, thread: Some(thread) }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    /// Waits until so many more are written.
    #[track_caller]
    fn goes_on(&self, more: usize) {
        let (from, end) = (self.count(), Instant::now() + DEADLINE);
        while self.count() < from + more {
            assert!(Instant::now() < end, "writes go on: {} of {more}", self.count() - from);
            std::thread::sleep(Duration::from_millis(20)); // between two looks
        }
    }

    /// All that was acknowledged.
    fn stop(mut self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().expect("there").join().expect("every write is done");
        self.acknowledged.lock().expect("no panic").clone()
    }
}

#[test]
fn nodes_join_under_load_vote_and_the_group_outlives_some_that_began_it() {
    let dir = Directory::new();
    let (cluster, secret) = (dir.path("cluster"), dir.path("cluster/cluster.secret"));
    let up = Up::start(&cluster);
    json(&["create", "people", "--at", up.at(0)]);
    let sponsor = sponsor(&cluster);
    let four = Member::start("n4", &dir.path("n4"), &secret, &["--join", &sponsor]);
    wait_for(&four.http, |members| votes(members, "n4"));

    // All further writes go through the joiner, which forwards them.
    let load = Load::start(four.http.clone());
    load.goes_on(20);
    let five = Member::start("n5", &dir.path("n5"), &secret, &["--join", &sponsor]);
    let members = wait_for(&five.http, |members| votes(members, "n5"));
    assert_eq!(members.iter().filter(|(_, votes)| *votes).count(), 5, "{members:?}");

    // One more learns, for there are five voters.
    let six = Member::start("n6", &dir.path("n6"), &secret, &["--join", &sponsor]);
    let members = wait_for(&six.http, |members| members.iter().any(|(name, _)| name == "n6"));
    assert!(!votes(&members, "n6"), "{members:?}");

    // The sponsor dies; the joiners hang on nobody.
    up.kill(0);
    load.goes_on(10);

    // The leader is removed; the learner votes in its place.
    six.http.clone_into(&mut load.at.lock().expect("no panic"));
    load.goes_on(2);
    let leader = leader(&six.http);
    json(&["members", "--remove", &leader, "--within", "60s", "--at", &six.http]);
    load.goes_on(10);
    wait_for(&six.http, |members| votes(members, "n6") && members.iter().all(|(name, _)| *name != leader));
    let acknowledged = load.stop();

    // The directory of a joiner knows the members.
    drop(six);
    let six = Member::start("n6", &dir.path("n6"), &secret, &[]);
    let end = Instant::now() + DEADLINE;
    while json(&["status", "--at", &six.http])[0]["log"]["leader"].is_null() {
        assert!(Instant::now() < end, "it knows a leader again");
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
    assert_eq!(ids(&["--within", "60s", "--at", &six.http]), acknowledged, "everything acknowledged, each once");
}

fn leader(at: &str) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let members = json(&["members", "--within", "30s", "--at", at]).remove(0);
        let leader = members["members"].as_array().expect("members").iter().find(|it| it["leads"] == true);
        if let Some(name) = leader.and_then(|it| it["name"].as_str()) {
            return name.to_string();
        }
        assert!(Instant::now() < end, "no leader: {members}");
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
}

#[test]
fn a_joiner_with_another_secret_is_refused_and_told_why() {
    let dir = Directory::new();
    let (cluster, other) = (dir.path("cluster"), dir.path("other.secret"));
    let up = Up::start(&cluster);
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_nodewright"))
        .args(["keygen", "--secret", &other])
        .output()
        .expect("the command starts");
    assert!(made.status.success(), "{made:?}");
    let (sponsor, stranger) = (sponsor(&cluster), dir.path("stranger"));
    let mut process = command(&["serve", "--json", "--name", "n4", "--dir", &stranger, "--secret-file", &other])
        .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--join", &sponsor])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let stderr = BufReader::new(process.stderr.take().expect("piped"));
    let told = stderr.lines().map_while(Result::ok).find(|line| line.contains("is refused by"));
    process.kill().expect("it runs");
    process.wait().expect("it ends");
    let told = told.expect("told before the end");
    assert!(told.contains("the cluster secrets differ: give all nodes the same secret file"), "{told}");
    let members = json(&["members", "--at", up.at(1)]).remove(0);
    assert_eq!(members["members"].as_array().map(Vec::len), Some(3), "{members}");
}
