//! Clients of a ring, ours or the bare one: the same requests, the same bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is said and heard at once, in bytes; each piece begins with its number.
const PIECE_BYTES: usize = 1 << 20;
/// How long anything may stall.
const STALL: Duration = Duration::from_secs(60);
/// Bytes of a small file.
pub(super) const SMALL_BYTES: usize = 1 << 10;

/// One connection.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(super) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Client { stream: BufReader::with_capacity(PIECE_BYTES, stream) })
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ if line.starts_with("ERR") => Err(io::Error::other(line.trim_end().to_owned())),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// All lines of an answer, up to one that begins with `OK`.
    pub(super) fn ask(&mut self, request: &str) -> io::Result<Vec<String>> {
        self.say(format!("{request}\n").as_bytes())?;
        let mut lines = vec![self.line()?];
        while !lines.last().is_some_and(|line| line.starts_with("OK")) {
            lines.push(self.line()?);
        }
        Ok(lines)
    }

    /// A file of numbered pieces, until it is acknowledged.
    pub(super) fn push(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut piece: Vec<u8> = (0..PIECE_BYTES as u64).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
        self.say(format!("FILE PUSH {size} {name}\n").as_bytes())?;
        let mut left = size;
        for number in 0u64.. {
            let length = left.min(PIECE_BYTES as u64);
            if length == 0 {
                break;
            }
            piece[..8].copy_from_slice(&number.to_le_bytes());
            self.say(&piece[..length as usize])?;
            left -= length;
        }
        self.pushed(size)
    }

    fn pushed(&mut self, size: u64) -> io::Result<()> {
        self.line()?;
        let line = self.line()?;
        if line.starts_with(&format!("OK {size} ")) { Ok(()) } else { Err(io::Error::other(line)) }
    }

    /// A small file.
    pub(super) fn push_small(&mut self, name: &str) -> io::Result<()> {
        let mut said = format!("FILE PUSH {SMALL_BYTES} {name}\n").into_bytes();
        said.resize(said.len() + SMALL_BYTES, 0x5a);
        self.say(&said)?;
        self.pushed(SMALL_BYTES as u64)
    }

    /// A file, whose pieces have to be numbered so. The request may say more than the
    /// name: the bare ring knows no sizes.
    pub(super) fn pull(mut self, request: &str, size: u64) -> io::Result<()> {
        self.say(format!("FILE PULL {request}\n").as_bytes())?;
        let (mut piece, mut got) = (vec![0; PIECE_BYTES], 0u64);
        for number in 0u64.. {
            let mut filled = 0;
            while filled < PIECE_BYTES {
                match self.stream.read(&mut piece[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            got += filled as u64;
            if filled >= 8 && piece[..8] != number.to_le_bytes() {
                let start = String::from_utf8_lossy(&piece[..filled.min(100)]).into_owned();
                return Err(io::Error::other(format!("piece {number} is another one: {start}")));
            }
            if filled < PIECE_BYTES {
                break;
            }
        }
        if got == size { Ok(()) } else { Err(io::Error::other(format!("{got} bytes of {size} came"))) }
    }
}

/// So many clients push small files for a while, each at one of the addresses: how many
/// were acknowledged, in which time, and the 99th percentile of one in nanoseconds.
pub(super) fn small(
    addresses: &[String],
    clients: usize,
    time: Duration,
    round: &AtomicU64,
) -> io::Result<(u64, Duration, u64)> {
    let round = round.fetch_add(1, Ordering::Relaxed);
    let begun = Instant::now();
    let each = std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || -> io::Result<Vec<u64>> {
                    let mut client = Client::open(&addresses[number % addresses.len()])?;
                    let mut nanos = Vec::new();
                    while begun.elapsed() < time || nanos.is_empty() {
                        let at = Instant::now();
                        client.push_small(&format!("s{round}-{number}-{}", nanos.len()))?;
                        nanos.push(at.elapsed().as_nanos() as u64);
                    }
                    Ok(nanos)
                })
            })
            .collect();
        let broken = |_| Err(io::Error::other("a client fell over"));
        running.into_iter().map(|client| client.join().unwrap_or_else(broken)).collect::<io::Result<Vec<_>>>()
    })?;
    let took = begun.elapsed();
    let mut nanos: Vec<u64> = each.into_iter().flatten().collect();
    nanos.sort_unstable();
    Ok((nanos.len() as u64, took, super::figure::quantile(&nanos, 0.99)))
}
