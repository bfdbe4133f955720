//! The list of the voters where it is a replicated log's: each list follows one
//! other, and all nodes see the same ones, some of them later.

use crate::event::Event;
use crate::id::NodeId;
use std::sync::Arc;

/// Who votes, as a replicated log says. Retained. A node that has such a log
/// counts by no other list; lists come in their order, and a node that was far
/// behind may miss some.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VoterList {
    /// Index of the entry that made it: later lists have greater ones.
    pub version: u64,
    /// The version of the list that it follows; 0 for the first.
    pub previous: u64,
    /// Who votes, by node.
    pub seats: Arc<[Seat]>,
}

/// A node's place among the voters.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seat {
    /// The node.
    pub node: NodeId,
    /// The version of the list that it came with: a node that was removed and
    /// taken in again has another seat.
    pub since: u64,
}

impl VoterList {
    /// The seat of a node that votes.
    pub fn seat(&self, node: NodeId) -> Option<Seat> {
        self.seats.iter().find(|seat| seat.node == node).copied()
    }
}

impl Event for VoterList {
    const NAME: &'static str = "voter_list";
    const RETAINED: bool = true;
}
