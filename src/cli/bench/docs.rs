//! The document store beside a bare log of three processes; and how long it takes to
//! go on without a leader.

use super::children::Child;
use super::figure::{Figure, median, quantile};
use super::plain_log::PlainLog;
use super::rounds::{Measured, Sample};
use super::{Bench, bytes};
use crate::cli::docs::up::Cluster as Processes;
use crate::cli::terminal::Terminal;
use crate::http::Client;
use crate::transport::keys::ClusterSecret;
use serde_json::json;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Clients that add batches.
const BATCH_CLIENTS: usize = 8;
/// How long a cluster has to go on.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    nodes: Vec<Child>,
    dir: PathBuf,
}

impl Cluster {
    fn start(size: usize) -> io::Result<Self> {
        let listeners = (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
        let ports = listeners.iter().map(|it| Ok(it.local_addr()?.port())).collect::<io::Result<Vec<u16>>>()?;
        drop(listeners);
        let dir = std::env::temp_dir().join(format!("nodewright-bench-docs-{}-{}", std::process::id(), ports[0]));
        std::fs::create_dir_all(&dir)?;
        let mut cluster = Cluster { nodes: Vec::new(), dir };
        let secret = cluster.dir.join("cluster.secret");
        ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(io::Error::other)?;
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let mut started = Vec::new();
        for index in 0..3 {
            let mut arguments: Vec<OsString> = vec!["docs".into(), "--secret".into(), secret.clone().into()];
            let pairs = [("--index", index.to_string()), ("--ports", ports.clone()), ("--size", size.to_string())];
            arguments.extend(pairs.into_iter().flat_map(|(name, value)| [name.into(), value.into()]));
            arguments.extend(["--dir".into(), cluster.dir.clone().into()]);
            started.push(Child::spawn(arguments)?);
        }
        for child in started {
            cluster.nodes.push(child.ready()?);
        }
        Ok(cluster)
    }

    fn resident_bytes_max(&mut self) -> io::Result<u64> {
        let each = self.nodes.iter_mut().map(|node| node.numbers("rss").map(|[bytes]| bytes));
        each.collect::<io::Result<Vec<u64>>>().map(|all| all.into_iter().max().unwrap_or(0))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear(); // they end before their files go
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A child's clients: how much they get done in a second, times so much each.
struct Asked<'a> {
    child: &'a mut Child,
    /// With `MS` where the time goes.
    question: String,
    each: f64,
}

impl Measured for Asked<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let question = self.question.replace("MS", &time.as_millis().to_string());
        let [_, p99, done, nanos] = self.child.numbers(&question)?;
        Ok(Sample { value: done as f64 * self.each / (nanos as f64 / 1e9), p99_us: Some(p99 as f64 / 1e3) })
    }
}

impl Bench<'_> {
    /// Writes and reads by so many clients each, and batches.
    pub(super) fn docs(&self, size: usize, clients: &[usize], batch: usize, show: &dyn Fn(Figure)) -> io::Result<()> {
        let mut cluster = Cluster::start(size)?;
        let mut limit = PlainLog::start(size, cluster.dir.join("plain"))?;
        let mut take = |figure: String, ours: String, plain: String, limit: &mut Child, clients: usize, each: f64| {
            let mut ours = Asked { child: &mut cluster.nodes[0], question: ours, each };
            let mut plain = Asked { child: limit, question: plain, each };
            let paired = self.pair(&figure, &mut ours, &mut plain)?;
            let rss_bytes_max = Some(cluster.resident_bytes_max()?);
            let figure = self.figure(figure, "1/s", 3, &paired);
            show(Figure { rss_bytes_max, p50_us: None, clients: Some(clients), ..figure });
            io::Result::Ok(())
        };
        for &count in clients {
            let question = format!("clients {count} MS");
            take(format!("docs write {count}"), question.clone(), question, &mut limit.first, count, 1.0)?;
        }
        if let Some(&most) = clients.iter().max() {
            let (reads, writes) = (format!("reads {most} MS"), format!("clients {most} MS"));
            take(format!("docs read {most}"), reads, writes, &mut limit.first, most, 1.0)?;
        }
        drop(limit);
        let mut limit = PlainLog::start(
            size * batch,
            std::env::temp_dir().join(format!("nodewright-bench-plain-{}", std::process::id())),
        )?;
        let (batches, writes) = (format!("batches {BATCH_CLIENTS} MS {batch}"), format!("clients {BATCH_CLIENTS} MS"));
        take("docs batch".into(), batches, writes, &mut limit.first, BATCH_CLIENTS, batch as f64)
    }

    /// How long an indexed search for one of many takes, and what a document takes.
    pub(super) fn docs_find(&self, size: usize, documents: u64, terminal: &Terminal, json: bool) -> io::Result<()> {
        let mut cluster = Cluster::start(size)?;
        terminal.progress(&format!("loading {documents} documents"));
        cluster.nodes[0].ask(&format!("load {documents}"))?;
        terminal.progress_done();
        let [p50, p99, done, _] = cluster.nodes[0].numbers(&format!("finds {}", self.time.as_millis()))?;
        let [each, there] = cluster.nodes[0].numbers("bytes")?;
        let rss = cluster.resident_bytes_max()?;
        if json {
            terminal.json(&json!({
                "figure": "docs find", "value": p50 as f64 / 1e3, "unit": "us", "p50_us": p50 as f64 / 1e3,
                "p99_us": p99 as f64 / 1e3, "documents": there, "size": size, "state_bytes_per_document": each,
                "rss_bytes_max": rss, "nodes": 3, "clients": 1, "runs": done,
            }));
        } else {
            terminal.line(&format!(
                "docs find: {:.1} us (p99 {:.1} us) for one of {there} documents of {} by an index; {each} bytes of state a document, {} MiB resident",
                p50 as f64 / 1e3, p99 as f64 / 1e3, bytes(size), rss >> 20
            ));
        }
        Ok(())
    }
}

/// Kills the leader again and again: from each kill to the next acknowledged write.
pub(super) fn failover(kills: usize, terminal: &Terminal, json: bool) -> io::Result<()> {
    let dir = std::env::temp_dir().join(format!("nodewright-bench-failover-{}", std::process::id()));
    let figure = measured_failover(kills, &dir, terminal);
    let _ = std::fs::remove_dir_all(&dir);
    let mut nanos = figure?;
    nanos.sort_unstable();
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let middle = median(nanos.iter().map(|it| ms(*it)).collect());
    let most = ms(quantile(&nanos, 1.0));
    if json {
        terminal.json(&json!({
            "figure": "failover", "value": middle, "unit": "ms", "p50_us": middle * 1e3,
            "p99_us": ms(quantile(&nanos, 0.99)) * 1e3, "nodes": 3, "clients": 1, "runs": nanos.len(),
        }));
    } else {
        terminal.line(&format!("failover: a write is acknowledged {middle:.0} ms after the leader is killed (median of {}, {most:.0} ms at most)", nanos.len()));
    }
    Ok(())
}

fn measured_failover(kills: usize, dir: &std::path::Path, terminal: &Terminal) -> io::Result<Vec<u64>> {
    let failed = |failure: crate::cli::Failure| io::Error::other(failure.message);
    let mut cluster = Processes::open(dir, 3, None).map_err(failed)?;
    for number in 0..cluster.len() {
        cluster.start(number)?;
    }
    cluster.ready().map_err(failed)?;
    let mut client = Client::new(cluster.addresses()).within(PATIENCE);
    client.create_collection("failover").map_err(io::Error::other)?;
    let mut nanos = Vec::new();
    for kill in 0..kills {
        terminal.progress(&format!("failover: kill {} of {kills}", kill + 1));
        // A majority besides the leader has caught up.
        cluster.ready().map_err(failed)?;
        for n in 0..20 {
            client.insert("failover", &json!({ "kill": kill, "n": n })).map_err(io::Error::other)?;
        }
        let until = Instant::now() + PATIENCE;
        let leader = loop {
            match cluster.leader() {
                Some(leader) => break leader,
                None if Instant::now() > until => return Err(io::Error::other("there is no leader")),
                None => std::thread::sleep(Duration::from_millis(20)), // between two looks
            }
        };
        let begin = Instant::now();
        cluster.kill(leader)?;
        client.insert("failover", &json!({ "kill": kill })).map_err(io::Error::other)?;
        nanos.push(begin.elapsed().as_nanos() as u64);
        cluster.start(leader)?;
    }
    terminal.progress_done();
    Ok(nanos)
}
