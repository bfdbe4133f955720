//! What may go wrong with the disks, each fault on or off by itself.

use crate::sim::Spell;
use std::time::Duration;

/// The faults of a world's disks. Probabilities are between 0 and 1. What is
/// drawn for disks is drawn apart: it changes nothing else that the seed has.
///
/// A component that answers a disk's error with a [`Fault`](crate::error::Fault)
/// begins its node's next life, so errors strike only where
/// [`Faults::down_max`](super::super::Faults::down_max) leaves room for that.
#[derive(Clone, PartialEq, Debug)]
pub struct DiskFaults {
    /// Probability that a crash spares a part of what was not synced, writes
    /// and changes of names; else all of that is lost.
    pub spared: f64,
    /// Probability that what is spared is any part, later ones without earlier
    /// ones; else it is all up to some moment.
    pub reordered: f64,
    /// Probability that the last write of a file which a crash spares is torn:
    /// some of its bytes are there.
    pub torn: f64,
    /// Mean time between two writes, anywhere, that fail (EIO).
    pub write_errors: Option<Duration>,
    /// Mean time between two syncs, anywhere, that fail (EIO). What was to
    /// become durable is dropped, all or some of it, and is not tried again by
    /// later syncs.
    pub sync_errors: Option<Duration>,
    /// Mean time between two reads, anywhere, that fail (EIO).
    pub read_errors: Option<Duration>,
    /// A node's disk has no more room (ENOSPC).
    pub full: Option<Spell>,
    /// Probability that a crash flips one bit of what was synced.
    pub flipped: f64,
    /// Probability that a life which would have its node's disk has the one that
    /// the life before it began with.
    pub older: f64,
}

impl Default for DiskFaults {
    fn default() -> Self {
        DiskFaults::none()
    }
}

impl DiskFaults {
    /// No fault: what was not synced is lost in a crash, and nothing else.
    pub fn none() -> Self {
        DiskFaults {
            spared: 0.0,
            reordered: 0.0,
            torn: 0.0,
            write_errors: None,
            sync_errors: None,
            read_errors: None,
            full: None,
            flipped: 0.0,
            older: 0.0,
        }
    }

    /// A disk that fails but does not lie: what it said to be durable is there,
    /// whole. Each of its faults has a settled strength, none too rare to matter
    /// within ten seconds.
    pub fn honest() -> Self {
        DiskFaults {
            spared: 0.8,
            reordered: 0.5,
            torn: 0.5,
            write_errors: Some(Duration::from_secs(3)),
            sync_errors: Some(Duration::from_secs(3)),
            read_errors: Some(Duration::from_secs(6)),
            full: Some(Spell { every: Duration::from_secs(5), lasting: Duration::from_secs(1) }),
            ..DiskFaults::none()
        }
    }

    /// All faults: an honest disk's, flipped bits and older disks. Most protocols
    /// assume that the last two do not happen.
    pub fn all() -> Self {
        DiskFaults { flipped: 0.2, older: 0.2, ..DiskFaults::honest() }
    }

    /// An honest disk's faults as the seed will have them: each is off in one of
    /// three worlds.
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        let mut faults = DiskFaults::honest();
        for probability in [&mut faults.spared, &mut faults.reordered, &mut faults.torn] {
            *probability = if rng.u32(0..3) > 0 { *probability } else { 0.0 };
        }
        for every in [&mut faults.write_errors, &mut faults.sync_errors, &mut faults.read_errors] {
            *every = every.filter(|_| rng.u32(0..3) > 0).map(|every| every.mul_f64(0.3 + rng.f64()));
        }
        faults.full = faults.full.filter(|_| rng.u32(0..3) > 0);
        faults
    }
}

/// An operation of a disk that fails with EIO: see
/// [`World::fail_next_disk`](crate::sim::World::fail_next_disk).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// The next write, preallocation, renaming, removal or replacement. Some of
    /// the bytes of a write may be in the file.
    Write,
    /// The next sync, of a file or a directory, or the one inside a
    /// replacement. All or some of what was to become durable never does.
    Sync,
    /// The next read, list or chunk of a stream.
    Read,
}

/// What a node's next life finds on its disk: see
/// [`World::restart_with`](crate::sim::World::restart_with).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum DiskKept {
    /// All that the end of the last life left.
    All,
    /// What was durable at the last [`World::snapshot_disk`](crate::sim::World::snapshot_disk),
    /// which every life takes by itself when it begins.
    Older,
    /// Nothing.
    Nothing,
}

/// How a crash ended for what was not synced, and for what was.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(in crate::sim) struct Loss {
    /// Writes of which nothing is left.
    pub(in crate::sim) writes: u64,
    /// Writes of which a part is left.
    pub(in crate::sim) torn: u64,
    /// Files of which a write is left while an earlier one is lost.
    pub(in crate::sim) reordered: u64,
    /// Changes of names that did not happen.
    pub(in crate::sim) names: u64,
    /// Bits flipped.
    pub(in crate::sim) flipped: u64,
}
