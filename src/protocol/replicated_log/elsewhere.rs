//! What takes long is done on the pool while the log goes on: queries that look at
//! much, and the snapshot of a large state. Each has a copy of what it needs of the
//! state, as that was when it was asked for.
//!
//! **Bound.** [`RUNNING_MAX`] queries at once, [`QUEUED_MAX`] that wait for them; one
//! snapshot. A query beyond that is refused: nothing was read, ask again.

use super::component::{Phase, ReplicatedLog};
use super::message::{Answer, Answered};
use super::snapshot::Meta;
use crate::component::{Context, ReplyTo, Token};
use crate::error::{CallError, Fault};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Queries that run at once; the pool is not the log's alone.
const RUNNING_MAX: usize = 2;
/// Queries that wait for those.
const QUEUED_MAX: usize = 64;

/// A job of the log: work that brings bytes.
pub struct Job(pub(super) Box<dyn FnOnce() -> Bytes + Send>);

/// See the module.
#[derive(Default)]
pub(super) struct Elsewhere {
    running: BTreeMap<Token, (ReplyTo, u64)>,
    queued: VecDeque<(ReplyTo, u64, Job)>,
    pub(super) snapshot: Option<(Token, Meta)>,
}

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl Elsewhere {
    /// Takes a query's work, from the state at this index.
    pub(super) fn take(&mut self, reply_to: ReplyTo, applied: u64, job: Job, cx: Cx<'_, '_>) {
        if self.queued.len() == QUEUED_MAX {
            return cx.reply::<Answer>(reply_to, Err(CallError::Refused(super::NOT_READY.into())));
        }
        self.queued.push_back((reply_to, applied, job));
        self.begin(cx);
    }

    fn begin(&mut self, cx: Cx<'_, '_>) {
        while self.running.len() < RUNNING_MAX
            && let Some((reply_to, applied, job)) = self.queued.pop_front()
        {
            self.running.insert(cx.job(job), (reply_to, applied));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len() + self.queued.len()
    }
}

impl ReplicatedLog {
    /// Work is done; `None` if it panicked.
    pub(super) fn worked(&mut self, token: Token, done: Option<Bytes>, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        if let Some((reply_to, applied)) = replica.elsewhere.running.remove(&token) {
            let failed = || CallError::Failed("the query panicked; nothing was changed".into());
            cx.reply::<Answer>(reply_to, done.map(|reply| Answered { applied, reply }).ok_or_else(failed));
            replica.elsewhere.begin(cx);
        } else if let Some((_, meta)) = replica.elsewhere.snapshot.take_if(|(it, _)| *it == token) {
            let bytes = done.ok_or_else(|| Fault::Broken("a snapshot of the state panicked".into()))?;
            self.snapshot_made(meta, bytes, cx);
        }
        Ok(())
    }
}
