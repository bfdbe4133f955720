//! What must hold of every run.

use super::clients::Clients;
use crate::id::Kind;
use crate::protocol::election::LeaderElected;
use crate::scenario::stacks::millis;
use crate::service::stego::service::{Answer, Call, NAME, Request, TaskAssigned, TaskRecorded, TaskTaken};
use crate::sim::check::Violation;
use crate::sim::{Counts, NodeIndex, World};
use std::collections::BTreeSet;

pub(super) fn judge(world: &World, clients: &Clients) -> Result<(), Violation> {
    no_fault(world)?;
    if let Some(wrong) = clients.wrong.first() {
        return Err(Violation::new("right results", format!("a result hides something else: {wrong}")));
    }
    if let Some(misled) = clients.misled().next() {
        return Err(Violation::new("right results", format!("ended otherwise than it should: {misled}")));
    }
    recorded_at_most_once(world)?;
    no_lower_epoch(world)?;
    lower_attempts_refused(world)
}

/// No component stopped, but a log whose disk failed.
fn no_fault(world: &World) -> Result<(), Violation> {
    let mut faults = world.all().flat_map(|node| world.component_faults(node));
    match faults.find(|(_, fault)| !fault.to_string().contains("the log's disk failed")) {
        Some((life, fault)) => Err(Violation::new("no fault", format!("{life}: {fault}"))),
        None => Ok(()),
    }
}

/// What one version of the history holds of a task is recorded once.
fn recorded_at_most_once(world: &World) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    for node in world.all() {
        for (at, life, TaskRecorded { task, version }) in world.events::<TaskRecorded>(node) {
            if !seen.insert((task.clone(), *version)) {
                let why = format!("{task} as of {version} is recorded again at {at:?} by {life}");
                return Err(Violation::new("recorded at most once", why));
            }
        }
    }
    Ok(())
}

/// A leader assigns nothing once the next epoch has begun in the log.
fn no_lower_epoch(world: &World) -> Result<(), Violation> {
    let elected = world.all().flat_map(|node| world.events::<LeaderElected>(node));
    let epochs: BTreeSet<u64> = elected.map(|(_, _, elected)| elected.epoch.number).collect();
    for node in world.all() {
        for (at, life, TaskAssigned { task, assignment, version }) in world.events::<TaskAssigned>(node) {
            let mine = assignment.epoch.number;
            if let Some(later) = epochs.range(mine + 1..*version).next() {
                let why =
                    format!("{life} assigned {task} at {at:?} in epoch {mine}, at index {version}: {later} had begun");
                return Err(Violation::new("no assignment of a lower epoch", why));
            }
        }
    }
    Ok(())
}

/// A server that knows better does not take a task in.
fn lower_attempts_refused(world: &World) -> Result<(), Violation> {
    for node in world.all() {
        for (at, life, taken) in world.events::<TaskTaken>(node) {
            let Some((server, attempt)) = taken.known else { continue };
            // Clients of the JSON dialect bring no attempt, and may ask any server.
            if taken.attempt > 0 && (attempt > taken.attempt || server != life) {
                let why = format!("{life} took {taken:?} in at {at:?}");
                return Err(Violation::new("lower attempts refused", why));
            }
        }
    }
    Ok(())
}

/// Who was elected last.
pub(super) fn leader(world: &World) -> Option<NodeIndex> {
    let elected = world.all().flat_map(|node| world.events::<LeaderElected>(node));
    let last = elected.max_by_key(|(_, _, elected)| elected.epoch)?;
    world.all().find(|node| world.life(*node) == last.2.leader)
}

/// How many tasks the history holds, as all that are up say alike.
pub(super) fn open_tasks(world: &mut World) -> Option<usize> {
    let mut open = BTreeSet::new();
    for node in world.all().filter(|node| world.is_up(*node)).collect::<Vec<_>>() {
        match world.ask::<Answer>(node, Kind::of(NAME), Call(Request::Stats), millis(100)) {
            Ok(Answer::Stats(stats)) => open.insert(stats.open as usize),
            _ => return None,
        };
    }
    (open.len() == 1).then(|| open.into_iter().next()).flatten()
}

pub(super) fn count(world: &World, counts: &mut Counts) {
    let assigned = world.all().flat_map(|node| world.events::<TaskAssigned>(node));
    counts.insert("assigned anew", assigned.filter(|(_, _, it)| it.assignment.attempt > 1).count() as u64);
}
