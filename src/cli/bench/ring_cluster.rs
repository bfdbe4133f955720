//! Rings as processes, to be measured: ours with its gateway, and the bare one.

use super::children::Child;
use super::plain_log::PlainLog;
use super::ring_client::Client;
use crate::cli::supervise::{LOOK, Supervised, keep};
use crate::service::ring::durability::Durability;
use crate::transport::keys::ClusterSecret;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Nodes of a ring.
pub(super) const NODES: usize = 5;
/// How long a ring has to be ready, and to have all copies again.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an entry of the log, about as many as a manifest of five parts has.
const ENTRY_BYTES: usize = 512;

/// Ours.
pub(super) struct Cluster {
    /// Keep the ports, also while a node is down.
    _ports: Vec<socket2::Socket>,
    pub(super) addresses: Vec<String>,
    nodes: Vec<Option<Supervised>>,
    gateway: Option<Supervised>,
    pub(super) at_gateway: String,
    pub(super) dir: PathBuf,
    level: Durability,
    min_part: u64,
}

impl Cluster {
    /// Five nodes and a gateway, ready.
    pub(super) fn start(level: Durability, min_part: u64) -> io::Result<Self> {
        let kept = (0..=NODES).map(|_| keep((Ipv4Addr::LOCALHOST, 0).into())).collect::<io::Result<Vec<_>>>()?;
        let (ports, addresses): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let mut addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let at_gateway = addresses.pop().unwrap_or_default();
        let dir = dir("ours", &at_gateway);
        std::fs::create_dir_all(&dir)?;
        let secret = dir.join("cluster.secret");
        ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(io::Error::other)?;
        let nodes = (0..NODES).map(|_| None).collect();
        let mut cluster = Cluster { _ports: ports, addresses, nodes, gateway: None, at_gateway, dir, level, min_part };
        for number in 0..NODES {
            cluster.start_node(number)?;
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ring", "gateway", "--json", "--poll", "1s", "--listen", &cluster.at_gateway]);
        command.args(["--nodes", &cluster.addresses.join(",")]);
        cluster.gateway = Some(Supervised::start_up(&mut command, &cluster.dir.join("gateway.log"), "the gateway")?);
        cluster.ready()?;
        Ok(cluster)
    }

    /// From the main thread only: the process dies with the thread that started it.
    pub(super) fn start_node(&mut self, number: usize) -> io::Result<()> {
        let address = &self.addresses[number];
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["ring", "serve", "--supervised", "--json", "--undo", "1s", "--listen", address])
            .args(["--peers", &self.addresses.join(","), "--durability", self.level.name()])
            .args(["--min-part", &self.min_part.to_string()])
            .arg("--dir")
            .arg(self.dir.join(number.to_string()))
            .arg("--secret-file")
            .arg(self.dir.join("cluster.secret"));
        let log = self.dir.join(format!("{number}.log"));
        self.nodes[number] = Some(Supervised::start_up(&mut command, &log, address)?);
        Ok(())
    }

    pub(super) fn kill(&mut self, number: usize) -> io::Result<()> {
        self.nodes[number].take().map_or(Ok(()), |mut node| node.kill())
    }

    /// Waits until each knows all others and the map answers.
    pub(super) fn ready(&self) -> io::Result<()> {
        for address in &self.addresses {
            within("ready", || {
                let mut client = Client::open(address)?;
                let lines = client.ask("NETMAP GET-ALL")?;
                client.ask("FILE LIST - - 1")?;
                Ok(lines.iter().filter(|line| line.ends_with("=Alive")).count() == NODES)
            })?;
        }
        Ok(())
    }

    /// Deletes a file, and waits until its bytes have left all disks.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        Client::open(&self.addresses[0])?.ask(&format!("FILE DELETE {name}"))?;
        let gone = |number: usize| {
            let files = |directory| std::fs::read_dir(self.dir.join(number.to_string()).join(directory));
            let none = |directory| files(directory).map_or(0, Iterator::count) == 0;
            ["content", "backup", "old", "stage"].into_iter().all(none)
        };
        within("empty", || Ok((0..NODES).all(gone)))
    }

    /// The most that one of the nodes ever had in memory.
    pub(super) fn resident_bytes_max(&self) -> Option<u64> {
        let each = self.nodes.iter().flatten().filter_map(|node| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
        });
        each.max()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.gateway = None; // they end before their files go
        self.nodes.clear();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The bare one.
pub(super) struct Bare {
    nodes: Vec<Child>,
    _relay: Child,
    _log: PlainLog,
    pub(super) addresses: Vec<String>,
    pub(super) at_relay: String,
    pub(super) dir: PathBuf,
}

impl Bare {
    pub(super) fn start(level: Durability, parts: usize) -> io::Result<Self> {
        let dir = dir("bare", level.name());
        let log = PlainLog::of(NODES, ENTRY_BYTES, dir.join("log"))?;
        let start = |number: usize| {
            let own = dir.join(number.to_string()).to_string_lossy().into_owned();
            let (number, parts) = (number.to_string(), parts.to_string());
            let pairs = [("--dir", own.as_str()), ("--index", &number), ("--parts", &parts), ("--level", level.name())];
            let arguments = pairs.into_iter().chain([("--log", log.first.greeting.as_str())]);
            Child::start(["ring"].into_iter().chain(arguments.flat_map(|(name, value)| [name, value])))
        };
        let mut nodes = (0..NODES).map(start).collect::<io::Result<Vec<_>>>()?;
        let ports = nodes.iter().map(|node| node.greeting.clone()).collect::<Vec<_>>();
        for node in &mut nodes {
            node.ask(&format!("ports {}", ports.join(",")))?;
        }
        let relay = Child::start(["ring-relay", ports[0].as_str()])?;
        let address = |port: &String| format!("127.0.0.1:{port}");
        let (addresses, at_relay) = (ports.iter().map(address).collect(), address(&relay.greeting));
        Ok(Bare { nodes, _relay: relay, _log: log, addresses, at_relay, dir })
    }
}

impl Bare {
    /// Removes all files of it. What was committed is in its place soon afterwards.
    pub(super) fn forget(&self) -> io::Result<()> {
        let files = |number: usize, directory| std::fs::read_dir(self.dir.join(number.to_string()).join(directory));
        within("settled", || Ok((0..NODES).all(|node| files(node, "stage").map_or(0, Iterator::count) == 0)))?;
        for file in (0..NODES).map(|node| files(node, "content")).collect::<io::Result<Vec<_>>>()?.into_iter().flatten()
        {
            std::fs::remove_file(file?.path())?;
        }
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.nodes.clear(); // they end before their files go
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn dir(whose: &str, of: &str) -> PathBuf {
    let name = format!("nodewright-bench-ring-{whose}-{}-{}", std::process::id(), of.replace(':', "-"));
    std::env::temp_dir().join(name)
}

/// Tries until it is so.
pub(super) fn within(what: &str, mut so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match so() {
            Ok(true) => return Ok(()),
            other if Instant::now() > until => {
                return Err(io::Error::other(format!("the ring is not {what} within {PATIENCE:?}: {other:?}")));
            }
            _ => std::thread::sleep(LOOK), // between two looks
        }
    }
}
