//! The component: inputs come in here, and each goes to the file that knows.

use super::asked::Broadcasts;
use super::boot::Loader;
use super::config::{Config, Mutant};
use super::elsewhere::Job;
use super::event::Unusable;
use super::members::Hello;
use super::message::{Call, Message};
use super::proposals::Proposals;
use super::replica::Replica;
use super::wire::WireMessage;
use super::wishes::Asked;
use crate::component::{Boot, Context, Input, Inspection, Manifest, NetComponent, Role, Run, Token};
use crate::error::Fault;
use crate::id::{Kind, Life, NodeId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The component's name.
pub const NAME: &str = "replicated_log";
/// Version of the messages.
pub(super) const VERSION: u8 = 1;
/// Why a replica that was removed does not serve.
pub(super) const REMOVED: &str = "it was removed from the group: empty its directory, and it asks to be taken in again";

/// The component's timers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Timer {
    /// The engine's unit of time is over.
    Tick,
    /// A batch has waited for others.
    Gather,
}

/// See [the module](super).
pub struct ReplicatedLog {
    pub(super) config: Config,
    pub(super) boot: Option<Boot>,
    /// The lives of linked voters and joiners.
    pub(super) peers: BTreeMap<NodeId, Life>,
    /// Those that were linked and are in the configured list: only they found a group.
    pub(super) configured: BTreeSet<NodeId>,
    pub(super) hellos: BTreeMap<NodeId, Hello>,
    /// The lives that run replicas, by what they said of themselves.
    pub(super) lives: BTreeMap<u64, Life>,
    pub(super) phase: Phase,
    pub(super) proposals: Proposals,
    pub(super) broadcasts: BTreeMap<Kind, Broadcasts>,
    pub(super) wishes: Vec<Asked>,
    /// Messages of the engine that leave at the end of the flush.
    pub(super) outgoing: Vec<WireMessage>,
    pub(super) unhandled: u64,
    pub(super) ticks: u64,
    pub(super) junk: u64,
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

impl ReplicatedLog {
    /// A replica with this configuration.
    pub fn new(config: Config) -> Self {
        ReplicatedLog {
            config,
            boot: None,
            peers: BTreeMap::new(),
            configured: BTreeSet::new(),
            hellos: BTreeMap::new(),
            lives: BTreeMap::new(),
            phase: Phase::Idle,
            proposals: Proposals::default(),
            broadcasts: BTreeMap::new(),
            wishes: Vec::new(),
            outgoing: Vec::new(),
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
}

impl NetComponent for ReplicatedLog {
    type Message = Message;
    type Call = Call;
    type Timer = Timer;
    type Job = Job;
    type Done = Bytes;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec!["replicated_log", "delivery.total"],
            run: Run::InPlace,
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
                cx.set_timer(Timer::Tick, self.config.tick);
            }
            Input::Disk { token, result } => self.disk(token, result, cx)?,
            Input::Message { from, head, body } => self.message(from, head.0, body, cx)?,
            Input::Done { token, done } => self.worked(token, done, cx)?,
            Input::Stream { id, input } => self.stream(id, input, cx)?,
            Input::Call { call, reply_to } => self.call(call, reply_to, cx),
            Input::Request { from, target, batch } => self.request(from, target, batch, cx),
            Input::Consumed { bytes, .. } => self.unhandled = self.unhandled.saturating_sub(bytes),
            Input::Peer(change) => self.peer(change, cx),
            Input::Timer(Timer::Tick) => self.tick(cx),
            Input::Timer(Timer::Gather) => {
                if let Some(replica) = self.running() {
                    replica.gathered.waited();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn run(Job(work): Job) -> Bytes {
        work()
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
                into.row("reads waiting, on the pool", format!("{}, {}", replica.reads.len(), replica.elsewhere.len()));
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
