//! What all lives of a node share.

use super::board::Board;
use super::calls::Calls;
use super::clock::Clock;
use super::counters::Counts;
use super::disk;
use super::letters::DeadLetters;
use super::live::Live;
use super::mailbox::Running;
use super::pool::Pool;
use super::recorder::Recorder;
use super::{FirstLife, Options, Stopped};
use crate::component::{ComponentName, DiskDone, DiskOp, Manifest, Stack, Token};
use crate::error::Fault;
use crate::id::Life;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

/// What the supervisor is told.
pub(super) enum Notice {
    /// A component fell and cannot begin anew alone.
    Fell { life: Life, component: ComponentName, fault: Fault },
    /// The peers refuse this life.
    Outlived { life: Life, at_least: u64, why: String },
    /// The user asks for the end.
    Stop,
    /// The user has a call with an earlier deadline than known.
    Deadline,
}

/// Why a node is no longer running.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ended {
    /// It fell too often; the last reason is named.
    #[error("the node began {lives} lives within {within:?} and gives up: {why}")]
    FellTooOften {
        /// Lives begun.
        lives: usize,
        /// Within this time.
        within: std::time::Duration,
        /// The last reason.
        why: String,
    },
    /// A component asked for the end.
    #[error("{component} stopped the node: {why}")]
    Asked {
        /// The component.
        component: ComponentName,
        /// Its reason.
        why: String,
    },
    /// A new life could not begin.
    #[error("a new life could not begin: {0}")]
    NoNewLife(String),
}

pub(super) struct Node {
    pub(super) options: Options,
    pub(super) stack: Stack,
    pub(super) clock: Clock,
    pub(super) counts: Counts,
    pub(super) letters: DeadLetters,
    pub(super) board: Board,
    pub(super) recorder: Option<Arc<Recorder>>,
    pub(super) calls: Calls,
    pub(super) pool: Pool,
    pub(super) disk: Pool,
    pub(super) files: Pool,
    /// The components' files, by place in the stack. Locked by the one thread
    /// for disk operations alone: the lock only tells the compiler so.
    open: Mutex<BTreeMap<usize, disk::Files>>,
    pub(super) supervisor: flume::Sender<Notice>,
    /// Read by every call at the edge, written when a life begins or ends: a
    /// lock for many readers costs each of them some 20 ns.
    now: RwLock<Now>,
    /// Where the edge waits for the next life.
    between: (Mutex<()>, Condvar),
    /// The newest life's name, for people.
    last: Mutex<Life>,
    /// Who is told of new lives; written seldom.
    pub(super) watchers: Mutex<Vec<flume::Sender<Life>>>,
}

/// Whether there is a life.
#[derive(Clone)]
pub(super) enum Now {
    Lives(Arc<Live>),
    Between,
    Stopped,
}

impl Node {
    pub(super) fn new(
        stack: Stack,
        options: Options,
        first: &FirstLife,
    ) -> io::Result<(Self, flume::Receiver<Notice>)> {
        // Told of falls, of calls with an earlier deadline, and to stop: seldom.
        let (supervisor, notices) = flume::unbounded();
        let pool = Pool::start(&format!("nw-{}-job", options.name), options.workers.max(1))?;
        let disk = Pool::start(&format!("nw-{}-disk", options.name), 1)?;
        let files = Pool::start(&format!("nw-{}-file", options.name), 1)?;
        let node = Node {
            last: Mutex::new(first.me),
            options,
            stack,
            clock: first.clock,
            counts: Counts::default(),
            letters: DeadLetters::default(),
            board: Board::default(),
            recorder: first.recorder.clone(),
            calls: Calls::default(),
            pool,
            disk,
            files,
            open: Mutex::default(),
            supervisor,
            now: RwLock::new(Now::Between),
            between: (Mutex::new(()), Condvar::new()),
            watchers: Mutex::new(Vec::new()),
        };
        Ok((node, notices))
    }

    fn now(&self) -> Now {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The present life; waits for it between two lives, except on a thread
    /// that is running a component, for which the end of the old life waits.
    pub(super) fn current(&self) -> Result<Arc<Live>, Stopped> {
        match self.now() {
            Now::Lives(live) => return Ok(live),
            Now::Between if !Running::here() => {}
            Now::Between | Now::Stopped => return Err(Stopped),
        }
        let (between, changed) = &self.between;
        let mut waiting = between.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.now() {
                Now::Lives(live) => return Ok(live),
                Now::Stopped => return Err(Stopped),
                Now::Between => waiting = changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    pub(super) fn set_now(&self, now: Now) {
        if let Now::Lives(live) = &now {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = live.me;
        }
        let _between = self.between.0.lock().unwrap_or_else(PoisonError::into_inner);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
        self.between.1.notify_all();
    }

    /// The present life, or the last one.
    pub(super) fn life(&self) -> Life {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self, notice: Notice) {
        // After the end nobody listens, and nothing is left to be done.
        let _ = self.supervisor.send(notice);
    }

    pub(super) fn component_dir(&self, manifest: &Manifest) -> Option<PathBuf> {
        let below = |dir: &PathBuf| if manifest.at_home { dir.clone() } else { dir.join(manifest.name) };
        self.options.dir.as_ref().map(below)
    }

    /// Performs disk operations of a component, in order: each with its result.
    pub(super) fn perform(&self, me: usize, ops: Vec<(Token, DiskOp)>) -> Vec<(Token, io::Result<DiskDone>)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = self.stack.factories[me].manifest();
        if let (None, Some(dir)) = (open.get(&me), self.component_dir(manifest)) {
            open.insert(me, disk::Files::new(dir));
        }
        let missing = || io::Error::new(io::ErrorKind::Unsupported, "this node has no directory");
        let mut perform = |op| open.get_mut(&me).ok_or_else(missing)?.perform(op);
        ops.into_iter().map(|(token, op)| (token, perform(op))).collect()
    }

    /// The seed of a component's randomness: another one for each life, place
    /// and restart.
    pub(super) fn seed(&self, me: Life, index: usize, restarts: u64) -> u64 {
        let mut rng = fastrand::Rng::with_seed(self.options.seed ^ me.incarnation.0.rotate_left(32));
        rng.fork().u64(..) ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ restarts.rotate_left(48)
    }
}
