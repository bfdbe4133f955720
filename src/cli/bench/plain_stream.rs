//! The limit of rates: plain blocking TCP, frames of a length and a payload
//! copied into 64 KiB writes, to one peer or to several one after the other;
//! the receiver finds every frame and looks at its sequence number.

use super::child::{Flood, Tally, sequence, serve};
use super::children::Child;
use super::rounds::Rate;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const WRITE_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 256 << 10;
const PREFIX: usize = 4;

/// A source (the first child) and its sinks.
pub(super) struct PlainStream {
    children: Vec<Child>,
}

impl PlainStream {
    /// Starts a source of `size`-byte messages to `sinks` sinks.
    pub(super) fn start(sinks: usize, size: usize) -> io::Result<Self> {
        let mut children = (0..sinks).map(|_| Child::start(["sink"])).collect::<io::Result<Vec<_>>>()?;
        let ports = children.iter().map(|sink| sink.greeting.clone());
        let source = Child::start(["source".into(), size.to_string()].into_iter().chain(ports))?;
        children.insert(0, source);
        Ok(PlainStream { children })
    }

    pub(super) fn rate(&mut self) -> Rate<'_> {
        let sinks = 1..self.children.len();
        Rate { children: &mut self.children, sources: 0..1, sinks }
    }
}

/// A receiver: greets with its port, answers `mark`.
pub(super) fn sink() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let tally = Arc::new(Tally::new());
    let counts = tally.clone();
    std::thread::spawn(move || match listener.accept() {
        Ok((stream, _)) => receive(stream, &counts),
        Err(error) => log::error!("the sink accepts nobody: {error}"),
    });
    serve(&port.to_string(), |_| Ok(tally.mark()))
}

fn receive(mut stream: TcpStream, tally: &Tally) {
    let mut buffer = vec![0u8; READ_BYTES];
    let mut filled = 0;
    while let Ok(read) = stream.read(&mut buffer[filled..]) {
        if read == 0 {
            return;
        }
        filled += read;
        let (mut at, mut received, mut sum) = (0, 0, 0u64);
        while let Some((prefix, rest)) = buffer[at..filled].split_first_chunk::<PREFIX>() {
            let len = u32::from_le_bytes(*prefix) as usize;
            let Some(frame) = rest.get(..len) else { break };
            received += 1;
            sum = sum.wrapping_add(sequence(frame));
            at += PREFIX + len;
        }
        tally.add(received, sum);
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// A sender of `size`-byte messages to the sinks on `ports`.
pub(super) fn source(size: usize, ports: &[u16]) -> io::Result<()> {
    let connect = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
    let mut sinks = ports.iter().map(connect).collect::<io::Result<Vec<_>>>()?;
    let mut payload = vec![0x5a; size.max(8)];
    let mut block = Vec::with_capacity(WRITE_BYTES + size);
    let mut sent = 0u64;
    let flood = Flood::new(move |on: &AtomicBool| {
        while on.load(Ordering::Relaxed) {
            block.clear();
            while block.len() + PREFIX + payload.len() <= WRITE_BYTES || block.is_empty() {
                payload[..8].copy_from_slice(&sent.to_le_bytes());
                block.extend_from_slice(&(payload.len() as u32).to_le_bytes());
                block.extend_from_slice(&payload);
                sent += 1;
            }
            for sink in &mut sinks {
                sink.write_all(&block)?;
            }
        }
        Ok(sent)
    });
    serve("", |question| flood.answer(question))
}
