//! What members say to one another.
//!
//! ```text
//!   entry                         holder
//!   Ask 7 Prepare ------------->  makes room
//!                 <-------------  Answer 7 Done
//!   Ask 8 Write + bytes ------->  writes
//!                 <-------------  Answer 8 Done
//!   Ask 9 Read ---------------->  reads
//!                 <-------------  Answer 9 Bytes + bytes
//! ```
//!
//! Every question has one answer, or the life that it was put to ends, or its
//! deadline passes. Whoever asks bounds how much is under way.

use super::super::cuts::Cuts;
use super::super::durability::Durability;
use super::super::holder::{self, Held, Refusal, Scrubbed};
use super::super::manifest::PushId;
use super::super::name::Name;
use super::super::parts_log::{PartId, Place};
use super::super::sums::Hash;
use crate::component::Erased;
use crate::error::CallError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What travels between members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// A question; for [`Ask::Write`] the bytes follow.
    Ask(u64, Ask),
    /// Its answer; for [`Answer::Bytes`] the bytes follow.
    Answer(u64, Answer),
}

/// What a member may ask of another's holder: see [`holder::Call`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // each is a call of the holder
pub enum Ask {
    Prepare {
        id: PartId,
        name: Name,
        cuts: Cuts,
        role: Place,
        /// The index of the map at which the push was begun.
        begun: u64,
    },
    Write {
        id: PartId,
        offset: u64,
    },
    Seal {
        id: PartId,
        digest: Hash,
        durability: Durability,
    },
    Has(PartId),
    Read {
        id: PartId,
        offset: u64,
        bytes: u64,
    },
    Scrub(PartId),
    /// Of a planted bug.
    Abort(PushId),
    /// The member looks through all it should hold, and fetches what it lacks.
    Sweep,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // the answers of the holder's calls
pub enum Answer {
    Done(Result<(), Refusal>),
    Held(Result<Held, Refusal>),
    Bytes(Result<(), Refusal>),
    Scrubbed(Result<Scrubbed, Refusal>),
}

/// An answer with its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Got {
    pub(super) answer: Answer,
    pub(super) bytes: Bytes,
}

/// The type of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Done,
    Held,
    Bytes,
    Scrubbed,
}

impl Ask {
    pub(super) fn form(&self) -> Form {
        match self {
            Ask::Has(_) => Form::Held,
            Ask::Read { .. } => Form::Bytes,
            Ask::Scrub(_) => Form::Scrubbed,
            _ => Form::Done,
        }
    }

    /// As this node's own holder is asked, at this time since 1970; `None` for what is no
    /// call of it.
    pub(super) fn call(self, bytes: Bytes, at_ms: u64) -> Option<holder::Call> {
        Some(match self {
            Ask::Prepare { id, name, cuts, role, .. } => holder::Call::Prepare { id, name, cuts, role },
            Ask::Write { id, offset } => holder::Call::Write { id, offset, bytes },
            Ask::Seal { id, digest, durability } => holder::Call::Seal { id, digest, durability },
            Ask::Has(id) => holder::Call::Has(id),
            Ask::Read { id, offset, bytes } => holder::Call::Read { id, offset, bytes },
            Ask::Scrub(id) => holder::Call::Scrub { id, at_ms },
            Ask::Abort(push) => holder::Call::Abort(push),
            Ask::Sweep => return None,
        })
    }
}

impl Form {
    /// What the holder answered; `None` if it did not.
    pub(super) fn got(self, value: Result<Erased, CallError>) -> Option<Got> {
        let value = value.ok()?;
        let bytes = Bytes::new();
        Some(match self {
            Form::Done => Got { answer: Answer::Done(*value.downcast().ok()?), bytes },
            Form::Held => Got { answer: Answer::Held(*value.downcast().ok()?), bytes },
            Form::Scrubbed => Got { answer: Answer::Scrubbed(*value.downcast().ok()?), bytes },
            Form::Bytes => match *value.downcast::<Result<Bytes, Refusal>>().ok()? {
                Ok(bytes) => Got { answer: Answer::Bytes(Ok(())), bytes },
                Err(refusal) => Got { answer: Answer::Bytes(Err(refusal)), bytes },
            },
        })
    }
}
