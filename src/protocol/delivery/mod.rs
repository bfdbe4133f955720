//! The delivery ladder.

mod kinds;
pub use kinds::{Delivery, Guarantee, Order};
