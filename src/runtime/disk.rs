//! Disk operations on real files, inside a component's own directory.
//!
//! **Guarantee.** `Sync`, `Replace` and `SyncDir` are durable when they answer
//! `Ok`. A failed sync is reported and never tried again: the kernel may have
//! dropped the pages that it could not write and would then report success
//! (Rebello et al., *Can Applications Recover from fsync Failures?*, 2020).
//! `Replace` writes a temporary file, syncs it, renames it and syncs the
//! directory, so a crash leaves the old content or the new one.

use crate::component::{DiskDone, DiskOp};
use bytes::{Bytes, BytesMut};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// Most bytes that one `Read` brings, so that a careless length allocates no
/// more; a longer file is read in several.
const READ_BYTES_MAX: u64 = 16 << 20;

/// The path of the file `name` in `dir`.
///
/// # Errors
/// `InvalidInput` where the name would lead out of the directory.
pub(super) fn path(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || name.is_empty() || name.contains('\0') {
        let text = format!("'{name}' is no plain name inside the component's directory");
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(dir.join(name))
}

/// The path of a directory; the empty name stands for `dir` itself.
fn directory(dir: &Path, name: &str) -> io::Result<PathBuf> {
    if name.is_empty() { Ok(dir.to_owned()) } else { path(dir, name) }
}

/// The path of a file, whose directories are made where they are missing.
fn writable(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let path = path(dir, name)?;
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
    File::open(here)?.sync_all()
}

/// Replaces a file's content, durably, all or nothing.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Performs one operation.
///
/// # Errors
/// What the system says; the file is then in an unknown state between the old
/// and the new one, except for `Replace`.
pub(super) fn perform(dir: &Path, op: DiskOp) -> io::Result<DiskDone> {
    match op {
        DiskOp::Append { name, bytes } => {
            let path = writable(dir, &name)?;
            OpenOptions::new().append(true).create(true).open(path)?.write_all(&bytes)?;
        }
        DiskOp::WriteAt { name, offset, bytes } => {
            let path = writable(dir, &name)?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            file.write_all_at(&bytes, offset)?;
        }
        DiskOp::Sync { name } => {
            let path = path(dir, &name)?;
            OpenOptions::new().write(true).open(path)?.sync_data()?;
        }
        DiskOp::Allocate { name, bytes } => {
            let path = writable(dir, &name)?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            allocate(&file, bytes)?;
        }
        DiskOp::Replace { name, bytes } => replace(&writable(dir, &name)?, &bytes)?,
        DiskOp::Rename { from, to } => fs::rename(path(dir, &from)?, writable(dir, &to)?)?,
        DiskOp::SyncDir { name } => {
            make_dir(dir)?;
            sync_dir(&directory(dir, &name)?)?;
        }
        DiskOp::Read { name, offset, bytes } => {
            return read(&File::open(path(dir, &name)?)?, offset, bytes).map(DiskDone::Read);
        }
        DiskOp::List { name } => return list(&directory(dir, &name)?).map(DiskDone::List),
        DiskOp::Remove { name } => match fs::remove_file(path(dir, &name)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        },
    }
    Ok(DiskDone::Ok)
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
    let wanted = left.min(bytes).min(READ_BYTES_MAX) as usize;
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
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
