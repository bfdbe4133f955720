//! Streams of files: read in blocks on a thread of their own, so that no sync
//! waits for a long read.

use super::{CHUNK_BYTES, End, Key, Table};
use crate::component::{StreamInput, StreamOp};
use crate::runtime::disk;
use crate::runtime::live::Live;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

#[derive(Default)]
pub(super) struct FileEnd {
    granted: u64,
    /// The open file, while nobody reads it.
    resting: Option<Reading>,
}

/// An open file and how much of it is left.
struct Reading {
    file: File,
    left: u64,
}

impl Reading {
    fn open(live: &Live, me: usize, name: &str, offset: u64) -> io::Result<Reading> {
        let dir = live.node.component_dir(live.manifest(me));
        let dir = dir.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "this node has no directory"))?;
        let mut file = disk::open(&dir, name)?;
        let left = file.metadata()?.len().saturating_sub(offset);
        if left > 0 {
            file.seek(SeekFrom::Start(offset))?; // not where no file could be so long
        }
        Ok(Reading { file, left })
    }

    fn read(&mut self, bytes: u64) -> io::Result<Bytes> {
        // At most CHUNK_BYTES, whatever the file says of itself.
        let mut chunk = Vec::with_capacity(bytes as usize);
        (&self.file).take(bytes).read_to_end(&mut chunk)?;
        self.left -= chunk.len() as u64;
        if (chunk.len() as u64) < bytes {
            self.left = 0; // it was cut short meanwhile
        }
        Ok(Bytes::from(chunk))
    }
}

impl Live {
    pub(super) fn open_file(&self, table: &mut Table, key: Key, name: String, offset: u64) {
        table.ends.insert(key, End::File(FileEnd::default()));
        let live = self.weak();
        self.node.files.run(Box::new(move || {
            let Some(live) = live.upgrade() else { return };
            let opened = Reading::open(&live, key.0, &name, offset);
            let mut table = live.streams.table();
            if !table.ends.contains_key(&key) {
                return; // given up meanwhile
            }
            match opened {
                Ok(reading) => {
                    live.stream_input(key, StreamInput::Opened { peer: None, name });
                    live.file_rests(&mut table, key, reading);
                }
                Err(error) => live.cut_stream(&mut table, key, &format!("{name}: {error}")),
            }
        }));
    }

    pub(super) fn file_op(&self, table: &mut Table, key: Key, op: StreamOp) {
        match op {
            StreamOp::Grant(bytes) => {
                let Some(End::File(end)) = table.ends.get_mut(&key) else { return };
                end.granted = end.granted.saturating_add(bytes);
                if let Some(reading) = end.resting.take() {
                    self.file_rests(table, key, reading);
                }
            }
            StreamOp::Write(_) => self.cut_stream(table, key, "a file's stream is only read"),
            _ => {
                table.remove(key);
            }
        }
    }

    /// Nobody reads the file: it is at its end, or is read on as far as was
    /// granted, or rests.
    fn file_rests(&self, table: &mut Table, key: Key, mut reading: Reading) {
        let Some(End::File(end)) = table.ends.get_mut(&key) else { return };
        if reading.left == 0 {
            table.remove(key);
            return self.stream_input(key, StreamInput::Finished);
        }
        let bytes = end.granted.min(reading.left).min(CHUNK_BYTES as u64);
        if bytes == 0 {
            end.resting = Some(reading);
            return;
        }
        end.granted -= bytes;
        let live = self.weak();
        self.node.files.run(Box::new(move || {
            let chunk = reading.read(bytes);
            let Some(live) = live.upgrade() else { return };
            let mut table = live.streams.table();
            if !table.ends.contains_key(&key) {
                return;
            }
            match chunk {
                Ok(chunk) => {
                    if !chunk.is_empty() {
                        live.stream_input(key, StreamInput::Chunk(chunk));
                    }
                    live.file_rests(&mut table, key, reading);
                }
                Err(error) => live.cut_stream(&mut table, key, &error.to_string()),
            }
        }));
    }
}
