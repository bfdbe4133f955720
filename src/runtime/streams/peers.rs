//! Streams between peers' same components, on the links' bulk lane.
//!
//! ```text
//!   opener                         other side
//!     Open(name) ----------------->  Opened | Reset
//!     <------------------- Accepted
//!     <------------------- Grant(n)
//!     Chunk + bytes -------------->
//!     Finish --------------------->  both ways; over when both have finished
//!     Reset(why) <---------------->  at any time
//! ```

use super::{CHUNK_BYTES, End, Key, Table};
use crate::codec::{self, Items};
use crate::component::{Lane, StreamInput, StreamOp, To};
use crate::id::{Kind, Life};
use crate::runtime::counters::count;
use crate::runtime::live::Live;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The wire kind of streams.
pub(in crate::runtime) const STREAM: Kind = Kind::of("stream");
/// Streams that one node keeps open for its peers; a further one is reset.
const INCOMING_MAX: usize = 1024;
/// Longest name of a stream that a peer opens.
const NAME_BYTES_MAX: usize = 4096;

#[derive(Serialize, Deserialize)]
struct Head {
    component: Kind,
    /// The opener's name for the stream.
    name: u64,
    /// Whether the sender of this is the opener.
    by_opener: bool,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    Open(String),
    Accepted,
    Chunk,
    Grant(u64),
    Finish,
    Reset(String),
}

pub(super) struct PeerEnd {
    pub(super) life: Life,
    pub(super) component: Kind,
    /// The opener's name for the stream.
    pub(super) name: u64,
    mine: bool,
    /// What was asked for, told when the peer accepts.
    asked: String,
    granted: u64,
    writable: u64,
    finished_here: bool,
    finished_there: bool,
}

impl PeerEnd {
    fn new(life: Life, component: Kind, name: u64, mine: bool, asked: String) -> Self {
        let (granted, writable) = (0, 0);
        let (finished_here, finished_there) = (false, false);
        PeerEnd { life, component, name, mine, asked, granted, writable, finished_here, finished_there }
    }
}

impl Live {
    pub(super) fn open_peer(&self, table: &mut Table, key: Key, life: Life, name: String) {
        let end = PeerEnd::new(life, self.manifest(key.0).kind(), key.1.0, true, name.clone());
        if !self.node.board.is_linked(life) {
            // Checked under the table's lock: whoever is linked now will be
            // told when the life ends.
            return self.stream_input(key, StreamInput::Reset(format!("{life} is not linked")));
        }
        self.say(&end, What::Open(name), &[]);
        table.ends.insert(key, End::Peer(end));
    }

    pub(super) fn peer_op(&self, table: &mut Table, key: Key, op: StreamOp) {
        let Some(End::Peer(end)) = table.ends.get_mut(&key) else { return };
        match op {
            StreamOp::Write(bytes) if end.finished_here || bytes.len() as u64 > end.writable => {
                self.cut_stream(table, key, "more was written than was said to be writable");
            }
            StreamOp::Write(bytes) => {
                end.writable -= bytes.len() as u64;
                for chunk in bytes.chunks(CHUNK_BYTES) {
                    self.say(end, What::Chunk, chunk);
                }
            }
            StreamOp::Grant(bytes) => {
                end.granted = end.granted.saturating_add(bytes);
                self.say(end, What::Grant(bytes), &[]);
            }
            StreamOp::Finish => {
                end.finished_here = true;
                self.say(end, What::Finish, &[]);
                if end.finished_there {
                    table.remove(key);
                }
            }
            StreamOp::Reset(why) => {
                self.say(end, What::Reset(why), &[]);
                table.remove(key);
            }
            StreamOp::OpenPeer { .. } | StreamOp::OpenFile { .. } => {} // opened before
        }
    }

    pub(super) fn reset_peer(&self, end: &PeerEnd, why: &str) {
        self.say(end, What::Reset(why.to_owned()), &[]);
    }

    fn say(&self, end: &PeerEnd, what: What, body: &[u8]) {
        let head = Head { component: end.component, name: end.name, by_opener: end.mine, what };
        let mut block = Vec::with_capacity(body.len() + 64);
        codec::put_item(&mut block, |out| {
            codec::put_head(out, &head);
            out.extend_from_slice(body);
        });
        self.network().push(To::Life(end.life), Lane::Bulk, STREAM, Bytes::from(block));
    }

    /// A block of streams' messages; what is no such message is counted.
    pub(in crate::runtime) fn stream_block(&self, from: Life, block: &Bytes) {
        let mut items = Items::new(block);
        for (at, item) in items.by_ref() {
            match codec::take_head::<Head>(item) {
                Some((head, body)) => self.stream_message(from, head, block.slice(at + body..at + item.len())),
                None => count(&self.counts().malformed_streams),
            }
        }
        if items.malformed() {
            count(&self.counts().malformed_streams);
        }
    }

    fn stream_message(&self, from: Life, head: Head, body: Bytes) {
        let mut table = self.streams.table();
        let me = self.index(head.component);
        let key = match (&head.what, head.by_opener) {
            (What::Open(_), _) => return self.opened_by_peer(&mut table, from, me, head),
            (_, true) => table.incoming.get(&(from, head.component, head.name)).copied(),
            (_, false) => me.map(|me| (me, crate::component::StreamId(head.name))),
        };
        let Some(key) = key else { return };
        let Some(End::Peer(end)) = table
            .ends
            .get_mut(&key)
            .filter(|end| matches!(end, End::Peer(end) if end.life == from && end.mine != head.by_opener))
        else {
            return; // it was cut on this side, and the peer will hear of that
        };
        match head.what {
            What::Open(_) => {}
            What::Accepted => {
                let name = std::mem::take(&mut end.asked);
                self.stream_input(key, StreamInput::Opened { peer: Some(from), name });
            }
            What::Chunk if end.finished_there || body.len() as u64 > end.granted => {
                count(&self.counts().malformed_streams);
                self.cut_stream(&mut table, key, "the peer sent more than was granted");
            }
            What::Chunk => {
                end.granted -= body.len() as u64;
                self.stream_input(key, StreamInput::Chunk(body));
            }
            What::Grant(bytes) => {
                end.writable = end.writable.saturating_add(bytes);
                self.stream_input(key, StreamInput::Writable(bytes));
            }
            What::Finish => {
                end.finished_there = true;
                let over = end.finished_here;
                self.stream_input(key, StreamInput::Finished);
                if over {
                    table.remove(key);
                }
            }
            What::Reset(why) => {
                table.remove(key);
                self.stream_input(key, StreamInput::Reset(why));
            }
        }
    }

    fn opened_by_peer(&self, table: &mut Table, from: Life, me: Option<usize>, head: Head) {
        let What::Open(name) = head.what else { return };
        let end = PeerEnd::new(from, head.component, head.name, false, String::new());
        let known = (from, head.component, head.name);
        let refusal = match me {
            None => Some("there is no such component"),
            Some(_) if table.incoming.len() >= INCOMING_MAX => Some("too many streams are open"),
            Some(_) if name.len() > NAME_BYTES_MAX => Some("the stream's name is too long"),
            Some(_) if !head.by_opener || table.incoming.contains_key(&known) => Some("it is open already"),
            Some(_) => None,
        };
        match (me, refusal) {
            (Some(me), None) if !table.closed => {
                let key = table.name(me);
                self.say(&end, What::Accepted, &[]);
                table.ends.insert(key, End::Peer(end));
                table.incoming.insert(known, key);
                self.stream_input(key, StreamInput::Opened { peer: Some(from), name });
            }
            _ => self.reset_peer(&end, refusal.unwrap_or("the node stops")),
        }
    }
}
