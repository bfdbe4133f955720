//! The component: sends a file of its directory to a peer, says what arrived.

use bytes::Bytes;
use nodewright::component::{
    Context, DiskOp, Input, Lane, Manifest, NetComponent, PeerChange, ReplyTo, StreamId, StreamInput, StreamOp, To,
};
use nodewright::error::{CallError, Fault};
use nodewright::id::Life;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

/// Bytes that are granted ahead on each leg.
pub const WINDOW: u64 = 4 << 20;

/// What arrived: the receiver's count and checksum.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Receipt {
    pub name: String,
    pub bytes: u64,
    pub crc: u32,
}

/// What may be asked of it.
pub enum Order {
    /// Puts a file into its directory.
    Keep { file: String, content: Bytes },
    /// Sends a file to the peer's life; answered with
    /// `Result<Receipt, CallError>`.
    Ship { file: String, to: Life },
}

struct Sending {
    to: Life,
    name: String,
    reply_to: ReplyTo,
    peer: StreamId,
    writable: u64,
    waiting: VecDeque<Bytes>,
    read_whole: bool,
    finished: bool,
}

struct Receiving {
    from: Life,
    receipt: Receipt,
}

/// Both ends of a transfer.
#[derive(Default)]
pub struct Courier {
    /// By the stream of the file that is read.
    sending: BTreeMap<StreamId, Sending>,
    receiving: BTreeMap<StreamId, Receiving>,
}

impl Courier {
    /// Transfers under way.
    pub fn transfers(&self) -> usize {
        self.sending.len() + self.receiving.len()
    }

    fn ship(&mut self, name: String, to: Life, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        let file = cx.open_stream(StreamOp::OpenFile { name: name.clone(), offset: 0 });
        let peer = cx.open_stream(StreamOp::OpenPeer { life: to, name: name.clone() });
        cx.stream(file, StreamOp::Grant(WINDOW));
        let sending = Sending {
            to,
            name,
            reply_to,
            peer,
            writable: 0,
            waiting: VecDeque::new(),
            read_whole: false,
            finished: false,
        };
        self.sending.insert(file, sending);
    }

    fn stream(&mut self, id: StreamId, input: StreamInput, cx: &mut Context<'_, Self>) {
        match input {
            StreamInput::Opened { peer: Some(from), name } if id.0 & 1 == 0 => {
                let receipt = Receipt { name, bytes: 0, crc: 0 };
                self.receiving.insert(id, Receiving { from, receipt });
                cx.stream(id, StreamOp::Grant(WINDOW));
            }
            StreamInput::Opened { .. } => {}
            StreamInput::Chunk(bytes) => {
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.waiting.push_back(bytes);
                    sending.pump(id, cx);
                } else if let Some(receiving) = self.receiving.get_mut(&id) {
                    receiving.receipt.bytes += bytes.len() as u64;
                    receiving.receipt.crc = crc32c::crc32c_append(receiving.receipt.crc, &bytes);
                    cx.stream(id, StreamOp::Grant(bytes.len() as u64));
                }
            }
            StreamInput::Writable(bytes) => {
                if let Some((file, sending)) = self.sending.iter_mut().find(|(_, sending)| sending.peer == id) {
                    sending.writable += bytes;
                    sending.pump(*file, cx);
                }
            }
            StreamInput::Finished => {
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.read_whole = true;
                    sending.pump(id, cx);
                } else if let Some(done) = self.receiving.remove(&id) {
                    cx.send(To::Life(done.from), Lane::Control, &done.receipt);
                }
            }
            StreamInput::Reset(why) => {
                self.receiving.remove(&id);
                let cut = self.sending.iter().find(|(file, sending)| **file == id || sending.peer == id);
                if let Some(file) = cut.map(|(file, _)| *file) {
                    self.fail(file, &why, cx);
                }
            }
        }
    }

    /// Gives a transfer up: closes what is open and answers.
    fn fail(&mut self, file: StreamId, why: &str, cx: &mut Context<'_, Self>) {
        if let Some(sending) = self.sending.remove(&file) {
            cx.stream(file, StreamOp::Reset(why.into()));
            cx.stream(sending.peer, StreamOp::Reset(why.into()));
            cx.reply(sending.reply_to, Err::<Receipt, _>(CallError::Ended(why.into())));
        }
    }
}

impl Sending {
    /// Writes what may be written, and lets the file be read on by as much.
    fn pump(&mut self, file: StreamId, cx: &mut Context<'_, Courier>) {
        let mut written = 0;
        while let Some(front) = self.waiting.front_mut().filter(|_| self.writable > 0) {
            let take = front.len().min(usize::try_from(self.writable).unwrap_or(usize::MAX));
            let bytes = front.split_to(take);
            if front.is_empty() {
                self.waiting.pop_front();
            }
            self.writable -= take as u64;
            written += take as u64;
            cx.stream(self.peer, StreamOp::Write(bytes));
        }
        if written > 0 && !self.read_whole {
            cx.stream(file, StreamOp::Grant(written));
        }
        if self.read_whole && self.waiting.is_empty() && !std::mem::replace(&mut self.finished, true) {
            cx.stream(self.peer, StreamOp::Finish);
        }
    }
}

impl NetComponent for Courier {
    type Message = Receipt;
    type Call = Order;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new("courier_spike")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { call: Order::Ship { file, to }, reply_to } => self.ship(file, to, reply_to, cx),
            Input::Call { call: Order::Keep { file, content }, .. } => {
                cx.disk(DiskOp::Append { name: file, bytes: content });
            }
            Input::Stream { id, input } => self.stream(id, input, cx),
            Input::Message { from, head, .. } => {
                let sent = self.sending.iter().find(|(_, sending)| sending.to == from && sending.name == head.name);
                if let Some(sending) = sent.map(|(file, _)| *file).and_then(|file| self.sending.remove(&file)) {
                    cx.reply(sending.reply_to, Ok::<_, CallError>(head));
                }
            }
            Input::Peer(PeerChange::Ended { life, .. }) => {
                self.receiving.retain(|_, receiving| receiving.from != *life);
                let files: Vec<_> =
                    self.sending.iter().filter(|(_, sending)| sending.to == *life).map(|(file, _)| *file).collect();
                for file in files {
                    self.fail(file, "the receiver's life ended", cx);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
