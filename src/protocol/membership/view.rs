//! Who is linked with this node: the published events.

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
    /// How many voters are configured.
    pub configured: usize,
    /// The voters with a life known to this node, itself included where it is
    /// one, by node id.
    pub voters: Vec<Member>,
    /// The listeners linked with this node, itself included where it is one, by
    /// node id.
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

/// The view of the node `boot`, linked with `peers`.
pub(super) fn view(boot: &Boot, peers: &BTreeMap<NodeId, Peer>, ended: u64) -> View {
    let my_role = if boot.voter { PeerRole::Voter } else { PeerRole::Listener };
    let members = |role: PeerRole| {
        let shown = |of: PeerRole| if of == PeerRole::Joiner { PeerRole::Listener } else { of };
        let linked = peers.values().filter(|peer| shown(peer.role) == role);
        let linked = linked.map(|peer| Member { life: peer.life, name: peer.name.clone() });
        let me = (role == my_role).then(|| Member { life: boot.me, name: boot.name.clone() });
        let mut members: Vec<Member> = linked.chain(me).collect();
        members.sort_by_key(|member| member.life);
        members
    };
    View { configured: boot.voters, voters: members(PeerRole::Voter), listeners: members(PeerRole::Listener), ended }
}
