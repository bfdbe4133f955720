//! What is asked of a replica on its own node, and what time does to it.

use super::component::{NAME, Phase, ReplicatedLog, Timer};
use super::engine::Engine;
use super::members::{Hello, Member};
use super::message::{Body, Call, Message, Proposed, Status};
use super::proposals::{Asker, Proposal};
use super::reads::What;
use super::wishes::{Asked, Wish};
use crate::codec::Batch;
use crate::component::{Context, FailedWhy, Lane, ReplyTo, Target, To};
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use std::time::Duration;

/// Longest command.
const COMMAND_BYTES_MAX: usize = 1 << 20;
/// Ticks between two rounds of what is asked again and again. Not those between
/// two checks of the quorum: right after one, nobody was heard of.
const TICKS_PER_ROUND: u64 = 17;

/// How far one component's broadcasts have come.
#[derive(Default)]
pub(super) struct Broadcasts {
    pub(super) requested: u64,
    pub(super) done: u64,
    pub(super) released_bytes: u64,
    pub(super) failed: Option<crate::component::Failed>,
    pub(super) dirty: bool,
}

impl ReplicatedLog {
    pub(super) fn call(&mut self, call: Call, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        if let (Phase::Unusable(why), false) = (&self.phase, matches!(call, Call::Status)) {
            let refused = CallError::Refused(format!("this replica does not serve: {why}"));
            return match call {
                Call::Propose { .. } => cx.reply::<Proposed>(reply_to, Err(refused)),
                Call::Remove { .. } | Call::Transfer { .. } => {
                    cx.reply::<Result<(), CallError>>(reply_to, Err(refused))
                }
                _ => cx.reply::<super::Answer>(reply_to, Err(refused)),
            };
        }
        match call {
            Call::Propose { channel, command, key, within } => {
                let asker = Asker::Call(reply_to, cx.now() + within, within);
                let known = self.config.machines.contains_key(&channel);
                let proposal = Proposal { asker, key, channel, messages: 0, body: command };
                let refused = if !known {
                    "no machine of this log has that channel".to_string()
                } else if proposal.body.len() > COMMAND_BYTES_MAX {
                    format!("the command has {} bytes, at most {COMMAND_BYTES_MAX} are taken", proposal.body.len())
                } else if self.proposals.add(proposal, self.config.proposed_bytes_max).is_err() {
                    format!("busy: {} proposals wait", self.proposals.len())
                } else {
                    return;
                };
                cx.reply::<Proposed>(reply_to, Err(CallError::Refused(refused)));
            }
            Call::Outcome { key, within } => {
                self.read(What::Outcome(key), super::Level::Linearizable, within, reply_to, cx)
            }
            Call::Query { channel, query, level, within } => {
                self.read(What::Query(channel, query), level, within, reply_to, cx);
            }
            Call::Remove { node, within } => match self.replica_of(node) {
                Some(Some(replica)) => self.wish(Wish::Remove(replica), within, reply_to, cx),
                Some(None) => cx.reply(reply_to, Ok::<(), CallError>(())),
                None => cx.reply(reply_to, Err::<(), _>(CallError::Refused(super::NOT_READY.into()))),
            },
            Call::Transfer { to, within } => self.wish(Wish::Lead(to), within, reply_to, cx),
            Call::Status => cx.reply(reply_to, self.status()),
        }
    }

    /// A node's replica, if this one is of a group.
    fn replica_of(&self, node: NodeId) -> Option<Option<u64>> {
        let Phase::Running(replica) = &self.phase else { return None };
        let members = &replica.state.as_ref()?.members;
        Some(members.iter().find(|(_, it)| **it == node).map(|(id, _)| *id))
    }

    pub(super) fn read(
        &mut self,
        what: What,
        level: super::Level,
        within: Duration,
        to: ReplyTo,
        cx: &mut Context<'_, Self>,
    ) {
        let added = match &mut self.phase {
            Phase::Running(replica) => replica.reads.add(what, level, to, cx.now(), within),
            _ => false,
        };
        if !added {
            cx.reply::<super::Answer>(to, Err(CallError::Refused(super::NOT_READY.into())));
        }
    }

    pub(super) fn wish(&mut self, wish: Wish, within: Duration, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        let asked = Asked { wish, reply_to, deadline: cx.now() + within, within };
        self.wishes.push(asked);
        self.ask_again(cx);
    }

    /// Tells the leader what is wished for, or does it here.
    pub(super) fn ask_again(&mut self, cx: &mut Context<'_, Self>) {
        let me = cx.me().node;
        let Phase::Running(replica) = &mut self.phase else { return };
        let leader = replica.leader(me);
        if let Some(state) = &replica.state {
            self.wishes.retain(|asked| {
                let so = asked.wish.is_true(state, leader);
                if so {
                    cx.reply(asked.reply_to, Ok::<(), CallError>(()));
                }
                !so
            });
        }
        let join = Wish::Join(Member { replica: replica.id, node: me });
        let outside = (replica.engine.is_some() && replica.state.is_none()).then_some(join);
        for wish in self.wishes.iter().map(|asked| asked.wish).chain(outside) {
            if replica.engine.as_ref().is_some_and(Engine::leads) {
                replica.grant(&wish);
            }
            // to all: who leads is known best by whoever does
            for (node, life) in &self.peers {
                if let Some(group) = self.hellos.get(node).and_then(Hello::group) {
                    cx.send(To::Life(*life), Lane::Control, &Message(Body::Wish(group, wish)));
                }
            }
        }
        replica.promote();
    }

    /// A component's broadcast.
    pub(super) fn request(&mut self, from: Kind, target: Target, batch: Batch, cx: &mut Context<'_, Self>) {
        let (messages, bytes) = (batch.count(), batch.run().clone());
        let broadcasts = self.broadcasts.entry(from).or_default();
        let first = broadcasts.requested + 1;
        if target != Target::All {
            // counted by itself: nothing of it is ever done
            let last = u64::from(messages);
            let failed = crate::component::Failed { first: 1, last, why: FailedWhy::Target };
            let released_bytes = bytes.len() as u64;
            let progress = crate::component::Progress {
                via: Kind::of(NAME),
                target,
                delivered: last,
                stable: last,
                released_bytes,
                failed: Some(failed),
            };
            return cx.progress(from, progress);
        }
        broadcasts.requested += u64::from(messages);
        let asker = Asker::Broadcast;
        let proposal = Proposal { asker, key: None, channel: from, messages, body: bytes };
        // the requester's own window bounds it
        if matches!(self.phase, Phase::Unusable(_)) || self.proposals.add(proposal, u64::MAX).is_err() {
            broadcasts.fail(first, FailedWhy::NotAVoter);
        }
    }

    pub(super) fn tick(&mut self, cx: &mut Context<'_, Self>) {
        cx.set_timer(Timer::Tick, self.config.tick);
        self.ticks += 1;
        if let Phase::Running(replica) = &mut self.phase {
            if let Some(engine) = &mut replica.engine {
                engine.tick();
            }
            for (reply_to, within) in replica.reads.overdue(cx.now()) {
                cx.reply::<super::Answer>(reply_to, Err(CallError::TimedOut(within)));
            }
        }
        for (reply_to, within, not_done) in self.proposals.overdue(cx.now()) {
            let error = match not_done {
                true => CallError::Refused(format!("no leader within {within:?}: is a majority of the voters up?")),
                false => CallError::TimedOut(within),
            };
            cx.reply::<Proposed>(reply_to, Err(error));
        }
        let now = cx.now();
        for asked in self.wishes.extract_if(.., |asked| asked.deadline <= now) {
            cx.reply(asked.reply_to, Err::<(), _>(CallError::TimedOut(asked.within)));
        }
        if self.ticks.is_multiple_of(TICKS_PER_ROUND) {
            self.ask_again(cx);
        }
    }

    pub(super) fn status(&self) -> Status {
        let Phase::Running(replica) = &self.phase else {
            let unusable = match &self.phase {
                Phase::Unusable(why) => Some(why.clone()),
                _ => None,
            };
            return Status { unusable, ..Status::default() };
        };
        replica.status()
    }
}

impl Broadcasts {
    fn fail(&mut self, first: u64, why: FailedWhy) {
        self.failed = Some(crate::component::Failed { first, last: self.requested, why });
        self.done = self.requested;
        self.dirty = true;
    }
}
