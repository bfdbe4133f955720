//! Election of a leader under all faults, in textbook and in safe mode.
//!
//! While the network parts, nodes pause and crash, and loads change, whoever leads
//! commands the others, and each receiver has a fence. Then all faults stop: within
//! three timeouts one leader is known to all. It is killed, and again one is found;
//! it comes back, and nothing changes.

mod commander;
mod judge;

use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario};
use crate::component::{Factory, LoadSample, Stack};
use crate::id::Kind;
use crate::protocol::election::{By, Call, Config, Election, LeaderElected, Mode, Mutant, NAME, Status};
use crate::protocol::failure_detector::{self as detector, Detector};
use crate::sim::check::Violation;
use crate::sim::{Counts, FaultClass, NodeIndex, Outcome, Setup, World};
use commander::Commander;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Each mode by itself, and both in turn.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let mut modes = vec![Some(Mode::Textbook)];
    if cfg!(feature = "replicated_log") {
        modes.extend([Some(Mode::Safe), None]);
    }
    modes.into_iter().map(|mode| Box::new(Elections { mode }) as Box<dyn Scenario>).collect()
}

struct Elections {
    /// None for one after the other, as the seed has it.
    mode: Option<Mode>,
}

/// As by default: a crash is suspected in about as long.
const TIMEOUT: Duration = Duration::from_secs(2);

const GOALS: [Goal; 7] = [
    Goal { what: "leader_elected", by: &[] },
    Goal { what: "leaders killed in calm", by: &[] },
    Goal { what: "command_obeyed", by: &[] },
    Goal { what: "leader_lost", by: &[] },
    Goal { what: "command_refused", by: &[FaultClass::Partition, FaultClass::Pause] },
    Goal { what: "crashes", by: &[FaultClass::Crash] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
];

/// A bug of the election, or of those whom the leader commands.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Bug {
    Of(Mutant),
    NoFence,
}

const EPOCH_REUSED: Planted = Planted {
    name: "epoch-reused",
    property: "one leader an epoch",
    about: "a winner leads in the number of the last epoch",
};
const OLD_ACCEPTED: Planted = Planted {
    name: "old-coordinator-accepted",
    property: "lower epochs refused",
    about: "a Coordinator of an earlier epoch is believed",
};
const NO_FENCE: Planted =
    Planted { name: "no-fence", property: "lower epochs refused", about: "commands are obeyed whatever their epoch" };
const NOT_FROZEN: Planted = Planted {
    name: "score-not-frozen",
    property: "one rank an election",
    about: "a node's rank in an election is that of the moment",
};
const NOT_PERSISTED: Planted =
    Planted { name: "epoch-not-persisted", property: "epochs only rise", about: "a new life forgets the last epoch" };

const MUTANTS: [(Planted, Bug); 5] = [
    (EPOCH_REUSED, Bug::Of(Mutant::EpochReused)),
    (OLD_ACCEPTED, Bug::Of(Mutant::OldCoordinatorAccepted)),
    (NO_FENCE, Bug::NoFence),
    (NOT_FROZEN, Bug::Of(Mutant::ScoreNotFrozen)),
    (NOT_PERSISTED, Bug::Of(Mutant::EpochNotPersisted)),
];

fn stack(config: Config, bug: Option<Bug>) -> Stack {
    let mutant = if let Some(Bug::Of(mutant)) = bug { Some(mutant) } else { None };
    let config = Config { traced: true, mutant, ..config };
    let fenced = bug != Some(Bug::NoFence);
    let mut factories = vec![Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200))))];
    if config.mode == Mode::Safe {
        factories.extend(map());
    }
    factories.push(Factory::new(move || Election::new(config)));
    factories.push(Factory::new(move || Commander::new(fenced)));
    Stack { factories }
}

#[cfg(feature = "replicated_log")]
fn map() -> Vec<Factory> {
    use crate::protocol::replicated_log::{self as log, ReplicatedLog};
    use crate::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
    let config = || {
        let small = log::Config { segment_bytes: 4096, snapshot_bytes: 2500, ..log::Config::default() };
        small.machine(CHANNEL, || Box::new(Table::default()))
    };
    vec![Factory::new(move || ReplicatedLog::new(config())), Factory::new(ReplicatedMap::default)]
}

#[cfg(not(feature = "replicated_log"))]
fn map() -> Vec<Factory> {
    Vec::new()
}

impl Scenario for Elections {
    fn name(&self) -> String {
        match self.mode {
            None => "election",
            Some(Mode::Textbook) => "election.textbook",
            Some(Mode::Safe) => "election.safe",
        }
        .to_string()
    }

    fn about(&self) -> &'static str {
        "never two leaders in one epoch, and in calm one that is up and known to all within three timeouts"
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        3..=5
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        match self.mode {
            // there the epoch is an index of the log, which keeps it
            Some(Mode::Safe) => &[EPOCH_REUSED, OLD_ACCEPTED, NO_FENCE, NOT_FROZEN],
            _ => &[EPOCH_REUSED, OLD_ACCEPTED, NO_FENCE, NOT_FROZEN, NOT_PERSISTED],
        }
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let alternate = if setup.seed.is_multiple_of(2) { Mode::Textbook } else { Mode::Safe };
        let mode = self.mode.unwrap_or(alternate);
        let mut run = Run::new(setup, mode, chosen(&MUTANTS, planted));
        run.chaos();
        let settled = run.settle();
        let result = judge::judge(&run.world, mode).and(settled).and_then(|()| no_fault(&run.world));
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

/// No component stopped, but a log whose disk failed.
fn no_fault(world: &World) -> Result<(), Violation> {
    let mut faults = world.all().flat_map(|node| world.component_faults(node));
    match faults.find(|(_, fault)| !fault.to_string().contains("the log's disk failed")) {
        Some((life, fault)) => Err(Violation::new("no fault", format!("{life}: {fault}"))),
        None => Ok(()),
    }
}

struct Run<'a> {
    setup: &'a Setup,
    #[cfg(feature = "replicated_log")]
    mode: Mode,
    world: World,
    counts: Counts,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, mode: Mode, bug: Option<Bug>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        let by = if drawn.u32(0..3) == 0 { By::Id } else { By::Load };
        let pre_emption = drawn.u32(0..4) == 0;
        let config = Config {
            by,
            mode,
            timeout: TIMEOUT,
            pre_emption,
            // short, so that a run sees it
            tenure: millis(3000),
            sustained: millis(1500),
            ..Config::default()
        };
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(config, bug));
        }
        let mut run = Run {
            setup,
            #[cfg(feature = "replicated_log")]
            mode,
            world,
            counts: Counts::new(),
        };
        run.world.all().for_each(|node| run.load(node));
        run.world.run_for(millis(drawn.u64(0..6000)));
        let faults = setup.draw(&mut drawn, setup.nodes);
        run.world.set_faults(faults);
        run
    }

    /// Another load, now and then one that is none.
    fn load(&mut self, node: NodeIndex) {
        let rng = self.world.rng();
        let mut percent = || if rng.u32(0..40) == 0 { f64::NAN } else { rng.f64() * 100.0 };
        let sample = LoadSample { cpu_percent: percent(), memory_percent: percent() };
        self.world.set_load(node, sample);
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(2000)).as_nanos() as u64;
        for _ in 0..self.setup.calls {
            let node = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
            self.load(node);
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.world.run_for(pause);
        }
    }

    /// After all faults have stopped one leads, and again after it fell.
    fn settle(&mut self) -> Result<(), Violation> {
        self.world.heal();
        for node in self.world.all() {
            self.world.set_load(node, LoadSample { cpu_percent: 10.0 * node.0 as f64, memory_percent: 20.0 });
            self.world.restart(node, true);
        }
        self.log_has_a_leader()?;
        let first = self.one_leads("after all faults stopped")?;
        let place = self.place(&first);
        self.world.crash(place);
        self.log_has_a_leader()?;
        *self.counts.entry("leaders killed in calm").or_insert(0) += 1;
        let second = self.one_leads("after the leader fell")?;
        if second.epoch <= first.epoch {
            return Err(Violation::new("epochs only rise", format!("{second:?} after {first:?}")));
        }
        self.world.restart(place, true);
        self.world.run_for(TIMEOUT / 2);
        self.one_leads("after the former leader came back").map(drop)
    }

    fn place(&self, elected: &LeaderElected) -> NodeIndex {
        let of = |node: &NodeIndex| self.world.life(*node).node == elected.leader.node;
        self.world.all().find(of).unwrap_or(NodeIndex(0))
    }

    /// The log that safe mode stands on has its own bound on this.
    fn log_has_a_leader(&mut self) -> Result<(), Violation> {
        #[cfg(feature = "replicated_log")]
        if self.mode == Mode::Safe {
            use crate::protocol::replicated_log as log;
            for _ in 0..300 {
                self.world.run_for(millis(100));
                let mut leaders = Vec::new();
                for node in self.up() {
                    let status: Result<log::Status, _> =
                        self.world.ask(node, Kind::of(log::NAME), log::Call::Status, millis(100));
                    leaders.push(status.ok().and_then(|status| status.leader));
                }
                let up: Vec<_> = self.up().into_iter().map(|node| self.world.life(node).node).collect();
                if leaders[0].is_some_and(|leader| up.contains(&leader)) && leaders.iter().all(|it| *it == leaders[0]) {
                    return Ok(());
                }
            }
            return Err(Violation::new("termination", "the log has no leader"));
        }
        Ok(())
    }

    fn up(&self) -> Vec<NodeIndex> {
        self.world.all().filter(|node| self.world.is_up(*node)).collect()
    }

    /// One leader, up and known to all that are, within three timeouts.
    fn one_leads(&mut self, when: &str) -> Result<LeaderElected, Violation> {
        let end = self.world.now() + 3 * TIMEOUT;
        loop {
            let known = self.known();
            if let Some(leader) = self.agreed(&known) {
                return Ok(leader);
            }
            if self.world.now() >= end {
                let why = format!("{when}, within three timeouts: {known:#?}");
                return Err(Violation::new("one leader in calm", why));
            }
            self.world.run_for(millis(50));
        }
    }

    fn known(&mut self) -> Vec<(NodeIndex, Option<Status>)> {
        let mut known = Vec::new();
        for node in self.up() {
            known.push((node, self.world.ask(node, Kind::of(NAME), Call::Status, millis(20)).ok()));
        }
        known
    }

    fn agreed(&self, known: &[(NodeIndex, Option<Status>)]) -> Option<LeaderElected> {
        let leader = known.first()?.1?.leader?;
        let same = known.iter().all(|(_, status)| status.is_some_and(|it| it.leader == Some(leader)));
        let leading: Vec<_> =
            known.iter().filter(|(_, it)| it.is_some_and(|it| it.leads)).map(|(node, _)| *node).collect();
        (same && leading.len() == 1 && self.world.life(leading[0]) == leader.leader).then_some(leader)
    }
}
