//! What an election is told when it is composed; the same on all nodes.

use std::time::Duration;

/// By what nodes are ranked.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Hash)]
pub enum By {
    /// The highest id wins.
    #[default]
    Id,
    /// The least loaded wins: see [`super::score`]. Needs load samples; a node
    /// without one is no candidate.
    Load,
}

/// What makes a winner the leader.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Hash)]
pub enum Mode {
    /// That nobody better answered: whoever is left leads, one a side in a
    /// partition.
    #[default]
    Textbook,
    /// A compare-and-set in the replicated map: one leader, or none.
    Safe,
}

/// Settings of an [`Election`](super::Election).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Config {
    /// By what nodes are ranked.
    pub by: By,
    /// What makes a winner the leader.
    pub mode: Mode,
    /// The unit of an election: 2 s. A better node's answer is awaited for a
    /// quarter of it, its leadership for half of it; a leader repeats itself four
    /// times in it. Longer than a few round trips, and about as long as the
    /// detector takes to suspect: shorter finds a leader sooner and has more
    /// elections for nothing. At least 40 ms.
    pub timeout: Duration,
    /// A node that begins waits for a random part of this, so that not all begin
    /// at once: 250 ms, below a quarter of the timeout. Doubled, up to sixteen
    /// times, with each election that brought no leader.
    pub start_delay: Duration,
    /// Safe mode: how long the leader leads without confirming that it does:
    /// 1.5 s. Less than what the detector takes to suspect, so that a leader that is
    /// cut off has stopped before another begins; several round trips and a
    /// disk's sync.
    pub lease: Duration,
    /// Whether a better node may displace a leader that is up. By id: any higher
    /// one. By load: one that is better by 15 points and 30 % for
    /// [`Config::sustained`]. Off by default: every change of leader costs those
    /// who work with it.
    pub pre_emption: bool,
    /// A leader is not displaced before it led this long: 60 s; nor does one node
    /// try more often.
    pub tenure: Duration,
    /// How long an advantage by load must last: 30 s.
    pub sustained: Duration,
    /// Publishes [`ElectionRank`](super::ElectionRank), for checkers.
    #[doc(hidden)]
    pub traced: bool,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            by: By::Id,
            mode: Mode::Textbook,
            timeout: Duration::from_secs(2),
            start_delay: Duration::from_millis(250),
            lease: Duration::from_millis(1500),
            pre_emption: false,
            tenure: Duration::from_secs(60),
            sustained: Duration::from_secs(30),
            traced: false,
            mutant: None,
        }
    }
}

impl Config {
    /// What is wrong with these values, and what would be right; `None` if nothing
    /// is.
    pub fn fault(&self) -> Option<String> {
        if self.timeout < Duration::from_millis(40) {
            return Some(format!("the election's timeout is {:?}: take at least 40 ms, 2 s is sane", self.timeout));
        }
        if self.start_delay >= self.timeout / 4 {
            let most = self.timeout / 4;
            return Some(format!("the start delay is {:?}: take less than {most:?}", self.start_delay));
        }
        if self.lease < Duration::from_millis(30) {
            return Some(format!("the lease is {:?}: take at least 30 ms, 1.5 s is sane", self.lease));
        }
        None
    }

    /// How long a better node's answer is awaited.
    pub(super) fn answer_within(&self) -> Duration {
        self.timeout / 4
    }

    /// How long the leadership of one that answered is awaited.
    pub(super) fn coordinator_within(&self) -> Duration {
        self.timeout / 2
    }

    /// Time between two signs of the leader, and between two looks at the map.
    pub(super) fn repeat(&self) -> Duration {
        self.timeout / 4
    }
}

/// Bugs for the tests to catch.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Mutant {
    /// A winner leads in the last epoch's number.
    EpochReused,
    /// Any Coordinator is believed.
    OldCoordinatorAccepted,
    /// The rank in an election is that of the moment.
    ScoreNotFrozen,
    /// Epochs are not written.
    EpochNotPersisted,
}
