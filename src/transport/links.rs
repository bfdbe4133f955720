//! A node's links: what its runtime holds.

use super::admission::Book;
use super::config::{Config, PeerAddr, Security, StartError};
use super::hello::{Hello, NAME_BYTES_MAX, PROVIDES_MAX, Role};
use super::keys;
use super::peer::{Clock, Peer, lock};
use super::shared::{Counts, Crew, Shared, Tell};
use super::{Sink, accept, dial};
use crate::component::{EndedWhy, Lane, PeerRole, To};
use crate::id::{Kind, Life};
use crate::protocol::link::BLOCK_BYTES_MAX;
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

/// How long a stop waits for threads to let go.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Links that listen already but neither accept nor dial yet.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    listener: TcpListener,
    local: SocketAddr,
    /// How many voters are configured, this node included where it is one;
    /// for a listener the number of `peers`, or of sponsors if there are none.
    pub voters: usize,
    /// Whether this node is a voter: it is unless it joins through sponsors.
    pub voter: bool,
}

impl Bound {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Replaces the configured peers, for those who learn the addresses only
    /// after binding.
    ///
    /// # Errors
    /// [`StartError::TooManyPeers`].
    pub fn set_peers(&mut self, peers: Vec<PeerAddr>) -> Result<(), StartError> {
        self.config.peers = peers;
        self.without_myself()
    }

    /// Drops doubles and this node's own address, and counts the voters.
    fn without_myself(&mut self) -> Result<(), StartError> {
        let mut seen = BTreeSet::new();
        let mut mine = vec![self.local];
        mine.extend(self.config.advertise);
        let any = self.local.ip().is_unspecified();
        self.config.peers.retain(|peer| {
            let addresses = peer.resolve();
            let own = addresses.iter().any(|address| {
                mine.contains(address) || (any && address.port() == self.local.port() && is_local(*address))
            });
            let first = addresses.iter().map(|address| seen.insert(*address)).fold(addresses.is_empty(), |a, b| a | b);
            !own && first
        });
        let others = self.config.peers.len();
        self.voter = self.config.join.is_empty();
        self.voters = match (self.voter, others) {
            (true, others) => others + 1,
            (false, 0) => self.config.join.len(),
            (false, others) => others,
        };
        if self.voter && others > self.config.max_peers {
            return Err(StartError::TooManyPeers { configured: others, max: self.config.max_peers });
        }
        Ok(())
    }
}

/// What a node knows of a peer, for people.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its life, once met.
    pub life: Option<Life>,
    /// Its name, once met.
    pub name: Option<Arc<str>>,
    /// What it is to this node.
    pub role: PeerRole,
    /// Its address: as configured until it is met.
    pub address: String,
    /// Whether there is a session now.
    pub connected: bool,
    /// Bytes queued for it and not acknowledged.
    pub queued_bytes: u64,
    /// Sessions so far.
    pub sessions: u64,
    /// Blocks written again.
    pub resent: u64,
    /// When a new block last came from it.
    pub last_heard: Option<Time>,
    /// Components that it has.
    pub provides: Vec<(Kind, String)>,
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handshakes refused, by either side, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sessions begun; all but the first with each peer are reconnects.
    pub sessions: u64,
    /// Sessions cut because of bytes that are no frame.
    pub malformed: u64,
    /// Bytes read from peers.
    pub bytes_in: u64,
    /// Bytes written to peers.
    pub bytes_out: u64,
    /// Blocks written again.
    pub resent: u64,
    /// Blocks received again and dropped.
    pub duplicates: u64,
}

/// Which connections to cut.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Cut {
    /// All of them.
    All,
    /// One life's.
    Life(Life),
}

/// A node's links to its peers. Stopped when dropped.
pub struct Links {
    shared: Arc<Shared>,
    local: SocketAddr,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({} at {})", self.shared.mine.life, self.local)
    }
}

impl Links {
    /// Listens. Nothing is accepted or dialled before [`Links::start`].
    ///
    /// # Errors
    /// Says what is wrong with the configuration or the port, and what mends it.
    pub fn bind(config: Config) -> Result<Bound, StartError> {
        if config.me.node.is_client() {
            return Err(StartError::ClientId(config.me.node));
        }
        if matches!(config.security, Security::LoopbackOnly) && !config.listen.ip().is_loopback() {
            return Err(StartError::Unsecured { address: config.listen.to_string() });
        }
        let listen = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let mut bound = Bound { config, listener, local, voters: 0, voter: true };
        bound.without_myself()?;
        Ok(bound)
    }

    /// Accepts and dials from now on; what happens is told to `sink`.
    ///
    /// # Errors
    /// The operating system gives no randomness or no threads.
    pub fn start(bound: Bound, sink: Arc<dyn Sink>) -> Result<Links, StartError> {
        let Bound { mut config, listener, local, voters, voter } = bound;
        if !voter {
            config.peers.clear(); // a listener links to a sponsor only
        }
        let mine = hello(&config, local, voters)?;
        let book = Book::new(&config, mine.clone(), Clock(config.origin));
        let (herald, told) = flume::unbounded::<Tell>(); // one entry for each life that ends
        let shared = Arc::new(Shared {
            sink,
            voters: book.slots.iter().map(|slot| slot.peer.clone()).collect(),
            book: Mutex::new(book),
            lives: RwLock::default(),
            mine,
            security: config.security,
            limits: config.limits,
            dialects: config.dialects,
            counters: Counts::default(),
            crew: Crew::default(),
            herald: Mutex::new(Some(herald)),
            outlived: AtomicBool::new(false),
        });
        let links = Links { shared: shared.clone(), local, stopped: AtomicBool::new(false) };
        let crew = &shared.crew;
        crew.spawn(&shared, "nw-herald", move |shared| told.iter().for_each(|tell| shared.tell(tell)))?;
        for slot in 0..shared.voters.len() {
            shared.voters[slot].claim_writer();
            crew.spawn(&shared, "nw-writer", move |shared| shared.voters[slot].write_loop())?;
            crew.spawn(&shared, "nw-dial", move |shared| dial::slot_loop(shared, slot))?;
        }
        let sponsors = config.join;
        if !sponsors.is_empty() {
            crew.spawn(&shared, "nw-join", move |shared| dial::sponsor_loop(shared, &sponsors))?;
        }
        crew.spawn(&shared, "nw-listen", move |shared| accept::accept_loop(shared, &listener))?;
        Ok(links)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Queues a block of at most
    /// [`BLOCK_BYTES_MAX`](crate::protocol::link::BLOCK_BYTES_MAX) bytes. Never
    /// blocks. A block for a life that is over, or was never linked, is dropped.
    pub fn push(&self, to: To, lane: Lane, component: Kind, block: Bytes) {
        match to {
            To::All => {
                for voter in &self.shared.voters {
                    voter.push(None, lane, component, block.clone());
                }
            }
            To::Life(life) => {
                if let Some(peer) = self.shared.life(life) {
                    peer.push(Some(life), lane, component, block);
                }
            }
        }
    }

    /// Ends a peer's life on this node: its connection is closed, it is
    /// refused from now on, and the sink is told `Ended(Decided)`. Returns at
    /// once; may be called from within the sink.
    pub fn end_life(&self, life: Life) {
        self.shared.end_life(life, EndedWhy::Decided);
    }

    /// When a new block (no acknowledgement, no repetition) last came from a
    /// life.
    pub fn last_heard(&self, life: Life) -> Option<Time> {
        self.shared.life(life).and_then(|peer| peer.last_heard())
    }

    /// Whether a life said that it has a component; `None` if it is not known.
    pub fn provides(&self, life: Life, component: Kind) -> Option<bool> {
        let who = self.shared.life(life)?.who()?;
        Some(who.provides.iter().any(|(kind, _)| *kind == component))
    }

    /// Cuts connections; the links resume by themselves. How many were cut.
    pub fn cut(&self, which: Cut) -> usize {
        let cut: &[Arc<Peer>] = &match which {
            Cut::All => self.all(),
            Cut::Life(life) => self.shared.life(life).into_iter().collect(),
        };
        cut.iter().filter(|peer| peer.cut()).count()
    }

    /// The peers, members first met first, for people.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let book = lock(&self.shared.book);
        let slot_address = |peer: &Arc<Peer>| {
            let slot = book.slots.iter().find(|slot| Arc::ptr_eq(&slot.peer, peer));
            slot.map_or(String::new(), |slot| slot.configured.to_string())
        };
        let info = |peer: &Arc<Peer>| {
            let who = peer.who();
            PeerInfo {
                life: who.as_ref().map(|who| who.life),
                name: who.as_ref().map(|who| who.name.clone()),
                role: who.as_ref().map_or(PeerRole::Voter, |who| who.role),
                address: who.as_ref().map_or_else(|| slot_address(peer), |who| who.address.to_string()),
                connected: peer.linked(),
                queued_bytes: peer.queued_bytes(),
                sessions: peer.sessions(),
                resent: peer.counters().resent,
                last_heard: peer.last_heard(),
                provides: who.map_or(Vec::new(), |who| who.provides.to_vec()),
            }
        };
        book.peers().iter().map(info).collect()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        let counts = &self.shared.counters;
        let mut sum = Counters {
            refused: lock(&counts.refused).clone(),
            sessions: counts.sessions.load(Ordering::Relaxed),
            malformed: counts.malformed.load(Ordering::Relaxed),
            ..Counters::default()
        };
        for peer in self.all() {
            let link = peer.counters();
            sum.bytes_in += peer.bytes_in.load(Ordering::Relaxed);
            sum.bytes_out += peer.bytes_out.load(Ordering::Relaxed);
            sum.resent += link.resent;
            sum.duplicates += link.duplicates;
        }
        sum
    }

    /// Stops gracefully: waits a little until the peers have what is queued,
    /// tells them that this life is over, then stops.
    pub fn leave(&self) {
        let deadline = Instant::now() + self.shared.limits.leave_within;
        lock(&self.shared.book).stopping = true;
        for peer in self.all() {
            peer.leave(deadline);
        }
        self.stop();
    }

    /// Stops at once, as a crash would: peers keep this life and wait for it.
    /// The sink is told nothing any more once this returns. Must not be called
    /// from within the sink.
    pub fn stop(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        lock(&self.shared.book).stopping = true;
        self.shared.crew.stop();
        lock(&self.shared.herald).take();
        for peer in self.all() {
            peer.stop();
        }
        // wakes the accepting thread
        let _ = TcpStream::connect_timeout(&reachable(self.local), Duration::from_secs(1));
        let left = self.shared.crew.ended(STOP_WITHIN);
        if left > 0 {
            log::warn!(target: "nodewright::link", "{left} link threads still wait for the system");
        }
    }

    fn all(&self) -> Vec<Arc<Peer>> {
        lock(&self.shared.book).peers()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.stop();
    }
}

fn hello(config: &Config, local: SocketAddr, voters: usize) -> Result<Hello, StartError> {
    let [a, b, c, d, e, f, g, h, ..] = keys::random()?;
    let mut name = config.name.to_string();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    let provides = config.provides.iter().take(PROVIDES_MAX).cloned().collect();
    Ok(Hello {
        life: config.me,
        name,
        boot: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        role: if config.join.is_empty() { Role::Voter } else { Role::Listener },
        listen: Some(config.advertise.unwrap_or(local)),
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        voters: voters as u32,
        provides,
    })
}

/// Whether the address is one of this machine's: only those can be bound.
fn is_local(address: SocketAddr) -> bool {
    UdpSocket::bind((address.ip(), 0)).is_ok()
}

/// An address at which a listening socket can be reached from here.
fn reachable(mut local: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() {
        local.set_ip(if local.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    local
}
