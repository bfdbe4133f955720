//! What may be asked of a holder, and what it answers.

use super::super::cuts::Cuts;
use super::super::durability::Durability;
use super::super::manifest::{Manifest, PushId};
use super::super::name::Name;
use super::super::parts_log::{PartId, Place};
use super::super::sums::Hash;
use serde::{Deserialize, Serialize};

/// What may be asked of a holder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Makes room for a part. Answered with `Result<(), Refusal>`.
    Prepare {
        /// Which.
        id: PartId,
        /// The file.
        name: Name,
        /// How it is cut.
        cuts: Cuts,
        /// [`Place::Content`] for the owner, else [`Place::Backup`].
        role: Place,
    },
    /// The part's next bytes. Answered with `Result<(), Refusal>` once they are
    /// written: nothing is promised of them yet.
    Write {
        /// Which.
        id: PartId,
        /// Where in the part they begin: where the last ones ended.
        offset: u64,
        /// The bytes.
        bytes: bytes::Bytes,
    },
    /// The part is whole. Answered with `Result<(), Refusal>`: the part with this
    /// digest is on the disk, as durably as was asked for.
    Seal {
        /// Which.
        id: PartId,
        /// Over its blocks' hashes.
        digest: Hash,
        /// What the answer is to rest on.
        durability: Durability,
    },
    /// The push was committed. Answered with `Result<u16, Refusal>`, the number of
    /// its parts here, once they lie where readers find them. Again is the same.
    Commit(Box<Manifest>),
    /// The push will never be committed: *the map has said so*. Its bytes go.
    /// Answered with `Result<(), Refusal>`.
    Abort(PushId),
    /// The content is the file no more; undo is open. Answered with
    /// `Result<(), Refusal>`.
    Retire(PushId),
    /// Undo is over: the content's bytes go. Answered with `Result<(), Refusal>`.
    Purge(PushId),
    /// The part will not be called whole: what was written of it goes. Answered with
    /// `Result<(), Refusal>`.
    GiveUp(PartId),
    /// All whole parts. Answered with `Result<Vec<Stocked>, Refusal>`.
    Inventory,
    /// All files of which a part lies here, as far as this disk knows. Answered with
    /// `Result<Vec<Manifest>, Refusal>`.
    Files,
    /// Answered with `Result<Held, Refusal>`.
    Has(PartId),
    /// Reads of a part. Answered with `Result<Bytes, Refusal>`; whoever asks
    /// verifies.
    Read {
        /// Which.
        id: PartId,
        /// Where in the part.
        offset: u64,
        /// How much, at most a block.
        bytes: u64,
    },
    /// A byte of the n-th part that is some file's is another one from now on: what
    /// tests do to disks. Answered with `bool`, whether there was one.
    #[doc(hidden)]
    Rot(usize),
    /// Reads a part whole and compares. Answered with `Result<Scrubbed, Refusal>`.
    /// A part that is not what it was goes into quarantine.
    Scrub {
        /// Which.
        id: PartId,
        /// When, in milliseconds since 1970: [`Held`] tells it.
        at_ms: u64,
    },
}

/// A whole part, in an inventory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stocked {
    /// Which.
    pub id: PartId,
    /// Where it lies.
    pub place: Place,
    /// Of which version of the file, once its push was committed.
    pub version: Option<u64>,
}

/// What a holder has of a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Where it lies.
    pub place: Place,
    /// Length, in bytes.
    pub bytes: u64,
    /// Over `sums`.
    pub digest: Hash,
    /// Its blocks' hashes.
    pub sums: Vec<Hash>,
    /// When it was last read whole and was right, in milliseconds since 1970.
    pub checked_ms: Option<u64>,
}

/// What a scrub found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Bytes that were really read.
    pub bytes: u64,
    /// The first block that was wrong, from 0.
    pub bad: Option<u64>,
}

/// Why a holder did not do what was asked. Nothing changed unless it is said.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// It is still reading its directory.
    #[error("the holder is still reading its directory: ask again")]
    Starting,
    /// It has no such part.
    #[error("the holder has no such part")]
    Unknown,
    /// The part is there already, whole or in part.
    #[error("the holder has this part already")]
    Twice,
    /// Too many parts are being written.
    #[error("too many parts are being written: ask again")]
    Busy,
    /// Its disk has no more room. What was written of the part is gone.
    #[error("the holder's disk is full (what was written of the part is gone)")]
    Full,
    /// Bytes that do not follow on the last ones, or go beyond the part's end.
    #[error("the bytes do not follow on the {0} that were written")]
    OutOfOrder(u64),
    /// A part was called whole that is not. What was written of it is gone.
    #[error("the part is not whole: {0} bytes were written (they are gone)")]
    Short(u64),
    /// Another part was written than was called whole. It is gone.
    #[error("the part is not what it is called (it is gone)")]
    Wrong,
    /// The push was committed, or was not: what was asked is too late or too early.
    #[error("the push is {0}")]
    State(Committed),
    /// The disk failed. What was written of the part is gone.
    #[error("the holder's disk failed: {0}")]
    Disk(String),
}

/// How far a push has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Committed {
    /// It was committed.
    Yes,
    /// Not yet.
    No,
}

impl std::fmt::Display for Committed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Committed::Yes => "committed",
            Committed::No => "not committed",
        })
    }
}
