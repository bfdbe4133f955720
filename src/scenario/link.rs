//! Perfect links between lives, under all that a network and crashes do.
//!
//! Nothing but links: each node says numbered blocks to the lives that it is
//! linked with, on the three lanes that promise something. After the faults
//! have stopped, what is owed arrives.

use super::stacks::{NAMES, chosen, millis};
use super::talker::{Talker, passed, say};
use super::{Goal, Planted, Scenario};
use crate::component::{Factory, Stack};
use crate::protocol::link::{Config, Mutant};
use crate::sim::{FaultClass, NodeIndex, Outcome, Setup, World, check};
use std::time::Duration;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Links)]
}

struct Links;

const GOALS: [Goal; 6] = [
    Goal { what: "retransmissions", by: &[FaultClass::Loss] },
    Goal { what: "frames duplicated", by: &[FaultClass::Duplication] },
    Goal { what: "frames reordered", by: &[FaultClass::Reordering] },
    Goal { what: "reconnects", by: &[FaultClass::Cut] },
    Goal { what: "restarts", by: &[FaultClass::Crash] },
    Goal { what: "block", by: &[] },
];

const MUTANTS: [(Planted, Bug); 5] = [
    (
        Planted {
            name: "dedupe-dropped",
            property: "link no duplication",
            about: "a block that comes again is delivered again",
        },
        Bug::Link(Mutant::DedupeDropped),
    ),
    (
        Planted {
            name: "incarnation-forgotten",
            property: "link no creation",
            about: "a new life goes on with the old one's numbers and queue",
        },
        Bug::Link(Mutant::IncarnationForgotten),
    ),
    (
        Planted {
            name: "earlier-life-heard",
            property: "link no creation",
            about: "frames of sessions that are over are taken, also those of an earlier life",
        },
        Bug::Link(Mutant::EarlierLifeHeard),
    ),
    (
        Planted { name: "early-taken", property: "link order", about: "a block is delivered before its predecessors" },
        Bug::Link(Mutant::EarlyTaken),
    ),
    (
        Planted {
            name: "never-resent",
            property: "link reliable delivery",
            about: "what was lost is sent again after a reconnect only",
        },
        Bug::NeverResent,
    ),
];

const PLANTED: [Planted; 5] = [MUTANTS[0].0, MUTANTS[1].0, MUTANTS[2].0, MUTANTS[3].0, MUTANTS[4].0];

#[derive(Copy, Clone)]
enum Bug {
    Link(Mutant),
    NeverResent,
}

impl Scenario for Links {
    fn name(&self) -> String {
        "link".to_string()
    }

    fn about(&self) -> &'static str {
        "what one life sends another arrives once, in its order, and nothing else does"
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut world = World::new(setup.seed);
        let resend_after = match chosen(&MUTANTS, planted) {
            Some(Bug::NeverResent) => Duration::from_secs(3600),
            Some(Bug::Link(mutant)) => {
                world.plant_in_links(mutant);
                millis(200)
            }
            None => millis(200),
        };
        world.set_link_config(Config { resend_after, ..Config::default() });
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, Stack { factories: vec![Factory::new(Talker::default)] });
        }
        world.ready_when(|world, node| world.is_up(node));
        let faults = setup.draw(&mut world.rng().fork(), setup.nodes - 1);
        world.run_for(millis(20));
        world.set_faults(faults);
        let longest = setup.chaos(millis(400)).as_nanos() as u64;
        for _ in 0..setup.calls {
            for _ in 0..world.rng().usize(1..=4) {
                let at = NodeIndex(world.rng().usize(0..setup.nodes));
                say(&mut world, at);
            }
            let pause = Duration::from_nanos(world.rng().u64(0..=longest));
            world.run_for(pause);
        }
        world.heal();
        world.restart_all();
        world.run_for(millis(8000));
        let result = check::perfect_link(world.trace(), &passed);
        (world, result).into()
    }
}
