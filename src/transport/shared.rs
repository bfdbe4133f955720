//! What all threads of a node's links share.

use super::Sink;
use super::admission::{Book, Via};
use super::config::{Limits, Security};
use super::crew::Crew;
use super::handshake::{Agreed, Failure};
use super::hello::{Hello, Refusal};
use super::joiner::Acquaintances;
use super::keys::PublicKey;
use super::peer::{Connection, Peer, Who, lock};
use super::planted::Planted;
use super::reader::Reading;
use crate::component::{EndedWhy, PeerChange};
use crate::id::{Kind, Life};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Counts for people.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Refused handshakes by reason.
    pub(super) refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Refused here because of another key than the pinned one, by pinned name.
    pub(super) impostors: Mutex<BTreeMap<String, u64>>,
    pub(super) malformed: AtomicU64,
    pub(super) sessions: AtomicU64,
}

impl Counts {
    /// Counts a refusal; how many there were for this reason.
    pub(super) fn refused(&self, reason: &'static str) -> u64 {
        let mut refused = lock(&self.refused);
        let count = refused.entry(reason).or_default();
        *count += 1;
        *count
    }

    /// Counts one that came under a pinned name with another key.
    fn impostor(&self, name: &str) -> u64 {
        let mut impostors = lock(&self.impostors);
        let count = impostors.entry(name.to_string()).or_default();
        *count += 1;
        *count
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
    pub(super) planted: Planted,
    pub(super) dialects: Vec<(&'static [u8], Kind)>,
    pub(super) counters: Counts,
    pub(super) crew: Crew,
    /// Taken away when the links stop, which ends the herald.
    pub(super) herald: Mutex<Option<flume::Sender<Tell>>>,
    pub(super) outlived: AtomicBool,
    pub(super) acquaintances: Acquaintances,
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
        if lock(&self.book).is_over(who.life) {
            // ended after it was judged: whoever did that may have come too
            // early to find it here
            peer.end(who.life, EndedWhy::Decided);
            peer.untold();
            return None;
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
    /// told to the node. True if another attempt may succeed at once.
    pub(super) fn failed(&self, failure: &Failure, remote: &dyn std::fmt::Display) -> bool {
        let (refusal, by_us) = match failure {
            Failure::Io(error) => {
                log::debug!(target: "nodewright::link", "{remote}: {error}");
                return false;
            }
            Failure::Refused(refusal) => (refusal, false),
            Failure::Refusing(refusal) => (refusal, true),
        };
        let mut count = self.counters.refused(refusal.name());
        if let (true, Refusal::PinnedKey { name, .. }) = (by_us, refusal) {
            count = self.counters.impostor(name); // each name is to be seen in the log
        }
        let side = if by_us { "refused" } else { "is refused by" };
        let level = match refusal {
            Refusal::OtherDial | Refusal::Myself | Refusal::Stopping => log::Level::Debug,
            _ if !count.is_power_of_two() => log::Level::Debug, // strangers must not flood the log
            Refusal::NameClash { .. } => log::Level::Error,
            _ => log::Level::Warn,
        };
        log::log!(target: "nodewright::link", level, "{} {side} {remote}: {refusal}", self.mine.name);
        if let (false, Refusal::Ended { at_least } | Refusal::Outlived { at_least }) = (by_us, refusal)
            && *at_least > self.mine.life.incarnation.0
            && !self.outlived.swap(true, Ordering::Relaxed)
        {
            self.sink.outlived(*at_least, format!("{remote}: {refusal}"));
        }
        *refusal == Refusal::OtherDial
    }
}
