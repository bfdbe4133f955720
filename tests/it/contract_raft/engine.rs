//! The component: raft-rs's engine behind the contract.

use super::wire::{Record, WireEntry, WireMessage};
use bytes::Bytes;
use nodewright::component::{
    Boot, Context, DiskDone, DiskOp, Input, Lane, Manifest, NetComponent, PeerChange, PeerRole, ReplyTo, Role, To,
    Token,
};
use nodewright::error::Fault;
use nodewright::event::Event;
use nodewright::id::{Life, NodeId};
use raft::eraftpb::{ConfState, HardState, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::time::Duration;

const LOG: &str = "log";
const TICK: Duration = Duration::from_millis(10);
const ELECTION_TICKS: usize = 10;
const READ_BYTES: u64 = 64 << 10;

/// An entry reached this node's state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub index: u64,
    pub data: Vec<u8>,
}

impl Event for Applied {
    const NAME: &'static str = "raft_applied";
}

/// When a write counts as persisted. The second is the planted bug.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Persist {
    BeforeAcknowledging,
    AfterAcknowledging,
}

/// Asks for `data` to be appended; answered with a [`Proposed`] once applied.
pub struct Propose(pub Vec<u8>);

/// The answer to a proposal.
#[derive(Debug, PartialEq)]
pub enum Proposed {
    Applied,
    NotLeader,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Timer {
    Tick,
}

/// One write on its way to the disk, and what waits for it.
struct Writing {
    sync: Token,
    ready: u64,
    messages: Vec<Message>,
}

/// The engine and its place in a life.
pub struct RaftLog {
    persist: Persist,
    boot: Option<Boot>,
    peers: BTreeMap<NodeId, Life>,
    phase: Phase,
    proposals: BTreeMap<u64, ReplyTo>,
    proposed: u64,
}

enum Phase {
    /// Reading the log file, chunk by chunk.
    Reading(Vec<u8>),
    /// An empty log: the voters' ids are written once all are known.
    Gathering,
    Running(Box<Running>),
}

struct Running {
    raft: RawNode<MemStorage>,
    writing: VecDeque<Writing>,
    /// The election timeout drawn for a term: raft draws from a thread's
    /// generator, which would make two runs with one seed differ.
    drawn: (u64, usize),
}

impl RaftLog {
    pub fn new(persist: Persist) -> Self {
        RaftLog {
            persist,
            boot: None,
            peers: BTreeMap::new(),
            phase: Phase::Reading(Vec::new()),
            proposals: BTreeMap::new(),
            proposed: 0,
        }
    }

    fn read_on(&self, at: usize, cx: &mut Context<'_, Self>) {
        cx.disk(DiskOp::Read { name: LOG.into(), offset: at as u64, bytes: READ_BYTES });
    }

    /// Writes the voters' ids and starts, once all of them are known.
    fn gather(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let Some(boot) = &self.boot else { return Ok(()) };
        if !matches!(self.phase, Phase::Gathering) || self.peers.len() + 1 < boot.voters {
            return Ok(());
        }
        let mut voters: Vec<u64> = self.peers.keys().map(|node| node.0).collect();
        voters.push(cx.me().node.0);
        voters.sort_unstable();
        let records = vec![Record::Voters(voters)];
        append(cx, &records);
        // No vote leaves before the first sync of the log, which is after this append.
        cx.disk(DiskOp::SyncDir { name: String::new() });
        self.start(records, cx)
    }

    fn start(&mut self, records: Vec<Record>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let store = MemStorage::new();
        for record in records {
            match record {
                Record::Voters(ids) => {
                    store.initialize_with_conf_state(ConfState { voters: ids, ..ConfState::default() });
                }
                Record::Hard(term, vote, commit) => {
                    let hard = HardState { term, vote, commit, ..HardState::default() };
                    store.wl().set_hardstate(hard);
                }
                Record::Entry(entry) => {
                    store.wl().append(&[entry.into_raft()]).map_err(broken)?;
                }
            }
        }
        let config = Config {
            id: cx.me().node.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: 2,
            max_size_per_msg: 64 << 10,
            max_inflight_msgs: 64,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = RawNode::new(&config, store, &logger).map_err(broken)?;
        self.phase = Phase::Running(Box::new(Running { raft, writing: VecDeque::new(), drawn: (u64::MAX, 0) }));
        cx.set_timer(Timer::Tick, TICK);
        Ok(())
    }

    fn recovered(&mut self, bytes: &[u8], cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let (records, whole) = Record::take_all(bytes);
        if whole < bytes.len() {
            cx.disk(DiskOp::Allocate { name: LOG.into(), bytes: whole as u64 }); // cut the torn tail
        }
        if records.is_empty() {
            self.phase = Phase::Gathering;
            return self.gather(cx);
        }
        self.start(records, cx)
    }

    fn disk_done(&mut self, token: Token, done: io::Result<DiskDone>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match (&mut self.phase, done) {
            (Phase::Reading(read), Ok(DiskDone::Read(chunk))) => {
                read.extend_from_slice(&chunk);
                if chunk.len() as u64 == READ_BYTES {
                    self.read_on_from_end(cx);
                    return Ok(());
                }
                let read = std::mem::take(read);
                self.recovered(&read, cx)
            }
            (Phase::Reading(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => self.recovered(&[], cx),
            // A failed write or sync leaves the file unknown: never retried.
            (_, Err(error)) => Err(Fault::Broken(format!("the log's disk failed: {error}"))),
            (Phase::Running(running), Ok(_)) => {
                if running.writing.front().is_some_and(|writing| writing.sync == token) {
                    let written = running.writing.pop_front().expect("there is a front");
                    running.raft.on_persist_ready(written.ready);
                    send(&self.peers, written.messages, cx);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_on_from_end(&self, cx: &mut Context<'_, Self>) {
        if let Phase::Reading(read) = &self.phase {
            self.read_on(read.len(), cx);
        }
    }

    fn propose(&mut self, data: Vec<u8>, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        if let Phase::Running(running) = &mut self.phase {
            self.proposed += 1;
            let context = postcard::to_stdvec(&(cx.me(), self.proposed)).expect("a life serializes");
            let leads = running.raft.raft.state == raft::StateRole::Leader;
            if leads && running.raft.propose(context, data).is_ok() {
                self.proposals.insert(self.proposed, reply_to);
                return;
            }
        }
        cx.reply(reply_to, Proposed::NotLeader);
    }

    fn apply(&mut self, entries: Vec<raft::eraftpb::Entry>, cx: &mut Context<'_, Self>) {
        for entry in entries.into_iter().filter(|entry| !entry.data.is_empty()) {
            cx.publish(Applied { index: entry.index, data: entry.data.to_vec() });
            let proposal = postcard::from_bytes::<(Life, u64)>(&entry.context).ok();
            if let Some(reply_to) =
                proposal.filter(|(life, _)| *life == cx.me()).and_then(|(_, n)| self.proposals.remove(&n))
            {
                cx.reply(reply_to, Proposed::Applied);
            }
        }
    }
}

fn broken(error: raft::Error) -> Fault {
    Fault::Broken(error.to_string())
}

fn append(cx: &mut Context<'_, RaftLog>, records: &[Record]) -> Token {
    let mut bytes = Vec::new();
    for record in records {
        record.put(&mut bytes);
    }
    cx.disk(DiskOp::Append { name: LOG.into(), bytes: Bytes::from(bytes) })
}

fn send(peers: &BTreeMap<NodeId, Life>, messages: Vec<Message>, cx: &mut Context<'_, RaftLog>) {
    for message in messages {
        if let (Some(life), Some(wire)) = (peers.get(&NodeId(message.to)), WireMessage::of(&message)) {
            cx.send(To::Life(*life), if wire.carries_entries() { Lane::Data } else { Lane::Control }, &wire);
        }
    }
}

impl NetComponent for RaftLog {
    type Message = WireMessage;
    type Call = Propose;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest { role: Role::Protocol, ..Manifest::new("raft_spike") }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.boot = Some(boot.clone());
                self.read_on(0, cx);
            }
            Input::Disk { token, result } => self.disk_done(token, result, cx)?,
            Input::Timer(Timer::Tick) => {
                cx.set_timer(Timer::Tick, TICK);
                if let Phase::Running(running) = &mut self.phase {
                    running.raft.tick();
                }
            }
            Input::Message { from, head, .. } if head.from() == from.node.0 => {
                if let (Phase::Running(running), Some(message)) = (&mut self.phase, head.into_raft()) {
                    let _ = running.raft.step(message); // what does not fit is dropped, as raft asks
                }
            }
            Input::Call { call: Propose(data), reply_to } => self.propose(data, reply_to, cx),
            Input::Peer(PeerChange::Joined { life, role: PeerRole::Voter, .. }) => {
                self.peers.insert(life.node, *life);
                self.gather(cx)?;
            }
            Input::Peer(PeerChange::Ended { life, .. }) if self.peers.get(&life.node) == Some(life) => {
                self.peers.remove(&life.node);
            }
            _ => {}
        }
        if let Phase::Running(running) = &mut self.phase {
            let term = running.raft.raft.term;
            if running.drawn.0 != term {
                running.drawn = (term, cx.rng().usize(ELECTION_TICKS..2 * ELECTION_TICKS));
            }
            running.raft.raft.set_randomized_election_timeout(running.drawn.1);
        }
        Ok(())
    }

    /// All inputs of a run share one append and one sync: group commit.
    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        while let Phase::Running(running) = &mut self.phase {
            if !running.raft.has_ready() {
                break;
            }
            let mut ready = running.raft.ready();
            send(&self.peers, ready.take_messages(), cx);
            let mut records: Vec<Record> =
                ready.entries().iter().map(|entry| Record::Entry(WireEntry::of(entry))).collect();
            running.raft.mut_store().wl().append(ready.entries()).map_err(broken)?;
            if let Some(hard) = ready.hs() {
                running.raft.mut_store().wl().set_hardstate(hard.clone());
                records.push(Record::Hard(hard.term, hard.vote, hard.commit));
            }
            if !records.is_empty() {
                append(cx, &records);
            }
            let (number, messages, applied) =
                (ready.number(), ready.take_persisted_messages(), ready.take_committed_entries());
            let must_sync = ready.must_sync();
            running.raft.advance_append_async(ready);
            if must_sync {
                let sync = cx.disk(DiskOp::Sync { name: LOG.into() });
                running.writing.push_back(Writing { sync, ready: number, messages: Vec::new() });
            }
            match running.writing.back_mut().filter(|_| self.persist == Persist::BeforeAcknowledging) {
                Some(last) => {
                    last.ready = number;
                    last.messages.extend(messages);
                }
                None => {
                    running.raft.on_persist_ready(number);
                    send(&self.peers, messages, cx);
                }
            }
            running.raft.advance_apply();
            self.apply(applied, cx);
        }
        Ok(())
    }
}
