//! What is going to happen, in the order of virtual time.

use crate::component::{Item, ReplyTo, TimerId};
use crate::protocol::link::FrameHeader;
use crate::time::Time;
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that is to happen. `run` numbers a node's lives within one world:
/// what was planned for an earlier life is void.
pub(super) enum Event {
    /// A component drains its mailbox.
    Run { node: u16, run: u32, cell: u16 },
    /// A timer comes due, unless it was cancelled or the clock jumped.
    Timer { node: u16, run: u32, cell: u16, id: TimerId },
    /// A job or a disk operation is done, an answer comes.
    Hand { node: u16, run: u32, cell: u16, item: Box<Item> },
    /// A disk operation is performed.
    Disk { node: u16, run: u32, cell: u16, op: Box<(crate::component::Token, crate::component::DiskOp)> },
    /// A call was not answered in time.
    Deadline { node: u16, run: u32, reply_to: ReplyTo },
    /// What a stream carries arrives.
    Stream { node: u16, run: u32, arrival: Box<super::stream::Arrival> },
    /// A link's writer wakes up.
    Transmit { from: u16, to: u16, run: u32 },
    /// A link's acknowledgement or resend comes due.
    Tick { from: u16, to: u16, run: u32 },
    /// A frame arrives.
    Frame { from: u16, to: u16, epoch: u64, header: FrameHeader, block: Bytes },
    /// Two nodes try to connect.
    Connect { a: u16, b: u16 },
    /// The second side of a session learns that it is open.
    Open { at: u16, run: u32, peer: u16, peer_run: u32, epoch: u64 },
    /// A side of a session notices its end.
    Close { at: u16, run: u32, peer: u16, epoch: u64 },
    /// A node starts a new life.
    Start { node: u16, run: u32, at_least: u64, kept: super::disk::DiskKept },
    /// A paused node goes on.
    Resume { node: u16, pause: u32 },
    /// A full disk has room again.
    DiskRoom { node: u16, full: u32 },
    /// A partition ends.
    Unpartition { partition: u32 },
    /// A fault of this class strikes, if the chaos phase still lasts.
    Chaos { class: u8, phase: u32 },
    /// A node that was to crash between two effects made none.
    Doom { node: u16, run: u32 },
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    number: u64,
    slot: u32,
}

/// Planned events; those of one instant keep the order in which they were
/// planned. Bounded by what components, links and faults have outstanding.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Due>>,
    slots: Vec<Option<Event>>,
    free: Vec<u32>,
    planned: u64,
}

impl Queue {
    /// Plans `event` for the time `at`.
    pub(super) fn plan(&mut self, at: Time, event: Event) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                (self.slots.len() - 1) as u32
            }
        };
        self.planned += 1;
        self.heap.push(Reverse(Due { at: at.0, number: self.planned, slot }));
    }

    /// How many events were planned so far.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }

    /// When the next event happens.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(due)| Time(due.at))
    }

    /// The next event, its time and its number.
    pub(super) fn pop(&mut self) -> Option<(Time, u64, Event)> {
        let Reverse(due) = self.heap.pop()?;
        let event = self.slots[due.slot as usize].take()?;
        self.free.push(due.slot);
        Some((Time(due.at), due.number, event))
    }
}
