//! The nodes of a mesh as child processes.
//!
//! A child is told what to do by lines on its standard input and reports by
//! lines on its standard output. The end of its input ends it, and so does the
//! death of this process (the child asks the system for that itself), so no
//! node is left behind, whichever way the command ends.

use super::plan::Plan;
use crate::cli::process::signal;
use crate::cli::report::Report;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// How glibc's allocator is asked to behave. What waits for a killed node is
/// freed on other threads than it was allocated on, and links come with new
/// threads: an arena a thread would keep a high-water mark for each. And once a
/// large buffer was freed, glibc takes such from the heap instead of the system,
/// where those of an outage lie between what stays and are never given back.
const ALLOCATOR: &str =
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072";

/// What comes in from outside the plan.
#[derive(Debug)]
pub(super) enum Event {
    /// A line of a child, with its number and how often it was started.
    Report(usize, u32, Report),
    /// A child's output ended.
    Closed(usize, u32),
    /// Ctrl-C.
    Interrupt,
}

/// Orders to a child, each a line.
#[derive(Copy, Clone, Debug)]
pub(super) enum Order {
    /// Broadcast no more, and report when it is quiet.
    Hush,
    /// Stop.
    Stop,
    /// Cut connections.
    Cut,
}

impl Order {
    /// The line.
    fn line(self) -> &'static str {
        match self {
            Order::Hush => "hush",
            Order::Stop => "stop",
            Order::Cut => "cut",
        }
    }
}

/// One node's process, or where it was.
pub(super) struct Node {
    /// The node's name.
    pub(super) name: String,
    address: SocketAddr,
    /// Keeps the port: bound and not listened on, so that only who asks for
    /// exactly this port (the child) gets it, also while the node is down.
    _port: Socket,
    process: Option<(Child, ChildStdin)>,
    /// How often it was started.
    pub(super) starts: u32,
}

/// All nodes of a mesh.
pub(super) struct Children {
    /// The nodes.
    pub(super) nodes: Vec<Node>,
    dir: PathBuf,
    common: Vec<String>,
    events: flume::Sender<Event>,
}

/// Lines of a node's log that are told when it ended by itself.
const LOG_LINES: usize = 5;

const NAMES: [&str; 12] =
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"];

impl Children {
    /// Finds names and ports; starts nothing.
    pub(super) fn new(
        plan: &Plan,
        dir: &Path,
        secret: &Path,
        traces: Option<&Path>,
        events: flume::Sender<Event>,
    ) -> io::Result<Self> {
        let mut nodes = Vec::new();
        for number in 0..plan.nodes {
            let port = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            port.set_reuse_address(true)?;
            port.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            let address = port.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
            let name = NAMES.get(number).map_or_else(|| format!("node{}", number + 1), ToString::to_string);
            nodes.push(Node { name, address, _port: port, process: None, starts: 0 });
        }
        let peers: Vec<_> = nodes.iter().map(|node| node.address.to_string()).collect();
        let common = [
            "--peers",
            &peers.join(","),
            "--secret-file",
            &secret.display().to_string(),
            "--record",
            &dir.display().to_string(),
            "--delivery",
            plan.delivery.name(),
            "--rate",
            &plan.rate.to_string(),
            "--size",
            &plan.size.to_string(),
            "--json",
            "--supervised",
        ];
        let mut common = common.map(String::from).to_vec();
        common.extend(traces.into_iter().flat_map(|dir| ["--trace".to_string(), dir.display().to_string()]));
        Ok(Children { nodes, dir: dir.to_path_buf(), common, events })
    }

    /// Starts a node's process. Must be called from the main thread: the
    /// child dies with the thread that started it.
    pub(super) fn start(&mut self, number: usize) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_of(number))?;
        let node = &mut self.nodes[number];
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", "--name", &node.name, "--listen", &node.address.to_string()])
            .args(&self.common)
            .env("GLIBC_TUNABLES", ALLOCATOR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C reaches this process only, which then stops the nodes in order.
            .process_group(0)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        node.starts += 1;
        node.process = Some((child, stdin));
        let (events, starts) = (self.events.clone(), node.starts);
        std::thread::Builder::new().name(format!("reports of {}", node.name)).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(report) => {
                        if events.send(Event::Report(number, starts, report)).is_err() {
                            return;
                        }
                    }
                    Err(error) => log::warn!("a node reports '{line}': {error}"),
                }
            }
            // The run may be over, and with it the receiver.
            let _ = events.send(Event::Closed(number, starts));
        })?;
        Ok(())
    }

    /// Whether a node's process is there.
    pub(super) fn is_up(&self, number: usize) -> bool {
        self.nodes[number].process.is_some()
    }

    /// Kills a node.
    pub(super) fn kill(&mut self, number: usize) -> io::Result<()> {
        if let Some((mut child, _stdin)) = self.nodes[number].process.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends a node's process a signal.
    pub(super) fn signal(&self, number: usize, what: Signal) -> io::Result<()> {
        match &self.nodes[number].process {
            Some((child, _)) => signal(child, what),
            None => Ok(()),
        }
    }

    /// Gives a node an order. One that just died cannot hear it: its end is
    /// reported by itself.
    pub(super) fn order(&mut self, number: usize, order: Order) {
        if let Some((_, stdin)) = &mut self.nodes[number].process
            && let Err(error) = writeln!(stdin, "{}", order.line())
        {
            log::debug!("{} does not hear '{}': {error}", self.nodes[number].name, order.line());
        }
    }

    /// The last lines that a node wrote to its log, for people.
    pub(super) fn log_tail(&self, number: usize) -> String {
        let log = std::fs::read_to_string(self.log_of(number)).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| format!("\n    {line}")).collect()
    }

    fn log_of(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{}.log", self.nodes[number].name))
    }

    /// Collects a node whose output ended: how it ended.
    pub(super) fn collect(&mut self, number: usize) -> io::Result<Option<ExitStatus>> {
        match self.nodes[number].process.take() {
            Some((mut child, stdin)) => {
                drop(stdin);
                child.wait().map(Some)
            }
            None => Ok(None),
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for number in 0..self.nodes.len() {
            if let Err(error) = self.kill(number) {
                log::warn!("{} cannot be killed: {error}", self.nodes[number].name);
            }
        }
    }
}
