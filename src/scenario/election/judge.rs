//! What must hold of elections, whatever happened.

use super::commander::Obeyed;
use crate::id::Life;
use crate::protocol::election::{ElectionRank, Epoch, LeaderElected, Mode};
use crate::sim::World;
use crate::sim::check::Violation;
use std::collections::BTreeMap;

/// Every property.
pub(super) fn judge(world: &World, mode: Mode) -> Result<(), Violation> {
    one_rank_an_election(world)?;
    one_leader_an_epoch(world, mode)?;
    lower_epochs_refused(world)?;
    epochs_only_rise(world)
}

/// No two lives lead in one epoch; in safe mode its number alone tells it.
fn one_leader_an_epoch(world: &World, mode: Mode) -> Result<(), Violation> {
    let mut leaders: BTreeMap<(u64, u64), Life> = BTreeMap::new();
    for node in world.all() {
        for (at, by, LeaderElected { epoch, leader }) in world.events::<LeaderElected>(node) {
            let of = if mode == Mode::Safe { 0 } else { epoch.leader.0 };
            let first = *leaders.entry((epoch.number, of)).or_insert(*leader);
            if first != *leader {
                let why = format!("{first} and {leader} lead in epoch {epoch}, says {by} at {at:?}");
                return Err(Violation::new("one leader an epoch", why));
            }
        }
    }
    Ok(())
}

/// No life follows, or obeys, an epoch that is lower than one before.
fn lower_epochs_refused(world: &World) -> Result<(), Violation> {
    for node in world.all() {
        let followed = world.events::<LeaderElected>(node).map(|(at, by, it)| (at, by, it.epoch));
        rises(followed.collect(), "follows")?;
        let obeyed = world.events::<Obeyed>(node).map(|(at, by, it)| (at, by, it.0));
        rises(obeyed.collect(), "obeys")?;
    }
    Ok(())
}

fn rises(epochs: Vec<(crate::time::Time, Life, Epoch)>, does: &str) -> Result<(), Violation> {
    let mut last: Option<(Life, Epoch)> = None;
    for (at, by, epoch) in epochs {
        if let Some((life, before)) = last
            && life == by
            && epoch < before
        {
            let why = format!("{by} {does} epoch {epoch} after {before}, at {at:?}");
            return Err(Violation::new("lower epochs refused", why));
        }
        last = Some((by, epoch));
    }
    Ok(())
}

/// Nor does a node's next life.
fn epochs_only_rise(world: &World) -> Result<(), Violation> {
    for node in world.all() {
        let mut last: Option<Epoch> = None;
        for (at, by, it) in world.events::<LeaderElected>(node) {
            if let Some(before) = last.filter(|before| it.epoch < *before) {
                let why = format!("{by} follows epoch {} after {before}, at {at:?}", it.epoch);
                return Err(Violation::new("epochs only rise", why));
            }
            last = Some(it.epoch);
        }
    }
    Ok(())
}

/// A life takes part in an election with one rank.
fn one_rank_an_election(world: &World) -> Result<(), Violation> {
    let mut ranks: BTreeMap<(Life, u64), Option<u8>> = BTreeMap::new();
    for node in world.all() {
        for (at, by, ElectionRank { number, bucket }) in world.events::<ElectionRank>(node) {
            let first = *ranks.entry((by, *number)).or_insert(*bucket);
            if first != *bucket {
                let why = format!("{by} has ranks {first:?} and {bucket:?} in election {number}, at {at:?}");
                return Err(Violation::new("one rank an election", why));
            }
        }
    }
    Ok(())
}
