//! Faults as they strike: by the test's hand, or by themselves in a chaos
//! phase.

use super::disk::{DiskFault, DiskKept};
use super::faults::{Class, Faults};
use super::queue::Event;
use super::trace::What;
use super::world::{NodeIndex, World};
use crate::component::{EndedWhy, Item};
use crate::id::Kind;
use crate::time::Time;
use std::time::Duration;

/// How long the fall of a process may take to be noticed through a session.
const FALL_NOTICED: u64 = 500;
/// After this time a restarted life counts as ready where nobody can say.
const READY_AFTER: Duration = Duration::from_secs(5);

impl World {
    /// The node's machine loses its memory, what its disk had not made durable
    /// with it (see [`super::DiskFaults`]), and is gone until [`World::restart`].
    pub fn crash(&mut self, node: NodeIndex) {
        self.ensure_started();
        if self.nodes[node.0].up {
            let life = self.nodes[node.0].life();
            self.trace.push(self.now, life, What::Crashed);
            self.count("crashes");
            self.end_memory(node.0);
            self.crash_disk(node.0);
        }
    }

    /// The node crashes after some of the effects of its next step (within 50
    /// ms, else it just crashes).
    pub fn crash_between_effects(&mut self, node: NodeIndex) {
        self.ensure_started();
        let it = &mut self.nodes[node.0];
        it.doomed = it.up;
        let doom = Event::Doom { node: node.0 as u16, run: it.run };
        self.queue.plan(self.now + Duration::from_millis(50), doom);
    }

    /// A crashed node begins a new life, with what its disk kept or without; see
    /// also [`World::restart_with`].
    pub fn restart(&mut self, node: NodeIndex, keep_disk: bool) {
        self.restart_with(node, if keep_disk { DiskKept::All } else { DiskKept::Nothing });
    }

    /// The node says goodbye and stops. Its machine goes on: a next life finds
    /// what this one has written, synced or not.
    pub fn stop(&mut self, node: NodeIndex) {
        self.ensure_started();
        if !self.nodes[node.0].up {
            return;
        }
        let life = self.nodes[node.0].life();
        self.trace.push(self.now, life, What::Stopped);
        self.end_memory(node.0);
        for peer in 0..self.nodes.len() {
            if self.nodes[peer].up
                && self.nodes[peer].sides[node.0].as_ref().is_some_and(|s| s.link.peer() == Some(life))
            {
                self.forget_peer(peer, life, EndedWhy::Left);
            }
        }
    }

    /// One component of a node begins anew, as a leaf that panicked does: it
    /// is told of the present peers and of retained events.
    pub fn restart_component(&mut self, node: NodeIndex, component: Kind) {
        self.ensure_started();
        let Some(at) = self.nodes[node.0].cell(component) else { return };
        let seed = self.rng.u64(..);
        let voters = self.nodes.iter().filter(|node| node.voter).count();
        let it = &mut self.nodes[node.0];
        let Some(factory) = it.stack.factories.iter().find(|factory| factory.manifest().kind() == component) else {
            return;
        };
        let cell = &mut it.cells[at];
        cell.body = super::node::Body::Component(factory.make(seed));
        cell.timers.clear();
        cell.mailbox.clear();
        let boot = crate::component::Boot { me: it.life(), name: it.name.clone(), voters, voter: it.voter };
        let hears = it.cells[at].hears.clone();
        let retained = it.retained.iter().filter(|((kind, _), _)| hears.contains(kind));
        let events: Vec<Item> = retained.map(|(_, event)| Item::Event(event.clone())).collect();
        self.hand(node.0, at, Item::Started(boot));
        for peer in 0..self.nodes.len() {
            let Some(side) = self.nodes[node.0].sides[peer].as_ref() else { continue };
            let Some(life) = side.link.peer() else { continue };
            if self.nodes[node.0].refused.get(&life.node).is_none_or(|last| *last < life.incarnation.0) {
                let role = self.nodes[peer].role();
                let name = self.nodes[peer].name.clone();
                self.hand(node.0, at, Item::Peer(crate::component::PeerChange::Joined { life, role, name }));
            }
        }
        for event in events {
            self.hand(node.0, at, event);
        }
    }

    /// The node handles nothing until [`World::resume`]; its clock goes on.
    pub fn pause(&mut self, node: NodeIndex) {
        self.ensure_started();
        let it = &mut self.nodes[node.0];
        if it.up && !it.paused {
            it.paused = true;
            it.pauses += 1;
            let life = it.life();
            self.trace.push(self.now, life, What::Paused);
            self.count("pauses");
        }
    }

    /// The node goes on: what came meanwhile and timers that came due are
    /// handled now.
    pub fn resume(&mut self, node: NodeIndex) {
        let it = &mut self.nodes[node.0];
        if !it.paused {
            return;
        }
        it.paused = false;
        let life = it.life();
        for event in it.release() {
            self.queue.plan(self.now, event);
        }
        self.trace.push(self.now, life, What::Resumed);
        self.connect_all(node.0);
    }

    /// The node's components run no more, as in a deadlock, while its links go
    /// on and acknowledge; until it crashes, stops or is ended. In the trace
    /// this is the mark [`super::check::HUNG`] of its life.
    pub fn hang(&mut self, node: NodeIndex) {
        self.ensure_started();
        let it = &mut self.nodes[node.0];
        if it.up && !it.hung {
            it.hung = true;
            let life = it.life();
            self.trace.push(self.now, life, What::Marked(super::check::HUNG));
            self.count("hangs");
        }
    }

    /// Frames from `from` to `to` are lost until [`World::join`] or
    /// [`World::heal`].
    pub fn part(&mut self, from: NodeIndex, to: NodeIndex) {
        self.ensure_started();
        self.network.block(from.0, to.0);
        let (life, far) = (self.nodes[from.0].life(), self.nodes[to.0].id);
        self.trace.push(self.now, life, What::Parted(far));
    }

    /// Takes one [`World::part`] back.
    pub fn join(&mut self, from: NodeIndex, to: NodeIndex) {
        self.network.unblock(from.0, to.0);
        let (life, far) = (self.nodes[from.0].life(), self.nodes[to.0].id);
        self.trace.push(self.now, life, What::Mended(far));
        self.connect(from.0, to.0);
    }

    /// Nobody in `some` reaches anybody else, nor is reached.
    pub fn partition(&mut self, some: &[NodeIndex]) {
        let others: Vec<NodeIndex> = self.all().filter(|node| !some.contains(node)).collect();
        for &inside in some {
            for &outside in &others {
                self.part(inside, outside);
                self.part(outside, inside);
            }
        }
        self.count("partitions");
    }

    /// Cuts the session between two nodes; they connect again by themselves.
    pub fn cut(&mut self, a: NodeIndex, b: NodeIndex) {
        self.count("sessions cut");
        self.drop_session(a.0, b.0);
    }

    /// The node's clock jumps forward; timers that are then due fire.
    pub fn jump(&mut self, node: NodeIndex, by: Duration) {
        self.ensure_started();
        let it = &mut self.nodes[node.0];
        let nanos = by.as_nanos() as u64;
        it.skew += nanos;
        let (life, run, skew) = (it.life(), it.run, it.skew);
        for (cell, its) in it.cells.iter().enumerate() {
            for (id, at) in &its.timers {
                let due = Time(at.0.saturating_sub(skew)).max(self.now);
                self.queue.plan(due, Event::Timer { node: node.0 as u16, run, cell: cell as u16, id: *id });
            }
        }
        self.trace.push(self.now, life, What::Jumped(nanos));
        self.count("clock jumps");
        for peer in 0..self.nodes.len() {
            if self.nodes[node.0].up {
                self.pump(node.0, peer);
            }
        }
    }

    /// The chaos phase is over: all faults stop, partitions are mended, paused
    /// nodes resume. Crashed nodes stay down unless the chaos was to restart
    /// them or the test does.
    pub fn heal(&mut self) {
        self.ensure_started();
        self.phase += self.phase % 2;
        let delay = self.faults.delay;
        self.faults = Faults { delay: (delay.0, delay.1.min(Duration::from_millis(2))), ..Faults::none() };
        self.network.unblock_all();
        self.network.partitions.clear();
        for node in 0..self.nodes.len() {
            self.nodes[node].doomed = false;
            self.nodes[node].storage.heal();
            self.resume(NodeIndex(node));
        }
        for node in 0..self.nodes.len() {
            self.connect_all(node);
        }
        let first = self.nodes[0].life();
        self.trace.push(self.now, first, What::Healed);
    }

    /// Restarts every node that is down, without its disk.
    pub fn restart_all(&mut self) {
        for node in self.all() {
            self.restart(node, false);
        }
    }

    /// The present life is over: told by a peer or by a component. The node
    /// goes on as a new one, as its supervisor sees to.
    pub(super) fn outlive(&mut self, at: usize, at_least: u64) {
        if !self.nodes[at].up {
            return;
        }
        let life = self.nodes[at].life();
        self.trace.push(self.now, life, What::Outlived);
        self.count("lives outlived");
        self.end_memory(at);
        let delay = Duration::from_micros(self.rng.u64(1000..50_000));
        let run = self.nodes[at].run;
        let kept = DiskKept::All;
        self.queue.plan(self.now + delay, Event::Start { node: at as u16, run, at_least, kept });
    }

    /// What a doomed node had handed to its links may still go out, to some of
    /// its peers.
    pub(super) fn last_breath(&mut self, node: usize) {
        for peer in 0..self.nodes.len() {
            if self.nodes[node].sides[peer].is_some() && self.rng.bool() {
                self.transmit(node, peer);
            }
        }
    }

    pub(super) fn end_memory(&mut self, at: usize) {
        let id = self.nodes[at].id;
        self.nodes[at].lose_memory();
        for peer in 0..self.nodes.len() {
            self.network.forget_connecting(at, peer);
            if let Some(epoch) = self.network.take_session(at, peer) {
                // a killed process's sockets are reset; a machine that is gone says nothing
                let millis = if self.rng.u32(0..4) > 0 { self.rng.u64(0..5) } else { self.rng.u64(0..FALL_NOTICED) };
                let run = self.nodes[peer].run;
                let close = Event::Close { at: peer as u16, run, peer: at as u16, epoch };
                self.queue.plan(self.now + Duration::from_millis(millis), close);
            }
            if self.nodes[peer].up {
                self.reset_streams(peer, id, "the peer crashed");
            }
        }
    }

    pub(super) fn begin_chaos(&mut self) {
        self.phase += 1 + self.phase % 2;
        for class in Class::ALL {
            self.plan_strike(class);
        }
    }

    fn plan_strike(&mut self, class: Class) {
        if let Some(every) = self.faults.every(class) {
            let wait = every.mul_f64(2.0 * self.rng_of(class).f64()) + Duration::from_millis(1);
            self.queue.plan(self.now + wait, Event::Chaos { class: class as u8, phase: self.phase });
        }
    }

    pub(super) fn strike(&mut self, class: u8, phase: u32) {
        if phase != self.phase {
            return;
        }
        let class = Class::ALL[class as usize];
        let nodes = self.nodes.len();
        let node = NodeIndex(self.rng_of(class).usize(0..nodes));
        match class {
            Class::Cut => {
                let sessions = self.network.sessions();
                if !sessions.is_empty() {
                    let (a, b) = sessions[self.rng.usize(0..sessions.len())];
                    self.cut(NodeIndex(a), NodeIndex(b));
                }
            }
            Class::Partition => self.strike_partition(),
            Class::Pause => {
                self.pause(node);
                let lasting = self.lasting(self.faults.pauses);
                let pause = self.nodes[node.0].pauses;
                self.queue.plan(self.now + lasting, Event::Resume { node: node.0 as u16, pause });
            }
            Class::Crash => self.strike_crash(node),
            Class::Jump => {
                let by = self.lasting(self.faults.jumps);
                self.jump(node, by);
            }
            Class::DiskWrite => self.strike_disk(node, DiskFault::Write),
            Class::DiskSync => self.strike_disk(node, DiskFault::Sync),
            Class::DiskRead => self.strike_disk(node, DiskFault::Read),
            Class::DiskFull => self.fill_disk(node),
        }
        self.plan_strike(class);
    }

    fn rng_of(&mut self, class: Class) -> &mut fastrand::Rng {
        if class.is_of_disks() { &mut self.disk_rng } else { &mut self.rng }
    }

    fn lasting(&mut self, spell: Option<super::faults::Spell>) -> Duration {
        spell.map_or(Duration::ZERO, |spell| spell.lasting.mul_f64(self.rng.f64()))
    }

    fn strike_partition(&mut self) {
        let mut nodes: Vec<NodeIndex> = self.all().collect();
        self.rng.shuffle(&mut nodes);
        let size = self.rng.usize(1..=(nodes.len() / 2).max(1));
        let (some, others) = nodes.split_at(size);
        let direction = if self.faults.one_way { self.rng.u32(0..3) } else { 0 };
        let mut ways = Vec::new();
        for &inside in some {
            for &outside in others {
                if direction != 1 {
                    ways.push((inside, outside));
                }
                if direction != 2 {
                    ways.push((outside, inside));
                }
            }
        }
        for &(from, to) in &ways {
            self.part(from, to);
            if self.rng.u32(0..3) == 0 {
                self.drop_session(from.0, to.0);
            }
        }
        self.count("partitions");
        let lasting = self.lasting(self.faults.partitions);
        let partition = self.network.partitioned(ways);
        self.queue.plan(self.now + lasting, Event::Unpartition { partition });
    }

    pub(super) fn unpartition(&mut self, partition: u32) {
        for (from, to) in self.network.partitions.remove(&partition).unwrap_or_default() {
            self.join(from, to);
        }
    }

    /// Whether a node is not one of the `f` that have failed.
    fn is_strong(&mut self, node: NodeIndex) -> bool {
        let it = &self.nodes[node.0];
        if !it.up || it.doomed {
            return !it.voter;
        }
        match self.ready_when.clone() {
            Some(ready) => ready(self, node),
            None => it.incarnation == 1 || self.now.since(it.started_at) > READY_AFTER,
        }
    }

    /// Whether the fall of this node leaves no more than `down_max` fallen.
    pub(super) fn may_fail(&mut self, node: NodeIndex) -> bool {
        let others = self.all().filter(|other| *other != node && !self.is_strong(*other)).count();
        others < self.faults.down_max
    }

    fn strike_crash(&mut self, node: NodeIndex) {
        if !self.nodes[node.0].up || self.nodes[node.0].doomed || !self.may_fail(node) {
            return;
        }
        let between = self.faults.crashes_between_effects && self.rng.bool();
        if between {
            self.crash_between_effects(node);
        } else {
            self.crash(node);
        }
        let lasting = self.lasting(self.faults.crashes) + Duration::from_millis(60);
        let kept = self.rng.f64() < self.faults.disk_kept;
        let kept = if kept { self.draw_kept() } else { DiskKept::Nothing };
        let run = self.nodes[node.0].run + u32::from(between);
        self.queue.plan(self.now + lasting, Event::Start { node: node.0 as u16, run, at_least: 0, kept });
    }
}
