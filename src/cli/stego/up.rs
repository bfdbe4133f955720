//! A cluster of servers as processes on this machine.

use crate::cli::Failure;
use crate::cli::process::signal;
use crate::cli::terminal::Terminal;
use crate::node::StegoClient;
use crate::transport::keys::ClusterSecret;
use rustix::process::Signal;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the servers have to start and elect a leader.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long a server that was asked to end may take.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Run a cluster of servers on this machine, from nothing
#[derive(clap::Args)]
#[command(after_help = "\
Writes server1.toml and so on, a cluster secret and client.toml into DIR, and starts a process for each server.
Detectors and elections are set for one machine: a fallen leader is replaced within about a second. Started again on
the same directory the cluster goes on with its history.

Examples:
  nodewright stego up --servers 3 --dir cluster
  nodewright stego send --config cluster/client.toml --image photo.jpg --report")]
pub(super) struct Args {
    /// How many servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=15))]
    servers: u16,
    /// Where they keep everything
    #[arg(long, default_value = "stego-cluster")]
    dir: PathBuf,
    /// The first port; without it the system chooses
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: Option<u16>,
    /// Threads of each server
    #[arg(long, default_value_t = 4)]
    workers: u32,
    /// Notice falls as slowly as existing servers' files have it: after 3 s
    #[arg(long)]
    as_in_files: bool,
    /// Start servers that die again
    #[arg(long)]
    restart: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How quick the servers are to notice; in seconds.
#[derive(Copy, Clone)]
pub(in crate::cli) struct Pace {
    heartbeat: f64,
    failure: f64,
    election: f64,
}

impl Pace {
    /// For one machine.
    pub(in crate::cli) const QUICK: Pace = Pace { heartbeat: 0.1, failure: 0.5, election: 0.4 };
    /// That of existing servers' files.
    pub(in crate::cli) const AS_IN_FILES: Pace = Pace { heartbeat: 1.0, failure: 3.0, election: 2.0 };
}

struct Member {
    address: SocketAddr,
    /// Keeps the port: bound and not listened on, also while the server is down.
    _port: Socket,
    process: Option<(Child, ChildStdin)>,
}

/// Processes of a cluster; killed when dropped.
pub(in crate::cli) struct Cluster {
    members: Vec<Member>,
    dir: PathBuf,
}

/// A port that only who asks for exactly this one gets.
fn keep(port: u16) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

impl Cluster {
    /// Makes or opens a cluster's directory; starts nothing.
    pub(in crate::cli) fn open(
        dir: &Path,
        servers: u16,
        base_port: Option<u16>,
        workers: u32,
        pace: Pace,
    ) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
        let secret = dir.join("cluster.secret");
        if !secret.exists() {
            ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(Failure::failed)?;
        }
        let mut members = Vec::new();
        for number in 0..servers {
            let base = base_port.map_or(0, |base| base + number);
            let refused = |error: io::Error| Failure::failed(format!("port {base} of server{}: {error}", number + 1));
            let (port, address) = keep(base).map_err(refused)?;
            members.push(Member { address, _port: port, process: None });
        }
        let cluster = Cluster { members, dir: dir.to_path_buf() };
        cluster.write_files(workers, pace).map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
        Ok(cluster)
    }

    fn write_files(&self, workers: u32, pace: Pace) -> io::Result<()> {
        let Pace { heartbeat, failure, election } = pace;
        for (number, member) in self.members.iter().enumerate() {
            let others = self.members.iter().enumerate().filter(|(other, _)| *other != number);
            let peers: Vec<String> = others
                .map(|(other, it)| format!("    {{ id = {}, address = \"{}\" }},\n", other + 1, it.address))
                .collect();
            let text = format!(
                "[server]\nid = {}\naddress = \"{}\"\n\n[peers]\npeers = [\n{}]\n\n[election]\n\
                 heartbeat_interval_secs = {heartbeat}\nelection_timeout_secs = {election}\n\
                 failure_timeout_secs = {failure}\nmonitor_interval_secs = {heartbeat}\n\n\
                 [encryption]\nthread_pool_size = {workers}\nmax_queue_size = 100\n",
                number + 1,
                member.address,
                peers.concat(),
            );
            std::fs::write(self.file(number), text)?;
        }
        let text = format!(
            "[client]\nname = \"Client\"\nserver_addresses = {:?}\n\n[requests]\nrate_per_second = 10.0\n\
             duration_seconds = 30.0\nrequest_processing_ms = 0\nload_per_request = 0.1\n",
            self.addresses()
        );
        std::fs::write(self.dir.join("client.toml"), text)
    }

    fn file(&self, number: usize) -> PathBuf {
        self.dir.join(format!("server{}.toml", number + 1))
    }

    pub(in crate::cli) fn len(&self) -> usize {
        self.members.len()
    }

    /// Where all servers answer.
    pub(in crate::cli) fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.address.to_string()).collect()
    }

    pub(in crate::cli) fn pid(&self, number: usize) -> Option<u32> {
        self.members[number].process.as_ref().map(|(child, _)| child.id())
    }

    /// Starts a server's process and waits until it listens. From the main thread only:
    /// the child dies with the thread that started it.
    pub(in crate::cli) fn start(&mut self, number: usize) -> io::Result<()> {
        let name = format!("server{}", number + 1);
        let log_file = self.dir.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(&log_file)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["stego", "serve", "--supervised", "--json", "--config"])
            .arg(self.file(number))
            .arg("--dir")
            .arg(self.dir.join(&name))
            .arg("--secret-file")
            .arg(self.dir.join("cluster.secret"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C reaches this process only, which then stops the servers.
            .process_group(0)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = child.wait()?;
            let text = std::fs::read_to_string(&log_file).unwrap_or_default();
            let tail: Vec<_> = text.lines().rev().take(5).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n    ");
            return Err(io::Error::other(format!("{name} did not start ({status}):\n    {tail}")));
        }
        self.members[number].process = Some((child, stdin));
        Ok(())
    }

    /// Waits until all servers that run know one leader, and that it is up.
    pub(in crate::cli) fn ready(&self) -> Result<usize, Failure> {
        let until = Instant::now() + START_WITHIN;
        loop {
            if let Some(leader) = self.leader() {
                return Ok(leader);
            }
            if Instant::now() > until {
                return Err(Failure::failed(format!("no leader is known to all within {START_WITHIN:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Who leads, if all that run say the same of one that runs.
    pub(in crate::cli) fn leader(&self) -> Option<usize> {
        let running = self.members.iter().filter(|member| member.process.is_some());
        let addresses: Vec<String> = running.map(|member| member.address.to_string()).collect();
        let stats = StegoClient::new("up", addresses).stats();
        let mut leaders = stats.iter().map(|(_, stats)| stats.as_ref().ok().and_then(|stats| stats.leader));
        let leader = leaders.next()??;
        let place = usize::try_from(leader).ok()?.checked_sub(1)?;
        let all = leaders.all(|other| other == Some(leader));
        (all && self.members.get(place)?.process.is_some()).then_some(place)
    }

    pub(in crate::cli) fn kill(&mut self, number: usize) -> io::Result<()> {
        if let Some((mut child, _stdin)) = self.members[number].process.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Servers that ended by themselves since the last look.
    fn ended(&mut self) -> Vec<(usize, String)> {
        let mut ended = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            if let Some((child, _)) = &mut member.process
                && let Ok(Some(status)) = child.try_wait()
            {
                ended.push((number, status.to_string()));
                member.process = None;
            }
        }
        ended
    }

    /// Asks all to end, and waits.
    fn stop(&mut self) {
        let mut children: Vec<Child> =
            self.members.iter_mut().filter_map(|member| member.process.take()).map(|(child, _stdin)| child).collect();
        for child in &children {
            // One that is paused cannot hear that its input has ended.
            let _ = signal(child, Signal::CONT);
        }
        let until = Instant::now() + STOP_WITHIN;
        while children.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        for child in &mut children {
            let _ = child.kill(); // it may have ended
            let _ = child.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for number in 0..self.members.len() {
            if let Err(error) = self.kill(number) {
                log::warn!("server{} cannot be killed: {error}", number + 1);
            }
        }
    }
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let (interrupt, interrupted) = flume::bounded(1);
    let handled = ctrlc::set_handler(move || {
        let _ = interrupt.try_send(()); // once is enough
    });
    handled.map_err(Failure::failed)?;
    let pace = if args.as_in_files { Pace::AS_IN_FILES } else { Pace::QUICK };
    let mut cluster = Cluster::open(&args.dir, args.servers, args.base_port, args.workers, pace)?;
    let say = |event: &str, number: usize, address: &str, pid: Option<u32>, words: &str| {
        let name = format!("server{}", number + 1);
        if args.json {
            terminal.json(&json!({ "event": event, "node": name, "address": address, "pid": pid }));
        } else {
            terminal.line(&format!("{name} {words}"));
        }
    };
    let addresses = cluster.addresses();
    for (number, address) in addresses.iter().enumerate() {
        cluster.start(number).map_err(Failure::failed)?;
        say("up", number, address, cluster.pid(number), &format!("answers at {address}"));
    }
    let leader = cluster.ready()?;
    if args.json {
        terminal.json(&json!({ "event": "ready", "servers": cluster.len(), "leader": leader + 1, "dir": args.dir }));
    } else {
        let file = args.dir.join("client.toml");
        let name = leader + 1;
        terminal.line(&format!(
            "ready, server{name} leads: nodewright stego send --config {} --image FILE; Ctrl-C stops the cluster",
            file.display()
        ));
    }
    while interrupted.recv_timeout(Duration::from_millis(100)).is_err() {
        for (number, status) in cluster.ended() {
            say("ended", number, &addresses[number], None, &format!("ended by itself: {status}"));
            if args.restart {
                cluster.start(number).map_err(Failure::failed)?;
                say("up", number, &addresses[number], cluster.pid(number), "is up again");
            }
        }
    }
    cluster.stop();
    Ok(())
}
