//! The simulator's outbox: effects as a list that can be cut anywhere, their
//! bytes in one buffer that is used again and again.

use crate::codec::put_varint;
use crate::component::{DeliveredBatch, DiskOp, Erased, Lane, Outbox, Progress, ReplyTo, StreamId, StreamOp, Target};
use crate::component::{TimerId, To, Token};
use crate::event::AnyEvent;
use crate::id::{Kind, Life};
use crate::time::Time;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// One effect; bytes are ranges of [`Recorder::bytes`].
pub(super) enum Act {
    Send { to: To, lane: Lane, message: Range<u32> },
    Deliver(Kind, DeliveredBatch),
    Consumed { via: Kind, channel: Kind, bytes: u64 },
    Request { via: Kind, target: Target, message: Range<u32> },
    Progress(Kind, Progress),
    Call { to: Kind, token: Token, call: Erased, deadline: Duration },
    Reply(ReplyTo, Erased),
    Publish(AnyEvent),
    Timer(TimerId, Option<Time>),
    Job(Token, Box<dyn FnOnce() -> Erased + Send>),
    Disk(Token, DiskOp),
    Stream(StreamId, StreamOp),
    EndLife(Life),
}

#[derive(Default)]
pub(super) struct Recorder {
    pub(super) acts: Vec<Act>,
    pub(super) bytes: Vec<u8>,
    pub(super) heard: BTreeMap<Life, Time>,
}

impl Recorder {
    fn encode(&mut self, write: &mut dyn FnMut(&mut Vec<u8>)) -> Range<u32> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        start as u32..self.bytes.len() as u32
    }

    /// The bytes of a recorded message.
    pub(super) fn message(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

/// How many bytes a message takes in a block.
pub(super) fn item_bytes(message_bytes: usize) -> u64 {
    let mut prefix = Vec::new();
    if message_bytes < 0x80 {
        return message_bytes as u64 + 1;
    }
    put_varint(&mut prefix, message_bytes as u64);
    (prefix.len() + message_bytes) as u64
}

impl Outbox for Recorder {
    fn send(&mut self, to: To, lane: Lane, write: &mut dyn FnMut(&mut Vec<u8>)) -> u64 {
        let message = self.encode(write);
        let bytes = item_bytes(message.len());
        self.acts.push(Act::Send { to, lane, message });
        bytes
    }
    fn deliver(&mut self, channel: Kind, batch: DeliveredBatch) {
        self.acts.push(Act::Deliver(channel, batch));
    }
    fn consumed(&mut self, via: Kind, channel: Kind, bytes: u64) {
        self.acts.push(Act::Consumed { via, channel, bytes });
    }
    fn request(&mut self, via: Kind, target: Target, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let message = self.encode(write);
        self.acts.push(Act::Request { via, target, message });
    }
    fn progress(&mut self, to: Kind, progress: Progress) {
        self.acts.push(Act::Progress(to, progress));
    }
    fn call(&mut self, to: Kind, token: Token, call: Erased, deadline: Duration) {
        self.acts.push(Act::Call { to, token, call, deadline });
    }
    fn reply(&mut self, to: ReplyTo, value: Erased) {
        self.acts.push(Act::Reply(to, value));
    }
    fn publish(&mut self, event: AnyEvent) {
        self.acts.push(Act::Publish(event));
    }
    fn timer(&mut self, timer: TimerId, at: Option<Time>) {
        self.acts.push(Act::Timer(timer, at));
    }
    fn job(&mut self, token: Token, job: Box<dyn FnOnce() -> Erased + Send>) {
        self.acts.push(Act::Job(token, job));
    }
    fn disk(&mut self, token: Token, op: DiskOp) {
        self.acts.push(Act::Disk(token, op));
    }
    fn stream(&mut self, id: StreamId, op: StreamOp) {
        self.acts.push(Act::Stream(id, op));
    }
    fn end_life(&mut self, life: Life) {
        self.acts.push(Act::EndLife(life));
    }
    fn last_heard(&self, life: Life) -> Option<Time> {
        self.heard.get(&life).copied()
    }
}
