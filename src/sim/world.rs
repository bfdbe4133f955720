//! The world as a test drives it.

use super::app::APP;
use super::faults::Faults;
use super::network::Network;
use super::node::{Body, Node};
use super::queue::Queue;
use super::recorder::Recorder;
use super::trace::{Trace, What};
use crate::codec::BatchBuilder;
use crate::component::{Erased, Inspection, Item, LoadSample, Progress, ReplyTo, Stack, Target, Token};
use crate::envelope::Content;
use crate::error::{CallError, Fault};
use crate::event::Event;
use crate::id::{Kind, Life, MessageId};
use crate::protocol::link;
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A node's place in its world.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIndex(pub usize);

/// Names a call that the test made, until its answer is taken.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    node: NodeIndex,
    token: Token,
}

/// Whether a node's life counts as ready.
pub(super) type Ready = Arc<dyn Fn(&mut World, NodeIndex) -> bool + Send + Sync>;

/// How often things happened, for "sometimes" goals.
pub type Counts = BTreeMap<&'static str, u64>;

/// Tells the seed of what happens to disks from the world's.
const DISK: u64 = 0x6469_736b;

/// Nodes, the network between them and the clock above them: see
/// [the module](super).
pub struct World {
    pub(super) now: Time,
    pub(super) rng: fastrand::Rng,
    /// What happens to disks is drawn apart: components without one meet the
    /// same world whatever disks do.
    pub(super) disk_rng: fastrand::Rng,
    pub(super) queue: Queue,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) faults: Faults,
    /// Faults strike by themselves while this is odd; it rises with each
    /// change.
    pub(super) phase: u32,
    pub(super) trace: Trace,
    pub(super) recorder: Recorder,
    pub(super) counts: Counts,
    pub(super) started: bool,
    pub(super) ready_when: Option<Ready>,
    next_token: u64,
}

impl World {
    /// An empty world. All that happens in it follows from `seed` and from
    /// what the test does.
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        World {
            now: Time::ZERO,
            network: Network::new(rng.fork()),
            rng,
            disk_rng: fastrand::Rng::with_seed(seed ^ DISK),
            queue: Queue::default(),
            nodes: Vec::new(),
            faults: Faults::none(),
            phase: 0,
            trace: Trace::default(),
            recorder: Recorder::default(),
            counts: Counts::new(),
            started: false,
            ready_when: None,
            next_token: 0,
        }
    }

    /// Adds a voter. All voters must be there before the world first runs:
    /// their number is part of the configuration.
    ///
    /// # Panics
    /// When the world already ran.
    pub fn add_node(&mut self, name: &str, stack: Stack) -> NodeIndex {
        assert!(!self.started, "the voters are the configured list: add them before the world runs");
        self.add(name, stack, None)
    }

    /// Adds a listener, which is linked to `sponsor` alone and has no vote. It
    /// may come at any time.
    pub fn add_listener(&mut self, name: &str, stack: Stack, sponsor: NodeIndex) -> NodeIndex {
        let at = self.add(name, stack, Some(sponsor.0));
        if self.started {
            self.new_side(sponsor.0, at.0);
            self.start_life(at.0, 0);
        }
        at
    }

    /// Adds a joiner: a node that is in nobody's list, links with all voters and
    /// joiners, and has no vote but in what takes it in. It may come at any time.
    pub fn add_joiner(&mut self, name: &str, stack: Stack) -> NodeIndex {
        let at = self.add(name, stack, Some(usize::MAX));
        (self.nodes[at.0].sponsor, self.nodes[at.0].joiner) = (None, true);
        if self.started {
            for other in 0..at.0 {
                if self.linkable(other, at.0) {
                    self.new_side(other, at.0);
                }
            }
            self.start_life(at.0, 0);
        }
        at
    }

    /// Links a listener to another sponsor, as a new life.
    pub fn change_sponsor(&mut self, listener: NodeIndex, sponsor: NodeIndex) {
        self.crash(listener);
        self.nodes[listener.0].sponsor = Some(sponsor.0);
        self.new_side(sponsor.0, listener.0);
        self.restart(listener, true);
    }

    /// Sets the links' timing and windows; before the world first runs.
    pub fn set_link_config(&mut self, config: link::Config) {
        self.network.link_config = config;
    }

    /// Plants a bug into every link; before the world first runs.
    #[doc(hidden)]
    pub fn plant_in_links(&mut self, mutant: link::Mutant) {
        self.network.planted.link = Some(mutant);
    }

    /// Plants a bug into the driver: that a link acknowledges is taken for a
    /// sign that its node's components live.
    #[doc(hidden)]
    pub fn plant_acks_are_heard(&mut self) {
        self.network.planted.acks_heard = true;
    }

    /// Sets the faults and begins a chaos phase: classes that are on strike by
    /// themselves from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.begin_chaos();
    }

    /// A life counts as ready (see [`Faults::down_max`]) when this holds for its
    /// node: when it has joined, say. Without it, a node's first life is ready
    /// at once and a later one after five seconds.
    pub fn ready_when(&mut self, ready: impl Fn(&mut World, NodeIndex) -> bool + Send + Sync + 'static) {
        self.ready_when = Some(Arc::new(ready));
    }

    /// How long the stand-in of the user of `node` takes for what it is handed.
    pub fn set_slowness(&mut self, node: NodeIndex, slowness: Duration) {
        self.ensure_started();
        if let Some(app) = self.app(node) {
            app.slowness = slowness;
        }
    }

    /// The machine of `node` has this load from now on: components that want it
    /// (manifest `wants_load`) are told now, and at the start of every later life.
    /// A test scripts it, or draws it from [`World::rng`].
    pub fn set_load(&mut self, node: NodeIndex, load: LoadSample) {
        self.nodes[node.0].load = Some(load);
        if self.started {
            self.hand_load(node.0);
        }
    }

    /// The world's time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The world's randomness, for the test's own choices.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The places of all nodes.
    pub fn all(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).map(NodeIndex)
    }

    /// The ids of the voters.
    pub fn voters(&self) -> std::collections::BTreeSet<crate::id::NodeId> {
        self.nodes.iter().filter(|node| node.voter).map(|node| node.id).collect()
    }

    /// The ids of the listeners.
    pub fn listeners(&self) -> std::collections::BTreeSet<crate::id::NodeId> {
        self.nodes.iter().filter(|node| !node.voter).map(|node| node.id).collect()
    }

    /// Whether a node has a life at present, paused or not.
    pub fn is_up(&self, node: NodeIndex) -> bool {
        self.nodes[node.0].up
    }

    /// Whether a node is paused.
    pub fn is_paused(&self, node: NodeIndex) -> bool {
        self.nodes[node.0].paused
    }

    /// A node's present life, or its last one while it is down.
    pub fn life(&self, node: NodeIndex) -> Life {
        self.nodes[node.0].life()
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How often things happened so far: frames lost, crashes, restarts, ...
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        counts.insert("events", self.queue.planned());
        for side in self.nodes.iter().flat_map(|node| node.sides.iter().flatten()) {
            *counts.entry("retransmissions").or_insert(0) += side.link.counters().resent;
        }
        counts
    }

    /// The faults that components stopped with, and in which life.
    pub fn component_faults(&self, node: NodeIndex) -> &[(Life, Fault)] {
        &self.nodes[node.0].faults
    }

    /// Bytes that wait in the links of a node.
    pub fn queued_bytes(&self, node: NodeIndex) -> usize {
        let sides = self.nodes[node.0].sides.iter().flatten();
        sides
            .map(|side| crate::component::Lane::ALL.map(|lane| side.link.queued_bytes(lane)).iter().sum::<usize>())
            .sum()
    }

    /// Lets the world run for `time`.
    pub fn run_for(&mut self, time: Duration) {
        self.ensure_started();
        let end = self.now + time;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets the world run until `done` holds, at most for `limit`. Says whether
    /// it does.
    pub fn run_until(&mut self, mut done: impl FnMut(&World) -> bool, limit: Duration) -> bool {
        self.ensure_started();
        let end = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if self.queue.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return done(self);
            }
            self.step();
        }
    }

    /// Broadcasts in the place of the user. Checkers tell messages apart by
    /// their bytes: give each its own. False if the node is down.
    pub fn broadcast(&mut self, node: NodeIndex, via: Kind, body: impl AsRef<[u8]>) -> bool {
        self.send(node, via, Target::All, body)
    }

    /// Like [`World::broadcast`], to `target`.
    pub fn send(&mut self, node: NodeIndex, via: Kind, target: Target, body: impl AsRef<[u8]>) -> bool {
        self.ensure_started();
        if let Some(app) = self.app(node) {
            app.broadcast(via, target, body.as_ref());
        } else if !self.request_for_app(node, via, target, body.as_ref()) {
            return false;
        }
        let body = Bytes::copy_from_slice(body.as_ref());
        let life = self.nodes[node.0].life();
        self.trace.push(self.now, life, What::Broadcast { via, target, body });
        if let Some(cell) = self.nodes[node.0].cell(Kind::of(APP)) {
            self.wake(node.0, cell);
        }
        true
    }

    /// Asks a delivery in the name of the stack's own component `app`, whose
    /// messages are [`Content`].
    fn request_for_app(&mut self, node: NodeIndex, via: Kind, target: Target, body: &[u8]) -> bool {
        let from = Kind::of(APP);
        let (Some(_), Some(via)) = (self.nodes[node.0].cell(from), self.nodes[node.0].cell(via)) else { return false };
        let mut builder = BatchBuilder::default();
        builder.push(|out| Content::Bytes(body).put(out));
        if let Some(batch) = builder.take() {
            self.hand(node.0, via, Item::Request { from, target, batch });
        }
        true
    }

    /// How far the broadcasts of the user of `node` have come.
    pub fn progress(&mut self, node: NodeIndex, via: Kind) -> Option<Progress> {
        self.app(node)?.progress.get(&(via, Target::All)).copied()
    }

    /// Calls a component. The answer, once the world ran on, is at
    /// [`World::answer`].
    pub fn call(&mut self, node: NodeIndex, component: Kind, call: Erased, deadline: Duration) -> Ticket {
        self.ensure_started();
        let token = self.token();
        if self.nodes[node.0].up {
            self.place_call(node.0, ReplyTo { component: ReplyTo::USER, token }, component, call, deadline);
        } else {
            self.nodes[node.0].answers.insert(token.0, Err(CallError::Stopping));
        }
        Ticket { node, token }
    }

    /// Takes the answer to a call, if it is there.
    pub fn answer<T: 'static>(&mut self, ticket: Ticket) -> Option<Result<T, CallError>> {
        let answer = self.nodes[ticket.node.0].answers.remove(&ticket.token.0)?;
        Some(answer.and_then(|value| match value.downcast::<T>() {
            Ok(value) => Ok(*value),
            Err(_) => Err(CallError::Refused(format!("the answer is no {}", std::any::type_name::<T>()))),
        }))
    }

    /// Calls a component and lets the world run until it has answered, at most
    /// for `deadline`.
    ///
    /// # Errors
    /// The node is down, has no such component, or does not answer in time; or
    /// the answer is no `T`.
    pub fn ask<T: 'static>(
        &mut self,
        node: NodeIndex,
        component: Kind,
        call: impl std::any::Any + Send,
        deadline: Duration,
    ) -> Result<T, CallError> {
        let ticket = self.call(node, component, Box::new(call), deadline);
        let there = |world: &World| world.nodes[node.0].answers.contains_key(&ticket.token.0);
        self.run_until(there, deadline);
        self.answer(ticket).unwrap_or(Err(CallError::TimedOut(deadline)))
    }

    /// The state of a node's components, for people. Takes no virtual time.
    pub fn inspect(&mut self, node: NodeIndex) -> Vec<(&'static str, Inspection)> {
        self.inspect_some(node, |_| true)
    }

    fn inspect_some(&mut self, node: NodeIndex, which: impl Fn(&str) -> bool) -> Vec<(&'static str, Inspection)> {
        let asked = self.ask_all(node, which, &Item::Inspect);
        asked.into_iter().filter_map(|(name, answer)| Some((name, *answer.downcast().ok()?))).collect()
    }

    /// One row of one component's state: its text.
    pub fn inspect_row(&mut self, node: NodeIndex, component: &str, row: &str) -> Option<String> {
        let (_, inspection) = self.inspect_some(node, |name| name == component).pop()?;
        inspection.rows.into_iter().find(|(name, _)| name == row).map(|(_, value)| value)
    }

    /// What a node's components know of a message. Takes no virtual time.
    pub fn explain(&mut self, node: NodeIndex, message: MessageId) -> Vec<(&'static str, String)> {
        let asked = self.ask_all(node, |_| true, &|reply_to| Item::Explain(message, reply_to));
        let known = asked.into_iter().filter_map(|(name, answer)| {
            let said: Box<Option<String>> = answer.downcast().ok()?;
            Some((name, (*said)?))
        });
        known.collect()
    }

    /// Events of type `E` that a node published, in all its lives, and when.
    pub fn events<E: Event>(&self, node: NodeIndex) -> impl Iterator<Item = (Time, Life, &E)> {
        let id = self.nodes[node.0].id;
        let records = self.trace.records().iter().filter(move |record| record.life.node == id);
        records.filter_map(|record| match &record.what {
            What::Published(event) => Some((record.at, record.life, event.get::<E>()?)),
            _ => None,
        })
    }

    /// The messages that the user of a node was handed, in all its lives.
    pub fn delivered(&self, node: NodeIndex) -> impl Iterator<Item = (Life, MessageId, &Bytes)> {
        let id = self.nodes[node.0].id;
        let records = self.trace.records().iter().filter(move |record| record.life.node == id);
        records.filter_map(|record| match &record.what {
            What::Delivered { id, body } => Some((record.life, *id, body)),
            _ => None,
        })
    }

    /// Puts a mark into the trace.
    pub fn mark(&mut self, name: &'static str) {
        let first = self.nodes[0].life();
        self.trace.push(self.now, first, What::Marked(name));
    }

    fn add(&mut self, name: &str, stack: Stack, sponsor: Option<usize>) -> NodeIndex {
        let node = Node::new(name, stack, sponsor);
        assert!(self.nodes.iter().all(|other| other.id != node.id), "two nodes have the name '{name}'");
        self.trace.name_node(node.id, node.name.clone(), sponsor.is_none());
        for factory in &node.stack.factories {
            self.trace.name_kind(factory.manifest().name);
        }
        self.nodes.push(node);
        self.network.grow(self.nodes.len());
        for node in &mut self.nodes {
            node.sides.resize_with(self.network.len(), || None);
        }
        NodeIndex(self.nodes.len() - 1)
    }

    pub(super) fn ensure_started(&mut self) {
        if self.started {
            return;
        }
        self.started = true;
        for node in 0..self.nodes.len() {
            self.start_life(node, 0);
        }
    }

    pub(super) fn app(&mut self, node: NodeIndex) -> Option<&mut super::app::App> {
        self.nodes[node.0].cells.iter_mut().find_map(|cell| match &mut cell.body {
            Body::App(app) => Some(app.as_mut()),
            Body::Component(_) => None,
        })
    }

    pub(super) fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    /// Asks components directly; what else they do at that is dropped.
    fn ask_all(
        &mut self,
        node: NodeIndex,
        which: impl Fn(&str) -> bool,
        item: &dyn Fn(ReplyTo) -> Item,
    ) -> Vec<(&'static str, Erased)> {
        self.ensure_started();
        let now = self.nodes[node.0].clock(self.now);
        let mut answers = Vec::new();
        for cell in &mut self.nodes[node.0].cells {
            let Body::Component(component) = &mut cell.body else { continue };
            if !which(component.manifest().name) {
                continue;
            }
            let mut recorder = Recorder::default();
            let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(0) };
            if component.step(item(reply_to), now, &mut recorder).is_ok() {
                let name = component.manifest().name;
                answers.extend(recorder.acts.into_iter().filter_map(|act| match act {
                    super::recorder::Act::Reply(_, value) => Some((name, value)),
                    _ => None,
                }));
            }
        }
        answers
    }
}
