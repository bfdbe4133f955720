//! Requests as values, and as the lines that clients write.

use super::super::name::{Name, percent};
use std::fmt;

/// Largest file that a line may announce, in bytes.
pub const SIZE_MAX: u64 = 1 << 50;

/// A part as the old verbs name it: `<name>.part-002-of-003`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The file.
    pub name: Name,
    /// The part, from 1.
    pub part: u16,
    /// Of so many.
    pub parts: u16,
}

/// What a push expects to stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// No file.
    Nothing,
    /// This version.
    Version(u64),
}

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// How names begin.
    pub prefix: Vec<u8>,
    /// Only those behind this one.
    pub after: Vec<u8>,
    /// At most so many.
    pub limit: u32,
}

/// How fast parts are moved to today's ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// As configured.
    Usual,
    /// Bytes a second.
    Bytes(u64),
    /// Not at all: what is under way ends.
    Stop,
    /// As it is: how far it has come is asked.
    Status,
}

/// A request. [The table](super) says what each is and how it is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // each is a line of the table
pub enum Request {
    Auth(String),
    Ping,
    Status,
    Next(String),
    Heal,
    Rebuild,
    WhatIf(Vec<String>),
    Rebalance(Rate),
    Drain(String),
    Forget(String),
    Netmap { all: bool },
    Discover,
    Walk,
    List,
    ListPage(Listing),
    Push { size: u64, name: Name },
    PushIf { expected: Expected, size: u64, name: Name },
    Pull(Name),
    Get { offset: u64, length: u64, name: Name },
    Stat(Name),
    Manifest(Name),
    Explain(Name),
    Delete(Name),
    Undo(Name),
    Scrub(Option<Name>),
    GetChunk(Chunk),
    GetBackupChunk(Chunk),
    GetChunkForBackup(Chunk),
}

/// A line that is no request, or one that is refused by itself. Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What stands behind `ERR `.
    pub text: String,
    /// So many bytes follow, to be skipped.
    pub body: u64,
    /// What follows cannot be told from requests: the connection ends.
    pub close: bool,
}

impl Refused {
    /// The line is no request.
    pub(super) fn line(text: impl Into<String>) -> Self {
        Refused { text: text.into(), body: 0, close: false }
    }
}

impl Request {
    /// How many bytes follow the line.
    pub fn body(&self) -> u64 {
        match self {
            Request::Push { size, .. } | Request::PushIf { size, .. } => *size,
            _ => 0,
        }
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.part-{:03}-of-{:03}", self.name, self.part, self.parts)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Nothing => f.write_str("none"),
            Expected::Version(version) => write!(f, "{version}"),
        }
    }
}

/// The line, without its end.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |bytes: &[u8]| if bytes.is_empty() { "-".into() } else { escaped(bytes) };
        match self {
            Request::Auth(token) => write!(f, "AUTH {token}"),
            Request::Ping => f.write_str("NODE PING"),
            Request::Status => f.write_str("NODE STATUS"),
            Request::Next(address) => write!(f, "NODE NEXT {address}"),
            Request::Heal => f.write_str("NODE HEAL"),
            Request::Rebuild => f.write_str("NODE REBUILD"),
            Request::WhatIf(ports) => write!(f, "NODE WHATIF {}", ports.join(",")),
            Request::Rebalance(Rate::Usual) => f.write_str("NODE REBALANCE"),
            Request::Rebalance(Rate::Bytes(bytes)) => write!(f, "NODE REBALANCE {bytes}"),
            Request::Rebalance(Rate::Stop) => f.write_str("NODE REBALANCE stop"),
            Request::Rebalance(Rate::Status) => f.write_str("NODE REBALANCE status"),
            Request::Drain(address) => write!(f, "NODE DRAIN {address}"),
            Request::Forget(address) => write!(f, "NODE FORGET {address}"),
            Request::Netmap { all: false } => f.write_str("NETMAP GET"),
            Request::Netmap { all: true } => f.write_str("NETMAP GET-ALL"),
            Request::Discover => f.write_str("NETMAP DISCOVER"),
            Request::Walk => f.write_str("TOPOLOGY WALK"),
            Request::List => f.write_str("FILE LIST"),
            Request::ListPage(Listing { prefix, after, limit }) => {
                write!(f, "FILE LIST {} {} {limit}", field(prefix), field(after))
            }
            Request::Push { size, name } => write!(f, "FILE PUSH {size} {name}"),
            Request::PushIf { expected, size, name } => write!(f, "FILE PUSH-IF {expected} {size} {name}"),
            Request::Pull(name) => write!(f, "FILE PULL {name}"),
            Request::Get { offset, length, name } => write!(f, "FILE GET {offset} {length} {name}"),
            Request::Stat(name) => write!(f, "FILE STAT {name}"),
            Request::Manifest(name) => write!(f, "FILE MANIFEST {name}"),
            Request::Explain(name) => write!(f, "FILE EXPLAIN {name}"),
            Request::Delete(name) => write!(f, "FILE DELETE {name}"),
            Request::Undo(name) => write!(f, "FILE UNDO {name}"),
            Request::Scrub(None) => f.write_str("FILE SCRUB"),
            Request::Scrub(Some(name)) => write!(f, "FILE SCRUB {name}"),
            Request::GetChunk(chunk) => write!(f, "FILE GET-CHUNK {chunk}"),
            Request::GetBackupChunk(chunk) => write!(f, "FILE GET-BACKUP-CHUNK {chunk}"),
            Request::GetChunkForBackup(chunk) => write!(f, "FILE GET-CHUNK-FOR-BACKUP {chunk}"),
        }
    }
}

/// One field of a line; a lone `-` would be none.
pub(super) fn escaped(bytes: &[u8]) -> String {
    if bytes == b"-" { "%2D".into() } else { percent(bytes, false) }
}
