//! From a data directory to a replica: reads everything, in turn.
//!
//! ```text
//!   FORMAT -> IDENTITY -> list log, snapshot -> each snapshot, each segment -> recover
//! ```
//!
//! `FORMAT` says which version of these files it is, in a line for people: an
//! older one opens, a newer one is refused. `IDENTITY` holds the replica's id, drawn
//! once, and the node that it belongs to: an exchanged directory is recognised by
//! the node, a wiped one is another replica.

use super::recovery::{Recovered, recover};
use super::snapshot::{Meta, decode};
use super::wal;
use crate::component::{DiskDone, DiskOp};
use crate::id::NodeId;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

/// Version of the files.
const VERSION: u32 = 1;
const FORMAT: &str = "FORMAT";
const IDENTITY: &str = "IDENTITY";
/// The directory of the snapshots.
pub(super) const SNAPSHOTS: &str = "snapshot";
/// A snapshot under construction.
pub(super) const UNFINISHED: &str = "snapshot/unfinished";

/// The file of a snapshot.
pub(super) fn snapshot_name(index: u64) -> String {
    format!("{SNAPSHOTS}/{index:016x}")
}

/// What was read so far, and what is being read.
pub(super) struct Loader {
    node: NodeId,
    asked: Asked,
    formatted: bool,
    replica: Option<u64>,
    segments: BTreeMap<u64, wal::File>,
    snapshots: BTreeMap<u64, Bytes>,
    files: Vec<File>,
    read: BytesMut,
}

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Format,
    Identity,
    Logs,
    Snapshots,
    File,
}

#[derive(Clone, Copy)]
enum File {
    Segment(u64),
    Snapshot(u64),
}

/// What comes next.
pub(super) enum Step {
    /// This operation, whose result is to be told.
    Ask(DiskOp),
    /// All is read.
    Loaded(Box<Loaded>),
    /// The directory is not to be used, and why.
    Refused(String),
}

/// A directory as it was found.
pub(super) struct Loaded {
    /// Its replica; `None` for a new directory.
    pub(super) replica: Option<u64>,
    pub(super) recovered: Option<Recovered>,
    /// Snapshots that are there.
    pub(super) snapshots: Vec<u64>,
    /// The newest whole one's bytes.
    pub(super) newest: Bytes,
}

impl Loader {
    /// The directory of this node, and what to ask first.
    pub(super) fn new(node: NodeId) -> (Self, DiskOp) {
        let loader = Loader {
            node,
            asked: Asked::Format,
            formatted: false,
            replica: None,
            segments: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            files: Vec::new(),
            read: BytesMut::new(),
        };
        (loader, read(FORMAT.into(), 0))
    }

    /// An operation is done.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn done(&mut self, result: io::Result<DiskDone>) -> io::Result<Step> {
        let done = match result {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            other => Some(other?),
        };
        let bytes = match &done {
            Some(DiskDone::Read(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        Ok(match self.asked {
            Asked::Format => match bytes.as_deref().map(format_fault) {
                Some(Some(fault)) => Step::Refused(fault),
                there => {
                    self.formatted = there.is_some();
                    self.asked = Asked::Identity;
                    Step::Ask(read(IDENTITY.into(), 0))
                }
            },
            Asked::Identity => match bytes.as_deref().map(|bytes| self.identity(bytes)) {
                Some(Err(fault)) => Step::Refused(fault),
                there => {
                    self.replica = there.and_then(Result::ok);
                    self.asked = Asked::Logs;
                    Step::Ask(DiskOp::List { name: wal::DIR.into() })
                }
            },
            Asked::Logs => {
                self.list(done, |name| wal::number(name).map(File::Segment));
                self.asked = Asked::Snapshots;
                Step::Ask(DiskOp::List { name: SNAPSHOTS.into() })
            }
            Asked::Snapshots => {
                self.list(done, |name| wal::number(name).map(File::Snapshot));
                self.asked = Asked::File;
                self.next()
            }
            Asked::File => self.file(bytes.unwrap_or_default()),
        })
    }

    fn list(&mut self, done: Option<DiskDone>, file: impl Fn(&str) -> Option<File>) {
        if let Some(DiskDone::List(names)) = done {
            self.files.extend(names.iter().filter_map(|(name, _)| file(name)));
        }
    }

    fn next(&mut self) -> Step {
        match self.files.last() {
            Some(File::Segment(number)) => Step::Ask(read(wal::name(*number), self.read.len() as u64)),
            Some(File::Snapshot(index)) => Step::Ask(read(snapshot_name(*index), self.read.len() as u64)),
            None => self.loaded(),
        }
    }

    fn file(&mut self, bytes: Bytes) -> Step {
        self.read.extend_from_slice(&bytes);
        if (bytes.len() as u64) < DiskOp::READ_BYTES_MAX {
            let whole = std::mem::take(&mut self.read).freeze();
            match self.files.pop() {
                Some(File::Segment(number)) => drop(self.segments.insert(number, whole)),
                Some(File::Snapshot(index)) => drop(self.snapshots.insert(index, whole)),
                None => {}
            }
        }
        self.next()
    }

    fn loaded(&mut self) -> Step {
        let snapshots: Vec<u64> = self.snapshots.keys().copied().collect();
        let Some(replica) = self.replica else {
            return if self.segments.is_empty() && snapshots.is_empty() {
                Step::Loaded(Box::new(Loaded { replica: None, recovered: None, snapshots, newest: Bytes::new() }))
            } else {
                Step::Refused(format!(
                    "{IDENTITY} is missing, and there is a log: restore it, or begin with an empty directory"
                ))
            };
        };
        let whole: Vec<(Meta, Vec<u8>)> = self.snapshots.values().rev().filter_map(|bytes| decode(bytes)).collect();
        match recover(replica, &self.segments, whole) {
            Err(why) => Step::Refused(format!(
                "the log is corrupt ({why}): empty its directory, and this node takes part again as a new replica"
            )),
            Ok(recovered) => {
                let newest = recovered.as_ref().and_then(|it| it.snapshot.as_ref()).map(|(meta, _)| meta.index);
                let newest = newest.and_then(|index| self.snapshots.get(&index)).cloned().unwrap_or_default();
                Step::Loaded(Box::new(Loaded { replica: Some(replica), recovered, snapshots, newest }))
            }
        }
    }

    fn identity(&self, bytes: &[u8]) -> Result<u64, String> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let (said, sum) = text.split_once("sum ").unwrap_or_default();
        let mut numbers = said.lines().filter_map(|line| line.split_once(' ').map(|(_, number)| number));
        let mut number = || numbers.next().and_then(|number| u64::from_str_radix(number, 16).ok());
        match (number(), number()) {
            (Some(node), Some(replica)) if sum.trim() == format!("{:08x}", crc32c::crc32c(said.as_bytes())) => {
                if node == self.node.0 {
                    Ok(replica)
                } else {
                    Err(format!(
                        "this directory belongs to {}, not to {}: were two exchanged?",
                        NodeId(node),
                        self.node
                    ))
                }
            }
            _ => Err(format!("{IDENTITY} is damaged: restore it, or begin with an empty directory")),
        }
    }
}

/// What makes a directory one of this replica; the last is the identity.
pub(super) fn make(node: NodeId, replica: u64) -> [DiskOp; 2] {
    let said = format!("node {:016x}\nreplica {replica:016x}\n", node.0);
    let sum = crc32c::crc32c(said.as_bytes());
    let format = format!("nodewright replicated log, version {VERSION}\n");
    [
        DiskOp::Replace { name: FORMAT.into(), bytes: format.into() },
        DiskOp::Replace { name: IDENTITY.into(), bytes: format!("{said}sum {sum:08x}\n").into() },
    ]
}

fn read(name: String, offset: u64) -> DiskOp {
    DiskOp::Read { name, offset, bytes: DiskOp::READ_BYTES_MAX }
}

fn format_fault(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let version = text.trim().rsplit(' ').next().and_then(|number| number.parse::<u32>().ok());
    match version {
        Some(version) if version <= VERSION => None,
        Some(version) => Some(format!(
            "the directory is of version {version}, this program reads up to {VERSION}: use a newer program"
        )),
        None => Some(format!("{FORMAT} is damaged: restore it, or begin with an empty directory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(op: &DiskOp) -> Bytes {
        match op {
            DiskOp::Replace { bytes, .. } => bytes.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn trap_5_an_exchanged_and_a_damaged_directory_are_recognised() {
        let [format, identity] = make(NodeId(1), 77).map(|op| bytes(&op));
        let (mine, _) = Loader::new(NodeId(1));
        let (other, _) = Loader::new(NodeId(2));
        assert_eq!(mine.identity(&identity), Ok(77));
        assert!(other.identity(&identity).is_err_and(|why| why.contains("exchanged")));
        let mut damaged = identity.to_vec();
        damaged[30] ^= 1;
        assert!(mine.identity(&damaged).is_err_and(|why| why.contains("damaged")));
        assert_eq!(format_fault(&format), None);
        let newer = format_fault(b"nodewright replicated log, version 2\n");
        assert_eq!(
            newer.as_deref(),
            Some("the directory is of version 2, this program reads up to 1: use a newer program")
        );
        assert!(format_fault(b"junk").is_some_and(|why| why.contains("damaged")));
    }
}
