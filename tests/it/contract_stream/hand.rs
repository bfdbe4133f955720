//! A driver by hand: two nodes, one file, streams that carry only what was
//! granted, and a count of the bytes that are held anywhere.

use super::courier::{Courier, Order, Receipt};
use bytes::Bytes;
use nodewright::codec;
use nodewright::component::{
    Adapter, AnyComponent, Boot, Effect, Effects, EndedWhy, Item, PeerChange, PeerRole, ReplyTo, StreamId, StreamInput,
    StreamOp, To, Token,
};
use nodewright::error::CallError;
use nodewright::id::{Life, NodeId};
use nodewright::time::Time;
use std::collections::VecDeque;
use std::sync::Arc;

const CHUNK_BYTES: u64 = 1 << 20;
const OPENED: StreamId = StreamId(2);

/// A sender (0) and a receiver (1).
pub struct Pair {
    nodes: [Adapter<Courier>; 2],
    lives: [Life; 2],
    mailboxes: [VecDeque<Item>; 2],
    file_bytes: u64,
    file_read: u64,
    file: Option<StreamId>,
    peer: Option<StreamId>,
    granted_to_file: u64,
    granted_to_sender: u64,
    grants_muted: bool,
    held: u64,
    held_max: u64,
    answer: Option<Result<Receipt, CallError>>,
}

impl Pair {
    pub fn new(file_bytes: u64) -> Self {
        let lives = [Life::new(NodeId(1), 1), Life::new(NodeId(2), 1)];
        let mut pair = Pair {
            nodes: [Adapter::new(Courier::default(), 1), Adapter::new(Courier::default(), 2)],
            lives,
            mailboxes: [VecDeque::new(), VecDeque::new()],
            file_bytes,
            file_read: 0,
            file: None,
            peer: None,
            granted_to_file: 0,
            granted_to_sender: 0,
            grants_muted: false,
            held: 0,
            held_max: 0,
            answer: None,
        };
        for n in 0..2 {
            let boot = Boot { me: lives[n], name: Arc::from("spike"), voters: 2, voter: true };
            let joined = PeerChange::Joined { life: lives[1 - n], role: PeerRole::Voter, name: Arc::from("spike") };
            pair.mailboxes[n].extend([Item::Started(boot), Item::Peer(joined)]);
        }
        pair
    }

    /// Ships the file and returns the receipt.
    pub fn ship(&mut self) -> Receipt {
        self.start();
        self.receipt().expect("the transfer ends with a receipt")
    }

    /// Asks for the transfer and runs until nothing moves.
    pub fn start(&mut self) {
        let call = Box::new(Order::Ship { file: "film".into(), to: self.lives[1] });
        let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(1) };
        self.mailboxes[0].push_back(Item::Call { call, reply_to });
        self.run();
    }

    pub fn end_receiver(&mut self) {
        let ended = PeerChange::Ended { life: self.lives[1], why: EndedWhy::Decided };
        self.mailboxes[0].push_back(Item::Peer(ended));
        self.run();
    }

    pub fn mute_grants(&mut self) {
        self.grants_muted = true;
    }

    pub fn held_max(&self) -> u64 {
        self.held_max
    }

    pub fn receipt(&self) -> Option<Receipt> {
        self.answer.clone().and_then(Result::ok)
    }

    pub fn failure(&self) -> Option<String> {
        self.answer.clone().and_then(Result::err).map(|error| error.to_string())
    }

    pub fn sender(&self) -> &Courier {
        self.nodes[0].component()
    }

    fn run(&mut self) {
        while self.mailboxes.iter().any(|mailbox| !mailbox.is_empty()) {
            for n in 0..2 {
                let mut effects = Effects::default();
                for item in std::mem::take(&mut self.mailboxes[n]) {
                    if let (1, Item::Stream { input: StreamInput::Chunk(bytes), .. }) = (n, &item) {
                        self.held -= bytes.len() as u64;
                    }
                    self.nodes[n].step(item, Time::ZERO, &mut effects).expect("no fault");
                }
                self.nodes[n].flush(Time::ZERO, &mut effects).expect("no fault");
                for effect in effects.list {
                    self.perform(n, effect);
                }
            }
            self.read();
        }
    }

    /// The file's side: as many chunks as were granted.
    fn read(&mut self) {
        let Some(file) = self.file else { return };
        while self.granted_to_file > 0 && self.file_read < self.file_bytes {
            let len = CHUNK_BYTES.min(self.granted_to_file).min(self.file_bytes - self.file_read);
            let chunk: Vec<u8> = (self.file_read..self.file_read + len).map(super::byte_at).collect();
            self.file_read += len;
            self.granted_to_file -= len;
            self.held += len;
            self.held_max = self.held_max.max(self.held);
            self.mailboxes[0].push_back(Item::Stream { id: file, input: StreamInput::Chunk(Bytes::from(chunk)) });
        }
        if self.file_read == self.file_bytes {
            self.file = None;
            self.mailboxes[0].push_back(Item::Stream { id: file, input: StreamInput::Finished });
        }
    }

    fn perform(&mut self, n: usize, effect: Effect) {
        match effect {
            Effect::Stream(id, op) => self.perform_stream(n, id, op),
            Effect::Send { to: To::Life(to), message, .. } => {
                let mut block = Vec::new();
                codec::put_item(&mut block, |out| out.extend_from_slice(&message));
                let there = self.lives.iter().position(|life| *life == to).expect("a life of the pair");
                self.mailboxes[there].push_back(Item::Messages { from: self.lives[n], block: Bytes::from(block) });
            }
            Effect::Reply(_, value) => {
                self.answer = value.downcast().ok().map(|answer| *answer);
            }
            _ => panic!("an effect that the spike does not use"),
        }
    }

    fn perform_stream(&mut self, n: usize, id: StreamId, op: StreamOp) {
        let input = |input| Item::Stream { id: OPENED, input };
        match op {
            StreamOp::OpenFile { .. } => self.file = Some(id),
            StreamOp::OpenPeer { name, .. } => {
                self.peer = Some(id);
                self.mailboxes[1].push_back(input(StreamInput::Opened { peer: Some(self.lives[0]), name }));
            }
            StreamOp::Grant(bytes) if n == 0 => self.granted_to_file += bytes,
            StreamOp::Grant(bytes) if !self.grants_muted => {
                self.granted_to_sender += bytes;
                let id = self.peer.expect("granted on an open stream");
                self.mailboxes[0].push_back(Item::Stream { id, input: StreamInput::Writable(bytes) });
            }
            StreamOp::Write(bytes) => {
                let len = bytes.len() as u64;
                assert!(len <= self.granted_to_sender, "{len} bytes written, {} granted", self.granted_to_sender);
                self.granted_to_sender -= len;
                self.mailboxes[1].push_back(input(StreamInput::Chunk(bytes)));
            }
            StreamOp::Finish => self.mailboxes[1].push_back(input(StreamInput::Finished)),
            StreamOp::Grant(_) | StreamOp::Reset(_) => {}
        }
    }
}
