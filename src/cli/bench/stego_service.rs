//! The steganography service as processes: what a core of a server does beside the
//! library alone, what a second worker adds, how fast a leader assigns, and how long
//! it takes to have another one.

use super::Bench;
use super::clients::Clients;
use super::figure::{Figure, median, quantile};
use super::plain_log::PlainLog;
use super::rounds::{Measured, Sample};
use super::stego::{PAYLOAD_BYTES, cover, thread_time};
use crate::cli::stego::up::{Cluster, Pace};
use crate::cli::terminal::Terminal;
use crate::node::StegoClient;
use crate::service::stego::service::{Answer, Request, TaskId, Work};
use crate::service::stego::{Format, Options, Payload, embed};
use bytes::Bytes;
use serde_json::json;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Scheduler ticks of `/proc/PID/stat` in a second: fixed by Linux's ABI.
const TICKS_PER_SECOND: f64 = 100.0;
/// Clients that assign.
const ASSIGNING: usize = 16;
/// How long a cluster has to go on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Leaders killed with the slow settings of existing servers' files, at most.
const SLOW_KILLS: usize = 5;

/// A cluster of processes in a folder that goes with it.
struct Service {
    cluster: Cluster,
    dir: PathBuf,
    leader: usize,
}

fn failed(failure: crate::cli::Failure) -> io::Error {
    io::Error::other(failure.message)
}

impl Service {
    fn start(name: &str, servers: u16, workers: u32, pace: Pace) -> io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("nodewright-bench-{name}-{}", std::process::id()));
        let cluster = Cluster::open(&dir, servers, None, workers, pace).map_err(failed)?;
        let mut service = Service { cluster, dir, leader: 0 };
        for number in 0..service.cluster.len() {
            service.cluster.start(number)?;
        }
        service.leader = service.cluster.ready().map_err(failed)?;
        Ok(service)
    }

    /// Seconds that all servers have run on cores.
    fn cpu_seconds(&self) -> io::Result<f64> {
        let mut ticks = 0u64;
        for pid in (0..self.cluster.len()).filter_map(|number| self.cluster.pid(number)) {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
            ticks += times.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// The most that one of them had in memory.
    fn resident_bytes_max(&self) -> Option<u64> {
        let pids = (0..self.cluster.len()).filter_map(|number| self.cluster.pid(number));
        let each = pids.filter_map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
        });
        each.max()
    }

    /// Lets so many clients do `each` with numbers of their own for a while: how often
    /// it was done, and in how long.
    fn load(
        &self,
        clients: usize,
        time: Duration,
        each: &(dyn Fn(&mut StegoClient, TaskId) -> io::Result<()> + Sync),
    ) -> io::Result<(u64, Duration)> {
        let (done, over, addresses) = (AtomicU64::new(0), AtomicBool::new(false), self.cluster.addresses());
        let begun = Instant::now();
        let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
            let (done, over, addresses) = (&done, &over, &addresses);
            let running: Vec<_> = (0..clients)
                .map(|number| {
                    scope.spawn(move || {
                        let name = format!("bench{number}");
                        let mut client = StegoClient::new(&name, addresses.clone());
                        while !over.load(Ordering::Relaxed) {
                            let request = begun.elapsed().as_nanos() as u64;
                            each(&mut client, TaskId { client: name.clone(), request })?;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            while begun.elapsed() < time || (done.load(Ordering::Relaxed) == 0 && begun.elapsed() < PATIENCE) {
                std::thread::sleep(Duration::from_millis(5)); // between two looks at the time
            }
            over.store(true, Ordering::Relaxed);
            let broken = |_| Err(io::Error::other("a client fell over"));
            running.into_iter().map(|client| client.join().unwrap_or_else(broken)).collect()
        });
        results.into_iter().collect::<io::Result<Vec<()>>>()?;
        Ok((done.into_inner(), begun.elapsed()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for number in 0..self.cluster.len() {
            let _ = self.cluster.kill(number); // before its files go
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Asks as long as there is no leader; others' answers are faults here.
fn assigned(client: &mut StegoClient, servers: &[String], task: &TaskId) -> io::Result<String> {
    let until = Instant::now() + PATIENCE;
    let request = Request::Assign { task: task.clone(), image: None, refused: None };
    loop {
        for server in servers {
            if let Ok(Answer::Assigned(assignment)) = client.ask(server, &request) {
                return Ok(assignment.address);
            }
        }
        if Instant::now() > until {
            return Err(io::Error::other(format!("nothing is assigned within {PATIENCE:?}")));
        }
        std::thread::sleep(Duration::from_millis(5)); // nobody tells of the next leader
    }
}

/// Whole tasks: assigned, done, acknowledged.
struct Tasks<'a> {
    service: &'a Service,
    clients: usize,
    cover: Bytes,
    /// Images a second of the servers' cores, or (`None`) of the clock, times this.
    by_clock: Option<f64>,
}

impl Measured for Tasks<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let servers = self.service.cluster.addresses();
        let payload = Bytes::from(vec![0x3c; PAYLOAD_BYTES]);
        let task = |client: &mut StegoClient, task: TaskId| {
            let at = assigned(client, &servers, &task)?;
            let (cover, payload) = (Some(self.cover.clone()), payload.clone());
            let work = Work { cover, payload, is_text: false, format: Format::Boxed };
            match client.ask(&at, &Request::Submit { task: task.clone(), fence: None, work })? {
                Answer::Image(_) => {}
                other => return Err(io::Error::other(format!("no image, but {other:?}"))),
            }
            match client.ask(&at, &Request::Ack { task })? {
                Answer::Acked(true) => Ok(()),
                other => Err(io::Error::other(format!("not recorded, but {other:?}"))),
            }
        };
        let before = self.service.cpu_seconds()?;
        let (done, took) = self.service.load(self.clients, time, &task)?;
        let cores = (self.service.cpu_seconds()? - before).max(1.0 / TICKS_PER_SECOND);
        let value = match self.by_clock {
            Some(factor) => done as f64 / took.as_secs_f64() * factor,
            None => done as f64 / cores,
        };
        Ok(Sample { value, p99_us: None })
    }
}

/// The library alone, on this thread: images a second of its core.
struct Alone(Bytes);

impl Measured for Alone {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let payload = Payload::Bytes(vec![0x3c; PAYLOAD_BYTES]);
        let (begun, before, mut done) = (Instant::now(), thread_time()?, 0u32);
        while done == 0 || begun.elapsed() < time || thread_time()? == before {
            let hidden = embed(&self.0, &payload, &Options::default(), None, &mut |bytes| bytes.fill(0));
            std::hint::black_box(hidden).map_err(io::Error::other)?;
            done += 1;
        }
        Ok(Sample { value: f64::from(done) / (thread_time()? - before).as_secs_f64(), p99_us: None })
    }
}

/// Assignments of the leader, each acknowledged at once: two entries of the log.
struct Assignments<'a>(&'a Service);

impl Measured for Assignments<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let leader = [self.0.cluster.addresses()[self.0.leader].clone()];
        let each = |client: &mut StegoClient, task: TaskId| {
            assigned(client, &leader, &task)?;
            client.ask(&leader[0], &Request::Ack { task }).map(drop)
        };
        let (done, took) = self.0.load(ASSIGNING, time, &each)?;
        Ok(Sample { value: done as f64 / took.as_secs_f64(), p99_us: None })
    }
}

impl Bench<'_> {
    /// The service beside the library, beside itself, and beside a bare log.
    pub(super) fn stego_service(&self, show: &dyn Fn(Figure)) -> io::Result<()> {
        let cover = Bytes::from(cover(800, 600, false)?);
        let one = Service::start("stego-one", 1, 1, Pace::QUICK)?;
        let tasks = |service, clients, by_clock| Tasks { service, clients, cover: cover.clone(), by_clock };
        let paired = self.pair("stego service", &mut tasks(&one, 2, None), &mut Alone(cover.clone()))?;
        let rss_bytes_max = one.resident_bytes_max();
        show(Figure { rss_bytes_max, clients: Some(2), ..self.figure("stego service".into(), "1/s", 1, &paired) });

        let two = Service::start("stego-two", 1, 2, Pace::QUICK)?;
        let name = "stego service 2 workers";
        let paired = self.pair(name, &mut tasks(&two, 4, Some(1.0)), &mut tasks(&one, 4, Some(2.0)))?;
        let rss_bytes_max = two.resident_bytes_max();
        show(Figure { rss_bytes_max, clients: Some(4), ..self.figure(name.into(), "1/s", 1, &paired) });
        drop((one, two));

        let three = Service::start("stego-three", 3, 1, Pace::QUICK)?;
        let mut limit = PlainLog::start(256, three.dir.join("plain"))?;
        let mut plain = Clients { child: &mut limit.first, clients: ASSIGNING };
        let paired = self.pair("stego assignments", &mut Assignments(&three), &mut plain)?;
        let rss_bytes_max = three.resident_bytes_max();
        let figure = self.figure("stego assignments".into(), "1/s", 3, &paired);
        show(Figure { rss_bytes_max, p50_us: None, p99_us: None, clients: Some(ASSIGNING), ..figure });
        Ok(())
    }
}

/// Kills the leader again and again: from each kill to the next assignment, with the
/// settings of `stego up` and with those of existing servers' files.
pub(super) fn failover(kills: usize, terminal: &Terminal, json: bool) -> io::Result<()> {
    for (name, pace, kills) in [
        ("failover stego", Pace::QUICK, kills),
        ("failover stego as in files", Pace::AS_IN_FILES, kills.min(SLOW_KILLS)),
    ] {
        let mut nanos = measured_failover(name, pace, kills, terminal)?;
        nanos.sort_unstable();
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let middle = median(nanos.iter().map(|it| ms(*it)).collect());
        let most = ms(quantile(&nanos, 1.0));
        if json {
            terminal.json(&json!({
                "figure": name, "value": middle, "unit": "ms", "p50_us": middle * 1e3,
                "p99_us": ms(quantile(&nanos, 0.99)) * 1e3, "nodes": 3, "clients": 1, "runs": nanos.len(),
            }));
        } else {
            terminal.line(&format!("{name}: a task is assigned {middle:.0} ms after the leader is killed (median of {}, {most:.0} ms at most)", nanos.len()));
        }
    }
    Ok(())
}

fn measured_failover(name: &str, pace: Pace, kills: usize, terminal: &Terminal) -> io::Result<Vec<u64>> {
    let mut service = Service::start("stego-failover", 3, 1, pace)?;
    let addresses = service.cluster.addresses();
    let mut nanos = Vec::new();
    for kill in 0..kills {
        terminal.progress(&format!("{name}: kill {} of {kills}", kill + 1));
        let task = |request| TaskId { client: "failover".into(), request };
        let leader = service.cluster.ready().map_err(failed)?;
        let others: Vec<String> =
            addresses.iter().enumerate().filter(|(number, _)| *number != leader).map(|(_, it)| it.clone()).collect();
        let mut client = StegoClient::new("failover", others.clone());
        assigned(&mut client, &others, &task(2 * kill as u64))?;
        let begun = Instant::now();
        service.cluster.kill(leader)?;
        assigned(&mut client, &others, &task(2 * kill as u64 + 1))?;
        nanos.push(begun.elapsed().as_nanos() as u64);
        service.cluster.start(leader)?;
    }
    terminal.progress_done();
    Ok(nanos)
}
