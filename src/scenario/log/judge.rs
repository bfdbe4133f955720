//! What must hold of a log, whatever happened.

use super::{Asked, Operation};
use crate::error::CallError;
use crate::protocol::replicated_log::{Diverged, LogApplied, LogLeader, LogVote, Unusable};
use crate::sim::check::Violation;
use crate::sim::{NodeIndex, World};
use std::collections::{BTreeMap, BTreeSet};

/// Every property.
pub(super) fn judge(world: &World, operations: &[Operation], wiped: &[NodeIndex]) -> Result<(), Violation> {
    let order = last_order(operations);
    durability(&order, operations)?;
    no_duplication(&order, operations)?;
    linearizability(&order, operations)?;
    replicas(world, wiped)
}

/// The properties of replicas alone, whatever they replicate.
pub(in crate::scenario) fn replicas(world: &World, wiped: &[NodeIndex]) -> Result<(), Violation> {
    votes_are_kept(world, wiped)?;
    one_leader_a_term(world)?;
    terms_only_rise(world, wiped)?;
    log_agreement(world)?;
    damage(world, wiped)
}

/// A replica has one vote a term, over all its lives.
fn votes_are_kept(world: &World, wiped: &[NodeIndex]) -> Result<(), Violation> {
    for node in world.all().filter(|node| !wiped.contains(node)) {
        let mut last = (0, 0);
        for (_, life, LogVote { term, vote }) in world.events::<LogVote>(node) {
            if *term == last.0 && last.1 != 0 && *vote != last.1 {
                let why = format!("{life} has the vote {vote:x} in term {term}, after {:x}", last.1);
                return Err(Violation::new("votes are kept", why));
            }
            last = (*term, *vote);
        }
    }
    Ok(())
}

/// No two nodes lead in one term.
fn one_leader_a_term(world: &World) -> Result<(), Violation> {
    let mut leaders = BTreeMap::new();
    for node in world.all() {
        for (_, life, LogLeader { node, term }) in world.events::<LogLeader>(node) {
            let Some(leader) = node.filter(|leader| *leader == life.node) else { continue };
            let first = *leaders.entry(*term).or_insert(leader);
            if first != leader {
                return Err(Violation::new("one leader a term", format!("{first} and {leader} lead in term {term}")));
            }
        }
    }
    Ok(())
}

/// At one index every life applies the same entry, and has the same state.
fn log_agreement(world: &World) -> Result<(), Violation> {
    let mut known: BTreeMap<u64, (u64, u32, u64)> = BTreeMap::new();
    for node in world.all() {
        for (_, life, applied) in world.events::<LogApplied>(node) {
            let this = (applied.term, applied.entry, applied.state);
            let first = *known.entry(applied.index).or_insert(this);
            if first != this {
                let why = format!("index {} at {life}: {this:?}, elsewhere {first:?}", applied.index);
                return Err(Violation::new("log agreement", why));
            }
        }
        if let Some((_, life, Diverged { index })) = world.events::<Diverged>(node).next() {
            return Err(Violation::new("log agreement", format!("{life} diverged at {index}")));
        }
    }
    Ok(())
}

/// Neither a replica's term nor its commit index goes back within a life, nor
/// its term from a life to the next on the same disk.
fn terms_only_rise(world: &World, wiped: &[NodeIndex]) -> Result<(), Violation> {
    for node in world.all().filter(|node| !wiped.contains(node)) {
        let (mut last, mut of) = ((0, 0), None);
        for (_, life, applied) in world.events::<LogApplied>(node) {
            let (term, commit) = applied.hard;
            let same = of.replace(life) == Some(life);
            // zero: this life has nothing durable yet
            if term > 0 && term < last.0 || same && commit < last.1 {
                let why = format!("{life}: term and commit {:?} after {last:?}", applied.hard);
                return Err(Violation::new("terms only rise", why));
            }
            last = (term.max(last.0), commit);
        }
        let mut last = 0;
        for (_, life, LogLeader { term, .. }) in world.events::<LogLeader>(node) {
            if *term < last {
                return Err(Violation::new("terms only rise", format!("{life} is in term {term} after {last}")));
            }
            last = *term;
        }
    }
    Ok(())
}

/// A disk that keeps what it synced, and an empty one, never make a replica
/// unusable; only being removed does.
fn damage(world: &World, wiped: &[NodeIndex]) -> Result<(), Violation> {
    for node in world.all() {
        let removed = |it: &Unusable| wiped.contains(&node) && it.why.starts_with("it was removed");
        if let Some((_, life, unusable)) = world.events::<Unusable>(node).find(|(_, _, it)| !removed(it)) {
            return Err(Violation::new("honest disks serve", format!("{life}: {}", unusable.why)));
        }
    }
    Ok(())
}

/// What the register holds in the end.
fn last_order(operations: &[Operation]) -> Vec<u64> {
    let longest = operations.iter().filter_map(|operation| match &operation.what {
        Asked::Read(seen) => seen.as_ref(),
        Asked::Append(..) => None,
    });
    longest.max_by_key(|seen| seen.len()).cloned().unwrap_or_default()
}

/// Nothing is done twice, nor what was said not to be done, nor what nobody
/// asked for.
fn no_duplication(order: &[u64], operations: &[Operation]) -> Result<(), Violation> {
    let mut asked = BTreeSet::new();
    for operation in operations {
        if let Asked::Append(number, outcome) = &operation.what {
            asked.insert(*number);
            if matches!(outcome, Some(Err(CallError::Refused(_)))) && order.contains(number) {
                return Err(Violation::new("not done", format!("{number} was refused, and is done")));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for number in order {
        if !asked.contains(number) {
            return Err(Violation::new("no creation", format!("{number} was never asked for")));
        }
        if !seen.insert(number) {
            return Err(Violation::new("no duplication", format!("{number} is done twice")));
        }
    }
    Ok(())
}

/// What was acknowledged is there, for those who read later.
fn durability(order: &[u64], operations: &[Operation]) -> Result<(), Violation> {
    let read_at = |it: &Operation| matches!(&it.what, Asked::Read(Some(seen)) if seen == order).then_some(it.asked);
    let read_at = operations.iter().filter_map(read_at).max().unwrap_or_default();
    for operation in operations.iter().filter(|operation| operation.answered < read_at) {
        if let Asked::Append(number, Some(Ok(index))) = &operation.what
            && !order.contains(number)
        {
            return Err(Violation::new("durability", format!("{number}, acknowledged at index {index}, is lost")));
        }
    }
    Ok(())
}

/// A read sees everything that was acknowledged before it was asked, nothing
/// that was asked for after it was answered, and the one order. An appending
/// register needs no search: what a read saw is its place among the writes.
fn linearizability(order: &[u64], operations: &[Operation]) -> Result<(), Violation> {
    let place: BTreeMap<u64, usize> = order.iter().enumerate().map(|(place, number)| (*number, place)).collect();
    let fail = |why: String| Err(Violation::new("linearizability", why));
    let mut reads = Vec::new();
    for read in operations {
        let Asked::Read(Some(seen)) = &read.what else { continue };
        if !order.starts_with(seen) {
            return fail(format!("a read at {:?} saw {seen:?}, the order is {order:?}", read.at));
        }
        reads.push((read, seen.len()));
        for write in operations {
            let Asked::Append(number, outcome) = &write.what else { continue };
            let before = matches!(outcome, Some(Ok(_))) && write.answered < read.asked;
            let sees = place.get(number).is_some_and(|place| *place < seen.len());
            if before && !sees {
                let why = format!(
                    "a read at {:?}, asked at {:?}, lacks {number}, acknowledged by {:?}",
                    read.at, read.asked, write.answered
                );
                return fail(why);
            }
            if sees && write.asked > read.answered {
                return fail(format!("a read at {:?} saw {number} before it was asked for", read.at));
            }
        }
    }
    for (one, saw) in &reads {
        if let Some((other, less)) = reads.iter().find(|(other, less)| other.asked > one.answered && less < saw) {
            return fail(format!("a read at {:?} saw {less} writes after one at {:?} saw {saw}", other.at, one.at));
        }
    }
    let done: Vec<(usize, &Operation)> = operations
        .iter()
        .filter_map(|write| match &write.what {
            Asked::Append(number, Some(Ok(_))) => Some((*place.get(number)?, write)),
            _ => None,
        })
        .collect();
    for (at, write) in &done {
        if let Some((later, _)) = done.iter().find(|(other, it)| other < at && it.asked > write.answered) {
            return fail(format!("write {later} of the order was asked for after write {at} was acknowledged"));
        }
    }
    Ok(())
}
