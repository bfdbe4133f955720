//! Inputs with their types erased: what mailboxes carry, in both drivers.

use super::effect::{Erased, ReplyTo, StreamId, TimerId, Token};
use super::input::{Boot, DeliveredBatch, DiskDone, LoadSample, PeerChange, Progress, StreamInput, Target};
use crate::codec::Batch;
use crate::error::CallError;
use crate::event::AnyEvent;
use crate::id::{Kind, Life, MessageId};
use bytes::Bytes;
use std::io;

/// One input with its types erased; [`Adapter`](super::Adapter) gives the types
/// back.
#[derive(Debug)]
pub enum Item {
    /// See [`Input::Started`](super::Input::Started).
    Started(Boot),
    /// A block of messages from a peer's same component.
    Messages {
        /// The sending life.
        from: Life,
        /// The block: see [`crate::codec`].
        block: Bytes,
    },
    /// See [`Input::Request`](super::Input::Request).
    Request {
        /// The requesting component.
        from: Kind,
        /// To whom.
        target: Target,
        /// The messages.
        batch: Batch,
    },
    /// A batch delivered on this component's channel.
    Delivered(DeliveredBatch),
    /// See [`Input::Progress`](super::Input::Progress).
    Progress(Progress),
    /// See [`Input::Event`](super::Input::Event).
    Event(AnyEvent),
    /// See [`Input::Timer`](super::Input::Timer).
    Timer(TimerId),
    /// See [`Input::Call`](super::Input::Call).
    Call {
        /// A boxed `C::Call`.
        call: Erased,
        /// Where the answer goes.
        reply_to: ReplyTo,
    },
    /// See [`Input::Reply`](super::Input::Reply).
    Reply {
        /// The call's token.
        token: Token,
        /// The answer.
        value: Result<Erased, CallError>,
    },
    /// See [`Input::Done`](super::Input::Done).
    Done {
        /// The job's token.
        token: Token,
        /// A boxed `C::Done`; `None` if the job panicked.
        done: Option<Erased>,
    },
    /// See [`Input::Disk`](super::Input::Disk).
    Disk {
        /// The operation's token.
        token: Token,
        /// Its result.
        result: io::Result<DiskDone>,
    },
    /// See [`Input::Stream`](super::Input::Stream).
    Stream {
        /// Which.
        id: StreamId,
        /// What.
        input: StreamInput,
    },
    /// See [`Input::Peer`](super::Input::Peer).
    Peer(PeerChange),
    /// See [`Input::Credit`](super::Input::Credit).
    Credit {
        /// The acknowledging life.
        life: Life,
        /// Bytes.
        bytes: u64,
    },
    /// See [`Input::Consumed`](super::Input::Consumed).
    Consumed {
        /// The channel.
        channel: Kind,
        /// Bytes.
        bytes: u64,
    },
    /// See [`Input::Load`](super::Input::Load).
    Load(LoadSample),
    /// Asks for the component's state, for people: answered with an
    /// [`Inspection`](super::Inspection).
    Inspect(ReplyTo),
    /// Asks what the component knows of a message: answered with an
    /// `Option<String>`.
    Explain(MessageId, ReplyTo),
    /// See [`Input::Stop`](super::Input::Stop).
    Stop,
}
