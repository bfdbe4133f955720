//! Planted bugs that the models must catch, and what it takes.

use super::checked::{AGREEMENT, Checked, NO_CREATION, NO_DUPLICATION, ORDER, UNIFORM_AGREEMENT, VALIDITY, check};
use super::election::Elections;
use super::link::{Links, PROMISES};
use super::scope::Scope;
use crate::mutants::Row;
use nodewright::protocol::delivery::{Delivery, Mutant};
use nodewright::protocol::election::{self, Mode};
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
    let textbook = Elections::of(Mode::Textbook);
    rows.push(election("election: one leader an epoch", 0, election::Mutant::EpochReused, textbook.clone()));
    rows.push(election("election: epochs only rise", 1, election::Mutant::EpochNotPersisted, textbook.clone()));
    rows.push(election("election: epochs only rise", 1, election::Mutant::OldCoordinatorAccepted, textbook));
    rows
}

fn election(property: &'static str, promise: usize, mutant: election::Mutant, scope: Elections) -> Row {
    let properties = &super::election::PROMISES[promise..=promise];
    let model = Elections { mutant: Some(mutant), properties, ..scope };
    let outcome = check(&format!("election with {mutant:?}"), &model, None);
    let Some((_, way)) = outcome.found else { panic!("{property} holds in the model of {mutant:?}") };
    row(property, format!("election: {mutant:?}"), outcome.states, way.len())
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
