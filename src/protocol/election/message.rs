//! What travels between nodes, and what may be asked.

use super::epoch::Epoch;
use super::event::LeaderElected;
use super::rank::Rank;
use serde::{Deserialize, Serialize};

/// See [the module](super) for the dialogue. Each says for which epoch.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Message {
    /// The sender seeks to lead: who is better?
    Election {
        /// The number that its epoch would have, or exceed.
        number: u64,
        /// The sender's, frozen for this number.
        rank: Rank,
        /// There is a leader that is up, and this is to displace it.
        challenge: bool,
    },
    /// The sender is better: let it.
    Answer {
        /// As in the question.
        number: u64,
    },
    /// The sender leads.
    Coordinator {
        /// Its epoch.
        epoch: Epoch,
        /// Its present load score in tenths of a point, if it has one.
        score: Option<u16>,
    },
    /// To one that leads in a lower epoch: the sender has followed this one, and
    /// has no leader. It can only follow a higher one.
    Outdated {
        /// The highest that it has followed, in this life or an earlier one.
        epoch: Epoch,
    },
}

/// What may be asked of an election.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Answered with [`Status`].
    Status,
    /// So many tasks are active here from now on: a part of the load score.
    /// Answered with `()`.
    ActiveTasks(u32),
}

/// How things stand on one node.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The last leader that this node heard of; not necessarily up.
    pub last: Option<LeaderElected>,
    /// The leader now, as far as this node knows.
    pub leader: Option<LeaderElected>,
    /// Whether that is this life, and its lease (in safe mode) lasts.
    pub leads: bool,
    /// The load score in tenths of a point; `None` if it is no candidate by load.
    pub score: Option<u16>,
}
