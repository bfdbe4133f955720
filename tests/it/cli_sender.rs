//! A sender that only one peer can reach is killed: all or none, by real
//! processes and kill -9.
//!
//! To the others the sender's address is a place where nobody listens, and so
//! are theirs to it. What it broadcast can come to them by the one peer alone.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// A running node and the lines that it prints.
struct Node {
    child: Child,
    lines: Receiver<Value>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be gone already
        let _ = self.child.wait();
    }
}

impl Node {
    fn start(name: &str, listen: &str, peers: &[String], delivery: &str, records: &Path, sends: bool) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
        command.args(["node", "--json", "--name", name, "--listen", listen, "--delivery", delivery]);
        command.args(["--peers", &peers.join(","), "--linger", "2s"]).arg("--record").arg(records);
        if sends {
            command.args(["--broadcast-every", "20ms"]);
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the command starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    let _ = sender.send(line); // nobody reads on once the test is over
                }
            }
        });
        Node { child, lines }
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("not in time: {what}"));
            if holds(&line) {
                return;
            }
        }
    }

    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// An address of its own for each node: the whole loopback network is there.
fn address(host: u8) -> String {
    let pid = std::process::id();
    let ip = format!("127.{}.{}.{host}", 64 + pid / 256 % 64, pid % 256);
    let port = TcpListener::bind((ip.as_str(), 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
    format!("{ip}:{port}")
}

fn all_or_none(delivery: &str, host: u8) {
    let records = std::env::temp_dir().join(format!("nodewright-sender-{delivery}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&records);
    std::fs::create_dir_all(&records).expect("a directory");
    let real: Vec<String> = (0..4).map(|at| address(host + at)).collect();
    let dead: Vec<String> = (4..8).map(|at| address(host + at)).collect();
    let reaches = |from: usize, to: usize| from == to || from == 1 || to == 1 || (from > 0 && to > 0);
    let start = |from: usize| {
        let peers: Vec<String> = (0..4)
            .map(|to| format!("{}@{}", NAMES[to], if reaches(from, to) { &real[to] } else { &dead[to] }))
            .collect();
        Node::start(NAMES[from], &real[from], &peers, delivery, &records, from == 0)
    };
    let mut others: Vec<Node> = (1..4).map(start).collect();
    let mut sender = start(0);
    others[0].wait_for("beta delivers", |line| line["delivered"].as_u64().is_some_and(|delivered| delivered > 0));
    sender.child.kill().expect("it runs"); // SIGKILL, in the midst of sending
    sender.child.wait().expect("it is gone");
    for other in &others[1..] {
        other.wait_for("gamma and delta deliver", |line| line["delivered"].as_u64().is_some_and(|n| n > 0));
    }
    others.drain(..).for_each(Node::stop);
    let judged = Command::new(env!("CARGO_BIN_EXE_nodewright"))
        .args(["verdict", "--json", "--nodes", "4"])
        .arg(&records)
        .output()
        .expect("the command starts");
    let text = String::from_utf8(judged.stdout).expect("text");
    let verdict: Value = serde_json::from_str(text.lines().last().expect("a verdict")).expect("JSON");
    assert_eq!((judged.status.code(), verdict["verdict"].as_str()), (Some(0), Some("ok")), "{text}");
    assert_eq!(verdict["lost"], 0, "{text}");
    assert!(verdict["deliveries"].as_u64() >= Some(3), "{text}");
    let _ = std::fs::remove_dir_all(&records);
}

#[test]
fn reliable_a_killed_sender_that_one_peer_heard() {
    all_or_none("reliable", 10);
}

#[test]
fn uniform_a_killed_sender_that_one_peer_heard() {
    all_or_none("uniform", 30);
}
