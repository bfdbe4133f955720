//! Streams of clients that speak a dialect on the node's port: a reader and a
//! writer thread each.

use super::{End, Key};
use crate::component::{StreamInput, StreamOp};
use crate::id::Kind;
use crate::runtime::counters::count;
use crate::runtime::live::Live;
use bytes::{Bytes, BytesMut};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Clients connected at the same time; a further one is let go at once.
const CLIENTS_MAX: usize = 256;
/// Bytes that may be written before the client has taken earlier ones.
const WRITABLE_BYTES: u64 = 256 << 10;
/// Bytes that are read as one, where so many are granted.
const READ_BYTES: u64 = 256 << 10;

pub(super) struct ClientEnd {
    connection: Arc<TcpStream>,
    credit: Arc<Credit>,
    /// Bounded by `writable`; dropped when the component has finished.
    writer: Option<flume::Sender<Bytes>>,
    writable: u64,
    finished_here: bool,
    finished_there: bool,
    /// Everything up to the component's `Finish` was written.
    written: bool,
}

impl ClientEnd {
    /// Ends the connection as broken: the client is told that what it got is not all.
    /// Both threads end; one that is writing when the client takes that.
    fn reset(self) {
        self.credit.reset();
        // With no time to linger the last descriptor to be closed sends RST, not FIN;
        // shutting down the other direction would send FIN before it.
        let _ = socket2::SockRef::from(&*self.connection).set_linger(Some(Duration::ZERO));
        let _ = self.connection.shutdown(Shutdown::Read);
    }

    /// Closes the connection, which ends both threads.
    pub(super) fn close(self) {
        // Where the client was faster, there is nothing to close.
        let _ = self.connection.shutdown(Shutdown::Both);
        self.credit.close();
    }
}

/// What the reader may read: the component grants, the reader waits.
#[derive(Default)]
struct Credit {
    /// Granted bytes, and whether the stream is over. The reader sleeps on it,
    /// which needs a mutex.
    granted: Mutex<(u64, bool)>,
    more: Condvar,
    /// The writer is to end without a farewell.
    reset: AtomicBool,
}

impl Credit {
    fn grant(&self, bytes: u64) {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        granted.0 = granted.0.saturating_add(bytes);
        self.more.notify_one();
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.close();
    }

    fn close(&self) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.more.notify_one();
    }

    /// Waits until something is granted; `None` when the stream is over.
    fn wait(&self) -> Option<u64> {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = self.more.wait_while(granted, |(bytes, over)| *bytes == 0 && !*over);
        let granted = granted.unwrap_or_else(PoisonError::into_inner);
        (!granted.1).then_some(granted.0)
    }

    fn take(&self, bytes: u64) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).0 -= bytes;
    }
}

impl Live {
    /// A connection that begins with the dialect of `component`; `first` was
    /// read already. Its stream is named by the client's address.
    pub(in crate::runtime) fn dialect(&self, component: Kind, connection: TcpStream, first: Vec<u8>) {
        let Some(me) = self.index(component) else { return count(&self.counts().unknown_kind) };
        let mut table = self.streams.table();
        let clients = table.ends.values().filter(|end| matches!(end, End::Client(_))).count();
        if table.closed || clients >= CLIENTS_MAX {
            return count(&self.counts().clients_refused);
        }
        let key = table.name(me);
        let name = connection.peer_addr().map_or_else(|_| "client".to_owned(), |address| address.to_string());
        match self.serve(key, connection, first) {
            Ok(end) => {
                table.ends.insert(key, End::Client(end));
                self.stream_input(key, StreamInput::Opened { peer: None, name });
                self.stream_input(key, StreamInput::Writable(WRITABLE_BYTES));
            }
            Err(error) => {
                count(&self.counts().clients_refused);
                log::warn!(target: "nodewright::runtime", "a client is refused: {error}");
            }
        }
    }

    /// Starts a client's threads. They wait for the table before they do
    /// anything, which the caller holds.
    fn serve(&self, key: Key, connection: TcpStream, first: Vec<u8>) -> io::Result<ClientEnd> {
        connection.set_nonblocking(false)?;
        connection.set_read_timeout(None)?;
        connection.set_write_timeout(None)?;
        connection.set_nodelay(true)?;
        let connection = Arc::new(connection);
        let credit = Arc::new(Credit::default());
        let (writer, written) = flume::unbounded();
        let reading = {
            let (live, connection, credit) = (self.weak(), connection.clone(), credit.clone());
            self.client_thread(move || read_loop(&live, key, &connection, &credit, Bytes::from(first)))?
        };
        let writing = {
            let (live, connection, credit) = (self.weak(), connection.clone(), credit.clone());
            self.client_thread(move || write_loop(&live, key, &connection, &credit, &written))
        };
        let end = ClientEnd {
            connection,
            credit,
            writer: Some(writer),
            writable: WRITABLE_BYTES,
            finished_here: false,
            finished_there: false,
            written: false,
        };
        let mut crew = self.streams.crew.lock().unwrap_or_else(PoisonError::into_inner);
        crew.retain(|thread| !thread.is_finished());
        crew.push(reading);
        match writing {
            Ok(writing) => crew.push(writing),
            Err(error) => {
                end.close();
                return Err(error);
            }
        }
        Ok(end)
    }

    fn client_thread(&self, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        Builder::new().name(format!("nw-{}-client", self.node.options.name)).spawn(run)
    }

    pub(super) fn client_op(&self, table: &mut super::Table, key: Key, op: StreamOp) {
        let Some(End::Client(end)) = table.ends.get_mut(&key) else { return };
        match op {
            StreamOp::Write(bytes) if end.finished_here || bytes.len() as u64 > end.writable => {
                self.cut_stream(table, key, "more was written than was said to be writable");
            }
            StreamOp::Write(bytes) => {
                end.writable -= bytes.len() as u64;
                if let Some(writer) = &end.writer {
                    // A writer that is gone has cut the stream, or is about to.
                    let _ = writer.send(bytes);
                }
            }
            StreamOp::Grant(bytes) => end.credit.grant(bytes),
            StreamOp::Finish => {
                end.finished_here = true;
                end.writer = None;
            }
            StreamOp::Reset(_) => {
                if let Some(End::Client(end)) = table.remove(key) {
                    end.reset();
                }
            }
            StreamOp::OpenPeer { .. } | StreamOp::OpenFile { .. } => {}
        }
    }

    /// One direction of a client's stream has ended.
    fn client_finished(&self, key: Key, there: bool) {
        let mut table = self.streams.table();
        let Some(End::Client(end)) = table.ends.get_mut(&key) else { return };
        if there {
            end.finished_there = true;
            self.stream_input(key, StreamInput::Finished);
        } else {
            end.written = true;
        }
        if end.finished_there && end.written {
            table.remove(key);
        }
    }

    fn client_input(&self, key: Key, input: StreamInput) -> bool {
        let mut table = self.streams.table();
        let Some(End::Client(end)) = table.ends.get_mut(&key) else { return false };
        if let StreamInput::Writable(bytes) = input {
            end.writable += bytes;
        }
        self.stream_input(key, input);
        true
    }

    fn client_cut(&self, key: Key, error: &io::Error) {
        self.cut_stream(&mut self.streams.table(), key, &error.to_string());
    }
}

/// Reads as far as was granted.
fn read_loop(live: &Weak<Live>, key: Key, mut connection: &TcpStream, credit: &Credit, mut first: Bytes) {
    while let Some(granted) = credit.wait() {
        let wanted = granted.min(READ_BYTES) as usize;
        let chunk = if first.is_empty() {
            let mut buffer = BytesMut::zeroed(wanted);
            connection.read(&mut buffer).map(|got| buffer.freeze().slice(..got))
        } else {
            Ok(first.split_to(wanted.min(first.len())))
        };
        let Some(live) = live.upgrade() else { return };
        match chunk {
            Ok(chunk) if chunk.is_empty() => return live.client_finished(key, true),
            Ok(chunk) => {
                credit.take(chunk.len() as u64);
                if !live.client_input(key, StreamInput::Chunk(chunk)) {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return live.client_cut(key, &error),
        }
    }
}

/// Writes what the component wrote, and gives room for as much.
fn write_loop(
    live: &Weak<Live>,
    key: Key,
    mut connection: &TcpStream,
    credit: &Credit,
    written: &flume::Receiver<Bytes>,
) {
    for bytes in written {
        let done = connection.write_all(&bytes);
        let Some(live) = live.upgrade() else { return };
        match done {
            Ok(()) => {
                live.client_input(key, StreamInput::Writable(bytes.len() as u64));
            }
            Err(error) => return live.client_cut(key, &error),
        }
    }
    if credit.reset.load(Ordering::Acquire) {
        return; // closing is the farewell
    }
    // The component has finished, or the stream was cut.
    let _ = connection.shutdown(Shutdown::Write);
    if let Some(live) = live.upgrade() {
        live.client_finished(key, false);
    }
}
