//! The component: what the others report, and when the leader asks.

use super::config::{Config, Mutant};
use crate::component::{
    Context, Erased, Input, Inspection, Lane, Manifest, NetComponent, PeerChange, PeerRole, Role, Run, To, Token,
};
use crate::error::{CallError, Fault};
use crate::event::{Event, EventType};
use crate::id::{Kind, Life, NodeId};
use crate::protocol::election::score;
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::replicated_log::{self as log, LogLeader, ReplicatedLog};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "steering";
/// How long the log tries one move; it holds proposals back for the time of an election
/// at most.
const MOVE_WITHIN: Duration = Duration::from_secs(5);

/// What a member reports to the leader.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Its load score in tenths of a point; `None` if it is no candidate.
    pub score: Option<u16>,
    /// Whether it hears a majority of the nodes that it knows, itself among them.
    pub hears_majority: bool,
}

/// The component's timers.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// It is time to report, and to weigh.
    Report,
}

/// The leader asks its log that another node may lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Steered {
    /// Who is to lead.
    pub to: NodeId,
    /// The leader's score then, and the other's, in tenths of a point.
    pub scores: (u16, u16),
}

impl Event for Steered {
    const NAME: &'static str = "leader_steered";
}

struct Peer {
    life: Life,
    suspected: bool,
    /// The last report and when it came.
    report: Option<(Time, Message)>,
    /// Since when each report was much better than the own score.
    better: Option<Time>,
}

/// See [the module](super).
pub struct Steering {
    config: Config,
    score: Option<u16>,
    peers: BTreeMap<NodeId, Peer>,
    leader: Option<NodeId>,
    /// Since when this life leads, or when it last asked.
    waited_from: Option<Time>,
    asked: Option<Token>,
    moves: (u64, u64),
}

impl Steering {
    /// With these settings.
    pub fn new(config: Config) -> Self {
        Steering {
            config,
            score: None,
            peers: BTreeMap::new(),
            leader: None,
            waited_from: None,
            asked: None,
            moves: (0, 0),
        }
    }

    fn hears_majority(&self) -> bool {
        let heard = 1 + self.peers.values().filter(|peer| !peer.suspected).count();
        2 * heard > 1 + self.peers.len()
    }

    fn report(&mut self, cx: &mut Context<'_, Self>) {
        cx.set_timer(Timer::Report, self.config.report_every);
        if self.leader == Some(cx.me().node) {
            return self.weigh(cx);
        }
        if let Some(peer) = self.leader.and_then(|leader| self.peers.get(&leader)) {
            let report = Message { score: self.score, hears_majority: self.hears_majority() };
            cx.send(To::Life(peer.life), Lane::Probe, &report);
        }
    }

    /// The leader looks at who is better, and asks for a move if it is time.
    fn weigh(&mut self, cx: &mut Context<'_, Self>) {
        let (now, fresh) = (cx.now(), 3 * self.config.report_every);
        let mine = self.score;
        for peer in self.peers.values_mut() {
            let report = peer.report.filter(|(at, it)| now.since(*at) < fresh && it.hears_majority && !peer.suspected);
            let is_better = match (mine, report.and_then(|(_, it)| it.score)) {
                (Some(mine), Some(other)) => score::has_advantage(other, mine),
                _ => false,
            };
            peer.better = if is_better { peer.better.or(Some(now)) } else { None };
        }
        let lasts = |since: Time, long: Duration| now.since(since) >= long;
        let tenure = if self.config.mutant == Some(Mutant::NoTenure) { Duration::ZERO } else { self.config.tenure };
        let is_time = self.waited_from.is_some_and(|since| lasts(since, tenure));
        if self.asked.is_some() || !is_time || self.config.mutant == Some(Mutant::NeverAsks) {
            return;
        }
        let sustained = if self.config.mutant == Some(Mutant::AtOnce) { Duration::ZERO } else { self.config.sustained };
        let candidates = self.peers.iter().filter(|(_, peer)| peer.better.is_some_and(|since| lasts(since, sustained)));
        let scored = candidates.filter_map(|(node, peer)| Some((peer.report?.1.score?, *node)));
        let best = scored.min_by_key(|(score, node)| (*score, std::cmp::Reverse(*node)));
        let (Some((score, to)), Some(mine)) = (best, mine) else { return };
        self.waited_from = Some(now);
        let scores = (mine, score);
        ::log::info!(target: "nodewright::steering", "the log's leader is to be {to}: its load score is {:.1}, the one here {:.1}", f64::from(score) / 10.0, f64::from(mine) / 10.0);
        cx.publish(Steered { to, scores });
        let call = log::Call::Transfer { to, within: MOVE_WITHIN };
        self.asked = Some(cx.call::<ReplicatedLog>(Kind::of(log::NAME), call, MOVE_WITHIN * 2));
        self.moves.0 += 1;
    }

    fn answered(&mut self, value: Result<Erased, CallError>) {
        self.asked = None;
        let moved = value.ok().and_then(|value| value.downcast::<Result<(), CallError>>().ok());
        match moved.map(|it| *it) {
            Some(Ok(())) => self.moves.1 += 1,
            why => ::log::info!(target: "nodewright::steering", "the log's leader stays: {why:?}"),
        }
    }

    fn led_by(&mut self, leader: Option<NodeId>, cx: &mut Context<'_, Self>) {
        let me = Some(cx.me().node);
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        self.waited_from = (leader == me).then(|| cx.now());
        // what was reported to an earlier leadership says nothing of this one
        for peer in self.peers.values_mut() {
            (peer.report, peer.better) = (None, None);
        }
    }

    fn peer(&mut self, change: &PeerChange) {
        match change {
            PeerChange::Joined { role: PeerRole::Voter | PeerRole::Joiner, life, .. } => {
                let peer = Peer { life: *life, suspected: false, report: None, better: None };
                self.peers.insert(life.node, peer);
            }
            PeerChange::Ended { life, .. } if self.peers.get(&life.node).is_some_and(|peer| peer.life == *life) => {
                self.peers.remove(&life.node);
            }
            _ => {}
        }
    }
}

impl NetComponent for Steering {
    type Message = Message;
    type Call = Infallible;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            requires: vec![log::NAME, "failure_detector"],
            hears: vec![EventType::of::<Suspicion>(), EventType::of::<LogLeader>()],
            wants_load: true,
            run: Run::InPlace,
            role: Role::Protocol,
            guarantee: "the log's leader is moved to a much less loaded voter, four times an hour at most; a wrong \
                        score costs latency, never data",
            memory_ceiling: Some(|peers| 256 * (peers as u64 + 1)),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => cx.set_timer(Timer::Report, self.config.report_every),
            Input::Message { from, head, .. } => {
                let now = cx.now();
                if let Some(peer) = self.peers.get_mut(&from.node).filter(|peer| peer.life == from) {
                    peer.report = Some((now, head));
                }
            }
            Input::Peer(change) => self.peer(change),
            Input::Event(event) => {
                if let Some(suspicion) = event.get::<Suspicion>() {
                    let peer = self.peers.get_mut(&suspicion.life.node);
                    if let Some(peer) = peer.filter(|peer| peer.life == suspicion.life) {
                        peer.suspected = suspicion.suspected;
                    }
                } else if let Some(leader) = event.get::<LogLeader>() {
                    self.led_by(leader.node, cx);
                }
            }
            Input::Timer(Timer::Report) => self.report(cx),
            Input::Reply { token, value } if Some(token) == self.asked => self.answered(value),
            // a log's node has no tasks to count
            Input::Load(sample) => self.score = score::score(&sample, 0).map(score::tenths),
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        let score = self.score.map_or("no candidate".to_string(), |it| format!("{:.1}", f64::from(it) / 10.0));
        into.row("load score", score);
        into.row("moves asked for, done", format!("{}, {}", self.moves.0, self.moves.1));
    }
}
