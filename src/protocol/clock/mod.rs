//! Logical clocks: when, without a common time.
//!
//! - [`Lamport`]: one counter per node; if one event happened before another,
//!   its reading is smaller. The reverse does not hold.
//! - [`VectorClock`]: one counter per life; exactly the happened-before order,
//!   hence only a partial one.
//! - [`Clocks`]: the readings of one node, shared by everything that stamps.
//! - [`LamportClock`], [`VectorTime`]: the components through which users read
//!   them.
//!
//! Clocks order nothing by themselves. Causal delivery counts broadcasts
//! ([`super::ordering::causal`]) and does not look at these.

mod component;
mod lamport;
mod register;
mod vector;

pub use component::{ClockCall, LamportClock, VectorTime};
pub use lamport::Lamport;
pub use register::Clocks;
pub use vector::VectorClock;
