//! The limit of the ring: bare processes that do the same work for the same clients.
//! The same hops, each member's link sealed, one BLAKE3 of all bytes at the entry node,
//! the same files written, named and synced, and twice a majority of bare logs asked for
//! its sync. No placement, no windows, no versions, no memory of anything.
//!
//! ```text
//!   client -> entry: hashes, seals for each holder -> holders: open, write
//!                    asks the log                     sync, rename, sync the directory, log
//!          <- OK     asks the log                     log, rename, sync two directories
//! ```

use super::child::serve;
use super::plain_log::Log;
use super::sealed::{Receiver, Sender, link};
use crate::service::ring::durability::Durability;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Blocks on their way to one member.
pub(super) const AHEAD: usize = 4;
/// What is copied at once by the relay, in bytes.
pub(super) const COPY_BYTES: usize = 256 << 10;
/// What was only written is synced so often.
const GROUP_WITHIN: Duration = Duration::from_millis(100);

/// One of the bare nodes.
#[derive(clap::Args, Clone)]
pub(super) struct Args {
    /// Where its files are
    #[arg(long)]
    dir: PathBuf,
    /// Which of them it is
    #[arg(long)]
    pub(super) index: usize,
    /// How many parts a file has
    #[arg(long)]
    pub(super) parts: u16,
    /// Copies are synced: strict, group or none
    #[arg(long)]
    level: Durability,
    /// Where the log is asked
    #[arg(long)]
    pub(super) log: u16,
}

/// What members say to one another.
#[derive(Serialize, Deserialize)]
pub(super) enum Head {
    Write {
        file: String,
        whole: u64,
        offset: u64,
        bytes: u32,
    },
    /// The file is whole: answered once it is as durable as it is to be.
    Seal(String),
    /// It is committed.
    Settle(String),
    Read {
        file: String,
        offset: u64,
        bytes: u32,
    },
    Done,
    Data(u32),
}

pub(super) struct Node {
    pub(super) args: Args,
    /// Of all nodes, once the parent has told them.
    ports: OnceLock<Vec<u16>>,
    log: mpsc::Sender<mpsc::Sender<()>>,
    unsynced: Mutex<Vec<PathBuf>>,
}

/// A node: greets with its port, is told `ports P,P,..`.
pub(super) fn node(args: Args) -> io::Result<()> {
    for directory in ["stage", "content"] {
        std::fs::create_dir_all(args.dir.join(directory))?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let (asks, asked) = mpsc::channel();
    let log = Log::new(&args.dir.join("parts.log"))?;
    std::thread::spawn(move || super::plain_log::commit(log, 256, &asked, Vec::new(), &mpsc::channel().1));
    let node = Arc::new(Node { args, ports: OnceLock::new(), log: asks, unsynced: Mutex::default() });
    let accepts = node.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let node = accepts.clone();
            std::thread::spawn(move || {
                if let Err(error) = node.connection(stream) {
                    log::info!("a bare connection ended: {error}");
                }
            });
        }
    });
    let syncs = node.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(GROUP_WITHIN); // the level's own time
            if let Err(error) = syncs.sync_group() {
                log::error!("a bare node cannot sync: {error}");
            }
        }
    });
    serve(&port.to_string(), |question| {
        let ports = question.strip_prefix("ports ").unwrap_or_default();
        let ports: Vec<u16> = ports.split(',').filter_map(|port| port.parse().ok()).collect();
        node.ports.set(ports).map(|()| "known".into()).map_err(|_| io::Error::other("the ports are known"))
    })
}

/// A gateway: greets with its port, copies to the node on `node`.
pub(super) fn relay(node: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(entry) = TcpStream::connect((Ipv4Addr::LOCALHOST, node)) else { continue };
            let Ok((up, down)) = client.try_clone().and_then(|up| Ok((up, entry.try_clone()?))) else { continue };
            std::thread::spawn(move || copy(up, entry));
            std::thread::spawn(move || copy(down, client));
        }
    });
    serve(&port.to_string(), |_| Ok(String::new()))
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut block = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut block)? {
            0 => return to.shutdown(std::net::Shutdown::Write),
            read => to.write_all(&block[..read])?,
        }
    }
}

impl Node {
    /// A client, or with its first byte 0 another member.
    fn connection(&self, stream: TcpStream) -> io::Result<()> {
        let mut first = [0];
        stream.peek(&mut first)?;
        if first[0] != 0 {
            return self.client(stream);
        }
        (&stream).read_exact(&mut first)?;
        let (sender, receiver) = link(stream, false)?;
        self.member(sender, receiver)
    }

    pub(super) fn dial(&self, number: usize) -> io::Result<(Sender, Receiver)> {
        let ports = self.ports.get().ok_or(io::ErrorKind::NotConnected)?;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, ports[number % ports.len()]))?;
        stream.write_all(&[0])?;
        link(stream, true)
    }

    // --- a holder ---

    fn member(&self, sender: Sender, mut receiver: Receiver) -> io::Result<()> {
        let (said, hears) = sync_channel(AHEAD);
        let (used, free) = mpsc::channel();
        std::thread::scope(move |scope| {
            scope.spawn(move || self.hold(sender, hears, &used));
            loop {
                let head = receiver.head()?;
                let mut body = free.try_recv().unwrap_or_default();
                if let Head::Write { bytes, .. } = &head {
                    receiver.body(*bytes as usize, &mut body)?;
                }
                said.send((head, body)).map_err(|_| io::Error::other("a bare disk failed"))?;
            }
        })
    }

    /// Does what a member says, while its next bytes are opened; gives buffers back.
    fn hold(
        &self,
        mut sender: Sender,
        said: mpsc::Receiver<(Head, Vec<u8>)>,
        used: &mpsc::Sender<Vec<u8>>,
    ) -> io::Result<()> {
        let mut open = HashMap::new();
        for (head, mut body) in said {
            match head {
                Head::Write { file, whole, offset, .. } => self.write(&mut open, file, whole, offset, &body)?,
                Head::Read { file, offset, bytes } => {
                    self.read(&file, offset, bytes, &mut body)?;
                    sender.send(&Head::Data(bytes), &body)?;
                }
                Head::Seal(file) => {
                    self.seal(&mut open, &file)?;
                    sender.send(&Head::Done, &[])?;
                }
                Head::Settle(file) => self.settle(&file)?,
                Head::Done | Head::Data(_) => break,
            }
            let _ = used.send(body); // the other side has ended
        }
        Ok(())
    }

    fn path(&self, directory: &str, file: &str) -> PathBuf {
        self.args.dir.join(directory).join(file)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        File::open(self.args.dir.join(directory))?.sync_all()
    }

    pub(super) fn write(
        &self,
        open: &mut HashMap<String, File>,
        file: String,
        whole: u64,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        if !open.contains_key(&file) {
            let path = self.path("stage", &format!("{file}.new"));
            let made = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
            if whole > 0 {
                rustix::fs::fallocate(&made, rustix::fs::FallocateFlags::empty(), 0, whole)?;
            }
            open.insert(file.clone(), made);
        }
        open[&file].write_all_at(bytes, offset)
    }

    pub(super) fn seal(&self, open: &mut HashMap<String, File>, file: &str) -> io::Result<()> {
        let strict = self.args.level == Durability::Strict;
        if let Some(made) = open.remove(file).filter(|_| strict) {
            made.sync_data()?;
        }
        std::fs::rename(self.path("stage", &format!("{file}.new")), self.path("stage", file))?;
        if strict {
            self.sync_dir("stage")?;
            self.logged()?;
        }
        Ok(())
    }

    pub(super) fn settle(&self, file: &str) -> io::Result<()> {
        self.logged()?;
        let there = self.path("content", file);
        std::fs::rename(self.path("stage", file), &there)?;
        self.sync_dir("stage")?;
        self.sync_dir("content")?;
        if self.args.level == Durability::Group {
            self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(there);
        }
        Ok(())
    }

    fn logged(&self) -> io::Result<()> {
        let (done, dones) = mpsc::channel();
        self.log.send(done).map_err(io::Error::other)?;
        dones.recv().map_err(io::Error::other)
    }

    fn sync_group(&self) -> io::Result<()> {
        let all = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        for path in all {
            OpenOptions::new().write(true).open(path)?.sync_data()?;
        }
        Ok(())
    }

    pub(super) fn read(&self, file: &str, offset: u64, bytes: u32, body: &mut Vec<u8>) -> io::Result<()> {
        body.resize(bytes as usize, 0);
        File::open(self.path("content", file))?.read_exact_at(body, offset)
    }
}
