//! What the detectors have in common: from silence to suspicion, about one life.

use crate::time::Time;
use std::time::Duration;

/// Judges the silence of one life. Pure: time is handed in.
pub(super) trait Estimator: Send {
    /// A heartbeat arrived.
    fn heartbeat(&mut self, at: Time);
    /// What follows is not comparable with what was: after a pause of this
    /// node, or of the peer, the interval across it says nothing.
    fn interrupted(&mut self);
    /// The life was suspected, and was heard of again.
    fn mistaken(&mut self);
    /// Whether a silence of this length is suspicious.
    fn suspects(&self, silence: Duration) -> bool;
    /// The judgement in a few words, for people.
    fn explain(&self, silence: Duration) -> String;
}
