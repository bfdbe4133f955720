//! One peer: the link core between a reader and a writer.
//!
//! Three locks, taken in this order and never the other way round:
//! 1. the *gate* is held while something is told to the sink, so that what one
//!    session received is told before the next one's `Joined` or an `Ended`,
//!    and an old reader can deliver nothing after them;
//! 2. *transmit* is the write half of the socket: whoever holds it may write,
//!    so records leave in the order of their nonces;
//! 3. *state* is the link core, which the reader, the writer and whoever
//!    pushes share: it is pure and every hold is short, and no channel could
//!    give the writer bypass its one hand-over less.

use super::Inbound;
use super::seal::Seal;
use crate::component::{EndedWhy, Lane, PeerRole};
use crate::id::{Kind, Life};
use crate::protocol::link::{self, Accept, Counters, FrameHeader, Link, Opened, What};
use crate::time::Time;
use bytes::Bytes;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Below this much that waits, whoever pushes writes by itself and saves
/// waking the writer (about 20 us).
const BYPASS_BYTES: usize = 4 << 10;
/// What the writer seals and writes at once: a few records, still in the
/// processor's cache.
const WRITE_BYTES: usize = 128 << 10;

/// Locks; a panic of another holder left plain data, which stays usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the time as components see it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) fn now(self) -> Time {
        Time::ZERO + self.0.elapsed()
    }
}

/// Who a peer is, as it proved in the handshake.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) life: Life,
    pub(super) name: Arc<str>,
    pub(super) role: PeerRole,
    pub(super) address: SocketAddr,
    pub(super) provides: Arc<[(Kind, String)]>,
}

/// A connection that a handshake made a session.
pub(super) struct Connection {
    pub(super) socket: Arc<TcpStream>,
    pub(super) seal: Arc<Seal>,
    pub(super) send_nonce: u64,
}

/// What is to be told when a session begins, in this order.
#[derive(Debug, Default)]
pub(super) struct Begun {
    pub(super) epoch: u64,
    pub(super) ended: Vec<(Life, EndedWhy)>,
    pub(super) joined: bool,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) gate: Mutex<()>,
    transmit: Mutex<Transmit>,
    state: Mutex<State>,
    /// The writer waits here for something to write.
    work: Condvar,
    /// Dialling and leaving threads wait here for the session to change.
    change: Condvar,
    clock: Clock,
    heard: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

#[derive(Debug)]
struct State {
    link: Link,
    epochs: u64,
    socket: Option<Arc<TcpStream>>,
    who: Option<Who>,
    /// The writer sleeps, until this time where there is one.
    parked: Option<Option<Time>>,
    /// A record was cut short by a full socket: the writer goes on with it.
    leftover: bool,
    /// An end that no one told yet.
    untold: Option<(Life, EndedWhy)>,
    /// Somebody runs the writer.
    writer: bool,
    /// Somebody waits for acknowledgements. Without this the dialler, which
    /// waits for other changes, would be woken by every one of them.
    leaving: bool,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Transmit {
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
enum Pumped {
    /// There was nothing to write.
    Nothing,
    Wrote,
    /// The socket is full.
    Full,
}

impl Peer {
    pub(super) fn new(config: link::Config, clock: Clock) -> Self {
        Peer {
            gate: Mutex::new(()),
            transmit: Mutex::default(),
            state: Mutex::new(State {
                link: Link::new(config),
                epochs: 0,
                socket: None,
                who: None,
                parked: None,
                leftover: false,
                untold: None,
                writer: false,
                leaving: false,
                stopped: false,
            }),
            work: Condvar::new(),
            change: Condvar::new(),
            clock,
            heard: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    pub(super) fn who(&self) -> Option<Who> {
        lock(&self.state).who.clone()
    }

    pub(super) fn linked(&self) -> bool {
        lock(&self.state).socket.is_some()
    }

    pub(super) fn sessions(&self) -> u64 {
        lock(&self.state).epochs
    }

    pub(super) fn counters(&self) -> Counters {
        lock(&self.state).link.counters()
    }

    pub(super) fn queued_bytes(&self) -> u64 {
        let state = lock(&self.state);
        Lane::ALL.iter().map(|lane| state.link.queued_bytes(*lane) as u64).sum()
    }

    /// When a new block last came from the life that is known.
    pub(super) fn last_heard(&self) -> Option<Time> {
        Some(Time(self.heard.load(Ordering::Relaxed))).filter(|at| *at != Time::ZERO)
    }

    /// Queues a block; with `to`, only if that is the life that is known.
    pub(super) fn push(&self, to: Option<Life>, lane: Lane, component: Kind, block: Bytes) {
        let short = block.len() < BYPASS_BYTES;
        {
            let mut state = lock(&self.state);
            if to.is_some_and(|life| state.link.peer() != Some(life)) {
                return;
            }
            state.link.push(lane, component, block);
            if state.socket.is_none() {
                return;
            }
            if !short || state.link.unsent_bytes() >= BYPASS_BYTES {
                self.poke(&mut state, self.clock.now());
                return;
            }
        }
        // Whoever holds the write half looks at the queue again after letting
        // go of it, so nothing is forgotten when it is busy.
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

    /// Wakes the writer if it sleeps longer than there is nothing to do.
    fn poke(&self, state: &mut State, now: Time) {
        let Some(until) = state.parked else { return };
        let sooner = |at| until.is_none_or(|until| at < until);
        if state.leftover || state.link.ready(now) || state.link.deadline().is_some_and(sooner) {
            state.parked = None;
            self.work.notify_one();
        }
    }

    /// A session begins; the gate must be held. `None` if this peer is stopped
    /// or knows a later life.
    pub(super) fn attach(&self, connection: Connection, who: Who) -> Option<Begun> {
        if let Some(old) = lock(&self.state).socket.take() {
            cut(&old); // a writer that waits in it lets go
        }
        let mut transmit = lock(&self.transmit);
        let mut state = lock(&self.state);
        if state.stopped {
            return None;
        }
        let epoch = state.epochs + 1;
        let opened = state.link.session(self.clock.now(), who.life, epoch);
        let mut begun = Begun { epoch, ended: Vec::new(), joined: !matches!(opened, Opened::Resumed) };
        match opened {
            Opened::Outlived { .. } => return None,
            Opened::NewLife { old } => begun.ended.push((old, EndedWhy::Succeeded)),
            Opened::First | Opened::Resumed => {}
        }
        if let Some(untold) = state.untold.take() {
            begun.ended.insert(0, untold);
        }
        if begun.joined {
            self.heard.store(0, Ordering::Relaxed);
        }
        state.epochs = epoch;
        state.who = Some(who);
        state.leftover = false;
        state.socket = Some(connection.socket.clone());
        *transmit = Transmit {
            session: Some(Writing {
                epoch,
                socket: connection.socket,
                seal: connection.seal,
                nonce: connection.send_nonce,
            }),
            ..Transmit::default()
        };
        drop(transmit);
        self.poke(&mut state, self.clock.now());
        self.change.notify_all();
        Some(begun)
    }

    /// The session `epoch` is over.
    pub(super) fn detach(&self, epoch: u64) {
        let mut state = lock(&self.state);
        state.link.closed(epoch);
        if state.epochs == epoch
            && let Some(socket) = state.socket.take()
        {
            cut(&socket);
        }
        self.change.notify_all();
    }

    /// Takes the frames of one socket read; the gate must be held. False if
    /// the session is no longer the current one.
    pub(super) fn receive(
        &self,
        epoch: u64,
        frames: &mut Vec<(FrameHeader, Bytes)>,
        blocks: &mut Vec<Inbound>,
        credits: &mut Vec<(Kind, u64)>,
    ) -> Received {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if state.link.epoch() != Some(epoch) {
            return Received::Stale;
        }
        let mut left = false;
        for (header, block) in frames.drain(..) {
            left |= header.what == What::Leave;
            if state.link.receive(epoch, &header, now, credits) == Accept::Deliver {
                blocks.push(Inbound { component: header.component, lane: header.lane, block });
            }
        }
        self.poke(&mut state, now);
        if state.leaving && !credits.is_empty() {
            self.change.notify_all();
        }
        drop(state);
        if !blocks.is_empty() {
            self.heard.store(now.0, Ordering::Relaxed);
        }
        if left { Received::Left } else { Received::GoOn }
    }

    /// The known life is over, if it is `life`: nothing of it is taken any
    /// more. True if somebody has to tell it (see [`Peer::untold`]).
    pub(super) fn end(&self, life: Life, why: EndedWhy) -> bool {
        let mut state = lock(&self.state);
        if state.link.peer() != Some(life) || state.untold.is_some() {
            return false;
        }
        state.link.end();
        state.untold = Some((life, why));
        if let Some(socket) = state.socket.take() {
            cut(&socket);
        }
        self.change.notify_all();
        true
    }

    /// Takes the end that is to be told; the gate must be held.
    pub(super) fn untold(&self) -> Option<(Life, EndedWhy)> {
        lock(&self.state).untold.take()
    }

    /// Cuts the connection; the link resumes on the next one.
    pub(super) fn cut(&self) -> bool {
        let state = lock(&self.state);
        if let Some(socket) = &state.socket {
            cut(socket);
        }
        state.socket.is_some()
    }

    /// No more sessions; the writer ends.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        if let Some(socket) = state.socket.take() {
            cut(&socket);
        }
        self.work.notify_all();
        self.change.notify_all();
    }

    /// Waits until there is no session; false when the peer is stopped.
    pub(super) fn wait_unlinked(&self) -> bool {
        let mut state = lock(&self.state);
        while state.socket.is_some() && !state.stopped {
            state = self.change.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
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

    /// True for the one caller that is to run [`Peer::write_loop`].
    pub(super) fn claim_writer(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).writer, true)
    }

    /// The writer: sleeps until there is something to write.
    pub(super) fn write_loop(&self) {
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
                let until = state.link.deadline();
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

/// What reading goes on with.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Received {
    GoOn,
    /// Another session took this one's place.
    Stale,
    /// The peer said goodbye.
    Left,
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

fn cut(socket: &TcpStream) {
    // it may be cut already
    let _ = socket.shutdown(Shutdown::Both);
}
