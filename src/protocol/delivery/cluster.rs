//! A small deterministic cluster of delivery components, for the tests here:
//! perfect links between lives, a seeded scheduler, crashes and restarts. The
//! public simulator runs whole stacks; this one looks inside.

use super::{Broadcast, Config, Delivery, Gap, Mutant};
use crate::codec::{BatchBuilder, put_item};
use crate::component::{
    Adapter, AnyComponent, Boot, Effect, Effects, EndedWhy, Item, PeerChange, PeerRole, Progress, Target, TimerId, To,
};
use crate::error::Fault;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::membership::{HoldingBack, Seat, VoterList};
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) const CHANNEL: Kind = Kind(77);

/// What one life did and saw.
#[derive(Default)]
pub(super) struct History {
    pub(super) delivered: Vec<MessageId>,
    pub(super) bodies: BTreeMap<MessageId, Vec<u8>>,
    pub(super) gaps: Vec<Gap>,
    pub(super) holding: Vec<HoldingBack>,
    pub(super) progress: Option<Progress>,
}

pub(super) struct Peer {
    pub(super) adapter: Adapter<Broadcast>,
    pub(super) life: Life,
    timers: BTreeMap<TimerId, Time>,
    /// Which life of each other node it is linked with.
    linked: BTreeMap<NodeId, Life>,
    /// What it sent to all before it first met a node.
    waiting: BTreeMap<NodeId, VecDeque<(u8, Bytes)>>,
    pub(super) consumes: bool,
}

pub(super) struct Cluster {
    pub(super) config: Config,
    pub(super) mutant: Option<Mutant>,
    pub(super) voters: u64,
    pub(super) up: BTreeMap<NodeId, Peer>,
    pub(super) lives: BTreeMap<NodeId, u64>,
    /// In flight, per sender, receiver and lane.
    links: BTreeMap<(Life, Life, u8), VecDeque<Bytes>>,
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    pub(super) history: BTreeMap<Life, History>,
    /// What the sender had delivered when it broadcast: the checker's own.
    pub(super) causes: BTreeMap<(Life, u64), BTreeSet<MessageId>>,
    sent: BTreeMap<Life, u64>,
    /// Where the voters are a log's: what it has said, the newest last.
    pub(super) lists: Vec<VoterList>,
    /// Whose lives ended themselves, to begin anew.
    pub(super) reborn: BTreeSet<NodeId>,
    /// Did not come to rest.
    pub(super) restless: bool,
    pub(super) now: Time,
    pub(super) rng: fastrand::Rng,
    role: BTreeMap<NodeId, PeerRole>,
}

impl Cluster {
    pub(super) fn new(delivery: Delivery, voters: u64, seed: u64) -> Self {
        Cluster {
            config: Config::new(delivery),
            mutant: None,
            voters,
            up: BTreeMap::new(),
            lives: BTreeMap::new(),
            links: BTreeMap::new(),
            cut: BTreeSet::new(),
            history: BTreeMap::new(),
            causes: BTreeMap::new(),
            sent: BTreeMap::new(),
            lists: Vec::new(),
            reborn: BTreeSet::new(),
            restless: false,
            now: Time::ZERO,
            rng: fastrand::Rng::with_seed(seed),
            role: BTreeMap::new(),
        }
    }

    pub(super) fn started(delivery: Delivery, voters: u64, seed: u64) -> Self {
        let mut cluster = Cluster::new(delivery, voters, seed);
        for node in 0..voters {
            cluster.start(node);
        }
        cluster.heal();
        cluster
    }

    pub(super) fn start(&mut self, node: u64) -> Life {
        self.start_as(node, PeerRole::Voter)
    }

    pub(super) fn start_as(&mut self, node: u64, role: PeerRole) -> Life {
        let node = NodeId(node);
        assert!(!self.up.contains_key(&node));
        self.role.insert(node, role);
        let incarnation = self.lives.entry(node).or_insert(0);
        *incarnation += 1;
        let life = Life::new(node, *incarnation);
        let config = self.config.clone();
        let component = match self.mutant {
            Some(mutant) => Broadcast::mutant(config, mutant),
            None => Broadcast::new(config),
        };
        let peer = Peer {
            adapter: Adapter::new(component, self.rng.u64(..)),
            life,
            timers: BTreeMap::new(),
            linked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            consumes: true,
        };
        self.up.insert(node, peer);
        self.history.insert(life, History::default());
        let name = format!("n{}", node.0).into();
        let voter = role == PeerRole::Voter;
        self.step(node, vec![Item::Started(Boot { me: life, name, voters: self.voters as usize, voter })]);
        life
    }

    /// The log's next list: these nodes vote from there on. Nobody is told yet.
    pub(super) fn list(&mut self, nodes: &[u64]) -> VoterList {
        let before = self.lists.last().cloned();
        let version = before.as_ref().map_or(1, |list| list.version + 5);
        let since = |node| before.as_ref().and_then(|list| list.seat(node)).map_or(version, |seat| seat.since);
        let seats = nodes.iter().map(|node| Seat { node: NodeId(*node), since: since(NodeId(*node)) }).collect();
        let list = VoterList { version, previous: before.as_ref().map_or(0, |list| list.version), seats };
        self.lists.push(list.clone());
        list
    }

    /// The log of `node` has come to this list.
    pub(super) fn applies(&mut self, node: u64, list: &VoterList) {
        self.step(NodeId(node), vec![Item::Event(crate::event::AnyEvent::new(list.clone()))]);
    }

    pub(super) fn crash(&mut self, node: u64) -> Life {
        self.up.remove(&NodeId(node)).expect("is up").life
    }

    pub(super) fn life(&self, node: u64) -> Life {
        self.up[&NodeId(node)].life
    }

    pub(super) fn core(&self, node: u64) -> &Broadcast {
        self.up[&NodeId(node)].adapter.component()
    }

    pub(super) fn of(&self, node: u64) -> &History {
        &self.history[&self.life(node)]
    }

    /// One message, broadcast in a run of its own.
    pub(super) fn broadcast(&mut self, node: u64, bytes: usize) {
        let life = self.life(node);
        let n = self.sent.entry(life).or_insert(0);
        *n += 1;
        let n = *n;
        self.causes.insert((life, n), self.history[&life].delivered.iter().copied().collect());
        self.request(node, Target::All, bytes, n);
    }

    pub(super) fn request(&mut self, node: u64, target: Target, bytes: usize, n: u64) {
        let mut batch = BatchBuilder::default();
        batch.push(|out| {
            out.extend_from_slice(&n.to_le_bytes());
            out.resize(out.len() + bytes, 0);
        });
        let batch = batch.take().expect("one message");
        self.step(NodeId(node), vec![Item::Request { from: CHANNEL, target, batch }]);
    }

    pub(super) fn suspect(&mut self, at: u64, life: Life, suspected: bool) {
        let event = crate::event::AnyEvent::new(Suspicion { life, name: "x".into(), suspected });
        self.step(NodeId(at), vec![Item::Event(event)]);
    }

    /// Tells `at` that `life` is over.
    pub(super) fn end_at(&mut self, at: u64, life: Life) {
        let Some(peer) = self.up.get_mut(&NodeId(at)) else { return };
        if peer.linked.get(&life.node) == Some(&life) {
            peer.linked.remove(&life.node);
        }
        let me = peer.life;
        self.links.retain(|(from, to, _), _| (*from, *to) != (life, me) && (*from, *to) != (me, life));
        self.step(NodeId(at), vec![Item::Peer(PeerChange::Ended { life, why: EndedWhy::Decided })]);
    }

    /// What this life sent and has not arrived, never does.
    pub(super) fn lose_from(&mut self, life: Life) {
        self.links.retain(|(from, _, _), _| *from != life);
    }

    fn pairs(&self) -> Vec<(NodeId, NodeId)> {
        let nodes: Vec<NodeId> = self.up.keys().copied().collect();
        let all = nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b)));
        all.filter(|(a, b)| a < b && !self.cut.contains(&(*a, *b))).collect()
    }

    /// Links two nodes' lives where they are not; tells both.
    pub(super) fn link(&mut self, a: NodeId, b: NodeId) -> bool {
        let (life_a, life_b) = (self.up[&a].life, self.up[&b].life);
        if self.up[&a].linked.get(&b) == Some(&life_b) && self.up[&b].linked.get(&a) == Some(&life_a) {
            return false;
        }
        for (me, other, life) in [(a, b, life_b), (b, a, life_a)] {
            let mine = self.up[&me].life;
            let before = self.up.get_mut(&me).and_then(|peer| peer.linked.insert(other, life));
            if before == Some(life) {
                continue;
            }
            if let Some(before) = before {
                self.links.retain(|(from, to, _), _| (*from, *to) != (before, mine) && (*from, *to) != (mine, before));
                let why = EndedWhy::Succeeded;
                self.step(me, vec![Item::Peer(PeerChange::Ended { life: before, why })]);
            }
            for (lane, message) in self.up.get_mut(&me).and_then(|peer| peer.waiting.remove(&other)).unwrap_or_default()
            {
                self.links.entry((mine, life, lane)).or_default().push_back(message);
            }
            let name = format!("n{}", other.0).into();
            self.step(me, vec![Item::Peer(PeerChange::Joined { life, role: self.role[&other], name })]);
        }
        true
    }

    pub(super) fn step(&mut self, node: NodeId, items: Vec<Item>) {
        let Some(peer) = self.up.get_mut(&node) else { return };
        let mut out = Effects::default();
        for item in items {
            peer.adapter.step(item, self.now, &mut out).expect("no fault");
        }
        match peer.adapter.flush(self.now, &mut out) {
            Ok(()) => {}
            Err(Fault::LifeEnded(_)) => {
                self.reborn.insert(node);
                self.up.remove(&node);
                return;
            }
            Err(fault) => panic!("{fault}"),
        }
        let life = peer.life;
        let mut consumed = 0;
        for effect in out.list {
            match effect {
                Effect::Send { to, lane, message } => self.send(life, to, lane as u8, message),
                Effect::Deliver(_, batch) => {
                    consumed += batch.batch.run().len() as u64;
                    let history = self.history.get_mut(&life).expect("a life");
                    for (index, body) in batch.batch.iter().enumerate() {
                        let id = MessageId { index: index as u32, ..batch.id };
                        history.delivered.push(id);
                        history.bodies.insert(id, body.to_vec());
                    }
                }
                Effect::Timer(id, at) => {
                    let timers = &mut self.up.get_mut(&node).expect("is up").timers;
                    match at {
                        Some(at) => timers.insert(id, at),
                        None => timers.remove(&id),
                    };
                }
                Effect::Progress(_, progress) => {
                    self.history.get_mut(&life).expect("a life").progress = Some(progress);
                }
                Effect::Publish(event) => {
                    let history = self.history.get_mut(&life).expect("a life");
                    history.gaps.extend(event.get::<Gap>());
                    history.holding.extend(event.get::<HoldingBack>());
                }
                _ => {}
            }
        }
        if consumed > 0 && self.up[&node].consumes {
            self.step(node, vec![Item::Consumed { channel: CHANNEL, bytes: consumed }]);
        }
    }

    fn send(&mut self, from: Life, to: To, lane: u8, message: Bytes) {
        let nodes: Vec<NodeId> = match to {
            To::Life(life) => vec![life.node],
            To::All => (0..self.voters).map(NodeId).filter(|node| *node != from.node).collect(),
        };
        let peer = self.up.get_mut(&from.node).expect("is up");
        for node in nodes {
            match (peer.linked.get(&node), to) {
                (Some(life), To::All) => {
                    self.links.entry((from, *life, lane)).or_default().push_back(message.clone());
                }
                (Some(life), To::Life(wanted)) if *life == wanted => {
                    self.links.entry((from, *life, lane)).or_default().push_back(message.clone());
                }
                (None, To::All) => peer.waiting.entry(node).or_default().push_back((lane, message.clone())),
                _ => {}
            }
        }
    }

    /// What can arrive now.
    fn ready(&self) -> Vec<(Life, Life, u8)> {
        let passes = |(from, to, _): &(Life, Life, u8)| {
            let (a, b) = (from.node.min(to.node), from.node.max(to.node));
            let receives = self.up.get(&to.node).is_some_and(|peer| peer.life == *to);
            receives && !self.cut.contains(&(a, b)) && self.up[&to.node].linked.get(&from.node) == Some(from)
        };
        let busy = self.links.iter().filter(|(_, queue)| !queue.is_empty());
        busy.map(|(link, _)| *link).filter(passes).collect()
    }

    /// One arrival on a random link: a block of some messages.
    pub(super) fn arrive(&mut self) -> bool {
        let ready = self.ready();
        if ready.is_empty() {
            return false;
        }
        let link = ready[self.rng.usize(..ready.len())];
        let some = self.rng.usize(1..4);
        self.arrive_on(link, some);
        true
    }

    pub(super) fn arrive_on(&mut self, link: (Life, Life, u8), some: usize) {
        let queue = self.links.get_mut(&link).expect("a link");
        let mut block = Vec::new();
        let mut bytes = 0;
        for message in queue.drain(..some.min(queue.len())) {
            bytes += message.len() as u64;
            put_item(&mut block, |out| out.extend_from_slice(&message));
        }
        let (from, to, _) = link;
        self.step(to.node, vec![Item::Messages { from, block: Bytes::from(block) }]);
        if self.up.get(&from.node).is_some_and(|peer| peer.life == from) {
            self.step(from.node, vec![Item::Credit { life: to, bytes }]);
        }
    }

    pub(super) fn link_some(&mut self) -> bool {
        let unlinked: Vec<_> = self
            .pairs()
            .into_iter()
            .filter(|(a, b)| {
                let listener = |node: &NodeId| self.role[node] == PeerRole::Listener;
                !(listener(a) && listener(b))
                    && (self.up[a].linked.get(b) != Some(&self.up[b].life)
                        || self.up[b].linked.get(a) != Some(&self.up[a].life))
            })
            .collect();
        if unlinked.is_empty() {
            return false;
        }
        let (a, b) = unlinked[self.rng.usize(..unlinked.len())];
        self.link(a, b)
    }

    /// The next timer fires, if one is due within `within`.
    pub(super) fn tick(&mut self, within: Duration) -> bool {
        let all = self.up.iter().flat_map(|(node, peer)| peer.timers.iter().map(|(id, at)| (*at, *node, *id)));
        let Some((at, node, id)) = all.min() else { return false };
        if at > self.now + within {
            return false;
        }
        self.now = self.now.max(at);
        self.up.get_mut(&node).expect("is up").timers.remove(&id);
        self.step(node, vec![Item::Timer(id)]);
        true
    }

    /// Everything that can arrive, arrives; then timers within `within` fire.
    pub(super) fn run_for(&mut self, within: Duration) {
        let end = self.now + within;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > 60_000 {
                self.restless = true;
                return;
            }
            if self.rng.u8(..) < 20 && self.link_some() || self.arrive() || self.link_some() {
                continue;
            }
            if !self.tick(end.since(self.now)) {
                break;
            }
        }
        self.now = self.now.max(end);
    }

    /// No faults any more: comes to rest.
    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.run_for(Duration::from_secs(60));
    }

    pub(super) fn links_between(&self, from: Life, to: Life) -> Vec<(Life, Life, u8)> {
        self.ready().into_iter().filter(|(a, b, _)| (*a, *b) == (from, to)).collect()
    }
}
