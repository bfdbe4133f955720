//! Two moments of the ring that drawn worlds hardly meet, set by hand, each with the
//! planted bug that it catches: a row of the table in [`mutants`](crate::mutants).

use crate::mutants::Row;
use bytes::Bytes;
use nodewright::component::{Factory, Stack};
use nodewright::id::Kind;
use nodewright::protocol::failure_detector::{self as detector, Detector};
use nodewright::protocol::replicated_log::{self as log, ReplicatedLog};
use nodewright::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
use nodewright::service::ring::holder::{self, Held, Holder, Refusal, Stocked};
use nodewright::service::ring::member::{self, Config, Cut, Mutant, Ring};
use nodewright::service::ring::sums::part_digest;
use nodewright::sim::{DiskKept, NodeIndex, Ticket, World};
use std::time::Duration;

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const CONTENT: &str = "forty bytes, that five nodes keep parts of";

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world(seed: u64, nodes: usize, copies: u8, mutant: Option<Mutant>) -> World {
    // what repairs from anything is caught by the holder, unless that believes it too
    let believes = (mutant == Some(Mutant::RepairsUnverified)).then_some(holder::Mutant::RelabelsEmpty);
    let stack = || {
        let log = || {
            let small = log::Config { segment_bytes: 16_384, snapshot_bytes: 20_000, ..log::Config::default() };
            ReplicatedLog::new(small.machine(CHANNEL, || Box::new(Table::default())))
        };
        let config = Config { copies, mutant, ..Config::default() };
        Stack {
            factories: vec![
                Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200)))),
                Factory::new(log),
                Factory::new(ReplicatedMap::default),
                Factory::new(move || Holder::planted(believes)),
                Factory::new(move || Ring::new(config.clone())),
            ],
        }
    };
    let mut world = World::new(seed);
    NAMES[..nodes].iter().for_each(|name| _ = world.add_node(name, stack()));
    world.run_for(millis(4000));
    world
}

fn say(node: NodeIndex, text: &str, world: &mut World) -> String {
    let call = member::Call::Talk(Bytes::copy_from_slice(text.as_bytes()));
    let answer = world.ask::<Result<Bytes, Cut>>(node, Kind::of(member::NAME), call, millis(60_000));
    answer.map_or_else(
        |error| format!("{error:?}"),
        |answer| answer.map_or_else(|cut| format!("{cut:?}"), |it| String::from_utf8_lossy(&it).into_owned()),
    )
}

fn leader(world: &mut World) -> NodeIndex {
    let leads = |world: &mut World, node| {
        let status = world.ask::<log::Status>(node, Kind::of(log::NAME), log::Call::Status, millis(1000));
        status.is_ok_and(|status| status.leads)
    };
    world.all().find(|node| leads(world, *node)).expect("one leads")
}

/// A world in which a push has begun at a node that does not lead the log, how to hear
/// of its end, the node, and the leader.
fn pushing(mutant: Option<Mutant>) -> (World, Ticket, NodeIndex, NodeIndex) {
    let mut world = world(3, 5, 1, mutant);
    let leads = leader(&mut world);
    let entry = world.all().find(|node| *node != leads).expect("another");
    let push = Bytes::from(format!("FILE PUSH {} a\n{CONTENT}", CONTENT.len()));
    let ticket = world.call(entry, Kind::of(member::NAME), Box::new(member::Call::Talk(push)), millis(50_000));
    (world, ticket, entry, leads)
}

const STEP: Duration = Duration::from_micros(100);

/// After how many steps a push that nothing troubles is done.
fn done_after() -> u64 {
    let (mut world, ticket, ..) = pushing(None);
    let done = |world: &mut World| {
        world.run_for(STEP);
        world.answer::<Result<Bytes, Cut>>(ticket).is_some()
    };
    (1..).find(|_| done(&mut world)).unwrap_or(0)
}

/// A majority falls at some step of a push, so that the entry node gives it up without
/// knowing what the log has of it, and comes back: what is listed then can be read.
fn abandoned(step: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let (mut world, _, entry, leads) = pushing(mutant);
    world.run_for(STEP * u32::try_from(step).expect("few"));
    let others = world.all().filter(|node| ![entry, leads].contains(node)).take(2);
    let fall: Vec<NodeIndex> = others.chain([leads]).collect();
    fall.iter().for_each(|node| world.crash(*node));
    world.run_for(millis(20_000));
    fall.iter().for_each(|node| world.restart(*node, true));
    world.run_for(millis(40_000));
    for node in world.all() {
        let (list, read) = (say(node, "FILE LIST\n", &mut world), say(node, "FILE GET 0 99 a\n", &mut world));
        let listed = list.lines().any(|line| line.starts_with("a,"));
        if !list.contains("root") || listed && !read.ends_with(CONTENT) {
            return Err(format!("step {step}, {node:?}: {list:?}, {read:?}"));
        }
    }
    Ok(())
}

/// So long before its end a push is struck.
const STEPS: u64 = 100;

#[test]
fn a_push_that_was_given_up_without_knowing_keeps_its_bytes_until_the_map_says_so() {
    let done = done_after();
    for step in (done.saturating_sub(STEPS)..done).step_by(7) {
        abandoned(step, None).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// One copy rots, another is wiped: it is filled again from the third, which is right.
fn refilled(seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let mut world = world(seed, 3, 3, mutant);
    let pushed = say(NodeIndex(0), &format!("FILE PUSH {} a\n{CONTENT}", CONTENT.len()), &mut world);
    assert!(pushed.contains("\nOK "), "{pushed}");
    world.run_for(millis(1000)); // all nodes know that it was committed
    for nth in 0..3 {
        let rotted = world.ask::<bool>(NodeIndex(0), Kind::of(holder::NAME), holder::Call::Rot(nth), millis(200));
        assert_eq!(rotted, Ok(true));
    }
    world.crash(NodeIndex(1));
    world.restart_with(NodeIndex(1), DiskKept::Nothing);
    world.run_for(millis(60_000));
    let inventory = world.ask::<Result<Vec<Stocked>, Refusal>>(
        NodeIndex(1),
        Kind::of(holder::NAME),
        holder::Call::Inventory,
        millis(1000),
    );
    let stocked = inventory.expect("an answer").expect("it has started");
    assert_eq!(stocked.len(), 3, "all is there again: {stocked:?}");
    for part in stocked {
        let has = holder::Call::Has(part.id);
        let held = world.ask::<Result<Held, Refusal>>(NodeIndex(1), Kind::of(holder::NAME), has, millis(1000));
        let held = held.expect("an answer").expect("it has it");
        if part_digest(&held.sums) != held.digest {
            return Err(format!("seed {seed}: {part:?} was filled from a bad copy"));
        }
    }
    Ok(())
}

#[test]
fn a_corrupt_copy_is_never_the_source_of_a_repair() {
    for seed in 0..10 {
        refilled(seed, None).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// The rows of these two.
pub fn rows() -> Vec<Row> {
    let caught = |runs: u64, run: &dyn Fn(u64) -> Result<(), String>, mutant: &str| {
        (0..runs).find(|it| run(*it).is_err()).unwrap_or_else(|| panic!("{mutant} is not noticed")) + 1
    };
    let done = done_after();
    let aborts = caught(done, &|it| abandoned(done - it, Some(Mutant::AbortWithoutMap)), "abort-without-map");
    let repairs = caught(10, &|it| refilled(it, Some(Mutant::RepairsUnverified)), "repairs-unverified");
    vec![
        Row {
            property: "ring: what is listed can be read",
            mutant: "staged bytes go although the map was not asked (abort-without-map)".into(),
            caught_by: "sim_ring_planted".into(),
            needed: format!("{aborts} moments"),
        },
        Row {
            property: "ring: copies are what was pushed",
            mutant: "a copy is filled from whatever bytes a holder gives (repairs-unverified)".into(),
            caught_by: "sim_ring_planted".into(),
            needed: format!("{repairs} seeds"),
        },
    ]
}
