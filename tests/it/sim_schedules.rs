//! Schedules that once lost messages in systems of this kind, kept by name.

use crate::sim_delivery::{joined, millis, stack};
use nodewright::component::{Factory, Stack};
use nodewright::protocol::delivery::{Broadcast, Config, Delivery, Gap, GapWhy, Mutant};
use nodewright::protocol::failure_detector::{self as detector, Detector, Suspicion};
use nodewright::protocol::membership::{self, Membership};
use nodewright::sim::check::{self, History, SETTLED};
use nodewright::sim::{NodeIndex, World, transcript};
use std::time::Duration;

fn world(seed: u64, names: &[&str], rung: Delivery, mutant: Option<Mutant>) -> World {
    let mut world = World::new(seed);
    for name in names {
        world.add_node(name, stack(rung, mutant));
    }
    world.run_for(millis(2000));
    world
}

fn has(world: &World, node: NodeIndex, text: &str) -> bool {
    let life = world.life(node);
    world.delivered(node).any(|(by, _, body)| by == life && &body[..] == text.as_bytes())
}

/// A node's next life, without its memory, once it has joined.
fn restart(world: &mut World, node: NodeIndex, rung: Delivery) {
    world.crash(node);
    world.restart(node, false);
    for _ in 0..400 {
        if joined(world, node, rung) {
            return;
        }
        world.run_for(millis(25));
    }
    panic!("never joined again: {:?}", world.inspect(node));
}

/// n0 and n2 acknowledge a message that n1 never saw, and n0 delivers it. Then
/// n1 and n0 restart one after the other without their memory, and n2 crashes.
/// Were the acknowledgement of a life without memory, or of one that is gone,
/// counted as a promise, nobody would hold the message now.
///
/// Kept is what n1's new life delivers. Told is what it reports as a gap: it
/// was stable in all lives that the others knew, before they knew of n1's.
fn rolling_restart(seed: u64, mutant: Option<Mutant>) -> (World, bool, bool) {
    let rung = Delivery::Uniform;
    let mut world = world(seed, &["n0", "n1", "n2"], rung, mutant);
    let [n0, n1, n2] = [0, 1, 2].map(NodeIndex);
    world.partition(&[n1]);
    world.broadcast(n0, rung.kind(), "precious");
    let delivered = world.run_until(|world| has(world, n0, "precious"), millis(2000));
    assert!(delivered, "a majority holds it");
    world.crash(n1);
    world.join(n0, n1);
    world.join(n1, n0);
    world.join(n2, n1);
    world.join(n1, n2);
    restart(&mut world, n1, rung);
    restart(&mut world, n0, rung);
    world.crash(n2);
    world.run_for(millis(5000));
    let kept = has(&world, n1, "precious");
    let lives = [world.life(n0), world.life(n1)];
    let told = world.events::<Gap>(n1).any(|(_, by, gap)| lives.contains(&by) && gap.why == GapWhy::BeforeThisLife);
    (world, kept, told)
}

#[test]
fn a_rolling_restart_without_disk_loses_nothing() {
    let runs = (0..40).map(|seed| (seed, rolling_restart(seed, None)));
    let kept = runs.filter(|(seed, (world, kept, told))| {
        assert!(kept | told, "seed {seed}: lost\n{}", world.trace().transcript());
        *kept
    });
    assert_eq!(kept.count(), 40);
}

#[test]
fn counted_amnesiac_acknowledgements_lose_a_message_in_a_rolling_restart() {
    let lost = (0..40).map(|seed| rolling_restart(seed, Some(Mutant::CountAmnesiacAcks)));
    let lost = lost.filter(|(_, kept, told)| !kept && !told).count();
    assert!(lost > 0, "the planted bug was not caught");
}

/// The sender's message reaches beta alone; the sender restarts so soon that
/// nobody suspects it.
fn unsuspected_restart(seed: u64, rung: Delivery, mutant: Option<Mutant>) -> World {
    let mut world = world(seed, &["alpha", "beta", "gamma", "delta", "epsilon"], rung, mutant);
    let [alpha, beta] = [0, 1].map(NodeIndex);
    for far in 2..5 {
        world.part(alpha, NodeIndex(far));
    }
    world.broadcast(alpha, rung.kind(), "one copy");
    world.run_for(millis(150));
    world.crash(alpha);
    for far in 2..5 {
        world.join(alpha, NodeIndex(far));
    }
    world.restart(alpha, false);
    world.run_for(millis(10_000));
    world.mark(SETTLED);
    world.broadcast(beta, rung.kind(), "afterwards");
    world.run_for(millis(3000));
    world
}

#[test]
fn a_sender_that_reaches_one_peer_and_restarts_unsuspected() {
    for rung in [
        Delivery::Reliable,
        Delivery::ReliableFifo,
        Delivery::ReliableCausal,
        Delivery::Uniform,
        Delivery::UniformFifo,
        Delivery::UniformCausal,
    ] {
        for seed in 0..10 {
            let world = unsuspected_restart(seed, rung, None);
            let history = History::of(world.trace(), rung.kind());
            let check = check::agreement(&history).and_then(|()| check::uniform_agreement(&history));
            let check = check.and_then(|()| check::validity(&history));
            let transcript = || world.trace().transcript();
            assert_eq!(check, Ok(()), "{rung}, seed {seed}\n{}", transcript());
            let suspicions = world.all().flat_map(|node| world.events::<Suspicion>(node).collect::<Vec<_>>());
            assert!(suspicions.into_iter().all(|(_, _, it)| !it.suspected), "{}", transcript());
            assert!(
                (1..5).all(|node| has(&world, NodeIndex(node), "one copy")),
                "{rung}, seed {seed}\n{}",
                transcript()
            );
        }
    }
}

#[test]
fn without_relay_and_pull_one_copy_stays_with_one_peer() {
    let world = unsuspected_restart(1, Delivery::Reliable, Some(Mutant::NoRelayNoPull));
    let history = History::of(world.trace(), Delivery::Reliable.kind());
    assert!(check::agreement(&history).is_err());
}

const SMALL: u64 = 64 << 10;

fn small(rung: Delivery) -> Config {
    Config {
        window_bytes: SMALL,
        origin_bytes_max: 4 * SMALL,
        unstable_bytes_max: 2 * SMALL,
        consumed_backlog_bytes_max: SMALL,
        ..Config::new(rung)
    }
}

/// Bytes that the delivery component of a node holds, as it says.
fn held(world: &mut World, node: NodeIndex, rung: Delivery) -> u64 {
    let row = world.inspect_row(node, rung.name(), "held unstable").expect("a voter says it");
    row.trim_end_matches(" B").parse().expect("a number of bytes")
}

fn an_hour_without(leave: fn(&mut World, NodeIndex), back: fn(&mut World, NodeIndex)) {
    let rung = Delivery::UniformFifo;
    let mut world = World::new(7);
    for name in ["alpha", "beta", "gamma", "delta"] {
        let detector = detector::Config::growing(millis(5000), millis(1000), millis(1500));
        let factories = vec![
            Factory::new(move || Detector::new(detector)),
            Factory::new(|| Membership::new(membership::Config::new(Duration::from_secs(30)))),
            Factory::new(move || Broadcast::new(small(rung))),
        ];
        world.add_node(name, Stack { factories });
    }
    let (delta, body) = (NodeIndex(3), "x".repeat(2000));
    world.run_for(millis(3000));
    leave(&mut world, delta);
    let ceiling = small(rung).memory_ceiling(3);
    let mut highest = 0;
    for minute in 0..60 {
        for n in 0..20 {
            for node in 0..3 {
                world.broadcast(NodeIndex(node), rung.kind(), format!("{minute}.{n}.{node} {body}"));
            }
            world.run_for(millis(3000));
            for node in (0..3).map(NodeIndex) {
                let bytes = held(&mut world, node, rung) + world.queued_bytes(node) as u64;
                highest = highest.max(bytes);
                assert!(bytes <= ceiling, "minute {minute}: {bytes} B of {ceiling}: {:?}", world.inspect(node));
            }
        }
    }
    assert!(highest > 0, "something was held while nobody had given delta up");
    assert_eq!(world.delivered(NodeIndex(0)).count(), 60 * 60);
    let first = world.life(delta);
    back(&mut world, delta);
    world.run_for(millis(20_000));
    assert!(world.life(delta) > first && joined(&mut world, delta, rung), "back as a new life");
    world.mark(SETTLED);
    world.broadcast(NodeIndex(0), rung.kind(), "good to see you");
    world.run_for(millis(5000));
    assert!(has(&world, delta, "good to see you"));
    let history = History::of(world.trace(), rung.kind());
    assert_eq!(check::uniform_agreement(&history).and_then(|()| check::fifo_order(&history)), Ok(()));
}

#[test]
fn a_peer_down_for_an_hour_leaves_memory_under_its_ceiling() {
    an_hour_without(World::crash, |world, node| world.restart(node, false));
}

#[test]
fn a_peer_paused_for_an_hour_leaves_memory_under_its_ceiling() {
    an_hour_without(World::pause, World::resume);
}

#[test]
fn the_transcript_of_a_crash_is_kept() {
    let rung = Delivery::UniformCausal;
    let mut world = world(1, &["alpha", "beta", "gamma"], rung, None);
    let [alpha, beta, gamma] = [0, 1, 2].map(NodeIndex);
    world.broadcast(alpha, rung.kind(), "first");
    world.run_for(millis(100));
    world.crash(gamma);
    world.broadcast(beta, rung.kind(), "second");
    world.run_for(millis(8000));
    world.restart(gamma, false);
    world.run_for(millis(1000));
    world.broadcast(gamma, rung.kind(), "third");
    world.run_for(millis(500));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/transcripts/crash.txt");
    if let Err(difference) = transcript(world.trace(), file) {
        panic!("{difference}");
    }
}
