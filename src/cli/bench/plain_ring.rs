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
use crate::service::ring::cuts::Cuts;
use crate::service::ring::durability::Durability;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Blocks on their way to one member.
const AHEAD: usize = 4;
/// Blocks of one push at its entry node: in use by two members, and being sent.
const BLOCKS: usize = 2 * AHEAD + 4;
/// What is copied at once by the relay, in bytes.
const COPY_BYTES: usize = 256 << 10;
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
    index: usize,
    /// How many parts a file has
    #[arg(long)]
    parts: u16,
    /// Copies are synced: strict, group or none
    #[arg(long)]
    level: Durability,
    /// Where the log is asked
    #[arg(long)]
    log: u16,
}

/// What members say to one another.
#[derive(Serialize, Deserialize)]
enum Head {
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

struct Node {
    args: Args,
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

    fn dial(&self, number: usize) -> io::Result<(Sender, Receiver)> {
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

    fn write(
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

    fn seal(&self, open: &mut HashMap<String, File>, file: &str) -> io::Result<()> {
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

    fn settle(&self, file: &str) -> io::Result<()> {
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

    fn read(&self, file: &str, offset: u64, bytes: u32, body: &mut Vec<u8>) -> io::Result<()> {
        body.resize(bytes as usize, 0);
        File::open(self.path("content", file))?.read_exact_at(body, offset)
    }

    // --- an entry node ---

    fn client(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(COPY_BYTES, stream.try_clone()?);
        let mut log = TcpStream::connect((Ipv4Addr::LOCALHOST, self.args.log))?;
        log.set_nodelay(true)?;
        std::thread::scope(|scope| {
            let mut holders = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    ["FILE", "PUSH", size, name] => {
                        while holders.len() < usize::from(self.args.parts) {
                            holders.push(Holder::start(scope, self, holders.len())?);
                        }
                        let size = size.parse().map_err(io::Error::other)?;
                        let root = self.push(&mut reader, size, name, &holders, &mut log)?;
                        (&stream).write_all(format!("FILE {size} bytes\nOK {size} {root}\n").as_bytes())?;
                        for part in 1..=self.args.parts {
                            of(part, &holders).try_for_each(|to| to.say(Job::Settle(part_name(name, part))))?;
                        }
                    }
                    ["FILE", "PULL", name, size] => {
                        let size = size.parse().map_err(io::Error::other)?;
                        self.pull(&stream, name, size)?;
                        return stream.shutdown(std::net::Shutdown::Write);
                    }
                    _ => return Err(io::Error::other(format!("'{line}' is no request"))),
                }
            }
        })
    }

    fn push(
        &self,
        from: &mut impl Read,
        size: u64,
        name: &str,
        holders: &[Holder],
        log: &mut TcpStream,
    ) -> io::Result<String> {
        let cuts = Cuts::new(size, self.args.parts, false);
        let mut ask = || log.write_all(&[1]).and_then(|()| log.read_exact(&mut [0]));
        ask()?;
        let mut hasher = blake3::Hasher::new();
        // as many blocks as may be under way, round and round: fresh memory costs page faults
        let mut blocks: VecDeque<Arc<Vec<u8>>> = (0..BLOCKS).map(|_| Arc::default()).collect();
        for piece in cuts.pieces(0, size) {
            let mut block = blocks.pop_front().unwrap_or_default();
            let bytes = Arc::make_mut(&mut block);
            bytes.resize(piece.take as usize, 0);
            from.read_exact(bytes)?;
            hasher.update(bytes);
            blocks.push_back(block.clone());
            let offset = piece.at - cuts.start(piece.part);
            for holder in of(piece.part, holders) {
                let (file, whole) = (part_name(name, piece.part), cuts.bytes(piece.part));
                holder.say(Job::Write(file, whole, offset, block.clone()))?;
            }
        }
        let (done, dones) = mpsc::channel();
        for part in 1..=self.args.parts {
            of(part, holders).try_for_each(|to| to.say(Job::Seal(part_name(name, part), done.clone())))?;
        }
        drop(done);
        for _ in 0..2 * self.args.parts {
            dones.recv().map_err(|_| io::Error::other("a bare holder is gone"))?;
        }
        ask()?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn pull(&self, mut to: &TcpStream, name: &str, size: u64) -> io::Result<()> {
        let cuts = Cuts::new(size, self.args.parts, false);
        let mut links: HashMap<u16, (Sender, Receiver)> = HashMap::new();
        let (mut ahead, mut block, mut hasher) = (cuts.pieces(0, size), Vec::new(), blake3::Hasher::new());
        for (number, piece) in cuts.pieces(0, size).enumerate() {
            for piece in ahead.by_ref().take(if number == 0 { AHEAD } else { 1 }).filter(|piece| piece.part > 1) {
                let link = match links.entry(piece.part) {
                    std::collections::hash_map::Entry::Occupied(link) => link.into_mut(),
                    std::collections::hash_map::Entry::Vacant(none) => {
                        none.insert(self.dial(self.args.index + usize::from(piece.part) - 1)?)
                    }
                };
                let (file, offset) = (part_name(name, piece.part), piece.at - cuts.start(piece.part));
                link.0.send(&Head::Read { file, offset, bytes: piece.take as u32 }, &[])?;
            }
            match links.get_mut(&piece.part) {
                Some((_, receiver)) => match receiver.head()? {
                    Head::Data(bytes) => receiver.body(bytes as usize, &mut block)?,
                    _ => return Err(io::Error::other("a bare holder sends no data")),
                },
                None => self.read(&part_name(name, piece.part), piece.at, piece.take as u32, &mut block)?,
            }
            hasher.update(&block);
            to.write_all(&block)?;
        }
        std::hint::black_box(hasher.finalize());
        Ok(())
    }
}

fn part_name(name: &str, part: u16) -> String {
    format!("{name}.{part}")
}

/// Who holds a part: its owner, and the one before it.
fn of(part: u16, holders: &[Holder]) -> impl Iterator<Item = &Holder> {
    let at = usize::from(part) - 1;
    [at, (at + holders.len() - 1) % holders.len()].into_iter().map(|at| &holders[at])
}

enum Job {
    Write(String, u64, u64, Arc<Vec<u8>>),
    Seal(String, mpsc::Sender<()>),
    Settle(String),
}

/// A member, seen from an entry node: a thread seals and sends, or writes.
struct Holder(SyncSender<Job>);

impl Holder {
    fn start<'s>(scope: &'s std::thread::Scope<'s, '_>, node: &'s Node, number: usize) -> io::Result<Self> {
        let (jobs, work) = sync_channel::<Job>(AHEAD);
        let mut link = if number == 0 { None } else { Some(node.dial(node.args.index + number)?) };
        scope.spawn(move || -> io::Result<()> {
            let mut open = HashMap::new();
            for job in work {
                match (&mut link, job) {
                    (Some((sender, _)), Job::Write(file, whole, offset, block)) => {
                        let bytes = block.len() as u32;
                        sender.send(&Head::Write { file, whole, offset, bytes }, &block)?;
                    }
                    (None, Job::Write(file, whole, offset, block)) => {
                        node.write(&mut open, file, whole, offset, &block)?;
                    }
                    (Some((sender, receiver)), Job::Seal(file, done)) => {
                        sender.send(&Head::Seal(file), &[])?;
                        receiver.head::<Head>()?;
                        let _ = done.send(()); // who waited went with its client
                    }
                    (None, Job::Seal(file, done)) => {
                        node.seal(&mut open, &file)?;
                        let _ = done.send(()); // the same
                    }
                    (Some((sender, _)), Job::Settle(file)) => sender.send(&Head::Settle(file), &[])?,
                    (None, Job::Settle(file)) => node.settle(&file)?,
                }
            }
            Ok(())
        });
        Ok(Holder(jobs))
    }

    fn say(&self, job: Job) -> io::Result<()> {
        self.0.send(job).map_err(|_| io::Error::other("a bare holder is gone"))
    }
}
