//! The nodes that scenarios are made of. Hidden from the documentation: they
//! are settled for quick runs, and the tests' own schedules share them.

use super::Planted;
use crate::component::{Factory, Stack};
use crate::event::AnyEvent;
use crate::id::{Kind, Life};
use crate::protocol::delivery::{Broadcast, Config, Delivery, Gap, Guarantee, Mutant};
use crate::protocol::failure_detector::{self as detector, Detector, Suspicion};
use crate::protocol::membership::{self, HoldingBack, Membership};
use crate::sim::check::{SETTLED, Violation};
use crate::sim::{NodeIndex, What, World};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Names of voters.
pub const NAMES: [&str; 9] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"];
/// How long a life must be suspected before it is accused.
pub const EXCLUDE_AFTER: Duration = Duration::from_millis(3000);

/// So many milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A node with this rung, a detector and membership.
pub fn stack(rung: Delivery, mutant: Option<Mutant>, exclude_after: Duration) -> Stack {
    let config = move || Config { absent_after: millis(60_000), ..Config::new(rung) };
    let detector = match rung.guarantee() {
        Guarantee::UniformAllAck => detector::Config::fixed(millis(1000), millis(200)).assuming_synchrony(),
        _ => detector::Config::phi(8.0, millis(200)),
    };
    let broadcast = Factory::new(move || match mutant {
        Some(mutant) => Broadcast::mutant(config(), mutant),
        None => Broadcast::new(config()),
    });
    let membership = Factory::new(move || Membership::new(membership::Config::new(exclude_after)));
    Stack { factories: vec![Factory::new(move || Detector::new(detector)), membership, broadcast] }
}

/// Whether a node's delivery is up and counts in majorities.
pub fn joined(world: &mut World, node: NodeIndex, rung: Delivery) -> bool {
    match world.inspect_row(node, rung.name(), "joined") {
        Some(row) => row == "yes",
        None => world.is_up(node),
    }
}

/// Reads what a delivery reports as missing.
pub fn missing(event: &AnyEvent) -> Option<(Life, RangeInclusive<u64>)> {
    event.get::<Gap>().map(|gap| (gap.origin, gap.from..=gap.to))
}

/// Reads what is held against a life.
pub fn against(event: &AnyEvent) -> Option<(Life, bool)> {
    let suspicion = event.get::<Suspicion>().map(|it| (it.life, it.suspected));
    suspicion.or_else(|| event.get::<HoldingBack>().map(|it| (it.life, it.holding)))
}

/// Marks that all has settled, and has the first `voters` nodes broadcast once more. Given
/// eight seconds, or less if all is there before; a second more shows what comes twice.
pub(super) fn last_words(world: &mut World, voters: usize, via: Kind) {
    world.mark(SETTLED);
    let from = world.trace().records().len();
    for at in (0..voters).map(NodeIndex) {
        world.broadcast(at, via, format!("last of {}", at.0));
    }
    let wanted = voters * world.len();
    for _ in 0..80 {
        world.run_for(millis(100));
        let records = world.trace().records()[from..].iter();
        let last = |body: &[u8]| body.starts_with(b"last");
        let there = records.filter(|it| matches!(&it.what, What::Delivered { body, .. } if last(body))).count();
        if there >= wanted {
            break;
        }
    }
    world.run_for(millis(1000));
}

/// That no component stopped with a fault, except that its life was ended.
pub(super) fn no_fault(world: &World) -> Result<(), Violation> {
    let faults = world.all().flat_map(|node| world.component_faults(node));
    for (life, fault) in faults {
        if !matches!(fault, crate::error::Fault::LifeEnded(_)) {
            return Err(Violation::new("no fault", format!("{life}: {fault}")));
        }
    }
    Ok(())
}

/// The bug of a component that `planted` stands for, of those in `table`.
pub(super) fn chosen<M: Copy>(table: &[(Planted, M)], planted: Option<&Planted>) -> Option<M> {
    let planted = planted?;
    table.iter().find(|(it, _)| it == planted).map(|(_, mutant)| *mutant)
}
