//! Appends a life's history to its file.

use super::{Delivered, Record};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often whoever owns a recorder calls [`Recorder::flush`]: a killed life
/// loses at most this much of its history's tail.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(20);

/// Buffered bytes after which a record flushes by itself.
const BUFFER_BYTES: usize = 32 * 1024;

/// Writes one life's records.
///
/// The lock is there because one history has several writers (the thread that
/// broadcasts, the threads that callbacks run on) and its order must be the
/// order in which things happened.
pub(crate) struct Recorder {
    state: Mutex<State>,
}

struct State {
    file: File,
    buffer: Vec<u8>,
    broadcasts: u64,
    delivered: u64,
    failed: Option<io::ErrorKind>,
}

impl Recorder {
    /// Creates the file; one that exists is another life's and is never
    /// appended to.
    pub(crate) fn create(path: &Path, header: &Record) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut state = State { file, buffer: Vec::new(), broadcasts: 0, delivered: 0, failed: None };
        state.append(header);
        state.flush();
        match state.failed {
            None => Ok(Recorder { state: Mutex::new(state) }),
            Some(kind) => Err(kind.into()),
        }
    }

    /// Records that the next payload is about to be broadcast: its number.
    /// Must come before the broadcast itself, or the own delivery could stand
    /// before it.
    pub(crate) fn broadcast(&self) -> u64 {
        let mut state = self.state();
        state.broadcasts += 1;
        let n = state.broadcasts;
        state.append(&Record::Broadcast { n });
        n
    }

    /// Records a delivery.
    pub(crate) fn delivered(&self, delivered: Delivered) {
        let mut state = self.state();
        state.delivered += 1;
        state.append(&Record::Delivered(delivered));
    }

    /// Records anything else.
    pub(crate) fn append(&self, record: &Record) {
        self.state().append(record);
    }

    /// Broadcasts and deliveries so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.broadcasts, state.delivered)
    }

    /// Hands what is buffered to the operating system, which keeps it when
    /// this process is killed.
    ///
    /// # Errors
    /// The first failure to write since the last call.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        state.flush();
        state.failed.take().map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic between two appends leaves whole frames in the buffer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, record: &Record) {
        frame(&mut self.buffer, record);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.failed.get_or_insert(error.kind());
        }
        self.buffer.clear();
    }
}

/// Appends `record` as one frame.
pub(super) fn frame(out: &mut Vec<u8>, record: &Record) {
    let at = out.len();
    out.extend_from_slice(&[0; 8]);
    if let Err(error) = postcard::to_io(record, &mut *out) {
        log::error!("a record refuses to serialize: {error}");
        out.truncate(at);
        return;
    }
    let body = at + 8;
    let length = u32::try_from(out.len() - body).expect("a record is far below 4 GiB");
    let crc = crc32c::crc32c(&out[body..]);
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    out[at + 4..body].copy_from_slice(&crc.to_le_bytes());
}
