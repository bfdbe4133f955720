//! A measured process, seen from inside: says that it is ready, answers line
//! by line, ends with its standard input.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// Answers the parent until it goes away.
pub(super) fn serve(ready: &str, mut answer: impl FnMut(&str) -> io::Result<String>) -> io::Result<()> {
    say(&format!("ready {ready}"))?;
    for line in io::stdin().lock().lines() {
        let said = match line?.as_str() {
            "rss" => resident_bytes_max().map(|bytes| bytes.to_string()),
            question => answer(question),
        };
        say(&said.unwrap_or_else(|error| format!("failed {error}").replace('\n', "; ")))?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The most memory that was ever resident.
fn resident_bytes_max() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("the kernel does not say how much memory is resident"))
}

/// Binds this process's threads, those to come included, to one core.
pub(super) fn pin() -> io::Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(0);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

/// What a receiving process has counted. One thread counts, so that a message
/// costs no locked instruction; the thread that answers reads along.
pub(super) struct Tally {
    received: AtomicU64,
    /// Of all sequence numbers: together with the count it tells a lost or
    /// repeated message, in whatever order they came.
    sum: AtomicU64,
    since: Instant,
}

impl Tally {
    pub(super) fn new() -> Self {
        Tally { received: AtomicU64::new(0), sum: AtomicU64::new(0), since: Instant::now() }
    }

    /// Counts messages whose sequence numbers add up to `sum`. Only one thread
    /// may call it.
    pub(super) fn add(&self, received: u64, sum: u64) {
        self.received.store(self.received.load(Ordering::Relaxed) + received, Ordering::Relaxed);
        self.sum.store(self.sum.load(Ordering::Relaxed).wrapping_add(sum), Ordering::Relaxed);
    }

    /// Answers `mark`: messages received, the sum of their sequence numbers,
    /// nanoseconds since the start.
    pub(super) fn mark(&self) -> String {
        let (received, sum) = (self.received.load(Ordering::Relaxed), self.sum.load(Ordering::Relaxed));
        format!("{received} {sum} {}", self.since.elapsed().as_nanos())
    }
}

/// The sequence number that every message begins with.
pub(super) fn sequence(message: &[u8]) -> u64 {
    message.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// The sum of the sequence numbers of the first `sent` messages.
pub(super) fn sum_of(sent: u64) -> u64 {
    (u128::from(sent) * u128::from(sent.saturating_sub(1)) / 2) as u64
}

/// A thread that sends as fast as it can between `start` and `stop`.
pub(super) struct Flood {
    on: Arc<AtomicBool>,
    start: mpsc::Sender<()>,
    stopped: mpsc::Receiver<io::Result<u64>>,
}

impl Flood {
    /// `send` sends while it is on and returns how many messages it ever sent.
    pub(super) fn new(mut send: impl FnMut(&AtomicBool) -> io::Result<u64> + Send + 'static) -> Self {
        let on = Arc::new(AtomicBool::new(false));
        let (start, starts) = mpsc::channel();
        let (ends, stopped) = mpsc::channel();
        let switch = on.clone();
        std::thread::spawn(move || {
            for () in starts {
                if ends.send(send(&switch)).is_err() {
                    return;
                }
            }
        });
        Flood { on, start, stopped }
    }

    /// Answers `start` and `stop`; the latter with the messages ever sent.
    pub(super) fn answer(&self, question: &str) -> io::Result<String> {
        let gone = || io::Error::other("the sending thread panicked");
        match question {
            "start" => {
                self.on.store(true, Ordering::Relaxed);
                self.start.send(()).map_err(|_| gone())?;
                Ok("started".into())
            }
            "stop" => {
                self.on.store(false, Ordering::Relaxed);
                Ok(self.stopped.recv().map_err(|_| gone())??.to_string())
            }
            other => Err(io::Error::other(format!("'{other}' is no question"))),
        }
    }
}
