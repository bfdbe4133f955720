//! The simulated disk: what programs see of their files, and what a crash
//! leaves of them.
//!
//! **Idea.** A file is its durable content and the writes that were not synced;
//! the names of files are the durable ones and the changes that were not
//! synced. A sync moves from the second to the first; a crash leaves the first
//! and, of the second, what the seed says ([`DiskFaults`]).
//!
//! **Guarantee.** What a sync that answered `Ok` has made durable survives every
//! crash, unless a bit is flipped or the disk is exchanged on purpose. Nothing
//! else does for sure:
//!
//! - Of the writes to a file that were not synced, a crash spares none, those up
//!   to some moment, or any of them, later ones without earlier ones. The last
//!   one may be torn: cut at a byte, or some sectors of 512 B without others
//!   (Pillai et al., *All File Systems Are Not Created Equal*, OSDI 2014: size
//!   and data, and the blocks of one write, reach the disk in any order).
//! - The length that a lost write would have given to a file may be there
//!   without its data, which then are zeros (the same, on appends under ext4
//!   without `data=ordered`, and under XFS).
//! - A file's sync does not make its name durable. Creations, renamings and
//!   removals are a directory's, are each done or not done, and those that its
//!   sync did not make durable survive or not (the same: ext4, XFS and Btrfs
//!   agree on no order of them).
//! - A renaming is one change: a crash leaves the old state or the new one, never
//!   neither. It says nothing of the file's content, which may be empty where it
//!   was not synced (the same: "replace via rename").
//! - A sync that fails has dropped some of what it was to make durable, and shows
//!   it from memory all the same, or not; the next sync has nothing to do and
//!   succeeds (Rebello et al., *Can Applications Recover from fsync Failures?*,
//!   ATC 2020). So a component that begins anew on a machine that did not crash
//!   may read what is not on the disk.
//! - A write that fails may have written a part, up to where the room ended.
//! - A bit may flip in what was synced, and a disk may come back older or empty:
//!   checksums find the first, only memory elsewhere the second (Alagappan et
//!   al., *Protocol-Aware Recovery for Consensus-Based Storage*, FAST 2018).
//!
//! Not modelled: that the kernel writes back by itself after some seconds, so
//! that what is old is likely to survive; that a page which is written again
//! takes what was dropped beside it along; reads that bring another file's
//! blocks. Directories are durable when they are made, as the runtime's are.

mod content;
mod faults;
mod file;
mod names;
mod storage;
mod strike;
#[cfg(test)]
mod tests;

pub(super) use faults::Loss;
pub use faults::{DiskFault, DiskFaults, DiskKept};
pub(super) use storage::Storage;

use crate::component::{DiskDone, DiskOp, check_name};
use bytes::Bytes;
use fastrand::Rng;
use file::File;
use names::{Inode, Names, parent};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// A component's directory.
#[derive(Clone, Default)]
pub(super) struct Disk {
    names: Names,
    files: BTreeMap<Inode, File>,
    made: Inode,
    /// Faults of which each strikes the next operation of its sort.
    armed: Vec<DiskFault>,
}

/// A file that a stream reads: the one that had the name when it was opened, as
/// long as it then was.
#[derive(Clone)]
pub(super) struct Reading {
    inode: Inode,
    offset: u64,
    end: u64,
    _reader: Arc<()>,
}

impl Reading {
    pub(super) fn is_over(&self) -> bool {
        self.offset >= self.end
    }
}

impl Disk {
    /// Performs one operation. Files may grow by `room` bytes in all.
    ///
    /// # Errors
    /// Those of [`crate::runtime`]'s disk; EIO where a fault is armed, ENOSPC
    /// where there is no room.
    pub(super) fn perform(&mut self, op: DiskOp, room: Option<u64>, rng: &mut Rng) -> io::Result<DiskDone> {
        op.check()?;
        let renames = matches!(
            op,
            DiskOp::Replace { .. } | DiskOp::Rename { .. } | DiskOp::SyncDir { .. } | DiskOp::Remove { .. }
        );
        match op {
            DiskOp::Append { name, bytes } => {
                let inode = self.file_for_writing(&name)?;
                let end = self.files[&inode].len();
                self.write(inode, end, bytes, room, rng)?;
            }
            DiskOp::WriteAt { name, offset, bytes } => {
                let inode = self.file_for_writing(&name)?;
                self.write(inode, offset, bytes, room, rng)?;
            }
            DiskOp::Allocate { name, bytes } => {
                let inode = self.file_for_writing(&name)?;
                self.strikes(DiskFault::Write)?;
                let file = self.file(inode);
                if room.is_some_and(|room| bytes.saturating_sub(file.len()) > room) {
                    return Err(Errno::NOSPC.into());
                }
                file.set_len(bytes);
            }
            DiskOp::Sync { name } => {
                let inode = self.names.find(&name)?;
                match self.strikes(DiskFault::Sync) {
                    Ok(()) => self.file(inode).sync(),
                    Err(error) => {
                        self.file(inode).fail_sync(rng);
                        return Err(error);
                    }
                }
            }
            DiskOp::Replace { name, bytes } => self.replace(&name, bytes, room, rng)?,
            DiskOp::Rename { from, to } => {
                self.strikes(DiskFault::Write)?;
                self.names.rename(&from, &to)?;
            }
            DiskOp::SyncDir { name } => self.sync_directory(&name, rng)?,
            DiskOp::Read { name, offset, bytes } => {
                let inode = self.names.find(&name)?;
                self.strikes(DiskFault::Read)?;
                let bytes = self.files[&inode].read(offset, bytes.min(DiskOp::READ_BYTES_MAX));
                return Ok(DiskDone::Read(bytes));
            }
            DiskOp::List { name } => {
                self.strikes(DiskFault::Read)?;
                let files = self.names.list(&name)?;
                let sized = files.into_iter().map(|(name, inode)| (name.to_owned(), self.files[&inode].len()));
                return Ok(DiskDone::List(sized.collect()));
            }
            DiskOp::Remove { name } => {
                self.strikes(DiskFault::Write)?;
                match self.names.find(&name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    found => {
                        found?;
                        self.names.remove(&name);
                    }
                }
            }
        }
        if renames {
            self.forget_nameless();
        }
        Ok(DiskDone::Ok)
    }

    /// Opens a file for a stream.
    ///
    /// # Errors
    /// As [`DiskOp::Read`]'s.
    pub(super) fn open(&self, name: &str, offset: u64) -> io::Result<Reading> {
        check_name(name)?;
        let inode = self.names.find(name)?;
        let file = &self.files[&inode];
        Ok(Reading { inode, offset, end: file.len(), _reader: file.reader() })
    }

    /// The next bytes of an open file, at most `bytes`; none where it was cut
    /// short meanwhile.
    ///
    /// # Errors
    /// EIO where a fault is armed.
    pub(super) fn read_on(&mut self, reading: &mut Reading, bytes: u64) -> io::Result<Bytes> {
        self.strikes(DiskFault::Read)?;
        let wanted = bytes.min(reading.end.saturating_sub(reading.offset));
        let read = self.files.get(&reading.inode).map(|file| file.read(reading.offset, wanted)).unwrap_or_default();
        reading.offset = if (read.len() as u64) < wanted { reading.end } else { reading.offset + read.len() as u64 };
        Ok(read)
    }

    /// Bytes of all files that have a name, holes counted as if they were full.
    pub(super) fn used(&self) -> u64 {
        self.names.seen().map(|inode| self.files[&inode].len()).sum()
    }

    /// Lets the next operation of a sort fail.
    pub(super) fn arm(&mut self, fault: DiskFault) {
        if !self.armed.contains(&fault) {
            self.armed.push(fault);
        }
    }

    pub(super) fn disarm(&mut self) {
        self.armed.clear();
    }

    /// The machine has lost its memory: what is not durable is gone, as far as
    /// `faults` have it.
    pub(super) fn crash(&mut self, faults: &DiskFaults, rng: &mut Rng, loss: &mut Loss) {
        self.names.crash(faults, rng, loss);
        for file in self.files.values_mut() {
            file.crash(faults, rng, loss);
        }
        self.forget_nameless();
    }

    /// Flips a bit of what a file durably holds; false where there is none.
    pub(super) fn flip(&mut self, name: &str, bit: u64) -> bool {
        match self.names.find(name) {
            Ok(inode) => self.file(inode).flip(bit),
            Err(_) => false,
        }
    }

    /// Durable bytes of all files that have a name.
    pub(super) fn durable_bytes(&self) -> u64 {
        self.names.seen().map(|inode| self.files[&inode].durable_len()).sum()
    }

    /// Flips the bit `bit` of all that is counted by [`Disk::durable_bytes`].
    pub(super) fn flip_any(&mut self, mut bit: u64) {
        let named: Vec<Inode> = self.names.seen().collect();
        for inode in named {
            let bits = 8 * self.files[&inode].durable_len();
            if bit < bits {
                self.file(inode).flip(bit);
                return;
            }
            bit -= bits;
        }
    }

    fn file(&mut self, inode: Inode) -> &mut File {
        self.files.get_mut(&inode).expect("what has a name is kept")
    }

    fn file_for_writing(&mut self, name: &str) -> io::Result<Inode> {
        self.names.make_room(name)?;
        if let Ok(inode) = self.names.find(name) {
            return Ok(inode);
        }
        self.made += 1;
        self.files.insert(self.made, File::default());
        self.names.create(name, self.made);
        Ok(self.made)
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: Bytes, room: Option<u64>, rng: &mut Rng) -> io::Result<()> {
        let struck = self.strikes(DiskFault::Write);
        let file = self.file(inode);
        let fitting = room.map_or(u64::MAX, |room| (file.len() + room).saturating_sub(offset));
        let fitting = fitting.min(bytes.len() as u64) as usize;
        let written = if struck.is_ok() { fitting } else { rng.usize(0..=fitting) };
        let whole = written == bytes.len();
        file.write(offset, bytes.slice(..written));
        struck?;
        if whole { Ok(()) } else { Err(Errno::NOSPC.into()) }
    }

    /// A new file, written and synced apart, takes the name of the old one, and
    /// the directory is synced.
    fn replace(&mut self, name: &str, bytes: Bytes, room: Option<u64>, rng: &mut Rng) -> io::Result<()> {
        self.names.make_room(name)?;
        self.strikes(DiskFault::Write)?;
        if room.is_some_and(|room| bytes.len() as u64 > room) {
            return Err(Errno::NOSPC.into());
        }
        let on_the_directory = rng.bool();
        if !on_the_directory {
            self.strikes(DiskFault::Sync)?;
        }
        let mut file = File::default();
        file.write(0, bytes);
        file.sync();
        self.made += 1;
        self.files.insert(self.made, file);
        self.names.create(name, self.made);
        self.sync_directory(parent(name), rng)
    }

    fn sync_directory(&mut self, name: &str, rng: &mut Rng) -> io::Result<()> {
        match self.strikes(DiskFault::Sync) {
            Ok(()) => self.names.sync(name),
            Err(error) => {
                self.names.fail_sync(name, rng)?;
                Err(error)
            }
        }
    }

    /// An armed fault of this sort strikes now.
    fn strikes(&mut self, fault: DiskFault) -> io::Result<()> {
        match self.armed.iter().position(|armed| *armed == fault) {
            Some(at) => {
                self.armed.remove(at);
                Err(Errno::IO.into())
            }
            None => Ok(()),
        }
    }

    /// Files without a name, that no stream reads, are gone.
    fn forget_nameless(&mut self) {
        let named = self.names.in_use();
        self.files.retain(|inode, file| named.contains(inode) || file.is_read());
    }
}
