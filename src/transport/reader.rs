//! The reading half of a session: large reads, whole records, whole frames,
//! one hand-over to the sink for each read.
//!
//! Opened records stand one behind the other in one buffer, from which blocks
//! are cut without copying; only a block whose end has not arrived yet is moved
//! when the buffer grows. It grows with the bytes that arrive, never with a
//! declared length. (Cutting frames after each record spares that move and was
//! measured a tenth slower: many short-lived buffers cost more page faults.)

use super::Inbound;
use super::peer::{Peer, Received};
use super::planted::Mutant;
use super::seal::{LENGTH, Seal, record_bytes};
use super::shared::Shared;
use crate::component::EndedWhy;
use crate::id::Life;
use crate::protocol::link::{BLOCK_BYTES_MAX, FrameHeader};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const READ_BYTES_MIN: usize = 16 << 10;
/// Holds several records; larger reads bring nothing more.
const READ_BYTES_MAX: usize = 256 << 10;

/// One session's reading half.
pub(super) struct Reading {
    pub(super) socket: Arc<TcpStream>,
    pub(super) seal: Arc<Seal>,
    pub(super) nonce: u64,
    pub(super) life: Life,
    pub(super) epoch: u64,
}

impl Reading {
    /// Reads until the connection or the session ends.
    pub(super) fn run(mut self, shared: &Shared, peer: &Arc<Peer>) {
        let mut raw = Raw::new();
        let mut frames = Frames::default();
        let (mut blocks, mut credits) = (Vec::<Inbound>::new(), Vec::new());
        loop {
            match raw.read(&self.socket) {
                Ok(0) => break,
                Ok(bytes) => peer.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut sound = raw.open(&self.seal, &mut self.nonce, &mut frames.plain);
            sound &= frames.split();
            if !frames.whole.is_empty() {
                let gate = super::peer::lock(&peer.gate);
                let epoch = if shared.planted.is(Mutant::OldReaderDelivers) { peer.sessions() } else { self.epoch };
                match peer.receive(epoch, &mut frames.whole, &mut blocks, &mut credits) {
                    Received::Stale => break,
                    received => {
                        if !blocks.is_empty() || !credits.is_empty() {
                            shared.sink.received(self.life, &mut blocks, &credits);
                            blocks.clear();
                            credits.clear();
                        }
                        drop(gate);
                        if received == Received::Left {
                            shared.end_life(self.life, EndedWhy::Left);
                            break;
                        }
                    }
                }
            }
            if !sound {
                shared.counters.malformed.fetch_add(1, Ordering::Relaxed);
                log::warn!(target: "nodewright::link", "{} wrote what is no frame: connection cut", self.life);
                break;
            }
        }
        peer.detach(self.epoch);
    }
}

/// Bytes as they come from the socket.
#[derive(Debug)]
pub(super) struct Raw {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Raw {
    pub(super) fn new() -> Self {
        Raw { bytes: vec![0; READ_BYTES_MIN], from: 0, to: 0 }
    }

    /// Reads once; the buffer doubles when it was filled.
    pub(super) fn read(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let read = socket.read(&mut self.bytes[self.to..])?;
        self.to += read;
        if self.to == self.bytes.len() && self.bytes.len() < READ_BYTES_MAX {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        Ok(read)
    }

    /// Opens all whole records; false if one does not open.
    pub(super) fn open(&mut self, seal: &Seal, nonce: &mut u64, plain: &mut BytesMut) -> bool {
        while let Some(length) = record_bytes(&self.bytes[self.from..self.to])
            && self.from + length <= self.to
        {
            let sealed = &self.bytes[self.from + LENGTH..self.from + length];
            let at = plain.len();
            plain.resize(at + sealed.len(), 0);
            let Ok(opened) = seal.open(nonce, sealed, &mut plain[at..]) else {
                plain.truncate(at);
                return false;
            };
            plain.truncate(at + opened);
            self.from += length;
        }
        true
    }
}

/// Opened bytes on their way to whole frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) plain: BytesMut,
    pub(super) whole: Vec<(FrameHeader, Bytes)>,
}

impl Frames {
    /// Cuts whole frames off; false at what is no frame.
    pub(super) fn split(&mut self) -> bool {
        while let Some(header) = self.plain.first_chunk() {
            let Ok(header) = FrameHeader::decode(header, BLOCK_BYTES_MAX) else { return false };
            let block_bytes = header.block_bytes as usize;
            if self.plain.len() < FrameHeader::BYTES + block_bytes {
                break;
            }
            self.plain.advance(FrameHeader::BYTES);
            self.whole.push((header, self.plain.split_to(block_bytes).freeze()));
        }
        true
    }
}
