//! A node's links: what its runtime holds.

use super::admission::Book;
use super::bound::{Bound, hello};
use super::config::StartError;
use super::crew::Crew;
use super::joiner::{self, Acquaintances};
use super::peer::{Clock, Peer, lock};
use super::shared::{Counts, Shared, Tell};
use super::{Sink, accept, dial};
use crate::component::{EndedWhy, Lane, To};
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

/// How long a stop waits for threads to let go.
const STOP_WITHIN: Duration = Duration::from_secs(3);

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
    pub(super) shared: Arc<Shared>,
    local: SocketAddr,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({} at {})", self.shared.mine.life, self.local)
    }
}

impl Links {
    /// Accepts and dials from now on; what happens is told to `sink`.
    ///
    /// # Errors
    /// The operating system gives no randomness or no threads.
    pub fn start(bound: Bound, sink: Arc<dyn Sink>) -> Result<Links, StartError> {
        let Bound { mut config, listener, local, voters, voter } = bound;
        if !voter {
            config.peers.clear(); // a listener links to a sponsor only
        }
        let planted = config.planted();
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
            planted,
            dialects: config.dialects,
            counters: Counts::default(),
            crew: Crew::default(),
            herald: Mutex::new(Some(herald)),
            outlived: AtomicBool::new(false),
            acquaintances: Acquaintances::new(config.members_file, config.max_peers),
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
        if config.joiner {
            sponsors.into_iter().for_each(|sponsor| joiner::acquaint(&shared, sponsor, None));
        } else if !sponsors.is_empty() {
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
    /// The sink is told nothing any more once this returns, unless it was
    /// called from within the sink.
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

    pub(super) fn all(&self) -> Vec<Arc<Peer>> {
        lock(&self.shared.book).peers()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An address at which a listening socket can be reached from here.
fn reachable(mut local: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() {
        local.set_ip(if local.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    local
}
