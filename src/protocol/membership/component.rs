//! The component: grievances become accusations, accusations decisions.

mod accusing;
mod describe;
mod listeners;

use super::accusations::Accusations;
use super::ended::{Added, Ended};
use super::grievances::Grievances;
use super::view::{Peer, view};
use super::{Claims, Config, HoldingBack, LifeEndedEvent, View, VoterList};
use crate::component::{
    Boot, Context, EndedWhy, Input, Inspection, Lane, Manifest, NetComponent, PeerChange, PeerRole, Role, To,
};
use crate::error::Fault;
use crate::event::{AnyEvent, EventType};
use crate::id::{Life, MessageId, NodeId};
use crate::protocol::failure_detector::{SelfPaused, Suspicion};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

/// Membership's one timer, four times in `exclude_after`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Tick;

/// Ticks in an `exclude_after`: how often an accusation is repeated before it
/// counts no more.
const TICKS: u32 = 4;

/// Voters and ended lives: see [`super`].
pub struct Membership {
    config: Config,
    boot: Option<Boot>,
    /// Who votes, where a log says so.
    list: Option<VoterList>,
    peers: BTreeMap<NodeId, Peer>,
    grievances: Grievances,
    accusations: Accusations,
    /// What this node accuses, as it said last.
    said: BTreeSet<Life>,
    version: u64,
    /// Ticks for which a withdrawal is still repeated.
    withdrawing: u32,
    ended: Ended,
    ended_untold: bool,
    ended_count: u64,
    view: Option<View>,
    /// When the next tick is due; `None` before the start.
    due: Option<Time>,
    /// A listener: it had a sponsor in this life.
    sponsored: bool,
    /// A listener: since when it is linked with no sponsor.
    alone: Option<Time>,
    junk: u64,
    /// The planted bug: one accusation is enough.
    one_is_enough: bool,
}

impl Membership {
    /// Membership with this configuration.
    pub fn new(config: Config) -> Self {
        Membership {
            config,
            boot: None,
            list: None,
            peers: BTreeMap::new(),
            grievances: Grievances::default(),
            accusations: Accusations::default(),
            said: BTreeSet::new(),
            version: 0,
            withdrawing: 0,
            ended: Ended::default(),
            ended_untold: false,
            ended_count: 0,
            view: None,
            due: None,
            sponsored: false,
            alone: None,
            junk: 0,
            one_is_enough: false,
        }
    }

    /// The same with a planted bug: one voter's opinion ends a life.
    #[doc(hidden)]
    pub fn one_opinion_ends(config: Config) -> Self {
        Membership { one_is_enough: true, ..Membership::new(config) }
    }

    /// Whether this node has a say. Where a log names the voters, not before it did.
    fn is_voter(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| match &self.list {
            Some(list) => list.seat(boot.me.node).is_some(),
            None => boot.voter && !self.config.voters_by_log,
        })
    }

    /// How many voters there are.
    fn configured(&self) -> usize {
        let listed = self.list.as_ref().map(|list| list.seats.len());
        listed.or(self.boot.as_ref().map(|boot| boot.voters)).unwrap_or(0)
    }

    /// How many of them are a majority.
    fn majority(&self) -> usize {
        self.configured() / 2 + 1
    }

    fn linked_voters(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.role_by(self.list.as_ref()) == PeerRole::Voter)
    }

    fn has_role(&self, life: Life, role: PeerRole) -> bool {
        let peer = self.peers.get(&life.node).filter(|peer| peer.life == life);
        peer.is_some_and(|peer| peer.role_by(self.list.as_ref()) == role)
    }

    /// The log says who votes: who does not any more accuses nobody, and is accused by
    /// none.
    fn listed(&mut self, list: &VoterList) {
        self.ended.retain(|node| list.seat(node).is_some());
        for peer in self.peers.values().filter(|peer| list.seat(peer.life.node).is_none()) {
            self.accusations.forget(peer.life);
        }
        self.list = Some(list.clone());
    }

    fn name(&self, node: NodeId) -> &str {
        let me = self.boot.as_ref().filter(|boot| boot.me.node == node).map(|boot| &*boot.name);
        me.or_else(|| self.peers.get(&node).map(|peer| &*peer.name)).unwrap_or("?")
    }

    fn joined(&mut self, life: Life, role: PeerRole, name: &Arc<str>, cx: &mut Context<'_, Self>) {
        if role == PeerRole::Client {
            return;
        }
        self.sponsored |= role == PeerRole::Voter;
        self.peers.insert(life.node, Peer { life, role, name: name.clone() });
        let ended = self.ended.lives();
        if !ended.is_empty() {
            cx.send(To::Life(life), Lane::Control, &Claims::Ended(ended));
        }
    }

    fn peer_ended(&mut self, life: Life, why: EndedWhy, cx: &mut Context<'_, Self>) {
        let Some(peer) = self.peers.get(&life.node).filter(|peer| peer.life == life) else { return };
        let (role, name) = (peer.role_by(self.list.as_ref()), peer.name.clone());
        self.peers.remove(&life.node);
        self.ended_count += 1;
        log::info!(target: "nodewright::membership", "the life {life} of {name} is over: {}", why_text(why));
        cx.publish(LifeEndedEvent { life, name, why });
        self.forget(life);
        // That a voter left is told to those who accuse it, lest others hear of
        // it before its last messages. That it began anew is told to nobody:
        // for a life that is over by decision nobody waits, but for a place
        // that only changed its life all do, until they meet the new one.
        if role == PeerRole::Voter && why != EndedWhy::Succeeded {
            self.ended_untold |= self.record(life) && why == EndedWhy::Decided;
        }
    }

    /// Adds to the ended set; whether it grew.
    fn record(&mut self, life: Life) -> bool {
        let added = self.ended.add(life, self.configured());
        self.junk += u64::from(added == Added::TooMany);
        added == Added::New
    }

    fn forget(&mut self, life: Life) {
        self.accusations.forget(life);
        self.grievances.forget(life);
        self.said.retain(|said| said.node != life.node || said.incarnation > life.incarnation);
    }

    /// A majority ended `life`, or a voter says that it is over.
    fn end(&mut self, life: Life, how: &str, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if !self.record(life) {
            return Ok(());
        }
        self.ended_untold = true;
        self.tell_ended(cx); // before the session to it is closed
        let me = cx.me();
        if life.node == me.node {
            let own = life.incarnation >= me.incarnation;
            return if own { Err(Fault::LifeEnded(how.to_owned())) } else { Ok(()) };
        }
        self.forget(life);
        log::info!(target: "nodewright::membership", "ends the life {life} of {}: {how}", self.name(life.node));
        cx.end_life(life);
        if let Some(peer) = self.peers.get(&life.node)
            && peer.life.incarnation < life.incarnation
        {
            cx.end_life(peer.life);
        }
        Ok(())
    }

    fn tell_ended(&mut self, cx: &mut Context<'_, Self>) {
        if std::mem::take(&mut self.ended_untold) {
            let claims = Claims::Ended(self.ended.lives());
            for peer in self.peers.values() {
                cx.send(To::Life(peer.life), Lane::Control, &claims);
            }
        }
    }

    fn message(&mut self, from: Life, claims: Claims, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if !self.has_role(from, PeerRole::Voter) {
            self.junk += 1; // only voters have a say
            return Ok(());
        }
        let configured = self.configured();
        match claims {
            Claims::Accuses { version, lives } => {
                if lives.iter().any(|life| self.ended.covers(*life)) {
                    cx.send(To::Life(from), Lane::Control, &Claims::Ended(self.ended.lives()));
                }
                self.accusations.hear(from, version, lives.into_iter().take(configured).collect(), cx.now());
            }
            Claims::Ended(lives) => {
                for life in lives.into_iter().take(configured) {
                    self.end(life, "a voter says that it is over", cx)?;
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &AnyEvent, now: Time) {
        if let Some(suspicion) = event.get::<Suspicion>().filter(|suspicion| !self.ended.covers(suspicion.life)) {
            self.grievances.suspected(suspicion.life, suspicion.suspected, now);
        } else if let Some(holding) = event.get::<HoldingBack>().filter(|holding| !self.ended.covers(holding.life)) {
            self.grievances.holding_back(holding.life, holding.holding, now);
        } else if event.get::<SelfPaused>().is_some() {
            self.forgive(now);
        } else if let Some(list) = event.get::<VoterList>().filter(|_| self.config.voters_by_log) {
            self.listed(list);
        }
    }

    fn forgive(&mut self, now: Time) {
        self.grievances.forgive(now);
        self.alone = self.alone.map(|_| now);
    }

    fn tick(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let now = cx.now();
        let every = self.config.exclude_after / TICKS;
        if self.due.is_some_and(|due| now.since(due) > 2 * every) {
            self.forgive(now); // this node was paused
        }
        self.due = Some(now + every);
        cx.set_timer(Tick, every);
        if !self.accuse(cx) && (!self.said.is_empty() || self.withdrawing > 0) {
            self.withdrawing = self.withdrawing.saturating_sub(1);
            self.say(cx);
        }
        let configured = self.boot.as_ref().is_some_and(|boot| boot.voter);
        match (self.is_voter(), configured) {
            (true, _) => self.end_listeners(cx),
            (false, true) => {} // the log has not said who votes, or that this node does not
            (false, false) => return self.find_sponsor(now),
        }
        Ok(())
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
            hears: vec![
                EventType::of::<Suspicion>(),
                EventType::of::<HoldingBack>(),
                EventType::of::<SelfPaused>(),
                EventType::of::<VoterList>(),
            ],
            role: Role::Protocol,
            guarantee: "a life is ended only while a majority of the voters accuse it, and then by all; \
                        in a minority nothing is ever ended, and what waits for a crashed life waits until a \
                        majority is linked again",
            memory_ceiling: Some(|peers| 1024 + peers as u64 * (512 + 64 * peers as u64)),
            ..Manifest::new("membership")
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.boot = Some(boot.clone());
                self.tick(cx)
            }
            Input::Message { from, head, .. } => self.message(from, head, cx),
            Input::Timer(Tick) => self.tick(cx),
            Input::Event(event) => {
                self.event(event, cx.now());
                Ok(())
            }
            Input::Peer(PeerChange::Joined { life, role, name }) => {
                self.joined(*life, *role, name, cx);
                Ok(())
            }
            Input::Peer(PeerChange::Ended { life, why }) => {
                self.peer_ended(*life, *why, cx);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if self.boot.is_none() {
            return Ok(());
        }
        let majority = match (self.one_is_enough, self.is_voter()) {
            (true, _) => 1,
            (_, true) => self.majority(),
            // it may not know how many there are, and is told what they end
            (_, false) => usize::MAX,
        };
        self.accuse(cx);
        for life in self.accusations.convicted(majority, cx.now(), self.config.exclude_after) {
            self.end(life, "a majority of the voters accuse it", cx)?;
        }
        self.tell_ended(cx);
        let view = self.boot.as_ref().map(|boot| view(boot, self.list.as_ref(), &self.peers, self.ended_count));
        if let Some(view) = view.filter(|view| self.view.as_ref() != Some(view)) {
            self.view = Some(view.clone());
            cx.publish(view);
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        self.describe(into);
    }

    fn explain(&self, message: MessageId) -> Option<String> {
        self.describe_origin(message.origin)
    }
}
