//! A component's outbox on threads.
//!
//! Messages are encoded straight into the open block, and requests into the
//! open batch; everything else is put on a list. The list is performed in the
//! order in which it was made when the component has flushed, or as soon as a
//! block is full: what can be joined is joined, and links get work early.
//!
//! **Bound.** The list holds what one drain of the mailbox made; see
//! [`super::cell`].

use super::live::Live;
use super::requested::Requested;
use super::timers::{Due, Timers};
use crate::codec::{BatchBuilder, put_item};
use crate::component::{
    DeliveredBatch, DiskOp, Erased, Item, Lane, Outbox, Progress, ReplyTo, StreamId, StreamOp, Target, TimerId, To,
    Token, effect::ErasedJob,
};
use crate::error::CallError;
use crate::event::AnyEvent;
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A block or batch that has come to this is sealed: with its header and the
/// cipher's tag it fills one record of 65,535 bytes.
const SEAL_BYTES: usize = 64_000;
/// Sealed blocks below this are copied to their own size; larger ones keep
/// their buffer.
const COPY_BYTES_MAX: usize = 4096;
/// Calls, jobs, disk operations and streams carry the component's restart
/// count in the upper bits of their numbers, so that answers to what a fallen predecessor
/// asked are recognised.
const TOKEN_BITS: u32 = 48;
const OWN: u64 = (1 << TOKEN_BITS) - 1;

/// A component's own number with its restart count.
pub(super) fn tag(own: u64, restarts: u64) -> u64 {
    own & OWN | restarts << TOKEN_BITS
}

/// An effect that waits to be performed.
pub(super) enum Deferred {
    Block { to: To, lane: Lane, block: Bytes },
    Item(usize, Item),
    Publish(AnyEvent),
    Answer(ReplyTo, Result<Erased, CallError>),
    Job(Token, ErasedJob),
    Disk(Token, DiskOp),
    Stream(StreamId, StreamOp),
    EndLife(Life),
}

/// What of a component's effects outlasts a run of it.
pub(super) struct OutState {
    me: usize,
    kind: Kind,
    restarts: u64,
    /// The time of the run of inputs that is under way.
    pub(super) now: Time,
    pub(super) timers: Timers,
    /// Open calls and their deadlines; bounded by what the component asks.
    pub(super) calls: BTreeMap<Token, Duration>,
    deferred: VecDeque<Deferred>,
    block: Vec<u8>,
    /// Length of the whole messages in the open block: what follows is of a
    /// message whose encoding panicked.
    whole: usize,
    addressed: Option<(To, Lane)>,
    /// Whether a request is being encoded.
    encoding: bool,
    batch: BatchBuilder,
    requested: Option<(Kind, usize, Target)>,
    counted: Requested,
}

impl OutState {
    pub(super) fn new(me: usize, kind: Kind) -> Self {
        OutState {
            me,
            kind,
            restarts: 0,
            now: Time::ZERO,
            timers: Timers::default(),
            calls: BTreeMap::new(),
            deferred: VecDeque::new(),
            block: Vec::new(),
            whole: 0,
            addressed: None,
            encoding: false,
            batch: BatchBuilder::default(),
            requested: None,
            counted: Requested::default(),
        }
    }

    /// The component fell: its timers and open calls are void, and what it
    /// asked is no longer answered to its successor.
    pub(super) fn begin_anew(&mut self) {
        self.restarts += 1;
        self.timers = Timers::default();
        self.calls.clear();
        self.block.truncate(self.whole);
        if std::mem::take(&mut self.encoding) {
            self.batch = BatchBuilder::default(); // its last message is not whole
        }
        self.seal_batch();
        self.counted.begin_anew();
    }

    /// A report on requests as the component counts them.
    pub(super) fn own_progress(&self, progress: Progress) -> Progress {
        self.counted.own(progress)
    }

    pub(super) fn me(&self) -> usize {
        self.me
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    fn tagged(&self, token: Token) -> Token {
        Token(tag(token.0, self.restarts))
    }

    /// The component's own number, unless a predecessor of it is meant.
    pub(super) fn own(&self, tagged: u64) -> Option<u64> {
        (tag(tagged, self.restarts) == tagged).then_some(tagged & OWN)
    }

    fn seal_block(&mut self) {
        let Some((to, lane)) = self.addressed.take() else { return };
        self.whole = 0;
        if self.block.is_empty() {
            return;
        }
        let block = if self.block.len() < COPY_BYTES_MAX {
            let copy = Bytes::copy_from_slice(&self.block);
            self.block.clear();
            copy
        } else {
            let capacity = self.block.capacity().min(SEAL_BYTES + COPY_BYTES_MAX);
            Bytes::from(std::mem::replace(&mut self.block, Vec::with_capacity(capacity)))
        };
        self.deferred.push_back(Deferred::Block { to, lane, block });
    }

    fn seal_batch(&mut self) {
        let Some((via, to, target)) = self.requested.take() else { return };
        if let Some(batch) = self.batch.take() {
            self.counted.add(via, target, &batch);
            self.deferred.push_back(Deferred::Item(to, Item::Request { from: self.kind, target, batch }));
        }
    }

    /// Ends the open block and batch and performs all that waits, in order.
    /// Neighbouring items for one component are handed over together.
    pub(super) fn perform(&mut self, live: &Live) {
        self.seal_batch();
        self.seal_block();
        while let Some(effect) = self.deferred.pop_front() {
            match effect {
                Deferred::Block { to, lane, block } => live.network().push(to, lane, self.kind, block),
                Deferred::Item(to, item) => {
                    let deferred = &mut self.deferred;
                    let rest = std::iter::from_fn(|| {
                        let neighbour = matches!(deferred.front(), Some(Deferred::Item(next, _)) if *next == to);
                        match neighbour.then(|| deferred.pop_front()).flatten() {
                            Some(Deferred::Item(_, item)) => Some(item),
                            _ => None,
                        }
                    });
                    live.hand_over(to, &mut std::iter::once(item).chain(rest));
                }
                Deferred::Publish(event) => live.publish(event),
                Deferred::Answer(to, answer) => live.answer(to, answer),
                Deferred::Job(token, job) => live.job(self.me, token, job),
                Deferred::Disk(token, op) => {
                    let mut ops = vec![(token, op)];
                    while let Some(Deferred::Disk(token, op)) =
                        self.deferred.pop_front_if(|next| matches!(next, Deferred::Disk(..)))
                    {
                        ops.push((token, op));
                    }
                    live.disk(self.me, ops);
                }
                Deferred::Stream(id, op) => live.stream(self.me, id, op),
                Deferred::EndLife(life) => live.network().end_life(life),
            }
        }
    }
}

/// The outbox of one run of a component.
pub(super) struct Out<'a> {
    pub(super) state: &'a mut OutState,
    pub(super) live: &'a Live,
}

impl Out<'_> {
    fn defer(&mut self, effect: Deferred) {
        self.state.deferred.push_back(effect);
    }

    fn item(&mut self, to: Kind, item: Item) {
        match self.live.index(to) {
            Some(to) => {
                self.state.seal_batch();
                self.defer(Deferred::Item(to, item));
            }
            None => self.live.unaddressed(to),
        }
    }
}

impl Outbox for Out<'_> {
    fn send(&mut self, to: To, lane: Lane, write: &mut dyn FnMut(&mut Vec<u8>)) -> u64 {
        if self.state.addressed != Some((to, lane)) {
            self.state.seal_block();
            self.state.addressed = Some((to, lane));
        }
        let before = self.state.block.len();
        put_item(&mut self.state.block, write);
        let after = self.state.block.len();
        self.state.whole = after;
        if after >= SEAL_BYTES {
            self.state.perform(self.live);
        }
        (after - before) as u64
    }

    fn deliver(&mut self, channel: Kind, batch: DeliveredBatch) {
        let (via, bytes) = (batch.via, batch.batch.run().len() as u64);
        self.item(channel, Item::Delivered(batch));
        if self.live.index(channel).is_none() {
            self.consumed(via, channel, bytes); // dropped: nobody else will say so
        }
    }

    fn consumed(&mut self, via: Kind, channel: Kind, bytes: u64) {
        self.item(via, Item::Consumed { channel, bytes });
    }

    fn request(&mut self, via: Kind, target: Target, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let Some(to) = self.live.index(via) else { return self.live.unaddressed(via) };
        if self.state.requested != Some((via, to, target)) {
            self.state.seal_batch();
            self.state.requested = Some((via, to, target));
        }
        self.state.encoding = true;
        self.state.batch.push(write);
        self.state.encoding = false;
        if self.state.batch.bytes() >= SEAL_BYTES {
            self.state.seal_batch();
        }
    }

    fn progress(&mut self, to: Kind, progress: Progress) {
        self.item(to, Item::Progress(progress));
    }

    fn call(&mut self, to: Kind, token: Token, call: Erased, deadline: Duration) {
        let tagged = self.state.tagged(token);
        let reply_to = ReplyTo { component: self.state.kind, token: tagged };
        self.state.timers.set(Due::Call(tagged), self.state.now + deadline);
        self.state.calls.insert(tagged, deadline);
        if self.live.index(to).is_some() {
            self.item(to, Item::Call { call, reply_to });
        } else {
            let refused = CallError::Refused("this node has no such component".to_owned());
            self.defer(Deferred::Answer(reply_to, Err(refused)));
        }
    }

    fn reply(&mut self, to: ReplyTo, value: Erased) {
        self.defer(Deferred::Answer(to, Ok(value)));
    }

    fn publish(&mut self, event: AnyEvent) {
        self.defer(Deferred::Publish(event));
    }

    fn timer(&mut self, timer: TimerId, at: Option<Time>) {
        match at {
            Some(at) => self.state.timers.set(Due::Timer(timer), at),
            None => {
                self.state.timers.cancel(Due::Timer(timer));
            }
        }
    }

    fn job(&mut self, token: Token, job: ErasedJob) {
        let token = self.state.tagged(token);
        self.defer(Deferred::Job(token, job));
    }

    fn disk(&mut self, token: Token, op: DiskOp) {
        let token = self.state.tagged(token);
        self.defer(Deferred::Disk(token, op));
    }

    fn stream(&mut self, id: StreamId, op: StreamOp) {
        let id = StreamId(tag(id.0, self.state.restarts));
        self.defer(Deferred::Stream(id, op));
    }

    fn end_life(&mut self, life: Life) {
        self.defer(Deferred::EndLife(life));
    }

    fn last_heard(&self, life: Life) -> Option<Time> {
        self.live.network().last_heard(life)
    }
}
