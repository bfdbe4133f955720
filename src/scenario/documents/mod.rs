//! The document store under all faults: users write, read, page, watch and ask again
//! at all nodes, while networks part, nodes crash and disks tear. Then all faults
//! stop, and everything must come right.
//!
//! | file | what |
//! |---|---|
//! | `users` | what they ask, and what they were told |
//! | `watcher` | one who watches, and what the collection was at each index by that |
//! | `judge` | what must hold |

mod judge;
mod users;
mod watcher;

use super::log::faults;
use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, Stack};
use crate::id::Kind;
use crate::protocol::replicated_log::{self as log, Config, ReplicatedLog, Status};
use crate::service::documents::{CHANNEL, DocumentStore, IndexSpec, Limits, Mutant, Store};
use crate::sim::check::Violation;
use crate::sim::{Counts, DiskKept, FaultClass, NodeIndex, Outcome, Setup, World};
use std::ops::RangeInclusive;
use std::time::Duration;
use users::Users;
use watcher::Watcher;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Documents)]
}

struct Documents;

const CRASHING: &[FaultClass] = &[FaultClass::Crash];

const GOALS: [Goal; 15] = [
    Goal { what: "log_leader", by: &[] },
    Goal { what: "writes done", by: &[] },
    Goal { what: "writes refused", by: &[] },
    Goal { what: "writes unknown", by: &[FaultClass::Crash, FaultClass::Partition] },
    Goal { what: "asked again by key", by: &[] },
    Goal { what: "reads", by: &[] },
    Goal { what: "session reads", by: &[] },
    Goal { what: "reads by index", by: &[] },
    Goal { what: "further pages", by: &[] },
    Goal { what: "cursors expired", by: &[] },
    Goal { what: "changes watched", by: &[] },
    Goal { what: "histories gone", by: &[] },
    Goal { what: "log_snapshot_installed", by: CRASHING },
    Goal { what: "log_torn_tail", by: CRASHING },
    Goal { what: "all crashed at once", by: CRASHING },
];

/// A bug in the store (on all nodes, or on the first one alone), or under it.
#[derive(Clone, Copy)]
pub(super) enum Bug {
    Store(Mutant),
    OfOne(Mutant),
    Log(log::Mutant),
}

const MUTANTS: [(Planted, Bug); 10] = [
    (
        Planted {
            name: "read-without-quorum",
            property: "linearizability",
            about: "a read is answered from whatever its node has",
        },
        Bug::Store(Mutant::ReadStale),
    ),
    (
        Planted { name: "lease-read", property: "linearizability", about: "a leader reads without asking a majority" },
        Bug::Log(log::Mutant::LeaseRead),
    ),
    (
        Planted { name: "applied-twice", property: "exactly once", about: "a write that comes again is done again" },
        Bug::Log(log::Mutant::ApplyTwice),
    ),
    (
        Planted {
            name: "index-not-updated",
            property: "index and scan agree",
            about: "an index is not kept up when a document is patched",
        },
        Bug::Store(Mutant::IndexStale),
    ),
    (
        Planted { name: "watch-late", property: "watch without gap", about: "a watch resumes one index late" },
        Bug::Store(Mutant::WatchLate),
    ),
    (
        Planted { name: "unique-blind", property: "one holder", about: "a unique index keeps nothing out" },
        Bug::Store(Mutant::UniqueBlind),
    ),
    (
        Planted { name: "half-a-batch", property: "atomicity", about: "a batch that is refused is not taken back" },
        Bug::Store(Mutant::HalfBatch),
    ),
    (
        Planted {
            name: "cursor-unpinned",
            property: "pages show one state",
            about: "later pages show the state as it is by then",
        },
        Bug::Store(Mutant::CursorUnpinned),
    ),
    (
        Planted { name: "one-replica-differs", property: "log agreement", about: "one node takes no batch back" },
        Bug::OfOne(Mutant::HalfBatch),
    ),
    (
        Planted {
            name: "snapshot-unsynced",
            property: "honest disks serve",
            about: "the log is truncated behind a snapshot that was not synced",
        },
        Bug::Log(log::Mutant::SnapshotUnsynced),
    ),
];

const PLANTED: [Planted; 10] = [
    MUTANTS[0].0,
    MUTANTS[1].0,
    MUTANTS[2].0,
    MUTANTS[3].0,
    MUTANTS[4].0,
    MUTANTS[5].0,
    MUTANTS[6].0,
    MUTANTS[7].0,
    MUTANTS[8].0,
    MUTANTS[9].0,
];

/// A node with a store, settled for quick runs.
fn stack(bug: Option<Bug>, first: bool, history_max: usize) -> Stack {
    let (store, log) = match bug {
        Some(Bug::Store(mutant)) => (Some(mutant), None),
        Some(Bug::OfOne(mutant)) => (first.then_some(mutant), None),
        Some(Bug::Log(mutant)) => (None, Some(mutant)),
        None => (None, None),
    };
    let limits =
        Limits { history_max, build_step: 3, examined_in_place: 4, pins_max: 3, mutant: store, ..Limits::default() };
    let config = move || {
        let small =
            Config { segment_bytes: 16384, snapshot_bytes: 8000, traced: true, mutant: log, ..Config::default() };
        small.machine(CHANNEL, move || Box::new(Store::new(limits)))
    };
    let names = users::COLLECTIONS.map(str::to_string).to_vec();
    let service = Factory::new(move || DocumentStore::new(names.clone()).planted(store));
    Stack { factories: vec![Factory::new(move || ReplicatedLog::new(config())), service] }
}

impl Scenario for Documents {
    fn name(&self) -> String {
        "documents".to_string()
    }

    fn about(&self) -> &'static str {
        "documents are written once, read as they are, paged as they were, watched without a gap"
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
        let watched = run.watcher.last_known(&run.users);
        let result = judge::judge(&run.world, &run.users, &run.watcher, &run.wiped).and(settled).and(watched);
        run.count();
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    setup: &'a Setup,
    world: World,
    users: Users,
    watcher: Watcher,
    counts: Counts,
    wiped: Vec<NodeIndex>,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, bug: Option<Bug>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        let history_max = if world.rng().bool() { 8 } else { 4096 };
        for (at, name) in NAMES[..setup.nodes].iter().enumerate() {
            world.add_node(name, stack(bug, at == 0, history_max));
        }
        let drawn = faults(setup, &mut drawn);
        world.run_for(millis(4000));
        let mut users = Users::new(setup.nodes);
        users.open(&mut world);
        world.set_faults(drawn);
        Run { setup, world, users, watcher: Watcher::default(), counts: Counts::new(), wiped: Vec::new() }
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(600)).as_nanos() as u64;
        let crashes = self.setup.faults.has(FaultClass::Crash);
        for call in 0..self.setup.calls {
            for _ in 0..self.world.rng().usize(1..=6) {
                self.users.ask_something(&mut self.world);
            }
            if call == self.setup.calls / 3 {
                self.users.create_index(&mut self.world, "docs", IndexSpec::over(["tag"]));
            }
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.run_for(pause);
            match self.world.rng().u32(0..30) {
                0 if crashes => chaos::crash_all(&mut self.world, &mut self.counts),
                1 if crashes => self.wipe(),
                _ => {}
            }
        }
        chaos::end(&mut self.world);
    }

    fn run_for(&mut self, time: Duration) {
        chaos::run_sliced(&mut self.world, time, millis(40), |world| {
            self.users.collect(world);
            self.watcher.go_on(world);
        });
    }

    /// One disk a world: a majority keeps what it synced.
    fn wipe(&mut self) {
        let node = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
        if self.wiped.is_empty() && self.setup.nodes >= 3 {
            self.wiped.push(node);
            self.world.crash(node);
            self.world.restart_with(node, DiskKept::Nothing);
        }
    }

    /// After all faults have stopped all take part, and what is asked is done.
    fn settle(&mut self) -> Result<(), Violation> {
        let nodes: Vec<NodeIndex> = self.world.all().collect();
        let mut whole = false;
        for _ in 0..60 {
            self.run_for(millis(500));
            for node in &nodes {
                self.world.restart(*node, true); // nodes that gave up are started again
            }
            whole = self.is_whole(&nodes);
            if whole {
                break;
            }
        }
        self.run_for(millis(4000)); // what is open comes to its end
        if !whole {
            let told: Vec<String> = nodes.iter().map(|node| format!("{:?}", self.world.inspect(*node))).collect();
            let why = format!("after all faults stopped, the group is not whole: {told:#?}");
            return Err(Violation::new("termination", why));
        }
        for node in &nodes {
            self.users.ask_all(&mut self.world, *node);
            self.run_for(millis(2000));
            if self.users.is_waiting() {
                return Err(Violation::new("termination", format!("{node:?} answers no more")));
            }
        }
        self.run_for(millis(2000));
        Ok(())
    }

    fn is_whole(&mut self, nodes: &[NodeIndex]) -> bool {
        let mut seen = Vec::new();
        for node in nodes {
            if !self.world.is_up(*node) {
                return false;
            }
            match self.world.ask::<Status>(*node, Kind::of(log::NAME), log::Call::Status, millis(100)) {
                Ok(status) if status.voters.len() == nodes.len() && status.leader.is_some() => seen.push(status),
                _ => return false,
            }
        }
        seen.iter().all(|status| (status.applied, status.hash) == (seen[0].applied, seen[0].hash))
    }

    fn count(&mut self) {
        self.users.count(&mut self.counts);
        self.counts.insert("changes watched", self.watcher.told);
        self.counts.insert("histories gone", self.watcher.gone);
    }
}
