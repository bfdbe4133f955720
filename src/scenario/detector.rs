//! Failure detectors and membership under all faults: complete, eventually
//! accurate, and no life ended but by a majority.
//!
//! Chaos, then peace; in half of the worlds frames are slow in peace too, below
//! a bound that no detector was told. Then one node falls for good: it crashes,
//! or its components hang while its links go on acknowledging what the others
//! keep sending.

use super::stacks::{NAMES, chosen, millis};
use super::talker::{Talker, say};
use super::{Goal, Planted, Scenario};
use crate::component::{Factory, Stack};
use crate::event::AnyEvent;
use crate::id::Life;
use crate::protocol::failure_detector::{Algorithm, Config, Detector, Suspicion};
use crate::protocol::membership::{self, Membership};
use crate::sim::{FaultClass, Faults, NodeIndex, Outcome, Setup, World, check};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Each algorithm by itself, and all three in turn.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let each = (0..3).map(Some).chain([None]);
    each.map(|algorithm| Box::new(Detectors { algorithm }) as Box<dyn Scenario>).collect()
}

struct Detectors {
    /// Which of [`configs`]; none for one after the other, as the seed has it.
    algorithm: Option<usize>,
}

const NAMES_OF: [&str; 3] = ["detector.fixed", "detector.growing", "detector.phi"];
const PERIOD: Duration = Duration::from_millis(200);
/// The bound on delays in peace that no detector is told.
const SLOWEST: Duration = Duration::from_millis(900);

/// The growing timeout is mistaken at once where frames are slow, and exceeds
/// the bound after one mistake.
fn configs() -> [Config; 3] {
    [Config::fixed(millis(1500), PERIOD), Config::growing(millis(300), millis(1000), PERIOD), Config::phi(8.0, PERIOD)]
}

const GOALS: [Goal; 8] = [
    Goal { what: "crashes", by: &[] },
    Goal { what: "hangs", by: &[] },
    Goal { what: "suspicion", by: &[] },
    Goal { what: "life_ended", by: &[] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
    Goal { what: "pauses", by: &[FaultClass::Pause] },
    Goal { what: "clock jumps", by: &[FaultClass::Jump] },
    Goal { what: "lives ended by decision", by: &[] },
];

const NEVER_GROWS: Planted = Planted {
    name: "timeout-never-grows",
    property: "eventual accuracy",
    about: "a mistake makes the next one no rarer",
};
const ACKS_HEARD: Planted = Planted {
    name: "acks-feed-the-estimator",
    property: "completeness",
    about: "a link's acknowledgements count as signs of life",
};
const ONE_OPINION: Planted =
    Planted { name: "one-opinion-ends", property: "ended by majority", about: "one voter's opinion ends a life" };

const MUTANTS: [(Planted, Bug); 3] =
    [(ACKS_HEARD, Bug::AcksHeard), (ONE_OPINION, Bug::OneOpinion), (NEVER_GROWS, Bug::NeverGrows)];

#[derive(Copy, Clone, PartialEq, Eq)]
enum Bug {
    NeverGrows,
    AcksHeard,
    OneOpinion,
}

/// Reads a detector's opinion.
fn opinion(event: &AnyEvent) -> Option<(Life, bool)> {
    event.get::<Suspicion>().map(|it| (it.life, it.suspected))
}

impl Scenario for Detectors {
    fn name(&self) -> String {
        self.algorithm.map_or("detector", |at| NAMES_OF[at]).to_string()
    }

    fn about(&self) -> &'static str {
        "the crashed are suspected, in the end nobody else is, and only a majority ends a life"
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        3..=NAMES.len()
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        match self.algorithm {
            Some(1) => &[ACKS_HEARD, ONE_OPINION, NEVER_GROWS],
            _ => &[ACKS_HEARD, ONE_OPINION],
        }
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let bug = chosen(&MUTANTS, planted);
        let algorithm = self.algorithm.unwrap_or((setup.seed % 3) as usize);
        let mut world = World::new(setup.seed);
        if bug == Some(Bug::AcksHeard) {
            world.plant_acks_are_heard();
        }
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(configs()[algorithm], bug));
        }
        let mut drawn = world.rng().fork();
        let faults = setup.draw(&mut drawn, setup.nodes - 2);
        let slow = drawn.bool() && setup.faults.has(FaultClass::Delay);
        world.set_faults(faults);
        world.run_for(setup.chaos(millis(8000)));
        world.heal();
        if slow {
            world.set_faults(Faults { delay: (millis(0), SLOWEST), ..Faults::none() });
        }
        world.run_for(millis(1000));
        world.restart_all();
        world.run_for(millis(14_000));
        let peace = world.now();
        world.run_for(millis(5000));
        let fallen = NodeIndex(world.rng().usize(0..setup.nodes));
        if drawn.bool() {
            world.crash(fallen);
            world.run_for(millis(8000));
        } else {
            hang(&mut world, fallen);
        }
        let trace = world.trace();
        let result = check::decided_by_majority(trace, &world.voters(), &opinion)
            .and_then(|()| check::completeness(trace, &opinion))
            .and_then(|()| check::eventual_accuracy(trace, &opinion, peace));
        (world, result).into()
    }
}

/// The others go on talking to a node whose components hang. It is ended and
/// comes back as a new life, about which the others know nothing yet: frames
/// are quick from here on.
fn hang(world: &mut World, fallen: NodeIndex) {
    world.heal();
    world.hang(fallen);
    for _ in 0..32 {
        let others: Vec<NodeIndex> = world.all().filter(|node| *node != fallen).collect();
        others.into_iter().for_each(|node| say(world, node));
        world.run_for(millis(250));
    }
}

fn stack(detector: Config, bug: Option<Bug>) -> Stack {
    let detector = match detector.algorithm {
        Algorithm::GrowingTimeout { initial, .. } if bug == Some(Bug::NeverGrows) => {
            Config { algorithm: Algorithm::GrowingTimeout { initial, step: Duration::ZERO }, ..detector }
        }
        _ => detector,
    };
    let config = membership::Config::new(millis(3000));
    let membership = move || match bug {
        Some(Bug::OneOpinion) => Membership::one_opinion_ends(config),
        _ => Membership::new(config),
    };
    let factories =
        vec![Factory::new(move || Detector::new(detector)), Factory::new(membership), Factory::new(Talker::default)];
    Stack { factories }
}
