//! Disk operations on real files, inside a component's own directory.
//!
//! **Guarantee.** `Sync`, `Replace` and `SyncDir` are durable when they answer
//! `Ok`. A failed sync is reported and never tried again: the kernel may have
//! dropped the pages that it could not write and would then report success
//! (Rebello et al., *Can Applications Recover from fsync Failures?*, 2020).
//! `Replace` writes a temporary file, syncs it, renames it and syncs the
//! directory, so a crash leaves the old content or the new one.
//!
//! Files that are written stay open from one operation to the next ([`Files`]):
//! opening one costs more than writing it. Nobody can tell, except that a sync
//! also reports what the kernel failed to write since the file was opened.

use crate::component::{DiskDone, DiskOp, RESERVED, check_name};
use bytes::{Bytes, BytesMut};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Opens the file `name` in `dir` for reading.
///
/// # Errors
/// As the system says; `IsADirectory` for a directory, which it would open.
pub(super) fn open(dir: &Path, name: &str) -> io::Result<File> {
    check_name(name)?;
    let file = File::open(dir.join(name))?;
    if file.metadata()?.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

/// The path of a file, whose directories are made where they are missing.
fn writable(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    if let Some(parent) = path.parent()
        && !parent.is_dir()
    {
        make_dir(parent)?;
    }
    Ok(path)
}

/// Makes a directory durably, with those above it.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent()
        && !above.as_os_str().is_empty()
    {
        make_dir(above)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other?,
    }
    sync_dir(dir.parent().unwrap_or(dir))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let dir = File::open(here)?;
    // a file would be synced as readily
    if dir.metadata()?.is_dir() { dir.sync_all() } else { Err(ErrorKind::NotADirectory.into()) }
}

/// Replaces a file's content, durably, all or nothing. What a fall in the
/// middle of it leaves behind has a name that no component can say; the next
/// replacement begins it anew.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(RESERVED.encode_utf8(&mut [0; 4]));
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Renames a file; directories stay where they are.
fn rename(dir: &Path, from: &str, to: &str) -> io::Result<()> {
    let from = dir.join(from);
    if fs::symlink_metadata(&from)?.is_dir() {
        return Err(ErrorKind::IsADirectory.into()); // before anything is made for it
    }
    let to = writable(dir, to)?;
    if to.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { fs::rename(from, to) }
}

/// Files of one component that stay open.
const OPEN_MAX: usize = 8;

/// A component's directory, and those of its files that are open for writing.
pub(super) struct Files {
    dir: PathBuf,
    /// The one used last stands last.
    open: Vec<(String, File)>,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Files { dir, open: Vec::new() }
    }

    /// Performs one operation.
    ///
    /// # Errors
    /// What the system says; the file is then in an unknown state between the old
    /// and the new one, except for `Replace`, after which it is one of them.
    pub(super) fn perform(&mut self, op: DiskOp) -> io::Result<DiskDone> {
        op.check()?;
        match op {
            DiskOp::Append { name, bytes } => {
                self.write(name, true, |file| file.write_all_at(&bytes, file.metadata()?.len()))?;
            }
            DiskOp::WriteAt { name, offset, bytes } => {
                self.write(name, true, |file| file.write_all_at(&bytes, offset))?;
            }
            DiskOp::Sync { name } => self.write(name, false, File::sync_data)?,
            DiskOp::Allocate { name, bytes } => self.write(name, true, |file| allocate(file, bytes))?,
            DiskOp::Replace { name, bytes } => {
                self.close(&name);
                replace(&writable(&self.dir, &name)?, &bytes)?;
            }
            DiskOp::Rename { from, to } => {
                self.close(&from);
                self.close(&to);
                rename(&self.dir, &from, &to)?;
            }
            DiskOp::SyncDir { name } => {
                make_dir(&self.dir)?;
                sync_dir(&self.dir.join(name))?;
            }
            DiskOp::Read { name, offset, bytes } => {
                return read(&open(&self.dir, &name)?, offset, bytes).map(DiskDone::Read);
            }
            DiskOp::List { name } => return list(&self.dir.join(name)).map(DiskDone::List),
            DiskOp::Remove { name } => {
                self.close(&name);
                match fs::remove_file(self.dir.join(name)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    other => other?,
                }
            }
        }
        Ok(DiskDone::Ok)
    }

    /// Does something with a file that is open for writing, or is opened: made
    /// where it is missing, if it is to be. After a failure it is opened anew.
    fn write(&mut self, name: String, create: bool, act: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let file = match self.take(&name)? {
            Some(file) => file,
            None => {
                let path = if create { writable(&self.dir, &name)? } else { self.dir.join(&name) };
                OpenOptions::new().write(true).create(create).truncate(false).open(path)?
            }
        };
        act(&file)?;
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push((name, file));
        Ok(())
    }

    /// The open file of this name. One that somebody else removed meanwhile is an
    /// error, not made anew: what was durable in it is gone.
    fn take(&mut self, name: &str) -> io::Result<Option<File>> {
        let Some(at) = self.open.iter().rposition(|(open, _)| open == name) else { return Ok(None) };
        let (_, file) = self.open.remove(at);
        if file.metadata()?.nlink() == 0 {
            let text = format!("'{name}' was removed while it was in use");
            return Err(io::Error::new(ErrorKind::NotFound, text));
        }
        Ok(Some(file))
    }

    /// The name is to mean another file, or none.
    fn close(&mut self, name: &str) {
        self.open.retain(|(open, _)| open != name);
    }
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let now = file.metadata()?.len();
    if bytes > now {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), now, bytes - now) {
            // A file system without preallocation: the length alone.
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            other => return other.map_err(io::Error::from),
        }
    }
    file.set_len(bytes)
}

/// Reads at most `bytes` from `offset`; less only at the end of the file.
pub(super) fn read(file: &File, offset: u64, bytes: u64) -> io::Result<Bytes> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let wanted = left.min(bytes).min(DiskOp::READ_BYTES_MAX) as usize;
    let mut buffer = BytesMut::zeroed(wanted);
    let mut got = 0;
    while got < wanted {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(got);
    Ok(buffer.freeze())
}

fn list(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (name, metadata) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?);
        if metadata.is_file() && !name.ends_with(RESERVED) {
            files.push((name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
