//! The component: heartbeats out, silences judged, opinions published.

use super::estimator::Estimator;
use super::{Config, SelfPaused, Suspicion};
use crate::component::{Context, Input, Inspection, Lane, Manifest, NetComponent, PeerChange, PeerRole, Role, To};
use crate::error::Fault;
use crate::id::{Life, MessageId, NodeId};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// "I am alive." Unsequenced, never resent; a lost one is a silence.
///
/// ```text
/// alpha ---- Heartbeat ----> beta      every period, to every linked member
/// alpha <--- Heartbeat ----- beta      on its own period, no answer to the above
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat;

/// The detector's one timer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Tick;

/// A tick that is this many periods late was a pause of this node.
const LATE_PERIODS: u32 = 3;

/// Nodes that were suspected when their life ended: remembered so that their
/// next life can be announced. Bounded; the least id is forgotten first.
const FALLEN_MAX: usize = 1024;

/// The failure detector of a node: see [`super`].
pub struct Detector {
    config: Config,
    watched: BTreeMap<NodeId, Watched>,
    fallen: BTreeSet<NodeId>,
    voters: usize,
    voters_seen: BTreeSet<NodeId>,
    me: Option<NodeId>,
    /// When the next tick is due; `None` before the start.
    due: Option<Time>,
    /// When this node last found that it had been paused.
    resumed: Option<Time>,
    /// A pause was noticed since the last tick.
    paused: bool,
    /// And before the last tick too: not a pause but a slow node.
    slow: bool,
    pauses: u64,
}

/// What is known of one linked member's life.
struct Watched {
    life: Life,
    name: Arc<str>,
    estimator: Box<dyn Estimator>,
    /// When it was last heard of, or joined.
    heard: Time,
    /// Silence before this says nothing: this node was paused.
    grace: Time,
    /// Its silence at the last look.
    silence: Duration,
    suspected: Option<Time>,
    mistakes: u64,
}

impl Detector {
    /// A detector with this configuration.
    pub fn new(config: Config) -> Self {
        Detector {
            config,
            watched: BTreeMap::new(),
            fallen: BTreeSet::new(),
            voters: 0,
            voters_seen: BTreeSet::new(),
            me: None,
            due: None,
            resumed: None,
            paused: false,
            slow: false,
            pauses: 0,
        }
    }

    /// Checked before any input is judged: after a pause the mailbox holds old
    /// heartbeats and the tick alike, in any order.
    fn notice_pause(&mut self, cx: &mut Context<'_, Self>) {
        let Some(due) = self.due else { return };
        let now = cx.now();
        let late = now.since(due);
        if late <= self.config.period * LATE_PERIODS {
            return;
        }
        for watched in self.watched.values_mut() {
            // One pause: fresh grace for everybody. A node that is always late
            // must still suspect in the end, so from the second time on it
            // excuses its own lateness only.
            let since = watched.silent_since();
            watched.grace = if self.slow { (since + late).min(now) } else { now };
            watched.estimator.interrupted();
        }
        if !self.slow {
            log::warn!(target: "nodewright::failure_detector", "this node was paused for about {late:?}: suspecting nobody for it");
            cx.publish(SelfPaused { late });
        }
        self.pauses += 1;
        self.paused = true;
        self.resumed = Some(now);
        self.due = Some(now);
    }

    fn joined(&mut self, life: Life, role: PeerRole, name: &Arc<str>, cx: &mut Context<'_, Self>) {
        if role == PeerRole::Client || self.me == Some(life.node) {
            return;
        }
        if role == PeerRole::Voter {
            self.voters_seen.insert(life.node);
        }
        let watched = Watched {
            life,
            name: name.clone(),
            estimator: self.config.estimator(),
            heard: cx.now(),
            grace: Time::ZERO,
            silence: Duration::ZERO,
            suspected: None,
            mistakes: 0,
        };
        self.watched.insert(life.node, watched);
        if self.fallen.remove(&life.node) {
            log::info!(target: "nodewright::failure_detector", "{name} is back as {life}");
            cx.publish(Suspicion { life, name: name.clone(), suspected: false });
        }
    }

    fn ended(&mut self, life: Life) {
        if self.watched.get(&life.node).is_some_and(|watched| watched.life == life)
            && let Some(watched) = self.watched.remove(&life.node)
            && watched.suspected.is_some()
        {
            if self.fallen.len() == FALLEN_MAX {
                self.fallen.pop_first();
            }
            self.fallen.insert(life.node);
        }
    }

    fn heartbeat(&mut self, from: Life, cx: &mut Context<'_, Self>) {
        let now = cx.now();
        // What queued up during a pause arrives at once, and is no rhythm.
        let settled = self.resumed.is_none_or(|resumed| now.since(resumed) >= self.config.period);
        let accurate = self.config.accurate();
        let Some(watched) = self.watched.get_mut(&from.node).filter(|watched| watched.life == from) else {
            return; // a client's, or of a life that is over
        };
        watched.heard = watched.heard.max(now);
        if settled {
            watched.estimator.heartbeat(now);
        }
        watched.restore(accurate, cx);
    }

    fn tick(&mut self, cx: &mut Context<'_, Self>) {
        let now = cx.now();
        let accurate = self.config.accurate();
        for watched in self.watched.values_mut() {
            cx.send(To::Life(watched.life), Lane::Probe, &Heartbeat);
            if let Some(heard) = cx.last_heard(watched.life) {
                watched.heard = watched.heard.max(heard);
            }
            watched.silence = now.since(watched.silent_since());
            match watched.suspected {
                None if watched.estimator.suspects(watched.silence) => watched.suspect(cx),
                Some(since) if watched.heard > since => watched.restore(accurate, cx),
                _ => {}
            }
        }
        self.slow = std::mem::take(&mut self.paused);
        self.due = Some(now + self.config.period);
        cx.set_timer(Tick, self.config.period);
    }
}

impl Watched {
    fn silent_since(&self) -> Time {
        self.heard.max(self.grace)
    }

    fn suspect(&mut self, cx: &mut Context<'_, Detector>) {
        self.suspected = Some(cx.now());
        let judgement = self.estimator.explain(self.silence);
        log::info!(target: "nodewright::failure_detector", "suspects {} ({}): silent for {:?}, {judgement}", self.name, self.life, self.silence);
        cx.publish(Suspicion { life: self.life, name: self.name.clone(), suspected: true });
    }

    /// Takes a suspicion back, if there is one.
    fn restore(&mut self, accurate: bool, cx: &mut Context<'_, Detector>) {
        let Some(since) = self.suspected.take() else { return };
        self.mistakes += 1;
        self.estimator.mistaken();
        let after = cx.now().since(since);
        if accurate {
            log::warn!(target: "nodewright::failure_detector", "{} ({}) was suspected and is alive: the assumed synchrony does not hold, raise the timeout", self.name, self.life);
        }
        log::info!(target: "nodewright::failure_detector", "restores {} ({}) after {after:?}, mistake {}", self.name, self.life, self.mistakes);
        cx.publish(Suspicion { life: self.life, name: self.name.clone(), suspected: false });
    }

    fn describe(&self) -> String {
        let state = if self.suspected.is_some() { "suspected" } else { "up" };
        let judgement = self.estimator.explain(self.silence);
        format!("{state}, silent for {:?}, {judgement}, {} mistakes", self.silence, self.mistakes)
    }
}

impl NetComponent for Detector {
    type Message = Heartbeat;
    type Call = Infallible;
    type Timer = Tick;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        use super::Algorithm;
        let mut manifest = Manifest {
            provides: vec!["failure_detector"],
            role: Role::Protocol,
            guarantee: match self.config.algorithm {
                Algorithm::FixedTimeout { .. } if self.config.accurate() => {
                    "perfect (complete and accurate), because synchrony is assumed: no correct node or link is slower than the timeout"
                }
                Algorithm::FixedTimeout { .. } => {
                    "complete: who crashed is in the end suspected; accurate only while no node or link is slower than the timeout"
                }
                Algorithm::GrowingTimeout { .. } => {
                    "eventually perfect under partial synchrony: complete, and every mistake makes the next one rarer"
                }
                Algorithm::PhiAccrual { .. } => {
                    "complete; eventually accurate where delays become stable; a suspicion is taken back when the peer is heard of"
                }
            },
            memory_ceiling: Some(|peers| peers as u64 * 4096),
            ..Manifest::new("failure_detector")
        };
        if self.config.accurate() {
            manifest.provides.push("failure_detector.accurate");
        }
        manifest
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.notice_pause(cx);
        match input {
            Input::Started(boot) => {
                self.me = Some(boot.me.node);
                self.voters = boot.voters - usize::from(boot.voter);
                self.tick(cx);
            }
            Input::Message { from, .. } => self.heartbeat(from, cx),
            Input::Timer(Tick) => self.tick(cx),
            Input::Peer(PeerChange::Joined { life, role, name }) => self.joined(*life, *role, name, cx),
            Input::Peer(PeerChange::Ended { life, .. }) => self.ended(*life),
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("heartbeat every", format!("{:?}", self.config.period));
        for watched in self.watched.values() {
            into.row(format!("{} {}", watched.name, watched.life), watched.describe());
        }
        let unseen = self.voters.saturating_sub(self.voters_seen.len());
        if unseen > 0 {
            into.row("not seen yet", format!("{unseen} of {} other voters", self.voters));
        }
        if self.pauses > 0 {
            into.row("late ticks of this node", self.pauses);
        }
    }

    fn explain(&self, message: MessageId) -> Option<String> {
        let origin = self.watched.get(&message.origin.node).filter(|watched| watched.life == message.origin)?;
        origin.suspected.is_some().then(|| format!("its origin {} is {}", origin.name, origin.describe()))
    }
}
