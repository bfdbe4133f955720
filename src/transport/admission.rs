//! Who may link: the judgement over a hello that proved its keys.
//!
//! Voters are a static list. Each configured address is a *slot*; the first
//! node met there is bound to it for this node's whole life. Listeners, joiners
//! and clients have no slot. A life that ended or was outlived is never admitted
//! again.

use super::config::{Config, FrameWatch, Limits, PeerAddr, Security};
use super::hello::{Hello, NAME_BYTES_MAX, PROVIDES_MAX, Refusal, Role, Told};
use super::keys::PublicKey;
use super::peer::{Clock, Peer, Who};
use crate::component::PeerRole;
use crate::id::{Incarnation, Life, NodeId};
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A life that spoke this recently is running: another one elsewhere with the
/// same id is a clash, not a move.
const RUNNING_WITHIN: Duration = Duration::from_secs(2);
/// Most members that a joiner is told of in one handshake.
const TOLD_MAX: usize = 256;

/// How a connection came about.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Via {
    /// This node dialled a voter's slot when that had had so many sessions.
    Slot { slot: usize, sessions: u64 },
    /// This node dialled a sponsor.
    Sponsor,
    /// The other side dialled.
    Accepted,
}

pub(super) struct Slot {
    pub(super) configured: PeerAddr,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) bound: Option<NodeId>,
    pub(super) peer: Arc<Peer>,
    /// A handshake that this node began is under way.
    pub(super) dialling: bool,
}

struct Known {
    peer: Arc<Peer>,
    life: Life,
    boot: u64,
    key: Option<PublicKey>,
    listen: Option<SocketAddr>,
    client: bool,
}

/// Everyone this node knows.
pub(super) struct Book {
    pub(super) slots: Vec<Slot>,
    known: BTreeMap<NodeId, Known>,
    /// Up to this incarnation all lives of the node are over.
    ended: BTreeMap<NodeId, Incarnation>,
    mine: Hello,
    security: Security,
    limits: Limits,
    max_peers: usize,
    link: crate::protocol::link::Config,
    watch: Option<FrameWatch>,
    clock: Clock,
    pub(super) stopping: bool,
}

impl Book {
    pub(super) fn new(config: &Config, mine: Hello, clock: Clock) -> Self {
        let slots = config.peers.iter().map(|configured| Slot {
            configured: configured.clone(),
            addresses: configured.resolve(),
            bound: None,
            peer: Arc::new(Peer::new(config.link, clock, config.watch.clone())),
            dialling: false,
        });
        Book {
            slots: slots.collect(),
            known: BTreeMap::new(),
            ended: BTreeMap::new(),
            mine,
            security: config.security.clone(),
            limits: config.limits,
            max_peers: config.max_peers,
            link: config.link,
            watch: config.watch.clone(),
            clock,
            stopping: false,
        }
    }

    /// Peers in the order of their ids, then slots that nobody was met at.
    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        let unmet = self.slots.iter().filter(|slot| slot.bound.is_none()).map(|slot| slot.peer.clone());
        self.known.values().map(|known| known.peer.clone()).chain(unmet).collect()
    }

    /// The known peer of a node.
    pub(super) fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.known.get(&node).map(|known| known.peer.clone())
    }

    /// Where the members are: those in the list and those that joined.
    pub(super) fn members(&self) -> Vec<Told> {
        let met = self.known.iter().filter_map(|(node, known)| {
            let role = known.peer.who()?.role;
            let member = matches!(role, PeerRole::Voter | PeerRole::Joiner);
            known.listen.filter(|_| member).map(|address| Told { address, node: Some(*node) })
        });
        let unmet = self.slots.iter().filter(|slot| slot.bound.is_none());
        let unmet = unmet.filter_map(|slot| slot.addresses.first());
        met.chain(unmet.map(|address| Told { address: *address, node: None })).take(TOLD_MAX).collect()
    }

    fn is_linked(&self, life: Life) -> bool {
        self.known.get(&life.node).is_some_and(|known| known.life == life && known.peer.linked())
    }

    /// All lives of the node up to this one are over.
    pub(super) fn end(&mut self, life: Life) {
        let ended = self.ended.entry(life.node).or_default();
        *ended = (*ended).max(life.incarnation);
    }

    /// Whether the life was ended, by decision or goodbye.
    pub(super) fn is_over(&self, life: Life) -> bool {
        self.ended.get(&life.node).is_some_and(|ended| *ended >= life.incarnation)
    }

    /// A peer that has no slot is over: nothing of it is kept but its end.
    pub(super) fn forget(&mut self, life: Life) -> Option<Arc<Peer>> {
        let known = self.known.get(&life.node)?;
        if known.life != life || self.slots.iter().any(|slot| Arc::ptr_eq(&slot.peer, &known.peer)) {
            return None;
        }
        self.known.remove(&life.node).map(|known| known.peer)
    }

    /// Judges a hello. Where it is admitted, the peer to attach the session to.
    pub(super) fn judge(
        &mut self,
        hello: &Hello,
        key: Option<PublicKey>,
        via: Via,
        remote: SocketAddr,
    ) -> Result<(Arc<Peer>, Who), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let life = hello.life;
        if hello.name.len() > NAME_BYTES_MAX
            || hello.provides.len() > PROVIDES_MAX
            || life.node.is_client() != (hello.role == Role::Client)
        {
            return Err(Refusal::Garbled);
        }
        if life.node == self.mine.life.node {
            return Err(if hello.boot == self.mine.boot {
                Refusal::Myself
            } else {
                self.clash(hello, "here".to_string(), remote)
            });
        }
        if hello.block_bytes_max != self.mine.block_bytes_max {
            let (theirs, ours) = (hello.block_bytes_max, self.mine.block_bytes_max);
            return Err(Refusal::BlockBytes { theirs, ours });
        }
        if let (Security::Secured(credentials), Some(key)) = (&self.security, &key) {
            credentials.admits(&hello.name, life.node, key)?;
        }
        if let Some(ended) = self.ended.get(&life.node).filter(|ended| **ended >= life.incarnation) {
            return Err(Refusal::Ended { at_least: ended.0.saturating_add(1) });
        }
        let listen = hello.listen.map(|listen| effective(listen, remote.ip()));
        self.same_node(hello, key, listen, remote)?;
        let (peer, role) = match (hello.role, via) {
            (Role::Client, Via::Accepted) => (self.client()?, PeerRole::Client),
            (Role::Client, _) => return Err(Refusal::Garbled),
            (Role::Voter | Role::Joiner, Via::Sponsor) if self.mine.role == Role::Joiner && self.is_linked(life) => {
                return Err(Refusal::OtherDial); // found at two addresses, or it was quicker
            }
            (Role::Voter, Via::Sponsor) => (self.without_slot(life.node)?, PeerRole::Voter),
            (Role::Joiner, _) => (self.without_slot(life.node)?, PeerRole::Joiner),
            (Role::Listener, _) => (self.without_slot(life.node)?, PeerRole::Listener),
            (Role::Voter, via) => (self.voter(hello, via, listen, remote)?, PeerRole::Voter),
        };
        let client = role == PeerRole::Client;
        let configured = role == PeerRole::Voter && self.mine.role != Role::Joiner;
        if configured && hello.voters != self.mine.voters && !self.known.contains_key(&life.node) {
            log::warn!(
                target: "nodewright::link",
                "{} at {remote} counts {} voters, this node {}: give all nodes the same has_peers",
                hello.name, hello.voters, self.mine.voters
            );
        }
        self.known.insert(life.node, Known { peer: peer.clone(), life, boot: hello.boot, key, listen, client });
        let who = Who {
            life,
            name: hello.name.as_str().into(),
            role,
            address: listen.unwrap_or(remote),
            provides: hello.provides.clone().into(),
        };
        Ok((peer, who))
    }

    /// What is known of this node's lives must not speak against this one.
    fn same_node(
        &self,
        hello: &Hello,
        key: Option<PublicKey>,
        listen: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<(), Refusal> {
        let Some(known) = self.known.get(&hello.life.node) else { return Ok(()) };
        if known.life.incarnation > hello.life.incarnation {
            return Err(Refusal::Outlived { at_least: known.life.incarnation.0.saturating_add(1) });
        }
        let here = || known.listen.map_or("an unknown address".to_string(), |listen| listen.to_string());
        if known.life == hello.life {
            let same = known.boot == hello.boot && known.key == key;
            return if same { Ok(()) } else { Err(self.clash(hello, here(), remote)) };
        }
        let now: Time = self.clock.now();
        let running =
            known.peer.linked() && known.peer.last_heard().is_some_and(|heard| now.since(heard) < RUNNING_WITHIN);
        if running && known.listen != listen {
            return Err(self.clash(hello, here(), remote));
        }
        Ok(())
    }

    fn clash(&self, hello: &Hello, here: String, there: SocketAddr) -> Refusal {
        Refusal::NameClash { life: hello.life, name: hello.name.clone(), here, there: there.to_string() }
    }

    fn client(&self) -> Result<Arc<Peer>, Refusal> {
        let clients = self.known.values().filter(|known| known.client).count();
        if clients >= self.limits.clients_max {
            let max = self.limits.clients_max as u32;
            return Err(Refusal::TooManyClients { name: self.mine.name.clone(), max });
        }
        Ok(Arc::new(Peer::new(self.link, self.clock, self.watch.clone())))
    }

    /// A listener, or a sponsor of this one.
    fn without_slot(&self, node: NodeId) -> Result<Arc<Peer>, Refusal> {
        match self.known.get(&node) {
            Some(known) => Ok(known.peer.clone()),
            None => self.room().map(|()| Arc::new(Peer::new(self.link, self.clock, self.watch.clone()))),
        }
    }

    fn room(&self) -> Result<(), Refusal> {
        let members = self.known.values().filter(|known| !known.client).count();
        if members >= self.max_peers {
            return Err(Refusal::TooManyPeers { name: self.mine.name.clone(), max: self.max_peers as u32 });
        }
        Ok(())
    }

    fn voter(
        &mut self,
        hello: &Hello,
        via: Via,
        listen: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<Arc<Peer>, Refusal> {
        let node = hello.life.node;
        let at = match via {
            Via::Slot { slot, .. } => slot,
            _ => self.slot_of(hello, listen, remote).ok_or_else(|| Refusal::NotAPeer {
                name: hello.name.clone(),
                address: listen.unwrap_or(remote).to_string(),
            })?,
        };
        let elsewhere = self.slots.iter().position(|slot| slot.bound == Some(node)).filter(|other| *other != at);
        let slot = &self.slots[at];
        let taken = |address: &PeerAddr, bound: String| Refusal::SlotTaken {
            address: address.to_string(),
            bound,
            life: hello.life,
        };
        if let Some(bound) = slot.bound.filter(|bound| *bound != node) {
            return Err(taken(&slot.configured, bound.to_string()));
        }
        if let Some(named) = slot.configured.name.as_ref().filter(|named| **named != hello.name) {
            return Err(taken(&slot.configured, format!("configured as {named}")));
        }
        if let Some(other) = elsewhere {
            let bound = format!("already met at {}: one node is listed twice", self.slots[other].configured);
            return Err(taken(&slot.configured, bound));
        }
        match via {
            // Both dialled: the greater id's dial goes on. Only while both are
            // under way; later a newer session replaces an older one.
            Via::Accepted if slot.dialling && self.mine.life.node > node => return Err(Refusal::OtherDial),
            Via::Slot { sessions, .. } if slot.peer.linked() && slot.peer.sessions() != sessions => {
                return Err(Refusal::OtherDial);
            }
            _ => {}
        }
        if !self.known.contains_key(&node) {
            self.room()?;
        }
        self.slots[at].bound = Some(node);
        Ok(self.slots[at].peer.clone())
    }

    /// The slot that a voter which dialled belongs to: the one it is bound to,
    /// the one with its name, the one with its address.
    fn slot_of(&self, hello: &Hello, listen: Option<SocketAddr>, remote: SocketAddr) -> Option<usize> {
        let seen = hello.listen.map(|listen| SocketAddr::new(remote.ip(), listen.port()));
        let by = |fits: &dyn Fn(&Slot) -> bool| self.slots.iter().position(fits);
        by(&|slot| slot.bound == Some(hello.life.node))
            .or_else(|| by(&|slot| slot.configured.name.as_deref() == Some(hello.name.as_str())))
            .or_else(|| by(&|slot| slot.addresses.iter().any(|at| Some(*at) == listen || Some(*at) == seen)))
    }
}

/// Where a node listens, seen from here.
fn effective(listen: SocketAddr, from: IpAddr) -> SocketAddr {
    if listen.ip().is_unspecified() { SocketAddr::new(from, listen.port()) } else { listen }
}
