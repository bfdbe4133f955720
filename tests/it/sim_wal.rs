//! A write-ahead log on the simulated disk: nothing that it acknowledged is
//! lost, whatever the disk does short of lying; where the disk lies (a flipped
//! bit, an older or an empty directory), that is found out. And the usual
//! mistakes with disks are caught.

mod by_hand;
mod log;
mod record;

use log::{Acknowledged, Append, Bug, Doubtful, Log, Recovered};
use nodewright::component::{Factory, NetComponent, Stack};
use nodewright::error::Fault;
use nodewright::id::Kind;
use nodewright::sim::check::Violation;
use nodewright::sim::{Counts, DiskFaults, Faults, NodeIndex, Spell, What, World, seeds};
use std::collections::BTreeSet;
use std::time::Duration;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn kind() -> Kind {
    Log::new(None).manifest().kind()
}

fn world(seed: u64, nodes: &[&str], bug: Option<Bug>) -> World {
    let mut world = World::new(seed);
    for name in nodes {
        world.add_node(name, Stack { factories: vec![Factory::new(move || Log::new(bug))] });
    }
    world
}

/// Asks a node to keep some numbers at once.
fn append(world: &mut World, node: NodeIndex, values: std::ops::Range<u64>) {
    for value in values {
        world.call(node, kind(), Box::new(Append(value)), millis(500));
    }
}

/// Two logs, each for itself, are written to while their machines crash, some
/// in the middle of that, and their disks fail; then all faults stop, and all
/// power is cut once more.
fn run(seed: u64, bug: Option<Bug>, faults: impl Fn(Faults) -> Faults) -> World {
    let mut world = world(seed, &["alpha", "beta"], bug);
    let drawn = Faults::draw(&mut world.rng().fork(), 2);
    let crashes = Some(Spell { every: millis(500), lasting: millis(300) });
    world.set_faults(faults(Faults { crashes, down_max: 2, ..drawn }));
    let mut next = 1;
    while world.now().0 < 6_000_000_000 {
        let (node, count) = (NodeIndex(world.rng().usize(0..2)), world.rng().u64(1..9));
        append(&mut world, node, next..next + count);
        next += count;
        if world.rng().u32(0..8) == 0 {
            let moment = Duration::from_micros(world.rng().u64(0..8000));
            world.run_for(moment);
            world.crash(node);
            world.restart(node, true);
        }
        let pause = millis(world.rng().u64(1..80));
        world.run_for(pause);
    }
    world.heal();
    let all: Vec<NodeIndex> = world.all().collect();
    for round in 0..2 {
        for &node in &all {
            if round == 1 {
                world.crash(node);
            }
            world.restart(node, true);
        }
        world.run_for(millis(2000));
        for &node in &all {
            append(&mut world, node, next..next + 1);
            next += 1;
        }
        world.run_for(millis(500));
    }
    world
}

/// Whether a component stopped because it found damage.
fn damaged(world: &World, node: NodeIndex) -> Option<String> {
    let faults = world.component_faults(node).iter();
    faults.map(|(life, fault)| (life, fault)).find_map(|(life, fault)| match fault {
        Fault::Stop(why) => Some(format!("{}: {why}", world.trace().name(*life))),
        _ => None,
    })
}

/// Nothing acknowledged is missing when a later life begins to serve, unless
/// it was said that it may be, by that life or by one that died between its mark
/// and its service; nothing is there twice or was never asked for.
fn durability(world: &World, node: NodeIndex) -> Result<(), Violation> {
    let mut acknowledged = BTreeSet::new();
    let mut doubtful = false;
    let name = world.life(node).node;
    for record in world.trace().records().iter().filter(|record| record.life.node == name) {
        let What::Published(event) = &record.what else { continue };
        if let Some(Acknowledged(value)) = event.get() {
            acknowledged.insert(*value);
        } else if let Some(Doubtful) = event.get() {
            doubtful = true;
        } else if let Some(Recovered(values)) = event.get() {
            let said = std::mem::take(&mut doubtful);
            let life = world.trace().name(record.life);
            let there: BTreeSet<u64> = values.iter().copied().collect();
            if there.len() < values.len() || there.contains(&0) {
                return Err(Violation::new("no creation", format!("{life} has {values:?}")));
            }
            let lost: Vec<u64> = acknowledged.difference(&there).copied().collect();
            if !lost.is_empty() && !said {
                return Err(Violation::new("durability", format!("{life} lacks {lost:?}, which were acknowledged")));
            }
            acknowledged.retain(|value| there.contains(value)); // said to be lost: once
        }
    }
    Ok(())
}

/// After the faults, every log that is not damaged serves.
fn termination(world: &World, node: NodeIndex) -> Result<(), Violation> {
    let life = world.life(node);
    if world.events::<Acknowledged>(node).any(|(_, by, _)| by == life) {
        return Ok(());
    }
    Err(Violation::new("termination", format!("{} acknowledges nothing", world.trace().name(life))))
}

/// Under an honest disk no log is ever damaged.
fn judge_honest(world: &World) -> Result<(), Violation> {
    for node in world.all() {
        durability(world, node)?;
        if let Some(damage) = damaged(world, node) {
            return Err(Violation::new("durability", damage));
        }
        termination(world, node)?;
    }
    Ok(())
}

/// Under a disk that lies, a log that stopped has found it out.
fn judge_lying(world: &World) -> Result<(), Violation> {
    for node in world.all() {
        durability(world, node)?;
        if damaged(world, node).is_none() {
            termination(world, node)?;
        }
    }
    Ok(())
}

fn print(test: &str, counts: &Counts, goals: &[&str]) {
    let counted: Vec<String> =
        goals.iter().map(|goal| format!("{goal} {}", counts.get(goal).copied().unwrap_or(0))).collect();
    println!("{test}: {}", counted.join(", "));
}

/// Worlds for each mistake.
const BUG_SEEDS: u64 = 40;

const GOALS: [&str; 9] = [
    "acknowledged",
    "crashes",
    "component faults",
    "writes lost",
    "writes torn",
    "writes reordered",
    "names lost",
    "disk errors",
    "disk full",
];

#[test]
fn an_honest_disk_loses_nothing_that_was_acknowledged() {
    let batch = seeds("sim_wal::an_honest_disk_loses_nothing_that_was_acknowledged", 0..300).sometimes(&GOALS);
    let counts = batch.run(|seed| {
        let world = run(seed, None, |faults| faults);
        let result = judge_honest(&world);
        (world, result)
    });
    match counts {
        Ok(counts) => print("honest", &counts, &GOALS),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn what_a_lying_disk_loses_is_found_out() {
    let goals = ["acknowledged", "bits flipped", "disks older", "disks wiped", "doubtful"];
    let batch = seeds("sim_wal::what_a_lying_disk_loses_is_found_out", 0..200).sometimes(&goals);
    let counts = batch.run(|seed| {
        let world = run(seed, None, |faults| Faults {
            disk_kept: 0.9,
            disk: DiskFaults { flipped: 0.1, older: 0.1, ..faults.disk.clone() },
            ..faults
        });
        let result = judge_lying(&world);
        (world, result)
    });
    match counts {
        Ok(counts) => print("lying", &counts, &goals),
        Err(failure) => panic!("{failure}"),
    }
}

/// A mistake is caught with no fault of the disk but the one that it takes no
/// care of.
#[track_caller]
fn check_caught(bug: Bug, disk: &DiskFaults) {
    let caught: Vec<(u64, Violation)> = (0..BUG_SEEDS)
        .filter_map(|seed| {
            let world = run(seed, Some(bug), |faults| Faults { disk: disk.clone(), ..faults });
            Some((seed, judge_honest(&world).err()?))
        })
        .collect();
    let (first, violation) = caught.first().unwrap_or_else(|| panic!("{bug:?} was not caught by {BUG_SEEDS} seeds"));
    assert_eq!(violation.property, "durability", "{bug:?}: {violation}");
    println!("{bug:?}: caught by {} of {BUG_SEEDS} seeds, first by seed {first}: {violation}", caught.len());
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    check_caught(Bug::AcknowledgesBeforeTheSync, &DiskFaults::none());
}

#[test]
fn a_directory_that_is_not_synced_is_caught() {
    check_caught(Bug::LeavesTheDirectoryUnsynced, &DiskFaults::none());
}

#[test]
fn a_torn_tail_that_is_not_cut_off_is_caught() {
    check_caught(Bug::KeepsTheTornTail, &DiskFaults { spared: 1.0, torn: 1.0, ..DiskFaults::none() });
}

#[test]
fn a_failed_sync_that_is_tried_again_and_believed_is_caught() {
    let sync_errors = DiskFaults::honest().sync_errors;
    check_caught(Bug::BelievesASecondSync, &DiskFaults { sync_errors, ..DiskFaults::none() });
}
