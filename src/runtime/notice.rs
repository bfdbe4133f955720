//! Events that the runtime itself publishes.

use crate::event::Event;
use crate::id::Life;

/// A component fell and began anew alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restarted {
    /// The component.
    pub component: String,
    /// Why it fell.
    pub why: String,
}

impl Event for Restarted {
    const NAME: &'static str = "restarted";
}

/// The node goes on as a new life: every component was made anew, and the
/// windows of the old life failed. Retained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewLife {
    /// The life that ended; `None` at the start of the node.
    pub old: Option<Life>,
    /// The life that begins.
    pub new: Life,
    /// Why.
    pub why: String,
}

impl Event for NewLife {
    const NAME: &'static str = "new_life";
    const RETAINED: bool = true;
}
