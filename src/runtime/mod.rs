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
//! The driver's loop is [`thread`], one turn of it [`cell`]; the way into a
//! component [`mailbox`]; its way out [`out`]; lives [`supervisor`].

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
mod mailbox;
mod network;
mod node;
mod notice;
mod out;
mod pool;
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

use crate::component::{ComponentName, Stack};
use crate::id::{Kind, NodeId};
use node::Node;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use supervisor::Supervisor;

/// What a node needs besides its components.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The node's name: in the handshake, in logs and in threads' names.
    pub name: Arc<str>,
    /// The node's id.
    pub id: NodeId,
    /// Configured voters, this node included where it is one.
    pub voters: usize,
    /// Whether this node is one of them.
    pub voter: bool,
    /// The node's directory: each component has the directory of its name in
    /// it. Without one, disk operations fail and lives are counted by the wall
    /// clock.
    pub dir: Option<PathBuf>,
    /// Threads for components' jobs.
    pub workers: usize,
    /// Where components' randomness begins.
    pub seed: u64,
}

impl Options {
    /// A lone voter named `name`, without directory or links: two workers, a
    /// random seed.
    pub fn new(name: &str) -> Self {
        Options {
            name: name.into(),
            id: NodeId::from_name(name),
            voters: 1,
            voter: true,
            dir: None,
            workers: 2,
            seed: RandomState::new().build_hasher().finish(),
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
    /// The system has no more threads.
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

/// Starts a node: its components in the stack's order.
///
/// # Errors
/// See [`StartError`].
pub fn start(stack: Stack, options: Options) -> Result<Handle, StartError> {
    let mut kinds: BTreeMap<Kind, ComponentName> = BTreeMap::new();
    for manifest in stack.factories.iter().map(|factory| factory.manifest()) {
        if let Some(other) = kinds.insert(manifest.kind(), manifest.name) {
            return Err(StartError::KindClash(other, manifest.name));
        }
    }
    if cfg!(panic = "abort") {
        log::warn!(target: "nodewright::runtime", "built with panic = \"abort\": there is no supervision, a panic ends the process");
    }
    let incarnations = incarnation::Incarnations::open(options.dir.as_deref())?;
    let name = options.name.clone();
    let (node, notices) = Node::new(stack, options).map_err(StartError::Thread)?;
    let node = Arc::new(node);
    let supervisor = Supervisor::new(node.clone(), notices, incarnations);
    let (started, outcome) = flume::bounded(1);
    let (end, ended) = flume::bounded(0);
    let thread = std::thread::Builder::new().name(format!("nw-{name}")).spawn(move || {
        let result = supervisor.run(&started);
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
