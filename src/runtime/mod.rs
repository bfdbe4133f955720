//! The threaded driver: runs a [`Stack`] of components on threads, sockets,
//! files and the real clock.
//!
//! ```text
//!   user's threads --- Handle (edge: waits, or is refused) ----+
//!   readers of links --- blocks, credits, peers' changes ------+--> mailboxes
//!   workers, disk, streams --- what was asked for -------------+       |
//!                                                                      v
//!   supervisor: lives, restarts, deadlines      one thread a component: drain,
//!   board: retained events, subscribers         step one by one, flush, perform
//! ```
//!
//! **Guarantees.** A component is run by one thread at a time; what one
//! producer hands to it keeps its order; effects are performed in the order in
//! which they were made. What a protocol component promised is never carried on
//! with lost state: if it falls, the node goes on as a new life.
//!
//! The driver's loop is `thread`, one turn of it `cell`; the way into a
//! component `mailbox`; its way out `out`; lives `supervisor`.

mod board;
mod calls;
mod cell;
mod clock;
mod counters;
mod disk;
mod handle;
mod incarnation;
mod letters;
mod live;
mod load;
mod mailbox;
mod network;
mod node;
mod notice;
mod out;
mod panics;
mod pool;
mod recorder;
mod requested;
mod streams;
mod supervisor;
#[cfg(test)]
mod tests;
mod thread;
mod timers;

pub use calls::Answer;
pub use counters::Counters;
pub use handle::{Handle, Stopped};
pub use incarnation::DirError;
pub use letters::DeadLetter;
pub use node::Ended;
pub use notice::{NewLife, Restarted};
pub use recorder::Recording;

use crate::component::{ComponentName, Stack};
use crate::id::{Kind, Life, NodeId};
use crate::time::Time;
use crate::transport::{self, Links, PeerAddr};
use clock::Clock;
use incarnation::Incarnations;
use node::Node;
use recorder::Recorder;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use supervisor::Supervisor;

/// What a node needs besides its components.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's name: in the handshake, in logs and in threads' names.
    pub name: Arc<str>,
    /// The node's id.
    pub id: NodeId,
    /// The node's directory: each component has the directory of its name in
    /// it. Without one, disk operations fail and lives are counted by the wall
    /// clock.
    pub dir: Option<PathBuf>,
    /// How it links; `None` is a lone voter without a network. `me`, `name`,
    /// `provides`, `dialects` and `origin` are filled in.
    pub links: Option<transport::Config>,
    /// Threads for components' jobs.
    pub workers: usize,
    /// Where components' randomness begins.
    pub seed: u64,
    /// What is recorded, if anything.
    pub recording: Option<Recording>,
}

impl Options {
    /// A lone voter named `name`, without directory or links: two workers, a
    /// random seed.
    pub fn new(name: &str) -> Self {
        Options {
            name: name.into(),
            id: NodeId::from_name(name),
            dir: None,
            links: None,
            workers: 2,
            seed: RandomState::new().build_hasher().finish(),
            recording: None,
        }
    }
}

/// Why a node did not start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two components with one wire number.
    #[error("the components {0} and {1} have the same kind: rename one")]
    KindClash(ComponentName, ComponentName),
    /// The node's directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The node's links.
    #[error(transparent)]
    Links(#[from] transport::StartError),
    /// The file that is to hold the trace.
    #[error("the trace {path} cannot be made: {error}; a trace is never written over: name a new file")]
    Trace {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system has no more threads.
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

/// Starts a node: its components in the stack's order.
///
/// # Errors
/// See [`StartError`].
pub fn start(stack: Stack, options: Options) -> Result<Handle, StartError> {
    Prepared::new(stack, options)?.start()
}

/// A node that listens but does not run yet: for those who learn the peers'
/// addresses only when all have bound theirs.
#[derive(Debug)]
pub struct Prepared {
    stack: Stack,
    options: Options,
    incarnations: Incarnations,
    first: FirstLife,
}

impl Prepared {
    /// Takes the directory, the first life's incarnation and the port.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(stack: Stack, mut options: Options) -> Result<Self, StartError> {
        let mut kinds: BTreeMap<Kind, ComponentName> = BTreeMap::new();
        for manifest in stack.factories.iter().map(|factory| factory.manifest()) {
            if let Some(other) = kinds.insert(manifest.kind(), manifest.name) {
                return Err(StartError::KindClash(other, manifest.name));
            }
        }
        let clock = Clock::start();
        if let Some(links) = &mut options.links {
            links.name = options.name.clone();
            links.origin = clock.instant(Time::ZERO);
            links.provides = kinds.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
            links.provides.push((streams::STREAM, "stream".to_owned()));
            let dialects = stack.factories.iter().map(|factory| factory.manifest());
            links.dialects =
                dialects.flat_map(|manifest| manifest.dialects.iter().map(|first| (*first, manifest.kind()))).collect();
        }
        let mut incarnations = Incarnations::open(options.dir.as_deref())?;
        let me = Life { node: options.id, incarnation: incarnations.next(0)? };
        let recorder = options.recording.as_ref().map(|recording| {
            let names: Vec<_> = kinds.values().copied().collect();
            let made = Recorder::start(recording, &options.name, &names, clock);
            made.map(Arc::new).map_err(|error| StartError::Trace { path: recording.path.clone(), error })
        });
        let recorder = recorder.transpose()?;
        let bound = options.bind(me, recorder.as_ref()).inspect_err(|_| {
            // nothing was recorded: the next attempt may have the name
            _ = options.recording.as_ref().map(|recording| std::fs::remove_file(&recording.path));
        })?;
        if let (Some(links), Some(bound)) = (&mut options.links, &bound) {
            links.listen = bound.local_addr(); // later lives take the same port
        }
        Ok(Prepared { stack, options, incarnations, first: FirstLife { clock, me, bound, recorder } })
    }

    /// Where the node listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.first.bound.as_ref().map(transport::Bound::local_addr)
    }

    /// Replaces the voters' addresses; the own one may be among them.
    ///
    /// # Errors
    /// [`transport::StartError::TooManyPeers`].
    pub fn set_peers(&mut self, peers: Vec<PeerAddr>) -> Result<(), StartError> {
        if let (Some(links), Some(bound)) = (&mut self.options.links, &mut self.first.bound) {
            links.peers.clone_from(&peers);
            bound.set_peers(peers)?;
        }
        Ok(())
    }

    /// Starts the node's first life.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(self) -> Result<Handle, StartError> {
        if cfg!(panic = "abort") {
            log::warn!(
                target: "nodewright::runtime",
                "built with panic = \"abort\": there is no supervision, a panic ends the process"
            );
        }
        let Prepared { stack, options, incarnations, first } = self;
        let name = options.name.clone();
        let (node, notices) = Node::new(stack, options, &first).map_err(StartError::Thread)?;
        let node = Arc::new(node);
        let supervisor = Supervisor::new(node.clone(), notices, incarnations);
        let (started, outcome) = flume::bounded(1);
        let (end, ended) = flume::bounded(0);
        let thread = std::thread::Builder::new().name(format!("nw-{name}")).spawn(move || {
            let result = supervisor.run(first, &started);
            drop(end);
            result
        });
        let thread = thread.map_err(StartError::Thread)?;
        let handle = Handle::new(node, ended, thread);
        match outcome.recv() {
            Ok(Ok(())) => Ok(handle),
            Ok(Err(error)) => {
                let _ = handle.join();
                Err(error)
            }
            Err(_) => Err(StartError::Thread(io::Error::other("the supervisor fell at the start"))),
        }
    }
}

/// What the first life has before it runs.
#[derive(Debug)]
struct FirstLife {
    clock: Clock,
    me: Life,
    bound: Option<transport::Bound>,
    recorder: Option<Arc<Recorder>>,
}

impl Options {
    /// Binds the links of the life `me`.
    fn bind(
        &self,
        me: Life,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Option<transport::Bound>, transport::StartError> {
        let Some(links) = &self.links else { return Ok(None) };
        let watch = recorder.map(|recorder| recorder.frames(me));
        Links::bind(transport::Config { me, watch, ..links.clone() }).map(Some)
    }
}
