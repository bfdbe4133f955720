//! A ring of processes on this machine, watched and started again.
//!
//! ```text
//!   start all -> each says that it is up -> ready when each knows the others
//!   one ends  -> after 100 ms, 200 ms, .. 10 s it is started again, on its own directory
//!   too often -> it is given up, and the others go on
//!   Ctrl-C    -> the gateway ends, then all nodes
//! ```
//!
//! Only the end of a process counts: one that is stopped or does not answer still is
//! there, holds its directory's lock, and is never doubled.

use super::talk::Talk;
use super::target::RingFile;
use crate::cli::Failure;
use crate::cli::supervise::{self, Respawn, Supervised, keep};
use crate::cli::terminal::{Paint, Terminal};
use crate::cli::values::{duration, show};
use crate::service::ring::durability::Durability;
use crate::service::ring::netmap::{Netmap, Status};
use crate::service::ring::text::{Listing, Request};
use crate::transport::keys::ClusterSecret;
use flume::{Receiver, Sender};
use serde_json::{Value, json};
use socket2::Socket;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Between two looks at whether a process has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Events that wait for the main thread; who has one more waits.
const EVENTS_MAX: usize = 64;
/// How long a node is asked whether it is ready.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// Run a ring of processes on this machine, with a gateway
#[derive(clap::Args, Clone)]
#[command(after_help = "\
Started again on the same directory, the ring goes on with all that was acknowledged. Nodes that die are started
again; one that dies too often is given up. The other commands find the ring at its gateway, or by --dir DIR.

Examples:
  nodewright ring up
      Five nodes at 7000 to 7004, the gateway at 8000, everything in nodes/
  nodewright ring up --nodes 3 --base-port 9000 --gateway-port 9100 --dir ring --poll 1s
  nodewright ring up --exact-split --replicas 3")]
pub(super) struct Args {
    /// How many nodes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) nodes: u16,
    /// The first node's port, the others follow; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 7000)]
    pub(super) base_port: u16,
    /// The gateway's port; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value = "8000")]
    pub(super) gateway_port: Option<u16>,
    /// No gateway
    #[arg(long)]
    pub(super) no_gateway: bool,
    /// How often the gateway asks for the nodes' states
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(super) poll: Duration,
    /// Where the nodes keep everything, each in DIR/PORT
    #[arg(long, default_value = "nodes")]
    pub(super) dir: PathBuf,
    /// Copies of each part
    #[arg(long, default_value_t = 2)]
    pub(super) replicas: u8,
    /// Cut files into fewer parts rather than into ones shorter than so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(super) min_part: u64,
    /// Cut files into parts of equal length, to the byte
    #[arg(long)]
    pub(super) exact_split: bool,
    /// What an acknowledged push rests on: strict, all copies synced; group, all written, and synced together within
    /// 100 ms; none, all written
    #[arg(long, value_name = "LEVEL", default_value = "strict")]
    pub(super) durability: Durability,
    /// Period of the nodes' heartbeats
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(super) wait_time: Duration,
    /// The address of this machine where nodes and gateway listen
    #[arg(long, default_value = "127.0.0.1")]
    pub(super) host: IpAddr,
    /// What clients have to say; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// A node that dies more often than this within two minutes is given up
    #[arg(long, value_name = "TIMES", default_value_t = 10)]
    pub(super) respawn_limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What the main thread waits for.
enum Event {
    Interrupted,
    /// The process of a node listens.
    Up(usize, u32),
}

struct Member {
    address: SocketAddr,
    /// Keeps the port, also while the node is down.
    _port: Socket,
    process: Option<Supervised>,
    /// It has said that it listens, and is not ready for certain.
    up: bool,
    ready: bool,
    respawn: Respawn,
    again_at: Option<Instant>,
}

impl Member {
    fn port(&self) -> u16 {
        self.address.port()
    }
}

struct Ring<'a> {
    args: &'a Args,
    terminal: &'a Terminal,
    members: Vec<Member>,
    events: (Sender<Event>, Receiver<Event>),
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let events = flume::bounded(EVENTS_MAX);
    let interrupt = events.0.clone();
    let handled = ctrlc::set_handler(move || {
        let _ = interrupt.send(Event::Interrupted); // the main thread ends with it
    });
    handled.map_err(Failure::failed)?;
    let mut ring = Ring { args, terminal, members: members(args)?, events };
    let secret = args.dir.join("cluster.secret");
    if !secret.exists() {
        ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(Failure::failed)?;
    }
    for number in 0..ring.members.len() {
        ring.start(number).map_err(Failure::failed)?;
    }
    if !ring.all_up()? {
        ring.stop();
        return Ok(());
    }
    let gateway = ring.gateway()?;
    let addresses = ring.members.iter().map(|member| member.address.to_string()).collect();
    let file = RingFile { nodes: addresses, gateway: gateway.as_ref().map(|gateway| gateway.local_addr().to_string()) };
    file.save(&args.dir).map_err(|error| Failure::failed(format!("{}: {error}", args.dir.display())))?;
    let watched = ring.watch(file.gateway.as_deref());
    drop(gateway);
    ring.stop();
    watched
}

/// The nodes with their ports; none is started.
fn members(args: &Args) -> Result<Vec<Member>, Failure> {
    std::fs::create_dir_all(&args.dir).map_err(|error| Failure::usage(format!("{}: {error}", args.dir.display())))?;
    let before = RingFile::load(&args.dir)?.map(|file| file.nodes).filter(|nodes| !nodes.is_empty());
    let mut members = Vec::new();
    for number in 0..args.nodes {
        let earlier = before.as_ref().and_then(|nodes| nodes.get(usize::from(number))?.parse::<SocketAddr>().ok());
        let port = match (args.base_port, earlier) {
            (0, earlier) => earlier.map_or(0, |address| address.port()),
            (base, _) => base.checked_add(number).ok_or_else(|| Failure::usage("there are no ports above 65535"))?,
        };
        let (socket, address) = keep((args.host, port).into())
            .map_err(|error| Failure::failed(format!("port {port} cannot be had: {error} (nothing was started)")))?;
        let respawn = Respawn::new(args.respawn_limit);
        members.push(Member {
            address,
            _port: socket,
            process: None,
            up: false,
            ready: false,
            respawn,
            again_at: None,
        });
    }
    let now: Vec<String> = members.iter().map(|member| member.address.to_string()).collect();
    match before {
        Some(before) if before != now => {
            let (dir, count) = (args.dir.display(), before.len());
            Err(Failure::usage(format!(
                "{dir} is a ring of {count} nodes at {}: say its --nodes and --base-port, or another --dir (nothing was started)",
                before.join(", ")
            )))
        }
        _ => Ok(members),
    }
}

impl Ring<'_> {
    fn say(&self, event: &str, number: usize, more: Value, words: &str) {
        let member = &self.members[number];
        if self.args.json {
            let node = member.port().to_string();
            let pid = member.process.as_ref().map(Supervised::pid);
            self.terminal
                .json(&json!({ "event": event, "node": node, "listen": member.address, "pid": pid, "more": more }));
        } else {
            self.terminal.line(&format!("{} {words}", member.port()));
        }
    }

    /// Starts a node's process. From the main thread only: it dies with the thread that
    /// started it.
    fn start(&mut self, number: usize) -> io::Result<()> {
        let peers: Vec<String> = self.members.iter().map(|member| member.address.to_string()).collect();
        let member = &mut self.members[number];
        let (args, port) = (self.args, member.port().to_string());
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["ring", "serve", "--supervised", "--json", "--listen", &member.address.to_string()])
            .args(["--peers", &peers.join(","), "--replicas", &args.replicas.to_string()])
            .args(["--min-part", &args.min_part.to_string(), "--durability", args.durability.name()])
            .args(["--wait-time", &format!("{}ms", args.wait_time.as_millis())])
            .arg("--dir")
            .arg(args.dir.join(&port))
            .arg("--secret-file")
            .arg(args.dir.join("cluster.secret"));
        if args.exact_split {
            command.arg("--exact-split");
        }
        if let Some(token) = &args.token_file {
            command.arg("--token-file").arg(token);
        }
        let (process, stdout) = Supervised::start(&mut command, &args.dir.join(format!("{port}.log")))?;
        let (events, pid) = (self.events.0.clone(), process.pid());
        (member.up, member.ready, member.again_at) = (false, false, None);
        member.process = Some(process);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let up = serde_json::from_str::<Value>(&line).is_ok_and(|line| line["event"] == "up");
                if up && events.send(Event::Up(number, pid)).is_err() {
                    return; // nobody waits for it any more
                }
            }
        });
        Ok(())
    }

    fn take(&mut self, event: Event) {
        if let Event::Up(number, pid) = event
            && self.members[number].process.as_ref().is_some_and(|process| process.pid() == pid)
        {
            self.members[number].up = true;
            self.say("up", number, Value::Null, "is up");
        }
    }

    /// Waits until all listen; `false` where it is interrupted before. One that ends
    /// instead would end again.
    fn all_up(&mut self) -> Result<bool, Failure> {
        while self.members.iter().any(|member| !member.up) {
            match self.events.1.recv_timeout(LOOK) {
                Ok(Event::Interrupted) => return Ok(false),
                Ok(event) => self.take(event),
                Err(_) => {}
            }
            for member in &mut self.members {
                let port = member.port();
                if let Some(process) = &mut member.process
                    && let Ok(Some(status)) = process.ended()
                {
                    return Err(Failure::failed(process.did_not_start(&port.to_string(), status)));
                }
            }
        }
        Ok(true)
    }

    #[cfg(feature = "http")]
    fn gateway(&self) -> Result<Option<crate::ring_gateway::Gateway>, Failure> {
        let port = self.args.gateway_port.filter(|_| !self.args.no_gateway);
        let nodes = self.members.iter().map(|member| member.address.to_string()).collect();
        let listen = |port| SocketAddr::from((self.args.host, port)).to_string();
        port.map(|port| super::gateway::start(&listen(port), nodes, self.args.poll, self.args.token_file.as_ref()))
            .transpose()
    }

    #[cfg(not(feature = "http"))]
    fn gateway(&self) -> Result<Option<SocketAddr>, Failure> {
        match self.args.no_gateway {
            true => Ok(None),
            false => Err(Failure::usage("this program was built without the feature `http`: say --no-gateway")),
        }
    }

    /// Until it is interrupted, or nothing is left to watch.
    fn watch(&mut self, gateway: Option<&str>) -> Result<(), Failure> {
        let mut told = false;
        loop {
            match self.events.1.recv_timeout(LOOK) {
                Ok(Event::Interrupted) => return Ok(()),
                Ok(event) => self.take(event),
                Err(_) => {}
            }
            self.bury();
            self.start_due()?;
            if self.members.iter().all(|member| member.process.is_none() && member.again_at.is_none()) {
                return Err(Failure::failed("all nodes died too often"));
            }
            if !told && self.is_ready() {
                told = true;
                self.tell_ready(gateway);
            }
        }
    }

    /// Those that have ended by themselves.
    fn bury(&mut self) {
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            let Some(process) = &mut member.process else { continue };
            let Ok(Some(status)) = process.ended() else { continue };
            (member.process, member.up, member.ready) = (None, false, false);
            let now = Instant::now();
            let wait = member.respawn.died(now);
            member.again_at = wait.map(|wait| now + wait);
            let status = status.to_string();
            match wait {
                Some(wait) => {
                    let words = format!("ended by itself ({status}), and is started again in {}", show(wait));
                    self.say("ended", number, json!({ "status": status, "again_ms": wait.as_millis() as u64 }), &words);
                }
                None => {
                    let log = self.args.dir.join(format!("{}.log", self.members[number].port()));
                    let words = format!("died too often ({status}) and is given up; its log: {}", log.display());
                    self.say("given_up", number, json!({ "status": status }), &self.terminal.paint(Paint::Red, &words));
                }
            }
        }
    }

    fn start_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for number in 0..self.members.len() {
            if self.members[number].again_at.is_some_and(|at| at <= now) {
                self.start(number).map_err(Failure::failed)?;
            }
        }
        Ok(())
    }

    /// Whether each node that is there answers, and knows of all that are.
    fn is_ready(&mut self) -> bool {
        let here = self.members.iter().filter(|member| member.process.is_some()).count();
        let token = self.args.token_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        for member in self.members.iter_mut().filter(|member| member.process.is_some() && !member.ready) {
            if !member.up {
                return false;
            }
            let asked = || {
                let token = token.as_deref().map(str::trim);
                let mut talk = Talk::open(&member.address.to_string(), token, READY_WITHIN).ok()?;
                let lines = talk.ask(&Request::Netmap { all: true }, |line| line == "OK").ok()?;
                let map = Netmap::from_lines(lines.iter().map(String::as_str)).ok()?;
                let listing = Listing { prefix: Vec::new(), after: Vec::new(), limit: 1 };
                talk.ask(&Request::ListPage(listing), |line| line.starts_with("OK")).ok()?;
                Some(map.0.values().filter(|status| **status == Status::Alive).count() >= here)
            };
            member.ready = asked() == Some(true);
            if !member.ready {
                return false;
            }
        }
        true
    }

    fn tell_ready(&self, gateway: Option<&str>) {
        let dir = self.args.dir.display();
        if self.args.json {
            let count = self.members.len();
            self.terminal.json(&json!({ "event": "ready", "nodes": count, "gateway": gateway, "dir": self.args.dir }));
        } else {
            let at = gateway.map(|address| format!("the gateway is at {address}; ")).unwrap_or_default();
            self.terminal.line(&format!("ready: {at}nodewright ring status --dir {dir}; Ctrl-C stops the ring"));
        }
    }

    /// Asks all to end, and waits.
    fn stop(&mut self) {
        supervise::stop(self.members.iter_mut().filter_map(|member| member.process.take()).collect());
    }
}
