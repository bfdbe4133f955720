//! The ring's file store as five processes: beside bare processes that do the same work
//! for the same clients ([`plain_ring`](super::plain_ring)), what it takes in memory, and
//! how soon a file is readable without a node.
//!
//! | figure | ours | bare |
//! |---|---|---|
//! | `ring push`, `ring push strict` | one client, one file, to its entry node; copies written, or synced | the same hops, sealing, one BLAKE3, files, syncs |
//! | `ring pull` | the same file, verified, through the gateway | the same, through a relay |
//! | `ring small group`, `ring small strict` | 16 clients, 1 KiB files, two parts of two copies | the same files and syncs, and bare group commit |
//! | `ring memory ...` | the most that a node had resident | 100 MiB |
//! | `ring kill to readable` | kill -9 of a node until a file is read whole; and until all copies are there | none |
//!
//! A round that pushes has what it pushed gone from all disks before the other side's
//! turn, and both sides write back what is dirty outside of the time: or the one pays for
//! the other's pages. What was learnt, on two cores:
//!
//! - The bare entry node lost a quarter while it made each block anew: page faults cost more
//!   than hashing. Blocks that go round and a thread between opening and writing made it a
//!   limit; neither side is bound by hashing or sealing, but by copies between sockets and
//!   the page cache.
//! - Small files are bound by syncs. Commits that waited for one sync of the log each synced
//!   their directories; together they do it once.
//! - A byte of a push is held about four times at its entry node (read, sealed for each of two
//!   holders, on its way to a disk), of a read about three times, and what is freed stays in
//!   the allocator's arenas, one for each few threads. 16 streams with 4 MiB each were 245
//!   MiB resident, sharing 12 MiB still 130; so six large ones are under way at once, and
//!   share one window ([`member`](crate::service::ring::member)); small files count as what
//!   they are, or their syncs would not be joined.

use super::Bench;
use super::figure::{Figure, median, quantile};
use super::ring_client::{Client, small};
use super::ring_cluster::{Bare, Cluster, NODES, within};
use super::rounds::{Measured, Sample};
use crate::cli::terminal::Terminal;
use crate::service::ring::durability::Durability;
use serde_json::json;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Clients that push small files.
const CLIENTS: usize = 16;
/// Streams at once: half of them in, half of them out.
const STREAMS: usize = 32;
/// The most that a node is to have resident.
const RESIDENT_BYTES_MAX: u64 = 100 << 20;
/// As in `--min-part 64k`.
const MIN_PART: u64 = 64 << 10;
/// As the supervisor waits before it starts a node again.
const RESPAWN_AFTER: Duration = Duration::from_millis(100);
/// Bytes of the file that is read without a node: each has a part.
const READ_BYTES: u64 = (NODES as u64) << 20;

/// Whole files, one after the other: bytes a second.
struct Whole<'a> {
    address: &'a str,
    size: u64,
    what: Way<'a>,
    /// Where the nodes' directories are.
    dir: &'a Path,
}

enum Way<'a> {
    /// Pushes, and has what was pushed gone before the other side's turn.
    In { gone: &'a dyn Fn(&str) -> io::Result<()> },
    /// Pulls, by this request.
    Out(String),
}

impl Measured for Whole<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let (mut took, mut bytes) = (Duration::ZERO, 0);
        while bytes == 0 || took < time {
            let begun = Instant::now();
            match &self.what {
                Way::Out(request) => Client::open(self.address)?.pull(request, self.size)?,
                Way::In { .. } => Client::open(self.address)?.push("large", self.size)?,
            }
            took += begun.elapsed();
            bytes += self.size;
            if let Way::In { gone } = &self.what {
                gone("large")?;
            }
            // what is not on the disk yet is not to be paid for by the other side
            rustix::fs::syncfs(File::open(self.dir)?)?;
        }
        Ok(Sample { value: bytes as f64 / took.as_secs_f64(), p99_us: None })
    }
}

/// Small files of many clients: so many a second.
struct Small<'a> {
    addresses: &'a [String],
    round: AtomicU64,
    dir: &'a Path,
}

impl Measured for Small<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let (done, took, p99) = small(self.addresses, CLIENTS, time, &self.round)?;
        rustix::fs::syncfs(File::open(self.dir)?)?;
        Ok(Sample { value: done as f64 / took.as_secs_f64(), p99_us: Some(p99 as f64 / 1e3) })
    }
}

impl Bench<'_> {
    /// All figures of the ring, with a file of so many bytes.
    pub(super) fn ring(&self, size: u64, kills: usize, json: bool, show: &dyn Fn(Figure)) -> io::Result<()> {
        for (name, level) in [("ring push", Durability::None), ("ring push strict", Durability::Strict)] {
            let (cluster, bare) = (Cluster::start(level, 0)?, Bare::start(level, NODES)?);
            let (ours_gone, bare_gone) = (|name: &str| cluster.forget(name), |_: &str| bare.forget());
            type Gone<'g> = &'g dyn Fn(&str) -> io::Result<()>;
            fn whole<'w>(address: &'w str, size: u64, dir: &'w Path, gone: Gone<'w>) -> Whole<'w> {
                Whole { address, size, what: Way::In { gone }, dir }
            }
            let mut ours = whole(&cluster.addresses[0], size, &cluster.dir, &ours_gone);
            let mut plain = whole(&bare.addresses[0], size, &bare.dir, &bare_gone);
            let paired = self.pair(name, &mut ours, &mut plain)?;
            let rss_bytes_max = cluster.resident_bytes_max();
            show(Figure { rss_bytes_max, clients: Some(1), ..self.figure(name.into(), "B/s", NODES, &paired) });
            if level == Durability::None {
                Client::open(ours.address)?.push("large", size)?;
                Client::open(plain.address)?.push("large", size)?;
                (ours.address, ours.what) = (&cluster.at_gateway, Way::Out("large".into()));
                (plain.address, plain.what) = (&bare.at_relay, Way::Out(format!("large {size}")));
                let paired = self.pair("ring pull", &mut ours, &mut plain)?;
                let figure = self.figure("ring pull".into(), "B/s", NODES, &paired);
                show(Figure { rss_bytes_max: cluster.resident_bytes_max(), clients: Some(1), ..figure });
            }
        }
        for (name, level) in [("ring small group", Durability::Group), ("ring small strict", Durability::Strict)] {
            let (cluster, bare) = (Cluster::start(level, MIN_PART)?, Bare::start(level, 2)?);
            let round = AtomicU64::new(0);
            let mut ours = Small { addresses: &cluster.addresses, round, dir: &cluster.dir };
            let mut plain = Small { addresses: &bare.addresses, round: AtomicU64::new(0), dir: &bare.dir };
            let paired = self.pair(name, &mut ours, &mut plain)?;
            let figure = self.figure(name.into(), "1/s", NODES, &paired);
            let rss_bytes_max = cluster.resident_bytes_max();
            show(Figure { rss_bytes_max, p50_us: None, clients: Some(CLIENTS), ..figure });
        }
        show(self.ring_memory(8 * size)?);
        show(self.ring_streams(size / 8)?);
        killed(kills, self.terminal, json)
    }

    /// A large file in and out.
    fn ring_memory(&self, size: u64) -> io::Result<Figure> {
        self.terminal.progress("ring memory: a large file");
        let cluster = Cluster::start(Durability::None, 0)?;
        Client::open(&cluster.addresses[0])?.push("large", size)?;
        Client::open(&cluster.addresses[1])?.pull("large", size)?;
        self.terminal.progress_done();
        Ok(resident(format!("ring memory {} MiB", size >> 20), &cluster, 1))
    }

    /// Many files in and out at once, all at one node.
    fn ring_streams(&self, size: u64) -> io::Result<Figure> {
        self.terminal.progress("ring memory: many streams");
        let cluster = Cluster::start(Durability::None, 0)?;
        let at = &cluster.addresses[0];
        Client::open(at)?.push("there", size)?;
        let done: Vec<io::Result<()>> = std::thread::scope(|scope| {
            let stream = |number: usize| match number % 2 {
                0 => Client::open(at)?.push(&format!("stream {number}"), size),
                _ => Client::open(at)?.pull("there", size),
            };
            let running: Vec<_> = (0..STREAMS).map(|number| scope.spawn(move || stream(number))).collect();
            let broken = |_| Err(io::Error::other("a client fell over"));
            running.into_iter().map(|it| it.join().unwrap_or_else(broken)).collect()
        });
        done.into_iter().collect::<io::Result<()>>()?;
        self.terminal.progress_done();
        Ok(resident(format!("ring memory {STREAMS} streams"), &cluster, STREAMS))
    }
}

fn resident(figure: String, cluster: &Cluster, clients: usize) -> Figure {
    let most = cluster.resident_bytes_max();
    let (value, roofline) = (most.unwrap_or(0) as f64, RESIDENT_BYTES_MAX as f64);
    let (ratio, nodes, clients) = (value / roofline, Some(NODES), Some(clients));
    Figure {
        figure,
        value,
        unit: "B",
        roofline,
        ratio,
        rss_bytes_max: most,
        nodes,
        clients,
        runs: 1,
        ..Figure::default()
    }
}

/// Kills one node after the other: until a file is read whole through the gateway, and,
/// the node started again as its supervisor does, until all its copies are there.
fn killed(kills: usize, terminal: &Terminal, json: bool) -> io::Result<()> {
    let mut cluster = Cluster::start(Durability::Strict, 0)?;
    Client::open(&cluster.at_gateway)?.push("file", READ_BYTES)?;
    let (mut readable, mut whole) = (Vec::new(), Vec::new());
    for kill in 0..kills {
        terminal.progress(&format!("ring kill to readable: kill {} of {kills}", kill + 1));
        cluster.ready()?;
        all_copies(&cluster)?;
        let begun = Instant::now();
        cluster.kill(kill % NODES)?;
        within("readable", || Client::open(&cluster.at_gateway)?.pull("file", READ_BYTES).map(|()| true))?;
        readable.push(begun.elapsed().as_nanos() as u64);
        std::thread::sleep(RESPAWN_AFTER.saturating_sub(begun.elapsed())); // the supervisor's own wait
        cluster.start_node(kill % NODES)?;
        all_copies(&cluster)?;
        whole.push(begun.elapsed().as_nanos() as u64);
    }
    terminal.progress_done();
    readable.sort_unstable();
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let middle = median(readable.iter().map(|it| ms(*it)).collect());
    let redundant = median(whole.iter().map(|it| ms(*it)).collect());
    let most = ms(quantile(&readable, 1.0));
    if json {
        terminal.json(&json!({
            "figure": "ring kill to readable", "value": middle, "unit": "ms", "p50_us": middle * 1e3,
            "p99_us": ms(quantile(&readable, 0.99)) * 1e3, "most_ms": most, "redundant_ms": redundant,
            "nodes": NODES, "clients": 1, "runs": readable.len(),
        }));
    } else {
        terminal.line(&format!("ring kill to readable: {middle:.0} ms after a node is killed a file is read whole (median of {kills}, {most:.0} ms at most), {redundant:.0} ms after it all copies are there"));
    }
    Ok(())
}

fn all_copies(cluster: &Cluster) -> io::Result<()> {
    within("whole", || {
        let lines = Client::open(&cluster.at_gateway)?.ask("FILE EXPLAIN file")?;
        Ok(lines.iter().filter(|line| line.contains(" there ")).count() == 2 * NODES)
    })
}
