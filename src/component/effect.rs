//! Everything that can leave a component.
//!
//! Effects are performed in the order in which they were made; a crash may
//! fall after any of them. Nothing that acknowledges comes before the sync
//! that it rests on.

use super::input::{DeliveredBatch, Lane, Progress, Target, To};
use crate::event::AnyEvent;
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::any::Any;
use std::time::Duration;

/// A value whose type the receiving component knows.
pub type Erased = Box<dyn Any + Send>;

/// Names an outstanding call, job or disk operation of one component.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// Where a call's answer goes: a component of this node, or the user
/// ([`ReplyTo::USER`]).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplyTo {
    /// The calling component.
    pub component: Kind,
    /// Its token.
    pub token: Token,
}

impl ReplyTo {
    /// The component number under which the node's handle calls.
    pub const USER: Kind = Kind(0);
}

/// Names a timer of one component.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimerId(pub u64);

/// Names a stream of one component.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// A job with its types erased: runs on the worker pool, or inline in the
/// simulator.
pub type ErasedJob = Box<dyn FnOnce() -> Erased + Send>;

/// A disk operation inside the component's own directory. Names are plain file
/// names with `/` between directories: never absolute, no empty part, no `.` or
/// `..`, and none that ends with `~`, which is the driver's own; at most 254
/// bytes a part and 1024 in all. Anything else is refused as `InvalidInput`.
/// Directories that are missing above a file that is written are made, durably.
///
/// What the operations promise is all that a component may rest on, on a
/// machine and in the simulator's disk ([`crate::sim::DiskFaults`]): after a
/// crash what was not synced is there or not, each write by itself, in part, or
/// as zeros. After a failed sync the same holds of all that it was to make
/// durable, *and a later sync that succeeds says nothing of it*: write it again,
/// to another file (Rebello et al., *Can Applications Recover from fsync
/// Failures?*, ATC 2020). After a failed write any part of it may be in the
/// file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskOp {
    /// Appends to a file, making it where it is not there. Not durable.
    Append {
        /// File.
        name: String,
        /// What to append.
        bytes: Bytes,
    },
    /// Writes at an offset, with zeros before it where the file is shorter.
    /// Not durable.
    WriteAt {
        /// File.
        name: String,
        /// Where.
        offset: u64,
        /// What.
        bytes: Bytes,
    },
    /// Makes all earlier writes to the file durable (fdatasync); a new file's
    /// name only [`DiskOp::SyncDir`] does.
    Sync {
        /// File.
        name: String,
    },
    /// Gives the file this length, in preallocated zeros where it grows. Not
    /// durable.
    Allocate {
        /// File.
        name: String,
        /// Bytes.
        bytes: u64,
    },
    /// Replaces the file's whole content, durably, all or nothing; its
    /// directory is synced with it. After an error the file is the old one or
    /// the new one, and a crash may still turn the new one into the old.
    Replace {
        /// File.
        name: String,
        /// The new content.
        bytes: Bytes,
    },
    /// Renames a file within the component's directory, in place of one that
    /// has that name: a crash leaves the old state or the new one. Durable once
    /// the directories of both names are synced.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// Makes creations, renames and removals in a directory durable.
    SyncDir {
        /// Directory; empty for the component's own.
        name: String,
    },
    /// Reads at most `bytes` from `offset`, and at most
    /// [`DiskOp::READ_BYTES_MAX`]; fewer otherwise only at the end of the file.
    Read {
        /// File.
        name: String,
        /// Where.
        offset: u64,
        /// How much at the most.
        bytes: u64,
    },
    /// Lists a directory's files by name, without its directories; nothing for
    /// a directory that is not there.
    List {
        /// Directory; empty for the component's own.
        name: String,
    },
    /// Removes a file; one that is not there is no error.
    Remove {
        /// File.
        name: String,
    },
}

/// What a component does on streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamOp {
    /// Opens a stream to the same component of a peer.
    OpenPeer {
        /// The peer's life.
        life: Life,
        /// Name told to the peer.
        name: String,
    },
    /// Opens a file of the component's directory for reading from `offset`.
    OpenFile {
        /// File.
        name: String,
        /// Where to begin.
        offset: u64,
    },
    /// Writes; only as much as was said to be writable.
    Write(Bytes),
    /// Grants the other side this many more bytes.
    Grant(u64),
    /// No more bytes follow.
    Finish,
    /// Cuts the stream, telling the other side why.
    Reset(String),
}

/// Where a component's effects go: threads in the runtime, a list in the
/// simulator and in tests.
pub trait Outbox {
    /// Sends what `write` encodes to the same component of peers. Encoded
    /// once, straight into the lane's block, whatever the number of peers.
    /// Never blocks. Returns the bytes counted by [`super::Input::Credit`].
    fn send(&mut self, to: To, lane: Lane, write: &mut dyn FnMut(&mut Vec<u8>)) -> u64;
    /// Hands a delivered batch up to the component with kind `channel`.
    fn deliver(&mut self, channel: Kind, batch: DeliveredBatch);
    /// Tells the delivery component `via` that `bytes` of what it delivered
    /// on channel `channel` were handled.
    fn consumed(&mut self, via: Kind, channel: Kind, bytes: u64);
    /// Asks the delivery component `via` to broadcast what `write` encodes.
    fn request(&mut self, via: Kind, target: Target, write: &mut dyn FnMut(&mut Vec<u8>));
    /// Tells a component above how far its requests have come.
    fn progress(&mut self, to: Kind, progress: Progress);
    /// Calls a component of this node. The driver answers with
    /// [`CallError::TimedOut`](crate::error::CallError) after `deadline`.
    fn call(&mut self, to: Kind, token: Token, call: Erased, deadline: Duration);
    /// Answers a call.
    fn reply(&mut self, to: ReplyTo, value: Erased);
    /// Publishes an event on this node.
    fn publish(&mut self, event: AnyEvent);
    /// Sets (or with `None` cancels) a timer.
    fn timer(&mut self, timer: TimerId, at: Option<Time>);
    /// Starts a job.
    fn job(&mut self, token: Token, job: ErasedJob);
    /// Starts a disk operation. One component's operations are performed in
    /// order.
    fn disk(&mut self, token: Token, op: DiskOp);
    /// Acts on a stream. Streams that a component opens have ids with the
    /// lowest bit set; those opened towards it have it clear.
    fn stream(&mut self, id: StreamId, op: StreamOp);
    /// Ends a peer's life on this node: its session is closed, it is refused
    /// from now on, and every component is told.
    fn end_life(&mut self, life: Life);
    /// When bytes from this life, other than link acknowledgements, were last
    /// received.
    fn last_heard(&self, life: Life) -> Option<Time>;
}

/// An effect as a value.
pub enum Effect {
    /// See [`Outbox::send`]; the message is one item's content.
    Send {
        /// To whom.
        to: To,
        /// On which lane.
        lane: Lane,
        /// The encoded message.
        message: Bytes,
    },
    /// See [`Outbox::deliver`].
    Deliver(Kind, DeliveredBatch),
    /// See [`Outbox::consumed`].
    Consumed {
        /// The delivery component.
        via: Kind,
        /// The channel.
        channel: Kind,
        /// Bytes.
        bytes: u64,
    },
    /// See [`Outbox::request`].
    Request {
        /// The delivery component.
        via: Kind,
        /// To whom.
        target: Target,
        /// The encoded message.
        message: Bytes,
    },
    /// See [`Outbox::progress`].
    Progress(Kind, Progress),
    /// See [`Outbox::call`].
    Call {
        /// The called component.
        to: Kind,
        /// The caller's token.
        token: Token,
        /// The call.
        call: Erased,
        /// The deadline.
        deadline: Duration,
    },
    /// See [`Outbox::reply`].
    Reply(ReplyTo, Erased),
    /// See [`Outbox::publish`].
    Publish(AnyEvent),
    /// See [`Outbox::timer`].
    Timer(TimerId, Option<Time>),
    /// See [`Outbox::job`].
    Job(Token, ErasedJob),
    /// See [`Outbox::disk`].
    Disk(Token, DiskOp),
    /// See [`Outbox::stream`].
    Stream(StreamId, StreamOp),
    /// See [`Outbox::end_life`].
    EndLife(Life),
}

/// An outbox that keeps effects as a list, which its owner can cut anywhere.
#[derive(Default)]
pub struct Effects {
    /// The effects so far, in order.
    pub list: Vec<Effect>,
    /// What [`Outbox::last_heard`] answers.
    pub heard: std::collections::BTreeMap<Life, Time>,
}

/// What `write` writes, as shared bytes.
fn encoded(write: &mut dyn FnMut(&mut Vec<u8>)) -> Bytes {
    let mut message = Vec::new();
    write(&mut message);
    Bytes::from(message)
}

impl Outbox for Effects {
    fn send(&mut self, to: To, lane: Lane, write: &mut dyn FnMut(&mut Vec<u8>)) -> u64 {
        let message = encoded(write);
        let bytes = message.len() as u64;
        self.list.push(Effect::Send { to, lane, message });
        bytes
    }
    fn deliver(&mut self, channel: Kind, batch: DeliveredBatch) {
        self.list.push(Effect::Deliver(channel, batch));
    }
    fn consumed(&mut self, via: Kind, channel: Kind, bytes: u64) {
        self.list.push(Effect::Consumed { via, channel, bytes });
    }
    fn request(&mut self, via: Kind, target: Target, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let message = encoded(write);
        self.list.push(Effect::Request { via, target, message });
    }
    fn progress(&mut self, to: Kind, progress: Progress) {
        self.list.push(Effect::Progress(to, progress));
    }
    fn call(&mut self, to: Kind, token: Token, call: Erased, deadline: Duration) {
        self.list.push(Effect::Call { to, token, call, deadline });
    }
    fn reply(&mut self, to: ReplyTo, value: Erased) {
        self.list.push(Effect::Reply(to, value));
    }
    fn publish(&mut self, event: AnyEvent) {
        self.list.push(Effect::Publish(event));
    }
    fn timer(&mut self, timer: TimerId, at: Option<Time>) {
        self.list.push(Effect::Timer(timer, at));
    }
    fn job(&mut self, token: Token, job: ErasedJob) {
        self.list.push(Effect::Job(token, job));
    }
    fn disk(&mut self, token: Token, op: DiskOp) {
        self.list.push(Effect::Disk(token, op));
    }
    fn stream(&mut self, id: StreamId, op: StreamOp) {
        self.list.push(Effect::Stream(id, op));
    }
    fn end_life(&mut self, life: Life) {
        self.list.push(Effect::EndLife(life));
    }
    fn last_heard(&self, life: Life) -> Option<Time> {
        self.heard.get(&life).copied()
    }
}
