//! The broadcast core as a component: takes requests in, sends each batch once,
//! keeps what it holds, and delivers when the rung's guarantee is met.
//!
//! One run of inputs only notes what arrived; [`NetComponent::flush`] then
//! broadcasts, delivers, releases, acknowledges and reports once. So the cost
//! is per batch and per flush, not per message.

use super::config::{Config, Mutant};
use super::feed::{Feeds, Listening};
use super::join::Joining;
use super::list::Lists;
use super::message::Message;
use super::origin::Origin;
use super::pressure::Pressure;
use super::progress::Receipts;
use super::requests::Request;
use super::voters::{CONFIGURED, Voters};
use super::window::Window;
use super::{Guarantee, Order, manifest};
use crate::component::{
    Boot, Context, Input, Inspection, Manifest, Modelled, NetComponent, PeerChange, PeerRole, Uncompared,
};
use crate::error::Fault;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::membership::VoterList;
use crate::protocol::ordering::causal::Causal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Cx<'a, 'b> = &'a mut Context<'b, Broadcast>;

/// A rung of the delivery ladder as a component, named by
/// [`Delivery::name`](super::Delivery::name).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    pub(super) config: Uncompared<Config>,
    pub(super) guarantee: Guarantee,
    pub(super) kind: Kind,
    pub(super) mutant: Option<Mutant>,
    pub(super) me: Life,
    /// Whether this node votes; a listener only hears its sponsor.
    pub(super) voter: bool,
    pub(super) voters: Voters,
    pub(super) lists: Lists,
    /// Every linked life, by node.
    pub(super) peers: BTreeMap<NodeId, (Life, PeerRole)>,
    pub(super) origins: BTreeMap<Life, Origin>,
    /// The last closed lives of each node, and where they ended: nothing else
    /// is left of them here.
    pub(super) closed: BTreeMap<Life, u64>,
    pub(super) causal: Option<Causal>,
    pub(super) joining: Joining,
    pub(super) pressure: Pressure,
    pub(super) receipts: Receipts,
    pub(super) window: Window,
    pub(super) feeds: Feeds,
    pub(super) listening: Listening,
    pub(super) dropped: Uncompared<Dropped>,
    /// Origins to look at in the next flush.
    pub(super) dirty: Vec<Life>,
    /// Batches that best effort has seen, per life: dedupe and order.
    pub(super) seen: BTreeMap<Life, u64>,
    pub(super) deliveries: u64,
    /// What the mutants delivered too early.
    pub(super) already: BTreeSet<(Life, u64)>,
    pub(super) scratch: Uncompared<Vec<u64>>,
    pub(super) repair_set: bool,
    /// How often repair saw that something waits for more of a closed life.
    pub(super) hopeless: BTreeMap<Life, u32>,
    pub(super) requests: Vec<Request>,
    pub(super) next_seq: u64,
}

/// Named timers.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    Repair,
    Patience,
    Absent,
    ColdStart,
}

/// Messages that were dropped, by reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Dropped {
    /// From an unknown or earlier incarnation, or about one.
    pub(super) unknown: u64,
    pub(super) malformed: u64,
    pub(super) duplicates: u64,
    /// Too far ahead, or too much kept: asked for again later.
    pub(super) no_room: u64,
}

impl Broadcast {
    /// The delivery component that `config` describes.
    pub fn new(config: Config) -> Self {
        Self::build(config, None)
    }

    /// The same with a planted bug.
    #[doc(hidden)]
    pub fn mutant(config: Config, mutant: Mutant) -> Self {
        Self::build(config, Some(mutant))
    }

    fn build(config: Config, mutant: Option<Mutant>) -> Self {
        let causal = config.delivery.order() == Order::Causal && mutant != Some(Mutant::DeliverOnArrival);
        Broadcast {
            guarantee: config.delivery.guarantee(),
            kind: config.delivery.kind(),
            mutant,
            me: Life::new(NodeId(0), 0),
            voter: true,
            voters: Voters { counts_all: mutant == Some(Mutant::CountAcrossLists), ..Voters::default() },
            lists: Lists::default(),
            peers: BTreeMap::new(),
            origins: BTreeMap::new(),
            closed: BTreeMap::new(),
            causal: causal.then(|| match mutant {
                Some(Mutant::LamportForVectors) => Causal::by_one_number(),
                _ => Causal::default(),
            }),
            joining: Joining::default(),
            pressure: Pressure::default(),
            receipts: Receipts::default(),
            window: Window::default(),
            feeds: Feeds::default(),
            listening: Listening::default(),
            dropped: Uncompared::default(),
            dirty: Vec::new(),
            seen: BTreeMap::new(),
            deliveries: 0,
            already: BTreeSet::new(),
            scratch: Uncompared::default(),
            repair_set: false,
            hopeless: BTreeMap::new(),
            requests: Vec::new(),
            next_seq: 1,
            config: Uncompared(config),
        }
    }

    /// Whether this rung keeps what it holds until it is stable.
    pub(super) fn holds(&self) -> bool {
        self.guarantee != Guarantee::BestEffort
    }

    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn started(&mut self, boot: &Boot, cx: Cx<'_, '_>) {
        self.me = boot.me;
        self.config.clocks.begin(boot.me);
        if self.config.voters_by_log {
            self.voter = false;
            return; // the log says who votes
        }
        self.voter = boot.voter;
        (self.voters.configured, self.voters.version) = (boot.voters, CONFIGURED);
        self.begin_under_list(cx);
    }

    /// A life, or one that goes on, under the list that is in force now.
    pub(super) fn begin_under_list(&mut self, cx: Cx<'_, '_>) {
        let counts = self.guarantee == Guarantee::Uniform && self.voter;
        let at_once = self.is(Mutant::MoveAtOnce) && self.joining.under > 0;
        self.joining.joined = !counts || at_once || self.is(Mutant::CountAmnesiacAcks);
        if self.joining.joined && self.voter {
            self.joining.under = self.voters.version;
        }
        if self.holds() && self.voter {
            self.origins.entry(self.me).or_insert_with(|| Origin::new(self.me));
            if self.voters.awaits_absent() {
                cx.set_timer(Timer::Absent, self.config.absent_after);
            }
        }
    }

    fn peer(&mut self, change: &PeerChange, cx: Cx<'_, '_>) {
        match change {
            PeerChange::Joined { life, role, name } => {
                self.peers.insert(life.node, (*life, *role));
                if !self.holds() {
                    self.window.joined(*life);
                }
                let joiner = *role == PeerRole::Joiner && self.config.voters_by_log;
                if *role == PeerRole::Voter || joiner {
                    self.voter_joined(*life, name.clone(), cx);
                }
            }
            PeerChange::Ended { life, why } => {
                let known = self.peers.get(&life.node).copied();
                if known.is_some_and(|(current, _)| current == *life) {
                    self.peers.remove(&life.node);
                }
                self.window.ended(*life, &mut self.receipts);
                self.feeds.end(*life);
                self.seen.remove(life);
                // Of nodes that were never met, only voters' ends are told.
                let joiner = |role| role == PeerRole::Joiner && self.config.voters_by_log;
                if known.is_none_or(|(_, role)| role == PeerRole::Voter || joiner(role)) {
                    self.voter_ended(*life, *why, cx);
                }
            }
        }
    }

    fn suspicion(&mut self, suspicion: &Suspicion, cx: Cx<'_, '_>) {
        let Some(slot) = self.voters.slot(suspicion.life) else { return };
        self.voters.slots[slot].suspected = suspicion.suspected;
        if suspicion.suspected {
            self.relay_held(suspicion.life, cx);
        }
        self.touch_all();
    }

    fn timer(&mut self, timer: Timer, cx: Cx<'_, '_>) {
        match timer {
            Timer::Repair => self.repair(cx),
            Timer::Patience => self.patience_over(cx),
            Timer::Absent => {
                self.voters.absent_given_up = true;
                self.touch_all();
            }
            Timer::ColdStart => self.joining.waited = true,
        }
    }

    /// Has the next flush look at this origin.
    pub(super) fn touch(&mut self, life: Life) {
        if let Some(origin) = self.origins.get_mut(&life)
            && !std::mem::replace(&mut origin.dirty, true)
        {
            self.dirty.push(life);
        }
    }

    pub(super) fn touch_all(&mut self) {
        for (life, origin) in &mut self.origins {
            if !std::mem::replace(&mut origin.dirty, true) {
                self.dirty.push(*life);
            }
        }
    }
}

/// What is not compared never decides what a model sees: settings are one
/// model's own, and the clocks in them, which clones share, are left out of
/// models; what was dropped is only counted.
impl Modelled for Broadcast {}

impl NetComponent for Broadcast {
    type Message = Message;
    type Call = std::convert::Infallible;
    type Timer = Timer;
    type Job = std::convert::Infallible;
    type Done = std::convert::Infallible;

    fn manifest(&self) -> Manifest {
        manifest::of(self.config.delivery)
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => self.started(boot, cx),
            Input::Request { from, target, batch } => self.request(from, target, batch),
            Input::Message { from, head, body } => self.receive(from, head, body, cx),
            Input::Peer(change) => self.peer(change, cx),
            Input::Event(event) => {
                if let Some(suspicion) = event.get::<Suspicion>() {
                    self.suspicion(suspicion, cx);
                } else if let Some(list) = event.get::<VoterList>() {
                    self.list_came(list);
                }
            }
            Input::Timer(timer) => self.timer(timer, cx),
            Input::Credit { life, bytes } => {
                self.window.credit(life, bytes, self.pressure.withheld, &mut self.receipts);
            }
            Input::Consumed { channel, bytes } => self.consumed(channel, bytes, cx),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.broadcast_requested(cx);
        self.try_join(cx);
        self.follow_lists(cx)?;
        self.settle(cx);
        self.feed(cx);
        self.watch_memory(cx);
        self.receipts.drain(self.kind, |channel, progress| cx.progress(channel, progress));
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        self.describe(into);
    }

    fn explain(&self, message: MessageId) -> Option<String> {
        (message.delivery == self.kind).then(|| self.account_of(message))
    }
}
