//! What servers say to one another, and what may be asked of one in its process.

use super::request::{Refused, Request};
use super::servers::Load;
use super::task::{Assignment, ImageHash, TaskId};
use crate::event::Event;
use crate::id::Life;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Between two servers, over their authenticated links.
///
/// ```text
///   Load(address, score, active)      ->  all         now and then
///   Assign(token, task)  -> leader    <-  Assigned(token, assignment)
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// How loaded the sender is.
    Load(Load),
    /// A client of the sender asks for this.
    Assign {
        /// The sender's, for the answer.
        token: u64,
        /// The task.
        task: TaskId,
        /// Its image.
        image: Option<ImageHash>,
        /// The attempt whose server was full.
        refused: Option<u32>,
    },
    /// The leader's decision.
    Assigned {
        /// As in the question.
        token: u64,
        /// Who does it, or why nobody does.
        decision: Result<Assignment, Refused>,
    },
}

/// What may be asked of a server in its own process; answered with
/// [`Answer`](super::Answer).
#[derive(Debug)]
pub struct Call(pub Request);

/// A result was given, with the image; only where
/// [`Config::publish_results`](super::Config::publish_results) asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskDone {
    /// The task.
    pub task: TaskId,
    /// A whole PNG.
    pub image: Bytes,
}

impl Event for TaskDone {
    const NAME: &'static str = "task_done";
}

/// A task was assigned, by this node; for checkers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskAssigned {
    /// The task.
    pub task: TaskId,
    /// To whom.
    pub assignment: Assignment,
    /// The log's index.
    pub version: u64,
}

impl Event for TaskAssigned {
    const NAME: &'static str = "task_assigned";
}

/// A server took a task in; for checkers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskTaken {
    /// The task.
    pub task: TaskId,
    /// The attempt that came with it.
    pub attempt: u32,
    /// By what the server's picture of the history says: to whom it is assigned.
    pub known: Option<(Life, u32)>,
}

impl Event for TaskTaken {
    const NAME: &'static str = "task_taken";
}

/// An acknowledgement was recorded, by this node; for checkers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskRecorded {
    /// The task.
    pub task: TaskId,
    /// As of which index of the log it was in the history.
    pub version: u64,
}

impl Event for TaskRecorded {
    const NAME: &'static str = "task_recorded";
}
