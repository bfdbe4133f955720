//! The network: sessions that come and go between nodes, frames that take
//! their time, and the pure link core at both ends.

use super::node::Side;
use super::queue::Event;
use super::trace::How;
use super::world::{NodeIndex, World};
use crate::component::{EndedWhy, Item, Lane, PeerChange};
use crate::id::{Kind, Life};
use crate::protocol::link::{self, Accept, FrameHeader, Link, Opened, What as Frame};
use crate::time::Time;
use crate::trace;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a writer takes from a link at once, in bytes.
const WRITE_BYTES: usize = 1 << 18;

/// One ordered pair of nodes.
#[derive(Clone, Default)]
struct Way {
    /// How many partitions stop frames on it.
    blocked: u32,
    /// When the last frame that keeps its order arrives.
    arrives_at: Time,
    /// The session, kept on the way from the lower to the higher place.
    session: Option<u64>,
    connecting: bool,
}

/// Sessions and blocked ways.
pub(super) struct Network {
    ways: Vec<Way>,
    nodes: usize,
    epoch: u64,
    rng: fastrand::Rng,
    /// Ways that are blocked by a partition that will end by itself.
    pub(super) partitions: BTreeMap<u32, Vec<(NodeIndex, NodeIndex)>>,
    next_partition: u32,
    pub(super) link_config: link::Config,
    pub(super) planted: Planted,
}

/// Bugs of the driver, for the tests that must catch them.
#[derive(Default)]
pub(super) struct Planted {
    /// In every link.
    pub(super) link: Option<link::Mutant>,
    /// A link's acknowledgements count as signs of life.
    pub(super) acks_heard: bool,
}

impl Network {
    pub(super) fn new(rng: fastrand::Rng) -> Self {
        let link_config = link::Config { resend_after: Duration::from_millis(200), ..link::Config::default() };
        Network {
            ways: Vec::new(),
            nodes: 0,
            epoch: 0,
            rng,
            partitions: BTreeMap::new(),
            next_partition: 0,
            link_config,
            planted: Planted::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes
    }

    pub(super) fn grow(&mut self, nodes: usize) {
        let mut ways = vec![Way::default(); nodes * nodes];
        for (at, way) in self.ways.drain(..).enumerate() {
            ways[at / self.nodes * nodes + at % self.nodes] = way;
        }
        self.ways = ways;
        self.nodes = nodes;
    }

    fn way(&mut self, from: usize, to: usize) -> &mut Way {
        &mut self.ways[from * self.nodes + to]
    }

    fn pair(&mut self, a: usize, b: usize) -> &mut Way {
        self.way(a.min(b), a.max(b))
    }

    pub(super) fn block(&mut self, from: usize, to: usize) {
        self.way(from, to).blocked += 1;
    }

    pub(super) fn unblock(&mut self, from: usize, to: usize) {
        let way = self.way(from, to);
        way.blocked = way.blocked.saturating_sub(1);
    }

    pub(super) fn unblock_all(&mut self) {
        self.ways.iter_mut().for_each(|way| way.blocked = 0);
    }

    /// Notes ways that were blocked together.
    pub(super) fn partitioned(&mut self, ways: Vec<(NodeIndex, NodeIndex)>) -> u32 {
        self.next_partition += 1;
        self.partitions.insert(self.next_partition, ways);
        self.next_partition
    }

    pub(super) fn take_session(&mut self, a: usize, b: usize) -> Option<u64> {
        self.pair(a, b).session.take()
    }

    pub(super) fn forget_connecting(&mut self, a: usize, b: usize) {
        self.pair(a, b).connecting = false;
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        self.way(from, to).blocked == 0
    }

    pub(super) fn session(&mut self, a: usize, b: usize) -> Option<u64> {
        self.pair(a, b).session
    }

    /// The pairs that have a session.
    pub(super) fn sessions(&self) -> Vec<(usize, usize)> {
        let linked = self.ways.iter().enumerate().filter(|(_, way)| way.session.is_some());
        linked.map(|(at, _)| (at / self.nodes, at % self.nodes)).collect()
    }

    fn micros(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.rng.u64(from..=to))
    }
}

/// A frame as traces have it: none of what carries nothing.
fn frame(header: &FrameHeader, peer: Life) -> Option<trace::Frame> {
    let lane = match header.lane {
        Lane::Probe => return None,
        Lane::Control => trace::Lane::Control,
        Lane::Data => trace::Lane::Data,
        Lane::Bulk => trace::Lane::Bulk,
    };
    let FrameHeader { seq: number, component, block_bytes: bytes, .. } = *header;
    (header.what == Frame::Block).then_some(trace::Frame { peer, lane, number, component: component.0, bytes })
}

impl World {
    /// Whether two nodes ever link: voters and joiners with one another, a
    /// listener with its sponsor.
    pub(super) fn linkable(&self, a: usize, b: usize) -> bool {
        let (one, other) = (&self.nodes[a], &self.nodes[b]);
        a != b
            && ((one.voter || one.joiner) && (other.voter || other.joiner)
                || one.sponsor == Some(b)
                || other.sponsor == Some(a))
    }

    pub(super) fn new_sides(&self, node: usize) -> Vec<Option<Side>> {
        (0..self.nodes.len()).map(|peer| self.linkable(node, peer).then(|| self.side())).collect()
    }

    /// A node that is up gets a side to a peer that it may link from now on.
    pub(super) fn new_side(&mut self, node: usize, peer: usize) {
        if self.nodes[node].up && self.nodes[node].sides[peer].is_none() {
            self.nodes[node].sides[peer] = Some(self.side());
        }
    }

    fn side(&self) -> Side {
        let config = self.network.link_config;
        let link = self.network.planted.link.map_or_else(|| Link::new(config), |bug| Link::mutant(config, bug));
        Side { link, transmitting: false, tick_at: None }
    }

    /// Lets two nodes try to connect, if nothing stands against it. Whatever
    /// stood against it calls this again when it goes away.
    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if !self.connectable(a, b) {
            return;
        }
        let pair = self.network.pair(a, b);
        if pair.session.is_none() && !pair.connecting {
            pair.connecting = true;
            let delay = self.network.micros(300, 3000);
            self.queue.plan(self.now + delay, Event::Connect { a: a as u16, b: b as u16 });
        }
    }

    pub(super) fn connect_all(&mut self, node: usize) {
        for peer in 0..self.nodes.len() {
            self.connect(node, peer);
        }
    }

    fn connectable(&mut self, a: usize, b: usize) -> bool {
        let alive = |at: usize| self.nodes[at].up && !self.nodes[at].paused;
        alive(a) && alive(b) && self.linkable(a, b) && self.network.passes(a, b) && self.network.passes(b, a)
    }

    /// The handshake is over: one side opens now, the other a little later.
    pub(super) fn connected(&mut self, a: usize, b: usize) {
        self.network.pair(a, b).connecting = false;
        if !self.connectable(a, b) || self.network.pair(a, b).session.is_some() {
            return;
        }
        self.network.epoch += 1;
        let epoch = self.network.epoch;
        self.network.pair(a, b).session = Some(epoch);
        let (first, second) = if self.network.rng.bool() { (a, b) } else { (b, a) };
        self.open(first, self.nodes[first].run, second, self.nodes[second].run, epoch);
        if self.network.pair(a, b).session == Some(epoch) {
            let delay = self.network.micros(20, 2000);
            let (run, peer_run) = (self.nodes[second].run, self.nodes[first].run);
            let open = Event::Open { at: second as u16, run, peer: first as u16, peer_run, epoch };
            self.queue.plan(self.now + delay, open);
        }
    }

    /// A side of a session opens, unless the peer's life is over for it: then
    /// the peer is told so.
    pub(super) fn open(&mut self, at: usize, run: u32, peer: usize, peer_run: u32, epoch: u64) {
        let peer_life = match &self.nodes[peer] {
            node if node.run == peer_run && node.up => node.life(),
            _ => return,
        };
        let now = self.nodes[at].clock(self.now);
        let node = &mut self.nodes[at];
        if !node.up || node.run != run || self.network.pair(at, peer).session != Some(epoch) {
            return;
        }
        let refused = node.refused.get(&peer_life.node).is_some_and(|last| *last >= peer_life.incarnation.0);
        let Some(side) = node.sides[peer].as_mut() else { return };
        let opened =
            if refused { Opened::Outlived { by: peer_life } } else { side.link.session(now, peer_life, epoch) };
        match opened {
            Opened::Outlived { by } => {
                self.count("refused as outlived");
                self.drop_session(at, peer);
                self.outlive(peer, by.incarnation.0 + 1);
                return;
            }
            Opened::Resumed => self.count("reconnects"),
            Opened::First => self.peer_joined(at, peer, peer_life),
            Opened::NewLife { old } => {
                self.peer_changed(at, PeerChange::Ended { life: old, why: EndedWhy::Succeeded });
                self.peer_joined(at, peer, peer_life);
            }
        }
        self.nodes[at].heard.insert(peer_life, now);
        self.pump(at, peer);
    }

    fn peer_joined(&mut self, at: usize, peer: usize, life: Life) {
        let role = self.nodes[peer].role();
        let name = self.nodes[peer].name.clone();
        self.peer_changed(at, PeerChange::Joined { life, role, name });
    }

    /// Tells every component of `at`.
    pub(super) fn peer_changed(&mut self, at: usize, change: PeerChange) {
        let what = match &change {
            PeerChange::Joined { life, .. } => super::trace::What::Joined(*life),
            PeerChange::Ended { life, why } => {
                self.nodes[at].heard.remove(life);
                self.reset_streams(at, life.node, "the peer's life is over");
                super::trace::What::Ended(*life, *why)
            }
        };
        let me = self.nodes[at].life();
        self.trace.push(self.now, me, what);
        for cell in 0..self.nodes[at].cells.len() {
            self.hand(at, cell, Item::Peer(change.clone()));
        }
    }

    /// Ends a session; both sides notice in their own time and then try again.
    pub(super) fn drop_session(&mut self, a: usize, b: usize) {
        let Some(epoch) = self.network.pair(a, b).session.take() else { return };
        for (at, peer) in [(a, b), (b, a)] {
            let delay = match self.network.rng.u32(0..4) {
                0 => self.network.micros(0, 300_000),
                _ => self.network.micros(0, 2000),
            };
            let close = Event::Close { at: at as u16, run: self.nodes[at].run, peer: peer as u16, epoch };
            self.queue.plan(self.now + delay, close);
        }
    }

    /// One side notices that its session is over.
    pub(super) fn closed(&mut self, at: usize, peer: usize, epoch: u64) {
        let id = self.nodes[peer].id;
        if let Some(side) = self.nodes[at].sides[peer].as_mut()
            && side.link.epoch() == Some(epoch)
        {
            side.link.closed(epoch);
            self.reset_streams(at, id, "the session was cut");
        }
        self.connect(at, peer);
    }

    /// Sees to it that what a link has to write is written, and that its
    /// deadline is kept.
    pub(super) fn pump(&mut self, from: usize, to: usize) {
        let now = self.nodes[from].clock(self.now);
        let (run, skew) = (self.nodes[from].run, self.nodes[from].skew);
        let Some(side) = self.nodes[from].sides[to].as_mut() else { return };
        let (from, to) = (from as u16, to as u16);
        let ready = side.link.tick(now);
        if !side.transmitting && ready {
            side.transmitting = true;
            let delay = self.network.rng.u64(1000..60_000);
            self.queue.plan(Time(self.now.0 + delay), Event::Transmit { from, to, run });
        }
        if let Some(deadline) = side.link.deadline().filter(|deadline| *deadline > now) {
            let at = Time(deadline.0.saturating_sub(skew));
            if side.tick_at.is_none_or(|planned| planned > at) {
                side.tick_at = Some(at);
                self.queue.plan(at, Event::Tick { from, to, run });
            }
        }
    }

    pub(super) fn tick(&mut self, from: usize, to: usize) {
        if let Some(side) = self.nodes[from].sides[to].as_mut()
            && side.tick_at.is_some_and(|at| at <= self.now)
        {
            side.tick_at = None;
        }
        self.pump(from, to);
    }

    /// A writer takes what its link has and sends it off.
    pub(super) fn transmit(&mut self, from: usize, to: usize) {
        let now = self.nodes[from].clock(self.now);
        let life = self.nodes[from].life();
        let Some(side) = self.nodes[from].sides[to].as_mut() else { return };
        side.transmitting = false;
        let (Some(epoch), peer) = (side.link.epoch(), side.link.peer()) else { return };
        let World { network, queue, faults, counts, trace, now: sent_at, .. } = self;
        let passes = network.passes(from, to);
        let mut count = |what| *counts.entry(what).or_insert(0) += 1;
        side.link.transmit(now, WRITE_BYTES, &mut |header: &FrameHeader, block: &Bytes| {
            count("frames");
            let frame = peer.and_then(|peer| frame(header, peer));
            let mut pass = |how| frame.into_iter().for_each(|frame| trace.pass(*sent_at, life, how, frame));
            pass(How::Sent);
            if !passes {
                pass(How::Lost);
                return count("frames lost in partitions");
            }
            if faults.loss > 0.0 && network.rng.f64() < faults.loss {
                pass(How::Lost);
                return count("frames lost");
            }
            let twice = faults.duplication > 0.0 && network.rng.f64() < faults.duplication;
            for copy in 0..=usize::from(twice) {
                let range = faults.delay.0.as_nanos() as u64..=faults.delay.1.as_nanos() as u64;
                let mut at = Time(sent_at.0 + network.rng.u64(range));
                let reordered = faults.reordering > 0.0 && network.rng.f64() < faults.reordering;
                if copy == 1 {
                    count("frames duplicated");
                } else if reordered {
                    count("frames reordered");
                    at = at + faults.delay.1;
                } else {
                    let way = network.way(from, to);
                    at = at.max(Time(way.arrives_at.0 + 1));
                    way.arrives_at = at;
                }
                let frame =
                    Event::Frame { from: from as u16, to: to as u16, epoch, header: *header, block: block.clone() };
                queue.plan(at, frame);
            }
        });
        self.pump(from, to);
    }

    /// A frame arrives.
    pub(super) fn receive(&mut self, from: usize, at: usize, epoch: u64, header: &FrameHeader, block: Bytes) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        let Some(side) = node.sides.get_mut(from).and_then(Option::as_mut) else { return };
        let Some(peer) = side.link.peer() else { return };
        if header.what == Frame::Leave {
            if side.link.epoch() == Some(epoch) {
                self.forget_peer(at, peer, EndedWhy::Left);
            }
            return;
        }
        let mut credits: Vec<(Kind, u64)> = Vec::new();
        let accept = side.link.receive(epoch, header, now, &mut credits);
        if accept == Accept::Deliver {
            node.heard.insert(peer, now);
            let me = node.life();
            frame(header, peer).into_iter().for_each(|frame| self.trace.pass(self.now, me, How::Arrived, frame));
            let node = &self.nodes[at];
            match node.cell(header.component) {
                Some(cell) => self.hand(at, cell, Item::Messages { from: peer, block }),
                None => self.count("blocks for no component"),
            }
        } else if self.network.planted.acks_heard {
            node.heard.insert(peer, now);
        }
        for (component, bytes) in credits {
            if let Some(cell) = self.nodes[at].cell(component)
                && self.nodes[at].cells[cell].wants_credit
            {
                self.hand(at, cell, Item::Credit { life: peer, bytes });
            }
        }
        if header.lane != Lane::Probe || !self.nodes[at].up {
            self.pump(at, from);
        }
    }

    /// A peer's life is over for this node by decision or by its own word.
    pub(super) fn forget_peer(&mut self, at: usize, life: Life, why: EndedWhy) {
        let node = &mut self.nodes[at];
        let last = node.refused.entry(life.node).or_insert(0);
        if *last >= life.incarnation.0 || life == Life::new(node.id, node.incarnation) {
            return;
        }
        *last = life.incarnation.0;
        let peer = self.nodes.iter().position(|other| other.id == life.node);
        let side = peer.and_then(|peer| self.nodes[at].sides[peer].as_mut());
        if let Some(side) = side {
            match side.link.peer() {
                Some(known) if known > life => return,
                Some(known) if known == life => side.link.end(),
                _ => {}
            }
        }
        self.peer_changed(at, PeerChange::Ended { life, why });
        if let Some(peer) = peer
            && self.nodes[peer].life() == life
            && self.network.session(at, peer).is_some()
        {
            self.drop_session(at, peer);
        }
    }
}
