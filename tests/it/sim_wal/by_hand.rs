//! Each fault of a disk, struck by hand at a moment.

use super::log::{Acknowledged, CURRENT, Doubtful, MARK, Recovered};
use super::{append, damaged, kind, millis, world};
use nodewright::sim::{DiskFault, DiskKept, NodeIndex, World};

const ALPHA: NodeIndex = NodeIndex(0);

/// A log that has acknowledged 1 to 5.
fn five_kept(seed: u64) -> World {
    let mut world = world(seed, &["alpha"], None);
    world.run_for(millis(100));
    append(&mut world, ALPHA, 1..6);
    world.run_for(millis(100));
    assert_eq!(acknowledged(&world), [1, 2, 3, 4, 5]);
    world
}

fn acknowledged(world: &World) -> Vec<u64> {
    world.events::<Acknowledged>(ALPHA).map(|(_, _, Acknowledged(value))| *value).collect()
}

/// What the newest life began with.
fn recovered(world: &World) -> &[u64] {
    let (_, _, Recovered(values)) = world.events::<Recovered>(ALPHA).last().expect("the first life began");
    values
}

fn count(world: &World, what: &str) -> u64 {
    world.counts().get(what).copied().unwrap_or(0)
}

#[test]
fn a_failed_sync_ends_the_life_and_what_was_not_acknowledged_may_be_there() {
    let mut there = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut world = five_kept(seed);
        world.fail_next_disk(ALPHA, kind(), DiskFault::Sync);
        append(&mut world, ALPHA, 6..7);
        world.run_for(millis(500));
        assert_eq!((count(&world, "disk errors"), count(&world, "component faults")), (1, 1));
        assert_eq!(acknowledged(&world), [1, 2, 3, 4, 5]);
        assert!(recovered(&world).starts_with(&[1, 2, 3, 4, 5]), "{}", world.trace().transcript());
        assert!(world.trace().transcript().contains("a sync fails: EIO"));
        there.insert(recovered(&world).len());
        // what it has once shown it keeps
        let shown = recovered(&world).to_vec();
        world.crash(ALPHA);
        world.restart(ALPHA, true);
        world.run_for(millis(500));
        assert_eq!(recovered(&world), shown);
    }
    assert_eq!(there, [5, 6].into());
}

#[test]
fn a_failed_write_and_a_failed_read_end_the_life_and_lose_nothing() {
    for fault in [DiskFault::Write, DiskFault::Read] {
        let mut world = five_kept(1);
        world.fail_next_disk(ALPHA, kind(), fault);
        append(&mut world, ALPHA, 6..7);
        world.run_for(millis(100));
        world.crash(ALPHA);
        world.restart(ALPHA, true);
        world.run_for(millis(500));
        assert_eq!(count(&world, "disk errors"), 1, "{fault:?}");
        assert!(recovered(&world).starts_with(&[1, 2, 3, 4, 5]), "{fault:?}");
    }
}

#[test]
fn a_fault_that_has_not_struck_is_healed() {
    let mut world = five_kept(1);
    world.fail_next_disk(ALPHA, kind(), DiskFault::Sync);
    world.heal();
    append(&mut world, ALPHA, 6..7);
    world.run_for(millis(100));
    assert_eq!(acknowledged(&world), [1, 2, 3, 4, 5, 6]);
    assert_eq!(count(&world, "disk errors"), 0);
}

#[test]
fn a_full_disk_refuses_and_serves_again_when_it_has_room() {
    let mut world = five_kept(1);
    world.set_disk_space(ALPHA, Some(100));
    append(&mut world, ALPHA, 6..7);
    world.run_for(millis(300));
    assert!(count(&world, "disk full") > 0);
    assert_eq!(acknowledged(&world), [1, 2, 3, 4, 5]);
    world.set_disk_space(ALPHA, None);
    world.run_for(millis(5000));
    append(&mut world, ALPHA, 7..8);
    world.run_for(millis(100));
    assert!(recovered(&world).starts_with(&[1, 2, 3, 4, 5]));
    assert!(acknowledged(&world).contains(&7), "{}", world.trace().transcript());
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    for file in [MARK, CURRENT] {
        for bit in (0..).step_by(7) {
            let mut world = five_kept(1);
            if !world.flip_bit(ALPHA, kind(), file, bit) {
                assert!(bit > 100, "{file} was hardly tried");
                break;
            }
            world.crash(ALPHA);
            world.restart(ALPHA, true);
            world.run_for(millis(500));
            assert_eq!(count(&world, "bits flipped"), 1);
            assert!(damaged(&world, ALPHA).is_some(), "bit {bit} of {file}: {:?}", recovered(&world));
            assert!(!world.is_up(ALPHA));
        }
    }
}

#[test]
fn an_older_and_an_empty_disk_are_doubtful_and_the_own_one_is_not() {
    for (kept, expected) in [(DiskKept::All, &[1, 2, 3, 4, 5][..]), (DiskKept::Older, &[]), (DiskKept::Nothing, &[])] {
        let mut world = five_kept(1);
        world.crash(ALPHA);
        world.restart_with(ALPHA, kept);
        world.run_for(millis(500));
        assert_eq!(recovered(&world), expected, "{kept:?}");
        assert_eq!(world.events::<Doubtful>(ALPHA).count(), usize::from(kept != DiskKept::All), "{kept:?}");
        assert_eq!(count(&world, "disks older"), u64::from(kept == DiskKept::Older));
        assert_eq!(count(&world, "disks wiped"), u64::from(kept == DiskKept::Nothing));
    }
}

#[test]
fn a_snapshot_in_the_middle_of_a_life_is_what_an_older_disk_holds() {
    let mut world = five_kept(1);
    world.snapshot_disk(ALPHA);
    append(&mut world, ALPHA, 6..9);
    world.run_for(millis(100));
    world.crash(ALPHA);
    world.restart_with(ALPHA, DiskKept::Older);
    world.run_for(millis(500));
    assert_eq!(recovered(&world), [1, 2, 3, 4, 5], "no component can tell this from a disk that lost nothing");
    assert_eq!(world.events::<Doubtful>(ALPHA).count(), 0);
}
