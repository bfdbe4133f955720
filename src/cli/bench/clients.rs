//! Clients on threads of one process, each with one thing under way.

use super::children::Child;
use super::figure::quantile;
use super::rounds::{Measured, Sample};
use std::io;
use std::time::{Duration, Instant};

/// Answers `clients N MS`: median and 99th percentile of the time that one took
/// (nanoseconds), how many were done, and in which time. The first tenth is not
/// counted. `make` makes each client.
pub(super) fn measure<C: FnMut() -> io::Result<()> + Send>(
    question: &str,
    mut make: impl FnMut(usize) -> C,
) -> io::Result<String> {
    let numbers: Vec<u64> = question.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[clients, ms] = &numbers[..] else {
        return Err(io::Error::other(format!("'{question}' is no question")));
    };
    let (warm, time) = (Duration::from_millis(ms / 10), Duration::from_millis(ms));
    let begin = Instant::now();
    let clients: Vec<C> = (0..clients as usize).map(&mut make).collect();
    let each = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || -> io::Result<Vec<u64>> {
                    let mut nanos = Vec::new();
                    while begin.elapsed() < warm + time {
                        let at = Instant::now();
                        client()?;
                        if at.duration_since(begin) >= warm {
                            nanos.push(at.elapsed().as_nanos() as u64);
                        }
                    }
                    Ok(nanos)
                })
            })
            .collect();
        let ended = threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(io::Error::other("it panicked"))));
        ended.collect::<io::Result<Vec<_>>>()
    })?;
    let took = (begin.elapsed() - warm).as_nanos();
    let mut nanos: Vec<u64> = each.into_iter().flatten().collect();
    nanos.sort_unstable();
    Ok(format!("{} {} {} {took}", quantile(&nanos, 0.5), quantile(&nanos, 0.99), nanos.len()))
}

/// A child with so many clients; how much they get done in a second.
pub(super) struct Clients<'a> {
    pub(super) child: &'a mut Child,
    pub(super) clients: usize,
}

impl Measured for Clients<'_> {
    fn measure(&mut self, time: Duration) -> io::Result<Sample> {
        let question = format!("clients {} {}", self.clients, time.as_millis());
        let [_, p99, done, nanos] = self.child.numbers(&question)?;
        Ok(Sample { value: done as f64 / (nanos as f64 / 1e9), p99_us: Some(p99 as f64 / 1e3) })
    }
}
