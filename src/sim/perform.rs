//! The effects of one step, performed in order. A crash may fall after any of
//! them.

use super::queue::Event;
use super::recorder::{Act, Recorder};
use super::trace::What;
use super::world::World;
use crate::codec::{BatchBuilder, put_item};
use crate::component::{EndedWhy, Erased, Item, Lane, ReplyTo, Target, To};
use crate::error::CallError;
use crate::id::Kind;
use bytes::Bytes;
use std::time::Duration;

/// A block is let go at about this length, in bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// Messages on their way into blocks, one open block a lane.
#[derive(Default)]
struct Blocks {
    open: [Option<(To, Vec<u8>)>; 4],
}

impl World {
    /// Performs what `recorder` holds. A doomed node crashes after some of it.
    pub(super) fn perform(&mut self, node: usize, cell: usize, recorder: &mut Recorder) {
        let kind = self.nodes[node].cells[cell].kind;
        let run = self.nodes[node].run;
        let cut = if self.nodes[node].doomed && !recorder.acts.is_empty() {
            Some(self.rng.usize(0..=recorder.acts.len()))
        } else {
            None
        };
        let mut acts = std::mem::take(&mut recorder.acts);
        let mut blocks = Blocks::default();
        let mut request: Option<(Kind, Target, BatchBuilder)> = None;
        for (k, act) in acts.drain(..).enumerate() {
            if cut == Some(k) {
                break;
            }
            if self.nodes[node].run != run {
                return;
            }
            match act {
                Act::Send { to, lane, message } => {
                    let open = &mut blocks.open[lane as usize];
                    if open.as_ref().is_some_and(|(whom, block)| *whom != to || block.len() > BLOCK_BYTES)
                        && let Some((whom, block)) = open.take()
                    {
                        self.push_block(node, kind, whom, lane, block);
                    }
                    let (_, block) = blocks.open[lane as usize].get_or_insert_with(|| (to, Vec::new()));
                    put_item(block, |out| out.extend_from_slice(recorder.message(&message)));
                }
                Act::Request { via, target, message } => {
                    if request.as_ref().is_some_and(|(to, whom, _)| (*to, *whom) != (via, target)) {
                        self.hand_request(node, kind, request.take());
                    }
                    let (_, _, batch) = request.get_or_insert_with(|| (via, target, BatchBuilder::default()));
                    batch.push(|out| out.extend_from_slice(recorder.message(&message)));
                }
                other => self.act(node, cell, kind, other),
            }
        }
        recorder.acts = acts;
        if self.nodes[node].run != run {
            return;
        }
        self.hand_request(node, kind, request);
        for lane in Lane::ALL {
            if let Some((to, block)) = blocks.open[lane as usize].take() {
                self.push_block(node, kind, to, lane, block);
            }
        }
        if cut.is_some() {
            self.last_breath(node);
            self.count("crashes between effects");
            self.crash(super::NodeIndex(node));
        }
    }

    fn act(&mut self, node: usize, cell: usize, kind: Kind, act: Act) {
        let run = self.nodes[node].run;
        match act {
            Act::Send { .. } | Act::Request { .. } => unreachable!("joined above"),
            Act::Deliver(channel, batch) => self.hand_to(node, channel, Item::Delivered(batch)),
            Act::Consumed { via, channel, bytes } => self.hand_to(node, via, Item::Consumed { channel, bytes }),
            Act::Progress(to, progress) => self.hand_to(node, to, Item::Progress(progress)),
            Act::Call { to, token, call, deadline } => {
                self.place_call(node, ReplyTo { component: kind, token }, to, call, deadline);
            }
            Act::Reply(reply_to, value) => {
                let pending = &mut self.nodes[node].pending;
                if let Some(at) = pending.iter().position(|(waiting, _)| *waiting == reply_to) {
                    pending.swap_remove(at);
                    self.answered(node, reply_to, Ok(value));
                }
            }
            Act::Publish(event) => self.publish(node, event),
            Act::Timer(id, at) => {
                let it = &mut self.nodes[node];
                it.cells[cell].timers.retain(|(set, _)| *set != id);
                if let Some(at) = at {
                    it.cells[cell].timers.push((id, at));
                    let due = it.world_time(at).max(self.now);
                    self.queue.plan(due, Event::Timer { node: node as u16, run, cell: cell as u16, id });
                }
            }
            Act::Job(token, job) => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).ok();
                let delay = Duration::from_micros(self.rng.u64(20..5000));
                let item = Box::new(Item::Done { token, done });
                self.queue.plan(self.now + delay, Event::Hand { node: node as u16, run, cell: cell as u16, item });
            }
            Act::Disk(token, op) => {
                let delay = Duration::from_micros(self.rng.u64(20..2000));
                let free_at = &mut self.nodes[node].cells[cell].disk_free_at;
                *free_at = self.now.max(*free_at) + delay;
                let event = Event::Disk { node: node as u16, run, cell: cell as u16, op: Box::new((token, op)) };
                self.queue.plan(*free_at, event);
            }
            Act::Stream(id, op) => self.stream_act(node, kind, id, op),
            Act::EndLife(life) => {
                self.count("lives ended by decision");
                self.forget_peer(node, life, EndedWhy::Decided);
            }
        }
    }

    pub(super) fn hand_to(&mut self, node: usize, kind: Kind, item: Item) {
        match (self.nodes[node].cell(kind), item) {
            (Some(cell), item) => self.hand(node, cell, item),
            (None, Item::Delivered(dropped)) => {
                self.count("items for no component");
                let bytes = dropped.batch.run().len() as u64; // nobody else will say that they are handled
                self.hand_to(node, dropped.via, Item::Consumed { channel: kind, bytes });
            }
            (None, _) => self.count("items for no component"),
        }
    }

    fn hand_request(&mut self, node: usize, from: Kind, request: Option<(Kind, Target, BatchBuilder)>) {
        if let Some((via, target, mut batch)) = request
            && let Some(batch) = batch.take()
        {
            self.hand_to(node, via, Item::Request { from, target, batch });
        }
    }

    fn push_block(&mut self, node: usize, component: Kind, to: To, lane: Lane, block: Vec<u8>) {
        let block = Bytes::from(block);
        for peer in 0..self.nodes.len() {
            let voter = self.nodes[peer].voter;
            let Some(side) = self.nodes[node].sides[peer].as_mut() else { continue };
            let meant = match to {
                To::All => voter,
                To::Life(life) => side.link.peer() == Some(life),
            };
            if meant {
                side.link.push(lane, component, block.clone());
                self.pump(node, peer);
            }
        }
    }

    pub(super) fn place_call(&mut self, node: usize, reply_to: ReplyTo, to: Kind, call: Erased, deadline: Duration) {
        let run = self.nodes[node].run;
        self.nodes[node].pending.push((reply_to, deadline));
        match self.nodes[node].cell(to) {
            Some(cell) => {
                self.hand(node, cell, Item::Call { call, reply_to });
                self.queue.plan(self.now + deadline, Event::Deadline { node: node as u16, run, reply_to });
            }
            None => {
                self.nodes[node].pending.pop();
                self.answered(node, reply_to, Err(CallError::Refused("the node has no such component".into())));
            }
        }
    }

    pub(super) fn answered(&mut self, node: usize, reply_to: ReplyTo, value: Result<Erased, CallError>) {
        if reply_to.component == ReplyTo::USER {
            self.nodes[node].answers.insert(reply_to.token.0, value);
        } else {
            self.hand_to(node, reply_to.component, Item::Reply { token: reply_to.token, value });
        }
    }

    fn publish(&mut self, node: usize, event: crate::event::AnyEvent) {
        let it = &mut self.nodes[node];
        let life = it.life();
        if let Some(key) = event.retained() {
            it.retained.insert((event.event_type(), key), event.clone());
        }
        self.trace.push(self.now, life, What::Published(event.clone()));
        *self.counts.entry(event.event_type().name).or_insert(0) += 1;
        for cell in 0..self.nodes[node].cells.len() {
            if self.nodes[node].cells[cell].hears.contains(&event.event_type()) {
                self.hand(node, cell, Item::Event(event.clone()));
            }
        }
    }
}
