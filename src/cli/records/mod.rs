//! Delivery records: what one life of a node broadcast and delivered, in the
//! order in which it happened there, on disk.
//!
//! One append-only file a life, `<name>.<incarnation>.records`: frames of
//! `[length u32][crc32c u32][postcard record]`, little endian. The order of
//! the records is the life's local history, which is all that a verdict needs:
//! FIFO order is the order of an origin's broadcasts, and the causal past of a
//! broadcast is what stands before it in its origin's file.
//!
//! Records are written about 20 ms after what they record (100 ms for the first
//! after a pause), so that a killed life loses only the tail of its history. A frame torn at the end of a
//! file is that crash; a whole frame with a wrong checksum is damage.

mod reader;
mod writer;

pub(crate) use reader::{Tail, read};
pub(crate) use writer::{FLUSH_EVERY, FLUSH_EVERY_IDLE, Recorder};

use crate::id::Life;
use crate::protocol::delivery::Delivery;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of this format.
const FORMAT: u16 = 1;

/// Most bytes of one record: a length above it is damage, not a record.
const RECORD_BYTES_MAX: usize = 4096;

/// One entry of a life's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// Whose history this is; the first record.
    Life {
        /// Version of the format.
        format: u16,
        /// The life.
        life: Life,
        /// The node's name.
        name: String,
        /// The delivery that the broadcasts go through.
        delivery: String,
        /// Wall clock at the start, for people.
        unix_ms: u64,
    },
    /// How many voters are configured.
    Voters(u32),
    /// This life is about to broadcast its `n`th payload.
    Broadcast {
        /// Counted from 1.
        n: u64,
    },
    /// That broadcast was refused: it was not done.
    Refused {
        /// As in `Broadcast`.
        n: u64,
    },
    /// A payload was delivered here.
    Delivered(Delivered),
    /// A peer's standing changed in this life's eyes.
    Peer {
        /// The peer.
        life: Life,
        /// What happened.
        standing: Standing,
    },
    /// What this life costs.
    Sample(Sample),
    /// The life stopped as it was asked to; the last record.
    End,
}

/// A delivery: the message's place in the protocol and what it carried.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// The life that broadcast it, as the delivery component says.
    pub(crate) origin: Life,
    /// Its batch.
    pub(crate) batch: u64,
    /// Its place in the batch.
    pub(crate) index: u32,
    /// Who broadcast it and as which payload, as its bytes say; `None` if the
    /// bytes are not those of a whole payload.
    pub(crate) payload: Option<(Life, u64)>,
}

/// What happened to a peer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Linked and known.
    Joined,
    /// The failure detector takes it for crashed.
    Suspected,
    /// The failure detector was wrong, or it came back.
    Restored,
    /// Its life is over: it crashed, or the voters ended it.
    Ended,
    /// It said that it leaves.
    Left,
}

/// What a process costs, from `/proc`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Since the start of the life.
    pub(crate) at_ms: u64,
    /// Resident memory now.
    pub(crate) rss_bytes: u64,
    /// Resident memory at its highest.
    pub(crate) rss_bytes_max: u64,
    /// Threads.
    pub(crate) threads: u32,
    /// Open descriptors.
    pub(crate) descriptors: u32,
    /// Processor time used so far.
    pub(crate) cpu_ms: u64,
}

/// The file that holds a life's history.
pub(crate) fn file_of(dir: &Path, name: &str, life: Life) -> PathBuf {
    dir.join(format!("{name}.{}.{EXTENSION}", life.incarnation.0))
}

/// Extension of the files.
pub(crate) const EXTENSION: &str = "records";

/// What a life's first record says of it.
pub(crate) fn header(life: Life, name: &str, delivery: Delivery) -> Record {
    let unix_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Record::Life { format: FORMAT, life, name: name.to_string(), delivery: delivery.name().to_string(), unix_ms }
}
