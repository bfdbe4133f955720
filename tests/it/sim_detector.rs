//! Failure detectors and membership under all faults: complete, eventually
//! accurate, and no life ended but by a majority. And the links below.

use crate::sim_delivery::{holds, millis};
use nodewright::component::{Context, Factory, Input, Manifest, NetComponent, PeerChange, Stack};
use nodewright::error::Fault;
use nodewright::event::AnyEvent;
use nodewright::id::Life;
use nodewright::protocol::failure_detector::Suspicion;
use nodewright::sim::check::{self, Violation};
use nodewright::sim::{NodeIndex, World, seeds};

#[test]
fn fixed_timeout() {
    holds("sim_detector::fixed_timeout", "detector.fixed", 40);
}

#[test]
fn growing_timeout() {
    holds("sim_detector::growing_timeout", "detector.growing", 40);
}

#[test]
fn phi_accrual() {
    holds("sim_detector::phi_accrual", "detector.phi", 40);
}

#[test]
fn links_between_lives() {
    holds("sim_detector::links_between_lives", "link", 60);
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

fn opinion(event: &AnyEvent) -> Option<(Life, bool)> {
    event.get::<Suspicion>().map(|it| (it.life, it.suspected))
}

/// Three of them, of which one crashes.
fn stubborn(seed: u64, suspects: bool) -> (World, Result<(), Violation>) {
    let mut world = World::new(seed);
    for name in ["alpha", "beta", "gamma"] {
        world.add_node(name, Stack { factories: vec![Factory::new(move || Stubborn { suspects })] });
    }
    world.run_for(millis(100));
    world.crash(NodeIndex(2));
    world.run_for(millis(5000));
    let (trace, now) = (world.trace(), world.now());
    let result = check::completeness(trace, &opinion).and_then(|()| check::eventual_accuracy(trace, &opinion, now));
    (world, result)
}

#[test]
fn a_detector_that_never_changes_its_mind_is_caught() {
    for (suspects, property) in [(false, "completeness"), (true, "eventual accuracy")] {
        match seeds("sim_detector", 0..5).catch(|seed| stubborn(seed, suspects)) {
            Ok((_, violation)) => assert_eq!(violation.property, property, "{violation}"),
            Err(missed) => panic!("{missed}"),
        }
    }
}
