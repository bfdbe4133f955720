//! The delivery ladder under all faults: each rung keeps what it promises, and
//! planted bugs are caught.
//!
//! Five voters, twenty broadcasts in a chaos phase, then all faults stop, all
//! that is down restarts without its memory, and each broadcasts once more.

use nodewright::component::{Factory, Stack};
use nodewright::event::AnyEvent;
use nodewright::id::Life;
use nodewright::protocol::delivery::{Broadcast, Config, Delivery, Gap, Guarantee, Mutant, Order};
use nodewright::protocol::failure_detector::{self as detector, Detector, Suspicion};
use nodewright::protocol::membership::{self, HoldingBack, Membership};
use nodewright::sim::check::{self, History, SETTLED, Violation};
use nodewright::sim::{Counts, Faults, NodeIndex, World, seeds};
use std::ops::RangeInclusive;
use std::time::Duration;

pub const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
pub const EXCLUDE_AFTER: Duration = Duration::from_secs(3);

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn stack(rung: Delivery, mutant: Option<Mutant>) -> Stack {
    let config = move || Config { absent_after: millis(60_000), ..Config::new(rung) };
    let detector = match rung.guarantee() {
        Guarantee::UniformAllAck => detector::Config::fixed(millis(1000), millis(200)).assuming_synchrony(),
        _ => detector::Config::phi(8.0, millis(200)),
    };
    let broadcast = Factory::new(move || match mutant {
        Some(mutant) => Broadcast::mutant(config(), mutant),
        None => Broadcast::new(config()),
    });
    let membership = Factory::new(|| Membership::new(membership::Config::new(EXCLUDE_AFTER)));
    Stack { factories: vec![Factory::new(move || Detector::new(detector)), membership, broadcast] }
}

pub fn joined(world: &mut World, node: NodeIndex, rung: Delivery) -> bool {
    match world.inspect_row(node, rung.name(), "joined") {
        Some(row) => row == "yes",
        None => world.is_up(node),
    }
}

fn any_joined(world: &mut World, node: NodeIndex) -> bool {
    Delivery::ALL.iter().all(|rung| joined(world, node, *rung))
}

/// The faults under which a rung keeps its promise.
fn faults(rung: Delivery, rng: &mut fastrand::Rng) -> Faults {
    match rung.guarantee() {
        Guarantee::BestEffort | Guarantee::Reliable => Faults::draw(rng, 4),
        Guarantee::Uniform => Faults::draw(rng, 2),
        // synchrony: nothing is slower than the detector's timeout
        Guarantee::UniformAllAck => Faults {
            delay: (Duration::from_micros(50), millis(20)),
            loss: 0.0,
            cuts: None,
            partitions: None,
            pauses: None,
            jumps: None,
            ..Faults::draw(rng, 4)
        },
    }
}

fn run(rung: Delivery, mutant: Option<Mutant>, seed: u64) -> (World, Result<(), Violation>) {
    let mut world = World::new(seed);
    for name in NAMES {
        world.add_node(name, stack(rung, mutant));
    }
    world.ready_when(any_joined);
    let faults = faults(rung, &mut world.rng().fork());
    world.run_for(millis(100));
    world.set_faults(faults);
    for n in 0..20 {
        let at = NodeIndex(world.rng().usize(0..NAMES.len()));
        world.broadcast(at, rung.kind(), format!("m{n}"));
        let pause = millis(world.rng().u64(0..500));
        world.run_for(pause);
    }
    world.heal();
    world.restart_all();
    let result = settle(&mut world, rung).and_then(|()| judge(&world, rung));
    (world, result)
}

/// After all faults have stopped, everyone joins and everything is delivered.
fn settle(world: &mut World, rung: Delivery) -> Result<(), Violation> {
    for _ in 0..40 {
        world.run_for(millis(500));
        if world.now().since(nodewright::time::Time::ZERO) > millis(100_000) {
            break;
        }
        let up = |world: &mut World| world.all().all(|node| world.is_up(node));
        if up(world) && NAMES.iter().enumerate().all(|(at, _)| joined(world, NodeIndex(at), rung)) {
            world.run_for(EXCLUDE_AFTER + millis(3000));
            if up(world) && (0..NAMES.len()).all(|at| joined(world, NodeIndex(at), rung)) {
                world.mark(SETTLED);
                for at in world.all() {
                    world.broadcast(at, rung.kind(), format!("last of {}", at.0));
                }
                world.run_for(millis(8000));
                return Ok(());
            }
        }
    }
    Err(Violation::new("termination", "after all faults stopped, not everyone joins"))
}

fn judge(world: &World, rung: Delivery) -> Result<(), Violation> {
    for node in world.all() {
        if let Some((life, fault)) = world
            .component_faults(node)
            .iter()
            .find(|(_, fault)| !matches!(fault, nodewright::error::Fault::LifeEnded(_)))
        {
            return Err(Violation::new("no fault", format!("{life}: {fault}")));
        }
    }
    let history = History::of(world.trace(), rung.kind()).reporting(world.trace(), &missing);
    check::no_creation(&history)?;
    check::no_duplication(&history)?;
    check::validity(&history)?;
    match rung.guarantee() {
        Guarantee::BestEffort => {}
        Guarantee::Reliable => check::agreement(&history)?,
        Guarantee::Uniform | Guarantee::UniformAllAck => check::uniform_agreement(&history)?,
    }
    match rung.order() {
        Order::None => {}
        Order::Fifo => check::fifo_order(&history)?,
        Order::Causal => check::causal_order(&history)?,
    }
    check::decided_by_majority(world.trace(), NAMES.len(), &against)
}

fn missing(event: &AnyEvent) -> Option<(Life, RangeInclusive<u64>)> {
    event.get::<Gap>().map(|gap| (gap.origin, gap.from..=gap.to))
}

fn against(event: &AnyEvent) -> Option<(Life, bool)> {
    let suspicion = event.get::<Suspicion>().map(|it| (it.life, it.suspected));
    suspicion.or_else(|| event.get::<HoldingBack>().map(|it| (it.life, it.holding)))
}

const CHAOS: [&str; 7] =
    ["retransmissions", "crashes", "crashes between effects", "partitions", "suspicion", "frames lost", "reconnects"];

fn holds(rung: Delivery, test: &str, goals: &[&'static str]) -> Counts {
    let batch = seeds(&format!("sim_delivery::{test}"), 0..40).sometimes(goals);
    match batch.run(|seed| run(rung, None, seed)) {
        Ok(counts) => counts,
        Err(failure) => panic!("{failure}"),
    }
}

/// The planted bug must break this very property in some world, whatever else
/// it breaks.
fn caught(rung: Delivery, mutant: Mutant, property: &str) {
    let batch = seeds("sim_delivery", 0..2000);
    let caught = batch.catch(|seed| {
        let (world, result) = run(rung, Some(mutant), seed);
        (world, result.or_else(|violation| if violation.property == property { Err(violation) } else { Ok(()) }))
    });
    if let Err(missed) = caught {
        panic!("{mutant:?} in {rung}: {missed}");
    }
}

#[test]
fn best_effort() {
    holds(Delivery::BestEffort, "best_effort", &CHAOS);
}

#[test]
fn best_effort_fifo() {
    holds(Delivery::BestEffortFifo, "best_effort_fifo", &CHAOS);
}

#[test]
fn reliable() {
    holds(Delivery::Reliable, "reliable", &CHAOS);
}

#[test]
fn reliable_fifo() {
    holds(Delivery::ReliableFifo, "reliable_fifo", &CHAOS);
}

#[test]
fn reliable_causal() {
    holds(Delivery::ReliableCausal, "reliable_causal", &CHAOS);
}

#[test]
fn uniform() {
    holds(Delivery::Uniform, "uniform", &CHAOS);
}

#[test]
fn uniform_fifo() {
    holds(Delivery::UniformFifo, "uniform_fifo", &CHAOS);
}

#[test]
fn uniform_causal() {
    holds(Delivery::UniformCausal, "uniform_causal", &CHAOS);
}

#[test]
fn uniform_all_ack_under_synchrony() {
    holds(
        Delivery::UniformAllAck,
        "uniform_all_ack_under_synchrony",
        &["crashes", "crashes between effects", "suspicion"],
    );
}

#[test]
fn no_relay_and_no_pull_is_caught() {
    caught(Delivery::Reliable, Mutant::NoRelayNoPull, "agreement");
}

#[test]
fn delivery_at_the_first_copy_is_caught() {
    caught(Delivery::Uniform, Mutant::DeliverFirstCopy, "uniform agreement");
}

#[test]
fn a_dropped_duplicate_filter_is_caught() {
    caught(Delivery::Reliable, Mutant::DropDedupe, "no duplication");
}

#[test]
fn a_forgotten_incarnation_is_caught() {
    caught(Delivery::Reliable, Mutant::ForgetIncarnation, "validity");
}

#[test]
fn delivery_on_arrival_is_caught() {
    caught(Delivery::ReliableFifo, Mutant::DeliverOnArrival, "FIFO order");
    caught(Delivery::ReliableCausal, Mutant::DeliverOnArrival, "causal order");
    caught(Delivery::UniformCausal, Mutant::DeliverOnArrival, "causal order");
}

#[test]
fn a_skipped_self_is_caught() {
    caught(Delivery::BestEffort, Mutant::SkipSelf, "validity");
}
