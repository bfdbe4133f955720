//! The loop: the next event happens, components drain their mailboxes.
//!
//! 1. The clock moves to the next planned event.
//! 2. What is for a life that is over is void; what is for a paused node waits.
//! 3. The event puts items into mailboxes, and a component with a non-empty
//!    mailbox is planned to run after a small random time, so that the order
//!    between components differs from seed to seed.
//! 4. A component that runs takes a random part of its mailbox, steps through
//!    it, flushes, and its effects are performed in order ([`super::perform`]).

use super::app::APP;
use super::disk::DiskKept;
use super::node::{Body, Cell};
use super::queue::Event;
use super::trace::What;
use super::world::World;
use crate::component::{Boot, Item};
use crate::envelope::Content;
use crate::error::{CallError, Fault};
use crate::id::{Kind, MessageId};
use crate::time::Time;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// How often components' faults may let a node begin a new life before it stays
/// down; as in the runtime.
const LIVES_MAX: usize = 5;
/// In which time.
const LIVES_WITHIN: Duration = Duration::from_secs(60);
/// Half the rest before the first of them; it doubles.
const REST: Duration = Duration::from_millis(25);

impl World {
    /// Lets the next event happen.
    pub(super) fn step(&mut self) {
        let Some((at, number, event)) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        self.trace.mix(at.0 ^ number);
        let target = match &event {
            Event::Run { node, run, .. }
            | Event::Timer { node, run, .. }
            | Event::Hand { node, run, .. }
            | Event::Disk { node, run, .. }
            | Event::Deadline { node, run, .. }
            | Event::Stream { node, run, .. }
            | Event::Doom { node, run } => Some((*node, Some(*run))),
            Event::Transmit { from, run, .. } | Event::Tick { from, run, .. } => Some((*from, Some(*run))),
            Event::Open { at, run, .. } | Event::Close { at, run, .. } => Some((*at, Some(*run))),
            Event::Frame { to, .. } => Some((*to, None)),
            _ => None,
        };
        if let Some((at, run)) = target {
            let node = &mut self.nodes[at as usize];
            if !node.up || run.is_some_and(|run| run != node.run) {
                return;
            }
            if node.paused || node.hung && matches!(event, Event::Run { .. }) {
                return node.hold(event);
            }
        }
        self.happen(event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Run { node, cell, .. } => self.run_cell(node as usize, cell as usize),
            Event::Timer { node, cell, id, .. } => self.timer_due(node as usize, cell as usize, id),
            Event::Hand { node, cell, item, .. } => self.hand(node as usize, cell as usize, *item),
            Event::Disk { node, cell, op, .. } => {
                let (token, op) = *op;
                self.disk_op(node as usize, cell as usize, token, op);
            }
            Event::Deadline { node, reply_to, .. } => {
                let pending = &mut self.nodes[node as usize].pending;
                if let Some(at) = pending.iter().position(|(waiting, _)| *waiting == reply_to) {
                    let (_, deadline) = pending.swap_remove(at);
                    self.answered(node as usize, reply_to, Err(CallError::TimedOut(deadline)));
                }
            }
            Event::Stream { node, arrival, .. } => self.stream_arrives(node as usize, *arrival),
            Event::Transmit { from, to, .. } => self.transmit(from as usize, to as usize),
            Event::Tick { from, to, .. } => self.tick(from as usize, to as usize),
            Event::Frame { from, to, epoch, header, block } => {
                self.receive(from as usize, to as usize, epoch, &header, block);
            }
            Event::Connect { a, b } => self.connected(a as usize, b as usize),
            Event::Open { at, run, peer, peer_run, epoch } => {
                self.open(at as usize, run, peer as usize, peer_run, epoch);
            }
            Event::Close { at, peer, epoch, .. } => self.closed(at as usize, peer as usize, epoch),
            Event::Start { node, run, at_least, kept } => {
                if self.nodes[node as usize].run == run && !self.nodes[node as usize].up {
                    self.keep_disk(node as usize, kept);
                    self.start_life(node as usize, at_least);
                }
            }
            Event::Resume { node, pause } => {
                if self.nodes[node as usize].pauses == pause {
                    self.resume(super::NodeIndex(node as usize));
                }
            }
            Event::DiskRoom { node, full } => self.disk_has_room(node as usize, full),
            Event::Unpartition { partition } => self.unpartition(partition),
            Event::Chaos { class, phase } => self.strike(class, phase),
            Event::Doom { node, .. } => {
                if self.nodes[node as usize].doomed {
                    self.crash(super::NodeIndex(node as usize));
                }
            }
        }
    }

    /// Begins a node's next life.
    pub(super) fn start_life(&mut self, at: usize, at_least: u64) {
        let voters = self.nodes.iter().filter(|node| node.voter).count();
        let sides = self.new_sides(at);
        let node = &mut self.nodes[at];
        node.incarnation = at_least.max(node.incarnation + 1);
        node.up = true;
        node.started_at = self.now;
        node.storage.snapshot();
        node.sides = sides;
        let mut cells = Vec::with_capacity(node.stack.factories.len() + 1);
        for factory in &node.stack.factories {
            let manifest = factory.manifest();
            let component = factory.make(self.rng.u64(..));
            let mut cell =
                cell(manifest.kind(), manifest.hears.clone(), manifest.wants_credit, Body::Component(component));
            cell.wants_load = manifest.wants_load;
            cells.push(cell);
        }
        if !cells.iter().any(|cell| cell.kind == Kind::of(APP)) {
            cells.push(cell(Kind::of(APP), Vec::new(), false, Body::App(Box::default())));
        }
        node.cells = cells;
        let (life, name, voter) = (node.life(), node.name.clone(), node.voter);
        self.trace.push(self.now, life, What::Started);
        self.count("lives");
        for cell in 0..self.nodes[at].cells.len() {
            self.hand(at, cell, Item::Started(Boot { me: life, name: name.clone(), voters, voter }));
        }
        self.hand_load(at);
        self.connect_all(at);
    }

    /// Tells a node's load to those of its components that want it.
    pub(super) fn hand_load(&mut self, at: usize) {
        let Some(load) = self.nodes[at].load else { return };
        for cell in 0..self.nodes[at].cells.len() {
            if self.nodes[at].cells[cell].wants_load {
                self.hand(at, cell, Item::Load(load));
            }
        }
    }

    /// Puts an item into a mailbox.
    pub(super) fn hand(&mut self, node: usize, cell: usize, item: Item) {
        self.nodes[node].cells[cell].mailbox.push_back(item);
        self.wake(node, cell);
    }

    /// Plans a component's next step.
    pub(super) fn wake(&mut self, node: usize, cell: usize) {
        let run = self.nodes[node].run;
        let it = &mut self.nodes[node].cells[cell];
        if !it.scheduled {
            it.scheduled = true;
            let slowness = match &it.body {
                Body::App(app) => app.slowness,
                Body::Component(_) => Duration::ZERO,
            };
            let delay = Duration::from_nanos(self.rng.u64(500..80_000)) + slowness;
            let event = Event::Run { node: node as u16, run, cell: cell as u16 };
            self.queue.plan(self.now + delay, event);
        }
    }

    fn timer_due(&mut self, node: usize, cell: usize, id: crate::component::TimerId) {
        let clock = self.nodes[node].clock(self.now);
        let timers = &mut self.nodes[node].cells[cell].timers;
        if let Some(at) = timers.iter().position(|(set, at)| *set == id && *at <= clock) {
            timers.swap_remove(at);
            self.hand(node, cell, Item::Timer(id));
        }
    }

    fn run_cell(&mut self, node: usize, cell: usize) {
        let clock = self.nodes[node].clock(self.now);
        let it = &mut self.nodes[node].cells[cell];
        it.scheduled = false;
        let waiting = it.mailbox.len();
        let taken = if waiting < 2 || self.rng.bool() { waiting } else { self.rng.usize(1..=waiting) };
        if let Body::App(_) = it.body {
            self.run_app(node, cell, taken);
        } else {
            self.run_component(node, cell, taken, clock);
        }
        if self.nodes[node].cells.get(cell).is_some_and(|it| !it.mailbox.is_empty()) {
            self.wake(node, cell);
        }
    }

    fn run_component(&mut self, node: usize, cell: usize, taken: usize, clock: Time) {
        let mut recorder = std::mem::take(&mut self.recorder);
        recorder.bytes.clear();
        std::mem::swap(&mut recorder.heard, &mut self.nodes[node].heard);
        let life = self.nodes[node].life();
        let it = &mut self.nodes[node].cells[cell];
        let Body::Component(component) = &mut it.body else { return };
        let mut result = Ok(());
        for item in it.mailbox.drain(..taken) {
            if let (Item::Delivered(delivered), true) = (&item, it.kind == Kind::of(APP)) {
                for (index, message) in delivered.batch.iter().enumerate() {
                    let id = MessageId { index: delivered.id.index + index as u32, ..delivered.id };
                    let (Content::Bytes(body) | Content::Typed(_, body)) =
                        Content::take(message).unwrap_or(Content::Bytes(message));
                    let body = Bytes::copy_from_slice(body);
                    self.trace.push(self.now, life, What::Delivered { id, body });
                }
            }
            result = component.step(item, clock, &mut recorder);
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            result = component.flush(clock, &mut recorder);
        }
        std::mem::swap(&mut recorder.heard, &mut self.nodes[node].heard);
        self.perform(node, cell, &mut recorder);
        recorder.acts.clear();
        self.recorder = recorder;
        if let Err(fault) = result {
            self.stopped_by(node, fault);
        }
    }

    /// What the supervisor does when a component cannot go on.
    fn stopped_by(&mut self, at: usize, fault: Fault) {
        if !self.nodes[at].up {
            return;
        }
        let life = self.nodes[at].life();
        self.nodes[at].faults.push((life, fault.clone()));
        match fault {
            Fault::LifeEnded(_) => self.outlive(at, 0),
            Fault::Broken(_) | Fault::Stop(_) => {
                self.trace.push(self.now, life, What::Failed(fault.to_string().into()));
                self.count("component faults");
                self.end_memory(at);
                if let Fault::Broken(_) = fault {
                    self.begin_anew(at);
                }
            }
        }
    }

    /// A component's fault ended a life: the node begins the next one on the same
    /// machine, unless that happened too often of late. So it does for a leaf's
    /// fault too, which is the harsher of what a supervisor may do.
    fn begin_anew(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.fallen.retain(|fell| self.now.since(*fell) <= LIVES_WITHIN);
        if node.fallen.len() < LIVES_MAX {
            node.fallen.push_back(self.now);
            let (rest, run) = (REST * (1 << node.fallen.len()), node.run);
            let start = Event::Start { node: at as u16, run, at_least: 0, kept: DiskKept::All };
            self.queue.plan(self.now + rest, start);
        }
    }

    fn run_app(&mut self, node: usize, cell: usize, taken: usize) {
        let life = self.nodes[node].life();
        let items: Vec<Item> = self.nodes[node].cells[cell].mailbox.drain(..taken).collect();
        for item in items {
            match item {
                Item::Delivered(delivered) => {
                    let run = delivered.batch.run().clone();
                    let items = crate::codec::Items::new(&run).enumerate();
                    for (index, (at, body)) in items {
                        let id = MessageId { index: delivered.id.index + index as u32, ..delivered.id };
                        let body = run.slice(at..at + body.len());
                        self.trace.push(self.now, life, What::Delivered { id, body });
                    }
                    if let Some(via) = self.nodes[node].cell(delivered.via) {
                        let consumed = Item::Consumed { channel: Kind::of(APP), bytes: run.len() as u64 };
                        self.hand(node, via, consumed);
                    }
                }
                Item::Progress(progress) => {
                    self.trace.push(self.now, life, What::Progressed(progress));
                    if let Body::App(app) = &mut self.nodes[node].cells[cell].body {
                        app.progress.insert((progress.via, progress.target), progress);
                    }
                }
                _ => {}
            }
        }
        let Body::App(app) = &mut self.nodes[node].cells[cell].body else { return };
        for (via, request) in app.requests() {
            match self.nodes[node].cell(via) {
                Some(via) => self.hand(node, via, request),
                None => self.count("requests for no component"),
            }
        }
    }
}

fn cell(kind: Kind, hears: Vec<crate::event::EventType>, wants_credit: bool, body: Body) -> Cell {
    Cell {
        kind,
        body,
        mailbox: VecDeque::new(),
        scheduled: false,
        hears,
        wants_credit,
        wants_load: false,
        timers: Vec::new(),
        disk_free_at: Time::ZERO,
    }
}
