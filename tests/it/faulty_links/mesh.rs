//! A mesh of node processes whose every link goes through proxies, under load.
//!
//! Each node dials a proxy in each peer's place, listed as `name@proxy`. Two
//! nodes dial each other, so either's proxy may carry their link: a fault from
//! one to the other is set on both.

use crate::process::{DEADLINE, Port, Process};
use crate::proxy::{Done, Faults, Proxy, Way};
use nodewright::node::{Client, Security};
use nodewright::transport::client::ClientLink;
use nodewright::transport::keys::ClusterSecret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub(super) const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];
/// Every node, as the number of its name, with every other.
pub(super) const WAYS: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];

/// What a node said so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    delivered: u64,
    broadcasts: u64,
    suspects: BTreeSet<String>,
    linked: BTreeSet<String>,
    quiet: bool,
    /// Lives that ended in its eyes.
    ended: u64,
}

pub(super) struct Mesh {
    processes: Vec<Process>,
    seen: Vec<Seen>,
    /// Who dials whom through which.
    proxies: Vec<((usize, usize), Proxy)>,
    ports: Vec<Port>,
    secret: ClusterSecret,
    pub(super) dir: PathBuf,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.processes.clear();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir); // only untidy if it stays
        }
    }
}

impl Mesh {
    /// Starts the nodes and waits until all are linked.
    pub(super) fn start(delivery: &str, seed: u64) -> Self {
        let dir = std::env::temp_dir().join(format!("nodewright-faulty-{delivery}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("records")).expect("a directory");
        let secret = ClusterSecret::generate().expect("random");
        secret.create(&dir.join("secret")).expect("a new file");
        let ports: Vec<Port> = NAMES.iter().map(|_| Port::keep()).collect();
        let proxy = |(number, (from, to)): (u64, (usize, usize))| {
            ((from, to), Proxy::to(ports[to].address, seed.wrapping_add(number << 32)))
        };
        let proxies: Vec<_> = (0..).zip(WAYS).map(proxy).collect();
        let start = |node: usize| {
            let mine = proxies.iter().filter(|((from, _), _)| *from == node);
            let peers: Vec<_> = mine.map(|((_, to), proxy)| format!("{}@{}", NAMES[*to], proxy.address)).collect();
            let path = |name: &str| dir.join(name).display().to_string();
            Process::supervised(
                &[
                    &["--name", NAMES[node], "--listen", &ports[node].address.to_string()],
                    &["--peers", &peers.join(","), "--secret-file", &path("secret"), "--record", &path("records")][..],
                    &["--rate", "100", "--size", "200", "--delivery", delivery],
                ]
                .concat(),
                // A stall is long for a slow machine: it is not to end a life.
                &[
                    ("NODEWRIGHT_HAS_FAILURE_DETECTOR", "{ timeout = \"2s\", period = \"200ms\" }"),
                    ("NODEWRIGHT_EXCLUDE_AFTER", "1h"),
                    ("NODEWRIGHT_UNSTABLE_BYTES_MAX", "64MiB"),
                ],
            )
        };
        let processes: Vec<_> = (0..NAMES.len()).map(start).collect();
        let seen = vec![Seen::default(); NAMES.len()];
        let mut mesh = Mesh { processes, seen, proxies, ports, secret, dir };
        mesh.wait("all are linked", |seen, _| seen.linked.len() == NAMES.len() - 1);
        mesh
    }

    /// Sets the faults of what `from` sends to `to`.
    pub(super) fn set(&self, (from, to): (usize, usize), faults: Faults) {
        for (dialling, proxy) in &self.proxies {
            if *dialling == (from, to) {
                proxy.set(Way::Up, faults);
            } else if *dialling == (to, from) {
                proxy.set(Way::Down, faults);
            }
        }
    }

    pub(super) fn set_all(&self, faults: Faults) {
        WAYS.iter().for_each(|way| self.set(*way, faults));
    }

    /// What all proxies did so far.
    pub(super) fn done(&self) -> Done {
        self.proxies.iter().map(|(_, proxy)| proxy.done()).fold(Done::default(), |sum, done| Done {
            connections: sum.connections + done.connections,
            bytes: sum.bytes + done.bytes,
            writes: sum.writes + done.writes,
            altered: sum.altered + done.altered,
            cuts: sum.cuts + done.cuts,
        })
    }

    /// Reads what the nodes have printed.
    pub(super) fn listen(&mut self) {
        for (process, seen) in self.processes.iter().zip(&mut self.seen) {
            for line in process.printed() {
                let peer = line["peer"].as_str().unwrap_or_default().to_string();
                match (line["event"].as_str(), line["standing"].as_str()) {
                    (Some(event @ ("status" | "quiet")), _) => {
                        seen.delivered = line["delivered"].as_u64().unwrap_or(0);
                        seen.broadcasts = line["broadcasts"].as_u64().unwrap_or(0);
                        seen.quiet |= event == "quiet";
                    }
                    (_, Some("joined")) => _ = seen.linked.insert(peer),
                    (_, Some("suspected")) => _ = seen.suspects.insert(peer),
                    (_, Some("restored")) => _ = seen.suspects.remove(&peer),
                    (_, Some("ended" | "left")) => seen.ended += 1,
                    _ => {}
                }
            }
        }
    }

    /// Waits until the condition holds for each node, by its number.
    #[track_caller]
    fn wait(&mut self, what: &str, holds: impl Fn(&Seen, usize) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.listen();
            if self.seen.iter().enumerate().all(|(node, seen)| holds(seen, node)) {
                return;
            }
            if Instant::now() > deadline {
                self.dump(what);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn dump(&mut self, what: &str) -> ! {
        self.set_all(Faults::default());
        let stats: Vec<_> = (0..NAMES.len()).map(|node| self.stats(node).to_string()).collect();
        panic!("not in time: {what}\n{:#?}\n{}\nrecords in {}", self.seen, stats.join("\n"), self.dir.display());
    }

    /// Waits until each of these nodes has delivered so many more.
    #[track_caller]
    pub(super) fn wait_progress(&mut self, what: &str, nodes: &[usize], more: u64) {
        self.listen();
        let goal: Vec<_> = self.seen.iter().map(|seen| seen.delivered + more).collect();
        self.wait(what, |seen, node| !nodes.contains(&node) || seen.delivered >= goal[node]);
    }

    /// Waits until each of these suspects that other, or no longer does.
    #[track_caller]
    pub(super) fn wait_suspects(&mut self, pairs: &[(usize, usize)], suspects: bool) {
        let what = if suspects { "it is suspected" } else { "it is restored" };
        self.wait(what, |seen, node| {
            pairs.iter().all(|(of, whom)| *of != node || seen.suspects.contains(NAMES[*whom]) == suspects)
        });
    }

    /// Waits until nobody suspects anybody.
    #[track_caller]
    pub(super) fn wait_calm(&mut self) {
        self.wait("nobody is suspected", |seen, _| seen.suspects.is_empty());
    }

    /// Waits until this count of the links, summed over the nodes, is so high;
    /// gives it.
    #[track_caller]
    pub(super) fn wait_links(&mut self, what: &str, count: &str, least: u64) -> u64 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.listen();
            let sum = (0..NAMES.len()).map(|node| self.links(node, count)).sum();
            if sum >= least {
                return sum;
            }
            if Instant::now() > deadline {
                self.dump(&format!("{what}: {sum} {count} of {least}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the proxies have done so much.
    #[track_caller]
    pub(super) fn wait_done(&mut self, what: &str, holds: impl Fn(Done) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self.done()) {
            self.listen();
            if Instant::now() > deadline {
                self.dump(&format!("{what}: {:?}", self.done()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn links(&self, node: usize, count: &str) -> u64 {
        self.stats(node)["links"][count].as_u64().unwrap_or(0)
    }

    /// A node's own statistics, asked for at its own port.
    fn stats(&self, node: usize) -> Value {
        let security: Security = ClientLink::credentials(self.secret.clone()).expect("random");
        let asked = Client::connect([self.ports[node].address.to_string()], security)
            .and_then(|client| client.within(DEADLINE).collect_stats());
        asked.map_or_else(|why| Value::String(why.to_string()), |all| all[NAMES[node]].clone())
    }

    /// Ends the broadcasts, waits until every node has delivered all of them,
    /// stops the nodes: where they left their records.
    ///
    /// A link whose handshake was under way when a byte of it went missing is
    /// taken up again after the handshake's deadline only. What is queued for it
    /// is delivered then, if the sender stays that long.
    pub(super) fn end(&mut self) -> PathBuf {
        self.processes.iter_mut().for_each(|process| process.order("hush"));
        self.wait("broadcasts end", |seen, _| seen.quiet);
        let all = self.seen.iter().map(|seen| seen.broadcasts).sum();
        self.wait("every node delivers all", |seen, _| seen.delivered >= all);
        assert!(self.seen.iter().all(|seen| seen.ended == 0), "a life ended: {:#?}", self.seen);
        self.processes.iter_mut().for_each(|process| process.order("stop"));
        self.processes.drain(..).for_each(Process::ended);
        self.dir.join("records")
    }
}

/// The verdict on records: its exit status and its last line.
pub(super) fn verdict(records: &std::path::Path) -> (Option<i32>, Value) {
    let judged = Command::new(env!("CARGO_BIN_EXE_nodewright"))
        .args(["verdict", "--json", "--nodes", "3"])
        .arg(records)
        .output()
        .expect("the command starts");
    let text = String::from_utf8(judged.stdout).expect("text");
    (judged.status.code(), serde_json::from_str(text.lines().last().expect("a verdict")).expect("JSON"))
}
