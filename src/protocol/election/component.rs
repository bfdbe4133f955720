//! The component: who is there, who leads, and what is to be done about it.

use super::bully::Phase;
use super::config::{By, Config, Mode};
use super::epoch::Epoch;
use super::event::{LeaderElected, LeaderLost};
use super::message::{Call, Message, Status};
use super::rank::Frozen;
use super::score;
use super::textbook::Disk;
use crate::component::{
    Context, Input, Inspection, Lane, LoadSample, Manifest, Modelled, NetComponent, PeerChange, PeerRole, Role, Run,
    To, Uncompared,
};
use crate::error::Fault;
use crate::event::EventType;
use crate::id::{Life, NodeId};
use crate::protocol::failure_detector::Suspicion;
use crate::time::Time;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "election";

/// The component's timers.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// An election begins here.
    Begin,
    /// Nobody better answered, or one that did fell silent.
    Decide,
    /// The leader shows itself.
    Beacon,
    /// The leader's lease ends.
    Lease,
    /// The disk, or the map, is asked again.
    Again,
}

pub(super) type Cx<'a, 'b> = &'a mut Context<'b, Election>;

/// A linked member.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Peer {
    pub(super) life: Life,
    pub(super) voter: bool,
    pub(super) suspected: bool,
}

/// A leadership and since when it is known here.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leadership {
    pub(super) epoch: Epoch,
    pub(super) life: Life,
    pub(super) since: Time,
}

impl Leadership {
    pub(super) fn elected(&self) -> LeaderElected {
        LeaderElected { epoch: self.epoch, leader: self.life }
    }
}

/// What was only counted.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct Counts {
    pub(super) elections: u64,
    pub(super) led: u64,
    pub(super) refused: u64,
    pub(super) junk: u64,
}

/// The election of a node: see [the module](super).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Election {
    pub(super) config: Config,
    pub(super) me: Life,
    pub(super) voter: bool,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// The highest epoch that is known, and durable where this mode asks for it.
    pub(super) known: Option<Leadership>,
    /// Whether the last thing told of `known` is that it leads.
    pub(super) told: bool,
    pub(super) phase: Phase,
    pub(super) frozen: Frozen,
    /// Elections in a row that brought no leader.
    pub(super) failed: u32,
    pub(super) score: Option<u16>,
    /// Compared by the score that follows from it.
    sample: Uncompared<Option<LoadSample>>,
    active_tasks: u32,
    /// Since when this node is better than the leader, and when it last tried.
    pub(super) advantage: Option<Time>,
    pub(super) challenged: Option<Time>,
    pub(super) disk: Disk,
    #[cfg(feature = "replicated_log")]
    pub(super) map: super::safe::Map,
    /// Only counted.
    pub(super) counts: Uncompared<Counts>,
}

impl Election {
    /// An election with these settings.
    pub fn new(config: Config) -> Self {
        Election {
            config,
            me: Life::new(NodeId(0), 0),
            voter: false,
            peers: BTreeMap::new(),
            known: None,
            told: false,
            phase: Phase::Resting,
            frozen: Frozen::default(),
            failed: 0,
            score: None,
            sample: Uncompared(None),
            active_tasks: 0,
            advantage: None,
            challenged: None,
            disk: Disk::default(),
            #[cfg(feature = "replicated_log")]
            map: super::safe::Map::default(),
            counts: Uncompared(Counts::default()),
        }
    }

    pub(super) fn is_safe(&self) -> bool {
        self.config.mode == Mode::Safe && cfg!(feature = "replicated_log")
    }

    /// Whether it knows what it must before it may speak.
    fn is_ready(&self) -> bool {
        #[cfg(feature = "replicated_log")]
        if self.is_safe() {
            return self.map.is_ready();
        }
        self.disk.is_ready()
    }

    /// Whether this life leads now.
    pub(super) fn leads(&self, now: Time) -> bool {
        self.known.is_some_and(|known| known.life == self.me) && self.lease_lasts(now)
    }

    fn lease_lasts(&self, now: Time) -> bool {
        #[cfg(feature = "replicated_log")]
        if self.is_safe() {
            return self.map.lease_lasts(now);
        }
        let _ = now;
        true
    }

    /// Whether nobody need seek: the leader is up, for all that is known here.
    pub(super) fn is_led(&self) -> bool {
        self.known.is_some_and(|known| {
            let peer = self.peers.get(&known.life.node);
            known.life == self.me || peer.is_some_and(|peer| peer.life == known.life && !peer.suspected)
        })
    }

    /// A higher epoch is known, and durable.
    pub(super) fn follow(&mut self, epoch: Epoch, life: Life, cx: Cx<'_, '_>) {
        self.known = Some(Leadership { epoch, life, since: cx.now() });
        self.told = false;
        self.advantage = None;
        self.rest(cx);
        if life == self.me {
            self.counts.led += 1;
            self.show_to_all(Lane::Control, cx);
            cx.set_timer(Timer::Beacon, self.config.repeat());
        } else {
            cx.cancel_timer(&Timer::Beacon);
        }
        log::info!(target: "nodewright::election", "{} leads in epoch {epoch} ({})", life, self.mode_text());
        self.review(cx);
    }

    /// Nothing is sought any more.
    pub(super) fn rest(&mut self, cx: Cx<'_, '_>) {
        self.phase = Phase::Resting;
        self.failed = 0;
        cx.cancel_timer(&Timer::Begin);
        cx.cancel_timer(&Timer::Decide);
    }

    /// Says what changed of the leader, and seeks one if there is none.
    pub(super) fn review(&mut self, cx: Cx<'_, '_>) {
        let Some(known) = self.known else {
            if self.phase == Phase::Resting && !cx.has_timer(&Timer::Begin) {
                self.begin_later(cx);
            }
            return;
        };
        let stands = if known.life == self.me { self.leads(cx.now()) } else { self.is_led() };
        if stands != self.told {
            self.told = stands;
            let LeaderElected { epoch, leader } = known.elected();
            if stands {
                cx.publish(LeaderElected { epoch, leader });
            } else {
                log::info!(target: "nodewright::election", "{leader} leads no longer, as far as this node knows (epoch {epoch})");
                cx.publish(LeaderLost { epoch, leader });
            }
        }
        if self.is_led() {
            if self.phase == Phase::Resting {
                cx.cancel_timer(&Timer::Begin);
            }
        } else if self.phase == Phase::Resting && !cx.has_timer(&Timer::Begin) {
            self.begin_later(cx);
        }
    }

    fn mode_text(&self) -> &'static str {
        if self.is_safe() { "safe mode" } else { "textbook mode: one leader a side in a partition" }
    }

    pub(super) fn show(&self, to: To, lane: Lane, cx: Cx<'_, '_>) {
        if let Some(known) = self.known.filter(|_| self.leads(cx.now())) {
            cx.send(to, lane, &Message::Coordinator { epoch: known.epoch, score: self.score });
        }
    }

    fn show_to_all(&self, lane: Lane, cx: Cx<'_, '_>) {
        for peer in self.peers.values() {
            self.show(To::Life(peer.life), lane, cx);
        }
    }

    fn peer(&mut self, change: &PeerChange, cx: Cx<'_, '_>) {
        match change {
            PeerChange::Joined { role: PeerRole::Client, .. } => return,
            PeerChange::Joined { life, role, .. } => {
                let peer = Peer { life: *life, voter: *role == PeerRole::Voter, suspected: false };
                self.peers.insert(life.node, peer);
                self.show(To::Life(*life), Lane::Control, cx);
            }
            PeerChange::Ended { life, .. } => {
                if self.peers.get(&life.node).is_some_and(|peer| peer.life == *life) {
                    self.peers.remove(&life.node);
                }
            }
        }
        self.review(cx);
    }

    fn suspicion(&mut self, suspicion: &Suspicion, cx: Cx<'_, '_>) {
        let Some(peer) = self.peers.get_mut(&suspicion.life.node).filter(|peer| peer.life == suspicion.life) else {
            return;
        };
        peer.suspected = suspicion.suspected;
        if !suspicion.suspected {
            self.show(To::Life(suspicion.life), Lane::Control, cx); // it may follow another
        }
        self.review(cx);
    }

    fn loaded(&mut self) {
        let sample = self.sample.0.filter(|_| self.config.by == By::Load);
        self.score = sample.and_then(|sample| score::score(&sample, self.active_tasks)).map(score::tenths);
    }

    fn status(&self, now: Time) -> Status {
        let last = self.known.map(|known| known.elected());
        let mine = self.known.is_some_and(|known| known.life == self.me);
        let leader = last.filter(|_| if mine { self.leads(now) } else { self.is_led() });
        Status { last, leader, leads: self.leads(now), score: self.score }
    }

    fn message(&mut self, from: Life, head: Message, cx: Cx<'_, '_>) {
        let Some(peer) = self.peers.get(&from.node).filter(|peer| peer.life == from).copied() else { return };
        if !self.is_ready() {
            return; // the leader repeats itself, and who seeks asks again
        }
        match head {
            Message::Coordinator { epoch, score } => self.coordinator(from, epoch, score, cx),
            Message::Election { number, rank, challenge } if peer.voter => {
                self.election(from, number, rank, challenge, cx);
            }
            Message::Answer { number } if peer.voter => self.answer(number, cx),
            Message::Outdated { epoch } if peer.voter => self.outdated(epoch, cx),
            _ => self.counts.junk += 1, // a listener has no say
        }
    }

    fn timer(&mut self, timer: Timer, cx: Cx<'_, '_>) {
        match timer {
            Timer::Begin => self.begin_now(cx),
            Timer::Decide => self.decide(cx),
            Timer::Beacon => {
                self.show_to_all(Lane::Probe, cx);
                if self.known.is_some_and(|known| known.life == self.me) {
                    cx.set_timer(Timer::Beacon, self.config.repeat());
                }
            }
            Timer::Lease => self.review(cx),
            Timer::Again => self.ask_again(cx),
        }
    }

    fn ask_again(&mut self, cx: Cx<'_, '_>) {
        #[cfg(feature = "replicated_log")]
        if self.is_safe() {
            return self.look(cx);
        }
        self.read_disk(cx);
    }
}

impl NetComponent for Election {
    type Message = Message;
    type Call = Call;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        let safe = self.is_safe();
        let mut requires = vec!["failure_detector"];
        requires.extend(safe.then_some("replicated_map"));
        Manifest {
            provides: vec![NAME],
            requires,
            hears: vec![EventType::of::<Suspicion>()],
            wants_load: self.config.by == By::Load,
            run: Run::InPlace,
            role: Role::Protocol,
            guarantee: if safe {
                "safe mode: at most one leader an epoch, under any fault; needs a majority up to elect one; receivers \
                 refuse lower epochs by a fence, the leader's lease only shortens overlap"
            } else {
                "textbook mode: whoever is left leads, so there is one leader a side in a partition, or while a \
                 detector is mistaken; epochs tell them apart and only rise; one leader for all in calm"
            },
            memory_ceiling: Some(|peers| 256 * (peers as u64 + 1)),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                (self.me, self.voter) = (boot.me, boot.voter);
                self.ask_again(cx);
                // those who lead show themselves before this
                let delay = self.config.coordinator_within() + self.delay(cx);
                cx.set_timer(Timer::Begin, delay);
            }
            Input::Message { from, head, .. } => self.message(from, head, cx),
            Input::Peer(change) => self.peer(change, cx),
            Input::Event(event) => {
                if let Some(suspicion) = event.get::<Suspicion>() {
                    self.suspicion(suspicion, cx);
                }
            }
            Input::Timer(timer) => self.timer(timer, cx),
            Input::Disk { token, result } => self.disk_done(token, result, cx),
            #[cfg(feature = "replicated_log")]
            Input::Reply { token, value } => self.map_answered(token, value, cx),
            Input::Load(sample) => {
                self.sample = Uncompared(Some(sample));
                self.loaded();
            }
            Input::Call { call: Call::ActiveTasks(tasks), reply_to } => {
                self.active_tasks = tasks;
                self.loaded();
                cx.reply(reply_to, ());
            }
            Input::Call { call: Call::Status, reply_to } => {
                let status = self.status(cx.now());
                cx.reply(reply_to, status);
            }
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        let none = || "none".to_string();
        let leader = self.known.map_or_else(none, |known| {
            let stands = if self.told { "" } else { ", lost" };
            format!("{} in epoch {}{stands}", known.life, known.epoch)
        });
        into.row("leader", leader);
        into.row("mode", self.mode_text());
        into.row("election", format!("{:?}", self.phase));
        if self.config.by == By::Load {
            let score = self.score.map_or("no candidate".to_string(), |it| format!("{:.1}", f64::from(it) / 10.0));
            into.row("load score", score);
        }
        let Counts { elections, led, refused, junk } = self.counts.0;
        into.row("elections begun", format!("{elections}, led {led}, lower epochs refused {refused}, junk {junk}"));
    }
}

impl Modelled for Election {}

impl Election {
    /// A random delay, longer after elections that brought no leader.
    pub(super) fn delay(&self, cx: Cx<'_, '_>) -> Duration {
        let longest = self.config.start_delay * (1 << self.failed.min(4));
        match u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            longest => Duration::from_nanos(cx.rng().u64(0..longest)),
        }
    }
}
