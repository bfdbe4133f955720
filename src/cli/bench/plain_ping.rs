//! The limit of round trips: a blocking TCP ping-pong between two processes.

use super::child::{pin, serve};
use super::children::Child;
use super::figure::quantile;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Both sides.
pub(super) struct PlainPing {
    /// Answers `go MS`.
    pub(super) ping: Child,
    _echo: Child,
}

impl PlainPing {
    pub(super) fn start(size: usize, pinned: bool) -> io::Result<Self> {
        let (size, pinned) = (size.to_string(), u8::from(pinned).to_string());
        let echo = Child::start(["echo", &size, &pinned])?;
        let ping = Child::start(["ping", &size, &echo.greeting, &pinned])?;
        Ok(PlainPing { ping, _echo: echo })
    }
}

/// The answering side: greets with its port, echoes messages of `size` bytes.
pub(super) fn echo(size: usize, pinned: bool) -> io::Result<()> {
    if pinned {
        pin()?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut message = vec![0u8; size];
        loop {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
    });
    serve(&port.to_string(), |_| Ok(String::new()))
}

/// The asking side: answers `go MS` with [`RoundTrips`].
pub(super) fn ping(size: usize, port: u16, pinned: bool) -> io::Result<()> {
    if pinned {
        pin()?;
    }
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let mut message = vec![0x5a; size];
    serve("", |question| {
        measure(question, || {
            stream.write_all(&message)?;
            stream.read_exact(&mut message)
        })
    })
}

/// Repeats `round_trip` for the time that `go MS` asks for, after a tenth of
/// it unmeasured; answers the median, the 99th percentile (nanoseconds) and
/// the number of round trips.
pub(super) fn measure(question: &str, mut round_trip: impl FnMut() -> io::Result<()>) -> io::Result<String> {
    let asked = question.strip_prefix("go ").and_then(|ms| ms.parse().ok());
    let wanted = Duration::from_millis(asked.ok_or_else(|| io::Error::other(format!("'{question}' is no question")))?);
    let mut nanos = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < wanted / 10 {
        round_trip()?;
    }
    let begin = Instant::now();
    while begin.elapsed() < wanted {
        let at = Instant::now();
        round_trip()?;
        nanos.push(at.elapsed().as_nanos() as u64);
    }
    nanos.sort_unstable();
    Ok(format!("{} {} {}", quantile(&nanos, 0.5), quantile(&nanos, 0.99), nanos.len()))
}
