//! Receipts: what became of something that was sent.

use super::app::Shared;
use super::window::Ticket;
use crate::error::CallError;
use std::sync::Arc;
use std::time::Duration;

/// What a receipt tells of a message.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// The delivery's guarantee is met for it.
    Delivered,
    /// No live node lacks it.
    Stable,
}

/// Stands for what was sent: says when it is delivered, and when stable.
#[derive(Clone)]
pub struct Receipt {
    pub(super) shared: Arc<Shared>,
    pub(super) ticket: Ticket,
}

impl Receipt {
    /// Waits until the delivery's guarantee is met.
    ///
    /// # Errors
    /// `Refused` (not done), `Ended` or `TimedOut` (outcome unknown).
    pub fn wait(&self, timeout: Duration) -> Result<Outcome, CallError> {
        self.shared.windows.wait(self.ticket, Outcome::Delivered, timeout)
    }

    /// Waits until no live node lacks it.
    ///
    /// # Errors
    /// As [`Receipt::wait`].
    pub fn wait_stable(&self, timeout: Duration) -> Result<Outcome, CallError> {
        self.shared.windows.wait(self.ticket, Outcome::Stable, timeout)
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({:?})", self.ticket)
    }
}
