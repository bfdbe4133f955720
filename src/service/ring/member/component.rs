//! Inputs come in here.

use super::asking::{Asking, Why};
use super::chores::Chore;
use super::clients::Clients;
use super::config::{Config, Mutant};
use super::expiry::Expiry;
use super::following::Following;
use super::mapping::{Mapping, Told};
use super::message::{Got, Message};
use super::push::Push;
use super::reading::Reading;
use super::rebalance::Rebalance;
use super::refill::Refills;
use super::topology::{Peers, Topology};
use super::verbs::Verb;
use super::{ClientId, holder};
use crate::component::{Context, Input, Inspection, Manifest, NetComponent, Role, StreamId, StreamInput, Token};
use crate::error::Fault;
use crate::event::EventType;
use crate::id::NodeId;
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::replicated_log::LogLeader;
use crate::service::ring::text::Request;
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "ring";
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// What the user, or another component, may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// All that a client says on one connection, in the text protocol. Answered with
    /// `Result<Bytes, `[`Cut`](super::Cut)`>`: all that the node said, once it is done with the
    /// last request. For whole files that fit into memory.
    Talk(Bytes),
}

/// The component's timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Deadlines.
    Tick,
    /// The map is asked again.
    Again,
}

/// See [the module](super).
pub struct Ring {
    pub(super) config: Config,
    pub(super) name: Arc<str>,
    pub(super) clients: Clients,
    pub(super) pushes: BTreeMap<ClientId, Push>,
    pub(super) readings: BTreeMap<ClientId, Reading>,
    pub(super) verbs: BTreeMap<ClientId, Verb>,
    pub(super) chores: BTreeMap<ClientId, Chore>,
    /// Clients who wait for what this node's disk knows.
    pub(super) rebuilds: BTreeMap<Token, ClientId>,
    pub(super) pushed: u64,
    pub(super) asking: Asking,
    pub(super) mapping: Mapping,
    pub(super) peers: Peers,
    pub(super) topology: Topology,
    pub(super) following: Following,
    pub(super) expiry: Expiry,
    pub(super) refills: Refills,
    pub(super) rebalance: Rebalance,
    /// Requests that came before this node knows the ring.
    pub(super) early: Vec<(ClientId, Request)>,
    pub(super) started: Time,
    /// How many nodes are configured.
    pub(super) voters: usize,
    /// Clients that wait for memory, the first come first.
    pub(super) queue: VecDeque<ClientId>,
}

pub(super) type Cx<'a, 'b> = &'a mut Context<'b, Ring>;

impl Ring {
    /// With these settings.
    pub fn new(config: Config) -> Self {
        Ring {
            config,
            name: Arc::from(""),
            clients: Clients::default(),
            pushes: BTreeMap::new(),
            readings: BTreeMap::new(),
            verbs: BTreeMap::new(),
            chores: BTreeMap::new(),
            rebuilds: BTreeMap::new(),
            pushed: 0,
            asking: Asking::default(),
            mapping: Mapping::default(),
            peers: Peers::default(),
            topology: Topology::default(),
            following: Following::default(),
            expiry: Expiry::default(),
            refills: Refills::default(),
            rebalance: Rebalance::default(),
            early: Vec::new(),
            started: Time::ZERO,
            voters: 0,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.config.mutant == Some(mutant)
    }

    pub(super) fn wall_ms(&self, cx: Cx<'_, '_>) -> u64 {
        (self.config.wall_ms)(cx.now())
    }

    /// Who waited for a holder's answer goes on.
    fn hear_answers(&mut self, cx: Cx<'_, '_>) {
        while let Some((why, node, got)) = self.asking.next_answer() {
            if got.is_none() {
                self.peers.doubt(node, cx.now());
            }
            self.hear(why, node, got, cx);
        }
    }

    fn hear(&mut self, why: Why, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        match why {
            Why::Push(client, step) => self.push_heard(client, step, node, got, cx),
            Why::Read(client, asked) => self.reading_heard(client, asked, node, got, cx),
            Why::Refill(asked) => self.refill_heard(asked, node, got, cx),
            Why::Move(asked) => self.move_heard(asked, node, got, cx),
            Why::Scrub(client) => self.scrub_heard(client, node, got, cx),
            Why::Sweep(client) => self.heal_heard(client, node, cx),
            Why::Nothing => {}
        }
    }

    /// The map told something that a client waits for.
    pub(super) fn client_told(&mut self, client: ClientId, told: Told, cx: Cx<'_, '_>) {
        if self.pushes.contains_key(&client) {
            self.push_told(client, told, cx);
        } else if self.readings.contains_key(&client) {
            self.reading_told(client, told, cx);
        } else if self.chores.contains_key(&client) {
            self.chore_told(client, told, cx);
        } else {
            self.verb_told(client, told, cx);
        }
    }

    fn stream(&mut self, id: StreamId, input: StreamInput, cx: Cx<'_, '_>) {
        match input {
            StreamInput::Opened { peer: None, name } => self.connected(id, &name, cx),
            StreamInput::Opened { peer: Some(_), .. } => {
                cx.stream(id, crate::component::StreamOp::Reset("members ask by messages".into()));
            }
            StreamInput::Chunk(bytes) => self.client_said(id, bytes, cx),
            StreamInput::Writable(bytes) => self.client_takes(id, bytes, cx),
            StreamInput::Finished => self.client_finished(id, cx),
            StreamInput::Reset(_) => self.client_gone(id, cx),
        }
    }

    fn tick(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        self.asking.late(now);
        self.put_again(cx);
        self.topology_tick(cx);
        self.early_tick(cx);
        self.clients_tick(cx);
        self.following_tick(cx);
        self.expiry_tick(cx);
        self.refill_tick(cx);
        self.rebalance_tick(cx);
        cx.set_timer(Timer::Tick, TICK);
    }
}

impl NetComponent for Ring {
    type Message = Message;
    type Call = Call;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            requires: vec!["replicated_map", holder::NAME, "failure_detector"],
            hears: vec![EventType::of::<Suspicion>(), EventType::of::<LogLeader>()],
            role: Role::Protocol,
            dialects: vec![b""],
            guarantee: "a file that was acknowledged is synced in all its copies and decided by a majority; a byte \
                        that is read is a byte that was pushed, or the connection is cut; without a majority files \
                        are read and none is taken",
            memory_ceiling: Some(|_| super::clients::MEMORY_BYTES_MAX),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.name = boot.name.clone();
                self.started = cx.now();
                self.voters = boot.voters;
                self.follow(cx);
                cx.set_timer(Timer::Tick, TICK);
            }
            Input::Message { from, head, body } => self.heard(from, head, body, cx),
            Input::Peer(change) => {
                if let Some(over) = self.peers.changed(change) {
                    self.asking.ended(over);
                }
            }
            Input::Event(event) => {
                if let Some(suspicion) = event.get::<Suspicion>() {
                    self.peers.suspicion(suspicion.life, suspicion.suspected, cx.now());
                }
                if let Some(leader) = event.get::<LogLeader>() {
                    self.expiry.leads = leader.node == Some(cx.me().node);
                }
            }
            Input::Reply { token, value } => {
                let unheard = self.holder_answered(token, value, cx);
                let unheard = unheard.and_then(|value| self.map_answered(token, value, cx));
                match (unheard, self.rebuilds.remove(&token)) {
                    (Some(value), Some(client)) => self.rebuild(client, value, cx),
                    (Some(value), None) => self.follow_answered(token, value, cx),
                    (None, _) => {}
                }
            }
            Input::Timer(Timer::Tick) => self.tick(cx),
            Input::Timer(Timer::Again) => self.wish_again(cx),
            Input::Stream { id, input } => self.stream(id, input, cx),
            Input::Call { call: Call::Talk(bytes), reply_to } => self.talk(bytes, reply_to, cx),
            _ => {}
        }
        self.hear_answers(cx);
        while self.serve_ready(cx) {
            self.hear_answers(cx);
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("clients", self.clients.len());
        into.row("pushes", self.pushes.len());
        into.row("reads", self.readings.len());
        into.row("asked of holders", self.asking.under_way());
        into.row("members", self.topology.text());
        into.row("to be done as decided", self.following.waiting());
        into.row("to be repaired", self.refills.waiting());
        into.row("repaired", self.refills.fetched);
    }
}
