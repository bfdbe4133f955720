//! One component's directory on a node's disk, in memory.
//!
//! Writes are kept apart from what is durable until they are synced; a crash
//! loses them. Faults of the disk itself (torn writes, errors, flipped bits)
//! belong behind [`Disk::perform`] and [`Disk::crash`].

use crate::component::{DiskDone, DiskOp};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;

#[derive(Clone, Default)]
struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

/// A directory: what programs see of it, and what a crash leaves.
#[derive(Default)]
pub(super) struct Disk {
    files: BTreeMap<String, File>,
    /// The names that survive a crash, and which content each leads to.
    durable: BTreeMap<String, Vec<u8>>,
}

impl Disk {
    /// Performs one operation.
    pub(super) fn perform(&mut self, op: DiskOp) -> io::Result<DiskDone> {
        match op {
            DiskOp::Append { name, bytes } => self.file(name)?.seen.extend_from_slice(&bytes),
            DiskOp::WriteAt { name, offset, bytes } => {
                let seen = &mut self.file(name)?.seen;
                let end = offset as usize + bytes.len();
                if seen.len() < end {
                    seen.resize(end, 0);
                }
                seen[offset as usize..end].copy_from_slice(&bytes);
            }
            DiskOp::Sync { name } => {
                let file = self.existing(&name)?;
                file.durable.clone_from(&file.seen);
                let content = file.durable.clone();
                if let Some(kept) = self.durable.get_mut(&name) {
                    *kept = content;
                }
            }
            DiskOp::Allocate { name, bytes } => self.file(name)?.seen.resize(bytes as usize, 0),
            DiskOp::Replace { name, bytes } => {
                let file = self.file(name.clone())?;
                file.seen = bytes.to_vec();
                file.durable = bytes.to_vec();
                self.durable.insert(name, bytes.to_vec());
            }
            DiskOp::Rename { from, to } => {
                let file = self.files.remove(&from).ok_or_else(|| missing(&from))?;
                self.files.insert(checked(to)?, file);
            }
            DiskOp::SyncDir { name } => self.sync_names(&prefix(&name)),
            DiskOp::Read { name, offset, bytes } => {
                let seen = &self.existing(&name)?.seen;
                let start = (offset as usize).min(seen.len());
                let end = start.saturating_add(bytes as usize).min(seen.len());
                return Ok(DiskDone::Read(Bytes::copy_from_slice(&seen[start..end])));
            }
            DiskOp::List { name } => return Ok(DiskDone::List(self.list(&prefix(&name)))),
            DiskOp::Remove { name } => {
                self.files.remove(&name);
            }
        }
        Ok(DiskDone::Ok)
    }

    /// What was not made durable is gone.
    pub(super) fn crash(&mut self) {
        let durable = &self.durable;
        self.files = durable
            .iter()
            .map(|(name, content)| (name.clone(), File { seen: content.clone(), durable: content.clone() }))
            .collect();
    }

    /// A file's bytes from `offset`, at most `bytes` of them, and whether its
    /// end is reached.
    pub(super) fn read(&self, name: &str, offset: u64, bytes: u64) -> io::Result<(Bytes, bool)> {
        let seen = &self.files.get(name).ok_or_else(|| missing(name))?.seen;
        let start = (offset as usize).min(seen.len());
        let end = start.saturating_add(bytes as usize).min(seen.len());
        Ok((Bytes::copy_from_slice(&seen[start..end]), end == seen.len()))
    }

    fn file(&mut self, name: String) -> io::Result<&mut File> {
        Ok(self.files.entry(checked(name)?).or_default())
    }

    fn existing(&mut self, name: &str) -> io::Result<&mut File> {
        self.files.get_mut(name).ok_or_else(|| missing(name))
    }

    fn list(&self, prefix: &str) -> Vec<(String, u64)> {
        let inside = self.files.iter().filter_map(|(name, file)| Some((name.strip_prefix(prefix)?, file)));
        let direct = inside.filter(|(name, _)| !name.contains('/'));
        direct.map(|(name, file)| (name.to_owned(), file.seen.len() as u64)).collect()
    }

    fn sync_names(&mut self, prefix: &str) {
        self.durable.retain(|name, _| !name.starts_with(prefix) || self.files.contains_key(name));
        for (name, file) in &self.files {
            if name.starts_with(prefix) {
                self.durable.insert(name.clone(), file.durable.clone());
            }
        }
    }
}

fn prefix(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { format!("{directory}/") }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file '{name}'"))
}

fn checked(name: String) -> io::Result<String> {
    let outside = name.is_empty() || name.starts_with('/') || name.split('/').any(|part| part == "..");
    if outside {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{name}' leads out of the directory")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &mut Disk, name: &str) -> Option<Vec<u8>> {
        match disk.perform(DiskOp::Read { name: name.into(), offset: 0, bytes: 100 }) {
            Ok(DiskDone::Read(bytes)) => Some(bytes.to_vec()),
            _ => None,
        }
    }

    fn append(disk: &mut Disk, bytes: &'static [u8]) {
        let op = DiskOp::Append { name: "log".into(), bytes: Bytes::from_static(bytes) };
        assert!(disk.perform(op).is_ok());
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_its_name() {
        let mut disk = Disk::default();
        append(&mut disk, b"one");
        assert!(disk.perform(DiskOp::Sync { name: "log".into() }).is_ok());
        assert!(disk.perform(DiskOp::SyncDir { name: String::new() }).is_ok());
        append(&mut disk, b"two");
        assert_eq!(read(&mut disk, "log").as_deref(), Some(&b"onetwo"[..]));
        disk.crash();
        assert_eq!(read(&mut disk, "log").as_deref(), Some(&b"one"[..]));
    }

    #[test]
    fn a_new_name_is_lost_without_a_sync_of_its_directory() {
        let mut disk = Disk::default();
        append(&mut disk, b"one");
        assert!(disk.perform(DiskOp::Sync { name: "log".into() }).is_ok());
        disk.crash();
        assert_eq!(read(&mut disk, "log"), None);
    }

    #[test]
    fn replace_is_durable_at_once() {
        let mut disk = Disk::default();
        let op = DiskOp::Replace { name: "state".into(), bytes: Bytes::from_static(b"new") };
        assert!(disk.perform(op).is_ok());
        disk.crash();
        assert_eq!(read(&mut disk, "state").as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn names_stay_inside() {
        let op = DiskOp::Append { name: "../up".into(), bytes: Bytes::new() };
        assert!(Disk::default().perform(op).is_err());
    }
}
