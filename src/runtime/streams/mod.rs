//! Streams: the one way in which many bytes flow, to and from files, peers and
//! clients.
//!
//! ```text
//!   component          table of ends            other side
//!   OpenFile/OpenPeer -> end                     file, peer's same component
//!   Grant(n) ----------> granted += n ---------> may send n more
//!   <------------ Chunk  granted -= len <------- bytes
//!   <--------- Writable  writable += n <-------- Grant(n)
//!   Write(bytes) ------> writable -= len ------> bytes
//! ```
//!
//! **Bound.** Nothing is read, sent or kept beyond what the consumer granted:
//! a stream holds at most its credit. Streams opened by a peer and clients'
//! connections are limited in number; a further one is reset at once.
//!
//! **Guarantee.** The bytes of a stream arrive in order, whole and once, or the
//! stream ends in `Reset`, after which it is unknown what the other side got.

mod clients;
mod files;
mod peers;

pub(super) use peers::STREAM;

use super::live::Live;
use super::out::tag;
use crate::component::{Item, StreamId, StreamInput, StreamOp};
use crate::id::{Kind, Life};
use clients::ClientEnd;
use files::FileEnd;
use peers::PeerEnd;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes that are read or sent as one.
const CHUNK_BYTES: usize = 1 << 20;

/// An end of a stream: the component, and the stream's id with the component's
/// restarts in its upper bits.
type Key = (usize, StreamId);

enum End {
    File(FileEnd),
    Peer(PeerEnd),
    Client(ClientEnd),
}

struct Table {
    ends: BTreeMap<Key, End>,
    /// Streams opened by peers, by the name that the peer has for them.
    incoming: BTreeMap<(Life, Kind, u64), Key>,
    /// Ids of streams that were opened towards components are even.
    next: u64,
    /// How often each component began anew.
    eras: Vec<u64>,
    closed: bool,
}

/// All streams of one life. One lock: operations come from components'
/// threads, bytes from readers, workers and clients' threads, and each step
/// changes an end and queues an item in one. No component runs under it.
pub(super) struct Streams {
    table: Mutex<Table>,
    /// Clients' threads; locked when a client comes or the life ends.
    crew: Mutex<Vec<JoinHandle<()>>>,
}

impl Streams {
    pub(super) fn new(components: usize) -> Self {
        let eras = vec![0; components];
        let table = Table { ends: BTreeMap::new(), incoming: BTreeMap::new(), next: 2, eras, closed: false };
        Streams { table: Mutex::new(table), crew: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A name for a stream that is opened towards the component `me`.
    fn name(&mut self, me: usize) -> Key {
        let id = StreamId(tag(self.next, self.eras[me]));
        self.next += 2;
        (me, id)
    }

    /// Takes an end away; nothing is told to anyone.
    fn remove(&mut self, key: Key) -> Option<End> {
        let end = self.ends.remove(&key)?;
        if let End::Peer(peer) = &end {
            self.incoming.remove(&(peer.life, peer.component, peer.name));
        }
        Some(end)
    }
}

impl Live {
    /// Performs a component's operation. On a stream that is over it does
    /// nothing: its component was told, or will be.
    pub(super) fn stream(&self, me: usize, id: StreamId, op: StreamOp) {
        let mut table = self.streams.table();
        let key = (me, id);
        if table.closed || tag(id.0, table.eras[me]) != id.0 {
            return; // of a life or of a component that is over
        }
        match op {
            StreamOp::OpenFile { name, offset } => self.open_file(&mut table, key, name, offset),
            StreamOp::OpenPeer { life, name } => self.open_peer(&mut table, key, life, name),
            other => match table.ends.get_mut(&key) {
                Some(End::File(_)) => self.file_op(&mut table, key, other),
                Some(End::Peer(_)) => self.peer_op(&mut table, key, other),
                Some(End::Client(_)) => self.client_op(&mut table, key, other),
                None => {}
            },
        }
    }

    /// Queues an input for an end's component. Called under the table's lock,
    /// which keeps a stream's inputs in order.
    fn stream_input(&self, (me, id): Key, input: StreamInput) {
        self.mailboxes[me].queue(Item::Stream { id, input });
    }

    /// Cuts a stream from this side, telling its component too.
    fn cut_stream(&self, table: &mut Table, key: Key, why: &str) {
        if let Some(end) = table.remove(key) {
            self.farewell(end, why);
            self.stream_input(key, StreamInput::Reset(why.to_owned()));
        }
    }

    /// Tells the other side of an end that it was cut.
    fn farewell(&self, end: End, why: &str) {
        match end {
            End::File(_) => {}
            End::Peer(peer) => self.reset_peer(&peer, why),
            End::Client(client) => client.close(),
        }
    }

    /// The component `me` begins anew for the `era`-th time: its streams are
    /// cut.
    pub(super) fn abandon_streams(&self, me: usize, era: u64) {
        let mut table = self.streams.table();
        table.eras[me] = era;
        let keys: Vec<Key> = table.ends.keys().copied().filter(|(owner, _)| *owner == me).collect();
        for key in keys {
            if let Some(end) = table.remove(key) {
                self.farewell(end, "the component fell");
            }
        }
    }

    /// A peer's life is over, and with it all streams to it.
    pub(super) fn streams_ended(&self, life: Life) {
        let mut table = self.streams.table();
        let with = |end: &End| matches!(end, End::Peer(peer) if peer.life == life);
        let keys: Vec<Key> = table.ends.iter().filter(|(_, end)| with(end)).map(|(key, _)| *key).collect();
        for key in keys {
            table.remove(key);
            self.stream_input(key, StreamInput::Reset(format!("the life {life} is over")));
        }
    }

    /// The life is over: clients are let go and their threads ended.
    pub(super) fn close_streams(&self) {
        let mut table = self.streams.table();
        table.closed = true;
        for (_, end) in std::mem::take(&mut table.ends) {
            if let End::Client(client) = end {
                client.close();
            }
        }
        drop(table);
        for thread in std::mem::take(&mut *self.streams.crew.lock().unwrap_or_else(PoisonError::into_inner)) {
            // Reads and writes only; its panics would be the system's.
            let _ = thread.join();
        }
    }
}
