//! Who replicates: replicas by their data directory, nodes by their replica.
//!
//! A replica's id is drawn once for its data directory and recorded in the
//! membership. So a directory that was wiped or exchanged is another replica:
//! it has no vote until the members give it one, under its new id.

use super::engine::mix;
use super::snapshot::{Conf, Meta};
use crate::id::NodeId;
use crate::protocol::membership::{Seat, VoterList};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A replica and the node that runs it.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Member {
    /// The id of its data directory.
    pub replica: u64,
    /// The node.
    pub node: NodeId,
}

/// The replicas that began a group together: the same on each of them.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Founders(Vec<Member>);

impl Founders {
    pub(super) fn new(mut members: Vec<Member>) -> Self {
        members.sort_unstable();
        Founders(members)
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.0
    }

    pub(super) fn has(&self, replica: u64) -> bool {
        self.0.iter().any(|member| member.replica == replica)
    }

    /// The group's id: replicas of two groups never talk.
    pub(super) fn group(&self) -> u64 {
        self.0.iter().fold(0, |hash, member| mix(hash ^ member.replica))
    }

    /// Where a group begins: a snapshot of nothing, the same for all founders.
    pub(super) fn meta(&self) -> Meta {
        let voters = self.0.iter().map(|member| member.replica).collect();
        Meta { index: 1, term: 1, conf: Conf { voters, ..Conf::default() } }
    }

    /// Whether a peer's list is one.
    pub(super) fn is_sound(&self) -> bool {
        self.meta().is_sound() && self.0.is_sorted()
    }
}

/// A change of the membership, an entry of the log.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Change {
    pub(super) voters: Vec<Member>,
    pub(super) learners: Vec<Member>,
    pub(super) removed: Vec<u64>,
}

impl Change {
    /// Replica ids, each to vote (true), to learn (false) or to go.
    pub(super) fn steps(&self) -> Vec<(u64, Option<bool>)> {
        let voters = self.voters.iter().map(|member| (member.replica, Some(true)));
        let learners = self.learners.iter().map(|member| (member.replica, Some(false)));
        voters.chain(learners).chain(self.removed.iter().map(|id| (*id, None))).collect()
    }
}

/// Who votes, by node, and since which entry: what the delivery ladder counts by.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Seats {
    pub(super) version: u64,
    previous: u64,
    since: BTreeMap<NodeId, u64>,
}

impl Seats {
    /// Those with which a group begins.
    pub(super) fn founded(founders: &Founders) -> Self {
        let version = founders.meta().index;
        let since = founders.members().iter().map(|member| (member.node, version)).collect();
        Seats { version, previous: 0, since }
    }

    /// Those of a snapshot that does not tell since when: the same on all replicas.
    pub(super) fn unknown(nodes: BTreeSet<NodeId>) -> Self {
        Seats { version: 1, previous: 0, since: nodes.into_iter().map(|node| (node, 1)).collect() }
    }

    /// From the entry at `index` on these nodes vote.
    pub(super) fn change(&mut self, index: u64, nodes: &BTreeSet<NodeId>) {
        if nodes.iter().eq(self.since.keys()) {
            return;
        }
        (self.previous, self.version) = (self.version, index);
        self.since.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.since.entry(*node).or_insert(index);
        }
    }

    /// The same, as it is published.
    pub(super) fn list(&self) -> VoterList {
        let seats = self.since.iter().map(|(node, since)| Seat { node: *node, since: *since }).collect();
        VoterList { version: self.version, previous: self.previous, seats }
    }
}

/// This node's answer to a peer that it meets.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Hello {
    /// Version of the messages.
    pub(super) version: u8,
    pub(super) replica: u64,
    /// The group that it is of, by its founders.
    pub(super) founders: Option<Founders>,
}

impl Hello {
    /// The group that the sender is of.
    pub(super) fn group(&self) -> Option<u64> {
        self.founders.as_ref().map(Founders::group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_has_another_seat() {
        let founders =
            Founders::new(vec![Member { replica: 21, node: NodeId(1) }, Member { replica: 13, node: NodeId(3) }]);
        let mut seats = Seats::founded(&founders);
        let nodes = |nodes: &[u64]| nodes.iter().map(|node| NodeId(*node)).collect::<BTreeSet<_>>();
        seats.change(5, &nodes(&[1, 3]));
        assert_eq!((seats.version, seats.list().previous), (1, 0), "the same nodes, by other replicas");
        seats.change(7, &nodes(&[3]));
        seats.change(9, &nodes(&[1, 3]));
        assert_eq!((seats.version, seats.list().previous), (9, 7));
        assert_eq!(seats.list().seat(NodeId(1)).map(|seat| seat.since), Some(9));
        assert_eq!(seats.list().seat(NodeId(3)).map(|seat| seat.since), Some(1));
    }

    #[test]
    fn a_group_is_known_by_its_founders_in_whatever_order() {
        let member = |replica| Member { replica, node: NodeId(replica % 10) };
        let founders = Founders::new(vec![member(21), member(13)]);
        assert_eq!(founders, Founders::new(vec![member(13), member(21)]));
        assert_ne!(founders.group(), Founders::new(vec![member(13), member(22)]).group());
        assert!(founders.is_sound() && founders.has(13) && !founders.has(3));
        assert!(!Founders::new(vec![]).is_sound() && !Founders::new(vec![member(5), member(5)]).is_sound());
        assert!(!Founders(vec![member(21), member(13)]).is_sound(), "two orders would be two groups");
    }
}
