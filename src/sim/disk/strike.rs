//! Faults of disks as they strike: by the test's hand, or by themselves.

use super::{DiskFault, DiskKept, Loss};
use crate::component::{DiskOp, Item, Token};
use crate::id::Kind;
use crate::sim::queue::Event;
use crate::sim::trace::What;
use crate::sim::{NodeIndex, World};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

impl World {
    /// A crashed node begins a new life with what is said of its disk.
    pub fn restart_with(&mut self, node: NodeIndex, kept: DiskKept) {
        self.ensure_started();
        if !self.nodes[node.0].up {
            self.keep_disk(node.0, kept);
            self.count("restarts");
            self.start_life(node.0, 0);
        }
    }

    /// Remembers what is durable on a node's disk now, for
    /// [`DiskKept::Older`], until the next life begins.
    pub fn snapshot_disk(&mut self, node: NodeIndex) {
        self.ensure_started();
        self.nodes[node.0].storage.snapshot();
    }

    /// Lets a node's disk hold at most so many bytes, or as many as come
    /// (`None`). What it holds already stays; what does not fit fails with
    /// ENOSPC ([`io::ErrorKind::StorageFull`]), after the part of it that fits.
    /// Counted are the lengths of all files, holes as if they were full.
    pub fn set_disk_space(&mut self, node: NodeIndex, bytes: Option<u64>) {
        self.ensure_started();
        self.nodes[node.0].storage.set_space(bytes);
    }

    /// Lets the next disk operation of this sort of a component fail with EIO,
    /// in this life or a later one, unless [`World::heal`] comes first.
    pub fn fail_next_disk(&mut self, node: NodeIndex, component: Kind, fault: DiskFault) {
        self.ensure_started();
        self.nodes[node.0].storage.arm(component, fault);
    }

    /// Flips a bit of what is durable in a component's file, counted from the
    /// lowest of the first byte; running programs see it at once. False, and
    /// nothing is flipped, where the file durably has no such bit.
    pub fn flip_bit(&mut self, node: NodeIndex, component: Kind, file: &str, bit: u64) -> bool {
        self.ensure_started();
        let flipped = self.nodes[node.0].storage.flip(component, file, bit);
        if flipped {
            self.count("bits flipped");
            self.tell_of_disk(node.0, format!("bit {bit} of {file} flips"));
        }
        flipped
    }

    /// Performs a component's disk operation.
    pub(in crate::sim) fn disk_op(&mut self, node: usize, cell: usize, token: Token, op: DiskOp) {
        let component = self.nodes[node].cells[cell].kind;
        let what = what_for(&op);
        let result = self.nodes[node].storage.perform(component, op, &mut self.disk_rng);
        if let Err(error) = &result {
            self.disk_failed(node, error, what);
        }
        self.hand(node, cell, Item::Disk { token, result });
    }

    /// Counts and tells what a disk refused, where it was a fault of the disk.
    pub(in crate::sim) fn disk_failed(&mut self, node: usize, error: &io::Error, what: &str) {
        let errno = Errno::from_io_error(error);
        if errno == Some(Errno::IO) {
            self.count("disk errors");
            self.tell_of_disk(node, format!("{what} fails: EIO"));
        } else if errno == Some(Errno::NOSPC) {
            self.count("disk full");
            self.tell_of_disk(node, format!("{what} fails: ENOSPC"));
        }
    }

    /// The machine of a node has lost its memory, and with it what its disk had
    /// not made durable.
    pub(in crate::sim) fn crash_disk(&mut self, node: usize) {
        let loss = self.nodes[node].storage.crash(&self.faults.disk, &mut self.disk_rng);
        let Loss { writes, torn, reordered, names, flipped } = loss;
        let counts = [
            ("writes lost", writes),
            ("writes torn", torn),
            ("writes reordered", reordered),
            ("names lost", names),
            ("bits flipped", flipped),
        ];
        let mut told = Vec::new();
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            *self.counts.entry(what).or_insert(0) += count;
            told.push(format!("{what}: {count}"));
        }
        if !told.is_empty() {
            self.tell_of_disk(node, told.join(", "));
        }
    }

    /// Leaves to a node's next life what is said of its disk.
    pub(in crate::sim) fn keep_disk(&mut self, node: usize, kept: DiskKept) {
        let (counted, told) = match kept {
            DiskKept::All => return,
            DiskKept::Older => ("disks older", "is an older one"),
            DiskKept::Nothing => ("disks wiped", "is empty"),
        };
        if self.nodes[node].storage.components().len() > 0 {
            self.nodes[node].storage.keep(kept);
            self.count(counted);
            self.tell_of_disk(node, told.to_owned());
        }
    }

    /// What a crashed node's next life is to find, where the chaos restarts it
    /// and did not wipe its disk.
    pub(in crate::sim) fn draw_kept(&mut self) -> DiskKept {
        if self.disk_rng.f64() < self.faults.disk.older { DiskKept::Older } else { DiskKept::All }
    }

    /// The disk of some component of this node is to fail, where the node may.
    pub(in crate::sim) fn strike_disk(&mut self, node: NodeIndex, fault: DiskFault) {
        let components: Vec<Kind> = self.nodes[node.0].storage.components().collect();
        if !components.is_empty() && self.may_fail(node) {
            let component = components[self.disk_rng.usize(0..components.len())];
            self.nodes[node.0].storage.arm(component, fault);
        }
    }

    /// The node's disk is full for a while, where the node may fail.
    pub(in crate::sim) fn fill_disk(&mut self, node: NodeIndex) {
        if self.nodes[node.0].storage.full.is_multiple_of(2) && self.may_fail(node) {
            let storage = &mut self.nodes[node.0].storage;
            storage.full += 1;
            let longest = self.faults.disk.full.map_or(Duration::ZERO, |spell| spell.lasting);
            let lasting = longest.mul_f64(self.disk_rng.f64());
            let event = Event::DiskRoom { node: node.0 as u16, full: storage.full };
            self.queue.plan(self.now + lasting, event);
        }
    }

    /// There is room again, if that time without still lasts.
    pub(in crate::sim) fn disk_has_room(&mut self, node: usize, full: u32) {
        let storage = &mut self.nodes[node].storage;
        if storage.full == full {
            storage.full += 1;
        }
    }

    fn tell_of_disk(&mut self, node: usize, told: String) {
        let life = self.nodes[node].life();
        self.trace.push(self.now, life, What::Disk(told.into()));
    }
}

/// An operation as people name it.
fn what_for(op: &DiskOp) -> &'static str {
    match op {
        DiskOp::Append { .. } => "an append",
        DiskOp::WriteAt { .. } => "a write",
        DiskOp::Sync { .. } => "a sync",
        DiskOp::Allocate { .. } => "a preallocation",
        DiskOp::Replace { .. } => "a replacement",
        DiskOp::Rename { .. } => "a renaming",
        DiskOp::SyncDir { .. } => "a sync of a directory",
        DiskOp::Read { .. } => "a read",
        DiskOp::List { .. } => "a list",
        DiskOp::Remove { .. } => "a removal",
    }
}
