//! One side of a link: what the module's head tells, lane by lane.

use super::frame::{BLOCK_BYTES_MAX, FrameHeader, What};
use super::incoming::{Accept, Incoming};
use super::outgoing::Outgoing;
use super::{Config, Counters, Mutant, Opened};
use crate::component::{Lane, Uncompared};
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::collections::VecDeque;

/// Probes that wait for a writer; a new one pushes the oldest out.
const PROBES_MAX: usize = 64;
/// Bytes that a lane may write before the next less urgent one has its turn:
/// control, data, bulk.
const TURN_BYTES: [usize; 3] = [512 << 10, 256 << 10, 64 << 10];
/// The lanes that are perfect links.
pub(super) const SEQUENCED: [Lane; 3] = [Lane::Control, Lane::Data, Lane::Bulk];

/// This side's half of the link to one peer node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    config: Config,
    peer: Option<Life>,
    epoch: Option<u64>,
    /// The known life was ended: pushes are dropped until a later one appears.
    ended: bool,
    outgoing: [Outgoing; 3],
    incoming: [Incoming; 3],
    /// Not compared: says which lane writes first, never what is written.
    turns: Uncompared<[usize; 3]>,
    probes: VecDeque<(Kind, Bytes)>,
    /// Not compared: for people.
    counters: Uncompared<Counters>,
    /// Looked at only where something is not as it usually is.
    mutant: Option<Mutant>,
}

impl Link {
    /// A link to a peer that was never met.
    pub fn new(config: Config) -> Self {
        Link {
            config,
            peer: None,
            epoch: None,
            ended: false,
            outgoing: Default::default(),
            incoming: std::array::from_fn(|_| Incoming::new()),
            turns: Uncompared(TURN_BYTES),
            probes: VecDeque::new(),
            counters: Uncompared::default(),
            mutant: None,
        }
    }

    /// The same with a planted bug.
    #[doc(hidden)]
    pub fn mutant(config: Config, mutant: Mutant) -> Self {
        Link { mutant: Some(mutant), ..Link::new(config) }
    }

    /// The peer's life that the link is to, once one was met.
    pub fn peer(&self) -> Option<Life> {
        self.peer
    }

    /// Whether that life was ended.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The session, while there is one.
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// What it has seen.
    pub fn counters(&self) -> Counters {
        *self.counters
    }

    /// Bytes pushed on a lane and not acknowledged.
    pub fn queued_bytes(&self, lane: Lane) -> usize {
        match sequenced(lane) {
            Some(at) => self.outgoing[at].queued_bytes(),
            None => self.probes.iter().map(|(_, block)| block.len()).sum(),
        }
    }

    /// Bytes that wait to be written in this session, on all lanes.
    pub fn unsent_bytes(&self) -> usize {
        self.outgoing.iter().map(Outgoing::unsent_bytes).sum::<usize>() + self.queued_bytes(Lane::Probe)
    }

    /// A session with the life `peer` began; it replaces an earlier one.
    /// Epochs are this side's own numbers for sessions and must rise.
    pub fn session(&mut self, now: Time, peer: Life, epoch: u64) -> Opened {
        let opened = match self.peer {
            None => Opened::First,
            Some(old) if old == peer && !self.ended => Opened::Resumed,
            Some(old) if old.node == peer.node && self.ended && old.incarnation < peer.incarnation => Opened::First,
            Some(old) if old == peer => return Opened::Outlived { by: old },
            Some(old) if old.node == peer.node && old.incarnation > peer.incarnation => {
                return Opened::Outlived { by: old };
            }
            Some(old) => Opened::NewLife { old },
        };
        if matches!(opened, Opened::NewLife { .. }) && self.mutant != Some(Mutant::IncarnationForgotten) {
            self.forget();
        }
        self.ended = false;
        self.peer = Some(peer);
        self.epoch = Some(epoch);
        self.probes.clear();
        for lane in &mut self.outgoing {
            lane.go_back();
        }
        for lane in &mut self.incoming {
            lane.reopened(now);
        }
        opened
    }

    /// The session is over, if it still is the current one.
    pub fn closed(&mut self, epoch: u64) {
        if self.epoch == Some(epoch) {
            self.epoch = None;
            self.probes.clear();
            for lane in &mut self.outgoing {
                lane.go_back();
            }
        }
    }

    /// The peer's known life is over by decision: its queue is dropped, so is
    /// whatever is pushed from now on, until a later life appears (which is
    /// then a [`Opened::First`]). Nothing happens if no life was met.
    pub fn end(&mut self) {
        if self.peer.is_some() {
            self.ended = true;
            self.epoch = None;
            self.probes.clear();
            self.forget();
        }
    }

    /// Queues a block of at most [`BLOCK_BYTES_MAX`] bytes. Probes are dropped
    /// while there is no session, and the oldest when there are too many.
    pub fn push(&mut self, lane: Lane, component: Kind, block: Bytes) {
        debug_assert!(block.len() <= BLOCK_BYTES_MAX, "refused at the user's call");
        if let Some(at) = sequenced(lane) {
            if !self.ended {
                self.outgoing[at].push(component, block);
            }
            return;
        }
        if self.epoch.is_none() {
            self.counters.probes_dropped += 1;
            return;
        }
        if self.probes.len() == PROBES_MAX {
            self.probes.pop_front();
            self.counters.probes_dropped += 1;
        }
        self.probes.push_back((component, block));
    }

    /// Whether [`Link::transmit`] would write anything now.
    pub fn ready(&self, now: Time) -> bool {
        self.epoch.is_some()
            && (!self.probes.is_empty()
                || self.outgoing.iter().any(|lane| lane.sendable(self.config.window_bytes))
                || self.incoming.iter().any(|lane| lane.ack_due().is_some_and(|at| at <= now)))
    }

    /// Hands the frames that are to be written now to `write`, until about
    /// `budget_bytes` are reached (a frame is never cut). Urgent lanes come
    /// first, but none is starved. Returns the bytes, headers included.
    pub fn transmit(&mut self, now: Time, budget_bytes: usize, write: &mut dyn FnMut(&FrameHeader, &Bytes)) -> usize {
        let mut written = 0;
        if self.epoch.is_none() {
            return 0;
        }
        let mut emit = |header: FrameHeader, block: &Bytes| {
            write(&header, block);
            FrameHeader::BYTES + block.len()
        };
        while written < budget_bytes
            && let Some((component, block)) = self.probes.pop_front()
        {
            let block_bytes = block.len() as u32;
            let header = FrameHeader { what: What::Block, lane: Lane::Probe, seq: 0, ack: 0, component, block_bytes };
            written += emit(header, &block);
        }
        while written < budget_bytes
            && let Some(at) = self.turn()
        {
            let Some((seq, component, block, again)) = self.outgoing[at].next(now, self.config.resend_after) else {
                break;
            };
            self.counters.resent += u64::from(again);
            self.turns[at] = self.turns[at].saturating_sub(block.len() + FrameHeader::BYTES);
            let ack = self.incoming[at].acknowledge();
            let block_bytes = block.len() as u32;
            let header = FrameHeader { what: What::Block, lane: SEQUENCED[at], seq, ack, component, block_bytes };
            written += emit(header, &block);
        }
        for (at, lane) in self.incoming.iter_mut().enumerate() {
            if lane.ack_due().is_some_and(|due| due <= now) {
                written += emit(FrameHeader::ack(SEQUENCED[at], lane.acknowledge()), &Bytes::new());
            }
        }
        written
    }

    /// Takes a frame of session `epoch`. Bytes that it acknowledges are added
    /// to `credits`, summed per component. Frames that say goodbye are the
    /// driver's.
    pub fn receive(&mut self, epoch: u64, header: &FrameHeader, now: Time, credits: &mut Vec<(Kind, u64)>) -> Accept {
        if self.epoch != Some(epoch) && !(self.mutant == Some(Mutant::EarlierLifeHeard) && self.epoch.is_some()) {
            self.counters.stale += 1;
            return Accept::Stale;
        }
        let Some(at) = sequenced(header.lane) else {
            return if header.what == What::Block { Accept::Deliver } else { Accept::NoBlock };
        };
        if !self.outgoing[at].acknowledged(header.ack, now, self.config.resend_after, credits) {
            self.counters.impossible_acks += 1;
        }
        if header.what != What::Block {
            return Accept::NoBlock;
        }
        let ack_bytes = self.config.window_bytes / 8;
        let accept =
            self.incoming[at].take(header.seq, header.block_bytes as usize, now, self.config.ack_after, ack_bytes);
        match accept {
            Accept::Duplicate if self.mutant == Some(Mutant::DedupeDropped) => return Accept::Deliver,
            Accept::Early if self.mutant == Some(Mutant::EarlyTaken) => return Accept::Deliver,
            Accept::Duplicate => self.counters.duplicates += 1,
            Accept::Early => self.counters.early += 1,
            Accept::Deliver | Accept::NoBlock | Accept::Stale => {}
        }
        accept
    }

    /// When [`Link::tick`] and [`Link::transmit`] have something to do that
    /// nothing else announces: an acknowledgement or a resend that comes due.
    pub fn deadline(&self) -> Option<Time> {
        self.epoch?;
        let acks = self.incoming.iter().filter_map(Incoming::ack_due);
        acks.chain(self.outgoing.iter().filter_map(Outgoing::resend_at)).min()
    }

    /// Lets time pass: lanes that were not acknowledged in time go back to
    /// their first unacknowledged block. True if there is something to write.
    pub fn tick(&mut self, now: Time) -> bool {
        if self.epoch.is_none() {
            return false;
        }
        for lane in &mut self.outgoing {
            lane.tick(now);
        }
        self.ready(now)
    }

    /// Both directions begin again at 1.
    fn forget(&mut self) {
        self.outgoing = Default::default();
        self.incoming = std::array::from_fn(|_| Incoming::new());
    }

    /// The most urgent lane that may write and has not used up its turn.
    fn turn(&mut self) -> Option<usize> {
        let sendable: [bool; 3] = std::array::from_fn(|at| self.outgoing[at].sendable(self.config.window_bytes));
        if let Some(at) = (0..3).find(|at| sendable[*at] && self.turns[*at] > 0) {
            return Some(at);
        }
        *self.turns = TURN_BYTES;
        (0..3).find(|at| sendable[*at])
    }
}

/// The place of a lane among those that are sequenced.
fn sequenced(lane: Lane) -> Option<usize> {
    (lane as usize).checked_sub(1)
}
