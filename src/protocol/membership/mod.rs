//! Membership before consensus: lives ended by a majority of the voters.

use crate::event::Event;
use crate::id::Life;

/// A delivery component holds back more than its bound because `life` does not
/// acknowledge. Counts as an accusation while `holding` is true. Retained per
/// life.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HoldingBack {
    /// The life that others wait for.
    pub life: Life,
    /// Whether it still holds back.
    pub holding: bool,
}

impl Event for HoldingBack {
    const NAME: &'static str = "holding_back";
    const RETAINED: bool = true;

    fn retained_key(&self) -> u64 {
        self.life.node.0
    }
}
