//! Planted bugs that the models must catch, and what it takes.

use super::checked::{AGREEMENT, Checked, NO_CREATION, NO_DUPLICATION, ORDER, UNIFORM_AGREEMENT, VALIDITY, check};
use super::link::{Links, PROMISES};
use super::scope::Scope;
use crate::mutants::Row;
use nodewright::protocol::delivery::{Delivery, Mutant};
use nodewright::protocol::link;

/// Every planted bug in a scope in which it shows, with the property it breaks.
pub fn rows() -> Vec<Row> {
    // What was before a new life comes to it by another way than what follows.
    let restart = |rung| Scope { broadcasts: [2, 0, 0], restarts: 1, ..Scope::new(rung) };
    let deliveries = [
        ("best effort: validity", VALIDITY, Mutant::SkipSelf, Scope::new(Delivery::BestEffort)),
        ("reliable: agreement", AGREEMENT, Mutant::NoRelayNoPull, Scope::new(Delivery::Reliable)),
        (
            "reliable: no duplication",
            NO_DUPLICATION,
            Mutant::DropDedupe,
            Scope { suspicions: true, ..Scope::new(Delivery::Reliable) },
        ),
        ("uniform: uniform agreement", UNIFORM_AGREEMENT, Mutant::DeliverFirstCopy, Scope::new(Delivery::Uniform)),
        (
            "uniform: uniform agreement",
            UNIFORM_AGREEMENT,
            Mutant::CountAmnesiacAcks,
            Scope::rolling_restart(Delivery::Uniform),
        ),
        ("uniform: no creation", NO_CREATION, Mutant::ForgetIncarnation, Scope::rolling_restart(Delivery::Uniform)),
        ("FIFO: order", ORDER, Mutant::DeliverOnArrival, restart(Delivery::ReliableFifo)),
        ("causal: order", ORDER, Mutant::DeliverOnArrival, Scope::new(Delivery::ReliableCausal)),
        ("causal: order", ORDER, Mutant::DeliverOnArrival, Scope::new(Delivery::UniformCausal)),
    ];
    let mut rows: Vec<Row> = deliveries
        .into_iter()
        .map(|(property, promise, mutant, scope)| delivery(property, promise, mutant, scope))
        .collect();
    rows.push(link("link: no duplication", PROMISES[0], link::Mutant::DedupeDropped, 0));
    rows.push(link("link: no creation", PROMISES[1], link::Mutant::IncarnationForgotten, 1));
    rows
}

fn delivery(property: &'static str, promise: &'static str, mutant: Mutant, scope: Scope) -> Row {
    let model = Checked::one(Scope { mutant: Some(mutant), ..scope }, promise);
    let outcome = check(&model.scope.to_string(), &model, None);
    let Some((_, way)) = outcome.found else { panic!("{property} holds in the model of {mutant:?}") };
    row(property, format!("{}: {mutant:?}", model.scope.rung), outcome.states, way.len())
}

fn link(property: &'static str, promise: &'static str, mutant: link::Mutant, restarts: u8) -> Row {
    let at = PROMISES.iter().position(|one| *one == promise).expect("is promised");
    let blocks = [[0, 1], [0, 1]];
    let properties = &PROMISES[at..=at];
    let model = Links { mutant: Some(mutant), sessions: 1, restarts, blocks, properties };
    let outcome = check(&format!("link with {mutant:?}"), &model, None);
    let Some((_, way)) = outcome.found else { panic!("{property} holds in the model of {mutant:?}") };
    row(property, format!("link: {mutant:?}"), outcome.states, way.len())
}

fn row(property: &'static str, mutant: String, states: usize, steps: usize) -> Row {
    Row { property, mutant, caught_by: "the models".to_owned(), needed: format!("{states} states, {steps} steps") }
}
