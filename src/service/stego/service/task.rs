//! Tasks: their names, and to whom one is assigned.

use crate::id::Life;
use crate::protocol::election::Epoch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name of a client, in bytes; none is empty.
pub const CLIENT_BYTES_MAX: usize = 128;
/// How the history's keys begin in the replicated map.
pub const PREFIX: &[u8] = b"stego/task/";

/// A task: whose, and which of theirs. Chosen by the client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TaskId {
    /// The client's name.
    pub client: String,
    /// Its number for it.
    pub request: u64,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client, self.request)
    }
}

impl TaskId {
    /// Whether a history may hold it.
    pub fn is_sound(&self) -> bool {
        !self.client.is_empty() && self.client.len() <= CLIENT_BYTES_MAX
    }

    /// Its key in the history.
    pub(super) fn key(&self) -> Bytes {
        [PREFIX, &self.request.to_be_bytes(), self.client.as_bytes()].concat().into()
    }

    /// The task of a key.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        let (request, client) = key.strip_prefix(PREFIX)?.split_first_chunk()?;
        let client = String::from_utf8(client.to_vec()).ok()?;
        Some(TaskId { client, request: u64::from_be_bytes(*request) }).filter(TaskId::is_sound)
    }
}

/// BLAKE3 of a cover as the client has it.
pub type ImageHash = [u8; 32];

/// Whose turn it is with a task: rises with every assignment of it. Whoever comes
/// with a lower one is refused.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// The epoch of the leader that assigned.
    pub epoch: u64,
    /// How often the task has been assigned, from 1.
    pub attempt: u32,
}

/// What the history holds of a task that is not over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The life that is to do it.
    pub server: Life,
    /// Where clients reach that.
    pub address: String,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// From 1.
    pub attempt: u32,
    /// What the image is; not known of clients that do not say so.
    pub image: Option<ImageHash>,
}

impl Assignment {
    /// Its fence.
    pub fn fence(&self) -> Fence {
        Fence { epoch: self.epoch.number, attempt: self.attempt }
    }

    pub(super) fn encoded(&self) -> Bytes {
        postcard::to_stdvec(self).unwrap_or_default().into() // of plain values: cannot fail
    }

    pub(super) fn decoded(value: &[u8]) -> Option<Self> {
        postcard::from_bytes(value).ok()
    }

    /// Whether this client's image is another one.
    pub(super) fn is_of_other(&self, image: Option<&ImageHash>) -> bool {
        matches!((&self.image, image), (Some(mine), Some(theirs)) if mine != theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_which_task_it_is_of() {
        let task = TaskId { client: "Client1".into(), request: 300 };
        assert_eq!(TaskId::of_key(&task.key()), Some(task));
        for junk in [&b"stego/task/"[..], b"stego/task/1234567", b"other", b"stego/task/12345678\xff"] {
            assert_eq!(TaskId::of_key(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn a_task_of_a_nameless_or_long_named_client_is_none() {
        let named = |client: String| TaskId { client, request: 1 };
        assert!(!named(String::new()).is_sound());
        assert!(!named("x".repeat(CLIENT_BYTES_MAX + 1)).is_sound());
        assert!(named("x".repeat(CLIENT_BYTES_MAX)).is_sound());
    }
}
