//! The limit of a replicated log: bare group commit. The first process takes what its
//! clients ask for, by a question or a byte on its port, sends it to the others, and
//! all write it to a preallocated file and sync; done is what a majority has synced.
//! No consensus, no checksum, no memory of anything.

use super::child::serve;
use super::children::Child;
use super::clients::measure;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

const FILE_BYTES: u64 = 64 << 20;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// All processes, and their files.
pub(super) struct PlainLog {
    /// Answers `clients N MS`; greets with a port, where each byte is answered by one.
    pub(super) first: Child,
    _others: Vec<Child>,
    dir: PathBuf,
}

impl PlainLog {
    /// Three of them.
    pub(super) fn start(size: usize, dir: PathBuf) -> io::Result<Self> {
        PlainLog::of(3, size, dir)
    }

    pub(super) fn of(nodes: usize, size: usize, dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let path = |number: usize| dir.join(number.to_string()).to_string_lossy().into_owned();
        let others = (1..nodes).map(|number| Child::start(["log-follower".into(), path(number)]));
        let others = others.collect::<io::Result<Vec<_>>>()?;
        let leader = ["log-leader".into(), path(0), size.to_string()];
        let first = Child::start(leader.into_iter().chain(others.iter().map(|other| other.greeting.clone())))?;
        Ok(PlainLog { first, _others: others, dir })
    }
}

impl Drop for PlainLog {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A preallocated file, written round and round.
pub(super) struct Log {
    file: File,
    at: u64,
}

impl Log {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&vec![0; FILE_BYTES as usize], 0)?;
        file.sync_all()?;
        Ok(Log { file, at: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

/// One of the others: greets with its port.
pub(super) fn follower(path: &Path) -> io::Result<()> {
    let mut log = Log::new(path)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut batch = Vec::new();
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            batch.resize((u32::from_le_bytes(length) as usize).min(BATCH_BYTES_MAX * 2), 0);
            stream.read_exact(&mut batch)?;
            log.append(&batch)?;
            stream.write_all(&[1])?;
        }
    });
    serve(&port.to_string(), |_| Ok(String::new()))
}

/// The first one: answers `clients N MS`.
pub(super) fn leader(path: &Path, size: usize, ports: &[u16]) -> io::Result<()> {
    let (asks, asked) = channel::<Sender<()>>();
    let (acks, acked) = channel::<(usize, u64)>();
    let mut others = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
        stream.set_nodelay(true)?;
        let (mut reader, acks) = (stream.try_clone()?, acks.clone());
        std::thread::spawn(move || {
            for batch in 1.. {
                if reader.read_exact(&mut [0]).is_err() || acks.send((number, batch)).is_err() {
                    return;
                }
            }
        });
        others.push(stream);
    }
    let log = Log::new(path)?;
    std::thread::spawn(move || commit(log, size, &asked, others, &acked));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (port, by_bytes) = (listener.local_addr()?.port(), asks.clone());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let asks = by_bytes.clone();
            std::thread::spawn(move || answer(client, &asks));
        }
    });
    serve(&port.to_string(), |question| {
        measure(question, |_| {
            let asks = asks.clone();
            move || {
                let (done, dones) = channel();
                asks.send(done).map_err(io::Error::other)?;
                dones.recv().map_err(io::Error::other)
            }
        })
    })
}

fn answer(mut client: TcpStream, asks: &Sender<Sender<()>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    loop {
        client.read_exact(&mut [0])?;
        let (done, dones) = channel();
        asks.send(done).map_err(io::Error::other)?;
        dones.recv().map_err(io::Error::other)?;
        client.write_all(&[1])?;
    }
}

/// What was asked for during one sync joins the next.
pub(super) fn commit(
    mut log: Log,
    size: usize,
    asked: &Receiver<Sender<()>>,
    mut others: Vec<TcpStream>,
    acked: &Receiver<(usize, u64)>,
) -> io::Result<()> {
    // this one is of the majority too
    let (mut synced, needed) = (vec![0; others.len()], others.len().div_ceil(2));
    for number in 1.. {
        let Ok(first) = asked.recv() else { break };
        let mut waiting = vec![first];
        while waiting.len() * size < BATCH_BYTES_MAX
            && let Ok(next) = asked.try_recv()
        {
            waiting.push(next);
        }
        let mut batch = vec![0x5a; 4 + waiting.len() * size];
        batch[..4].copy_from_slice(&((waiting.len() * size) as u32).to_le_bytes());
        for other in &mut others {
            other.write_all(&batch)?;
        }
        log.append(&batch[4..])?;
        while synced.iter().filter(|batch| **batch >= number).count() < needed {
            let (other, batch) = acked.recv().map_err(io::Error::other)?;
            synced[other] = batch;
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
    Ok(())
}
