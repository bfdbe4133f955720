//! What is committed is applied, delivered, answered.

use super::component::{Phase, ReplicatedLog};
use super::elsewhere::Job;
use super::entry::Head;
use super::event::LogApplied;
use super::following::HASH_EVERY;
use super::machine::Queried;
use super::members::Change;
use super::message::{Answer, Answered, Body, Done, Message, Proposed};
use super::proposals::{Asker, Proposal};
use super::reads::What;
use super::state::Applied;
use super::wire::{EntryKind, WireEntry};
use crate::component::{Context, DeliveredBatch, Lane, Stamp, To};
use crate::error::{CallError, Fault};
use crate::id::{Kind, MessageId};
use bytes::Bytes;

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl ReplicatedLog {
    /// Applies what is committed, as far as those above keep up.
    pub(super) fn apply(&mut self, cx: Cx<'_, '_>) -> Result<bool, Fault> {
        let mut moved = false;
        while self.unhandled < self.config.unhandled_bytes_max
            && let Phase::Running(replica) = &mut self.phase
            && let Some(entry) = replica.following.committed.pop_front()
        {
            self.apply_one(entry, cx)?;
            moved = true;
        }
        if let (true, Phase::Running(replica)) = (moved, &mut self.phase)
            && let (Some(engine), Some(state)) = (&mut replica.engine, &replica.state)
        {
            engine.applied(state.applied);
        }
        self.snapshot_if_due(cx);
        Ok(moved)
    }

    pub(super) fn apply_one(&mut self, entry: WireEntry, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let traced = self.config.traced;
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        let (Some(engine), Some(state)) = (&mut replica.engine, &mut replica.state) else {
            return Err(Fault::Broken("the engine commits without a state".into()));
        };
        let at = super::At { index: entry.index, term: entry.term };
        replica.following.applied_bytes += entry.payload.len() as u64 + 64;
        let mut applied = Applied::Junk;
        match entry.kind {
            EntryKind::Normal if entry.payload.is_empty() => state.applied = entry.index,
            EntryKind::Normal => applied = state.apply(at, &entry.payload),
            EntryKind::Change => {
                let change =
                    match entry.payload.is_empty() {
                        true => None,
                        false => Some(postcard::from_bytes::<Change>(&entry.payload).map_err(|_| {
                            Fault::Broken("a committed change of the membership does not decode".into())
                        })?),
                    };
                let conf = engine.apply_change(change.as_ref())?;
                state.change(entry.index, change.as_ref(), conf);
                replica.following.seat(&state.seats, cx);
            }
        }
        if traced {
            let hard = (replica.rounds.durable.term, engine.commit());
            let (index, term, state) = (entry.index, entry.term, state.hash());
            cx.publish(LogApplied { index, term, entry: crc32c::crc32c(&entry.payload), state, hard });
        }
        if entry.index.is_multiple_of(HASH_EVERY) {
            let (index, hash, group) = (entry.index, state.hash(), state.founders.group());
            replica.following.heard(replica.id, index, hash);
            for life in state.members.keys().filter_map(|id| self.lives.get(id)) {
                cx.send(To::Life(*life), Lane::Control, &Message(Body::Hash { group, index, hash }));
            }
        }
        let synced = state.conf.voters.len() / 2 + 1;
        let (removed, origin) = (!state.conf.has(replica.id), Head::decode(&entry.payload));
        let mine = origin.filter(|(head, _)| entry.kind == EntryKind::Normal && head.origin == cx.me());
        match applied {
            Applied::Replied(first, reply) => {
                let done = Done { term: first.term, index: first.index, synced, reply };
                if let Some(proposal) = mine.and_then(|(head, _)| self.proposals.settle(head.number, cx.now())) {
                    self.settled(proposal, Ok(done), cx);
                }
            }
            Applied::Deliver(head, batch) => {
                self.unhandled += batch.run().len() as u64;
                let via = Kind::of(super::NAME);
                let id = MessageId { origin: head.origin, delivery: via, batch: head.number, index: 0 };
                cx.deliver(head.channel, DeliveredBatch { id, via, stamp: Stamp::default(), batch });
                let done = Done { term: at.term, index: at.index, synced, reply: Bytes::new() };
                if let Some(proposal) = mine.and_then(|(head, _)| self.proposals.settle(head.number, cx.now())) {
                    self.settled(proposal, Ok(done), cx);
                }
            }
            // Ahead of its turn: what was before it is to come again, and then it.
            Applied::Skipped if mine.is_some() => self.proposals.again(),
            Applied::Skipped | Applied::Junk => {}
        }
        if removed {
            self.unusable(super::component::REMOVED.into(), cx);
        }
        Ok(())
    }

    pub(super) fn settled(&mut self, proposal: Proposal, outcome: Proposed, cx: Cx<'_, '_>) {
        let broadcasts = self.broadcasts.entry(proposal.channel);
        match proposal.asker {
            Asker::Call(reply_to, ..) => cx.reply::<Proposed>(reply_to, outcome),
            Asker::Gone => {}
            Asker::Broadcast => {
                let broadcasts = broadcasts.or_default();
                broadcasts.done += u64::from(proposal.messages);
                broadcasts.released_bytes += proposal.body.len() as u64;
                broadcasts.dirty = true;
            }
        }
    }

    pub(super) fn answer(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(state) = &replica.state else { return };
        let (applied, elsewhere) = (state.applied, &mut replica.elsewhere);
        replica.reads.answer(applied, |what, reply_to| {
            let reply = match what {
                What::Outcome(key) => Queried::Now(state.outcome(*key).map_or(Bytes::new(), |(at, reply)| {
                    let mut bytes = [at.term.to_le_bytes(), at.index.to_le_bytes()].concat();
                    bytes.extend_from_slice(&reply);
                    bytes.into()
                })),
                What::Query(channel, query) => match state.query(*channel, query) {
                    Some(reply) => reply,
                    None => {
                        let why = "no machine of this log has that channel".into();
                        cx.reply::<Answer>(reply_to, Err(CallError::Refused(why)));
                        return true;
                    }
                },
            };
            match reply {
                Queried::Now(reply) => cx.reply::<Answer>(reply_to, Ok(Answered { applied, reply })),
                Queried::Later(work) => elsewhere.take(reply_to, applied, Job(work), cx),
                Queried::NotYet => return false,
            }
            true
        });
    }
}
