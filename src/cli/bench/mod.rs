//! `nodewright bench`: figures beside their limits.
//!
//! Machines are shared and noisy, so a figure alone says little: each is taken
//! in turn with its *roofline*, the plainest program that could do it, on
//! processes that stay up for the run, and the median of the rounds' ratios is
//! what counts.
//!
//! | figure | ours, over secured links | roofline, plain TCP |
//! |---|---|---|
//! | `link` | best effort to one peer | 64 KiB writes to one peer |
//! | `broadcast`, `reliable` | one node to all others | 64 KiB writes to three peers |
//! | `reliable of broadcast` | reliable from one node to all others | best effort, by nodes of ours |
//! | `uniform` | all nodes to all | 64 KiB writes to three peers |
//! | `uniform one at a time` | broadcast, wait for its delivery | four ping-pongs |
//! | `request` | request and reply | ping-pong |
//! | `traced uniform`, `traced one at a time` | the same, all of it recorded | nodes of ours that record nothing |
//! | `log` | synced on two of three, by so many clients | bare group commit, two of three synced |
//! | `stego embed`, `stego extract` | bits into and out of the carriers of 12 megapixels | copying as many bytes |
//! | `stego 800x600 jpeg` and others | cover in, 100 kB embedded, PNG out; time of one core | the same with nothing embedded |
//! | `stego service` | images of 800x600 through one server, assigned, done and acknowledged; per second of the server's cores | the library alone, per second of its core |
//! | `stego service 2 workers` | the same by the clock, two workers | twice what one worker does |
//! | `stego assignments` | tasks assigned by the leader of three and acknowledged, two entries of the log each | bare group commit, two of three synced |
//! | `docs write` `docs read` `docs batch` | documents by so many clients of the node that leads, three processes | the same bare group commit, of as many bytes |
//! | `ring ...` | files pushed to and pulled from five processes | bare processes that do the same work: see `ring` |
//! | `sim` | simulated worlds on one core | an event queue with as many events, and nothing to do |
//!
//! Every message is handed to a callback by itself, which checks its sequence
//! number; a run in which one is missing, twice or out of place is no figure.

mod child;
mod children;
#[cfg(feature = "replicated_log")]
mod clients;
mod cluster;
#[cfg(feature = "http")]
mod docs;
#[cfg(feature = "http")]
mod docs_node;
mod figure;
mod node;
#[cfg(feature = "replicated_log")]
mod plain_log;
mod plain_ping;
#[cfg(all(feature = "ring", feature = "http"))]
mod plain_ring;
#[cfg(all(feature = "ring", feature = "http"))]
mod plain_ring_entry;
mod plain_stream;
#[cfg(all(feature = "ring", feature = "http"))]
mod ring;
#[cfg(all(feature = "ring", feature = "http"))]
mod ring_client;
#[cfg(all(feature = "ring", feature = "http"))]
mod ring_cluster;
mod rounds;
#[cfg(all(feature = "ring", feature = "http"))]
mod sealed;
mod simulator;
#[cfg(feature = "stego")]
mod stego;
#[cfg(feature = "stego_service")]
mod stego_service;

use super::terminal::Terminal;
use super::{Failure, values};
use crate::protocol::delivery::Delivery;
use clap::ValueEnum;
use cluster::{Cluster, Plan};
use figure::Figure;
use plain_ping::PlainPing;
use plain_stream::PlainStream;
use rounds::{Measured, Paired, Rate, RecordedRate, RoundTrip, pair};
use std::io;
use std::time::Duration;

/// What to measure.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
enum What {
    /// Messages a second over one link.
    Link,
    /// Best effort broadcasts a second.
    Broadcast,
    /// Reliable broadcasts a second; and beside best effort.
    Reliable,
    /// Uniform broadcasts a second, all nodes sending; and one at a time.
    Uniform,
    /// Requests and their replies.
    Request,
    /// What recording a trace costs.
    Trace,
    /// Total-order broadcasts a second, each synced on two of three disks, by 1, 16
    /// and 64 clients of one node.
    #[cfg(feature = "replicated_log")]
    Log,
    /// Steganography: kernels beside memory, and whole images in and out.
    #[cfg(feature = "stego")]
    Stego,
    /// Documents written, read and added by batches a second, three processes.
    #[cfg(feature = "http")]
    Docs,
    /// An indexed search for one of a million documents, and what one takes in memory.
    #[cfg(feature = "http")]
    DocsFind,
    /// Files in and out of a ring of five processes, what a node takes in memory, and from the
    /// kill of one to the file read without it.
    #[cfg(all(feature = "ring", feature = "http"))]
    Ring,
    /// From the kill of a leader to the next acknowledged write.
    #[cfg(feature = "http")]
    Failover,
    /// From the kill of a leader to the next assignment of a task.
    #[cfg(feature = "stego_service")]
    FailoverStego,
    /// Simulated worlds a second: broadcast cores alone, and whole stacks.
    Sim,
}

/// Measures a part of the system beside its limit.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright bench link --size 64
  nodewright bench uniform --nodes 4 --for 5s --json
  nodewright bench docs --clients 1,16,64 --batch 100 --json
  nodewright bench ring --json
  nodewright bench failover
  nodewright bench sim --json")]
pub(super) struct Args {
    /// What to measure
    what: What,
    /// Bytes of a message; without it 64, for `link` 1 KiB as well, for `log` 256
    #[arg(long, value_parser = clap::value_parser!(u32).range(16..=60_000))]
    size: Option<u32>,
    /// Nodes of a broadcast
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16))]
    nodes: u16,
    /// How long ours is measured for a figure, over all rounds; the roofline as long again
    #[arg(long = "for", default_value = "5s", value_parser = values::duration)]
    time: Duration,
    /// Rounds in which ours and the roofline take turns
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Clients of `docs`, each figure by so many
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    clients: Vec<usize>,
    /// Documents of a batch of `docs`
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    /// Documents of `docs-find`
    #[arg(long, default_value_t = 1_000_000)]
    documents: u64,
    /// The file of `ring`; its large one is eight times that
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    file_mib: u64,
    /// Leaders killed by `failover` and `failover-stego`; nodes by `ring`, at most 10
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// One JSON object a figure
    #[arg(long)]
    json: bool,
}

/// What a child process does: one measured part, see [`children`].
#[derive(clap::Args)]
#[command(hide = true, after_help = "Example: started by `nodewright bench` only")]
pub(super) struct ChildArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(clap::Subcommand)]
enum Part {
    /// Receives plain frames
    Sink,
    /// Sends plain frames to the sinks on these ports
    Source { size: usize, ports: Vec<u16> },
    /// Echoes plain messages
    Echo { size: usize, pinned: u8 },
    /// Makes plain round trips
    Ping { size: usize, port: u16, pinned: u8 },
    /// Syncs what a plain leader sends
    #[cfg(feature = "replicated_log")]
    LogFollower { path: std::path::PathBuf },
    /// Bare group commit with the followers on these ports
    #[cfg(feature = "replicated_log")]
    LogLeader { path: std::path::PathBuf, size: usize, ports: Vec<u16> },
    /// A bare node of a ring
    #[cfg(all(feature = "ring", feature = "http"))]
    Ring(plain_ring::Args),
    /// What is bare in a gateway's place, in front of this node
    #[cfg(all(feature = "ring", feature = "http"))]
    RingRelay { node: u16 },
    /// A node with a document store
    #[cfg(feature = "http")]
    Docs(docs_node::Args),
    /// A node
    Node(node::Args),
}

/// Runs a measured part until the parent goes away.
pub(super) fn run_child(args: &ChildArgs) -> Result<(), Failure> {
    let done = match &args.part {
        Part::Sink => plain_stream::sink(),
        Part::Source { size, ports } => plain_stream::source(*size, ports),
        Part::Echo { size, pinned } => plain_ping::echo(*size, *pinned != 0),
        Part::Ping { size, port, pinned } => plain_ping::ping(*size, *port, *pinned != 0),
        #[cfg(feature = "replicated_log")]
        Part::LogFollower { path } => plain_log::follower(path),
        #[cfg(feature = "replicated_log")]
        Part::LogLeader { path, size, ports } => plain_log::leader(path, *size, ports),
        #[cfg(feature = "http")]
        Part::Docs(args) => docs_node::run(args),
        #[cfg(all(feature = "ring", feature = "http"))]
        Part::Ring(args) => plain_ring::node(args.clone()),
        #[cfg(all(feature = "ring", feature = "http"))]
        Part::RingRelay { node } => plain_ring::relay(*node),
        Part::Node(args) => node::run(args),
    };
    done.map_err(Failure::failed)
}

/// Measures and shows.
pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    if !args.json {
        Figure::heading(terminal);
    }
    let bench = Bench { rounds: args.rounds.into(), time: args.time / args.rounds.into(), terminal };
    let size = args.size.unwrap_or(64) as usize;
    let show = |figure: Figure| figure.show(terminal, args.json);
    let measure = || -> io::Result<()> {
        match args.what {
            What::Link => {
                show(bench.link(size)?);
                if args.size.is_none() {
                    show(bench.link(1024)?);
                }
            }
            What::Broadcast => show(bench.spread("broadcast", Delivery::BestEffort, args.nodes.into(), size)?),
            What::Reliable => {
                show(bench.spread("reliable", Delivery::Reliable, args.nodes.into(), size)?);
                show(bench.beside_best_effort(args.nodes.into(), size)?);
            }
            What::Uniform => {
                show(bench.spread("uniform", Delivery::Uniform, args.nodes.into(), size)?);
                show(bench.one_at_a_time(args.nodes.into(), size)?);
            }
            What::Request => {
                show(bench.request(size, false)?);
                show(bench.request(size, true)?);
            }
            What::Trace => {
                show(bench.traced(args.nodes.into(), size)?);
                show(bench.traced_one_at_a_time(args.nodes.into(), size)?);
            }
            #[cfg(feature = "replicated_log")]
            What::Log => {
                let size = args.size.unwrap_or(256) as usize;
                for clients in [1, 16, 64] {
                    show(bench.log(size, clients)?);
                }
            }
            #[cfg(feature = "stego")]
            What::Stego => {
                for figure in &stego::FIGURES {
                    show(bench.stego(figure)?);
                }
                #[cfg(feature = "stego_service")]
                bench.stego_service(&show)?;
            }
            #[cfg(feature = "http")]
            What::Docs => {
                let size = args.size.unwrap_or(256) as usize;
                bench.docs(size, &args.clients, args.batch.into(), &show)?;
            }
            #[cfg(feature = "http")]
            What::DocsFind => {
                bench.docs_find(args.size.unwrap_or(256) as usize, args.documents, terminal, args.json)?;
            }
            #[cfg(all(feature = "ring", feature = "http"))]
            What::Ring => bench.ring(args.file_mib << 20, args.kills.min(10), args.json, &show)?,
            #[cfg(feature = "http")]
            What::Failover => docs::failover(args.kills, terminal, args.json)?,
            #[cfg(feature = "stego_service")]
            What::FailoverStego => stego_service::failover(args.kills, terminal, args.json)?,
            What::Sim => {
                show(bench.simulator("sim core", "core.reliable")?);
                show(bench.simulator("sim stack", "reliable")?);
            }
        }
        Ok(())
    };
    measure().map_err(Failure::failed)
}

/// How figures are taken.
struct Bench<'a> {
    rounds: usize,
    /// Of one measurement.
    time: Duration,
    terminal: &'a Terminal,
}

impl Bench<'_> {
    /// One node to one other.
    fn link(&self, size: usize) -> io::Result<Figure> {
        let plan = Plan { to_first: true, ..Plan::new(2, Delivery::BestEffort, size) };
        let mut cluster = Cluster::start(&plan)?;
        let mut limit = PlainStream::start(1, size)?;
        let figure = format!("link {}", bytes(size));
        let mut ours = Rate { children: &mut cluster.nodes, sources: 1..2, sinks: 0..1 };
        let paired = self.pair(&figure, &mut ours, &mut limit.rate())?;
        Ok(Figure { rss_bytes_max: Some(cluster.resident_bytes_max()?), ..self.figure(figure, "1/s", 2, &paired) })
    }

    /// One node, or with uniform delivery every node, to all.
    fn spread(&self, name: &str, delivery: Delivery, nodes: usize, size: usize) -> io::Result<Figure> {
        let mut cluster = Cluster::start(&Plan::new(nodes, delivery, size))?;
        let mut limit = PlainStream::start(nodes - 1, size)?;
        let figure = format!("{name} {}", bytes(size));
        let senders = if delivery == Delivery::Uniform { nodes } else { 1 };
        let mut ours = Rate { children: &mut cluster.nodes, sources: 0..senders, sinks: 0..nodes };
        let paired = self.pair(&figure, &mut ours, &mut limit.rate())?;
        let rss_bytes_max = Some(cluster.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, ..self.figure(figure, "1/s", nodes, &paired) })
    }

    /// Reliable and best effort, one node to all, in turn.
    fn beside_best_effort(&self, nodes: usize, size: usize) -> io::Result<Figure> {
        let start = |delivery| Cluster::start(&Plan::new(nodes, delivery, size));
        let (mut reliable, mut best_effort) = (start(Delivery::Reliable)?, start(Delivery::BestEffort)?);
        let figure = format!("reliable of broadcast {}", bytes(size));
        let mut ours = Rate { children: &mut reliable.nodes, sources: 0..1, sinks: 0..nodes };
        let mut limit = Rate { children: &mut best_effort.nodes, sources: 0..1, sinks: 0..nodes };
        let paired = self.pair(&figure, &mut ours, &mut limit)?;
        let rss_bytes_max = Some(reliable.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, ..self.figure(figure, "1/s", nodes, &paired) })
    }

    /// Uniform broadcasts, each after the delivery of the one before.
    fn one_at_a_time(&self, nodes: usize, size: usize) -> io::Result<Figure> {
        let plan = Plan::new(nodes, Delivery::Uniform, size);
        let mut cluster = Cluster::start(&plan)?;
        let mut limit = PlainPing::start(size, false)?;
        let figure = "uniform one at a time".to_string();
        let mut ours = RoundTrip { asker: &mut cluster.nodes[0], question: "go", times: 1.0 };
        let mut four_pings = RoundTrip { asker: &mut limit.ping, question: "go", times: 4.0 };
        let paired = self.pair(&figure, &mut ours, &mut four_pings)?;
        let rss_bytes_max = Some(cluster.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, ..self.figure(figure, "us", nodes, &paired) })
    }

    /// Uniform from all to all, recorded and not, in turn.
    fn traced(&self, nodes: usize, size: usize) -> io::Result<Figure> {
        let [mut traced, mut plain] = self.traced_and_not(nodes, size)?;
        let figure = format!("traced uniform {}", bytes(size));
        let dir = traced.dir().to_owned();
        let rate = Rate { children: &mut traced.nodes, sources: 0..nodes, sinks: 0..nodes };
        let mut ours = RecordedRate { rate, dir: &dir };
        let mut limit = Rate { children: &mut plain.nodes, sources: 0..nodes, sinks: 0..nodes };
        let paired = self.pair(&figure, &mut ours, &mut limit)?;
        let rss_bytes_max = Some(traced.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, ..self.figure(figure, "1/s", nodes, &paired) })
    }

    /// The same, each broadcast after the delivery of the one before.
    fn traced_one_at_a_time(&self, nodes: usize, size: usize) -> io::Result<Figure> {
        let [mut traced, mut plain] = self.traced_and_not(nodes, size)?;
        let figure = "traced one at a time".to_string();
        let mut ours = RoundTrip { asker: &mut traced.nodes[0], question: "go", times: 1.0 };
        let mut limit = RoundTrip { asker: &mut plain.nodes[0], question: "go", times: 1.0 };
        let paired = self.pair(&figure, &mut ours, &mut limit)?;
        let rss_bytes_max = Some(traced.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, ..self.figure(figure, "us", nodes, &paired) })
    }

    fn traced_and_not(&self, nodes: usize, size: usize) -> io::Result<[Cluster; 2]> {
        let plan = Plan::new(nodes, Delivery::Uniform, size);
        Ok([Cluster::start(&Plan { traced: true, ..plan })?, Cluster::start(&plan)?])
    }

    /// Requests, each after the reply to the one before.
    fn request(&self, size: usize, pinned: bool) -> io::Result<Figure> {
        let plan = Plan { to_first: true, pinned, ..Plan::new(2, Delivery::BestEffort, size) };
        let mut cluster = Cluster::start(&plan)?;
        let mut limit = PlainPing::start(size, pinned)?;
        let figure = format!("request {} {}", bytes(size), if pinned { "pinned" } else { "free" });
        let mut ours = RoundTrip { asker: &mut cluster.nodes[1], question: "ask go", times: 1.0 };
        let mut ping = RoundTrip { asker: &mut limit.ping, question: "go", times: 1.0 };
        let paired = self.pair(&figure, &mut ours, &mut ping)?;
        let rss_bytes_max = Some(cluster.resident_bytes_max()?);
        Ok(Figure { rss_bytes_max, clients: Some(1), ..self.figure(figure, "us", 2, &paired) })
    }

    /// Broadcasts of three nodes' log, by clients of the one that leads; each waits
    /// for its receipt.
    #[cfg(feature = "replicated_log")]
    fn log(&self, size: usize, clients: usize) -> io::Result<Figure> {
        let plan = Plan::new(3, Delivery::Total, size);
        let mut cluster = Cluster::start(&plan)?;
        let mut limit = plain_log::PlainLog::start(size, cluster.dir().join("plain"))?;
        let figure = format!("log {}, {clients} client{}", bytes(size), if clients == 1 { "" } else { "s" });
        let mut ours = clients::Clients { child: &mut cluster.nodes[0], clients };
        let mut plain = clients::Clients { child: &mut limit.first, clients };
        let paired = self.pair(&figure, &mut ours, &mut plain)?;
        let rss_bytes_max = Some(cluster.resident_bytes_max()?);
        let figure = self.figure(figure, "1/s", 3, &paired);
        Ok(Figure { rss_bytes_max, p50_us: None, clients: Some(clients), ..figure })
    }

    /// Worlds of five nodes with twenty broadcasts, one after the other.
    fn simulator(&self, figure: &str, scenario: &str) -> io::Result<Figure> {
        let mut worlds = simulator::Worlds::new(scenario)?;
        let mut queue = simulator::EmptyQueue { events: worlds.events_each()? };
        let paired = self.pair(figure, &mut worlds, &mut queue)?;
        Ok(self.figure(figure.to_string(), "1/s", worlds.nodes(), &paired))
    }

    /// Pixels and whole images, in this process.
    #[cfg(feature = "stego")]
    fn stego(&self, what: &stego::What) -> io::Result<Figure> {
        let [mut ours, mut limit] = what.pair()?;
        let paired = self.pair(what.name, &mut *ours, &mut *limit)?;
        let rss_bytes_max = stego::resident_bytes_max();
        Ok(Figure { rss_bytes_max, nodes: None, ..self.figure(what.name.to_string(), what.unit, 1, &paired) })
    }

    fn pair(&self, what: &str, ours: &mut dyn Measured, limit: &mut dyn Measured) -> io::Result<Paired> {
        pair(what, self.rounds, self.time, ours, limit, self.terminal)
    }

    fn figure(&self, figure: String, unit: &'static str, nodes: usize, paired: &Paired) -> Figure {
        Figure {
            figure,
            value: paired.ours,
            unit,
            roofline: paired.roofline,
            ratio: paired.ratio,
            p50_us: paired.p99_us.map(|_| paired.ours),
            p99_us: paired.p99_us,
            nodes: Some(nodes),
            runs: self.rounds,
            ..Figure::default()
        }
    }
}

/// `64 B`, `1 KiB`.
fn bytes(size: usize) -> String {
    if size >= 1024 && size.is_multiple_of(1024) { format!("{} KiB", size / 1024) } else { format!("{size} B") }
}
