//! Planted bugs that the models must catch, and what it takes.

use super::checked::{AGREEMENT, Checked, NO_CREATION, NO_DUPLICATION, ORDER, UNIFORM_AGREEMENT, VALIDITY, check};
use super::link::{Links, PROMISES};
use super::scope::Scope;
use nodewright::protocol::delivery::{Delivery, Mutant};
use nodewright::protocol::link;

/// A planted bug and what caught it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub property: &'static str,
    /// What has the bug, and which.
    pub mutant: String,
    pub caught_by: &'static str,
    /// States looked at and the length of the shortest counterexample; `None`
    /// if it was not caught.
    pub needed: Option<String>,
}

/// Every planted bug in a scope in which it shows, with the property it breaks.
pub fn rows() -> Vec<Row> {
    // What was before a new life comes to it by another way than what follows.
    let restart = |rung| Scope { broadcasts: [2, 0, 0], restarts: 1, ..Scope::new(rung) };
    let deliveries = [
        (VALIDITY, Mutant::SkipSelf, Scope::new(Delivery::BestEffort)),
        (AGREEMENT, Mutant::NoRelayNoPull, Scope::new(Delivery::Reliable)),
        (NO_DUPLICATION, Mutant::DropDedupe, Scope { suspicions: true, ..Scope::new(Delivery::Reliable) }),
        (UNIFORM_AGREEMENT, Mutant::DeliverFirstCopy, Scope::new(Delivery::Uniform)),
        (UNIFORM_AGREEMENT, Mutant::CountAmnesiacAcks, Scope::rolling_restart(Delivery::Uniform)),
        (NO_CREATION, Mutant::ForgetIncarnation, Scope::rolling_restart(Delivery::Uniform)),
        (ORDER, Mutant::DeliverOnArrival, restart(Delivery::ReliableFifo)),
        (ORDER, Mutant::DeliverOnArrival, Scope::new(Delivery::ReliableCausal)),
        (ORDER, Mutant::DeliverOnArrival, Scope::new(Delivery::UniformCausal)),
    ];
    let mut rows: Vec<Row> =
        deliveries.into_iter().map(|(property, mutant, scope)| delivery(property, mutant, scope)).collect();
    rows.push(link(PROMISES[0], link::Mutant::DedupeDropped, 0));
    rows.push(link(PROMISES[1], link::Mutant::IncarnationForgotten, 1));
    rows
}

fn delivery(property: &'static str, mutant: Mutant, scope: Scope) -> Row {
    let model = Checked::one(Scope { mutant: Some(mutant), ..scope }, property);
    let outcome = check(&model.scope.to_string(), &model, None);
    let needed = outcome.found.map(|(_, way)| needed(outcome.states, way.len()));
    Row { property, mutant: format!("{}: {mutant:?}", model.scope.rung), caught_by: "models", needed }
}

fn link(property: &'static str, mutant: link::Mutant, restarts: u8) -> Row {
    let at = PROMISES.iter().position(|promise| *promise == property).expect("is promised");
    let blocks = [[0, 1], [0, 1]];
    let properties = &PROMISES[at..=at];
    let model = Links { mutant: Some(mutant), sessions: 1, restarts, blocks, properties };
    let outcome = check(&format!("link with {mutant:?}"), &model, None);
    let needed = outcome.found.map(|(_, way)| needed(outcome.states, way.len()));
    Row { property, mutant: format!("link: {mutant:?}"), caught_by: "models", needed }
}

fn needed(states: usize, steps: usize) -> String {
    format!("{states} states, {steps} steps")
}

#[test]
fn planted_bugs_are_caught() {
    let rows = rows();
    for Row { property, mutant, caught_by, needed } in &rows {
        println!("{property:<18} {mutant:<38} {caught_by:<7} {}", needed.as_deref().unwrap_or("NOT CAUGHT"));
    }
    let missed: Vec<_> = rows.iter().filter(|row| row.needed.is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
