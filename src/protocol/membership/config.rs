//! What membership is told when it is composed.

use std::time::Duration;

/// Configuration of [`Membership`](super::Membership).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// A life that this node suspected, or that held back a delivery, for this
    /// long is accused; a majority of accusations ends it. Longer forgives
    /// longer pauses and cut cables; shorter frees the memory kept for a
    /// crashed life sooner. Many times the detector's timeout; at least 100 ms.
    pub exclude_after: Duration,
    /// The voters are those of the node's replicated log, not the configured ones.
    pub voters_by_log: bool,
}

impl Config {
    /// Lives are accused after this time.
    pub fn new(exclude_after: Duration) -> Self {
        Config { exclude_after, voters_by_log: false }
    }

    /// What is wrong with these values, and what would be right; `None` if
    /// nothing is.
    pub fn fault(&self) -> Option<String> {
        (self.exclude_after < Duration::from_millis(100))
            .then(|| format!("exclude_after is {:?}: take at least 100 ms (30 s is sane)", self.exclude_after))
    }
}

/// Half a minute.
impl Default for Config {
    fn default() -> Self {
        Config::new(Duration::from_secs(30))
    }
}
