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
use super::config::{FrameWatch, Passing};
use super::seal::Seal;
use super::writer::{BYPASS_BYTES, Transmit};
use crate::component::{EndedWhy, Lane, PeerRole};
use crate::id::{Kind, Life};
use crate::protocol::link::{self, Accept, Counters, FrameHeader, Link, Opened, What};
use crate::time::Time;
use bytes::Bytes;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    pub(super) transmit: Mutex<Transmit>,
    pub(super) state: Mutex<State>,
    /// The writer waits here for something to write.
    pub(super) work: Condvar,
    /// Dialling and leaving threads wait here for the session to change.
    pub(super) change: Condvar,
    pub(super) clock: Clock,
    pub(super) watch: Option<FrameWatch>,
    heard: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) link: Link,
    pub(super) epochs: u64,
    pub(super) socket: Option<Arc<TcpStream>>,
    pub(super) who: Option<Who>,
    /// The writer sleeps, until this time where there is one.
    pub(super) parked: Option<Option<Time>>,
    /// A record was cut short by a full socket: the writer goes on with it.
    pub(super) leftover: bool,
    /// An end that no one told yet.
    pub(super) untold: Option<(Life, EndedWhy)>,
    /// Somebody runs the writer.
    pub(super) writer: bool,
    /// Somebody waits for acknowledgements. Without this the dialler, which
    /// waits for other changes, would be woken by every one of them.
    pub(super) leaving: bool,
    pub(super) stopped: bool,
}

impl Peer {
    pub(super) fn new(config: link::Config, clock: Clock, watch: Option<FrameWatch>) -> Self {
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
            watch,
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
        self.bypass();
    }

    /// Wakes the writer if it sleeps longer than there is nothing to do.
    pub(super) fn poke(&self, state: &mut State, now: Time) {
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
        *transmit = Transmit::begin(epoch, connection);
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
                if let (Some(watch), Some(peer)) = (&self.watch, state.link.peer()) {
                    watch.tell(now, Passing::Arrived, peer, &header);
                }
                blocks.push(Inbound { component: header.component, lane: header.lane, block });
            }
        }
        // An acknowledgement that is due is written right here: on a busy
        // machine the writer would come to it much later, and the sender waits.
        let due = state.link.ready(now) && state.link.unsent_bytes() < BYPASS_BYTES;
        if !due {
            self.poke(&mut state, now);
        }
        if state.leaving && !credits.is_empty() {
            self.change.notify_all();
        }
        drop(state);
        if due {
            self.bypass();
        }
        if !blocks.is_empty() {
            self.heard.store(now.0, Ordering::Relaxed);
        }
        if left { Received::Left } else { Received::GoOn }
    }

    /// The known life is over, if it is `life`: nothing of it is taken any
    /// more. True if somebody has to tell it (see [`Peer::untold`]).
    pub(super) fn end(&self, life: Life, why: EndedWhy) -> bool {
        let mut state = lock(&self.state);
        if state.link.peer() != Some(life) || state.link.ended() {
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

    /// True for the one caller that is to run [`Peer::write_loop`].
    pub(super) fn claim_writer(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).writer, true)
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

/// Ends a connection; its reader and its writer find out.
pub(super) fn cut(socket: &TcpStream) {
    // it may be cut already
    let _ = socket.shutdown(Shutdown::Both);
}
