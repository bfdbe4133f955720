//! Recorded runs: a simulated world as a [trace](crate::trace), and a trace,
//! of whatever driver, judged by the properties that simulated worlds are
//! judged by.
//!
//! [`record`] turns the simulator's own trace into one that can be kept;
//! [`replay`] turns a kept one back, so that every checker of
//! [`crate::sim::check`] runs on it as on a world, a user's own too. [`judge`]
//! runs the shipped ones.

mod judge;
mod record;
mod replay;

pub use judge::{Judged, Judgement, judge};
pub use record::record;
pub use replay::{Replayed, replay};
