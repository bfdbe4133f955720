//! Who is linked with this node: the published events.

use super::VoterList;
use crate::component::{Boot, EndedWhy, PeerRole};
use crate::event::Event;
use crate::id::{Life, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One linked life and its node's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The life.
    pub life: Life,
    /// Its node's name.
    pub name: Arc<str>,
}

/// Who is linked with this node, and how many lives are over. Retained. A local
/// view: two nodes' views may differ at any time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// How many voters are configured, or listed by a replicated log.
    pub configured: usize,
    /// The voters with a life known to this node, itself included where it is
    /// one, by node id.
    pub voters: Vec<Member>,
    /// The others linked with this node, which have no vote, itself included where
    /// it has none, by node id.
    pub listeners: Vec<Member>,
    /// How many peers' lives have ended since this life started.
    pub ended: u64,
}

impl Event for View {
    const NAME: &'static str = "view";
    const RETAINED: bool = true;
}

/// A member's life is over for this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LifeEndedEvent {
    /// The life.
    pub life: Life,
    /// Its node's name.
    pub name: Arc<str>,
    /// Why.
    pub why: EndedWhy,
}

impl Event for LifeEndedEvent {
    const NAME: &'static str = "life_ended";
}

/// A linked member.
pub(super) struct Peer {
    pub(super) life: Life,
    pub(super) role: PeerRole,
    pub(super) name: Arc<str>,
}

impl Peer {
    /// What it is by a log's list of the voters, or else by its link.
    pub(super) fn role_by(&self, list: Option<&VoterList>) -> PeerRole {
        match (self.role, list) {
            (PeerRole::Voter | PeerRole::Joiner, Some(list)) if list.seat(self.life.node).is_some() => PeerRole::Voter,
            (PeerRole::Voter | PeerRole::Joiner, Some(_)) => PeerRole::Joiner,
            (role, _) => role,
        }
    }
}

/// The view of the node `boot`, linked with `peers`.
pub(super) fn view(boot: &Boot, list: Option<&VoterList>, peers: &BTreeMap<NodeId, Peer>, ended: u64) -> View {
    let votes = list.map_or(boot.voter, |list| list.seat(boot.me.node).is_some());
    let my_role = if votes { PeerRole::Voter } else { PeerRole::Listener };
    let members = |role: PeerRole| {
        let shown = |of: PeerRole| if of == PeerRole::Joiner { PeerRole::Listener } else { of };
        let linked = peers.values().filter(|peer| shown(peer.role_by(list)) == role);
        let linked = linked.map(|peer| Member { life: peer.life, name: peer.name.clone() });
        let me = (role == my_role).then(|| Member { life: boot.me, name: boot.name.clone() });
        let mut members: Vec<Member> = linked.chain(me).collect();
        members.sort_by_key(|member| member.life);
        members
    };
    let configured = list.map_or(boot.voters, |list| list.seats.len());
    View { configured, voters: members(PeerRole::Voter), listeners: members(PeerRole::Listener), ended }
}
