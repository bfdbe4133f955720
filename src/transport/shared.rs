//! What all threads of a node's links share.

use super::admission::{Book, Via};
use super::config::{Limits, Security};
use super::handshake::{Agreed, Failure};
use super::hello::{Hello, Refusal};
use super::keys::PublicKey;
use super::peer::{Connection, Peer, Who, lock};
use super::reader::Reading;
use super::{Sink, StartError};
use crate::component::{EndedWhy, PeerChange};
use crate::id::{Kind, Life};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Counts for people.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Refused handshakes by reason.
    pub(super) refused: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) malformed: AtomicU64,
    pub(super) sessions: AtomicU64,
}

impl Counts {
    pub(super) fn refused(&self, reason: &'static str) {
        *lock(&self.refused).entry(reason).or_default() += 1;
    }
}

/// An end that somebody other than the caller has to tell: the caller may
/// hold what telling needs.
pub(super) struct Tell {
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) life: Life,
    pub(super) why: EndedWhy,
}

pub(super) struct Shared {
    pub(super) sink: Arc<dyn Sink>,
    /// One lock: who may link depends on all who are, and it is taken only in
    /// handshakes.
    pub(super) book: Mutex<Book>,
    /// The voters' peers, slot by slot; never changes.
    pub(super) voters: Vec<Arc<Peer>>,
    /// Whom [`crate::component::To::Life`] means. Read by every component that
    /// sends, written when a life joins or ends.
    pub(super) lives: RwLock<BTreeMap<Life, Arc<Peer>>>,
    pub(super) mine: Hello,
    pub(super) security: Security,
    pub(super) limits: Limits,
    pub(super) dialects: Vec<(&'static [u8], Kind)>,
    pub(super) counters: Counts,
    pub(super) crew: Crew,
    /// Taken away when the links stop, which ends the herald.
    pub(super) herald: Mutex<Option<flume::Sender<Tell>>>,
    pub(super) outlived: AtomicBool,
}

impl Shared {
    pub(super) fn life(&self, life: Life) -> Option<Arc<Peer>> {
        self.lives.read().unwrap_or_else(PoisonError::into_inner).get(&life).cloned()
    }

    /// Judges a hello: see [`Book::judge`].
    pub(super) fn judge(
        &self,
        hello: &Hello,
        key: Option<PublicKey>,
        via: Via,
        remote: SocketAddr,
    ) -> Result<(Arc<Peer>, Who), Refusal> {
        lock(&self.book).judge(hello, key, via, remote)
    }

    /// Makes a session of an agreed handshake; tells what that means, and
    /// gives its reading half.
    pub(super) fn attach(
        self: &Arc<Self>,
        stream: TcpStream,
        agreed: Agreed<(Arc<Peer>, Who)>,
    ) -> Option<(Arc<Peer>, Reading)> {
        let (peer, who) = agreed.judged;
        stream.set_read_timeout(None).ok()?;
        stream.set_write_timeout(None).ok()?;
        let (socket, seal) = (Arc::new(stream), Arc::new(agreed.seal));
        let gate = lock(&peer.gate);
        let connection = Connection { socket: socket.clone(), seal: seal.clone(), send_nonce: agreed.send_nonce };
        let begun = peer.attach(connection, who.clone())?;
        self.counters.sessions.fetch_add(1, Ordering::Relaxed);
        for (life, why) in begun.ended {
            self.tell_ended(life, why);
        }
        if begun.joined {
            let Who { life, role, name, .. } = who.clone();
            self.lives.write().unwrap_or_else(PoisonError::into_inner).insert(life, peer.clone());
            log::info!(target: "nodewright::link", "{life} ({name}) joined from {}", who.address);
            self.sink.peer(PeerChange::Joined { life, role, name });
            if peer.claim_writer() {
                let writing = peer.clone();
                if self.crew.spawn(self, "nw-writer", move |_| writing.write_loop()).is_err() {
                    peer.stop();
                }
            }
        }
        drop(gate);
        let reading = Reading { socket, seal, nonce: agreed.receive_nonce, life: who.life, epoch: begun.epoch };
        Some((peer, reading))
    }

    /// A session's reading half is over: a client is gone with it.
    pub(super) fn ended_reading(&self, life: Life) {
        if life.node.is_client() {
            self.end_life(life, EndedWhy::Left);
        }
    }

    /// Ends a life on this node; may be called from anywhere.
    pub(super) fn end_life(&self, life: Life, why: EndedWhy) {
        let peer = {
            let mut book = lock(&self.book);
            if !life.node.is_client() {
                book.end(life);
            }
            let peer = book.peer(life.node);
            book.forget(life);
            peer
        };
        let met = peer.as_ref().is_some_and(|peer| peer.end(life, why));
        let later = peer.as_ref().and_then(|peer| peer.who()).is_some_and(|who| who.life >= life);
        if (met || (!later && !life.node.is_client()))
            && let Some(herald) = &*lock(&self.herald)
        {
            // one entry a life; when the links stop nobody is told any more
            let _ = herald.send(Tell { peer: peer.filter(|_| met), life, why });
        }
    }

    /// A handshake that was judged came to nothing: a peer without a slot that
    /// was never linked is not kept.
    pub(super) fn abandoned(&self, life: Life) {
        let mut book = lock(&self.book);
        if book.peer(life.node).is_some_and(|peer| peer.who().is_none()) {
            book.forget(life);
        }
    }

    /// The herald's work: tells what a caller could not.
    pub(super) fn tell(&self, tell: Tell) {
        let Some(peer) = &tell.peer else { return self.tell_ended(tell.life, tell.why) };
        let gate = lock(&peer.gate);
        if let Some((life, why)) = peer.untold() {
            self.tell_ended(life, why);
        }
        drop(gate);
        if !self.voters.iter().any(|voter| Arc::ptr_eq(voter, peer)) {
            peer.stop(); // a later life gets a peer of its own
        }
    }

    fn tell_ended(&self, life: Life, why: EndedWhy) {
        self.lives.write().unwrap_or_else(PoisonError::into_inner).remove(&life);
        log::info!(target: "nodewright::link", "{life} is over ({why:?})");
        self.sink.peer(PeerChange::Ended { life, why });
    }

    /// Counts and says why a handshake failed; a life that others call over is
    /// told to the node. How long to wait before the next attempt is up to the
    /// caller: true if an early one may succeed.
    pub(super) fn failed(&self, failure: &Failure, remote: &dyn std::fmt::Display) -> bool {
        let (refusal, by_us) = match failure {
            Failure::Io(error) => {
                log::debug!(target: "nodewright::link", "{remote}: {error}");
                return false;
            }
            Failure::Refused(refusal) => (refusal, false),
            Failure::Refusing(refusal) => (refusal, true),
        };
        self.counters.refused(refusal.name());
        let side = if by_us { "refused" } else { "is refused by" };
        match refusal {
            Refusal::OtherDial | Refusal::Myself | Refusal::Stopping => {
                log::debug!(target: "nodewright::link", "{side} {remote}: {refusal}");
            }
            Refusal::NameClash { .. } => log::error!(target: "nodewright::link", "{side} {remote}: {refusal}"),
            _ => log::warn!(target: "nodewright::link", "{side} {remote}: {refusal}"),
        }
        if let (false, Refusal::Ended { at_least } | Refusal::Outlived { at_least }) = (by_us, refusal)
            && *at_least > self.mine.life.incarnation.0
            && !self.outlived.swap(true, Ordering::Relaxed)
        {
            self.sink.outlived(*at_least, format!("{remote}: {refusal}"));
        }
        refusal.passes()
    }
}

/// The threads, and the one signal that stops them.
#[derive(Debug, Default)]
pub(super) struct Crew {
    state: Mutex<CrewState>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct CrewState {
    running: usize,
    stopped: bool,
}

impl Crew {
    /// Starts a thread.
    pub(super) fn spawn(
        &self,
        shared: &Arc<Shared>,
        name: &str,
        run: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> Result<(), StartError> {
        let shared = shared.clone();
        lock(&self.state).running += 1;
        let spawned = std::thread::Builder::new().name(name.to_string()).spawn(move || {
            let leaving = Leaving(&shared);
            run(&shared);
            drop(leaving);
        });
        if let Err(error) = spawned {
            lock(&self.state).running -= 1;
            return Err(StartError::Thread(error));
        }
        Ok(())
    }

    pub(super) fn stopped(&self) -> bool {
        lock(&self.state).stopped
    }

    /// Waits for this long; false if the crew is to stop.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        let mut state = lock(&self.state);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.stopped || left.is_zero() {
                return !state.stopped;
            }
            state = self.change.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells all to stop.
    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.change.notify_all();
    }

    /// Waits until all have ended, or the deadline; how many have not.
    pub(super) fn ended(&self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        let mut state = lock(&self.state);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.running == 0 || left.is_zero() {
                return state.running;
            }
            state = self.change.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

struct Leaving<'a>(&'a Arc<Shared>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        lock(&self.0.crew.state).running -= 1;
        self.0.crew.change.notify_all();
    }
}
