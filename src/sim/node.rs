//! A node of the world: its present life, what it knows of its peers, and what
//! outlives it.

use super::app::App;
use super::disk::Storage;
use super::queue::Event;
use super::stream::Streams;
use crate::component::{AnyComponent, Erased, Item, LoadSample, PeerRole, ReplyTo, Stack, TimerId};
use crate::error::{CallError, Fault};
use crate::event::{AnyEvent, EventType};
use crate::id::{Kind, Life, NodeId};
use crate::protocol::link::Link;
use crate::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Frames that wait for a paused node; more are lost.
const HELD_FRAMES_MAX: usize = 4096;

/// What a cell runs.
pub(super) enum Body {
    /// A component of the stack.
    Component(Box<dyn AnyComponent>),
    /// The world, in the place of the user.
    App(Box<App>),
}

/// A component with its mailbox. The mailbox is bounded by what the
/// component has outstanding and by the credit of deliveries and links.
pub(super) struct Cell {
    pub(super) kind: Kind,
    pub(super) body: Body,
    pub(super) mailbox: VecDeque<Item>,
    pub(super) scheduled: bool,
    pub(super) hears: Vec<EventType>,
    pub(super) wants_credit: bool,
    pub(super) wants_load: bool,
    /// Timers that are set, by the node's clock.
    pub(super) timers: Vec<(TimerId, Time)>,
    /// When the disk has finished what was asked so far.
    pub(super) disk_free_at: Time,
}

/// This node's half of the link to a peer.
pub(super) struct Side {
    pub(super) link: Link,
    pub(super) transmitting: bool,
    pub(super) tick_at: Option<Time>,
}

/// A configured place in the cluster and its present life.
pub(super) struct Node {
    pub(super) name: Arc<str>,
    pub(super) id: NodeId,
    pub(super) stack: Stack,
    pub(super) voter: bool,
    pub(super) sponsor: Option<usize>,
    /// Came at run time, and links with all.
    pub(super) joiner: bool,
    /// The present life's number; the last one's while the node is down.
    pub(super) incarnation: u64,
    /// Counts lives and ends of lives within the world.
    pub(super) run: u32,
    pub(super) up: bool,
    pub(super) started_at: Time,
    pub(super) paused: bool,
    pub(super) pauses: u32,
    /// What happens to it while it is paused.
    pub(super) held: Vec<Event>,
    held_frames: usize,
    /// Its links go on, its components do not run.
    pub(super) hung: bool,
    /// To crash between two effects of its next step.
    pub(super) doomed: bool,
    /// The load of its machine, as the test has it; outlives lives.
    pub(super) load: Option<LoadSample>,
    /// How far its clock has jumped, in nanoseconds.
    pub(super) skew: u64,
    pub(super) cells: Vec<Cell>,
    pub(super) sides: Vec<Option<Side>>,
    /// Lives up to these are refused.
    pub(super) refused: BTreeMap<NodeId, u64>,
    pub(super) retained: BTreeMap<(EventType, u64), AnyEvent>,
    pub(super) pending: Vec<(ReplyTo, Duration)>,
    pub(super) answers: BTreeMap<u64, Result<Erased, CallError>>,
    pub(super) heard: BTreeMap<Life, Time>,
    pub(super) streams: Streams,
    /// Outlives lives; only a crash of the machine takes from it.
    pub(super) storage: Storage,
    /// When components' faults ended lives, of late.
    pub(super) fallen: VecDeque<Time>,
    pub(super) faults: Vec<(Life, Fault)>,
}

impl Node {
    pub(super) fn new(name: &str, stack: Stack, sponsor: Option<usize>) -> Self {
        Node {
            name: name.into(),
            id: NodeId::from_name(name),
            stack,
            voter: sponsor.is_none(),
            sponsor,
            joiner: false,
            incarnation: 0,
            run: 0,
            up: false,
            started_at: Time::ZERO,
            paused: false,
            pauses: 0,
            held: Vec::new(),
            held_frames: 0,
            hung: false,
            doomed: false,
            load: None,
            skew: 0,
            cells: Vec::new(),
            sides: Vec::new(),
            refused: BTreeMap::new(),
            retained: BTreeMap::new(),
            pending: Vec::new(),
            answers: BTreeMap::new(),
            heard: BTreeMap::new(),
            streams: Streams::default(),
            storage: Storage::default(),
            fallen: VecDeque::new(),
            faults: Vec::new(),
        }
    }

    /// What it is to its peers.
    pub(super) fn role(&self) -> PeerRole {
        match (self.voter, self.joiner) {
            (true, _) => PeerRole::Voter,
            (_, true) => PeerRole::Joiner,
            (_, false) => PeerRole::Listener,
        }
    }

    pub(super) fn life(&self) -> Life {
        Life::new(self.id, self.incarnation)
    }

    /// What this node's clock shows.
    pub(super) fn clock(&self, now: Time) -> Time {
        Time(now.0 + self.skew)
    }

    /// When, in the world's time, this node's clock shows `at`.
    pub(super) fn world_time(&self, at: Time) -> Time {
        Time(at.0.saturating_sub(self.skew))
    }

    pub(super) fn cell(&self, kind: Kind) -> Option<usize> {
        self.cells.iter().position(|cell| cell.kind == kind)
    }

    /// Keeps an event for the end of the pause.
    pub(super) fn hold(&mut self, event: Event) {
        if matches!(event, Event::Frame { .. }) {
            if self.held_frames == HELD_FRAMES_MAX {
                return;
            }
            self.held_frames += 1;
        }
        self.held.push(event);
    }

    /// What was kept during the pause, in order.
    pub(super) fn release(&mut self) -> Vec<Event> {
        self.held_frames = 0;
        std::mem::take(&mut self.held)
    }

    /// Forgets all that a life keeps in memory.
    pub(super) fn lose_memory(&mut self) {
        self.up = false;
        self.run += 1;
        self.paused = false;
        self.hung = false;
        self.doomed = false;
        self.cells.clear();
        self.sides.clear();
        self.refused.clear();
        self.retained.clear();
        self.heard.clear();
        self.streams = Streams::default();
        self.release();
        for (reply_to, _) in self.pending.drain(..) {
            if reply_to.component == ReplyTo::USER {
                self.answers.insert(reply_to.token.0, Err(CallError::Stopping));
            }
        }
    }
}
