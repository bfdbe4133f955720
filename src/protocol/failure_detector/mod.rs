//! Failure detectors.

use crate::event::Event;
use crate::id::Life;

/// A detector's opinion on one life; retained per life. Opinion only: it may
/// be wrong and taken back. Ending a life is [`super::membership`]'s decision.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Suspicion {
    /// The life.
    pub life: Life,
    /// Suspected (true) or restored (false).
    pub suspected: bool,
}

impl Event for Suspicion {
    const NAME: &'static str = "suspicion";
    const RETAINED: bool = true;

    fn retained_key(&self) -> u64 {
        self.life.node.0
    }
}
