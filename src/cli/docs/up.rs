//! A cluster of processes on this machine.

use super::target::{ClusterFile, ClusterNode};
use crate::cli::Failure;
use crate::cli::supervise::{self, LOOK, Supervised, keep};
use crate::cli::terminal::Terminal;
use crate::http::Client;
use crate::transport::keys::ClusterSecret;
use serde_json::json;
use socket2::Socket;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the nodes have to start and agree on a leader.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Run a cluster of processes on this machine
#[derive(clap::Args)]
#[command(after_help = "\
The nodes' addresses are written to DIR/cluster.json, where the other commands find them (--dir DIR). Started again
on the same directory, the cluster goes on with all that was acknowledged.

Examples:
  nodewright docs up --nodes 3 --dir cluster
  nodewright docs up --nodes 5 --dir cluster --base-port 8080 --restart
      HTTP at 8080 to 8084, links at 8085 to 8089; nodes that die are started again")]
pub(super) struct Args {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=5))]
    nodes: u16,
    /// Where they keep everything
    #[arg(long)]
    dir: PathBuf,
    /// The first port; without it the system chooses
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: Option<u16>,
    /// Start nodes that die again
    #[arg(long)]
    restart: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// One node's process, or where it was.
struct Member {
    node: ClusterNode,
    /// Keep the ports: bound and not listened on, also while the node is down.
    _ports: [Socket; 2],
    process: Option<Supervised>,
}

/// Processes of a cluster; killed when dropped.
pub(in crate::cli) struct Cluster {
    members: Vec<Member>,
    dir: PathBuf,
}

impl Cluster {
    /// Makes or opens a cluster's directory; starts nothing.
    pub(in crate::cli) fn open(dir: &Path, nodes: u16, base_port: Option<u16>) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
        let before = ClusterFile::load(dir)?;
        if let Some(before) = before.as_ref().filter(|it| it.nodes.len() != usize::from(nodes)) {
            let (count, dir) = (before.nodes.len(), dir.display());
            return Err(Failure::usage(format!("{dir} is a cluster of {count} nodes: say --nodes {count}")));
        }
        let secret = dir.join("cluster.secret");
        if !secret.exists() {
            ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(Failure::failed)?;
        }
        let mut members = Vec::new();
        for number in 0..nodes {
            let name = format!("n{}", number + 1);
            let base = base_port.map_or(0, |base| base + number);
            let links = base_port.map_or(0, |base| base + nodes + number);
            let refused = |port: u16, error: io::Error| Failure::failed(format!("port {port} of {name}: {error}"));
            let keep = |port| keep((Ipv4Addr::LOCALHOST, port).into()).map_err(|error| refused(port, error));
            let ((http, http_address), (listen, listen_address)) = (keep(base)?, keep(links)?);
            let node = ClusterNode { name, http: http_address.to_string(), listen: listen_address.to_string() };
            members.push(Member { node, _ports: [http, listen], process: None });
        }
        let file = ClusterFile { nodes: members.iter().map(|member| member.node.clone()).collect() };
        file.save(dir).map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
        Ok(Cluster { members, dir: dir.to_path_buf() })
    }

    pub(in crate::cli) fn len(&self) -> usize {
        self.members.len()
    }

    /// Where all nodes answer HTTP.
    pub(in crate::cli) fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.node.http.clone()).collect()
    }

    /// Starts a node's process and waits until it listens. From the main thread only:
    /// the child dies with the thread that started it.
    pub(in crate::cli) fn start(&mut self, number: usize) -> io::Result<()> {
        let peers: Vec<_> = self.members.iter().map(|member| member.node.listen.clone()).collect();
        let member = &mut self.members[number];
        let ClusterNode { name, http, listen } = &member.node;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["docs", "serve", "--supervised", "--json", "--name", name, "--listen", listen, "--http", http])
            .args(["--peers", &peers.join(",")])
            .arg("--dir")
            .arg(self.dir.join(name))
            .arg("--secret-file")
            .arg(self.dir.join("cluster.secret"));
        let log = self.dir.join(format!("{name}.log"));
        member.process = Some(Supervised::start_up(&mut command, &log, name)?);
        Ok(())
    }

    /// Waits until a leader is known to all nodes that run.
    pub(in crate::cli) fn ready(&self) -> Result<(), Failure> {
        let until = Instant::now() + START_WITHIN;
        for member in self.members.iter().filter(|member| member.process.is_some()) {
            let mut client = Client::new([member.node.http.clone()]).within(Duration::from_secs(5));
            while client.status().ok().is_none_or(|status| status["log"]["leader"].is_null()) {
                if Instant::now() > until {
                    return Err(Failure::failed(format!(
                        "{} knows no leader within {START_WITHIN:?}",
                        member.node.name
                    )));
                }
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Which node leads, as a node says that runs.
    pub(in crate::cli) fn leader(&self) -> Option<usize> {
        let running = self.members.iter().filter(|member| member.process.is_some());
        running.into_iter().find_map(|member| {
            let status = Client::new([member.node.http.clone()]).within(Duration::from_secs(1)).status().ok()?;
            let name = status["log"]["leader"].as_str()?.to_string();
            let at = self.members.iter().position(|it| it.node.name == name)?;
            self.members[at].process.is_some().then_some(at)
        })
    }

    pub(in crate::cli) fn kill(&mut self, number: usize) -> io::Result<()> {
        self.members[number].process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Nodes that ended by themselves since the last look.
    fn ended(&mut self) -> Vec<(usize, String)> {
        let mut ended = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            if let Some(process) = &mut member.process
                && let Ok(Some(status)) = process.ended()
            {
                ended.push((number, status.to_string()));
                member.process = None;
            }
        }
        ended
    }

    /// Asks all to end, and waits.
    fn stop(&mut self) {
        supervise::stop(self.members.iter_mut().filter_map(|member| member.process.take()).collect());
    }
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let (interrupt, interrupted) = flume::bounded(1);
    let handled = ctrlc::set_handler(move || {
        let _ = interrupt.try_send(()); // once is enough
    });
    handled.map_err(Failure::failed)?;
    let mut cluster = Cluster::open(&args.dir, args.nodes, args.base_port)?;
    let say = |event: &str, node: &ClusterNode, more: serde_json::Value, words: String| {
        if args.json {
            terminal.json(
                &json!({ "event": event, "node": node.name, "http": node.http, "listen": node.listen, "more": more }),
            );
        } else {
            terminal.line(&words);
        }
    };
    for number in 0..cluster.len() {
        cluster.start(number).map_err(Failure::failed)?;
        let member = &cluster.members[number];
        let pid = member.process.as_ref().map(Supervised::pid);
        say(
            "up",
            &member.node,
            json!({ "pid": pid }),
            format!("{} answers at http://{}", member.node.name, member.node.http),
        );
    }
    cluster.ready()?;
    if args.json {
        terminal.json(&json!({ "event": "ready", "nodes": cluster.len(), "dir": args.dir }));
    } else {
        let dir = args.dir.display();
        terminal.line(&format!("ready: nodewright docs list --dir {dir}; Ctrl-C stops the cluster"));
    }
    while interrupted.recv_timeout(Duration::from_millis(100)).is_err() {
        for (number, status) in cluster.ended() {
            let node = cluster.members[number].node.clone();
            say("ended", &node, json!({ "status": status }), format!("{} ended by itself: {status}", node.name));
            if args.restart {
                cluster.start(number).map_err(Failure::failed)?;
                let pid = cluster.members[number].process.as_ref().map(Supervised::pid);
                say("up", &node, json!({ "pid": pid }), format!("{} is up again", node.name));
            }
        }
    }
    cluster.stop();
    Ok(())
}
