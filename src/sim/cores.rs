//! One component a node, over perfect queues: no links, no detector, no other
//! component, hardly any clock. What a stack costs is left out, so many more
//! schedules are seen.
//!
//! The test is the scheduler and the detector: it links lives, lets some of
//! what is under way arrive ([`Cores::arrive`]), tells who is suspected and
//! whose life is over. Queues keep their order within a lane and lose nothing
//! but what is for, or from, a life that is over. A crash may fall between any
//! two effects of a step.

use super::recorder::{Act, Recorder};
use super::trace::{Trace, What};
use crate::codec::{BatchBuilder, put_item};
use crate::component::{
    AnyComponent, Boot, EndedWhy, Erased, Factory, Inspection, Item, Lane, PeerChange, PeerRole, ReplyTo, Target,
    TimerId, To, Token,
};
use crate::error::Fault;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::time::Time;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Lanes that are queued; probes are not sent here.
const LANES: usize = 4;

/// The user's channel.
const CHANNEL: Kind = Kind::of("app");

struct Core {
    component: Box<dyn AnyComponent>,
    timers: Vec<(TimerId, Time)>,
}

struct Place {
    name: Arc<str>,
    id: NodeId,
    incarnation: u64,
    up: Option<Core>,
    /// Which life of each other node it is linked with.
    linked: Vec<Option<Life>>,
    /// Its next step is cut between two effects.
    doomed: bool,
}

impl Place {
    fn life(&self) -> Life {
        Life::new(self.id, self.incarnation)
    }
}

/// The nodes and what is under way between them.
pub(crate) struct Cores {
    factory: Factory,
    pub(crate) rng: fastrand::Rng,
    pub(crate) trace: Trace,
    pub(crate) now: Time,
    pub(crate) crashes_between_effects: u64,
    /// Runs of a component so far.
    pub(crate) steps: u64,
    pub(crate) fault: Option<(Life, Fault)>,
    nodes: Vec<Place>,
    /// By sender, receiver and lane: from which life, and the block.
    queues: Vec<VecDeque<(Life, Bytes)>>,
    /// Queues that are not empty.
    busy: Vec<u16>,
    cut: Vec<bool>,
    recorder: Recorder,
    wants_credit: bool,
}

impl Cores {
    /// Nodes of these names, none of them up.
    pub(crate) fn new(seed: u64, names: &[&str], factory: Factory) -> Self {
        let mut trace = Trace::with_nodes(names);
        trace.name_kind(factory.manifest().name);
        let place = |name: &&str| Place {
            name: (*name).into(),
            id: NodeId::from_name(name),
            incarnation: 0,
            up: None,
            linked: vec![None; names.len()],
            doomed: false,
        };
        Cores {
            wants_credit: factory.manifest().wants_credit,
            factory,
            rng: fastrand::Rng::with_seed(seed),
            trace,
            now: Time::ZERO,
            crashes_between_effects: 0,
            steps: 0,
            fault: None,
            nodes: names.iter().map(place).collect(),
            queues: (0..names.len() * names.len() * LANES).map(|_| VecDeque::new()).collect(),
            busy: Vec::new(),
            cut: vec![false; names.len() * names.len()],
            recorder: Recorder::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].up.is_some()
    }

    pub(crate) fn life(&self, node: usize) -> Life {
        self.nodes[node].life()
    }

    pub(crate) fn name(&self, node: usize) -> Arc<str> {
        self.nodes[node].name.clone()
    }

    /// Begins a node's next life, unless it is up.
    pub(crate) fn start(&mut self, node: usize) {
        if self.is_up(node) {
            return;
        }
        let seed = self.rng.u64(..);
        let voters = self.len();
        let place = &mut self.nodes[node];
        place.incarnation += 1;
        place.doomed = false;
        place.up = Some(Core { component: self.factory.make(seed), timers: Vec::new() });
        let (me, name) = (place.life(), place.name.clone());
        self.trace.push(self.now, me, What::Started);
        self.give(node, Item::Started(Boot { me, name, voters, voter: true }));
    }

    /// The node loses its memory; of what it had sent, only a part of each
    /// queue still arrives.
    pub(crate) fn crash(&mut self, node: usize) {
        if self.nodes[node].up.take().is_none() {
            return;
        }
        let life = self.life(node);
        self.trace.push(self.now, life, What::Crashed);
        self.nodes[node].linked.iter_mut().for_each(|linked| *linked = None);
        for other in 0..self.len() {
            for lane in 0..LANES {
                let to = self.queue(other, node, lane);
                self.queues[to].clear();
                let from = self.queue(node, other, lane);
                if !self.queues[from].is_empty() && self.rng.bool() {
                    let kept = self.rng.usize(0..self.queues[from].len());
                    self.queues[from].truncate(kept);
                }
            }
        }
    }

    /// The node crashes after some of the effects of its next step.
    pub(crate) fn crash_between_effects(&mut self, node: usize) {
        self.nodes[node].doomed = self.is_up(node);
    }

    pub(crate) fn is_doomed(&self, node: usize) -> bool {
        self.nodes[node].doomed
    }

    /// No fault strikes `node` any more, and it reaches all.
    pub(crate) fn heal(&mut self, node: usize) {
        self.nodes[node].doomed = false;
        (0..self.len()).for_each(|other| self.set_cut(node, other, false));
    }

    /// Frames between two nodes wait, or no more.
    pub(crate) fn set_cut(&mut self, a: usize, b: usize, cut: bool) {
        let nodes = self.len();
        self.cut[a * nodes + b] = cut;
        self.cut[b * nodes + a] = cut;
    }

    pub(crate) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut[a * self.len() + b]
    }

    /// Links the lives of two nodes; each that did not know the other's life
    /// is told. Says whether anything was new.
    pub(crate) fn link(&mut self, a: usize, b: usize) -> bool {
        if a == b || !self.is_up(a) || !self.is_up(b) || self.is_cut(a, b) {
            return false;
        }
        let mut new = false;
        for (me, other) in [(a, b), (b, a)] {
            if !self.is_up(me) || !self.is_up(other) {
                break; // fell at what it was told
            }
            let (life, name) = (self.life(other), self.name(other));
            let before = self.nodes[me].linked[other];
            if before == Some(life) {
                continue;
            }
            new = true;
            self.nodes[me].linked[other] = Some(life);
            for lane in 0..LANES {
                let incoming = self.queue(other, me, lane);
                self.queues[incoming].retain(|(from, _)| *from == life);
                if before.is_some() {
                    let outgoing = self.queue(me, other, lane);
                    self.queues[outgoing].clear();
                }
            }
            if let Some(life) = before {
                self.tell(me, PeerChange::Ended { life, why: EndedWhy::Succeeded });
            }
            self.tell(me, PeerChange::Joined { life, role: PeerRole::Voter, name });
        }
        new
    }

    /// `node` learns that `life` is over by decision.
    pub(crate) fn end(&mut self, node: usize, life: Life) {
        let Some(other) = self.nodes.iter().position(|place| place.id == life.node) else { return };
        if self.nodes[node].linked[other] != Some(life) {
            return;
        }
        self.nodes[node].linked[other] = None;
        for lane in 0..LANES {
            let (outgoing, incoming) = (self.queue(node, other, lane), self.queue(other, node, lane));
            self.queues[outgoing].clear();
            self.queues[incoming].retain(|(from, _)| *from != life);
        }
        self.tell(node, PeerChange::Ended { life, why: EndedWhy::Decided });
    }

    /// Whether `node` is linked with that life.
    pub(crate) fn is_linked(&self, node: usize, life: Life) -> bool {
        self.nodes[node].linked.contains(&Some(life))
    }

    fn tell(&mut self, node: usize, change: PeerChange) {
        let what = match &change {
            PeerChange::Joined { life, .. } => What::Joined(*life),
            PeerChange::Ended { life, why } => What::Ended(*life, *why),
        };
        let me = self.life(node);
        self.trace.push(self.now, me, what);
        self.give(node, Item::Peer(change));
    }

    /// Broadcasts in the place of the user.
    pub(crate) fn broadcast(&mut self, node: usize, body: &str) {
        if !self.is_up(node) {
            return;
        }
        let via = self.factory.manifest().kind();
        let mut batch = BatchBuilder::default();
        batch.push(|out| out.extend_from_slice(body.as_bytes()));
        let Some(batch) = batch.take() else { return };
        let (life, body) = (self.life(node), Bytes::copy_from_slice(body.as_bytes()));
        self.trace.push(self.now, life, What::Broadcast { via, target: Target::All, body });
        self.give(node, Item::Request { from: CHANNEL, target: Target::All, batch });
    }

    /// Some blocks of a random queue arrive, at most `most`; false if nothing
    /// can.
    pub(crate) fn arrive(&mut self, most: usize) -> bool {
        let queue = self.passing();
        if let Some(queue) = queue {
            self.arrive_on(queue, most);
        }
        queue.is_some()
    }

    /// A random queue of which something can arrive.
    fn passing(&mut self) -> Option<usize> {
        while !self.busy.is_empty() {
            let first = self.rng.usize(0..self.busy.len());
            for offset in 0..self.busy.len() {
                let at = first + offset;
                let at = if at < self.busy.len() { at } else { at - self.busy.len() };
                let queue = self.busy[at] as usize;
                if self.queues[queue].is_empty() {
                    self.busy.swap_remove(at);
                    break; // its place in the list is another's now
                }
                if self.passes(queue) {
                    return Some(queue);
                }
                if offset + 1 == self.busy.len() {
                    return None;
                }
            }
        }
        None
    }

    /// All that can arrive at a random node does, in one run; false if nothing
    /// can anywhere.
    fn arrive_at_one(&mut self) -> bool {
        let Some((_, to)) = self.passing().map(|queue| self.ends(queue)) else { return false };
        let (first, receiver) = (self.rng.usize(0..self.len()), self.life(to));
        let (mut items, mut credits) = (Vec::new(), Vec::new());
        for from in (first..self.len()).chain(0..first) {
            for lane in 0..LANES {
                let queue = self.queue(from, to, lane);
                if !self.passes(queue) {
                    continue;
                }
                let Some((life, _)) = self.queues[queue].front().cloned() else { continue };
                let at = items.len();
                while let Some((from, block)) = self.queues[queue].pop_front_if(|(from, _)| *from == life) {
                    items.push(Item::Messages { from, block });
                }
                if self.wants_credit {
                    let bytes = items[at..].iter().map(|item| match item {
                        Item::Messages { block, .. } => block.len() as u64,
                        _ => 0,
                    });
                    credits.push((from, life, bytes.sum()));
                }
            }
        }
        self.give_all(to, items);
        for (from, life, bytes) in credits {
            if self.life(from) == life {
                self.give(from, Item::Credit { life: receiver, bytes });
            }
        }
        true
    }

    fn passes(&self, queue: usize) -> bool {
        let Some((life, _)) = self.queues[queue].front() else { return false };
        let (from, to) = self.ends(queue);
        let sender = &self.nodes[from];
        let meant = sender.up.is_none() || sender.life() != *life || sender.linked[to] == Some(self.life(to));
        self.is_up(to) && meant && self.nodes[to].linked[from] == Some(*life) && !self.is_cut(from, to)
    }

    fn arrive_on(&mut self, queue: usize, most: usize) {
        let (from, to) = self.ends(queue);
        let Some((life, _)) = self.queues[queue].front() else { return };
        let life = *life;
        let some = self.rng.usize(1..=most);
        let mut bytes = 0;
        let receiver = self.life(to);
        let mut arriving = std::mem::take(&mut self.queues[queue]);
        let blocks = std::iter::from_fn(|| arriving.pop_front_if(|(from, _)| *from == life)).take(some);
        self.give_all(
            to,
            blocks.map(|(from, block)| {
                bytes += block.len() as u64;
                Item::Messages { from, block }
            }),
        );
        // nobody sends to itself: nothing was queued here meanwhile, but the
        // receiver may have crashed, and then nothing arrives any more
        if self.is_up(to) {
            self.queues[queue] = arriving;
        }
        if self.wants_credit && self.life(from) == life {
            self.give(from, Item::Credit { life: receiver, bytes });
        }
    }

    /// The next timer fires, if one is due within `within`.
    pub(crate) fn tick(&mut self, within: Duration) -> bool {
        let limit = self.now + within;
        let timers = self.nodes.iter().enumerate().flat_map(|(node, place)| {
            let core = place.up.iter();
            core.flat_map(move |core| core.timers.iter().map(move |(id, at)| (*at, node, *id)))
        });
        let Some((at, node, id)) = timers.min().filter(|(at, ..)| *at <= limit) else { return false };
        self.now = self.now.max(at);
        if let Some(core) = &mut self.nodes[node].up {
            core.timers.retain(|(set, _)| *set != id);
        }
        self.give(node, Item::Timer(id));
        true
    }

    /// All that can arrive does, and all timers within `within` fire. False if
    /// that takes more than `steps`.
    pub(crate) fn run_for(&mut self, within: Duration, steps: usize) -> bool {
        let end = self.now + within;
        for _ in 0..steps {
            if !self.arrive_at_one() && !self.tick(end.since(self.now)) {
                self.now = end;
                return true;
            }
        }
        false
    }

    /// A row of what the component says of itself.
    pub(crate) fn inspect_row(&mut self, node: usize, row: &str) -> Option<String> {
        let core = self.nodes[node].up.as_mut()?;
        let mut recorder = Recorder::default();
        let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(0) };
        core.component.step(Item::Inspect(reply_to), self.now, &mut recorder).ok()?;
        let inspection: Option<Erased> = recorder.acts.into_iter().find_map(|act| match act {
            Act::Reply(_, value) => Some(value),
            _ => None,
        });
        let inspection: Box<Inspection> = inspection?.downcast().ok()?;
        inspection.rows.into_iter().find(|(name, _)| name == row).map(|(_, value)| value)
    }

    /// Hands an item to a node's component.
    pub(crate) fn give(&mut self, node: usize, item: Item) {
        self.give_all(node, std::iter::once(item));
    }

    fn give_all(&mut self, node: usize, items: impl IntoIterator<Item = Item>) {
        let mut recorder = std::mem::take(&mut self.recorder);
        recorder.bytes.clear();
        self.steps += 1;
        let now = self.now;
        if let Some(core) = &mut self.nodes[node].up {
            let mut result = items.into_iter().try_for_each(|item| core.component.step(item, now, &mut recorder));
            if result.is_ok() {
                result = core.component.flush(now, &mut recorder);
            }
            self.perform(node, &mut recorder);
            if let Err(fault) = result {
                self.fault = Some((self.life(node), fault));
            }
        }
        recorder.acts.clear();
        self.recorder = recorder;
    }

    fn perform(&mut self, node: usize, recorder: &mut Recorder) {
        let doomed = self.nodes[node].doomed && !recorder.acts.is_empty();
        let cut = if doomed { self.rng.usize(0..=recorder.acts.len()) } else { usize::MAX };
        let mut acts = std::mem::take(&mut recorder.acts);
        let mut open: [Option<(To, Vec<u8>)>; LANES] = Default::default();
        let life = self.life(node);
        for act in acts.drain(..).take(cut) {
            match act {
                Act::Send { to, lane, message } => {
                    let block = &mut open[lane as usize];
                    if block.as_ref().is_some_and(|(whom, _)| *whom != to)
                        && let Some((whom, block)) = block.take()
                    {
                        self.send(node, whom, lane, block);
                    }
                    let (_, block) = block.get_or_insert_with(|| (to, Vec::with_capacity(message.len() + 2)));
                    put_item(block, |out| out.extend_from_slice(recorder.message(&message)));
                }
                Act::Deliver(_, delivered) => {
                    let run = delivered.batch.run();
                    for (index, (at, body)) in crate::codec::Items::new(run).enumerate() {
                        let id = MessageId { index: delivered.id.index + index as u32, ..delivered.id };
                        let body = run.slice(at..at + body.len());
                        self.trace.push(self.now, life, What::Delivered { id, body });
                    }
                }
                Act::Publish(event) => self.trace.push(self.now, life, What::Published(event)),
                Act::Timer(id, at) => {
                    if let Some(core) = &mut self.nodes[node].up {
                        core.timers.retain(|(set, _)| *set != id);
                        core.timers.extend(at.map(|at| (id, at)));
                    }
                }
                // The user handles all at once and asks for no receipts; there
                // is no other component, disk or stream.
                _ => {}
            }
        }
        recorder.acts = acts;
        for lane in Lane::ALL {
            if let Some((to, block)) = open[lane as usize].take() {
                self.send(node, to, lane, block);
            }
        }
        if doomed {
            self.crashes_between_effects += 1;
            self.crash(node);
        }
    }

    fn send(&mut self, node: usize, to: To, lane: Lane, block: Vec<u8>) {
        let (life, block) = (self.life(node), Bytes::from(block));
        for peer in (0..self.len()).filter(|peer| *peer != node) {
            let linked = self.nodes[node].linked[peer];
            if match to {
                To::All => true,
                To::Life(whom) => linked == Some(whom),
            } {
                let queue = self.queue(node, peer, lane as usize);
                if self.queues[queue].is_empty() && !self.busy.contains(&(queue as u16)) {
                    self.busy.push(queue as u16);
                }
                self.queues[queue].push_back((life, block.clone()));
            }
        }
    }

    fn queue(&self, from: usize, to: usize, lane: usize) -> usize {
        (from * self.len() + to) * LANES + lane
    }

    fn ends(&self, queue: usize) -> (usize, usize) {
        (queue / LANES / self.len(), queue / LANES % self.len())
    }
}
