//! What can go wrong, in terms of what happened to the state.

use std::time::Duration;
use thiserror::Error;

/// A component cannot go on. The driver's supervisor decides what follows.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An invariant of the component is broken; going on could break a
    /// guarantee. A leaf restarts, a protocol component restarts the node.
    #[error("invariant broken: {0}")]
    Broken(String),
    /// The peers ended this life; the node goes on as a new one.
    #[error("this life was ended by the other voters: {0}")]
    LifeEnded(String),
    /// The component asks to be stopped together with its node.
    #[error("stop asked for: {0}")]
    Stop(String),
}

/// Why a request, a call or a send brought no result. Each variant says what
/// happened to the state.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CallError {
    /// Not done, and never will be.
    #[error("refused (not done): {0}")]
    Refused(String),
    /// The deadline passed; it may or may not have been done.
    #[error("no answer within {0:?} (outcome unknown): ask again with the same key, or raise the deadline")]
    TimedOut(Duration),
    /// The life that was to answer ended; it may or may not have been done.
    #[error("the answering life ended (outcome unknown): {0}")]
    Ended(String),
    /// Whoever was to answer failed while at it; it may or may not have been
    /// done.
    #[error("failed while at it (outcome unknown): {0}")]
    Failed(String),
    /// This node is stopping; not done unless said otherwise before.
    #[error("the node is stopping (not done)")]
    Stopping,
}
