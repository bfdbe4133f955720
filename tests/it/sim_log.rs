//! The replicated log in the simulator: batches of whole runs, and single moments
//! set by hand.

use nodewright::component::{Factory, Stack};
use nodewright::id::Kind;
use nodewright::protocol::replicated_log::{
    Call, Config, LogLeader, Mutant, NAME, Proposed, ReplicatedLog, SnapshotInstalled, Status, Unusable,
};
use nodewright::scenario;
use nodewright::sim::{DiskFault, DiskFaults, DiskKept, Faults, NodeIndex, Setup, Spell, World, seeds};
use std::time::Duration;

const NODES: [NodeIndex; 3] = [NodeIndex(0), NodeIndex(1), NodeIndex(2)];

fn log() -> Kind {
    Kind::of(NAME)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world(seed: u64, config: fn() -> Config) -> World {
    let mut world = World::new(seed);
    for name in ["alpha", "beta", "gamma"] {
        world.add_node(name, Stack { factories: vec![Factory::new(move || ReplicatedLog::new(config()))] });
    }
    world.run_for(seconds(4));
    world
}

fn status(world: &mut World, node: NodeIndex) -> Status {
    world.ask(node, log(), Call::Status, seconds(1)).expect("it answers")
}

fn leader(world: &mut World) -> NodeIndex {
    let leads = |world: &mut World, node| world.is_up(node) && status(world, node).leads;
    NODES.into_iter().find(|node| leads(world, *node)).expect("one leads")
}

fn wish(world: &mut World, at: NodeIndex, call: Call) -> Result<(), nodewright::error::CallError> {
    world.ask::<Result<(), _>>(at, log(), call, seconds(60)).and_then(|done| done)
}

/// What the user of a node was handed in its present life.
fn delivered(world: &World, node: NodeIndex) -> Vec<String> {
    let life = world.life(node);
    world
        .delivered(node)
        .filter(|(by, ..)| *by == life)
        .map(|(_, _, body)| String::from_utf8_lossy(body).into())
        .collect()
}

#[test]
fn what_is_acknowledged_stays_whatever_fails() {
    let scenario = scenario::find("log").expect("shipped");
    let goals: Vec<&str> = scenario.goals().iter().map(|goal| goal.what).collect();
    let batch = seeds("sim_log::what_is_acknowledged_stays_whatever_fails", 0..80).sometimes(&goals);
    let setup = Setup::default();
    let counts = batch.measures(setup, scenario.smallest()).explore(|setup| scenario.run(setup, None));
    match counts {
        Ok(counts) => println!("{:?}", goals.iter().map(|goal| (goal, counts[goal])).collect::<Vec<_>>()),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn broadcasts_are_delivered_in_one_order_and_again_by_the_next_life() {
    let mut world = world(1, Config::default);
    for n in 0..30 {
        world.broadcast(NODES[n % 3], log(), format!("m{n}"));
        world.run_for(Duration::from_millis(3));
    }
    world.run_for(seconds(2));
    let order = delivered(&world, NODES[0]);
    assert_eq!(order.len(), 30);
    for from in 0..3 {
        let own: Vec<usize> = order.iter().filter_map(|it| it[1..].parse().ok()).filter(|n| n % 3 == from).collect();
        assert!(own.is_sorted(), "a sender's are in its order: {own:?}");
    }
    NODES.iter().for_each(|node| world.crash(*node));
    NODES.iter().for_each(|node| world.restart(*node, true));
    world.run_for(seconds(4));
    for node in NODES {
        assert_eq!(delivered(&world, node), order, "the history on the disk is delivered to the next life");
    }
}

#[test]
fn trap_5_a_wiped_voter_is_another_replica_and_takes_part_again() {
    let mut world = world(2, Config::default);
    let (gone, before) = (NODES[1], status(&mut world, NODES[1]).replica);
    world.broadcast(NODES[0], log(), "kept");
    world.run_for(seconds(1));
    world.crash(gone);
    world.restart_with(gone, DiskKept::Nothing);
    world.run_for(seconds(10));
    let after = status(&mut world, gone);
    assert_ne!(after.replica, before);
    let ids: Vec<u64> = after.voters.iter().map(|member| member.replica).collect();
    assert!(ids.contains(&after.replica) && !ids.contains(&before), "{after:?}");
    assert_eq!(world.events::<SnapshotInstalled>(gone).count(), 1);
}

#[test]
fn trap_4_a_leader_that_is_to_be_removed_hands_over_and_stops() {
    for at in NODES {
        let mut world = world(3 + at.0 as u64, Config::default);
        let leader = leader(&mut world);
        let node = world.life(leader).node;
        let removed = wish(&mut world, at, Call::Remove { node, within: seconds(30) });
        if at != leader {
            assert_eq!(removed, Ok(()));
        }
        world.run_for(seconds(5));
        let other = NODES.into_iter().find(|it| *it != leader).expect("three");
        let now = status(&mut world, other);
        assert_eq!(now.voters.len(), 2);
        assert!(now.leader.is_some_and(|it| it != node));
        assert!(world.events::<Unusable>(leader).any(|(_, _, it)| it.why.contains("removed")), "it stopped");
        world.broadcast(other, log(), "the others go on");
        world.run_for(seconds(2));
        assert_eq!(delivered(&world, other), ["the others go on"]);
    }
}

/// One of three is down: without another that is up the one that is left could do
/// nothing.
#[test]
fn none_is_removed_that_the_majority_of_the_others_needs() {
    let mut world = world(5, Config::default);
    let leads = leader(&mut world);
    let others: Vec<NodeIndex> = NODES.into_iter().filter(|node| *node != leads).collect();
    world.crash(others[0]);
    world.run_for(seconds(4));
    let node = world.life(others[1]).node;
    let refused = wish(&mut world, leads, Call::Remove { node, within: seconds(10) });
    assert!(matches!(refused, Err(nodewright::error::CallError::TimedOut(_))), "{refused:?}");
    assert_eq!(status(&mut world, leads).voters.len(), 3);
    world.restart(others[0], true);
    assert_eq!(wish(&mut world, leads, Call::Remove { node, within: seconds(30) }), Ok(()));
    world.run_for(seconds(1));
    assert_eq!(status(&mut world, leads).voters.len(), 2);
    world.crash(others[1]);
    let gone = world.life(others[0]).node;
    world.crash(others[0]);
    world.run_for(seconds(4));
    let refused = wish(&mut world, leads, Call::Remove { node: gone, within: seconds(5) });
    assert!(refused.is_err(), "a group of two cannot agree that the other is gone: {refused:?}");
}

#[test]
fn leadership_moves_where_it_is_asked_to() {
    let mut world = world(7, Config::default);
    let to = NODES.into_iter().find(|node| *node != leader(&mut world)).expect("three");
    let node = world.life(to).node;
    let moved = wish(&mut world, NODES[0], Call::Transfer { to: node, within: seconds(30) });
    assert_eq!(moved, Ok(()));
    assert_eq!(leader(&mut world), to);
}

#[test]
fn a_flipped_bit_in_the_middle_of_the_log_is_told_and_the_replica_does_not_serve() {
    let mut world = world(9, Config::default);
    for n in 0..5 {
        world.broadcast(NODES[0], log(), format!("m{n}"));
        world.run_for(Duration::from_millis(200));
    }
    world.crash(NODES[0]);
    assert!(world.flip_bit(NODES[0], log(), "log/0000000000000001", 8 * 200));
    world.restart(NODES[0], true);
    world.run_for(seconds(3));
    let why = status(&mut world, NODES[0]).unusable.expect("it does not serve");
    assert!(why.contains("damaged at byte"), "{why}");
    let call = Call::Outcome { key: 1, within: seconds(1) };
    let refused: Result<nodewright::protocol::replicated_log::Answer, _> = world.ask(NODES[0], log(), call, seconds(2));
    assert!(matches!(refused, Ok(Err(_))), "{refused:?}");
    assert!(world.events::<LogLeader>(NODES[1]).last().is_some_and(|(_, _, it)| it.node.is_some()), "the others go on");
}

#[test]
fn without_a_majority_nothing_is_done_and_that_is_told_apart() {
    let mut world = world(11, || Config::default().machine(Kind(5), || Box::new(Null)));
    let propose = || Call::Propose { channel: Kind(5), command: "x".into(), key: None, within: seconds(2) };
    let others: Vec<NodeIndex> = NODES.into_iter().filter(|node| *node != NODES[0]).collect();
    others.iter().for_each(|node| world.crash(*node));
    world.run_for(seconds(5)); // whoever led has noticed
    let answer: Result<Proposed, _> = world.ask(NODES[0], log(), propose(), seconds(5));
    let Ok(Err(error)) = answer else { panic!("{answer:?}") };
    assert!(error.to_string().contains("not done"), "{error}");
    others.iter().for_each(|node| world.restart(*node, true));
    world.run_for(seconds(5));
    let answer: Result<Proposed, _> = world.ask(NODES[0], log(), propose(), seconds(5));
    assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
}

/// A group of one, whose disk is to fail; its machine holds nothing.
fn alone(seed: u64, mutant: Option<Mutant>) -> World {
    let mut world = World::new(seed);
    let config =
        move || Config { mutant, segment_bytes: 4096, ..Config::default() }.machine(Kind(5), || Box::new(Null));
    world.add_node("alpha", Stack { factories: vec![Factory::new(move || ReplicatedLog::new(config()))] });
    world.run_for(seconds(4));
    world
}

/// Proposes at the one node while its disk fails; says whether that was
/// acknowledged.
fn proposed(world: &mut World) -> bool {
    let command = vec![b'x'; 700].into(); // a few of them fill a segment
    let propose = Call::Propose { channel: Kind(5), command, key: None, within: seconds(1) };
    matches!(world.ask::<Proposed>(NODES[0], log(), propose, seconds(2)), Ok(Ok(_)))
}

#[test]
fn an_acknowledgement_never_follows_a_failed_write_or_sync_and_the_replica_stops_at_it() {
    for (seed, fault) in (0..10).flat_map(|seed| [(seed, DiskFault::Write), (seed, DiskFault::Sync)]) {
        let mut world = alone(seed, None);
        let life = world.life(NODES[0]);
        world.fail_next_disk(NODES[0], log(), fault);
        assert!(!proposed(&mut world), "{fault:?}, seed {seed}: acknowledged, and not durable");
        assert_eq!(world.component_faults(NODES[0]).len(), 1, "{fault:?}: it stopped once");
        world.run_for(seconds(4));
        assert_ne!(world.life(NODES[0]), life, "{fault:?}: a new life goes on from what is on the disk");
        assert!(proposed(&mut world), "{fault:?}, seed {seed}: it was written anew");
    }
    let mut world = alone(0, Some(Mutant::FailedSyncIgnored));
    world.fail_next_disk(NODES[0], log(), DiskFault::Sync);
    assert!(proposed(&mut world), "the planted bug is seen by this test");
}

/// A snapshot whose name's sync failed is there until the machine crashes: the life
/// that found it made way for what stood behind it, and the next had neither.
#[test]
fn a_snapshot_whose_name_may_be_lost_is_not_rested_on_alone() {
    let mut failed = 0;
    for (seed, moment) in (0..40).flat_map(|moment| [(0, moment), (1, moment)]) {
        let mut world = World::new(seed);
        let config = || {
            let small = Config { segment_bytes: 4096, snapshot_bytes: 3000, ..Config::default() };
            small.machine(Kind(5), || Box::new(Null))
        };
        world.add_node("alpha", Stack { factories: vec![Factory::new(move || ReplicatedLog::new(config()))] });
        // while a group is founded, or while it works
        world.run_for(if moment < 20 { Duration::from_micros(700 * moment) } else { seconds(4) });
        (20..moment).for_each(|_| assert!(proposed(&mut world)));
        world.fail_next_disk(NODES[0], log(), DiskFault::Sync);
        world.run_for(seconds(4));
        let mut acknowledged = 0;
        for _ in 0..12 {
            acknowledged += u64::from(proposed(&mut world));
            world.run_for(Duration::from_millis(300));
        }
        failed += usize::from(!world.component_faults(NODES[0]).is_empty());
        let applied = status(&mut world, NODES[0]).applied;
        world.crash(NODES[0]);
        world.restart(NODES[0], true);
        world.run_for(seconds(4));
        let after = status(&mut world, NODES[0]);
        assert_eq!(after.unusable, None, "seed {seed}, moment {moment}");
        assert!(after.applied >= applied && acknowledged > 0, "seed {seed}, moment {moment}: {after:?}");
        assert!(proposed(&mut world));
    }
    assert!(failed > 60, "{failed} lives failed");
}

#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let mut world = alone(1, None);
    assert!(proposed(&mut world));
    let before = status(&mut world, NODES[0]).applied;
    let full = Some(Spell { every: Duration::from_millis(50), lasting: seconds(3) });
    world.set_faults(Faults { disk: DiskFaults { full, ..DiskFaults::none() }, down_max: 1, ..Faults::none() });
    let mut acknowledged = 0;
    for _ in 0..20 {
        acknowledged += u64::from(proposed(&mut world));
        world.run_for(Duration::from_millis(100));
    }
    world.heal();
    world.run_for(seconds(10));
    world.restart(NODES[0], true);
    world.run_for(seconds(5));
    world.crash(NODES[0]);
    world.restart(NODES[0], true);
    world.run_for(seconds(5));
    assert!(world.counts().get("disk full").is_some_and(|count| *count > 0), "{:?}", world.counts());
    assert!(status(&mut world, NODES[0]).applied >= before + acknowledged);
    assert!(proposed(&mut world), "there is room again");
}

/// A machine that holds nothing.
struct Null;

impl nodewright::protocol::replicated_log::Machine for Null {
    fn apply(&mut self, _: nodewright::protocol::replicated_log::At, _: &[u8]) -> bytes::Bytes {
        bytes::Bytes::new()
    }
    fn query(&self, _: u64, _: &[u8]) -> nodewright::protocol::replicated_log::Queried {
        nodewright::protocol::replicated_log::Queried::NotYet
    }
    fn snapshot(&self, _: &mut Vec<u8>) {}
    fn restore(&mut self, _: u64, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn hash(&self) -> u64 {
        0
    }
}

#[test]
fn a_node_in_nobodys_list_joins_votes_learns_and_leaves() {
    let mut world = world(21, Config::default);
    let stack = || Stack { factories: vec![Factory::new(|| ReplicatedLog::new(Config::default()))] };
    world.broadcast(NODES[0], log(), "before it came");
    world.run_for(seconds(1));
    let joined: Vec<NodeIndex> = ["delta", "epsilon", "zeta"]
        .into_iter()
        .map(|name| {
            let node = world.add_joiner(name, stack());
            world.run_for(seconds(10));
            node
        })
        .collect();
    let now = status(&mut world, joined[2]);
    assert_eq!((now.voters.len(), now.learners.len()), (5, 1), "{now:?}");
    assert_eq!(now.learners[0].node, world.life(joined[2]).node, "the sixth learns");

    // Two that began it are gone: with its list alone there would be no majority.
    world.crash(NODES[0]);
    world.crash(NODES[1]);
    world.run_for(seconds(10));
    world.broadcast(joined[0], log(), "the joiners go on");
    world.run_for(seconds(5));
    assert!(delivered(&world, joined[1]).contains(&"the joiners go on".to_string()));

    // Four with two of them down could do nothing any more: first they are back.
    world.restart(NODES[0], true);
    world.restart(NODES[1], true);
    world.run_for(seconds(10));
    let node = world.life(joined[0]).node;
    assert_eq!(wish(&mut world, joined[1], Call::Remove { node, within: seconds(30) }), Ok(()));
    let settled = |world: &mut World| status(world, joined[2]).learners.is_empty();
    for _ in 0..6 {
        if settled(&mut world) {
            break;
        }
        world.run_for(seconds(10));
    }
    let now = status(&mut world, joined[2]);
    assert_eq!((now.voters.len(), now.learners.len()), (5, 0), "the learner took its place: {now:?}");
    assert!(now.voters.iter().all(|it| it.node != node));
    assert!(world.events::<Unusable>(joined[0]).any(|(_, _, it)| it.why.contains("removed")), "it stopped");
}

#[test]
fn nodes_join_a_small_group_while_everything_fails() {
    // One that waits outside has to hear that another, which waited with it, is a
    // member by now: seed 10 had it deaf to a leader for ever.
    let scenario = scenario::find("log").expect("shipped");
    let batch = seeds("sim_log::nodes_join_a_small_group_while_everything_fails", 0..60);
    let batch = batch.sometimes(&["joiners vote", "disks wiped", "members replaced", "crashes"]);
    let setup = Setup { nodes: 3, ..Setup::default() };
    if let Err(failure) = batch.measures(setup, scenario.smallest()).explore(|setup| scenario.run(setup, None)) {
        panic!("{failure}");
    }
}
