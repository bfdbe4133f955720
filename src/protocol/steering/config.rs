//! What is set; the same on all members.

use std::time::Duration;

/// Settings of a [`Steering`](super::Steering).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Config {
    /// Time between two reports: 2 s. An advantage is seen as often as this.
    pub report_every: Duration,
    /// How long a member has to be the better one: 30 s. Several reports; longer
    /// forgives longer bursts of work.
    pub sustained: Duration,
    /// A leader asks for no move before it led, or last asked, this long ago: 15 min,
    /// so four moves an hour at most. Longer than `sustained`.
    pub tenure: Duration,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            report_every: Duration::from_secs(2),
            sustained: Duration::from_secs(30),
            tenure: Duration::from_secs(15 * 60),
            mutant: None,
        }
    }
}

/// Bugs for the tests to catch.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Mutant {
    /// One good report is enough.
    AtOnce,
    /// A new leader asks like an old one.
    NoTenure,
    /// No move is asked for.
    NeverAsks,
}
