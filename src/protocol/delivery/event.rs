//! What delivery components publish, beside
//! [`HoldingBack`](crate::protocol::membership::HoldingBack).

use super::Delivery;
use crate::event::Event;
use crate::id::Life;

/// Batches that this life will never deliver. Not retained.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The delivery component.
    pub delivery: Delivery,
    /// Whose batches.
    pub origin: Life,
    /// The first that is missing.
    pub from: u64,
    /// The last that is missing.
    pub to: u64,
    /// Why.
    pub why: GapWhy,
}

/// Why batches are missing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum GapWhy {
    /// They were stable among the others before this life was known to them: a
    /// new life, one that was ended and came back, a voter seen for the first
    /// time, a listener at its sponsor.
    BeforeThisLife,
    /// Their sender's life ended and no life that is left holds them, but
    /// something delivered since had seen them.
    NobodyHolds,
    /// A listener did not keep up with its sponsor.
    TooSlow,
}

impl Event for Gap {
    const NAME: &'static str = "gap";
}
