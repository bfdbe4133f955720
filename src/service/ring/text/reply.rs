//! Answers as they are written. Every line ends with LF.

use super::super::durability::Durability;
use super::super::manifest::{Manifest, State};
use super::super::name::Name;
use super::super::netmap::Netmap;
use super::super::rebalance::{Progress, Standing};
use super::super::sums::Hash;
use super::super::what_if::Tally;
use super::request::{Chunk, escaped};
use crate::id::NodeId;
use std::fmt::Write;

/// The first line of `FILE LIST`.
pub const CSV_HEADER: &str = "name,start,size,version,parts,copies,mtime,root\n";

/// What went wrong, as programs read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Too few nodes answer. What was pushed is not there, or it is not known.
    Unavailable,
    /// Another version is there.
    Conflict,
    /// Too much is under way: try again.
    Busy,
    /// No room.
    Full,
    /// No such file.
    NotFound,
    /// The range is not in the file.
    Range,
    /// The token is missing or wrong.
    Auth,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 7] =
        [Code::Unavailable, Code::Conflict, Code::Busy, Code::Full, Code::NotFound, Code::Range, Code::Auth];

    pub(super) fn text(self) -> &'static str {
        match self {
            Code::Unavailable => "UNAVAILABLE",
            Code::Conflict => "CONFLICT",
            Code::Busy => "BUSY",
            Code::Full => "FULL",
            Code::NotFound => "NOT-FOUND",
            Code::Range => "RANGE",
            Code::Auth => "AUTH",
        }
    }
}

/// `ERR <text>`, in one line whatever the text.
pub fn error(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("ERR {plain}\n")
}

/// `ERR <CODE> <text>`.
pub fn coded(code: Code, text: &str) -> String {
    error(&format!("{} {text}", code.text()))
}

/// The answer to `NODE STATUS`.
pub fn status(port: &str, next: Option<&str>) -> String {
    format!("PORT {port}\nNEXT {}\nOK\n", next.unwrap_or("<unset>"))
}

/// The answer to `NETMAP GET` and `NETMAP GET-ALL`.
pub fn netmap(map: &Netmap, all: bool) -> String {
    lines(map.lines(all))
}

/// The answer to `TOPOLOGY WALK`: one hop from each node to the next, and from the
/// last to the first.
pub fn walk(ports: &[String]) -> String {
    let next = ports.iter().cycle().skip(1);
    lines(ports.iter().zip(next).map(|(from, to)| format!("{from}->{to}")))
}

/// The answer to `FILE PUSH`: only once the push is committed.
pub fn pushed(manifest: &Manifest, copies: u8, durability: Durability) -> String {
    let (size, parts, version) = (manifest.cuts.size(), manifest.cuts.parts(), manifest.version);
    let first = format!("FILE {size} bytes split into {parts} chunks and distributed\n");
    format!("{first}OK {size} {} v{version} copies={copies} durability={durability}\n", hex(&manifest.root))
}

/// One row of `FILE LIST`; `start` is the port of the file's first slot.
pub fn csv_row(manifest: &Manifest, start: &str) -> String {
    let Manifest { name, version, cuts, root, copies, mtime_ms, .. } = manifest;
    let (size, parts, root) = (cuts.size(), cuts.parts(), hex(root));
    let (name, start) = (quoted(name.as_str()), quoted(start));
    format!("{name},{start},{size},{version},{parts},{copies},{mtime_ms},{root}\n")
}

/// What stands behind the rows of a page: where the next one begins.
pub fn page_end(more_after: Option<&Name>) -> String {
    match more_after {
        Some(name) => format!("OK after={}\n", escaped(name.as_str().as_bytes())),
        None => "OK\n".into(),
    }
}

/// What stands before the bytes of `FILE GET`.
pub fn range(length: u64, manifest: &Manifest) -> String {
    format!("OK {length} of {} v{}\n", manifest.cuts.size(), manifest.version)
}

/// The answer to `FILE STAT`.
pub fn stat(manifest: &Manifest) -> String {
    let Manifest { version, cuts, root, copies, mtime_ms, state, .. } = manifest;
    let state = match state {
        State::Live => "live",
        State::Deleted { .. } => "deleted",
    };
    let (size, parts, root) = (cuts.size(), cuts.parts(), hex(root));
    format!("OK {size} {root} v{version} parts={parts} copies={copies} mtime={mtime_ms} state={state}\n")
}

/// The answer to `FILE MANIFEST`.
pub fn manifest(manifest: &Manifest, port: impl Fn(NodeId) -> String) -> String {
    let parts = (1..=manifest.cuts.parts()).zip(manifest.slots.iter().zip(&manifest.digests));
    lines(parts.map(|(part, (slot, digest))| {
        let (start, size) = (manifest.cuts.start(part), manifest.cuts.bytes(part));
        format!("part {part} start={start} size={size} digest={} slot={}", hex(digest), port(*slot))
    }))
}

/// The answer to `NODE WHATIF`.
pub fn what_if(tally: &Tally) -> String {
    let Tally { files, unreadable, unreadable_bytes, degraded } = tally;
    format!("files={files} unreadable={unreadable} bytes={unreadable_bytes} degraded={degraded}\nOK\n")
}

/// The answer to `NODE REBALANCE`.
pub fn rebalanced(progress: &Progress) -> String {
    let Progress { state, rate, moved, bytes, left } = progress;
    let state = match state {
        Standing::None => "none",
        Standing::Running => "running",
        Standing::Done => "done",
        Standing::Stopped => "stopped",
    };
    format!("OK state={state} moved={moved} bytes={bytes} left={left} rate={rate}\n")
}

/// What stands before the bytes of `FILE GET-CHUNK`.
pub fn chunk(next: Option<&str>, size: u64, chunk: &Chunk) -> String {
    format!("FILE RESP-CHUNK {} {size} {chunk}\n", next.unwrap_or("<unset>"))
}

/// A hash as `b3sum` prints it.
pub fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // into memory: it takes everything
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    text + "OK\n"
}

/// A field of a CSV (RFC 4180). Spaces at its ends are the name's own.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
