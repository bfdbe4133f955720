//! The limit of a replicated log of three: bare group commit. The first process
//! takes what its clients ask for, sends it to two others, and all write it to a
//! preallocated file and sync; done is what two of the three have synced. No
//! consensus, no checksum, no memory of anything.

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

/// All three processes, and their files.
pub(super) struct PlainLog {
    /// Answers `clients N MS`.
    pub(super) first: Child,
    _others: [Child; 2],
    dir: PathBuf,
}

impl PlainLog {
    pub(super) fn start(size: usize, dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let others = [Child::start(["log-follower", &path("b")])?, Child::start(["log-follower", &path("c")])?];
        let [b, c] = [&others[0].greeting, &others[1].greeting];
        let first = Child::start(["log-leader", &path("a"), &size.to_string(), b, c])?;
        Ok(PlainLog { first, _others: others, dir })
    }
}

impl Drop for PlainLog {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A preallocated file, written round and round.
struct Log {
    file: File,
    at: u64,
}

impl Log {
    fn new(path: &Path) -> io::Result<Self> {
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

/// One of the two others: greets with its port.
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
    let (acks, acked) = channel::<u64>();
    let mut others = Vec::new();
    for port in ports {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
        stream.set_nodelay(true)?;
        let (mut reader, acks) = (stream.try_clone()?, acks.clone());
        std::thread::spawn(move || {
            for batch in 1.. {
                if reader.read_exact(&mut [0]).is_err() || acks.send(batch).is_err() {
                    return;
                }
            }
        });
        others.push(stream);
    }
    let log = Log::new(path)?;
    std::thread::spawn(move || commit(log, size, &asked, others, &acked));
    serve("", |question| {
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

/// What was asked for during one sync joins the next.
fn commit(
    mut log: Log,
    size: usize,
    asked: &Receiver<Sender<()>>,
    mut others: Vec<TcpStream>,
    acked: &Receiver<u64>,
) -> io::Result<()> {
    let mut newest = 0;
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
        while newest < number {
            newest = acked.recv().map_err(io::Error::other)?.max(newest);
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
    Ok(())
}
