//! Which life this is, and that no other process lives it too.

use super::disk;
use crate::id::Incarnation;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Hands out incarnations, each greater than all before it: from the file
/// `incarnation` in the node's directory, or without one from the wall clock's
/// milliseconds. A directory's first life is taken from the wall clock too, so
/// that a lost directory does not lead back to old lives.
#[derive(Debug)]
pub(super) struct Incarnations {
    file: Option<PathBuf>,
    last: u64,
    /// Locked as long as the node runs: two processes do not share it.
    _lock: Option<File>,
}

/// Why a node's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another process runs on it.
    #[error("the directory {0} is in use by another node: give each node a directory of its own")]
    InUse(PathBuf),
    /// The file that counts the lives holds something else.
    #[error("{0} holds no number: put a number greater than every earlier incarnation into it, or remove it")]
    NoNumber(PathBuf),
    /// Its last life was the greatest that can be counted.
    #[error("no life can follow the last one: 2^64 - 1 is used up ({0}); give the node another id")]
    NoneLeft(PathBuf),
    /// The system refused.
    #[error("the directory {dir} cannot be used: {error}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Incarnations {
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, DirError> {
        let Some(dir) = dir else { return Ok(Incarnations { file: None, last: 0, _lock: None }) };
        let refused = |error| DirError::Io { dir: dir.to_owned(), error };
        disk::make_dir(dir).map_err(refused)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("lock"));
        let lock = lock.map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DirError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        let file = dir.join("incarnation");
        let last = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|_| DirError::NoNumber(file.clone()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(refused(error)),
        };
        Ok(Incarnations { file: Some(file), last, _lock: Some(lock) })
    }

    /// The next one, at least `at_least`; durable where there is a directory.
    pub(super) fn next(&mut self, at_least: u64) -> Result<Incarnation, DirError> {
        // peers may know of the greatest one, and so may the file: there is none after it
        let next = self.last.checked_add(1).ok_or_else(|| DirError::NoneLeft(self.file.clone().unwrap_or_default()))?;
        let mut next = next.max(at_least);
        if self.file.is_none() || self.last == 0 {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            next = next.max(since.as_millis() as u64);
        }
        self.last = next;
        if let Some(file) = &self.file {
            disk::replace(file, format!("{next}\n").as_bytes())
                .map_err(|error| DirError::Io { dir: file.clone(), error })?;
        }
        Ok(Incarnation(next))
    }
}
