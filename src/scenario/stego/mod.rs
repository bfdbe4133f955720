//! The steganography service under all faults: clients have payloads embedded, look
//! at what comes back and acknowledge it, while networks part, servers pause, crash
//! and come back, the leader and the assigned one together. Then all faults stop, one
//! server stays down for good, and every task must come right.
//!
//! | file | what |
//! |---|---|
//! | `clients` | what clients do: the shipped [errand](crate::service::stego::service::errand), and what they were told |
//! | `judge` | what must hold |

mod clients;
mod judge;

use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, LoadSample, Stack};
use crate::protocol::election::{self, By, Election, Mode};
use crate::protocol::failure_detector::{self as detector, Detector};
use crate::protocol::replicated_log::{self as log, ReplicatedLog};
use crate::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
use crate::service::stego::service::{Config, Mutant, factory};
use crate::sim::check::Violation;
use crate::sim::{Counts, FaultClass, NodeIndex, Outcome, Setup, Spell, World};
use clients::Clients;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Stego)]
}

struct Stego;

/// In calm every task is done within this, and what nobody wants has left the history
/// a while after [`KEEP`].
const CALM_WITHIN: Duration = Duration::from_secs(25);
const KEEP: Duration = Duration::from_secs(35);

const CRASHING: &[FaultClass] = &[FaultClass::Crash];

const GOALS: [Goal; 11] = [
    Goal { what: "leader_elected", by: &[] },
    Goal { what: "task_assigned", by: &[] },
    Goal { what: "task_recorded", by: &[] },
    Goal { what: "tasks done", by: &[] },
    Goal { what: "tasks that do not fit", by: &[] },
    Goal { what: "assigned anew", by: &[] },
    Goal { what: "servers full", by: &[] },
    Goal { what: "asked on", by: &[] },
    Goal { what: "other images refused", by: &[] },
    Goal { what: "leader and server crashed together", by: CRASHING },
    Goal { what: "servers down for good", by: &[] },
];

const MUTANTS: [(Planted, Mutant); 6] = [
    (
        Planted {
            name: "no-fence",
            property: "no assignment of a lower epoch",
            about: "a leader assigns although its epoch is over",
        },
        Mutant::NoFence,
    ),
    (
        Planted {
            name: "recorded-twice",
            property: "recorded at most once",
            about: "an acknowledgement is recorded whether or not an earlier one was",
        },
        Mutant::RecordedTwice,
    ),
    (
        Planted {
            name: "orphans-forgotten",
            property: "no orphans",
            about: "what a fallen server had is not assigned anew",
        },
        Mutant::OrphansForgotten,
    ),
    (
        Planted {
            name: "fence-unchecked",
            property: "lower attempts refused",
            about: "a server does a task that it knows to be another's by now",
        },
        Mutant::FenceUnchecked,
    ),
    (
        Planted {
            name: "overflow-dropped",
            property: "no task dropped silently",
            about: "a task that finds no room is dropped without a word",
        },
        Mutant::OverflowDropped,
    ),
    (
        Planted {
            name: "remembered-by-number",
            property: "right results",
            about: "a result is given again for another client's request of the same number",
        },
        Mutant::RememberedByNumber,
    ),
];

const PLANTED: [Planted; 6] = [MUTANTS[0].0, MUTANTS[1].0, MUTANTS[2].0, MUTANTS[3].0, MUTANTS[4].0, MUTANTS[5].0];

/// A server, settled for quick runs: one worker and little room.
fn stack(name: &str, bug: Option<Mutant>) -> Stack {
    let config = Config {
        address: name.to_string(),
        workers: 1,
        queue_max: 1,
        publish_every: millis(200),
        look_every: millis(200),
        leader_within: millis(1000),
        unheard_after: millis(1000),
        keep: KEEP,
        traced: true,
        mutant: bug,
        ..Config::default()
    };
    let election = election::Config { by: By::Load, mode: Mode::Safe, ..election::Config::default() };
    let log = || {
        let small = log::Config { segment_bytes: 16384, snapshot_bytes: 8000, ..log::Config::default() };
        small.machine(CHANNEL, || Box::new(Table::default()))
    };
    Stack {
        factories: vec![
            Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200)))),
            Factory::new(move || ReplicatedLog::new(log())),
            Factory::new(ReplicatedMap::default),
            Factory::new(move || Election::new(election)),
            factory(config),
        ],
    }
}

impl Scenario for Stego {
    fn name(&self) -> String {
        "stego".to_string()
    }

    fn about(&self) -> &'static str {
        "every task is answered right at least once, recorded at most once, orphaned never"
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        3..=5
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut run = Run::new(setup, chosen(&MUTANTS, planted));
        run.chaos();
        let settled = run.settle();
        let result = judge::judge(&run.world, &run.clients).and(settled);
        run.clients.count(&mut run.counts);
        judge::count(&run.world, &mut run.counts);
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    setup: &'a Setup,
    world: World,
    clients: Clients,
    counts: Counts,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, bug: Option<Mutant>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(name, bug));
        }
        let mut faults = setup.draw(&mut drawn, setup.nodes);
        if drawn.u32(0..3) == 0 && setup.faults.has(FaultClass::Partition) {
            // Leaders that are cut off while they assign.
            faults.partitions = Some(Spell { every: millis(1200), lasting: millis(2500) });
        }
        let mut run = Run { setup, world, clients: Clients::new(setup.nodes), counts: Counts::new() };
        run.world.all().for_each(|node| run.load(node));
        run.world.run_for(millis(3000));
        run.world.set_faults(faults);
        run
    }

    fn load(&mut self, node: NodeIndex) {
        let rng = self.world.rng();
        let mut percent = || rng.f64() * 100.0;
        let sample = LoadSample { cpu_percent: percent(), memory_percent: percent() };
        self.world.set_load(node, sample);
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(800)).as_nanos() as u64;
        let crashes = self.setup.faults.has(FaultClass::Crash);
        for _ in 0..self.setup.calls {
            let burst = if self.world.rng().u32(0..4) == 0 { 10 } else { 2 };
            for _ in 0..burst {
                self.clients.begin(&mut self.world);
            }
            let node = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
            self.load(node);
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.run_for(pause);
            if crashes && self.world.rng().u32(0..12) == 0 {
                self.strike_leader_and_server();
            }
        }
        chaos::end(&mut self.world);
    }

    fn run_for(&mut self, time: Duration) {
        chaos::run_sliced(&mut self.world, time, millis(20), |world| self.clients.go_on(world));
    }

    /// The two that a task rests on, in the same moment.
    fn strike_leader_and_server(&mut self) {
        let leader = judge::leader(&self.world).filter(|leader| self.world.is_up(*leader));
        let server = self.clients.assigned(&self.world).filter(|server| self.world.is_up(*server));
        let (Some(leader), Some(server)) = (leader, server) else { return };
        for node in [leader, server] {
            self.world.crash(node);
        }
        self.run_for(millis(600));
        for node in [leader, server] {
            self.world.restart(node, true);
        }
        *self.counts.entry("leader and server crashed together").or_insert(0) += 1;
    }

    /// Faults have stopped. One server falls with what it has, and stays down; then
    /// every task comes to its end, and the history is empty.
    fn settle(&mut self) -> Result<(), Violation> {
        self.run_for(millis(1000));
        let mut down = None;
        for slice in 0..60 {
            if slice % 10 == 0 {
                (0..6).for_each(|_| self.clients.begin(&mut self.world));
            }
            self.run_for(millis(20));
            down = self.clients.assigned(&self.world);
            if down.is_some() {
                break;
            }
        }
        let down = down.unwrap_or(NodeIndex(0));
        self.world.crash(down);
        *self.counts.entry("servers down for good").or_insert(0) += 1;
        let (calm, mut open) = (self.world.now(), usize::MAX);
        while open > 0 && self.world.now().since(calm) < CALM_WITHIN + 2 * KEEP {
            self.run_for(millis(500));
            for node in self.world.all().filter(|node| *node != down) {
                self.world.restart(node, true); // nodes that gave up are started again
            }
            if self.world.now().since(calm) > CALM_WITHIN
                && let Some(stuck) = self.clients.stuck(&self.world, down)
            {
                return Err(stuck);
            }
            if self.clients.are_done() {
                open = judge::open_tasks(&mut self.world).unwrap_or(usize::MAX);
            }
        }
        self.clients.calm(&mut self.world, down)?;
        if open != 0 {
            return Err(Violation::new(
                "no orphans",
                format!("the history still holds {open} tasks that nobody wants"),
            ));
        }
        Ok(())
    }
}
