//! The ring's file store under all faults: users push, read, delete, bring back and
//! list at all nodes, while networks part, nodes crash, disks tear, fill, and rot.
//! Then all faults stop, and everything must come right.
//!
//! | file | what |
//! |---|---|
//! | `users` | what they ask, and what they were told |
//! | `judge` | what must hold |
//!
//! A disk rots on one node of a world at the most, and one is lost at the most, and
//! both only where there are three copies: so there is a copy that is right.

mod judge;
mod users;

use super::log::faults;
use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, Stack};
use crate::id::Kind;
use crate::protocol::failure_detector::{self as detector, Detector};
use crate::protocol::replicated_log::{Config as LogConfig, ReplicatedLog};
use crate::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
use crate::service::ring::holder::{self, Holder};
use crate::service::ring::member::{Config, Mutant, Ring};
use crate::sim::check::Violation;
use crate::sim::{Counts, DiskKept, FaultClass, NodeIndex, Outcome, Setup, World};
use std::ops::RangeInclusive;
use std::time::Duration;
use users::Users;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(OfFiles)]
}

struct OfFiles;

const CRASHING: &[FaultClass] = &[FaultClass::Crash];

const GOALS: [Goal; 11] = [
    Goal { what: "log_leader", by: &[] },
    Goal { what: "pushes acknowledged", by: &[] },
    Goal { what: "pushes refused", by: &[FaultClass::Crash, FaultClass::Partition] },
    Goal { what: "pushes unknown", by: CRASHING },
    Goal { what: "reads", by: &[] },
    Goal { what: "deletions", by: &[] },
    Goal { what: "brought back", by: &[] },
    Goal { what: "files moved", by: &[] },
    Goal { what: "parts rotted", by: &[] },
    Goal { what: "disks lost", by: CRASHING },
    Goal { what: "all crashed at once", by: CRASHING },
];

/// A bug in the member, or in its holder.
#[derive(Clone, Copy)]
pub(super) enum Bug {
    Member(Mutant),
    Holder(holder::Mutant),
}

const MUTANTS: [(Planted, Bug); 2] = [
    (
        Planted {
            name: "todays-ring",
            property: judge::READABLE,
            about: "who holds a part is computed from today's ring, not from the file's own",
        },
        Bug::Member(Mutant::TodaysRing),
    ),
    (
        Planted {
            name: "ack-before-sync",
            property: judge::NOTHING_STAGED,
            about: "a holder acknowledges a part before it is synced",
        },
        Bug::Holder(holder::Mutant::AckBeforeSync),
    ),
];

const PLANTED: [Planted; 2] = [MUTANTS[0].0, MUTANTS[1].0];

/// A node of the ring, settled for quick runs.
fn stack(bug: Option<Bug>, copies: u8, undo: Duration) -> Stack {
    let (member, holder) = match bug {
        Some(Bug::Member(mutant)) => (Some(mutant), None),
        Some(Bug::Holder(mutant)) => (None, Some(mutant)),
        None => (None, None),
    };
    let log = || {
        let small = LogConfig { segment_bytes: 16384, snapshot_bytes: 20_000, ..LogConfig::default() };
        ReplicatedLog::new(small.machine(CHANNEL, || Box::new(Table::default())))
    };
    let config = Config { copies, undo, mutant: member, ..Config::default() };
    let detector = detector::Config::phi(8.0, millis(200));
    Stack {
        factories: vec![
            Factory::new(move || Detector::new(detector)),
            Factory::new(log),
            Factory::new(ReplicatedMap::default),
            Factory::new(move || Holder::planted(holder)),
            Factory::new(move || Ring::new(config.clone())),
        ],
    }
}

impl Scenario for OfFiles {
    fn name(&self) -> String {
        "ring".to_string()
    }

    fn about(&self) -> &'static str {
        "acknowledged files are there, bit for bit; others are whole or absent; copies are repaired"
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        3..=5
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut run = Run::new(setup, chosen(&MUTANTS, planted));
        run.chaos();
        let result = run.settle().and_then(|()| judge::judge(&mut run));
        run.users.count(&mut run.counts);
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

pub(super) struct Run<'a> {
    setup: &'a Setup,
    world: World,
    users: Users,
    counts: Counts,
    copies: u8,
    /// The node whose disk rots.
    rots: NodeIndex,
    lost: Option<NodeIndex>,
    rotted: u64,
    /// One that is in the ring only later.
    late: Option<NodeIndex>,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, bug: Option<Bug>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        let copies = world.rng().u8(2..=3);
        let undo = [millis(3000), millis(600_000)][world.rng().usize(0..2)];
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(bug, copies, undo));
        }
        let drawn = faults(setup, &mut drawn);
        let rots = NodeIndex(world.rng().usize(0..setup.nodes));
        // one of five may come when files are there: its place is in mid-ring
        let late = (setup.nodes > 3 && world.rng().bool()).then(|| NodeIndex(world.rng().usize(0..setup.nodes)));
        if let Some(late) = late {
            world.crash(late);
        }
        world.run_for(millis(4000));
        let mut users = Users::new(setup.nodes);
        users.forgets = undo < millis(60_000);
        users.first(&mut world, late);
        world.set_faults(drawn);
        Run { setup, world, users, counts: Counts::new(), copies, rots, lost: None, rotted: 0, late }
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(700)).as_nanos() as u64;
        let crashes = self.setup.faults.has(FaultClass::Crash);
        for call in 0..self.setup.calls {
            if call == 2
                && let Some(late) = self.late.take()
            {
                self.world.restart(late, true);
            }
            for _ in 0..self.world.rng().usize(1..=3) {
                self.users.ask_something(&mut self.world);
            }
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.run_for(pause);
            match self.world.rng().u32(0..30) {
                0 if crashes => chaos::crash_all(&mut self.world, &mut self.counts),
                1 if crashes => self.lose_disk(),
                2..=4 => self.rot(),
                _ => {}
            }
        }
        chaos::end(&mut self.world);
    }

    fn run_for(&mut self, time: Duration) {
        chaos::run_sliced(&mut self.world, time, millis(50), |world| self.users.collect(world));
    }

    fn lose_disk(&mut self) {
        let node = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
        let bears = self.copies > 2 && node != self.rots || self.rotted == 0;
        if self.lost.is_none() && bears {
            self.lost = Some(node);
            self.world.crash(node);
            self.world.restart_with(node, DiskKept::Nothing);
            self.counts.insert("disks lost", 1);
        }
    }

    /// A byte of a part is another one from now on.
    fn rot(&mut self) {
        if self.lost.is_some() && self.copies < 3 || self.lost == Some(self.rots) {
            return;
        }
        let nth = self.world.rng().usize(0..64);
        let damage = holder::Call::Rot(nth);
        let rotted: Result<bool, _> = self.world.ask(self.rots, Kind::of(holder::NAME), damage, millis(200));
        self.rotted += u64::from(rotted == Ok(true));
        self.counts.insert("parts rotted", self.rotted);
    }

    /// After all faults have stopped what is asked is done.
    fn settle(&mut self) -> Result<(), Violation> {
        let nodes: Vec<NodeIndex> = self.world.all().collect();
        for _ in 0..20 {
            self.run_for(millis(1000));
            for node in &nodes {
                self.world.restart(*node, true); // nodes that gave up are started again
            }
        }
        judge::talk(&mut self.world, nodes[0], "NODE REBALANCE 50000000\n")?;
        self.run_for(millis(45_000)); // what nobody goes on with is given up
        // nothing is to move while it is judged
        let told = judge::talk(&mut self.world, nodes[0], "NODE REBALANCE stop\n")?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let moved = told.split(' ').find_map(|word| word.strip_prefix("moved=")?.parse().ok());
        self.counts.insert("files moved", moved.unwrap_or(0));
        self.run_for(millis(3000));
        Ok(())
    }
}
