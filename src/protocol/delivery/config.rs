//! What can be set on a delivery component.

use super::Delivery;
use crate::protocol::clock::Clocks;
use std::time::Duration;

/// Settings of one delivery component. [`Config::new`] has sane values for
/// all but the rung.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rung of the ladder.
    pub delivery: Delivery,
    /// The voters are those of the node's replicated log, not the configured ones.
    pub voters_by_log: bool,
    /// The node's clocks; deliveries are stamped with those that it has.
    pub clocks: Clocks,
    /// Bytes of batches that one component may have broadcast and not yet seen
    /// released, before the user's call waits. The unit of all memory here:
    /// larger is faster over long links, and everything else is a multiple.
    pub window_bytes: u64,
    /// Bytes up to which requests of one channel are joined into one batch.
    pub batch_bytes: usize,
    /// How long something that others hold may be missing here before it is
    /// asked for. Acknowledgements often overtake payloads, so several round
    /// trips; repair after a crash takes at least this long.
    pub pull_after: Duration,
    /// Bytes of payload in one answer to a pull, and in one relay to one peer.
    pub pull_bytes_max: usize,
    /// Bytes kept for one origin beyond which its batches are dropped and asked
    /// for again later. At least `window_bytes` per broadcasting channel.
    pub origin_bytes_max: u64,
    /// Bytes held because some life does not acknowledge, beyond which that
    /// life is accused of holding back.
    pub unstable_bytes_max: u64,
    /// How long a life must have acknowledged nothing, while too much is held,
    /// before it is accused.
    pub hold_patience: Duration,
    /// How long stability waits for voters that were never seen.
    /// One that comes later begins where the others are and is told the gap.
    pub absent_after: Duration,
    /// How long a new life waits for voters that have not reported, when a
    /// majority has said that it is new too (cold start).
    pub cold_start_after: Duration,
    /// Bytes delivered to one channel and not yet handled, beyond which this
    /// node stops acknowledging (best effort: asks senders to pause) until half
    /// of it is handled.
    pub consumed_backlog_bytes_max: u64,
    /// Bytes on their way to one listener, and ten times as much queued for it;
    /// beyond that the oldest are dropped and the listener is told the gap.
    pub feed_window_bytes: u64,
}

impl Config {
    /// The defaults for `delivery`, without clocks.
    pub fn new(delivery: Delivery) -> Self {
        Config {
            delivery,
            voters_by_log: false,
            clocks: Clocks::default(),
            window_bytes: 4 << 20,
            batch_bytes: 64 << 10,
            pull_after: Duration::from_millis(100),
            pull_bytes_max: 256 << 10,
            origin_bytes_max: 16 << 20,
            unstable_bytes_max: 4 << 20,
            hold_patience: Duration::from_secs(5),
            absent_after: Duration::from_secs(15),
            cold_start_after: Duration::from_millis(500),
            consumed_backlog_bytes_max: 4 << 20,
            feed_window_bytes: 1 << 20,
        }
    }

    /// The same with the node's clocks.
    pub fn clocks(mut self, clocks: Clocks) -> Self {
        self.clocks = clocks;
        self
    }

    /// Bytes that a component with these settings keeps at the most, beside
    /// `peers` other nodes.
    pub fn memory_ceiling(&self, peers: usize) -> u64 {
        self.origin_bytes_max * (peers as u64 + 1)
    }
}

/// A planted bug, for the tests that must catch it.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mutant {
    /// Neither relays nor asks for what is missing (= best effort).
    NoRelayNoPull,
    /// Uniform delivers at the first copy.
    DeliverFirstCopy,
    /// Every copy is delivered.
    DropDedupe,
    /// A new life is taken for the old one.
    ForgetIncarnation,
    /// A new life acknowledges at once, and earlier lives' acks still count.
    CountAmnesiacAcks,
    /// What arrives is delivered, in whatever order.
    DeliverOnArrival,
    /// Best effort does not deliver to itself.
    SkipSelf,
    /// Best effort's loop over the voters stops at the first that is not
    /// linked, or suspected.
    StopAtFirstError,
    /// A list of voters is gone on to without asking the voters of the one before.
    MoveAtOnce,
    /// What those acknowledge that have gone on to a later list counts under the
    /// earlier one.
    CountAcrossLists,
    /// Causal order compares one number, how many were delivered of whomever.
    LamportForVectors,
}
