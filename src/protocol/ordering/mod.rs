//! Orders of delivery, as pure hold-back structures that a delivery component
//! wraps around its core.
//!
//! - [`fifo`]: one sender's batches in the sender's order.
//! - [`causal`]: what happened before is delivered before;
//!   [`dependencies`]: what a batch waits for.

pub mod causal;
pub mod dependencies;
pub mod fifo;
