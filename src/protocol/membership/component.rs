//! The component: grievances become accusations, accusations decisions.

use super::accusations::Accusations;
use super::{Config, HoldingBack, LifeEndedEvent, Member, View};
use crate::component::{
    Boot, Context, EndedWhy, Input, Inspection, Lane, Manifest, NetComponent, PeerChange, PeerRole, Role, To,
};
use crate::error::Fault;
use crate::event::{AnyEvent, EventType};
use crate::id::{Incarnation, Life, MessageId, NodeId};
use crate::protocol::failure_detector::{SelfPaused, Suspicion};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// What voters say to each other; always the whole state, so that a lost or
/// repeated one costs nothing.
///
/// ```text
/// alpha ---- Accuses [delta.1] ----> beta, gamma     repeated while it is so
/// beta  ---- Accuses [delta.1] ----> alpha, gamma    a majority of four is three
/// gamma ---- Accuses [delta.1] ----> alpha, beta     the third: each decides
/// alpha ---- Ended [delta.1] ------> all             for those that missed it
/// ```
///
/// Accusations go unsequenced: one that had waited for a link to come back
/// would be an opinion of long ago. What ended is a fact and may wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Claims {
    /// The sender accuses these lives, and no others.
    Accuses {
        /// Rises with every change: a later claim may be overtaken.
        version: u64,
        /// The accused lives.
        lives: Vec<Life>,
    },
    /// These lives, and all earlier ones of their nodes, are over.
    Ended(Vec<Life>),
}

/// Membership's one timer, four times in `exclude_after`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Tick;

/// Ticks in an `exclude_after`: how often an accusation is repeated before it
/// counts no more.
const TICKS: u32 = 4;

/// Static voters and ended lives: see [`super`].
pub struct Membership {
    config: Config,
    boot: Option<Boot>,
    peers: BTreeMap<NodeId, Peer>,
    grievances: BTreeMap<NodeId, Grievance>,
    accusations: Accusations,
    /// What this node accuses, as it said last.
    said: BTreeSet<Life>,
    version: u64,
    /// Ticks for which an empty accusation is still repeated.
    withdrawing: u32,
    /// The greatest ended incarnation of each voter; only grows.
    ended: BTreeMap<NodeId, Incarnation>,
    ended_untold: bool,
    ended_count: u64,
    view: Option<View>,
    due: Option<Time>,
    /// A listener: since when it has no sponsor that answers.
    alone: Option<Time>,
    junk: u64,
}

struct Peer {
    life: Life,
    role: PeerRole,
    name: Arc<str>,
}

/// What this node holds against a life, and since when.
struct Grievance {
    life: Life,
    suspected: Option<Time>,
    holding: Option<Time>,
}

impl Grievance {
    fn for_at_least(&self, long: Duration, now: Time) -> bool {
        [self.suspected, self.holding].into_iter().flatten().any(|since| now.since(since) >= long)
    }
}

impl Membership {
    /// Membership with this configuration.
    pub fn new(config: Config) -> Self {
        Membership {
            config,
            boot: None,
            peers: BTreeMap::new(),
            grievances: BTreeMap::new(),
            accusations: Accusations::default(),
            said: BTreeSet::new(),
            version: 0,
            withdrawing: 0,
            ended: BTreeMap::new(),
            ended_untold: false,
            ended_count: 0,
            view: None,
            due: None,
            alone: None,
            junk: 0,
        }
    }

    fn voter(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| boot.voter)
    }

    fn voters(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.role == PeerRole::Voter)
    }

    fn tick_every(&self) -> Duration {
        self.config.exclude_after / TICKS
    }

    fn joined(&mut self, life: Life, role: PeerRole, name: &Arc<str>, cx: &mut Context<'_, Self>) {
        if role == PeerRole::Client {
            return;
        }
        self.peers.insert(life.node, Peer { life, role, name: name.clone() });
        self.grievances.retain(|node, grievance| *node != life.node || grievance.life == life);
        if !self.ended.is_empty() {
            let ended = self.ended_lives();
            cx.send(To::Life(life), Lane::Control, &Claims::Ended(ended));
        }
    }

    fn peer_ended(&mut self, life: Life, why: EndedWhy, cx: &mut Context<'_, Self>) {
        let Some(peer) = self.peers.get(&life.node).filter(|peer| peer.life == life) else { return };
        let (role, name) = (peer.role, peer.name.clone());
        self.peers.remove(&life.node);
        self.ended_count += 1;
        log::info!(target: "nodewright::membership", "the life {life} of {name} is over: {}", why_text(why));
        cx.publish(LifeEndedEvent { life, name, why });
        self.forget(life);
        // That a voter left or began anew is a fact; those who were not linked
        // with it at the time learn it from here.
        if role == PeerRole::Voter && self.record(life) {
            self.ended_untold = true;
        }
    }

    /// Adds to the ended set; whether it grew.
    fn record(&mut self, life: Life) -> bool {
        let known = self.ended.get(&life.node);
        let voters = self.boot.as_ref().map_or(0, |boot| boot.voters);
        if known.is_none() && self.ended.len() >= voters {
            self.junk += 1; // more nodes than there are voters
            return false;
        }
        let grew = known.is_none_or(|known| *known < life.incarnation);
        if grew {
            self.ended.insert(life.node, life.incarnation);
        }
        grew
    }

    fn forget(&mut self, life: Life) {
        self.accusations.forget(life);
        self.grievances.retain(|node, grievance| *node != life.node || grievance.life.incarnation > life.incarnation);
        self.said.retain(|said| said.node != life.node || said.incarnation > life.incarnation);
    }

    /// A majority ended `life`, or a peer says that it is over.
    fn end(&mut self, life: Life, how: &str, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if !self.record(life) {
            return Ok(());
        }
        self.ended_untold = true;
        let me = cx.me();
        if life.node == me.node && life.incarnation >= me.incarnation {
            self.tell_ended(cx);
            return Err(Fault::LifeEnded(how.to_owned()));
        }
        self.forget(life);
        self.tell_ended(cx); // before the session to it is closed
        log::info!(target: "nodewright::membership", "ends the life {life}: {how}");
        cx.end_life(life);
        if let Some(peer) = self.peers.get(&life.node)
            && peer.life.incarnation < life.incarnation
        {
            cx.end_life(peer.life);
        }
        Ok(())
    }

    fn ended_lives(&self) -> Vec<Life> {
        self.ended.iter().map(|(node, incarnation)| Life { node: *node, incarnation: *incarnation }).collect()
    }

    fn tell_ended(&mut self, cx: &mut Context<'_, Self>) {
        if std::mem::take(&mut self.ended_untold) {
            let claims = Claims::Ended(self.ended_lives());
            for peer in self.peers.values() {
                cx.send(To::Life(peer.life), Lane::Control, &claims);
            }
        }
    }

    fn message(&mut self, from: Life, claims: Claims, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let voter = |peer: &&Peer| peer.life == from && peer.role == PeerRole::Voter;
        if self.peers.get(&from.node).filter(voter).is_none() {
            self.junk += 1; // only voters have a say
            return Ok(());
        }
        let voters = self.boot.as_ref().map_or(0, |boot| boot.voters);
        match claims {
            Claims::Accuses { version, lives } => {
                self.accusations.hear(from, version, lives.into_iter().take(voters).collect(), cx.now());
            }
            Claims::Ended(lives) => {
                for life in lives.into_iter().take(voters) {
                    self.end(life, "the voters decided it, or it is known to be over", cx)?;
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &AnyEvent, now: Time) {
        if let Some(suspicion) = event.get::<Suspicion>() {
            let grievance = self.grievance(suspicion.life);
            grievance.suspected = suspicion.suspected.then(|| grievance.suspected.unwrap_or(now));
        } else if let Some(holding) = event.get::<HoldingBack>() {
            let grievance = self.grievance(holding.life);
            grievance.holding = holding.holding.then(|| grievance.holding.unwrap_or(now));
        } else if event.get::<SelfPaused>().is_some() {
            self.forgive(now);
        }
        self.grievances.retain(|_, grievance| grievance.suspected.is_some() || grievance.holding.is_some());
    }

    fn grievance(&mut self, life: Life) -> &mut Grievance {
        let fresh = || Grievance { life, suspected: None, holding: None };
        let grievance = self.grievances.entry(life.node).or_insert_with(fresh);
        if grievance.life != life {
            *grievance = fresh();
        }
        grievance
    }

    /// This node was paused: what it held against others begins anew.
    fn forgive(&mut self, now: Time) {
        for grievance in self.grievances.values_mut() {
            grievance.suspected = grievance.suspected.map(|_| now);
            grievance.holding = grievance.holding.map(|_| now);
        }
        self.alone = self.alone.map(|_| now);
    }

    fn tick(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let now = cx.now();
        let every = self.tick_every();
        if self.due.is_some_and(|due| now.since(due) > 2 * every) {
            self.forgive(now);
        }
        self.due = Some(now + every);
        cx.set_timer(Tick, every);
        self.accuse(now);
        if !self.said.is_empty() || self.withdrawing > 0 {
            self.withdrawing = self.withdrawing.saturating_sub(1);
            self.say(cx);
        }
        self.end_listeners(now, cx);
        self.find_sponsor(now)
    }

    /// Recomputes what this node accuses; whether that changed.
    fn accuse(&mut self, now: Time) -> bool {
        if !self.voter() {
            return false;
        }
        let accused: BTreeSet<Life> = self.grieved(PeerRole::Voter, now).collect();
        if accused == self.said {
            return false;
        }
        for life in accused.difference(&self.said) {
            log::info!(target: "nodewright::membership", "accuses {} ({life})", self.name(life.node));
        }
        for life in self.said.difference(&accused) {
            log::info!(target: "nodewright::membership", "accuses {} ({life}) no more", self.name(life.node));
        }
        self.said = accused;
        self.version += 1;
        self.withdrawing = if self.said.is_empty() { TICKS } else { 0 };
        true
    }

    fn grieved(&self, role: PeerRole, now: Time) -> impl Iterator<Item = Life> + '_ {
        self.grievances
            .values()
            .filter(move |grievance| {
                grievance.for_at_least(self.config.exclude_after, now)
                    && self
                        .peers
                        .get(&grievance.life.node)
                        .is_some_and(|peer| peer.life == grievance.life && peer.role == role)
            })
            .map(|grievance| grievance.life)
    }

    fn say(&mut self, cx: &mut Context<'_, Self>) {
        self.accusations.hear(cx.me(), self.version, self.said.clone(), cx.now());
        let claims = Claims::Accuses { version: self.version, lives: self.said.iter().copied().collect() };
        for voter in self.voters() {
            cx.send(To::Life(voter.life), Lane::Probe, &claims);
        }
    }

    fn end_listeners(&self, now: Time, cx: &mut Context<'_, Self>) {
        for listener in self.grieved(PeerRole::Listener, now) {
            log::info!(target: "nodewright::membership", "ends the listener {} ({listener}), which this node alone sponsors", self.name(listener.node));
            cx.end_life(listener);
        }
    }

    /// A listener that has lost all sponsors for long joins anew.
    fn find_sponsor(&mut self, now: Time) -> Result<(), Fault> {
        if self.voter() {
            return Ok(());
        }
        let lost: BTreeSet<Life> = self.grieved(PeerRole::Voter, now).collect();
        let had = self.alone.is_some() || !lost.is_empty() || self.ended_count > 0;
        if self.voters().any(|voter| !lost.contains(&voter.life)) {
            self.alone = None;
            return Ok(());
        }
        let since = *self.alone.get_or_insert(now);
        if had && (!lost.is_empty() || now.since(since) >= self.config.exclude_after) {
            return Err(Fault::LifeEnded("no sponsor answers any more: joining anew".to_owned()));
        }
        if !had {
            self.alone = None; // never had one: still joining
        }
        Ok(())
    }

    fn name(&self, node: NodeId) -> &str {
        self.peers.get(&node).map_or("?", |peer| &peer.name)
    }

    fn publish_view(&mut self, cx: &mut Context<'_, Self>) {
        let Some(boot) = &self.boot else { return };
        let me = Member { life: boot.me, name: boot.name.clone() };
        let my_role = if boot.voter { PeerRole::Voter } else { PeerRole::Listener };
        let members = |role: PeerRole| {
            let mut members: Vec<Member> = self
                .peers
                .values()
                .filter(|peer| peer.role == role)
                .map(|peer| Member { life: peer.life, name: peer.name.clone() })
                .collect();
            if role == my_role {
                members.push(me.clone());
            }
            members.sort_by_key(|member| member.life);
            members
        };
        let view = View {
            configured: boot.voters,
            voters: members(PeerRole::Voter),
            listeners: members(PeerRole::Listener),
            ended: self.ended_count,
        };
        if self.view.as_ref() != Some(&view) {
            self.view = Some(view.clone());
            cx.publish(view);
        }
    }
}

fn why_text(why: EndedWhy) -> &'static str {
    match why {
        EndedWhy::Succeeded => "a newer life took its place",
        EndedWhy::Decided => "a majority of the voters, or its sponsor, ended it",
        EndedWhy::Left => "it left",
    }
}

impl NetComponent for Membership {
    type Message = Claims;
    type Call = Infallible;
    type Timer = Tick;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec!["membership"],
            requires: vec!["failure_detector"],
            hears: vec![EventType::of::<Suspicion>(), EventType::of::<HoldingBack>(), EventType::of::<SelfPaused>()],
            role: Role::Protocol,
            guarantee: "a life is ended only while a majority of the configured voters accuse it, and then by all; \
                        in a minority nothing is ever ended, and what waits for a crashed life waits until the majority is back",
            memory_ceiling: Some(|peers| 1024 + peers as u64 * (512 + 64 * peers as u64)),
            ..Manifest::new("membership")
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.boot = Some(boot.clone());
                self.tick(cx)?;
            }
            Input::Message { from, head, .. } => self.message(from, head, cx)?,
            Input::Timer(Tick) => self.tick(cx)?,
            Input::Event(event) => self.event(event, cx.now()),
            Input::Peer(PeerChange::Joined { life, role, name }) => self.joined(*life, *role, name, cx),
            Input::Peer(PeerChange::Ended { life, why }) => self.peer_ended(*life, *why, cx),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let Some(majority) = self.boot.as_ref().map(Boot::majority) else { return Ok(()) };
        if self.accuse(cx.now()) {
            self.say(cx);
        }
        for life in self.accusations.convicted(majority, cx.now(), self.config.exclude_after) {
            self.end(life, "a majority of the voters accuse it", cx)?;
        }
        self.tell_ended(cx);
        self.publish_view(cx);
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        let Some(boot) = &self.boot else { return };
        let linked = self.voters().count() + usize::from(boot.voter);
        into.row("voters with a life", format!("{linked} of {}, majority {}", boot.voters, boot.majority()));
        into.row("accused after", format!("{:?}", self.config.exclude_after));
        for grievance in self.grievances.values() {
            let what = if grievance.suspected.is_some() { "suspected" } else { "holding back" };
            into.row(format!("{} {}", self.name(grievance.life.node), grievance.life), what);
        }
        for accused in self.accusations.accused() {
            into.row(format!("accused {accused}"), self.trial(accused, boot.majority()));
        }
        for (node, incarnation) in &self.ended {
            into.row("ended", Life { node: *node, incarnation: *incarnation });
        }
        if self.junk > 0 {
            into.row("claims dropped", self.junk);
        }
    }

    fn explain(&self, message: MessageId) -> Option<String> {
        let origin = message.origin;
        let boot = self.boot.as_ref()?;
        if self.ended.get(&origin.node).is_some_and(|ended| *ended >= origin.incarnation) {
            return Some(format!("its origin's life {origin} is ended"));
        }
        let accused = self.accusations.accused().contains(&origin);
        accused.then(|| format!("its origin {origin} is accused {}", self.trial(origin, boot.majority())))
    }
}

impl Membership {
    fn trial(&self, accused: Life, majority: usize) -> String {
        let now = self.due.map_or(Time::ZERO, |due| due - self.tick_every());
        let accusers: Vec<String> = self
            .accusations
            .accusers(accused, now, self.config.exclude_after)
            .map(|node| {
                self.boot
                    .as_ref()
                    .filter(|boot| boot.me.node == node)
                    .map_or(self.name(node), |boot| &boot.name)
                    .to_owned()
            })
            .collect();
        format!("by {} of {majority} needed: {}", accusers.len(), accusers.join(", "))
    }
}
