//! What is left of a world when it has been judged.

use super::check::Violation;
use super::trace::Trace;
use super::world::{Counts, World};

/// One run: what happened, how often, and whether it was right.
pub struct Outcome {
    /// The first property that does not hold.
    pub result: Result<(), Violation>,
    /// How often things happened: [`World::counts`] and what the scenario
    /// adds.
    pub counts: Counts,
    /// All that happened.
    pub trace: Trace,
}

impl Outcome {
    /// Whether `property` is what does not hold.
    pub fn violates(&self, property: &str) -> bool {
        self.result.as_ref().is_err_and(|violation| violation.property == property)
    }
}

impl From<(World, Result<(), Violation>)> for Outcome {
    fn from((world, result): (World, Result<(), Violation>)) -> Self {
        Outcome { result, counts: world.counts(), trace: world.trace }
    }
}
