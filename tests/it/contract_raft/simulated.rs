//! The same component in the simulated world, under its faults.

use super::engine::{Applied, Persist, Propose, Proposed, RaftLog};
use super::one_order;
use nodewright::component::{Factory, NetComponent, Stack};
use nodewright::sim::{Faults, NodeIndex, World};
use std::time::Duration;

const CHAOS: Duration = Duration::from_secs(6);
const HEAL: Duration = Duration::from_secs(20);

fn world(seed: u64, persist: Persist) -> (World, Vec<NodeIndex>) {
    let mut world = World::new(seed);
    let stack = || Stack { factories: vec![Factory::new(move || RaftLog::new(persist))] };
    let nodes = ["alpha", "beta", "gamma"].map(|name| world.add_node(name, stack())).to_vec();
    (world, nodes)
}

/// Proposes `data` at `node`, waits a little, says whether it was applied.
fn proposed(world: &mut World, node: NodeIndex, data: u64) -> bool {
    let kind = RaftLog::new(Persist::BeforeAcknowledging).manifest().kind();
    let call = Box::new(Propose(data.to_le_bytes().to_vec()));
    let ticket = world.call(node, kind, call, Duration::from_millis(200));
    world.run_for(Duration::from_millis(40));
    world.answer::<Proposed>(ticket) == Some(Ok(Proposed::Applied))
}

/// Proposes one entry after the other; returns those acknowledged.
fn propose_for(world: &mut World, nodes: &[NodeIndex], time: Duration, first: u64) -> Vec<u64> {
    let (end, mut next, mut acknowledged) = (world.now() + time, first, Vec::new());
    while world.now() < end {
        let node = nodes[world.rng().usize(..nodes.len())];
        acknowledged.extend(proposed(world, node, next).then_some(next));
        next += 1;
    }
    acknowledged
}

/// What each life of each node applied, in order.
fn histories(world: &World, nodes: &[NodeIndex]) -> Vec<Vec<Applied>> {
    let mut histories = Vec::new();
    for node in nodes {
        let mut last = None;
        for (_, life, applied) in world.events::<Applied>(*node) {
            if last.replace(life) != Some(life) {
                histories.push(Vec::new());
            }
            histories.last_mut().expect("pushed above").extend([applied.clone()]);
        }
    }
    histories
}

/// The acknowledged entries that a node's present life never applied.
fn lost(world: &World, nodes: &[NodeIndex], acknowledged: &[u64]) -> Vec<u64> {
    let missing = |data: &u64| {
        nodes.iter().any(|node| {
            let now = world.life(*node);
            let mut applied = world.events::<Applied>(*node).filter(|(_, life, _)| *life == now);
            !applied.any(|(_, _, applied)| applied.data == data.to_le_bytes())
        })
    };
    acknowledged.iter().copied().filter(missing).collect()
}

#[test]
fn no_acknowledged_entry_is_lost_under_the_worlds_faults() {
    let mut acknowledged_in_all = 0;
    for seed in 0..6 {
        let (mut world, nodes) = world(seed, Persist::BeforeAcknowledging);
        let faults = Faults { disk_kept: 1.0, ..Faults::all() };
        world.set_faults(faults);
        let mut acknowledged = propose_for(&mut world, &nodes, CHAOS, 0);
        world.heal();
        acknowledged.extend(propose_for(&mut world, &nodes, HEAL / 10, 1 << 32));
        world.run_for(HEAL);
        assert!(acknowledged.iter().any(|data| *data >= 1 << 32), "seed {seed}: no leader after the faults ended");
        assert_eq!(lost(&world, &nodes, &acknowledged), [0u64; 0], "seed {seed}");
        one_order(&histories(&world, &nodes));
        acknowledged_in_all += acknowledged.len();
    }
    assert!(acknowledged_in_all > 60, "only {acknowledged_in_all} entries were acknowledged");
}

/// Cuts all nodes' power in the middle of a run; the lost entries.
fn lost_in_a_power_cut(seed: u64, persist: Persist) -> Vec<u64> {
    let (mut world, nodes) = world(seed, persist);
    world.run_for(Duration::from_secs(1));
    let acknowledged = propose_for(&mut world, &nodes, Duration::from_secs(1), 0);
    for node in &nodes {
        world.crash(*node);
    }
    for node in &nodes {
        world.restart(*node, true);
    }
    world.run_for(Duration::from_secs(2));
    propose_for(&mut world, &nodes, Duration::from_secs(1), 1 << 32);
    world.run_for(Duration::from_secs(2));
    lost(&world, &nodes, &acknowledged)
}

#[test]
fn a_power_cut_in_the_world_loses_nothing_that_was_synced() {
    for seed in 0..3 {
        assert_eq!(lost_in_a_power_cut(seed, Persist::BeforeAcknowledging), [0u64; 0], "seed {seed}");
    }
}
