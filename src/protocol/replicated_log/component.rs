//! The component: inputs come in here, and each goes to the file that knows.

use super::boot::{Loaded, Loader, Step, make};
use super::config::{Config, Mutant};
use super::engine::{Engine, Hard};
use super::event::{Skipped, TornTail, Unusable};
use super::members::{Founders, Hello, Member};
use super::message::{Body, Call, Message, Proposed, Status};
use super::proposals::{Asker, Proposal, Proposals};
use super::pump::{Following, Rounds, Then};
use super::reads::{Reads, What};
use super::record::Header;
use super::snapshot::Meta;
use super::state::State;
use super::transfer::{self, Transfers};
use super::wal::Wal;
use super::wishes::{Asked, Wish};
use crate::codec::Batch;
use crate::component::{
    Boot, Context, DiskDone, FailedWhy, Input, Inspection, Lane, Manifest, NetComponent, PeerChange, PeerRole, ReplyTo,
    Role, Run, StreamId, StreamInput, StreamOp, Target, To, Token,
};
use crate::error::{CallError, Fault};
use crate::id::{Kind, Life, NodeId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "replicated_log";
/// Version of the messages.
const VERSION: u8 = 1;
/// Why a replica that was removed does not serve.
pub(super) const REMOVED: &str = "it was removed from the group: empty its directory, and it asks to be taken in again";
/// Longest command.
const COMMAND_BYTES_MAX: usize = 1 << 20;
/// Ticks between two rounds of what is asked again and again. Not those between
/// two checks of the quorum: right after one, nobody was heard of.
const TICKS_PER_ROUND: u64 = 17;

/// The component's one timer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Timer;

/// See [the module](super).
pub struct ReplicatedLog {
    pub(super) config: Config,
    boot: Option<Boot>,
    /// Linked voters' lives.
    pub(super) peers: BTreeMap<NodeId, Life>,
    pub(super) hellos: BTreeMap<NodeId, Hello>,
    /// The lives that run replicas, by what they said of themselves.
    pub(super) lives: BTreeMap<u64, Life>,
    pub(super) phase: Phase,
    pub(super) proposals: Proposals,
    pub(super) broadcasts: BTreeMap<Kind, Broadcasts>,
    wishes: Vec<Asked>,
    pub(super) unhandled: u64,
    ticks: u64,
    pub(super) junk: u64,
}

/// How far one component's broadcasts have come.
#[derive(Default)]
pub(super) struct Broadcasts {
    pub(super) requested: u64,
    pub(super) done: u64,
    pub(super) released_bytes: u64,
    pub(super) failed: Option<crate::component::Failed>,
    pub(super) dirty: bool,
}

/// Where a life stands.
pub(super) enum Phase {
    /// Before the first input.
    Idle,
    /// Reading the directory.
    Loading(Box<Loader>),
    /// A new directory's identity is on its way to the disk.
    Making(u64, Token),
    Running(Box<Replica>),
    /// Does not vote, does not serve, says so.
    Unusable(String),
}

/// A replica with its log on the disk.
pub(super) struct Replica {
    pub(super) id: u64,
    pub(super) seed: u64,
    pub(super) wal: Wal,
    pub(super) hard: Hard,
    /// Both are there once the replica is of a group; a replica that is to join
    /// one has an engine only.
    pub(super) engine: Option<Engine>,
    pub(super) state: Option<State>,
    pub(super) rounds: Rounds,
    pub(super) following: Following,
    pub(super) reads: Reads,
    pub(super) transfers: Transfers,
}

impl ReplicatedLog {
    /// A replica with this configuration.
    pub fn new(config: Config) -> Self {
        ReplicatedLog {
            config,
            boot: None,
            peers: BTreeMap::new(),
            hellos: BTreeMap::new(),
            lives: BTreeMap::new(),
            phase: Phase::Idle,
            proposals: Proposals::default(),
            broadcasts: BTreeMap::new(),
            wishes: Vec::new(),
            unhandled: 0,
            ticks: 0,
            junk: 0,
        }
    }

    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.config.mutant == Some(mutant)
    }

    pub(super) fn running(&mut self) -> Option<&mut Replica> {
        match &mut self.phase {
            Phase::Running(replica) => Some(replica),
            _ => None,
        }
    }

    pub(super) fn unusable(&mut self, why: String, cx: &mut Context<'_, Self>) {
        log::error!(target: "nodewright::replicated_log", "{}: this replica does not serve: {why}", cx.me());
        cx.publish(Unusable { why: why.clone() });
        self.phase = Phase::Unusable(why);
    }

    // --- a life begins ---

    fn disk(&mut self, token: Token, result: io::Result<DiskDone>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::Broken(format!("the log's disk failed: {error}"));
        match &mut self.phase {
            Phase::Loading(loader) => match loader.done(result).map_err(failed)? {
                Step::Ask(op) => _ = cx.disk(op),
                Step::Refused(why) => self.unusable(why, cx),
                Step::Loaded(loaded) => self.loaded(*loaded, cx)?,
            },
            Phase::Making(replica, made) => {
                result.map_err(failed)?;
                if *made == token {
                    let replica = *replica;
                    self.begin(
                        replica,
                        Loaded { replica: None, recovered: None, snapshots: vec![], newest: Bytes::new() },
                        cx,
                    )?;
                }
            }
            Phase::Running(_) => {
                // Whatever failed, what is on the disk is unknown: never tried again by this life.
                result.map_err(failed)?;
                self.performed(token, cx)?;
            }
            Phase::Idle | Phase::Unusable(_) => {}
        }
        Ok(())
    }

    fn loaded(&mut self, loaded: Loaded, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if let Some(replica) = loaded.replica {
            return self.begin(replica, loaded, cx);
        }
        let replica = cx.rng().u64(1..);
        let [format, identity] = make(cx.me().node, replica);
        cx.disk(format);
        self.phase = Phase::Making(replica, cx.disk(identity));
        Ok(())
    }

    /// The replica's log goes on, or begins.
    fn begin(&mut self, id: u64, loaded: Loaded, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let seed = cx.rng().u64(..);
        let mut hard = loaded.recovered.as_ref().map(|it| it.hard).unwrap_or_default();
        if self.has(Mutant::TermForgotten) {
            let floor = loaded.recovered.as_ref().and_then(|it| it.entries.last().map(|entry| entry.term));
            let floor = floor.or(loaded.recovered.as_ref().and_then(|it| it.snapshot.as_ref().map(|it| it.0.term)));
            hard = Hard { term: floor.unwrap_or(0), vote: 0, ..hard };
        }
        let (mut engine, mut state) = (None, None);
        let (mut next, mut header, mut rewrite, mut live, mut dead) = (1, Header::default(), vec![], vec![], vec![]);
        let mut newest = Meta::default();
        if let Some(recovered) = loaded.recovered {
            if recovered.torn {
                cx.publish(TornTail);
            }
            (next, header, rewrite) = (recovered.next, recovered.header, recovered.rewrite);
            (live, dead) = (recovered.live, recovered.dead);
            if let Some((meta, bytes)) = recovered.snapshot {
                match State::restored(meta.index, meta.conf.clone(), &bytes, &self.config.machines) {
                    Ok(restored) => state = Some(restored),
                    Err(why) => {
                        self.unusable(format!("its snapshot is of another program: {why}"), cx);
                        return Ok(());
                    }
                }
                newest = meta.clone();
                engine = Some(Engine::new(id, seed, hard, meta, &recovered.entries)?);
            }
        }
        if state.as_ref().is_some_and(|state| !state.conf.has(id)) {
            self.unusable(REMOVED.into(), cx);
            return Ok(());
        }
        let mut wal = Wal::new(id, self.config.segment_bytes, live, hard);
        wal.begin(next, header, rewrite, dead, &mut |op| cx.disk(op));
        if let Some(state) = &mut state {
            state.twice = self.config.mutant == Some(Mutant::ApplyTwice);
            if state.applied > 1 {
                cx.publish(Skipped { through: state.applied });
            }
        }
        let following = Following::new(newest.index, loaded.snapshots, loaded.newest);
        let reads = Reads::new(id, seed);
        let (rounds, transfers) = (Rounds::new(wal.wanted(), hard), Transfers::default());
        self.phase = Phase::Running(Box::new(Replica {
            id,
            seed,
            wal,
            hard,
            engine,
            state,
            rounds,
            following,
            reads,
            transfers,
        }));
        self.greet(None, cx);
        self.gather(cx)
    }

    /// Tells one peer, or all, which replica this is and of which group.
    fn greet(&mut self, to: Option<Life>, cx: &mut Context<'_, Self>) {
        let Phase::Running(replica) = &self.phase else { return };
        let founders = replica.state.as_ref().map(|state| state.founders.clone());
        let hello = Message(Body::Hello(Hello { version: VERSION, replica: replica.id, founders }));
        match to {
            Some(life) => _ = cx.send(To::Life(life), Lane::Control, &hello),
            None => {
                for life in self.peers.values() {
                    cx.send(To::Life(*life), Lane::Control, &hello);
                }
            }
        }
    }

    /// A replica without a group founds one with all voters that have none
    /// either, takes part in one that it is a founder of, or is to join one.
    fn gather(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let (Some(boot), Phase::Running(replica)) = (&self.boot, &mut self.phase) else { return Ok(()) };
        if replica.state.is_some() || !boot.voter {
            return Ok(());
        }
        let groups: Vec<&Founders> = self.hellos.values().filter_map(|hello| hello.founders.as_ref()).collect();
        if let Some(founders) = groups.iter().find(|founders| founders.has(replica.id)) {
            let founders = (*founders).clone();
            return self.found(founders, cx);
        }
        if !groups.is_empty() {
            if replica.engine.is_none() {
                replica.engine = Some(Engine::new(replica.id, replica.seed, replica.hard, Meta::default(), &[])?);
            }
            return Ok(());
        }
        if self.hellos.len() + 1 == boot.voters && replica.engine.is_none() {
            let mut members: Vec<Member> =
                self.hellos.iter().map(|(node, hello)| Member { replica: hello.replica, node: *node }).collect();
            members.push(Member { replica: replica.id, node: cx.me().node });
            let founders = Founders::new(members);
            if !founders.is_sound() {
                self.unusable("two nodes have the same data directory, or there are too many voters".into(), cx);
                return Ok(());
            }
            return self.found(founders, cx);
        }
        Ok(())
    }

    /// Begins as a founder: the group's snapshot of nothing is written first.
    fn found(&mut self, founders: Founders, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let mut state = State::founded(founders.clone(), &self.config.machines);
        state.twice = self.has(Mutant::ApplyTwice);
        let Some(replica) = self.running() else { return Ok(()) };
        let meta = founders.meta();
        let hard = replica.hard;
        let hard = if hard.term == 0 { Hard { term: 1, vote: 0, commit: 1 } } else { Hard { commit: 1, ..hard } };
        let bytes = super::snapshot::encode(&meta, &state.snapshot());
        replica.following.keep(meta.clone(), bytes, Then::Begin, false, cx);
        replica.wal.hold();
        replica.engine = Some(Engine::new(replica.id, replica.seed, hard, meta, &[])?);
        replica.state = Some(state);
        self.greet(None, cx);
        Ok(())
    }

    // --- peers ---

    fn peer(&mut self, change: &PeerChange, cx: &mut Context<'_, Self>) {
        match change {
            PeerChange::Joined { life, role: PeerRole::Voter, .. } => {
                self.peers.insert(life.node, *life);
                self.forget(life.node);
                self.greet(Some(*life), cx);
            }
            PeerChange::Ended { life, .. } if self.peers.get(&life.node) == Some(life) => {
                self.peers.remove(&life.node);
                self.forget(life.node);
                if let Phase::Running(replica) = &mut self.phase {
                    for to in replica.transfers.ended(*life) {
                        replica.snapshot_ended(to, false);
                    }
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, node: NodeId) {
        if let Some(hello) = self.hellos.remove(&node) {
            self.lives.remove(&hello.replica);
        }
    }

    fn message(&mut self, from: Life, body: Body, bytes: Bytes, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if self.peers.get(&from.node) != Some(&from) {
            return Ok(());
        }
        if let Body::Hello(hello) = body {
            let sound = hello.version == VERSION && hello.founders.as_ref().is_none_or(Founders::is_sound);
            if !sound || hello.replica == 0 {
                self.junk += 1;
                return Ok(());
            }
            self.forget(from.node);
            self.lives.insert(hello.replica, from);
            self.hellos.insert(from.node, hello);
            return self.gather(cx);
        }
        let Some(hello) = self.hellos.get(&from.node) else { return Ok(()) };
        let sender = hello.replica;
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        // Who is to join has no group yet; one of another group is not heard.
        let own = replica.state.as_ref().map(|state| state.founders.group());
        let Some(group) = own.or(hello.group()) else { return Ok(()) };
        let ours = hello.group().is_none_or(|of| of == group);
        let taken = ours
            && match body {
                Body::Engine(of, message) => of == group && message.from == sender && replica.step(&message),
                Body::Propose(of) => of == group && replica.forwarded(from, &bytes),
                Body::Wish(of, wish) => {
                    let own = Member { replica: sender, node: from.node };
                    let sound = of == group && !matches!(wish, Wish::Join(member) if member != own);
                    if sound {
                        replica.grant(&wish);
                    }
                    sound
                }
                Body::Hash { group: of, index, hash } => of == group && replica.following.heard(sender, index, hash),
                Body::Hello(_) => true,
            };
        self.junk += u64::from(!taken);
        Ok(())
    }

    fn stream(&mut self, id: StreamId, input: StreamInput, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let machines = &self.config.machines;
        let Phase::Running(replica) = &mut self.phase else {
            if let StreamInput::Opened { .. } = input {
                cx.stream(id, StreamOp::Reset("this replica does not run".into()));
            }
            return Ok(());
        };
        match input {
            StreamInput::Opened { peer: Some(from), name } if name == transfer::NAME && id.0 & 1 == 0 => {
                replica.transfers.opened(id, from);
                cx.stream(id, StreamOp::Grant(transfer::WINDOW));
            }
            StreamInput::Opened { .. } => {}
            StreamInput::Chunk(bytes) => {
                let op = match replica.transfers.chunk(id, &bytes) {
                    true => StreamOp::Grant(bytes.len() as u64),
                    false => StreamOp::Reset("too long for a snapshot".into()),
                };
                cx.stream(id, op);
            }
            StreamInput::Writable(bytes) => {
                let (ops, sent) = replica.transfers.writable(id, bytes);
                ops.into_iter().for_each(|op| cx.stream(id, op));
                if let Some(to) = sent {
                    replica.snapshot_ended(to, true);
                }
            }
            StreamInput::Finished => {
                let Some(arrived) = replica.transfers.finished(id) else {
                    self.junk += 1;
                    return Ok(());
                };
                let known = self.lives.get(&arrived.message.from) == Some(&arrived.from);
                let state = State::restored(arrived.meta.index, arrived.meta.conf.clone(), &arrived.state, machines);
                match state {
                    Ok(state) if known && state.founders.group() == arrived.group => {
                        replica.following.arrived = Some((arrived.meta, arrived.bytes, state));
                        self.junk += u64::from(!replica.step(&arrived.message));
                    }
                    _ => self.junk += 1,
                }
            }
            StreamInput::Reset(_) => {
                if let Some(to) = replica.transfers.cut(id) {
                    replica.snapshot_ended(to, false);
                }
            }
        }
        Ok(())
    }

    // --- what is asked of it ---

    fn call(&mut self, call: Call, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
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
            Call::Remove { node, within } => self.wish(Wish::Remove(node), within, reply_to, cx),
            Call::Transfer { to, within } => self.wish(Wish::Lead(to), within, reply_to, cx),
            Call::Status => cx.reply(reply_to, self.status()),
        }
    }

    fn read(&mut self, what: What, level: super::Level, within: Duration, to: ReplyTo, cx: &mut Context<'_, Self>) {
        let added = match &mut self.phase {
            Phase::Running(replica) => replica.reads.add(what, level, to, cx.now(), within),
            _ => false,
        };
        if !added {
            cx.reply::<super::Answer>(to, Err(CallError::Refused(super::NOT_READY.into())));
        }
    }

    fn wish(&mut self, wish: Wish, within: Duration, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        let asked = Asked { wish, reply_to, deadline: cx.now() + within, within };
        self.wishes.push(asked);
        self.ask_again(cx);
    }

    /// Tells the leader what is wished for, or does it here.
    fn ask_again(&mut self, cx: &mut Context<'_, Self>) {
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
    fn request(&mut self, from: Kind, target: Target, batch: Batch, cx: &mut Context<'_, Self>) {
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

    fn tick(&mut self, cx: &mut Context<'_, Self>) {
        cx.set_timer(Timer, self.config.tick);
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

    fn status(&self) -> Status {
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

impl NetComponent for ReplicatedLog {
    type Message = Message;
    type Call = Call;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec!["replicated_log", "delivery.total"],
            run: Run::Thread,
            role: Role::Protocol,
            guarantee: "what is acknowledged is synced on a majority and stands in one order that all deliver; never \
                        lost while a majority of the disks keeps what it synced; writes need a majority up, so two \
                        voters stop when one is down",
            memory_ceiling: Some(|peers| {
                let config = Config::default();
                2 * config.snapshot_bytes + config.proposed_bytes_max + (peers as u64 + 1) * (16 << 20)
            }),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.boot = Some(boot.clone());
                let (loader, first) = Loader::new(boot.me.node);
                cx.disk(first);
                self.phase = Phase::Loading(Box::new(loader));
                cx.set_timer(Timer, self.config.tick);
            }
            Input::Disk { token, result } => self.disk(token, result, cx)?,
            Input::Message { from, head, body } => self.message(from, head.0, body, cx)?,
            Input::Stream { id, input } => self.stream(id, input, cx)?,
            Input::Call { call, reply_to } => self.call(call, reply_to, cx),
            Input::Request { from, target, batch } => self.request(from, target, batch, cx),
            Input::Consumed { bytes, .. } => self.unhandled = self.unhandled.saturating_sub(bytes),
            Input::Peer(change) => self.peer(change, cx),
            Input::Timer(Timer) => self.tick(cx),
            _ => {}
        }
        Ok(())
    }

    /// All inputs of a run share one round of the engine, one write, one sync.
    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.pump(cx)
    }

    fn inspect(&self, into: &mut Inspection) {
        let status = self.status();
        match &self.phase {
            Phase::Running(replica) => {
                into.row("replica", format!("{:016x}", replica.id));
                let role = match (&replica.state, status.leads) {
                    (None, _) => "outside: waits for the other voters or to be taken in",
                    (_, true) => "leads",
                    _ => "follows",
                };
                into.row("role", role);
                into.row("log segments", replica.wal.segments());
                into.row("entries in memory", replica.engine.as_ref().map_or(0, |engine| engine.store().bytes()));
                into.row("newest snapshot", replica.following.newest());
                into.row("reads waiting", replica.reads.len());
            }
            Phase::Unusable(why) => into.row("does not serve", why),
            _ => into.row("role", "reads its log"),
        }
        into.row("leader", status.leader.map_or("none".to_string(), |node| node.to_string()));
        into.row("term", status.term);
        into.row("committed, applied", format!("{}, {}", status.commit, status.applied));
        into.row("voters, learners", format!("{}, {}", status.voters.len(), status.learners.len()));
        into.row("proposals open", self.proposals.len());
        if self.junk > 0 {
            into.row("messages dropped as junk", self.junk);
        }
    }
}
