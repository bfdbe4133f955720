//! The writing half of a peer: drain, join, seal once, write once.
//!
//! There are two who write. The writer thread sleeps until the link has
//! something and then writes as long as it has. Whoever pushes little while
//! the writer is idle writes it without waking anyone; what does not fit into
//! the socket at once is left to the writer. Whoever lets go of the write half
//! looks at the link once more, so nothing is forgotten between the two.

use super::config::Passing;
use super::peer::{Connection, Peer, cut, lock};
use super::seal::Seal;
use crate::component::Lane;
use crate::protocol::link::FrameHeader;
use crate::time::Time;
use bytes::Bytes;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Below this much that waits, whoever pushes writes by itself and saves
/// waking the writer (about 20 us).
pub(super) const BYPASS_BYTES: usize = 4 << 10;
/// What the writer seals and writes at once: a few records, still in the
/// processor's cache.
const WRITE_BYTES: usize = 128 << 10;

#[derive(Debug, Default)]
pub(super) struct Transmit {
    session: Option<Writing>,
    frames: Vec<(FrameHeader, Bytes)>,
    /// A goodbye follows what is written next.
    leaving: bool,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    written: usize,
}

struct Writing {
    epoch: u64,
    socket: Arc<TcpStream>,
    seal: Arc<Seal>,
    nonce: u64,
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writing(session {}, record {})", self.epoch, self.nonce)
    }
}

/// What a turn of writing brought.
#[derive(PartialEq, Eq)]
pub(super) enum Pumped {
    /// There was nothing to write.
    Nothing,
    Wrote,
    /// The socket is full.
    Full,
}

impl Transmit {
    /// The write half of a session that begins.
    pub(super) fn begin(epoch: u64, connection: Connection) -> Self {
        let Connection { socket, seal, send_nonce: nonce } = connection;
        Transmit { session: Some(Writing { epoch, socket, seal, nonce }), ..Transmit::default() }
    }
}

impl Peer {
    /// Writes what the link has, if nobody else is writing and without waiting.
    pub(super) fn bypass(&self) {
        let transmit = match self.transmit.try_lock() {
            Ok(transmit) => transmit,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let full = self.pump(transmit, Wait::Never) == Pumped::Full;
        let mut state = lock(&self.state);
        state.leftover |= full;
        self.poke(&mut state, self.clock.now());
    }

    /// Waits until the peer has acknowledged everything, there is no session,
    /// or the deadline passed; then says goodbye.
    pub(super) fn leave(&self, deadline: Instant) {
        let mut state = lock(&self.state);
        state.leaving = true;
        loop {
            let owed = Lane::ALL.iter().any(|lane| state.link.queued_bytes(*lane) > 0);
            let left = deadline.saturating_duration_since(Instant::now());
            if !owed || state.socket.is_none() || left.is_zero() {
                break;
            }
            state = self.change.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(socket) = state.socket.clone() else { return };
        drop(state);
        // a peer that takes nothing must not hold up the goodbye to others
        let _ = socket.set_write_timeout(Some(Duration::from_millis(200)));
        while self.pump(lock(&self.transmit), Wait::AsLongAsItTakes) == Pumped::Wrote {}
        let mut transmit = lock(&self.transmit);
        transmit.leaving = true;
        if self.pump(transmit, Wait::AsLongAsItTakes) == Pumped::Wrote {
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// The writer: sleeps until there is something to write.
    pub(super) fn write_loop(&self) {
        let mut sleep_until: Option<Time> = None;
        loop {
            let mut state = lock(&self.state);
            loop {
                if state.stopped {
                    return;
                }
                let now = self.clock.now();
                if state.link.tick(now) || state.leftover {
                    break;
                }
                // A sleep is never lengthened: the next block's acknowledgement
                // would shorten it again, and each time wake this thread.
                let sooner = sleep_until.filter(|until| *until > now);
                let until = state.link.deadline().into_iter().chain(sooner).min();
                sleep_until = until;
                state.parked = Some(until);
                state = match until {
                    None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(until) => {
                        self.work.wait_timeout(state, until.since(now)).unwrap_or_else(PoisonError::into_inner).0
                    }
                };
                state.parked = None;
            }
            state.leftover = false;
            drop(state);
            self.pump(lock(&self.transmit), Wait::AsLongAsItTakes);
        }
    }

    /// One turn: what was cut short first, else what the link has to write,
    /// sealed once and written once.
    fn pump(&self, mut transmit: MutexGuard<'_, Transmit>, wait: Wait) -> Pumped {
        let Transmit { session, frames, leaving, plain, sealed, written } = &mut *transmit;
        let Some(writing) = session else { return Pumped::Nothing };
        if *written == sealed.len() {
            let mut state = lock(&self.state);
            if state.link.epoch() != Some(writing.epoch) {
                return Pumped::Nothing;
            }
            let now = self.clock.now();
            state.link.transmit(now, WRITE_BYTES, &mut |header, block| frames.push((*header, block.clone())));
            if let (Some(watch), Some(peer)) = (&self.watch, state.link.peer()) {
                frames.iter().for_each(|(header, _)| watch.tell(now, Passing::Sent, peer, header));
            }
            drop(state);
            if frames.is_empty() && !*leaving {
                return Pumped::Nothing;
            }
            sealed.clear();
            plain.clear();
            *written = 0;
            for (header, block) in frames.drain(..) {
                plain.extend_from_slice(&header.encode());
                plain.extend_from_slice(&block);
            }
            if *leaving {
                plain.extend_from_slice(&FrameHeader::leave().encode());
            }
            if writing.seal.seal(&mut writing.nonce, plain, sealed).is_err() {
                return self.broken(session);
            }
        }
        match wait.write(&writing.socket, &sealed[*written..]) {
            Ok(bytes) => {
                *written += bytes;
                self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
                if *written == sealed.len() { Pumped::Wrote } else { Pumped::Full }
            }
            Err(_) => self.broken(session),
        }
    }

    /// Writing failed: the reader finds the connection cut and ends the session.
    fn broken(&self, session: &mut Option<Writing>) -> Pumped {
        if let Some(writing) = session.take() {
            cut(&writing.socket);
            lock(&self.state).link.closed(writing.epoch);
        }
        Pumped::Nothing
    }
}

#[derive(Copy, Clone)]
enum Wait {
    AsLongAsItTakes,
    Never,
}

impl Wait {
    /// The bytes written.
    fn write(self, mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        match self {
            Wait::AsLongAsItTakes => socket.write_all(bytes).map(|()| bytes.len()),
            Wait::Never => match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(written) => Ok(written),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
                Err(error) => Err(error.into()),
            },
        }
    }
}
