//! A ring of real processes, and clients that speak as `netcat` does.

use crate::process::Port;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// `nodewright ring serve`, once for each node.
pub(crate) struct Cluster {
    dir: PathBuf,
    ports: Vec<Port>,
    nodes: Vec<Option<Child>>,
    more: Vec<String>,
    /// So many began the ring; the others joined it.
    first: usize,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Cluster {
    pub(crate) fn start(nodes: usize, more: &[&str]) -> Cluster {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-ring-{}-{number}", std::process::id()));
        let ports: Vec<Port> = (0..nodes).map(|_| Port::keep()).collect();
        let more = more.iter().map(ToString::to_string).collect();
        let mut cluster = Cluster { dir, ports, nodes: (0..nodes).map(|_| None).collect(), more, first: nodes };
        (0..nodes).for_each(|node| cluster.spawn(node));
        cluster
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.ports[node].address
    }

    pub(crate) fn port(&self, node: usize) -> String {
        self.address(node).port().to_string()
    }

    pub(crate) fn dir(&self, node: usize) -> PathBuf {
        self.dir.join(self.port(node))
    }

    pub(crate) fn command(&self, node: usize, dir: &Path) -> Command {
        let peers: Vec<String> = self.ports[..self.first].iter().map(|port| port.address.to_string()).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
        command.args(["ring", "serve", "--json", "--supervised", "--listen", &self.address(node).to_string()]);
        command
            .arg("--dir")
            .arg(dir)
            .args([if node < self.first { "--peers" } else { "--join" }, &peers.join(",")])
            .args(&self.more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    pub(crate) fn spawn(&mut self, node: usize) {
        let mut child = self.command(node, &self.dir(node)).spawn().expect("the command starts");
        let stdout = child.stdout.take().expect("piped");
        self.nodes[node] = Some(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let up: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(up["event"], "up");
    }

    /// One more, which joins.
    pub(crate) fn join(&mut self) -> usize {
        self.ports.push(Port::keep());
        self.nodes.push(None);
        let node = self.nodes.len() - 1;
        self.spawn(node);
        node
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].take() {
            let _ = child.kill(); // it may be gone already
            let _ = child.wait();
        }
    }

    pub(crate) fn connect(&self, node: usize) -> TcpStream {
        let until = Instant::now() + DEADLINE;
        loop {
            match TcpStream::connect(self.address(node)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
                    return stream;
                }
                Err(error) => assert!(Instant::now() < until, "node {node} is not reached: {error}"),
            }
        }
    }

    /// Says all, closes its half, and hears all, as `nc -N` does.
    pub(crate) fn say(&self, node: usize, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect(node);
        let mut saying = stream.try_clone().expect("a second descriptor");
        let mut heard = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // a node that has answered already may not take the rest
                let _ = saying.write_all(bytes);
                let _ = saying.shutdown(Shutdown::Write);
            });
            let _ = stream.read_to_end(&mut heard);
        });
        heard
    }

    pub(crate) fn text(&self, node: usize, request: &str) -> String {
        String::from_utf8(self.say(node, request.as_bytes())).expect("text")
    }

    pub(crate) fn push(&self, node: usize, name: &str, content: &[u8]) -> String {
        let mut bytes = format!("FILE PUSH {} {name}\n", content.len()).into_bytes();
        bytes.extend_from_slice(content);
        String::from_utf8(self.say(node, &bytes)).expect("text")
    }

    /// A push, again while a holder that starts does not answer yet and nothing was
    /// stored.
    #[track_caller]
    pub(crate) fn stores(&self, node: usize, name: &str, content: &[u8]) {
        let until = Instant::now() + DEADLINE;
        let mut answer = self.push(node, name, content);
        while answer.starts_with("ERR UNAVAILABLE") && Instant::now() < until {
            answer = self.push(node, name, content);
        }
        let root = blake3::hash(content).to_hex();
        let last = answer.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("OK {} {root} v", content.len())), "{name:?}: {answer}");
    }

    pub(crate) fn pull(&self, node: usize, name: &str) -> Vec<u8> {
        self.say(node, format!("FILE PULL {name}\n").as_bytes())
    }

    /// Waits for an answer.
    #[track_caller]
    pub(crate) fn until(&self, node: usize, request: &str, well: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let answer = self.text(node, request);
            if well(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "{request:?}: {answer}");
            std::thread::sleep(Duration::from_millis(50)); // between two questions
        }
    }

    /// The first part in a directory of a node, once it lies there: what was committed
    /// is moved soon afterwards.
    #[track_caller]
    pub(crate) fn part(&self, node: usize, directory: &str) -> PathBuf {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(part) = self.files(node, directory).into_iter().next() {
                return part;
            }
            assert!(Instant::now() < until, "no part in {directory}/ of node {node}");
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }

    /// The files of a directory of a node.
    pub(crate) fn files(&self, node: usize, directory: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir(node).join(directory));
        let mut files: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    }
}

/// Bytes that are never the same twice.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    fastrand::fill(&mut content);
    content
}
