//! Failure detectors and membership under all faults: complete, eventually
//! accurate, and no life ended but by a majority.

use crate::sim_delivery::{NAMES, millis};
use nodewright::component::{Context, Factory, Input, Manifest, NetComponent, PeerChange, Stack};
use nodewright::error::Fault;
use nodewright::event::AnyEvent;
use nodewright::id::Life;
use nodewright::protocol::failure_detector::{Config, Detector, Suspicion};
use nodewright::protocol::membership::{self, Membership};
use nodewright::sim::check::{self, Violation};
use nodewright::sim::{Faults, NodeIndex, World, seeds};

fn opinion(event: &AnyEvent) -> Option<(Life, bool)> {
    event.get::<Suspicion>().map(|it| (it.life, it.suspected))
}

/// Ten seconds of chaos, twenty of peace; then one node crashes for good.
fn run(seed: u64, stack: impl Fn() -> Stack) -> (World, Result<(), Violation>) {
    let mut world = World::new(seed);
    for name in NAMES {
        world.add_node(name, stack());
    }
    let faults = Faults::draw(&mut world.rng().fork(), 3);
    world.set_faults(faults);
    world.run_for(millis(10_000));
    world.heal();
    world.run_for(millis(20_000));
    world.restart_all();
    let peace = world.now() + millis(12_000);
    world.run_for(millis(15_000));
    let fallen = NodeIndex(world.rng().usize(0..NAMES.len()));
    world.crash(fallen);
    world.run_for(millis(20_000));
    let trace = world.trace();
    let result = check::completeness(trace, &opinion)
        .and_then(|()| check::eventual_accuracy(trace, &opinion, peace))
        .and_then(|()| check::decided_by_majority(trace, NAMES.len(), &opinion));
    (world, result)
}

fn stack(detector: Config) -> Stack {
    let membership = Factory::new(|| Membership::new(membership::Config::new(millis(3000))));
    Stack { factories: vec![Factory::new(move || Detector::new(detector)), membership] }
}

fn holds(test: &str, detector: Config) {
    let goals =
        ["crashes", "partitions", "pauses", "clock jumps", "suspicion", "life_ended", "lives ended by decision"];
    let batch = seeds(&format!("sim_detector::{test}"), 0..40).sometimes(&goals);
    if let Err(failure) = batch.run(|seed| run(seed, || stack(detector))) {
        panic!("{failure}");
    }
}

#[test]
fn fixed_timeout() {
    holds("fixed_timeout", Config::fixed(millis(1500), millis(200)));
}

#[test]
fn growing_timeout() {
    holds("growing_timeout", Config::growing(millis(500), millis(300), millis(200)));
}

#[test]
fn phi_accrual() {
    holds("phi_accrual", Config::phi(8.0, millis(200)));
}

/// Suspects all it ever meets, or none.
struct Stubborn {
    suspects: bool,
}

impl NetComponent for Stubborn {
    type Message = ();
    type Call = ();
    type Timer = ();
    type Job = ();
    type Done = ();

    fn manifest(&self) -> Manifest {
        Manifest::new("stubborn")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if let Input::Peer(PeerChange::Joined { life, name, .. }) = input {
            cx.publish(Suspicion { life: *life, name: name.clone(), suspected: self.suspects });
        }
        Ok(())
    }
}

#[test]
fn a_detector_that_never_changes_its_mind_is_caught() {
    for (suspects, property) in [(false, "completeness"), (true, "eventual accuracy")] {
        let stack = || Stack { factories: vec![Factory::new(move || Stubborn { suspects })] };
        match seeds("sim_detector", 0..5).catch(|seed| run(seed, stack)) {
            Ok((_, violation)) => assert_eq!(violation.property, property, "{violation}"),
            Err(missed) => panic!("{missed}"),
        }
    }
}
