//! `nodewright node`: one node that tells what happens, and that can broadcast
//! and record for a verdict.

mod broadcaster;
mod orders;
mod session;

use super::Failure;
use super::payload;
use super::process;
use super::records::{FLUSH_EVERY, FLUSH_EVERY_IDLE, Record};
use super::report::{Report, What};
use super::terminal::Terminal;
use super::values::duration;
use crate::id::NodeId;
use crate::node::{Config, MessageType, Node, StartError};
use crate::protocol::delivery::{Delivery, Guarantee};
use crate::protocol::election::LeaderElected;
use crate::protocol::membership::View;
use broadcaster::Broadcaster;
use orders::Order;
use session::{Identity, Session};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Run one node in the foreground; Ctrl-C stops it gracefully
#[derive(clap::Args)]
#[command(after_help = "\
What is said here goes before the environment (NODEWRIGHT_<KEY>, with the keys of `nodewright config --example` and
the names of the options below), and that before the file.

Examples:
  nodewright node --config alpha.toml
  nodewright keygen --secret cluster.secret
  nodewright node --name alpha --listen 10.0.0.1:8888 --peers 10.0.0.1:8888,10.0.0.2:8888,10.0.0.3:8888 \\
      --secret-file cluster.secret
  nodewright node --name alpha --listen 127.0.0.1:9001 --peers 127.0.0.1:9001,127.0.0.1:9002 \\
      --broadcast-every 100ms --record records
      Without a secret a node stays on loopback. Judge what was recorded by `nodewright verdict records`
  nodewright node --config alpha.toml --trace alpha.trace
      Recorded: draw it by `nodewright trace alpha.trace beta.trace --html run.html`

Exit status: 0 stopped as asked, 1 it failed, 2 wrong usage or configuration")]
pub(crate) struct Args {
    /// Everything in a file; see `nodewright config --example`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's name
    #[arg(long)]
    name: Option<String>,
    /// Where to listen; loopback at a port of the system's choice, if not said
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// All voters' addresses, separated by commas; the own one may be among them
    #[arg(long, value_name = "HOST:PORT,...")]
    peers: Option<String>,
    /// The cluster secret; needed to listen on anything but loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
    /// This node's private key, where others list or pin its public half
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
    /// Public keys that may link, separated by commas; everyone who has the secret, if not said
    #[arg(long, value_name = "KEY,...")]
    allow_keys: Option<String>,
    /// Names bound to public keys, separated by commas; another key under such a name is refused
    #[arg(long, value_name = "NAME@KEY,...")]
    pin_key: Option<String>,
    /// Record all that happens into this new file, or into one of its own name in this directory, for
    /// `nodewright check` and `nodewright trace`
    #[arg(long, value_name = "FILE|DIR")]
    trace: Option<String>,
    #[command(flatten)]
    demo: Demo,
    /// One JSON object a line
    #[arg(long, env = "NODEWRIGHT_JSON")]
    json: bool,
    /// Take orders on standard input and die with the parent
    #[arg(long, hide = true)]
    supervised: bool,
}

/// What a node of the command does beside being one.
#[derive(clap::Args)]
struct Demo {
    /// What it broadcasts by and records
    #[arg(long, env = "NODEWRIGHT_DELIVERY", default_value = "uniform.causal")]
    delivery: Delivery,
    /// Broadcast once in this time
    #[arg(long, env = "NODEWRIGHT_BROADCAST_EVERY", value_name = "TIME", value_parser = duration, conflicts_with = "rate")]
    broadcast_every: Option<Duration>,
    /// Broadcast so often a second
    #[arg(long, env = "NODEWRIGHT_RATE", value_name = "N")]
    rate: Option<u32>,
    /// Bytes of a broadcast, at least 28
    #[arg(long, env = "NODEWRIGHT_SIZE", value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// Record broadcasts and deliveries in this directory, a file a life
    #[arg(long, env = "NODEWRIGHT_RECORD", value_name = "DIR")]
    record: Option<PathBuf>,
    /// A node that is asked to stop first waits until nothing arrived for so long
    #[arg(long, env = "NODEWRIGHT_LINGER", value_name = "TIME", value_parser = duration, default_value = "1s")]
    linger: Duration,
}

impl Demo {
    /// From one broadcast to the next; `None` if there are none.
    fn interval(&self) -> Option<Duration> {
        let of_rate = |rate: u32| (rate > 0).then(|| Duration::from_secs(1) / rate);
        self.broadcast_every.or_else(|| of_rate(self.rate?)).filter(|interval| !interval.is_zero())
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    if args.supervised {
        process::die_with_parent().map_err(Failure::failed)?;
    }
    let demo = &args.demo;
    if demo.size < payload::BYTES_MIN {
        let least = payload::BYTES_MIN;
        return Err(Failure::usage(format!(
            "--size {}: a payload that says whose it is needs {least} bytes",
            demo.size
        )));
    }
    if let Some(dir) = &demo.record {
        std::fs::create_dir_all(dir).map_err(|error| Failure::usage(format!("--record {}: {error}", dir.display())))?;
    }
    let node = composed(&args)?;
    let identity = Identity { name: node.name().to_string(), delivery: demo.delivery, dir: demo.record.clone() };
    let (reports, told) = flume::bounded(REPORTS_MAX);
    let session = Arc::new(Session::new(identity, reports));
    let running = watched(node, &session, demo.delivery).start().map_err(refused)?;
    let broadcaster = demo
        .interval()
        .map(|interval| Broadcaster::start(running.clone(), session.clone(), demo.delivery, interval, demo.size))
        .transpose()
        .map_err(Failure::failed)?;
    let orders = orders::listen(args.supervised);
    let linger_ms = u64::try_from(demo.linger.as_millis()).unwrap_or(u64::MAX);
    let mut host = Host { terminal, json: args.json, session: &session, told, broadcaster, linger_ms, hushed: false };
    host.run(&orders);
    running.stop();
    host.end();
    Ok(())
}

/// Reports waiting to be printed.
const REPORTS_MAX: usize = 4096;

fn refused(error: StartError) -> Failure {
    match error {
        StartError::Wiring(report) => Failure::usage(report),
        error => Failure::failed(error),
    }
}

/// Variables of the environment that are this command's or the simulator's
/// own, not a node's keys.
pub(super) const OWN_VARIABLES: [&str; 10] =
    ["AT", "DELIVERY", "BROADCAST_EVERY", "RATE", "SIZE", "RECORD", "LINGER", "JSON", "SEED", "SEEDS"];

/// The node that file, environment and arguments describe.
fn composed(args: &Args) -> Result<Node, Failure> {
    let file = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read);
    let said = [
        ("NAME", &args.name),
        ("LISTEN", &args.listen),
        ("HAS_PEERS", &args.peers),
        ("SECRET_FILE", &args.secret_file),
        ("KEY_FILE", &args.key_file),
        ("ALLOW_KEYS", &args.allow_keys),
        ("PIN_KEY", &args.pin_key),
        ("TRACE", &args.trace),
    ];
    let said = said.into_iter().filter_map(|(key, value)| Some((format!("NODEWRIGHT_{key}"), value.clone()?)));
    let config = file.map_err(Failure::usage)?.with_environment(&OWN_VARIABLES).with_variables(said, &[]);
    config.node().map_err(Failure::usage)
}

/// Adds what the session listens to.
fn watched(node: Node, session: &Arc<Session>, delivery: Delivery) -> Node {
    let (entered, id) = (session.clone(), NodeId::from_name(session.name()));
    let mut node = node.has_delivery(delivery).on_event(move |view: &View| {
        let own = view.voters.iter().chain(&view.listeners).find(|member| member.life.node == id);
        if let Some(member) = own {
            entered.enter(member.life, view.configured);
        }
    });
    let led = session.clone();
    node = node.on_event(move |elected: &LeaderElected| {
        let (leader, epoch) = (elected.leader, elected.epoch.number);
        led.report(What::Leader { leader: leader.node.to_string(), incarnation: leader.incarnation.0, epoch });
    });
    let recorded = session.clone();
    node = node.on_receive_message(message_type(delivery), move |incoming| recorded.delivered(incoming));
    for news in [MessageType::JoinedNode, MessageType::FailedNode, MessageType::RestoredNode, MessageType::EndedNode] {
        let session = session.clone();
        node = node.on_receive_message(news, move |incoming| session.peer(incoming));
    }
    node
}

/// How callbacks are told what a delivery brings.
fn message_type(delivery: Delivery) -> MessageType {
    match delivery.guarantee() {
        Guarantee::BestEffort => MessageType::BestEffortDelivery,
        Guarantee::Reliable => MessageType::ReliableDelivery,
        Guarantee::Uniform => MessageType::UniformReliableDelivery,
        Guarantee::UniformAllAck => MessageType::UniformReliableDeliveryAllAck,
    }
}

/// The main loop: prints, samples, flushes, and takes orders.
struct Host<'a> {
    terminal: &'a Terminal,
    json: bool,
    session: &'a Arc<Session>,
    told: flume::Receiver<What>,
    broadcaster: Option<Broadcaster>,
    linger_ms: u64,
    hushed: bool,
}

/// How often a node says how far it has come, and samples what it costs.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How long a node that is asked to stop waits for what is on its way.
const DRAIN_WITHIN: Duration = Duration::from_secs(45);

impl Host<'_> {
    fn run(&mut self, orders: &flume::Receiver<Order>) {
        let mut random = fastrand::Rng::with_seed(u64::from(std::process::id()));
        let mut status_at = Instant::now();
        let mut stop_by = None;
        let mut quiet = false;
        let mut flush_after = FLUSH_EVERY;
        loop {
            match orders.recv_deadline(Instant::now() + flush_after) {
                Ok(Order::Stop) if stop_by.is_some() => return,
                Ok(Order::Stop) => {
                    self.hush();
                    stop_by = Some(Instant::now() + DRAIN_WITHIN);
                }
                Ok(Order::Hush) => self.hush(),
                Ok(Order::Cut) => match process::cut_connections(&mut random) {
                    Ok(cut) => self.session.notice(format!("cut {cut} connections")),
                    Err(error) => self.session.notice(format!("cannot cut connections: {error}")),
                },
                Err(_) => {}
            }
            let now = Instant::now();
            if status_at <= now {
                status_at = now + STATUS_EVERY;
                self.status();
            }
            self.print();
            let Some(chapter) = self.session.current() else { continue };
            flush_after = if chapter.flush(self.session) { FLUSH_EVERY } else { FLUSH_EVERY_IDLE };
            let (broadcasts, delivered, pending) = chapter.counts();
            if !quiet && self.hushed && pending == 0 && self.session.silent_ms() >= self.linger_ms {
                quiet = true;
                self.session.report(What::Quiet { broadcasts, delivered });
            }
            if stop_by.is_some_and(|deadline| quiet || deadline <= now) {
                return;
            }
        }
    }

    /// Broadcasts end here. Quiet is counted from now at the earliest.
    fn hush(&mut self) {
        if !std::mem::replace(&mut self.hushed, true) {
            self.session.hushed();
            if let Some(broadcaster) = &self.broadcaster {
                broadcaster.hush();
            }
        }
    }

    fn status(&self) {
        let Some(chapter) = self.session.current() else { return };
        match process::sample(chapter.began) {
            Ok(sample) => chapter.append(&Record::Sample(sample)),
            Err(error) => log::warn!("cannot sample this process: {error}"),
        }
        let (broadcasts, delivered, pending) = chapter.counts();
        self.session.report(What::Status { broadcasts, delivered, pending });
    }

    fn print(&self) {
        for what in self.told.try_iter() {
            let report = Report { node: self.session.name().to_string(), at_ms: self.session.now_ms(), what };
            match &report.what {
                _ if self.json => self.terminal.json(&report),
                What::Status { broadcasts, delivered, pending } => self
                    .terminal
                    .progress(&format!("broadcast {broadcasts}, delivered {delivered}, {pending} on their way")),
                _ => {
                    self.terminal.progress_done();
                    self.terminal.line(&report.human(self.terminal));
                }
            }
        }
    }

    /// The node has stopped: nothing is broadcast or delivered any more.
    fn end(mut self) {
        drop(self.broadcaster.take());
        self.status();
        if let Some(chapter) = self.session.current() {
            chapter.append(&Record::End);
            chapter.flush(self.session);
        }
        self.session.report(What::Stopped);
        self.print();
    }
}
