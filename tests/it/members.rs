//! Detectors and membership in the simulator: who is suspected, whose life is
//! ended, and above all who is not.

use nodewright::component::{EndedWhy, Factory, Stack};
use nodewright::error::Fault;
use nodewright::id::{Life, NodeId};
use nodewright::protocol::failure_detector::{self, Detector, SelfPaused, Suspicion};
use nodewright::protocol::membership::{self, Membership, View};
use nodewright::sim::{Faults, NodeIndex, What, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const LONG: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

fn detectors() -> [failure_detector::Config; 3] {
    let (period, second) = (Duration::from_millis(200), Duration::from_secs(1));
    [
        failure_detector::Config::fixed(2 * second, period),
        failure_detector::Config::growing(second, second, period),
        failure_detector::Config::default(),
    ]
}

fn stack(detector: failure_detector::Config, exclude_after: Duration) -> Stack {
    let membership = membership::Config::new(exclude_after);
    Stack {
        factories: vec![
            Factory::new(move || Detector::new(detector)),
            Factory::new(move || Membership::new(membership)),
        ],
    }
}

fn world(seed: u64, voters: usize, detector: failure_detector::Config) -> (World, Vec<NodeIndex>) {
    excluding(seed, voters, detector, LONG)
}

fn excluding(
    seed: u64,
    voters: usize,
    detector: failure_detector::Config,
    exclude_after: Duration,
) -> (World, Vec<NodeIndex>) {
    let mut world = World::new(seed);
    let nodes = NAMES[..voters].iter().map(|name| world.add_node(name, stack(detector, exclude_after))).collect();
    (world, nodes)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a node's present life thinks: the lives that it suspects and that are
/// not over for it. (A detector may say so just before it learns that a life is
/// over.)
fn suspects(world: &World, node: NodeIndex) -> BTreeSet<Life> {
    let me = world.life(node);
    let (mut suspected, mut over) = (BTreeSet::new(), BTreeSet::new());
    for record in world.trace().records().iter().filter(|record| record.life == me) {
        match &record.what {
            What::Published(event) => {
                if let Some(suspicion) = event.get::<Suspicion>() {
                    if suspicion.suspected {
                        suspected.insert(suspicion.life);
                    } else {
                        suspected.remove(&suspicion.life);
                    }
                }
            }
            What::Ended(life, _) => drop(over.insert(*life)),
            _ => {}
        }
    }
    suspected.difference(&over).copied().collect()
}

/// Every decision: who was told, whose life it was, why.
fn ended(world: &World, why: EndedWhy) -> Vec<(NodeId, Life)> {
    let records = world.trace().records().iter();
    let ended = records.filter_map(|record| match record.what {
        What::Ended(life, because) if because == why => Some((record.life.node, life)),
        _ => None,
    });
    ended.collect()
}

/// The voters' lives in a node's latest view.
fn viewed(world: &World, node: NodeIndex) -> Vec<Life> {
    let me = world.life(node);
    let views = world.events::<View>(node).filter(|(_, life, _)| *life == me);
    views.last().map(|(.., view)| view.voters.iter().map(|member| member.life).collect()).unwrap_or_default()
}

/// All are up, all see the same lives, nobody suspects anybody.
fn check_whole(world: &World, context: &str) {
    let mut lives: Vec<Life> = world.all().map(|node| world.life(node)).collect();
    lives.sort();
    for node in world.all() {
        assert!(world.is_up(node), "{context}: {node:?} is down");
        assert_eq!(viewed(world, node), lives, "{context}: the view of {node:?}");
        assert_eq!(suspects(world, node), BTreeSet::new(), "{context}: suspected by {node:?}");
    }
}

#[test]
fn a_crash_is_suspected_by_all_and_nobody_else_is() {
    for detector in detectors() {
        let (mut world, nodes) = world(1, 4, detector);
        world.run_for(secs(20));
        check_whole(&world, "before");
        let dead = world.life(nodes[2]);
        world.crash(nodes[2]);
        world.run_for(secs(4));
        for &node in [nodes[0], nodes[1], nodes[3]].iter() {
            assert_eq!(suspects(&world, node), BTreeSet::from([dead]), "{detector:?}");
        }
        world.restart(nodes[2], false);
        world.run_for(secs(4));
        check_whole(&world, "after the restart");
        let back = world.events::<Suspicion>(nodes[0]).last().expect("announced").2.clone();
        assert_eq!((back.life, &*back.name, back.suspected), (world.life(nodes[2]), "gamma", false));
    }
}

#[test]
fn a_paused_node_is_suspected_and_accuses_nobody_when_it_wakes() {
    for detector in detectors() {
        let (mut world, nodes) = world(2, 4, detector);
        world.run_for(secs(10));
        world.pause(nodes[0]);
        world.run_for(secs(6));
        assert!(suspects(&world, nodes[1]).contains(&world.life(nodes[0])), "{detector:?}");
        world.resume(nodes[0]);
        world.run_for(secs(10));
        check_whole(&world, "after the pause");
        assert_eq!(world.events::<Suspicion>(nodes[0]).count(), 0, "{detector:?}");
        assert_eq!(world.events::<SelfPaused>(nodes[0]).count(), 1, "{detector:?}");
    }
}

#[test]
fn a_one_way_cut_is_seen_from_one_side() {
    let (mut world, nodes) = world(3, 3, failure_detector::Config::default());
    world.run_for(secs(10));
    world.part(nodes[0], nodes[1]);
    world.run_for(secs(5));
    assert_eq!(suspects(&world, nodes[1]), BTreeSet::from([world.life(nodes[0])]));
    assert!(suspects(&world, nodes[0]).is_empty() && suspects(&world, nodes[2]).is_empty());
    world.join(nodes[0], nodes[1]);
    world.run_for(secs(5));
    check_whole(&world, "after the cut");
}

#[test]
fn a_majority_ends_a_crashed_life_and_its_node_comes_back_as_a_new_one() {
    let (mut world, nodes) = world(4, 4, failure_detector::Config::default());
    world.run_for(secs(5));
    let dead = world.life(nodes[3]);
    world.crash(nodes[3]);
    world.run_for(LONG);
    assert!(ended(&world, EndedWhy::Decided).is_empty(), "too soon");
    world.run_for(secs(10));
    let decided: BTreeSet<(NodeId, Life)> = ended(&world, EndedWhy::Decided).into_iter().collect();
    let expected = nodes[..3].iter().map(|node| (world.life(*node).node, dead)).collect();
    assert_eq!(decided, expected);
    world.restart(nodes[3], false);
    world.run_for(secs(10));
    check_whole(&world, "after the return");
    assert_eq!(ended(&world, EndedWhy::Decided).len(), 3);
}

#[test]
fn a_minority_ends_nobody_and_is_itself_ended() {
    let (mut world, nodes) = world(5, 5, failure_detector::Config::default());
    world.run_for(secs(5));
    let before: Vec<Life> = nodes.iter().map(|node| world.life(*node)).collect();
    world.partition(&nodes[..2]);
    world.run_for(HOUR);
    let decided: BTreeSet<(NodeId, Life)> = ended(&world, EndedWhy::Decided).into_iter().collect();
    let expected = before[2..].iter().flat_map(|by| before[..2].iter().map(move |life| (by.node, *life))).collect();
    assert_eq!(decided, expected);
    world.heal();
    world.run_for(secs(20));
    check_whole(&world, "after the partition");
    for (at, node) in nodes.iter().enumerate() {
        assert_eq!(world.life(*node) != before[at], at < 2, "only who was cut off begins anew");
    }
}

#[test]
fn a_partition_into_halves_ends_nobody_for_ever() {
    let (mut world, nodes) = world(6, 4, failure_detector::Config::default());
    world.run_for(secs(5));
    world.partition(&nodes[..2]);
    world.run_for(HOUR);
    assert!(ended(&world, EndedWhy::Decided).is_empty());
    world.heal();
    world.run_for(secs(20));
    check_whole(&world, "after the partition");
}

#[test]
fn two_that_cannot_see_each_other_stay_both() {
    let (mut world, nodes) = world(7, 4, failure_detector::Config::default());
    world.run_for(secs(5));
    world.part(nodes[0], nodes[1]);
    world.part(nodes[1], nodes[0]);
    world.run_for(HOUR);
    assert!(suspects(&world, nodes[0]).contains(&world.life(nodes[1])));
    assert!(ended(&world, EndedWhy::Decided).is_empty(), "two opinions of four are no majority");
    world.heal();
    world.run_for(secs(10));
    check_whole(&world, "after the cut");
}

#[test]
fn who_sleeps_too_long_wakes_as_a_new_life_and_ends_nobody() {
    let (mut world, nodes) = world(8, 4, failure_detector::Config::default());
    world.run_for(secs(5));
    let asleep = world.life(nodes[1]);
    world.pause(nodes[1]);
    world.run_for(secs(60));
    world.resume(nodes[1]);
    world.run_for(secs(20));
    check_whole(&world, "awake");
    assert!(world.life(nodes[1]) > asleep);
    assert!(ended(&world, EndedWhy::Decided).iter().all(|(_, life)| *life == asleep));
}

#[test]
fn who_leaves_is_over_at_once_and_suspected_by_nobody() {
    let (mut world, nodes) = world(9, 3, failure_detector::Config::default());
    world.run_for(secs(5));
    world.stop(nodes[2]);
    world.run_for(secs(60));
    assert_eq!(ended(&world, EndedWhy::Left).len(), 2);
    assert!(ended(&world, EndedWhy::Decided).is_empty());
    assert!(nodes[..2].iter().all(|node| suspects(&world, *node).is_empty()));
    assert_eq!(viewed(&world, nodes[0]).len(), 2);
    world.restart(nodes[2], true);
    world.run_for(secs(5));
    check_whole(&world, "after the return");
}

#[test]
fn a_listener_is_its_sponsors_affair() {
    let (mut world, nodes) = world(10, 3, failure_detector::Config::default());
    let ear = world.add_listener("ear", stack(failure_detector::Config::default(), LONG), nodes[0]);
    world.run_for(secs(5));
    let listens = |world: &World| {
        let views = world.events::<View>(nodes[0]);
        views.last().map_or(0, |(.., view)| view.listeners.len())
    };
    assert_eq!(listens(&world), 1);
    let asleep = world.life(ear);
    world.pause(ear);
    world.run_for(secs(30));
    assert_eq!(ended(&world, EndedWhy::Decided), [(world.life(nodes[0]).node, asleep)]);
    assert_eq!(listens(&world), 0);
    world.resume(ear);
    world.run_for(secs(20));
    assert!(world.life(ear) > asleep);
    assert_eq!(listens(&world), 1);
    // Its sponsor is gone for long: it joins anew, again and again.
    let orphan = world.life(ear);
    world.crash(nodes[0]);
    world.run_for(secs(60));
    let faults: Vec<Life> = world.component_faults(ear).iter().map(|(life, _)| *life).collect();
    assert_eq!(faults, [orphan], "a listener that has found no sponsor yet waits");
    assert!(matches!(world.component_faults(ear)[0].1, Fault::LifeEnded(_)));
    world.restart(nodes[0], false);
    world.run_for(secs(10));
    assert_eq!(listens(&world), 1);
}

/// What holds in every world: a decision rests on a majority, and the sets
/// agree once the faults stop.
fn chaos(seed: u64, detector: failure_detector::Config) -> World {
    let mut drawn = fastrand::Rng::with_seed(seed);
    let voters = drawn.usize(3..=5);
    let faults = Faults::draw(&mut drawn, (voters - 1) / 2);
    // Impatient, so that pauses and partitions are enough for a decision.
    let (mut world, nodes) = excluding(seed, voters, detector, Duration::from_millis(400));
    world.run_for(secs(5));
    world.set_faults(faults);
    world.run_for(secs(40));
    world.heal();
    world.restart_all();
    world.run_for(secs(40));
    let context = format!("seed {seed}, {detector:?}");
    check_whole(&world, &context);
    // Eventual accuracy: the mistakes have stopped.
    let now = world.now();
    let mistakes = |world: &World| nodes.iter().map(|node| world.events::<Suspicion>(*node).count()).sum::<usize>();
    let before = mistakes(&world);
    world.run_for(secs(120));
    assert_eq!(mistakes(&world), before, "{context}: still making mistakes {:?} after {now:?}", world.now());
    check_decisions(&world, voters, &context);
    world
}

/// Nobody is ended by decision while a majority did not suspect it.
fn check_decisions(world: &World, voters: usize, context: &str) {
    let mut suspecting: BTreeMap<Life, BTreeMap<NodeId, Life>> = BTreeMap::new();
    let mut decided = BTreeSet::new();
    for record in world.trace().records() {
        match &record.what {
            What::Published(event) => {
                if let Some(suspicion) = event.get::<Suspicion>().filter(|suspicion| suspicion.suspected) {
                    suspecting.entry(suspicion.life).or_default().insert(record.life.node, record.life);
                }
            }
            What::Ended(life, EndedWhy::Decided) if decided.insert(*life) => {
                // A succeeded life is a fact, passed on without a vote.
                let succeeded = world.trace().records().iter().any(
                    |other| matches!(&other.what, What::Ended(over, why) if over == life && *why != EndedWhy::Decided),
                );
                let opinions = suspecting.get(life).map_or(0, BTreeMap::len);
                assert!(succeeded || opinions > voters / 2, "{context}: {life} was ended by {opinions} of {voters}");
            }
            _ => {}
        }
    }
}

#[test]
fn after_any_faults_the_crashed_are_suspected_and_the_living_are_not() {
    let mut totals: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (at, detector) in detectors().into_iter().enumerate() {
        for seed in 0..8 {
            let world = chaos(seed * 3 + at as u64, detector);
            for (what, count) in world.counts() {
                *totals.entry(what).or_insert(0) += count;
            }
            *totals.entry("decisions").or_insert(0) += ended(&world, EndedWhy::Decided).len() as u64;
        }
    }
    for goal in ["suspicion", "self_paused", "decisions", "lives outlived", "crashes", "partitions", "frames lost"] {
        assert!(totals.get(goal).is_some_and(|count| *count > 0), "never seen: {goal} in {totals:?}");
    }
}
