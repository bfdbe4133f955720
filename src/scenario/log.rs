//! The replicated log under all faults, disks among them.
//!
//! Users propose at all nodes, broadcast and read while the network parts, nodes
//! pause and crash, one, a majority, all, and disks tear, lose and refuse; now and
//! then a disk is wiped. In half of the worlds a node that nobody's list has joins
//! meanwhile, in some of these a second one; they crash as the others do. Then all
//! faults stop, and everything must come right.
//!
//! What is proposed is a *register*: a machine that appends each command to its
//! list. So a read shows all that was ever done, and in which order.

pub(super) mod judge;
mod register;

use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, Stack};
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use crate::protocol::replicated_log::{
    Answer, Call, Config, Level, Mutant, NAME, Proposed, ReplicatedLog, Status, VOTERS_MAX,
};
use crate::sim::check::Violation;
use crate::sim::{Counts, DiskKept, FaultClass, Faults, NodeIndex, Outcome, Setup, Spell, Ticket, World};
use crate::time::Time;
use bytes::Bytes;
use register::Register;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Log)]
}

struct Log;

const CRASHING: &[FaultClass] = &[FaultClass::Crash];

const GOALS: [Goal; 16] = [
    Goal { what: "log_leader", by: &[] },
    Goal { what: "acknowledged", by: &[] },
    Goal { what: "reads", by: &[] },
    Goal { what: "unknown outcomes", by: &[FaultClass::Crash, FaultClass::Partition] },
    Goal { what: "log_snapshot_installed", by: CRASHING },
    Goal { what: "log_torn_tail", by: CRASHING },
    Goal { what: "writes torn", by: CRASHING },
    Goal { what: "writes lost", by: CRASHING },
    Goal { what: "disk errors", by: CRASHING },
    Goal { what: "disks wiped", by: CRASHING },
    Goal { what: "members replaced", by: CRASHING },
    Goal { what: "joiners", by: &[] },
    Goal { what: "joiners vote", by: &[] },
    Goal { what: "joiners learn", by: &[] },
    Goal { what: "all crashed at once", by: CRASHING },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
];

const MUTANTS: [(Planted, Mutant); 7] = [
    (
        Planted {
            name: "sync-dropped",
            property: "terms only rise",
            about: "what rests on a sync leaves before it, also acknowledgements",
        },
        Mutant::SyncDropped,
    ),
    (
        Planted {
            name: "vote-not-persisted",
            property: "votes are kept",
            about: "a vote is not written, so that a new life votes once more",
        },
        Mutant::VoteNotPersisted,
    ),
    (
        Planted { name: "lease-read", property: "linearizability", about: "a leader reads without asking a majority" },
        Mutant::LeaseRead,
    ),
    (
        Planted {
            name: "applied-twice",
            property: "no duplication",
            about: "a proposal that comes again is done again",
        },
        Mutant::ApplyTwice,
    ),
    (
        Planted {
            name: "ack-before-majority",
            property: "durability",
            about: "a leader acknowledges what it alone has",
        },
        Mutant::AckBeforeMajority,
    ),
    (
        Planted {
            name: "snapshot-unsynced",
            property: "honest disks serve",
            about: "the log is truncated behind a snapshot that was not synced",
        },
        Mutant::SnapshotUnsynced,
    ),
    (
        Planted { name: "term-forgotten", property: "terms only rise", about: "a new life forgets term and vote" },
        Mutant::TermForgotten,
    ),
];

const PLANTED: [Planted; 7] =
    [MUTANTS[0].0, MUTANTS[1].0, MUTANTS[2].0, MUTANTS[3].0, MUTANTS[4].0, MUTANTS[5].0, MUTANTS[6].0];

/// Who joins.
const JOINERS: [&str; 2] = ["zeta", "eta"];

/// The channel of the register.
const CHANNEL: Kind = Kind::of("register");

/// A node with a log, settled for quick runs: small segments, many snapshots.
pub fn stack(mutant: Option<Mutant>) -> Stack {
    let config = move || {
        let base = Config { segment_bytes: 4096, snapshot_bytes: 2500, traced: true, mutant, ..Config::default() };
        base.machine(CHANNEL, || Box::new(Register::default()))
    };
    Stack { factories: vec![Factory::new(move || ReplicatedLog::new(config()))] }
}

/// What a user asked for, and what became of it.
pub(super) struct Operation {
    at: NodeIndex,
    ticket: Option<Ticket>,
    asked: Time,
    answered: Time,
    what: Asked,
}

pub(super) enum Asked {
    /// A command, by its number; known to be done, not done, or neither.
    Append(u64, Option<Result<u64, CallError>>),
    /// What the register held.
    Read(Option<Vec<u64>>),
}

impl Scenario for Log {
    fn name(&self) -> String {
        "log".to_string()
    }

    fn about(&self) -> &'static str {
        "what is acknowledged stands in one order on a majority's disks, and reads show it"
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        1..=5
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut run = Run::new(setup, chosen(&MUTANTS, planted));
        run.chaos();
        let settled = run.settle();
        let result = judge::judge(&run.world, &run.operations, &run.wiped).and(settled);
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    setup: &'a Setup,
    world: World,
    operations: Vec<Operation>,
    next: u64,
    counts: Counts,
    /// Nodes whose disk was wiped.
    wiped: Vec<NodeIndex>,
    /// A node that is being removed.
    leaving: Option<NodeIndex>,
    mutant: Option<Mutant>,
    /// Before which of the calls a node joins.
    joins: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, mutant: Option<Mutant>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(mutant));
        }
        let drawn = faults(setup, &mut drawn);
        world.run_for(millis(4000));
        world.set_faults(drawn);
        let mut joins = Vec::new();
        if world.rng().bool() {
            joins = (0..world.rng().usize(1..=2)).map(|_| world.rng().usize(0..=setup.calls)).collect();
        }
        let (counts, wiped, operations) = (Counts::new(), Vec::new(), Vec::new());
        Run { setup, world, operations, next: 1, counts, wiped, leaving: None, mutant, joins }
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(600)).as_nanos() as u64;
        let crashes = self.setup.faults.has(FaultClass::Crash);
        for call in 0..self.setup.calls {
            self.join(call);
            for _ in 0..self.world.rng().usize(1..=6) {
                let there = self.world.all().count();
                let at = NodeIndex(self.world.rng().usize(0..there));
                if self.world.rng().u32(0..4) == 0 { self.read(at) } else { self.append(at) }
            }
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.world.run_for(pause);
            self.collect();
            match self.world.rng().u32(0..24) {
                0 if crashes => chaos::crash_all(&mut self.world, &mut self.counts),
                1 if crashes => self.wipe(),
                2 if crashes => self.remove(),
                _ => {}
            }
            self.replace();
        }
        self.join(self.setup.calls);
        chaos::end(&mut self.world);
    }

    /// Nodes that are in nobody's list join.
    fn join(&mut self, call: usize) {
        for _ in self.joins.extract_if(.., |at| *at == call) {
            let name = JOINERS[self.world.all().count() - self.setup.nodes];
            self.world.add_joiner(name, stack(self.mutant));
            *self.counts.entry("joiners").or_insert(0) += 1;
        }
    }

    /// One node loses its disk: no more than one in a world, since a majority of
    /// the disks must keep what it synced.
    fn wipe(&mut self) {
        let there = self.world.all().count();
        let node = NodeIndex(self.world.rng().usize(0..there));
        if self.wiped.is_empty() && self.setup.nodes >= 3 {
            self.wiped.push(node);
            self.world.crash(node);
            self.world.restart_with(node, DiskKept::Nothing);
        }
    }

    /// One node is to leave the group; its disk will be wiped.
    fn remove(&mut self) {
        let there = self.world.all().count();
        let (leaving, by) = (self.world.rng().usize(0..there), self.world.rng().usize(0..there));
        if self.wiped.is_empty() && self.setup.nodes >= 3 {
            self.wiped.push(NodeIndex(leaving));
            self.leaving = Some(NodeIndex(leaving));
            let node = self.world.life(NodeIndex(leaving)).node;
            let call = Call::Remove { node, within: millis(3000) };
            self.world.call(NodeIndex(by), Kind::of(NAME), Box::new(call), millis(4000));
        }
    }

    /// A node that has left comes back with an empty disk.
    fn replace(&mut self) {
        let Some(leaving) = self.leaving else { return };
        let node = self.world.life(leaving).node;
        for other in self.world.all().filter(|other| *other != leaving) {
            if !self.world.is_up(other) {
                continue;
            }
            let status = self.world.ask::<Status>(other, Kind::of(NAME), Call::Status, millis(20));
            let members = status.iter().flat_map(|status| status.voters.iter().chain(&status.learners));
            // what a replica has applied is so, however long ago
            let (known, there) = members.fold((false, false), |(_, there), it| (true, there || it.node == node));
            if known && !there {
                self.leaving = None;
                self.counts.insert("members replaced", 1);
                self.world.crash(leaving);
                self.world.restart_with(leaving, DiskKept::Nothing);
                return;
            }
        }
    }

    fn append(&mut self, at: NodeIndex) {
        let number = self.next;
        self.next += 1;
        let length = if number.is_multiple_of(5) { 700 } else { 24 };
        let mut command = number.to_le_bytes().to_vec();
        command.resize(length, number as u8);
        let within = millis(3000);
        let call = Call::Propose { channel: CHANNEL, command: command.into(), key: None, within };
        self.ask(at, call, Asked::Append(number, None));
    }

    fn read(&mut self, at: NodeIndex) {
        let (level, within) = (Level::Linearizable, millis(3000));
        self.ask(at, Call::Query { channel: CHANNEL, query: Bytes::new(), level, within }, Asked::Read(None));
    }

    fn ask(&mut self, at: NodeIndex, call: Call, what: Asked) {
        let ticket = Some(self.world.call(at, Kind::of(NAME), Box::new(call), millis(4000)));
        let asked = self.world.now();
        self.operations.push(Operation { at, ticket, asked, answered: asked, what });
    }

    /// Takes the answers that are there.
    fn collect(&mut self) {
        let now = self.world.now();
        for operation in self.operations.iter_mut().filter(|operation| operation.ticket.is_some()) {
            let Some(ticket) = operation.ticket else { continue };
            let there = match &mut operation.what {
                Asked::Append(_, outcome) => {
                    let answer = self.world.answer::<Proposed>(ticket);
                    *outcome = answer.map(|answer| answer.and_then(|done| done).map(|done| done.index));
                    outcome.is_some()
                }
                Asked::Read(seen) => {
                    let answer = self.world.answer::<Answer>(ticket);
                    let there = answer.is_some();
                    *seen = answer.and_then(|it| it.and_then(|it| it).ok()).map(|it| register::numbers(&it.reply));
                    there
                }
            };
            if there {
                (operation.ticket, operation.answered) = (None, now);
            }
        }
    }

    /// After all faults have stopped, a leader is found, all take part, and what
    /// is asked is done.
    fn settle(&mut self) -> Result<(), Violation> {
        let nodes: Vec<NodeIndex> = self.world.all().collect();
        let mut whole = false;
        if self.leaving.is_some() {
            self.world.run_for(millis(3000)); // nobody asks for the removal any longer
        }
        for _ in 0..60 {
            self.world.run_for(millis(500));
            for node in &nodes {
                self.world.restart(*node, true); // nodes that gave up are started again
            }
            self.replace();
            whole = self.is_whole(&nodes);
            if whole {
                break;
            }
        }
        self.collect();
        if !whole {
            let told: Vec<String> = nodes.iter().map(|node| format!("{:?}", self.world.inspect(*node))).collect();
            let why = format!("after all faults stopped, the group is not whole: {told:#?}");
            return Err(Violation::new("termination", why));
        }
        for node in &nodes {
            self.append(*node);
            self.read(*node);
        }
        self.world.run_for(millis(3000));
        self.collect();
        for node in &nodes {
            self.read(*node);
        }
        self.world.run_for(millis(3000));
        self.collect();
        let last = self.operations.iter().rev().take(3 * nodes.len());
        for operation in last {
            match &operation.what {
                Asked::Append(_, Some(Ok(_))) | Asked::Read(Some(_)) => {}
                Asked::Append(number, outcome) => {
                    return Err(Violation::new("termination", format!("{number} at {:?}: {outcome:?}", operation.at)));
                }
                Asked::Read(None) => {
                    return Err(Violation::new("termination", format!("a read at {:?} is not answered", operation.at)));
                }
            }
        }
        let count = |wanted: fn(&Asked) -> bool| self.operations.iter().filter(|it| wanted(&it.what)).count() as u64;
        self.counts.insert("acknowledged", count(|it| matches!(it, Asked::Append(_, Some(Ok(_))))));
        self.counts.insert("reads", count(|it| matches!(it, Asked::Read(Some(_)))));
        let unknown = |it: &Asked| matches!(it, Asked::Append(_, None | Some(Err(_))));
        self.counts.insert("unknown outcomes", count(unknown));
        Ok(())
    }

    /// Whether all nodes vote, as many as may, the others learn, and all have
    /// applied the same.
    fn is_whole(&mut self, nodes: &[NodeIndex]) -> bool {
        let mut seen = Vec::new();
        let voters = nodes.len().min(VOTERS_MAX);
        for node in nodes {
            if !self.world.is_up(*node) {
                return false;
            }
            match self.world.ask::<Status>(*node, Kind::of(NAME), Call::Status, millis(100)) {
                Ok(status) if status.voters.len() == voters && status.leader.is_some() => seen.push(status),
                _ => return false,
            }
        }
        let joined: Vec<NodeId> = nodes[self.setup.nodes..].iter().map(|node| self.world.life(*node).node).collect();
        let vote = joined.iter().filter(|node| seen[0].voters.iter().any(|it| it.node == **node)).count();
        self.counts.insert("joiners vote", vote as u64);
        self.counts.insert("joiners learn", (joined.len() - vote) as u64);
        seen.iter().all(|status| {
            let all = status.voters.len() + status.learners.len() == nodes.len();
            all && (status.applied, status.hash) == (seen[0].applied, seen[0].hash)
        })
    }
}

/// Crashes of as many nodes as there are: disks keep what they synced, and that
/// is all that the log rests on.
pub(super) fn faults(setup: &Setup, rng: &mut fastrand::Rng) -> Faults {
    let drawn = setup.draw(rng, setup.nodes);
    let faults = match rng.u32(0..3) {
        0 => Faults {
            crashes: Some(Spell { every: millis(rng.u64(300..1500)), lasting: millis(300) }),
            crashes_between_effects: true,
            down_max: setup.nodes,
            ..drawn
        },
        _ => drawn,
    };
    setup.faults.allow(faults)
}
