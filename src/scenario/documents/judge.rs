//! What must hold of the store, whatever happened. By the numbers of the design: (1)
//! exactly once, (2) and (3) linearizability, (4) one holder and atomicity, (5)
//! sessions, (6) watch, (7) pages, (8) indexes, (9) and (10) replicas.

use super::users::{ACCOUNTS, EACH, Outcome, Reading, Seen, Users, Wrote, amount, by_id, value_of};
use super::watcher::{State, Watcher};
use crate::scenario::log::judge::replicas;
use crate::service::documents::{Fate, Found, Refusal};
use crate::sim::check::{Object, Timed, Violation, linearizable};
use crate::sim::{NodeIndex, World};
use std::collections::{BTreeMap, BTreeSet};

/// States that the search for an order may visit.
const STATES_MAX: usize = 200_000;

/// Every property.
pub(super) fn judge(world: &World, users: &Users, watcher: &Watcher, wiped: &[NodeIndex]) -> Result<(), Violation> {
    atomicity(users)?;
    one_holder(users)?;
    exactly_once(users)?;
    sessions(users)?;
    known(users)?;
    registers(users)?;
    list(users)?;
    watch_order(watcher)?;
    states(users, watcher)?;
    replicas(world, wiped)
}

fn fail(property: &'static str, why: String) -> Result<(), Violation> {
    Err(Violation::new(property, why))
}

/// What accounts hold together is always the same.
fn atomicity(users: &Users) -> Result<(), Violation> {
    for seen in users.seen.iter().filter(|seen| matches!(seen.reading, Reading::Bank)) {
        let sum: u64 = seen.found.iter().map(amount).sum();
        if !seen.found.is_empty() && (sum, seen.found.len()) != (ACCOUNTS as u64 * EACH, ACCOUNTS) {
            return fail("atomicity", format!("the sum is {sum} at {}: {:?}", seen.at, seen.found));
        }
    }
    Ok(())
}

/// Of a unique index no two documents have the same values.
fn one_holder(users: &Users) -> Result<(), Violation> {
    for seen in users.seen.iter().filter(|seen| matches!(seen.reading, Reading::People)) {
        let mails: BTreeSet<String> = seen.found.iter().map(|it| it.document.value()["mail"].to_string()).collect();
        if mails.len() < seen.found.len() {
            return fail("one holder", format!("at {}: {:?}", seen.at, seen.found));
        }
    }
    Ok(())
}

fn appended(found: &Found) -> Vec<u64> {
    let value = found.document.value();
    let by = value["by"].as_array().cloned().unwrap_or_default();
    by.iter().filter_map(serde_json::Value::as_u64).collect()
}

/// Every acknowledged append is there once, and nothing that was refused.
fn exactly_once(users: &Users) -> Result<(), Violation> {
    let counters = users.seen.iter().flat_map(|seen| seen.found.iter().map(move |it| (seen, it)));
    let counters: Vec<_> = counters.filter(|(_, found)| found.id == "counter").collect();
    for (seen, counter) in &counters {
        let mut once = BTreeSet::new();
        if let Some(twice) = appended(counter).into_iter().find(|number| !once.insert(*number)) {
            return fail("exactly once", format!("{twice} is done twice at {}", seen.at));
        }
    }
    let Some((last, counter)) = counters.iter().max_by_key(|(seen, _)| seen.at) else { return Ok(()) };
    let there: BTreeSet<u64> = appended(counter).into_iter().collect();
    let mut done = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for outcome in &users.outcomes {
        let Wrote::Append(number) = &outcome.wrote else { continue };
        match &outcome.result {
            Ok(index) if *index <= last.at => _ = done.insert(*number),
            // done, though its answer is lost
            Err(error) if error.fate() == Fate::Done && outcome.answered < last.asked => _ = done.insert(*number),
            Err(error) if error.fate() == Fate::NotDone => _ = refused.insert(*number),
            _ => _ = done.contains(number),
        }
    }
    if let Some(lost) = done.difference(&there).next() {
        return fail("durability", format!("{lost} was acknowledged, and is not there at {}", last.at));
    }
    // one that was asked twice, by key, may be refused once and done once
    let asked_once = |number: &u64| {
        users.outcomes.iter().filter(|it| matches!(&it.wrote, Wrote::Append(it) if it == number)).count() == 1
    };
    match refused.intersection(&there).find(|number| asked_once(number)) {
        Some(number) => fail("not done", {
            let told = users.outcomes.iter().filter(|it| matches!(&it.wrote, Wrote::Append(it) if it == number));
            format!("{number} was refused, and is there: {:?}", told.map(|it| &it.result).collect::<Vec<_>>())
        }),
        None => Ok(()),
    }
}

/// A user sees nothing older than what it saw or wrote before.
fn sessions(users: &Users) -> Result<(), Violation> {
    for seen in &users.seen {
        if let Reading::Session(user, token) = &seen.reading
            && seen.at < *token
        {
            return fail("sessions", format!("user {user} knew {token}, and reads at {}", seen.at));
        }
    }
    Ok(())
}

/// What anybody was told before, a linearizable call is behind.
fn known(users: &Users) -> Result<(), Violation> {
    let linearizable = |seen: &&Seen| match &seen.reading {
        Reading::Page(..) | Reading::Session(..) => false,
        _ => seen.at < seen.known,
    };
    if let Some(seen) = users.seen.iter().find(linearizable) {
        let why = format!("{:?} at index {} when {} was known", seen.reading, seen.at, seen.known);
        return fail("linearizability", why);
    }
    let early = |it: &&Outcome| {
        !matches!(it.wrote, Wrote::Append(_) | Wrote::Other) && it.result.as_ref().is_ok_and(|index| *index <= it.known)
    };
    match users.outcomes.iter().find(early) {
        Some(it) => fail("linearizability", format!("{:?} is done before it was asked: {}", it.wrote, it.known)),
        None => Ok(()),
    }
}

/// A document by itself; 0 where there is none.
struct Register;

#[derive(Debug)]
enum Call {
    Put(u64),
    /// From, to, and whether it was done, where that is known.
    Swap(u64, u64, Option<bool>),
    Delete,
    Read(u64),
}

impl Object for Register {
    type State = u64;
    type Call = Call;

    fn begin() -> u64 {
        0
    }

    fn step(state: &u64, call: &Call) -> Option<u64> {
        match call {
            Call::Put(value) => Some(*value),
            Call::Delete => Some(0),
            Call::Swap(from, to, Some(true)) => (state == from).then_some(*to),
            Call::Swap(from, _, Some(false)) => (state != from).then_some(*state),
            Call::Swap(from, to, None) => Some(if state == from { *to } else { *state }),
            Call::Read(value) => (state == value).then_some(*state),
        }
    }
}

/// Each document by itself is linearizable.
fn registers(users: &Users) -> Result<(), Violation> {
    let mut histories: BTreeMap<u64, Vec<Timed<Call>>> = BTreeMap::new();
    for outcome in &users.outcomes {
        let fate = outcome.result.as_ref().err().map(|error| error.fate());
        let judged = match &outcome.result {
            Ok(_) => Some(true),
            Err(error) if matches!(error.refusal(), Some(Refusal::Revision { .. } | Refusal::NoDocument { .. })) => {
                Some(false)
            }
            Err(_) => None,
        };
        let (id, call) = match &outcome.wrote {
            Wrote::Put(id, value) => (id, Call::Put(*value)),
            Wrote::Delete(id) => (id, Call::Delete),
            Wrote::Swap(id, from, to) => (id, Call::Swap(*from, *to, judged)),
            _ => continue,
        };
        if fate == Some(Fate::NotDone) && judged != Some(false) {
            continue;
        }
        let answered = judged.map(|_| outcome.answered);
        histories.entry(*id).or_default().push(Timed { asked: outcome.asked, answered, call });
    }
    for seen in &users.seen {
        if let Reading::Register(id) = &seen.reading {
            let call = Call::Read(seen.found.first().map_or(0, value_of));
            let answered = Some(seen.answered);
            histories.entry(*id).or_default().push(Timed { asked: seen.asked, answered, call });
        }
    }
    for (id, history) in histories {
        linearizable::<Register>(&history, STATES_MAX)
            .map_err(|violation| Violation::new(violation.property, format!("d{id}: {}", violation.what)))?;
    }
    Ok(())
}

/// Reads of the whole list are linearizable: it only grows.
fn list(users: &Users) -> Result<(), Violation> {
    let reads: Vec<(&Seen, BTreeSet<u64>)> = users
        .seen
        .iter()
        .filter(|seen| matches!(seen.reading, Reading::List))
        .map(|seen| (seen, seen.found.iter().filter_map(|it| it.id[1..].parse().ok()).collect()))
        .collect();
    for (seen, numbers) in &reads {
        for outcome in &users.outcomes {
            let Wrote::Append(number) = &outcome.wrote else { continue };
            let there = numbers.contains(number);
            if outcome.result.is_ok() && outcome.answered < seen.asked && !there {
                let why = format!("a read at {} lacks {number}, acknowledged before it was asked", seen.at);
                return fail("linearizability", why);
            }
        }
        for (other, more) in &reads {
            if !numbers.is_subset(more) && !more.is_subset(numbers) {
                return fail("linearizability", format!("two reads, at {} and {}, differ", seen.at, other.at));
            }
            if other.asked > seen.answered && more.len() < numbers.len() {
                return fail("linearizability", format!("a read at {} sees less than one before it", other.at));
            }
        }
    }
    Ok(())
}

fn watch_order(watcher: &Watcher) -> Result<(), Violation> {
    for stretch in &watcher.stretches {
        let sorted = stretch.changes.is_sorted_by_key(|change| change.index);
        let behind = stretch.changes.iter().all(|it| stretch.from < it.index && it.index <= stretch.through);
        let twice = stretch.changes.windows(2).find(|pair| pair[0] == pair[1]);
        if !sorted || !behind || twice.is_some() {
            return fail("watch order", format!("{:?}", stretch.changes));
        }
    }
    Ok(())
}

/// What is read at an index is what was told of that index.
fn states(users: &Users, watcher: &Watcher) -> Result<(), Violation> {
    for seen in &users.seen {
        let Some(state) = watcher.state_at(seen.at) else { continue };
        let (property, expected): (_, State) = match &seen.reading {
            Reading::Session(..) => ("watch without gap", state),
            Reading::Page(..) => ("pages show one state", state),
            Reading::Tagged(tag) => {
                let has = |(_, document): &(u64, _)| tagged(document, tag);
                ("index and scan agree", state.into_iter().filter(|(_, it)| has(it)).collect())
            }
            _ => continue,
        };
        let found = by_id(&seen.found);
        if found != expected || found.len() != seen.found.len() {
            let why = format!("{:?} at {}: told {expected:?}, read {:?}", seen.reading, seen.at, seen.found);
            return fail(property, why);
        }
    }
    Ok(())
}

fn tagged(document: &crate::service::documents::Document, tag: &str) -> bool {
    document.value()["tag"] == *tag
}
