//! One round after the other: what the engine asks for is written, sent and
//! applied; what it may know by now it is told.
//!
//! 1. Proposals and reads go to the leader.
//! 2. The engine's work: a leader's messages leave at once, beside its own sync;
//!    everything else that rests on what is to be written waits for it.
//! 3. What is durable releases what waited for it.
//! 4. What is committed is applied, delivered, answered.
//! 5. The next write begins, if none is under way.

use super::boot::{SNAPSHOTS, UNFINISHED, snapshot_name};
use super::component::{Phase, Replica, ReplicatedLog};
use super::config::Mutant;
use super::engine::{Hard, Work};
use super::entry::Head;
use super::event::{Diverged, LogApplied, LogLeader, LogVote, Skipped, SnapshotInstalled};
use super::members::{Change, Member};
use super::message::{Answer, Answered, Body, Done, Message, Proposed, Status};
use super::proposals::{Asker, Proposal};
use super::reads::What;
use super::record::Record;
use super::snapshot::{self, Meta};
use super::state::{Applied, State};
use super::transfer;
use super::wire::{EntryKind, WireEntry, WireMessage};
use super::wishes::{Act, Wish, act, promotable};
use crate::component::{Context, DeliveredBatch, DiskOp, Lane, Progress, Stamp, StreamOp, Target, To, Token};
use crate::error::{CallError, Fault};
use crate::id::{Kind, Life, MessageId, NodeId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Every so many entries the replicas compare their states.
const HASH_EVERY: u64 = 64;
/// Indexes for which hashes are kept.
const HASHES_MAX: usize = 16;

/// A round of the engine, and what waits until it is durable.
struct Round {
    number: u64,
    wanted: u64,
    messages: Vec<WireMessage>,
    /// A snapshot that is installed with it.
    installs: Option<u64>,
    hard: Option<Hard>,
}

/// Rounds that wait for the disk, in order.
pub(super) struct Rounds {
    waiting: VecDeque<Round>,
    /// The newest hard state that is durable: no later life has an older one.
    durable: Hard,
}

impl Rounds {
    /// Rounds behind the records with which a life begins its log.
    pub(super) fn new(wanted: u64, hard: Hard) -> Self {
        let first = Round { number: 0, wanted, messages: Vec::new(), installs: None, hard: Some(hard) };
        Rounds { waiting: [first].into(), durable: Hard::default() }
    }
}

/// What follows the log: entries to be applied, snapshots, hashes of peers.
pub(super) struct Following {
    committed: VecDeque<WireEntry>,
    /// A leader's snapshot that the engine has yet to accept.
    pub(super) arrived: Option<(Meta, Bytes, State)>,
    newest: u64,
    /// The newest durable snapshot, as it is sent.
    bytes: Bytes,
    /// Snapshots on the disk, the oldest first.
    files: Vec<u64>,
    making: Option<Making>,
    applied_bytes: u64,
    hashes: BTreeMap<u64, BTreeMap<u64, u64>>,
    led: Option<(u64, u64)>,
}

struct Making {
    token: Token,
    meta: Meta,
    bytes: Bytes,
    then: Then,
}

/// What follows once a snapshot is durable, and not before.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    /// The log before it goes.
    Truncate,
    /// The log begins anew behind it.
    Restart,
    /// The log of a new group may be written.
    Begin,
}

impl Following {
    pub(super) fn new(newest: u64, files: Vec<u64>, bytes: Bytes) -> Self {
        Following {
            committed: VecDeque::new(),
            arrived: None,
            newest,
            bytes,
            files,
            making: None,
            applied_bytes: 0,
            hashes: BTreeMap::new(),
            led: None,
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes a snapshot: a new file, synced, renamed, its directory synced.
    pub(super) fn keep(
        &mut self,
        meta: Meta,
        bytes: Bytes,
        then: Then,
        unsynced: bool,
        cx: &mut Context<'_, ReplicatedLog>,
    ) {
        let name = || UNFINISHED.to_string();
        cx.disk(DiskOp::Remove { name: name() });
        cx.disk(DiskOp::Append { name: name(), bytes: bytes.clone() });
        if !unsynced {
            cx.disk(DiskOp::Sync { name: name() });
        }
        let mut token = cx.disk(DiskOp::Rename { from: name(), to: snapshot_name(meta.index) });
        if !unsynced {
            token = cx.disk(DiskOp::SyncDir { name: SNAPSHOTS.into() });
        }
        self.files.retain(|index| *index != meta.index);
        self.files.push(meta.index);
        self.applied_bytes = 0;
        self.making = Some(Making { token, meta, bytes, then });
    }

    /// A peer's hash; false if it is no place to compare.
    pub(super) fn heard(&mut self, replica: u64, index: u64, hash: u64) -> bool {
        let sound = index.is_multiple_of(HASH_EVERY);
        if sound {
            self.hashes.entry(index).or_default().insert(replica, hash);
            while self.hashes.len() > HASHES_MAX {
                self.hashes.pop_first();
            }
        }
        sound
    }

    /// An index at which this replica is not with a majority that agrees, or
    /// with nobody when all have spoken.
    fn diverged(&self, me: u64, voters: &[u64]) -> Option<u64> {
        let majority = voters.len() / 2 + 1;
        let against = |hashes: &BTreeMap<u64, u64>| {
            let own = hashes.get(&me)?;
            let agree = |hash: &u64| voters.iter().filter(|voter| hashes.get(voter) == Some(hash)).count();
            let spoken = voters.iter().filter(|voter| hashes.contains_key(voter)).count();
            let outvoted = hashes.values().any(|hash| hash != own && agree(hash) >= majority);
            let split = spoken == voters.len() && agree(own) < majority;
            (outvoted || split).then_some(())
        };
        self.hashes.iter().find(|(_, hashes)| against(hashes).is_some()).map(|(index, _)| *index)
    }
}

impl Replica {
    /// A peer's message for the engine; false if it is junk.
    pub(super) fn step(&mut self, message: &WireMessage) -> bool {
        let Some(engine) = &mut self.engine else { return true };
        if message.answers_read().is_some_and(|context| !self.reads.expects(context)) {
            return true; // an answer to an attempt that is over
        }
        engine.step(message)
    }

    /// A peer's proposal; false if it is junk.
    pub(super) fn forwarded(&mut self, from: Life, entry: &Bytes) -> bool {
        let sound = Head::decode(entry).is_some_and(|(head, _)| head.origin == from && head.number > 0);
        if let (true, Some(engine)) = (sound, &mut self.engine) {
            engine.propose(entry.to_vec());
        }
        sound
    }

    pub(super) fn snapshot_ended(&mut self, to: u64, arrived: bool) {
        if let Some(engine) = &mut self.engine {
            engine.report_snapshot(to, arrived);
        }
    }

    /// Does what is wished for, where this replica leads.
    pub(super) fn grant(&mut self, wish: &Wish) {
        let (Some(engine), Some(state)) = (&mut self.engine, &self.state) else { return };
        if !engine.leads() || engine.is_changing() {
            return;
        }
        match act(wish, self.id, state, engine) {
            Act::Change(change) => drop(engine.propose_change(&change)),
            Act::Transfer(to) => engine.transfer(to),
            Act::Nothing => {}
        }
    }

    /// Lets a learner that has caught up vote; leaves a joint membership that
    /// an earlier leader did not.
    pub(super) fn promote(&mut self) {
        let (Some(engine), Some(state)) = (&mut self.engine, &self.state) else { return };
        if !engine.leads() || engine.is_changing() {
            return;
        }
        if state.conf.auto_leave {
            engine.propose_change(&Change::default());
        } else if let Some(change) = promotable(state, engine) {
            engine.propose_change(&change);
        }
    }

    /// The leader's node, as far as it is known.
    pub(super) fn leader(&self, me: NodeId) -> Option<NodeId> {
        let engine = self.engine.as_ref()?;
        if engine.leads() {
            return Some(me);
        }
        self.state.as_ref()?.members.get(&engine.leader()).copied()
    }

    pub(super) fn status(&self) -> Status {
        let (Some(engine), Some(state)) = (&self.engine, &self.state) else {
            return Status { replica: self.id, ..Status::default() };
        };
        let member = |id: &u64| state.members.get(id).map(|node| Member { replica: *id, node: *node });
        Status {
            replica: self.id,
            leads: engine.leads(),
            leader: state.members.get(&engine.leader()).copied(),
            term: engine.term(),
            commit: engine.commit(),
            applied: state.applied,
            voters: state.conf.voters.iter().filter_map(member).collect(),
            learners: state.conf.learners.iter().filter_map(member).collect(),
            hash: state.hash(),
            unusable: None,
        }
    }
}

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl ReplicatedLog {
    /// See the module.
    pub(super) fn pump(&mut self, cx: Cx<'_, '_>) -> Result<(), Fault> {
        loop {
            self.ask_leader(cx);
            let mut moved = false;
            while let Phase::Running(replica) = &mut self.phase
                && let Some(engine) = &mut replica.engine
                && let Some(work) = engine.work()?
            {
                self.work(work, cx)?;
                moved = true;
            }
            moved |= self.release(cx);
            moved |= self.apply(cx)?;
            if !moved {
                break;
            }
        }
        self.answer(cx);
        if let Phase::Running(replica) = &mut self.phase {
            replica.wal.write(&mut |op| cx.disk(op));
        }
        for (channel, broadcasts) in &mut self.broadcasts {
            if std::mem::take(&mut broadcasts.dirty) {
                let (done, released_bytes, failed) = (broadcasts.done, broadcasts.released_bytes, broadcasts.failed);
                let (via, target) = (Kind::of(super::NAME), Target::All);
                cx.progress(*channel, Progress { via, target, delivered: done, stable: done, released_bytes, failed });
            }
        }
        self.lead(cx);
        self.compare(cx);
        Ok(())
    }

    /// Tells the node who leads, when that changes.
    fn lead(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(engine) = &replica.engine else { return };
        let led = (engine.leader(), engine.term());
        // a term that is not durable may yet be taken back
        if replica.following.led != Some(led) && led.1 == replica.rounds.durable.term {
            let before = replica.following.led.replace(led);
            if before.is_none_or(|(leader, _)| leader != led.0) || led.0 != 0 {
                let node = replica.leader(cx.me().node);
                cx.publish(LogLeader { node, term: led.1 });
                match node {
                    Some(node) => log::info!(target: "nodewright::replicated_log", "{node} leads in term {}", led.1),
                    None => log::info!(target: "nodewright::replicated_log", "no leader in term {}", led.1),
                }
            }
        }
    }

    fn ask_leader(&mut self, cx: Cx<'_, '_>) {
        let mutant = self.config.mutant;
        let Phase::Running(replica) = &mut self.phase else { return };
        let (Some(engine), Some(state)) = (&mut replica.engine, &replica.state) else { return };
        let leader = engine.leader();
        if leader == 0 {
            return;
        }
        let (me, group, now) = (cx.me(), state.founders.group(), cx.now());
        if !self.proposals.is_empty() {
            let life = self.lives.get(&leader).copied();
            let term = engine.term();
            self.proposals.send(me, (leader, term), now, |entry| {
                if engine.leads() {
                    return engine.propose(entry);
                }
                let Some(life) = life else { return false };
                let lane = if entry.len() < 4096 { Lane::Control } else { Lane::Data };
                cx.send_with(To::Life(life), lane, &Message(Body::Propose(group)), &entry);
                true
            });
            if mutant == Some(Mutant::AckBeforeMajority) && engine.leads() {
                for reply_to in self.proposals.believe() {
                    let done = Done { term, index: engine.last(), synced: 1, reply: Bytes::new() };
                    cx.reply::<Proposed>(reply_to, Ok(done));
                }
            }
        }
        if mutant == Some(Mutant::LeaseRead) && engine.leads() {
            replica.reads.believe(state.applied);
        }
        if let Some(context) = replica.reads.attempt(now) {
            engine.read_index(context);
        }
    }

    fn work(&mut self, work: Work, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let Work { number, messages, messages_after_sync, entries, hard, install, must_sync, committed, reads } = work;
        self.send(messages, cx);
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
    fn release(&mut self, cx: Cx<'_, '_>) -> bool {
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
            self.send(round.messages, cx);
            moved = true;
        }
        moved
    }

    fn send(&mut self, messages: Vec<WireMessage>, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let group = replica.state.as_ref().map(|state| state.founders.group());
        let group = group.or_else(|| self.hellos.values().find_map(super::members::Hello::group)).unwrap_or(0);
        for message in messages {
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
    fn install(&mut self, meta: Meta, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let (me, now, twice) = (cx.me(), cx.now(), self.has(Mutant::ApplyTwice));
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        let arrived = replica.following.arrived.take().filter(|(arrived, ..)| *arrived == meta);
        let Some((meta, bytes, mut state)) = arrived else {
            return Err(Fault::Broken(format!("the engine took a snapshot at {} that did not arrive", meta.index)));
        };
        state.twice = twice;
        let (index, hard) = (meta.index, replica.hard);
        replica.following.committed.clear();
        replica.following.keep(meta, bytes, Then::Restart, false, cx);
        replica.wal.forget();
        replica.wal.hold();
        replica.wal.push(Record::Hard(Hard { commit: index, ..hard }), true);
        let done = state.done(me);
        replica.state = Some(state);
        cx.publish(SnapshotInstalled { index });
        cx.publish(Skipped { through: index });
        for proposal in self.proposals.settle_through(done, now) {
            let lost = CallError::Failed(super::DONE_UNSEEN.into());
            self.settled(proposal, Err(lost), cx);
        }
        Ok(())
    }

    /// Applies what is committed, as far as those above keep up.
    fn apply(&mut self, cx: Cx<'_, '_>) -> Result<bool, Fault> {
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

    fn apply_one(&mut self, entry: WireEntry, cx: Cx<'_, '_>) -> Result<(), Fault> {
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

    fn settled(&mut self, proposal: Proposal, outcome: Proposed, cx: Cx<'_, '_>) {
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

    fn answer(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(state) = &replica.state else { return };
        let applied = state.applied;
        replica.reads.answer(applied, |what, reply_to| {
            let reply = match what {
                What::Outcome(key) => Some(state.outcome(*key).map_or(Bytes::new(), |(at, reply)| {
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
            let answered = reply.is_some();
            if let Some(reply) = reply {
                cx.reply::<Answer>(reply_to, Ok(Answered { applied, reply }));
            }
            answered
        });
    }

    /// Makes a snapshot of the state once enough was applied.
    fn snapshot_if_due(&mut self, cx: Cx<'_, '_>) {
        let (due, unsynced) = (self.config.snapshot_bytes, self.has(Mutant::SnapshotUnsynced));
        let Phase::Running(replica) = &mut self.phase else { return };
        let (Some(engine), Some(state)) = (&replica.engine, &replica.state) else { return };
        if replica.following.making.is_some() {
            return; // also while one of a leader's is on its way to the disk
        }
        let wanted = engine.store().wants_snapshot() && state.applied > replica.following.newest;
        if replica.following.applied_bytes < due && !wanted {
            return;
        }
        let Some(term) = engine.term_at(state.applied) else { return };
        let meta = Meta { index: state.applied, term, conf: state.conf.clone() };
        let bytes = snapshot::encode(&meta, &state.snapshot());
        replica.following.keep(meta, bytes, Then::Truncate, unsynced, cx);
    }

    /// A disk operation of a running replica succeeded.
    pub(super) fn performed(&mut self, token: Token, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let unsynced = self.has(Mutant::SnapshotUnsynced);
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        if replica.wal.done(token, &mut |op| cx.disk(op)) {
            return Ok(());
        }
        let following = &mut replica.following;
        let Some(Making { meta, bytes, then, .. }) = following.making.take_if(|it| it.token == token) else {
            return Ok(());
        };
        let before = following.newest;
        (following.newest, following.bytes) = (meta.index, bytes);
        // The one before is kept, and the log behind it: should this one turn out to be damaged.
        let keep = if unsynced { meta.index } else { before };
        for index in following.files.extract_if(.., |index| *index < keep) {
            cx.disk(DiskOp::Remove { name: snapshot_name(index) });
        }
        match (then, &mut replica.engine) {
            (Then::Truncate, Some(engine)) => {
                engine.compact(meta, keep);
                replica.wal.remove_through(keep, &mut |op| cx.disk(op));
            }
            (Then::Restart, _) => replica.wal.restart(meta.index, &mut |op| cx.disk(op)),
            (Then::Begin, _) => replica.wal.release(),
            (Then::Truncate, None) => {}
        }
        Ok(())
    }

    /// A replica whose state is not the others' stops.
    fn compare(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(state) = &replica.state else { return };
        if let Some(index) = replica.following.diverged(replica.id, &state.conf.voters) {
            cx.publish(Diverged { index });
            self.unusable(
                format!("its state at index {index} is not the others': empty its directory, and it takes part again"),
                cx,
            );
        }
    }
}
