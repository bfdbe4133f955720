//! What an election tells its node.

use super::epoch::Epoch;
use crate::event::Event;
use crate::id::Life;

/// A leader is elected. Retained: the last one. On the leader's own node it says
/// that it leads from now on; there it comes again, with the same epoch, when a
/// lease that was lost is won back.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct LeaderElected {
    /// Its epoch, for every command of the leader to carry.
    pub epoch: Epoch,
    /// The leader.
    pub leader: Life,
}

impl Event for LeaderElected {
    const NAME: &'static str = "leader_elected";
    const RETAINED: bool = true;
}

/// The leader of this epoch leads no longer, as far as this node knows: it is
/// suspected, its life ended, or (on its own node) its lease ran out. If that was a
/// mistake, [`LeaderElected`] comes again. Who subscribes late asks for the
/// [`Status`](super::Status).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct LeaderLost {
    /// Its epoch.
    pub epoch: Epoch,
    /// Who led.
    pub leader: Life,
}

impl Event for LeaderLost {
    const NAME: &'static str = "leader_lost";
}

/// With which rank this life takes part in an election; only where a checker asked
/// for it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ElectionRank {
    /// The election.
    pub number: u64,
    /// The bucket of its score.
    pub bucket: Option<u8>,
}

impl Event for ElectionRank {
    const NAME: &'static str = "election_rank";
}
