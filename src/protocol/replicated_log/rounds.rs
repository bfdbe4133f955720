//! The engine's rounds: what each asks for is written and sent, and what rests on
//! the disk waits until it is durable.

use super::component::{Phase, ReplicatedLog};
use super::config::Mutant;
use super::engine::{Hard, Work};
use super::event::{LogVote, Skipped, SnapshotInstalled};
use super::following::Then;
use super::message::{Body, Message};
use super::record::Record;
use super::snapshot::Meta;
use super::transfer::{self};
use super::wire::WireMessage;
use crate::component::{Context, Lane, StreamOp, To};
use crate::error::{CallError, Fault};
use std::collections::VecDeque;

/// A round of the engine, and what waits until it is durable.
pub(super) struct Round {
    number: u64,
    wanted: u64,
    messages: Vec<WireMessage>,
    /// A snapshot that is installed with it.
    installs: Option<u64>,
    hard: Option<Hard>,
}

/// Rounds that wait for the disk, in order.
pub(super) struct Rounds {
    pub(super) waiting: VecDeque<Round>,
    /// The newest hard state that is durable: no later life has an older one.
    pub(super) durable: Hard,
}

impl Rounds {
    /// Rounds behind the records with which a life begins its log.
    pub(super) fn new(wanted: u64, hard: Hard) -> Self {
        let first = Round { number: 0, wanted, messages: Vec::new(), installs: None, hard: Some(hard) };
        Rounds { waiting: [first].into(), durable: Hard::default() }
    }
}

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl ReplicatedLog {
    pub(super) fn work(&mut self, work: Work, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let Work { number, messages, messages_after_sync, entries, hard, install, must_sync, committed, reads } = work;
        self.outgoing.extend(messages);
        if let Some(hard) = hard
            && let Some(replica) = self.running()
        {
            replica.hard = hard;
        }
        let installs = install.as_ref().map(|meta| meta.index);
        if let Some(meta) = install {
            self.install(meta, cx)?;
        }
        let forgets = self.has(Mutant::VoteNotPersisted);
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        if let Some(hard) = hard {
            let hard = if forgets { Hard { vote: 0, ..hard } } else { hard };
            replica.wal.push(Record::Hard(hard), must_sync && entries.is_empty());
        }
        let last = entries.len();
        for (at, entry) in entries.into_iter().enumerate() {
            replica.wal.push(Record::Entry(entry), at + 1 == last);
        }
        let wanted = replica.wal.wanted();
        replica.rounds.waiting.push_back(Round { number, wanted, messages: messages_after_sync, installs, hard });
        replica.following.committed.extend(committed);
        for (context, index) in reads {
            replica.reads.indexed(&context, index);
        }
        Ok(())
    }

    /// What waited for what is durable by now.
    pub(super) fn release(&mut self, cx: Cx<'_, '_>) -> bool {
        let believes = self.has(Mutant::SyncDropped);
        let mut moved = false;
        while let Phase::Running(replica) = &mut self.phase
            && let Some(engine) = &mut replica.engine
            && let Some(round) =
                replica.rounds.waiting.pop_front_if(|it| believes || it.wanted <= replica.wal.durable())
        {
            engine.persisted(round.number);
            if let Some(hard) = round.hard {
                replica.rounds.durable = hard;
                if self.config.traced {
                    cx.publish(LogVote { term: hard.term, vote: hard.vote });
                }
            }
            if let Some(index) = round.installs {
                engine.applied(index);
            }
            self.outgoing.extend(round.messages);
            moved = true;
        }
        moved
    }

    /// Sends what all rounds of one flush brought, in order.
    pub(super) fn send(&mut self, cx: Cx<'_, '_>) {
        let messages = std::mem::take(&mut self.outgoing);
        let Phase::Running(replica) = &mut self.phase else { return };
        let group = replica.state.as_ref().map(|state| state.founders.group());
        let group = group.or_else(|| self.hellos.values().find_map(super::members::Hello::group)).unwrap_or(0);
        let covered =
            |(at, message): (usize, &WireMessage)| messages[at + 1..].iter().any(|later| message.is_covered_by(later));
        let covered: Vec<bool> = messages.iter().enumerate().map(covered).collect();
        for (message, _) in messages.into_iter().zip(covered).filter(|(_, covered)| !covered) {
            let to = message.to;
            let life = self.lives.get(&to).copied();
            if message.snapshot().is_some() {
                for id in replica.transfers.sending_to(to) {
                    cx.stream(id, StreamOp::Reset("a newer snapshot is sent".into()));
                    replica.transfers.cut(id);
                }
                let current = message.snapshot().map(|meta| meta.index) == Some(replica.following.newest);
                match life.filter(|_| current) {
                    Some(life) => {
                        let id = cx.open_stream(StreamOp::OpenPeer { life, name: transfer::NAME.into() });
                        replica.transfers.begin(id, life, to, group, message, replica.following.bytes.clone());
                    }
                    None => replica.snapshot_ended(to, false),
                }
            } else if let Some(life) = life {
                let lane = if message.carries_entries() { Lane::Data } else { Lane::Control };
                cx.send(To::Life(life), lane, &Message(Body::Engine(group, message)));
            }
        }
    }

    /// A leader's snapshot takes the place of log and state.
    pub(super) fn install(&mut self, meta: Meta, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let (me, now, twice) = (cx.me(), cx.now(), self.has(Mutant::ApplyTwice));
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        let arrived = replica.following.arrived.take().filter(|(arrived, ..)| *arrived == meta);
        let Some((meta, bytes, mut state)) = arrived else {
            return Err(Fault::Broken(format!("the engine took a snapshot at {} that did not arrive", meta.index)));
        };
        state.twice = twice;
        let (index, hard) = (meta.index, replica.hard);
        replica.following.committed.clear();
        replica.following.applied_bytes = 0;
        replica.following.keep(meta, bytes, Then::Restart, false, cx);
        replica.wal.forget();
        replica.wal.hold();
        replica.wal.push(Record::Hard(Hard { commit: index, ..hard }), true);
        let done = state.done(me);
        let outside = replica.state.replace(state).is_none();
        cx.publish(SnapshotInstalled { index });
        cx.publish(Skipped { through: index });
        for proposal in self.proposals.settle_through(done, now) {
            let lost = CallError::Failed(super::DONE_UNSEEN.into());
            self.settled(proposal, Err(lost), cx);
        }
        if outside {
            // those who are outside as well hear only one that they know to be of the group
            self.greet(None, cx);
        }
        Ok(())
    }
}
