//! The ring's order, who is in it, and in which state.
//!
//! The order is one record of the map, `ring/topology`, numbered by its version
//! there. A node that starts writes itself in where its address belongs, or where
//! `NODE NEXT` put it; nobody else moves for that, since files remember the ring
//! they were pushed to. States are this node's own view: its failure detector's,
//! and what it saw itself.

use super::Mutant;
use super::component::{Cx, Ring};
use super::mapping::{For, Told};
use crate::component::PeerChange;
use crate::id::{Life, NodeId};
use crate::protocol::replicated_map::{Condition, Transaction};
use crate::service::ring::manifest::Manifest;
use crate::service::ring::netmap::{Netmap, Status};
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The record's key.
pub(super) const TOPOLOGY: &[u8] = b"ring/topology";
/// A suspicion that lasts so long is a death.
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// What this node saw itself counts for so long.
const DOUBT_LASTS: Duration = Duration::from_secs(2);
/// A disk that was full is asked again after so long.
const FULL_LASTS: Duration = Duration::from_secs(30);
/// How often this node tries to be in the record.
const ENTER_EVERY: Duration = Duration::from_millis(500);

/// A node of the ring.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) node: NodeId,
    pub(super) address: String,
    /// It left, by drain or forget: it holds nothing any more.
    pub(super) left: bool,
}

/// The record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// In ring order.
    pub(super) members: Vec<Member>,
}

/// The record as it was last seen.
#[derive(Default)]
pub(super) struct Topology {
    record: Record,
    /// Its version in the map; 0 before there is one.
    version: u64,
    /// Whether anything was heard of it.
    known: bool,
    entering: bool,
    enter_at: Time,
    /// Who waits for a change: see [`verbs`](super::verbs).
    pub(super) changing: Vec<super::ClientId>,
}

/// What this node sees of the others.
#[derive(Default)]
pub(super) struct Peers {
    lives: BTreeMap<NodeId, Life>,
    suspected: BTreeMap<NodeId, Time>,
    doubted: BTreeMap<NodeId, Time>,
    full: BTreeMap<NodeId, Time>,
}

impl Peers {
    pub(super) fn life(&self, node: NodeId) -> Option<Life> {
        self.lives.get(&node).copied()
    }

    pub(super) fn is_member(&self, life: Life) -> bool {
        !life.node.is_client() && self.life(life.node) == Some(life)
    }

    /// The life that is over, if one is.
    pub(super) fn changed(&mut self, change: &PeerChange) -> Option<Life> {
        match change {
            PeerChange::Joined { life, .. } => {
                self.suspected.remove(&life.node);
                self.lives.insert(life.node, *life).filter(|before| before != life)
            }
            PeerChange::Ended { life, .. } => {
                if self.life(life.node) == Some(*life) {
                    self.lives.remove(&life.node);
                }
                Some(*life)
            }
        }
    }

    pub(super) fn suspicion(&mut self, life: Life, suspected: bool, now: Time) {
        if suspected {
            self.suspected.entry(life.node).or_insert(now);
        } else {
            self.suspected.remove(&life.node);
            self.doubted.remove(&life.node);
        }
    }

    /// It did not answer this node.
    pub(super) fn doubt(&mut self, node: NodeId, now: Time) {
        self.doubted.insert(node, now);
    }

    pub(super) fn full(&mut self, node: NodeId, now: Time) {
        self.full.insert(node, now);
    }

    pub(super) fn status(&self, node: NodeId, me: NodeId, now: Time) -> Status {
        let since = |times: &BTreeMap<NodeId, Time>| times.get(&node).map(|at| now.since(*at));
        let full = since(&self.full).is_some_and(|age| age < FULL_LASTS);
        match since(&self.suspected) {
            _ if node == me => {}
            _ if self.life(node).is_none() => return Status::Dead,
            Some(age) if age >= DEAD_AFTER => return Status::Dead,
            Some(_) => return Status::Suspect,
            None if since(&self.doubted).is_some_and(|age| age < DOUBT_LASTS) => return Status::Suspect,
            None => {}
        }
        if full { Status::Full } else { Status::Alive }
    }

    /// Whether new files may lie on it.
    pub(super) fn takes(&self, node: NodeId, me: NodeId, now: Time) -> bool {
        self.status(node, me, now) == Status::Alive
    }
}

impl Topology {
    /// The nodes of the ring, in order.
    pub(super) fn ring(&self) -> Vec<NodeId> {
        self.present().map(|member| member.node).collect()
    }

    /// How many nodes are or were in it.
    pub(super) fn len(&self) -> usize {
        self.record.members.len()
    }

    pub(super) fn members(&self) -> BTreeSet<NodeId> {
        self.present().map(|member| member.node).collect()
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Member> {
        self.record.members.iter().filter(|member| !member.left)
    }

    /// How a node is called in netmaps: by its port, where that is its own.
    pub(super) fn port(&self, node: NodeId) -> String {
        let Some(member) = self.record.members.iter().find(|member| member.node == node) else {
            return node.to_string();
        };
        let port = port_of(&member.address);
        let twice = self.present().filter(|other| port_of(&other.address) == port).count() > 1;
        if twice { member.address.clone() } else { port.to_owned() }
    }

    /// The node that is called so: by port, or by address.
    pub(super) fn named(&self, text: &str) -> Option<NodeId> {
        let whole = self.present().find(|member| member.address == text);
        let found = whole.or_else(|| self.present().find(|member| port_of(&member.address) == text));
        found.map(|member| member.node)
    }

    /// Who stands behind a node.
    pub(super) fn next(&self, node: NodeId) -> Option<&str> {
        let ring: Vec<&Member> = self.present().collect();
        let at = ring.iter().position(|member| member.node == node)?;
        let next = ring[(at + 1) % ring.len()];
        (next.node != node).then_some(next.address.as_str())
    }

    pub(super) fn text(&self) -> String {
        let members: Vec<String> = self.present().map(|member| member.address.clone()).collect();
        format!("{} (version {})", members.join(" "), self.version)
    }

    /// The record with a change, and the transaction that makes it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Record)) -> Transaction {
        let mut record = self.record.clone();
        change(&mut record);
        let key = Bytes::from_static(TOPOLOGY);
        let condition = match self.version {
            0 => Condition::Absent(key.clone()),
            version => Condition::Version(key.clone(), version),
        };
        // of plain values into memory: nothing in it can refuse
        Transaction::default().when(condition).put(key, postcard::to_stdvec(&record).unwrap_or_default())
    }

    /// The map's record; whether the members changed.
    pub(super) fn seen(&mut self, value: Option<&Bytes>, version: u64) -> bool {
        if self.known && version <= self.version {
            return false;
        }
        let before = self.members();
        self.known = true;
        if let Some(record) = value.and_then(|value| postcard::from_bytes(value).ok()) {
            self.record = record;
            self.version = version;
        }
        before != self.members()
    }
}

fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(_, port)| port)
}

/// The order of addresses in a new ring: by host, then by port as a number.
fn place_of(address: &str) -> (&str, u32, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host, port.parse().unwrap_or(u32::MAX), port)
}

impl Ring {
    /// Where clients reach this node.
    pub(super) fn own_address(&self) -> String {
        self.config.address.get().cloned().unwrap_or_else(|| self.name.to_string())
    }

    /// Who may hold parts of a file.
    pub(super) fn holding(&self, manifest: &Manifest) -> BTreeSet<NodeId> {
        if self.topology.version == 0 {
            return manifest.slots.iter().copied().collect();
        }
        self.topology.members()
    }

    pub(super) fn netmap(&self, cx: Cx<'_, '_>) -> Netmap {
        let (me, now) = (cx.me().node, cx.now());
        let state = |node| self.peers.status(node, me, now);
        let ring = self.topology.ring();
        Netmap(ring.into_iter().map(|node| (self.topology.port(node), state(node))).collect())
    }

    /// This node is in the record, at its address; else it tries to be.
    pub(super) fn topology_tick(&mut self, cx: Cx<'_, '_>) {
        let (me, address) = (cx.me().node, self.own_address());
        let topology = &mut self.topology;
        if !topology.known || topology.entering || cx.now() < topology.enter_at {
            return;
        }
        let own = topology.record.members.iter().find(|member| member.node == me);
        if own.is_some_and(|own| own.left || own.address == address) {
            return;
        }
        let enter = topology.change(|record| {
            record.members.retain(|member| member.node != me);
            let behind = |member: &Member| place_of(&member.address) > place_of(&address);
            let at = record.members.iter().position(behind).unwrap_or(record.members.len());
            record.members.insert(at, Member { node: me, address: address.clone(), left: false });
        });
        topology.entering = true;
        topology.enter_at = cx.now() + ENTER_EVERY;
        self.transact(For::Topology, enter, cx);
    }

    /// Whatever it was told, the watch tells what stands there.
    pub(super) fn topology_told(&mut self, _: Told, _: Cx<'_, '_>) {
        self.topology.entering = false;
    }

    /// A planted bug: who holds what is computed from today's ring.
    pub(super) fn planted_slots(&self, manifest: &mut Manifest) {
        if self.has(Mutant::TodaysRing) {
            let ring = self.topology.ring();
            if ring.len() >= manifest.slots.len() {
                let parts = manifest.slots.len();
                manifest.slots = ring.into_iter().take(parts).collect();
            }
        }
    }
}
