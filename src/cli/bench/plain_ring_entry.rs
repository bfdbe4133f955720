//! An entry node of the bare ring: clients in, members out.

use super::plain_ring::{AHEAD, COPY_BYTES, Head, Node};
use super::sealed::{Receiver, Sender};
use crate::service::ring::cuts::Cuts;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, sync_channel};

/// Blocks of one push: in use by two members, and being sent.
const BLOCKS: usize = 2 * AHEAD + 4;

impl Node {
    pub(super) fn client(&self, stream: TcpStream) -> io::Result<()> {
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
                        return stream.shutdown(Shutdown::Write);
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
                    Entry::Occupied(link) => link.into_mut(),
                    Entry::Vacant(none) => none.insert(self.dial(self.args.index + usize::from(piece.part) - 1)?),
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
