//! What the drivers of the scenarios strike with beside the drawn faults, and how they
//! end them.

use crate::sim::{Counts, NodeIndex, World};
use std::time::Duration;

/// All nodes lose their memory at one moment.
pub(super) fn crash_all(world: &mut World, counts: &mut Counts) {
    let all: Vec<NodeIndex> = world.all().collect();
    all.iter().for_each(|node| world.crash(*node));
    all.iter().for_each(|node| world.restart(*node, true));
    counts.insert("all crashed at once", 1);
}

/// Faults stop, and all that are down begin again.
pub(super) fn end(world: &mut World) {
    world.heal();
    for node in world.all() {
        world.restart(node, true);
    }
}

/// Runs in slices, so that answers are taken soon after they are there.
pub(super) fn run_sliced(world: &mut World, mut time: Duration, slice: Duration, mut after: impl FnMut(&mut World)) {
    while !time.is_zero() {
        let slice = time.min(slice);
        world.run_for(slice);
        after(world);
        time -= slice;
    }
}
