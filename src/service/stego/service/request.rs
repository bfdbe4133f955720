//! What clients ask and what they are told, whatever dialect they speak.

use super::stats::Stats;
use super::task::{Assignment, Fence, ImageHash, TaskId};
use crate::service::stego::Format;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a client asks.
///
/// ```text
///   Assign(task, image)  ->  any     Assigned(server, fence)      one entry of the log
///   Submit(fence, cover) ->  server  Image, or Failed: the payload does not fit, say
///   Acked  <- Ack(task)  ->  any     the task leaves the history: it is recorded
///   Where(task)          ->  any     Assigned: after the server fell, to another one
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Who leads?
    Leader,
    /// Who is to do this task? The same until it is acknowledged, unless its server
    /// fell or (`refused`) had no room.
    Assign {
        /// The task.
        task: TaskId,
        /// Its image.
        image: Option<ImageHash>,
        /// The attempt whose server was full.
        refused: Option<u32>,
    },
    /// Do it.
    Submit {
        /// The task.
        task: TaskId,
        /// By which assignment; clients of the JSON dialect do not say.
        fence: Option<Fence>,
        /// What to do.
        work: Work,
    },
    /// The result is here, and is a good one (or a final failure).
    Ack {
        /// The task.
        task: TaskId,
    },
    /// Who is to do this task now?
    Where {
        /// The task.
        task: TaskId,
    },
    /// How does this server do? Answered by every one by itself.
    Stats,
    /// What only servers say to one another, over links that are authenticated.
    ServerVerb(&'static str),
}

/// What is to be embedded in what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Work {
    /// An image file; none for the server's own.
    pub cover: Option<Bytes>,
    /// What is hidden.
    pub payload: Bytes,
    /// Whether the payload is text.
    pub is_text: bool,
    /// How it lies in the image; not sealed, for no password travels.
    pub format: Format,
}

impl Work {
    /// Bytes that it holds while it waits.
    pub fn bytes(&self) -> usize {
        self.cover.as_ref().map_or(0, Bytes::len) + self.payload.len()
    }
}

/// What a client is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Who leads: its id, where clients reach it, its epoch.
    Leader(u64, String, u64),
    /// Who does the task.
    Assigned(Assignment),
    /// The result: a whole PNG.
    Image(Bytes),
    /// There is none, and another server would say the same.
    Failed(String),
    /// This server has no room now: have it assigned to another one.
    Full,
    /// Recorded: by this very acknowledgement, or (`false`) by an earlier one.
    Acked(bool),
    /// How this server does.
    Stats(Box<Stats>),
    /// Not done, and why.
    Refused(Refused),
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// Nothing of it is known: it was never assigned, or is acknowledged.
    #[error("no such task: it was never assigned, or its result is acknowledged")]
    NoSuchTask,
    /// No leader is known here, or it did not answer: ask again.
    #[error("no leader answers now (not done): ask again")]
    NoLeader,
    /// The task is that of another image.
    #[error("this request id stands for another image: take a new one, or acknowledge that task first")]
    OtherImage,
    /// As many tasks are open as the history holds.
    #[error("as many tasks are open as the history holds (not done): ask again later")]
    Busy,
    /// What only servers may say, over links that are authenticated.
    #[error("'{0}' is for servers alone, over their authenticated links: not done")]
    ServerVerb(String),
    /// It is nothing that is understood.
    #[error("not understood: {0}")]
    Bad(String),
}
