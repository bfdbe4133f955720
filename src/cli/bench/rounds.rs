//! Paired rounds: what is measured and its limit take turns in one run, on
//! processes that stay, so that a machine's mood touches both alike.

use super::child::sum_of;
use super::children::Child;
use super::figure::median;
use crate::cli::terminal::Terminal;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long what was sent may take to arrive after the senders stopped.
const DRAIN: Duration = Duration::from_secs(30);
/// A recording that has not grown for so long has been written.
const RECORDED_LOOK: Duration = Duration::from_millis(200);

/// One measurement, again and again.
pub(super) trait Measured {
    /// Measures for about `time`.
    fn measure(&mut self, time: Duration) -> io::Result<Sample>;
}

/// What one measurement brought.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sample {
    /// Messages a second, or the median round trip in microseconds.
    pub(super) value: f64,
    /// The 99th percentile in microseconds, of round trips.
    pub(super) p99_us: Option<f64>,
}

/// The medians over all rounds.
pub(super) struct Paired {
    pub(super) ours: f64,
    pub(super) roofline: f64,
    pub(super) ratio: f64,
    pub(super) p99_us: Option<f64>,
}

/// Measures both in turn, `rounds` times, each for `time`.
pub(super) fn pair(
    what: &str,
    rounds: usize,
    time: Duration,
    ours: &mut dyn Measured,
    roofline: &mut dyn Measured,
    terminal: &Terminal,
) -> io::Result<Paired> {
    let mut samples = Vec::new();
    for round in 0..rounds {
        terminal.progress(&format!("{what}: round {} of {rounds}", round + 1));
        // Who begins changes, so that neither always follows the other's heat.
        let (a, b) = if round % 2 == 0 {
            let a = ours.measure(time)?;
            (a, roofline.measure(time)?)
        } else {
            let b = roofline.measure(time)?;
            (ours.measure(time)?, b)
        };
        log::info!("{what}: round {}: {:.3} of {:.3}", round + 1, a.value, b.value);
        samples.push((a, b));
    }
    terminal.progress_done();
    let of = |pick: &dyn Fn(&(Sample, Sample)) -> f64| median(samples.iter().map(pick).collect());
    let p99s: Vec<f64> = samples.iter().filter_map(|(a, _)| a.p99_us).collect();
    Ok(Paired {
        ours: of(&|(a, _)| a.value),
        roofline: of(&|(_, b)| b.value),
        ratio: of(&|(a, b)| a.value / b.value),
        p99_us: (!p99s.is_empty()).then(|| median(p99s)),
    })
}

/// Children of which some flood and some count; the rate is that of the
/// slowest that counts.
pub(super) struct Rate<'a> {
    pub(super) children: &'a mut [Child],
    /// Which of them answer `start` and `stop`.
    pub(super) sources: Range<usize>,
    /// Which of them answer `mark`.
    pub(super) sinks: Range<usize>,
}

impl Rate<'_> {
    fn marks(&mut self) -> io::Result<Vec<[u64; 3]>> {
        self.children[self.sinks.clone()].iter_mut().map(|sink| sink.numbers("mark")).collect()
    }

    /// Waits until every receiver has the `sent` messages whose sequence
    /// numbers add up to `sum`.
    fn drain(&mut self, sent: u64, sum: u64) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN;
        loop {
            let marks = self.marks()?;
            if marks.iter().all(|mark| mark[..2] == [sent, sum]) {
                return Ok(());
            }
            if Instant::now() > deadline || marks.iter().any(|mark| mark[0] > sent) {
                let counts: Vec<u64> = marks.iter().map(|mark| mark[0]).collect();
                let why =
                    format!("{sent} messages were sent, the receivers have {counts:?} (or others than were sent)");
                return Err(io::Error::other(why));
            }
            sleep(Duration::from_millis(2)); // between two looks, not instead of one
        }
    }
}

impl Measured for Rate<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        for source in &mut self.children[self.sources.clone()] {
            source.ask("start")?;
        }
        sleep(time / 5); // windows open and buffers fill before the clock starts
        let before = self.marks()?;
        let deadline = Instant::now() + time + DRAIN;
        let after = loop {
            sleep(time);
            // On a machine so busy that a receiver got nothing, measure on.
            let after = self.marks()?;
            if before.iter().zip(&after).all(|(b, a)| a[0] > b[0]) {
                break after;
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("a receiver got nothing within {DRAIN:?}")));
            }
        };
        let (mut sent, mut sum) = (0, 0u64);
        for source in &mut self.children[self.sources.clone()] {
            let [ever] = source.numbers("stop")?;
            sent += ever;
            sum = sum.wrapping_add(sum_of(ever));
        }
        self.drain(sent, sum)?;
        let rates = before.iter().zip(&after).map(|(b, a)| (a[0] - b[0]) as f64 / ((a[2] - b[2]) as f64 / 1e9));
        Ok(Sample { value: rates.fold(f64::INFINITY, f64::min), p99_us: None })
    }
}

/// The same, all of it recorded: a round ends when what is recorded has been
/// written, so that the other side's round does not pay for it.
pub(super) struct RecordedRate<'a> {
    pub(super) rate: Rate<'a>,
    /// Where the recordings are.
    pub(super) dir: &'a Path,
}

impl RecordedRate<'_> {
    fn recorded_bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for file in self.dir.read_dir()? {
            let file = file?;
            if file.path().extension().is_some_and(|ending| ending == "trace") {
                bytes += file.metadata()?.len();
            }
        }
        Ok(bytes)
    }
}

impl Measured for RecordedRate<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let sample = self.rate.measure(time)?;
        let (deadline, mut before) = (Instant::now() + DRAIN, 0);
        loop {
            sleep(RECORDED_LOOK); // between two looks: longer than a recording lies unwritten
            let now = self.recorded_bytes()?;
            if now == before {
                return Ok(sample);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("recordings still grow {DRAIN:?} after the senders stopped")));
            }
            before = now;
        }
    }
}

/// A child that makes round trips by itself.
pub(super) struct RoundTrip<'a> {
    /// Answers `question MS`.
    pub(super) asker: &'a mut Child,
    pub(super) question: &'static str,
    /// How many of its round trips make one of the limit's.
    pub(super) times: f64,
}

impl Measured for RoundTrip<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let [p50, p99, _] = self.asker.numbers(&format!("{} {}", self.question, time.as_millis()))?;
        Ok(Sample { value: p50 as f64 / 1e3 * self.times, p99_us: Some(p99 as f64 / 1e3) })
    }
}
