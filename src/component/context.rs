//! What a component can do, typed.

use super::NetComponent;
use super::effect::{DiskOp, Erased, Outbox, ReplyTo, StreamId, StreamOp, TimerId, Token};
use super::input::{DeliveredBatch, Lane, Progress, Target, To};
use crate::codec;
use crate::event::{AnyEvent, Event};
use crate::id::{Kind, Life};
use crate::time::Time;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

/// What an [`super::Adapter`] keeps for its component between inputs.
pub(super) struct Ledger<C: NetComponent> {
    pub(super) timers: Vec<(C::Timer, TimerId)>,
    pub(super) next_timer: u64,
    pub(super) next_token: u64,
    pub(super) next_stream: u64,
    pub(super) requested: BTreeMap<(Kind, Target), u64>,
    pub(super) rng: fastrand::Rng,
}

/// Effects, time and randomness for one run of inputs.
pub struct Context<'a, C: NetComponent> {
    pub(super) out: &'a mut dyn Outbox,
    pub(super) ledger: &'a mut Ledger<C>,
    pub(super) me: Life,
    pub(super) now: Time,
    pub(super) component: PhantomData<C>,
}

impl<C: NetComponent> Context<'_, C> {
    /// The time at which this run of inputs began.
    pub fn now(&self) -> Time {
        self.now
    }

    /// This node's life.
    pub fn me(&self) -> Life {
        self.me
    }

    /// Seeded randomness.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.ledger.rng
    }

    /// Sends a message to the same component of peers; returns the bytes that
    /// [`super::Input::Credit`] counts for each of them.
    pub fn send(&mut self, to: To, lane: Lane, head: &C::Message) -> u64 {
        self.out.send(to, lane, &mut |out| codec::put_head(out, head))
    }

    /// Sends a message with a body.
    pub fn send_with(&mut self, to: To, lane: Lane, head: &C::Message, body: &[u8]) -> u64 {
        self.out.send(to, lane, &mut |out| {
            codec::put_head(out, head);
            out.extend_from_slice(body);
        })
    }

    /// Hands a delivered batch up.
    pub fn deliver(&mut self, channel: Kind, batch: DeliveredBatch) {
        self.out.deliver(channel, batch);
    }

    /// Asks the delivery component `via` to carry a message. Returns the
    /// request's number for that delivery and target, counted from 1:
    /// [`super::Input::Progress`] counts in the same way.
    pub fn request(&mut self, via: Kind, target: Target, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let mut write = Some(write);
        self.out.request(via, target, &mut |out| {
            if let Some(write) = write.take() {
                write(out);
            }
        });
        let number = self.ledger.requested.entry((via, target)).or_insert(0);
        *number += 1;
        *number
    }

    /// Tells a component above how far its requests have come.
    pub fn progress(&mut self, to: Kind, progress: Progress) {
        self.out.progress(to, progress);
    }

    /// Calls the component named `to`; the answer, or `TimedOut` after
    /// `deadline`, comes as [`super::Input::Reply`].
    pub fn call<D: NetComponent>(&mut self, to: Kind, call: D::Call, deadline: Duration) -> Token {
        let token = self.token();
        self.out.call(to, token, Box::new(call), deadline);
        token
    }

    /// Calls the component `to`, whose type is not known here, with one of its
    /// own calls, boxed by its own code (a registration carries the function
    /// that boxes).
    pub fn call_erased(&mut self, to: Kind, call: Erased, deadline: Duration) -> Token {
        let token = self.token();
        self.out.call(to, token, call, deadline);
        token
    }

    /// Answers a call.
    pub fn reply<T: Send + 'static>(&mut self, to: ReplyTo, value: T) {
        self.out.reply(to, Box::new(value));
    }

    /// Publishes an event.
    pub fn publish<E: Event>(&mut self, event: E) {
        self.out.publish(AnyEvent::new(event));
    }

    /// Sets `timer` to fire after `after`, in place of an equal one.
    pub fn set_timer(&mut self, timer: C::Timer, after: Duration) {
        self.cancel_timer(&timer);
        let id = TimerId(self.ledger.next_timer);
        self.ledger.next_timer += 1;
        self.ledger.timers.push((timer, id));
        self.out.timer(id, Some(self.now + after));
    }

    /// Cancels `timer` if it is set.
    pub fn cancel_timer(&mut self, timer: &C::Timer) {
        if let Some(at) = self.ledger.timers.iter().position(|(set, _)| set == timer) {
            let (_, id) = self.ledger.timers.swap_remove(at);
            self.out.timer(id, None);
        }
    }

    /// Whether `timer` is set.
    pub fn has_timer(&self, timer: &C::Timer) -> bool {
        self.ledger.timers.iter().any(|(set, _)| set == timer)
    }

    /// Starts a job.
    pub fn job(&mut self, job: C::Job) -> Token {
        let token = self.token();
        self.out.job(token, Box::new(move || Box::new(C::run(job))));
        token
    }

    /// Starts a disk operation; one component's operations keep their order.
    pub fn disk(&mut self, op: DiskOp) -> Token {
        let token = self.token();
        self.out.disk(token, op);
        token
    }

    /// Opens a stream ([`StreamOp::OpenPeer`] or [`StreamOp::OpenFile`]).
    pub fn open_stream(&mut self, open: StreamOp) -> StreamId {
        let id = StreamId(self.ledger.next_stream);
        self.ledger.next_stream += 2;
        self.out.stream(id, open);
        id
    }

    /// Acts on an open stream.
    pub fn stream(&mut self, id: StreamId, op: StreamOp) {
        self.out.stream(id, op);
    }

    /// Ends a peer's life on this node.
    pub fn end_life(&mut self, life: Life) {
        self.out.end_life(life);
    }

    /// When this life was last heard of on the wire, link acknowledgements
    /// not counted.
    pub fn last_heard(&self, life: Life) -> Option<Time> {
        self.out.last_heard(life)
    }

    fn token(&mut self) -> Token {
        let token = Token(self.ledger.next_token);
        self.ledger.next_token += 1;
        token
    }
}
