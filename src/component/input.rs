//! Everything that can reach a component.

use super::NetComponent;
use super::effect::{Erased, ReplyTo, StreamId, Token};
use crate::codec::Batch;
use crate::error::CallError;
use crate::event::AnyEvent;
use crate::id::{Kind, Life, MessageId, NodeId};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// What a component is told at the start of a life.
#[derive(Clone, Debug)]
pub struct Boot {
    /// This life.
    pub me: Life,
    /// The node's name.
    pub name: Arc<str>,
    /// How many voters are configured, this node included where it is one. Where the
    /// node has a replicated log, they are the first list of several
    /// ([`VoterList`](crate::protocol::membership::VoterList)).
    pub voters: usize,
    /// Whether this node is a configured voter (else a listener, or a joiner).
    pub voter: bool,
}

impl Boot {
    /// How many voters are a majority.
    pub fn majority(&self) -> usize {
        self.voters / 2 + 1
    }
}

/// What a peer is to this node.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum PeerRole {
    /// A configured member with a vote.
    Voter,
    /// A member that joined through a sponsor, without a vote.
    Listener,
    /// A member that came at run time and links with all: without a vote in
    /// the configured list; what it takes part in is for that to decide.
    Joiner,
    /// A client: linked, no member, not part of [`To::All`].
    Client,
}

/// Something that happened to a peer's life, told to every component in the
/// same order relative to that peer's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// A life of a peer is known and linked: before its first message.
    Joined {
        /// The life.
        life: Life,
        /// What it is to this node.
        role: PeerRole,
        /// Its name.
        name: Arc<str>,
    },
    /// That life is over for this node: a newer life took its place, a
    /// majority ended it, or it said that it leaves. What was queued for it is
    /// gone, and nothing from it arrives any more.
    Ended {
        /// The life.
        life: Life,
        /// Why.
        why: EndedWhy,
    },
}

/// Why a peer's life is over.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum EndedWhy {
    /// A newer life of the same node appeared.
    Succeeded,
    /// A majority of the voters ended it.
    Decided,
    /// It announced that it leaves (or, a client, closed its connection).
    Left,
}

/// To whom a frame goes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum To {
    /// Every other voter, linked or not yet: what is sent before the first
    /// contact is queued for the first life that appears.
    All,
    /// One life; dropped if that life is over or was never linked.
    Life(Life),
}

/// Links keep order within a lane, not between lanes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Lane {
    /// Not sequenced, not resent, dropped while the link is down: heartbeats.
    Probe = 0,
    /// Acknowledgements, votes, small requests.
    Control = 1,
    /// Broadcast payloads.
    Data = 2,
    /// Bulk transfers.
    Bulk = 3,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Lane; 4] = [Lane::Probe, Lane::Control, Lane::Data, Lane::Bulk];

    /// The lane with this number.
    pub fn from_u8(n: u8) -> Option<Lane> {
        Lane::ALL.get(n as usize).copied()
    }
}

/// To whom a broadcast request goes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Target {
    /// All members, this node included.
    All,
    /// One node only (best effort).
    Node(NodeId),
}

/// Clock readings that a delivery carries, where the node has clocks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Stamp {
    /// Lamport time of the batch's first message; message i has this plus i.
    pub lamport: Option<u64>,
    /// Vector time of the batch's last message.
    pub vector: Option<Arc<[(Life, u64)]>>,
}

/// A batch on its way up, from a delivery component to the component (or the
/// user) whose channel it was broadcast on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveredBatch {
    /// The first message's id; the others differ in `index`.
    pub id: MessageId,
    /// The delivery component, to which consumption is reported.
    pub via: Kind,
    /// Clock readings.
    pub stamp: Stamp,
    /// The messages.
    pub batch: Batch,
}

/// One delivered message.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// Its id.
    pub id: MessageId,
    /// The delivery component it came through.
    pub via: Kind,
    /// Clock readings of its batch.
    pub stamp: &'a Stamp,
    /// The message's bytes as they were broadcast.
    pub body: &'a [u8],
    /// The batch it stands in, for those who keep bytes without copying.
    pub batch: &'a Batch,
}

/// How far a component's requests to one delivery and target have come. All
/// counts are cumulative over a life, so a lost or joined report costs nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Progress {
    /// The delivery component.
    pub via: Kind,
    /// The target whose requests are counted.
    pub target: Target,
    /// Messages for which the guarantee is met.
    pub delivered: u64,
    /// Messages that no live node lacks.
    pub stable: u64,
    /// Bytes of batches whose copy was released: room for more.
    pub released_bytes: u64,
    /// Messages that were refused or whose target's life ended; counted in
    /// `delivered` and `stable` too, so that those stay cumulative.
    pub failed: Option<Failed>,
}

/// The newest run of failed requests.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Failed {
    /// First failed request, counted from 1.
    pub first: u64,
    /// Last failed request.
    pub last: u64,
    /// Why.
    pub why: FailedWhy,
}

/// Why a request failed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum FailedWhy {
    /// The life it was for ended, or this node was removed from the voters: others
    /// may or may not have received it.
    Ended,
    /// Who has no vote cannot broadcast: a listener, a node that its log does not list.
    NotAVoter,
    /// This delivery does not support the target.
    Target,
}

/// A sample of this machine's load, handed in by the driver.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct LoadSample {
    /// Processor use, 0 to 100.
    pub cpu_percent: f64,
    /// Memory use, 0 to 100.
    pub memory_percent: f64,
}

/// What a disk operation brought.
#[derive(Debug)]
pub enum DiskDone {
    /// Done, and where it was a sync or an atomic replace, durable.
    Ok,
    /// The bytes read (shorter than asked at the end of the file).
    Read(Bytes),
    /// Names and sizes of a directory's files.
    List(Vec<(String, u64)>),
}

/// What happens on a stream. Bytes flow only as far as the consumer granted.
#[derive(Debug)]
pub enum StreamInput {
    /// It is open; for an incoming one, by whom and under which name.
    Opened {
        /// The peer, or `None` for a client's connection or a file.
        peer: Option<Life>,
        /// Name given by the opener (dialect, file, transfer).
        name: String,
    },
    /// The next bytes.
    Chunk(Bytes),
    /// This many more bytes may be written.
    Writable(u64),
    /// The other side wrote its last byte; all bytes arrived.
    Finished,
    /// Cut: what was not acknowledged by the other side is unknown.
    Reset(String),
}

/// One input, typed for the component `C`.
pub enum Input<'a, C: NetComponent> {
    /// The life begins; always the first input.
    Started(&'a Boot),
    /// A message from a peer's same component.
    Message {
        /// The sending life.
        from: Life,
        /// The typed head.
        head: C::Message,
        /// What follows the head.
        body: Bytes,
    },
    /// A request from a component above, to broadcast a batch (deliveries only).
    Request {
        /// The requesting component: the channel of the broadcast.
        from: Kind,
        /// To whom.
        target: Target,
        /// The messages.
        batch: Batch,
    },
    /// A message was delivered on this component's channel.
    Delivered(Delivered<'a>),
    /// How far this component's broadcasts have come.
    Progress(Progress),
    /// An event that the manifest says it hears.
    Event(&'a AnyEvent),
    /// A timer fired.
    Timer(C::Timer),
    /// Another component, or the user, calls.
    Call {
        /// The call.
        call: C::Call,
        /// Where the answer goes.
        reply_to: ReplyTo,
    },
    /// The answer to an earlier call, or why there is none.
    Reply {
        /// The call's token.
        token: Token,
        /// The answer.
        value: Result<Erased, CallError>,
    },
    /// A job is done.
    Done {
        /// The job's token.
        token: Token,
        /// Its result, or `None` if it panicked.
        done: Option<C::Done>,
    },
    /// A disk operation is done.
    Disk {
        /// The operation's token.
        token: Token,
        /// Its result.
        result: io::Result<DiskDone>,
    },
    /// Something happened on a stream.
    Stream {
        /// Which.
        id: StreamId,
        /// What.
        input: StreamInput,
    },
    /// Something happened to a peer's life.
    Peer(&'a PeerChange),
    /// A life's link acknowledged this many of the bytes that this component
    /// sent to it (manifest `wants_credit`).
    Credit {
        /// The acknowledging life.
        life: Life,
        /// Bytes, counted as they were sent.
        bytes: u64,
    },
    /// A component above has handled delivered batches of this many bytes.
    Consumed {
        /// The channel.
        channel: Kind,
        /// Bytes.
        bytes: u64,
    },
    /// A sample of the machine's load.
    Load(LoadSample),
    /// The node stops; the last input.
    Stop,
}
