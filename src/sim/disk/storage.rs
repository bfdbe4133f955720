//! All that a node keeps on its disk: a directory for each component, one
//! room, one crash.

use super::{Disk, DiskFault, DiskFaults, DiskKept, Loss, Reading};
use crate::component::{DiskDone, DiskOp};
use crate::id::Kind;
use bytes::Bytes;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::io;

/// A node's disk.
#[derive(Default)]
pub(in crate::sim) struct Storage {
    disks: BTreeMap<Kind, Disk>,
    /// What was durable at the last snapshot.
    older: BTreeMap<Kind, Disk>,
    /// Bytes that it holds at most, as the test set it.
    space: Option<u64>,
    /// Counts the times for which the chaos leaves no room; it lasts while odd.
    pub(in crate::sim) full: u32,
}

impl Storage {
    /// # Errors
    /// See [`Disk::perform`].
    pub(in crate::sim) fn perform(&mut self, component: Kind, op: DiskOp, rng: &mut Rng) -> io::Result<DiskDone> {
        let room = self.room();
        self.disks.entry(component).or_default().perform(op, room, rng)
    }

    /// # Errors
    /// See [`Disk::open`].
    pub(in crate::sim) fn open(&mut self, component: Kind, name: &str, offset: u64) -> io::Result<Reading> {
        self.disks.entry(component).or_default().open(name, offset)
    }

    /// # Errors
    /// See [`Disk::read_on`].
    pub(in crate::sim) fn read_on(&mut self, component: Kind, reading: &mut Reading, bytes: u64) -> io::Result<Bytes> {
        self.disks.entry(component).or_default().read_on(reading, bytes)
    }

    /// By how much its files may grow.
    fn room(&self) -> Option<u64> {
        if self.full % 2 == 1 {
            return Some(0);
        }
        self.space.map(|space| space.saturating_sub(self.disks.values().map(Disk::used).sum()))
    }

    pub(super) fn set_space(&mut self, bytes: Option<u64>) {
        self.space = bytes;
    }

    pub(super) fn arm(&mut self, component: Kind, fault: DiskFault) {
        self.disks.entry(component).or_default().arm(fault);
    }

    /// No fault is waiting, and there is the room that the test set.
    pub(in crate::sim) fn heal(&mut self) {
        self.disks.values_mut().for_each(Disk::disarm);
        self.full += self.full % 2;
    }

    /// The components that have used it.
    pub(super) fn components(&self) -> impl ExactSizeIterator<Item = Kind> {
        self.disks.keys().copied()
    }

    pub(super) fn flip(&mut self, component: Kind, name: &str, bit: u64) -> bool {
        self.disks.get_mut(&component).is_some_and(|disk| disk.flip(name, bit))
    }

    /// The machine has lost its memory.
    pub(in crate::sim) fn crash(&mut self, faults: &DiskFaults, rng: &mut Rng) -> Loss {
        let mut loss = Loss::default();
        for disk in self.disks.values_mut() {
            disk.crash(faults, rng, &mut loss);
        }
        let bytes: u64 = self.disks.values().map(Disk::durable_bytes).sum();
        if bytes > 0 && rng.f64() < faults.flipped {
            let mut bit = rng.u64(0..8 * bytes);
            for disk in self.disks.values_mut() {
                let bits = 8 * disk.durable_bytes();
                if bit < bits {
                    disk.flip_any(bit);
                    loss.flipped += 1;
                    break;
                }
                bit -= bits;
            }
        }
        loss
    }

    /// Remembers what is durable now.
    pub(in crate::sim) fn snapshot(&mut self) {
        self.older = self.disks.clone();
        for disk in self.older.values_mut() {
            disk.disarm();
            disk.crash(&DiskFaults::none(), &mut Rng::with_seed(0), &mut Loss::default());
        }
    }

    /// What the next life finds.
    pub(super) fn keep(&mut self, kept: DiskKept) {
        match kept {
            DiskKept::All => {}
            DiskKept::Older => self.disks = self.older.clone(),
            DiskKept::Nothing => self.disks.clear(),
        }
    }
}
