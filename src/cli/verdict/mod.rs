//! The verdict on a run, from the records that the nodes' lives left behind:
//! nothing that happened in memory, nothing that a node says of itself.
//!
//! - **lost**: a message that had to be delivered and that a node which was up
//!   throughout never delivered. Had to be: under a uniform delivery whatever
//!   any life delivered, also one that was killed; under a reliable one
//!   whatever a life delivered that was up at the end; under best effort what
//!   was delivered anywhere and came from such a life. And under each, whatever
//!   such a life broadcast (validity).
//! - **duplicated**: delivered again by the same life.
//! - **out of order**: delivered after something that it should precede: a
//!   later broadcast of its origin (FIFO), or anything in whose causal past it
//!   stands (causal; the past is read from the histories, not from the
//!   protocol's own clocks).
//!
//! What a killed life did after its last record is unknown and accuses nobody.

mod history;
mod judge;
mod order;

pub(crate) use history::{Histories, load};
pub(crate) use judge::{Finding, NodeTotals, Verdict, judge};
