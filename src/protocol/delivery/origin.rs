//! What this node knows and holds of one origin's life.
//!
//! What a life holds of an origin is always a *prefix*: batches that come early
//! wait in the hold-back queue and are neither delivered nor acknowledged, so
//! an acknowledgement is one number and the delivered set is a watermark.
//!
//! ```text
//!   1 ......... stable ........ delivered ..... offered ......... have   | early
//!   released    every life      handed up       guarantee met     a prefix
//! ```

use super::held::Held;
use super::message::Holding;
use crate::id::Life;
use crate::protocol::backlog::Backlog;
use crate::protocol::ordering::fifo::{Fifo, Offer};

/// Early batches kept for one origin at the most; later ones are asked for
/// again.
pub(super) const EARLY_MAX: u64 = 4096;

/// A pull that is under way.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Pull {
    pub(super) whom: Life,
}

/// What is left to do for an origin whose life is over.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Over {
    /// This node has told all how much it holds.
    pub(super) reported: bool,
    /// It was closed before: what others reported then is to be said again.
    pub(super) reopened: bool,
}

/// The record of one origin's life.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Origin {
    pub(super) life: Life,
    arrivals: Fifo<Held>,
    /// The prefix's unstable part: `released + 1 ..= have`.
    store: Backlog<Held>,
    pub(super) released: u64,
    /// Batches whose delivery the guarantee allows, handed to the order.
    pub(super) offered: u64,
    pub(super) delivered: u64,
    /// The greatest number that this node has acknowledged to all.
    pub(super) told: u64,
    /// What each voter's current life holds, by slot.
    pub(super) acked: Vec<u64>,
    /// What each of them has released, by slot: not to be had from there.
    bases: Vec<u64>,
    /// Who among them said that this is all that it will ever hold, by slot.
    pub(super) reported: Vec<bool>,
    /// Bytes kept, in the store and early.
    pub(super) bytes: u64,
    pub(super) pull: Option<Pull>,
    /// What this node had when repair last looked.
    pub(super) seen_have: u64,
    pub(super) over: Option<Over>,
    /// Something about it changed since the last flush.
    pub(super) dirty: bool,
}

/// What became of an arriving batch.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// The prefix grew.
    Grown,
    /// Held back.
    Early,
    Duplicate,
    /// Too far ahead, or too much is kept: dropped, to be asked for again.
    Dropped,
}

impl Origin {
    pub(super) fn new(life: Life) -> Self {
        Origin {
            life,
            arrivals: Fifo::default(),
            store: Backlog::default(),
            released: 0,
            offered: 0,
            delivered: 0,
            told: 0,
            acked: Vec::new(),
            bases: Vec::new(),
            reported: Vec::new(),
            bytes: 0,
            pull: None,
            seen_have: 0,
            over: None,
            dirty: false,
        }
    }

    /// The greatest number of the prefix that this node holds (or never owes).
    pub(super) fn have(&self) -> u64 {
        self.arrivals.waiting_for() - 1
    }

    pub(super) fn knows(&self, seq: u64) -> bool {
        self.arrivals.knows(seq)
    }

    pub(super) fn early(&self) -> usize {
        self.arrivals.held_back()
    }

    pub(super) fn first_early(&self) -> Option<u64> {
        self.arrivals.first_early()
    }

    /// Takes a batch. The next one of the prefix is only refused when this
    /// origin's own share is full: it may be what other origins' held-back
    /// batches wait for.
    pub(super) fn arrive(&mut self, seq: u64, held: Held, bytes_max: u64) -> Arrival {
        if self.arrivals.knows(seq) {
            return Arrival::Duplicate;
        }
        let early = seq > self.have() + 1;
        let full = if early { bytes_max / 2 } else { bytes_max };
        let far = early && seq - self.have() > EARLY_MAX;
        if far || (self.bytes > 0 && self.bytes + held.cost() > full) {
            return Arrival::Dropped;
        }
        self.bytes += held.cost();
        match self.arrivals.offer(seq, held) {
            Offer::Duplicate => Arrival::Duplicate,
            Offer::Early => Arrival::Early,
            Offer::Next(held) => {
                self.store.push_back(held);
                while let Some(held) = self.arrivals.next() {
                    self.store.push_back(held);
                }
                Arrival::Grown
            }
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Held> {
        let at = seq.checked_sub(self.released + 1)?;
        self.store.get(usize::try_from(at).ok()?)
    }

    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Held> {
        let at = seq.checked_sub(self.released + 1)?;
        self.store.get_mut(usize::try_from(at).ok()?)
    }

    /// The held batches from `from` on, with their numbers.
    pub(super) fn held_from(&self, from: u64) -> impl Iterator<Item = (u64, &Held)> {
        let from = from.max(self.released + 1);
        let skip = usize::try_from(from - self.released - 1).unwrap_or(usize::MAX);
        self.store.iter_from(skip).zip(from..).map(|(held, seq)| (seq, held))
    }

    /// Releases one batch, the oldest, if it is not beyond `stable`.
    pub(super) fn release(&mut self, stable: u64) -> Option<Held> {
        if self.released >= stable.min(self.delivered) {
            return None;
        }
        let held = self.store.pop_front()?;
        self.released += 1;
        self.bytes -= held.cost();
        Some(held)
    }

    /// Begins after `base`: nothing up to it is owed. Returns whether that
    /// skipped anything.
    pub(super) fn begin_after(&mut self, base: u64) -> bool {
        if base <= self.have() {
            return false;
        }
        for held in self.store.take().chain(self.arrivals.skip(base).into_values()) {
            self.bytes -= held.cost();
        }
        (self.released, self.offered, self.delivered) = (base, base, base);
        while let Some(held) = self.arrivals.next() {
            self.store.push_back(held);
        }
        true
    }

    pub(super) fn holding(&self) -> Holding {
        Holding { origin: self.life, base: self.released, have: self.have(), over: self.over.is_some() }
    }

    pub(super) fn acked_by(&self, slot: usize) -> u64 {
        self.acked.get(slot).copied().unwrap_or(0)
    }

    /// Notes what a voter holds; whether that is news.
    pub(super) fn ack(&mut self, slot: usize, upto: u64) -> bool {
        if self.acked.len() <= slot {
            self.acked.resize(slot + 1, 0);
        }
        let news = self.acked[slot] < upto;
        self.acked[slot] = upto.max(self.acked[slot]);
        news
    }

    pub(super) fn base_of(&self, slot: usize) -> u64 {
        self.bases.get(slot).copied().unwrap_or(0)
    }

    /// Notes what a voter has released.
    pub(super) fn note_base(&mut self, slot: usize, base: u64) {
        if self.bases.len() <= slot {
            self.bases.resize(slot + 1, 0);
        }
        self.bases[slot] = base.max(self.bases[slot]);
    }

    /// Nothing of it was ever here.
    pub(super) fn untouched(&self) -> bool {
        self.have() == 0
    }

    pub(super) fn report(&mut self, slot: usize) {
        if self.reported.len() <= slot {
            self.reported.resize(slot + 1, false);
        }
        self.reported[slot] = true;
    }

    /// Forgets what an earlier life of that voter said.
    pub(super) fn void(&mut self, slot: usize) {
        if let Some(acked) = self.acked.get_mut(slot) {
            *acked = 0;
        }
        if let Some(base) = self.bases.get_mut(slot) {
            *base = 0;
        }
        if let Some(reported) = self.reported.get_mut(slot) {
            *reported = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::BatchBuilder;
    use crate::component::Stamp;
    use crate::id::{Kind, NodeId};

    fn held(bytes: usize) -> Held {
        let mut builder = BatchBuilder::default();
        builder.push(|out| out.resize(out.len() + bytes, 7));
        let batch = builder.take().expect("one message");
        Held::new(Kind(1), batch, Stamp::default())
    }

    fn origin() -> Origin {
        Origin::new(Life::new(NodeId(1), 1))
    }

    #[test]
    fn holds_a_prefix_and_gives_its_bytes_back() {
        let mut origin = origin();
        assert_eq!(origin.arrive(2, held(10), 1000), Arrival::Early);
        assert_eq!(origin.have(), 0);
        assert_eq!(origin.arrive(1, held(10), 1000), Arrival::Grown);
        assert_eq!(origin.have(), 2);
        assert_eq!(origin.arrive(2, held(10), 1000), Arrival::Duplicate);
        assert!(origin.release(2).is_none(), "not delivered yet");
        origin.delivered = 2;
        assert!(origin.release(2).is_some() && origin.release(2).is_some() && origin.release(2).is_none());
        assert_eq!(origin.bytes, 0);
    }

    #[test]
    fn too_far_and_too_much_are_dropped() {
        let mut origin = origin();
        assert_eq!(origin.arrive(EARLY_MAX + 2, held(1), 1 << 20), Arrival::Dropped);
        assert_eq!(origin.arrive(1, held(900), 1000), Arrival::Grown);
        assert_eq!(origin.arrive(2, held(900), 1000), Arrival::Dropped);
        assert_eq!(origin.have(), 1);
    }

    #[test]
    fn a_base_skips_and_keeps_what_follows() {
        let mut origin = origin();
        origin.arrive(1, held(1), 1000);
        origin.arrive(8, held(1), 1000);
        assert!(origin.begin_after(7));
        assert_eq!((origin.have(), origin.released, origin.delivered), (8, 7, 7));
        assert_eq!(origin.get(8).map(|held| held.count()), Some(1));
        assert!(!origin.begin_after(3));
        origin.delivered = 8;
        origin.release(8);
        assert_eq!(origin.bytes, 0);
    }
}
