//! Appends a life's history to its file.

use super::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often whoever owns a recorder calls [`Recorder::flush`] while something
/// is recorded: about this much of its history's tail a killed life loses.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(20);

/// How often while nothing is recorded: the first records after a pause may
/// wait so long.
pub(crate) const FLUSH_EVERY_IDLE: Duration = Duration::from_millis(100);

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
    failed: Option<io::ErrorKind>,
}

impl Recorder {
    /// Creates the file; one that exists is another life's and is never
    /// appended to.
    pub(crate) fn create(path: &Path, header: &Record) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut state = State { file, buffer: Vec::new(), failed: None };
        state.append(header);
        state.flush();
        match state.failed {
            None => Ok(Recorder { state: Mutex::new(state) }),
            Some(kind) => Err(kind.into()),
        }
    }

    /// Records what just happened, or what is about to be done: a broadcast is
    /// recorded before it is made, or its delivery here could stand before it.
    pub(crate) fn append(&self, record: &Record) {
        self.state().append(record);
    }

    /// Hands what is buffered to the operating system, which keeps it when
    /// this process is killed; whether there was anything.
    ///
    /// # Errors
    /// The first failure to write since the last call.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        let mut state = self.state();
        let any = !state.buffer.is_empty();
        state.flush();
        state.failed.take().map_or(Ok(any), |kind| Err(kind.into()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic between two appends leaves whole frames in the buffer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was recorded last reaches the file.
impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            log::error!("records are incomplete: {error}");
        }
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
