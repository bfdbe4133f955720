//! The component contract holds a consensus engine: raft-rs's `RawNode`
//! inside a `NetComponent`, with nothing but the contract's inputs and effects.
//!
//! ```text
//!   propose ->  call      append + sync -> disk -> done      Applied -> event
//!   tick    ->  timer     messages that rest on the sync go after `done`
//! ```
//!
//! What is shown: three nodes elect a leader and apply the same entries in the
//! same order; a power cut after *any* effect loses no acknowledged entry; a
//! component that acknowledges before its sync is caught losing one.

mod engine;
mod hand;
mod simulated;
mod wire;

use engine::{Applied, Persist};
use hand::{Cut, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// What anyone saw applied, checked for one order: index -> data.
fn one_order(histories: &[Vec<Applied>]) -> BTreeMap<u64, Vec<u8>> {
    let mut log = BTreeMap::new();
    for history in histories {
        let mut last = 0;
        for applied in history {
            assert!(applied.index > last, "index {} applied after {last}", applied.index);
            last = applied.index;
            let known = log.entry(applied.index).or_insert_with(|| applied.data.clone());
            assert_eq!(*known, applied.data, "two entries at index {}", applied.index);
        }
    }
    log
}

#[test]
fn three_nodes_elect_a_leader_and_apply_in_one_order() {
    for seed in 0..5 {
        let mut world = World::new(3, seed, Persist::BeforeAcknowledging);
        for n in 0..50u64 {
            world.propose(&n.to_le_bytes());
        }
        world.run_until_idle_or(Duration::from_secs(20));
        assert_eq!(world.acknowledged().len(), 50, "seed {seed}: {world:?}");
        let histories = world.histories();
        one_order(&histories);
        for node in 0..3 {
            let data: Vec<_> = world.applied_now(node);
            assert_eq!(data, world.applied_now(0), "seed {seed}: node {node}");
            assert_eq!(data.len(), 50);
        }
    }
}

/// Runs 12 proposals with a power cut after the `k`-th effect and says which
/// acknowledged ones are lost; `None` when the run ended before the cut.
fn lost_after_a_cut(seed: u64, cut: Cut, persist: Persist) -> Option<Vec<u64>> {
    let mut world = World::new(3, seed, persist);
    world.cut_at(cut);
    for n in 0..12u64 {
        world.propose(&n.to_le_bytes());
    }
    world.run_until_idle_or(Duration::from_secs(20));
    if !world.was_cut() {
        return None;
    }
    // Whoever leads now must commit something new, which commits all before it.
    world.propose(&99u64.to_le_bytes());
    world.run_until_idle_or(Duration::from_secs(40));
    assert!(world.acknowledged().contains(&99u64.to_le_bytes().to_vec()), "no leader after {cut:?}: {world:?}");
    let mut lost = Vec::new();
    for acknowledged in world.acknowledged() {
        if (0..3).any(|node| !world.applied_now(node).contains(&acknowledged)) {
            lost.push(u64::from_le_bytes(acknowledged.try_into().expect("eight bytes were proposed")));
        }
    }
    if persist == Persist::BeforeAcknowledging {
        one_order(&world.histories());
    }
    Some(lost)
}

#[test]
fn a_cut_after_any_effect_loses_no_acknowledged_entry() {
    let mut cuts = 0;
    for k in (0..).step_by(31) {
        match lost_after_a_cut(1, Cut::All { effect: k }, Persist::BeforeAcknowledging) {
            Some(lost) => assert_eq!(lost, [0u64; 0], "all nodes cut after effect {k}"),
            None => break,
        }
        for node in 0..3 {
            if let Some(lost) = lost_after_a_cut(1, Cut::One { node, effect: k / 3 }, Persist::BeforeAcknowledging) {
                assert_eq!(lost, [0u64; 0], "node {node} cut after its effect {}", k / 3);
            }
        }
        cuts += 1;
    }
    assert!(cuts > 20, "only {cuts} cuts were tried");
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    let caught = (0..)
        .map_while(|k| lost_after_a_cut(1, Cut::All { effect: k }, Persist::AfterAcknowledging))
        .any(|lost| !lost.is_empty());
    assert!(caught, "the planted bug went unnoticed");
}
