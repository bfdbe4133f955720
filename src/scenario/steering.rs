//! Leadership of the log by load: while faults strike and loads change, moves stay a
//! tenure apart; in calm each has a reason, and the idlest node leads in the end.

use super::log::faults;
use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, LoadSample, Stack};
use crate::id::{Kind, NodeId};
use crate::protocol::election::score;
use crate::protocol::failure_detector::{self as detector, Detector};
use crate::protocol::replicated_log::{self as log, LogLeader, ReplicatedLog};
use crate::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
use crate::protocol::steering::{Config, Mutant, Steered, Steering};
use crate::sim::check::Violation;
use crate::sim::{Counts, FaultClass, Faults, NodeIndex, Outcome, Setup, World};
use crate::time::Time;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Steer)]
}

struct Steer;

const GOALS: [Goal; 5] = [
    Goal { what: "leader_steered", by: &[] },
    Goal { what: "moves in calm", by: &[] },
    Goal { what: "the idlest led at the end", by: &[] },
    Goal { what: "crashes", by: &[FaultClass::Crash] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
];

const APART: &str = "moves are a tenure apart";
const REASON: &str = "an advantage lasts before a move";
const IDLEST: &str = "in calm the idlest leads";

const MUTANTS: [(Planted, Mutant); 3] = [
    (Planted { name: "no-tenure", property: APART, about: "a new leader asks like an old one" }, Mutant::NoTenure),
    (Planted { name: "at-once", property: REASON, about: "one good report is enough" }, Mutant::AtOnce),
    (Planted { name: "never-asks", property: IDLEST, about: "no move is asked for" }, Mutant::NeverAsks),
];

const PLANTED: [Planted; 3] = [MUTANTS[0].0, MUTANTS[1].0, MUTANTS[2].0];

/// Short, so that a run sees many.
const EVERY: Duration = millis(200);
const SUSTAINED: Duration = millis(1500);
const TENURE: Duration = millis(6000);

fn stack(bug: Option<Mutant>) -> Stack {
    let config = || {
        let small = log::Config { segment_bytes: 4096, snapshot_bytes: 2500, ..log::Config::default() };
        small.machine(CHANNEL, || Box::new(Table::default()))
    };
    let steering = Config { report_every: EVERY, sustained: SUSTAINED, tenure: TENURE, mutant: bug };
    Stack {
        factories: vec![
            Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200)))),
            Factory::new(move || ReplicatedLog::new(config())),
            Factory::new(ReplicatedMap::default),
            Factory::new(move || Steering::new(steering)),
        ],
    }
}

impl Scenario for Steer {
    fn name(&self) -> String {
        "steering".into()
    }

    fn about(&self) -> &'static str {
        "the log's leader is moved to a much less loaded voter, for a reason, and seldom"
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
        run.storm();
        let calm = run.calm();
        let result = run.apart().and_then(|()| run.reasons(calm)).and_then(|()| run.idlest());
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    setup: &'a Setup,
    world: World,
    counts: Counts,
    /// Each node's scores, and since when it had them.
    scores: BTreeMap<NodeId, Vec<(Time, Option<u16>)>>,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, bug: Option<Mutant>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(bug));
        }
        let mut run = Run { setup, world, counts: Counts::new(), scores: BTreeMap::new() };
        run.world.all().for_each(|node| run.draw_load(node));
        run.world.run_for(millis(drawn.u64(0..6000)));
        // a tenure is of the leader's own clock, and it is judged by the world's
        let drawn = Faults { jumps: None, ..faults(setup, &mut drawn) };
        run.world.set_faults(drawn);
        run
    }

    fn set_load(&mut self, node: NodeIndex, load: LoadSample) {
        let life = self.world.life(node);
        let score = score::score(&load, 0).map(score::tenths);
        self.scores.entry(life.node).or_default().push((self.world.now(), score));
        self.world.set_load(node, load);
    }

    /// Now and then one that is none.
    fn draw_load(&mut self, node: NodeIndex) {
        let rng = self.world.rng();
        let mut percent = || if rng.u32(0..40) == 0 { f64::NAN } else { rng.f64() * 100.0 };
        let load = LoadSample { cpu_percent: percent(), memory_percent: percent() };
        self.set_load(node, load);
    }

    fn change_a_load(&mut self) {
        let node = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
        self.draw_load(node);
    }

    fn storm(&mut self) {
        let longest = self.setup.chaos(millis(3000)).as_nanos() as u64;
        let crashes = self.setup.faults.has(FaultClass::Crash);
        for _ in 0..self.setup.calls {
            self.change_a_load();
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.world.run_for(pause);
            if crashes && self.world.rng().u32(0..30) == 0 {
                chaos::crash_all(&mut self.world, &mut self.counts);
            }
        }
        chaos::end(&mut self.world);
    }

    /// Loads change on, and nothing else happens; answers when that began.
    fn calm(&mut self) -> Time {
        self.world.run_for(millis(5000)); // all have said who leads
        let began = self.world.now();
        for _ in 0..self.setup.calls {
            self.change_a_load();
            let pause = Duration::from_nanos(self.world.rng().u64(0..=3_000_000_000));
            self.world.run_for(pause);
        }
        began
    }

    /// Since a leader leads, and since it last asked.
    fn apart(&self) -> Result<(), Violation> {
        for node in self.world.all() {
            let mut moments: Vec<(Time, bool, bool)> = Vec::new();
            let me = self.world.life(node).node;
            moments.extend(self.world.events::<LogLeader>(node).map(|(at, _, it)| (at, false, it.node == Some(me))));
            moments.extend(self.world.events::<Steered>(node).map(|(at, ..)| (at, true, true)));
            moments.sort_by_key(|(at, asks, _)| (*at, *asks));
            let mut since = None;
            for (at, asks, leads) in moments {
                if asks && since.is_none_or(|since| at.since(since) < TENURE) {
                    let why = format!("{me} asks at {at:?} for a move, and leads, or asked, since {since:?}");
                    return Err(Violation::new(APART, why));
                }
                let goes_on = !asks && leads && since.is_some();
                since = leads.then(|| if goes_on { since } else { None }.unwrap_or(at));
            }
        }
        Ok(())
    }

    /// Each move in calm is to one that was much better for long, but for what reports
    /// have not told yet.
    fn reasons(&mut self, calm: Time) -> Result<(), Violation> {
        let lag = 3 * EVERY;
        let begins = calm + SUSTAINED + 2 * lag;
        for node in self.world.all() {
            let me = self.world.life(node).node;
            for (at, _, Steered { to, .. }) in self.world.events::<Steered>(node).filter(|(at, ..)| *at > begins) {
                *self.counts.entry("moves in calm").or_insert(0) += 1;
                let first = Time(at.0 - (SUSTAINED - lag).as_nanos() as u64);
                if self.changed_within(me, *to, first, at, lag) {
                    let why = format!("{me} asks at {at:?} that {to} may lead: {:?}", self.scores);
                    return Err(Violation::new(REASON, why));
                }
            }
        }
        Ok(())
    }

    /// Whether one of the two lacked the advantage for longer than a report may lag, at
    /// some time between.
    fn changed_within(&self, mine: NodeId, other: NodeId, from: Time, to: Time, lag: Duration) -> bool {
        let mut at = from;
        let mut lacked = Duration::ZERO;
        let step = millis(10);
        while at < to {
            let better = match (self.score_at(mine, at), self.score_at(other, at)) {
                (Some(mine), Some(other)) => score::has_advantage(other, mine),
                _ => false,
            };
            lacked = if better { Duration::ZERO } else { lacked + step };
            if lacked > lag {
                return true;
            }
            at = at + step;
        }
        false
    }

    fn score_at(&self, node: NodeId, at: Time) -> Option<u16> {
        self.scores.get(&node)?.iter().rev().find(|(since, _)| *since <= at)?.1
    }

    /// With one idle node among busy ones, it leads.
    fn idlest(&mut self) -> Result<(), Violation> {
        let idle = NodeIndex(self.world.rng().usize(0..self.setup.nodes));
        for node in self.world.all() {
            let percent = if node == idle { 5.0 } else { 80.0 };
            self.set_load(node, LoadSample { cpu_percent: percent, memory_percent: 20.0 });
        }
        self.world.run_for(TENURE + SUSTAINED + millis(5000));
        let status = self.world.ask::<log::Status>(idle, Kind::of(log::NAME), log::Call::Status, millis(100));
        if !status.as_ref().is_ok_and(|status| status.leads) {
            return Err(Violation::new(IDLEST, format!("{} does not lead: {status:?}", NAMES[idle.0])));
        }
        *self.counts.entry("the idlest led at the end").or_insert(0) += 1;
        Ok(())
    }
}
