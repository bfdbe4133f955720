//! The picture of the history: a list, and a watch from there; and where the map's
//! answers go.

use super::assign::Assigning;
use super::component::{Cx, StegoService, Timer, Waiter};
use super::request::{Answer, Refused};
use super::task::{Assignment, Fence, PREFIX, TaskId};
use super::workers::Queued;
use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::{self as map, Committed, Entry, Got, Page, ReplicatedMap, Watched};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one watch is left to wait.
const WATCH: Duration = Duration::from_secs(10);
/// How long a transaction or a read is tried.
pub(super) const WITHIN: Duration = Duration::from_secs(3);
/// Between two tries where the map does not answer.
const AGAIN: Duration = Duration::from_millis(50);
const PAGE: u32 = 1000;

/// What was asked of the map.
pub(super) enum Asked {
    /// A page of the history, those before it, and the index of the first.
    List(BTreeSet<TaskId>, Option<u64>),
    Watch,
    /// See [`Assigning`].
    Assign(TaskId, Assignment),
    /// A task that is not in the picture: what is to be done with it then.
    Look(TaskId, Box<Then>),
    /// An acknowledgement of the task as of this version.
    Remove(TaskId, u64, Waiter),
    /// It was never acknowledged.
    Expire(TaskId),
}

/// What a look at the map is for.
pub(super) enum Then {
    Submit(Queued, Fence),
    Acknowledge(Waiter),
}

impl StegoService {
    pub(super) fn ask_map(&mut self, call: map::Call, within: Duration, asked: Asked, cx: Cx<'_, '_>) {
        let token = cx.call::<ReplicatedMap>(Kind::of(map::NAME), call, within + WATCH);
        self.asked.insert(token, asked);
    }

    pub(super) fn commit(&mut self, transaction: map::Transaction, asked: Asked, cx: Cx<'_, '_>) {
        self.ask_map(map::Call::Commit { transaction, key: None, within: WITHIN }, WITHIN, asked, cx);
    }

    /// Reads a task as anybody left it, and goes on then.
    pub(super) fn look(&mut self, task: TaskId, then: Then, cx: Cx<'_, '_>) {
        let call = map::Call::Get { keys: vec![task.key()], level: Level::Linearizable, within: WITHIN };
        self.ask_map(call, WITHIN, Asked::Look(task, Box::new(then)), cx);
    }

    /// Reads the history from the beginning, or on from a page.
    pub(super) fn list_history(&mut self, before: Option<(BTreeSet<TaskId>, u64)>, cx: Cx<'_, '_>) {
        let (listed, applied) = before.map_or((BTreeSet::new(), None), |(listed, applied)| (listed, Some(applied)));
        // The keys' order is the requests', the set's that of names.
        let after = listed.iter().map(TaskId::key).max();
        let prefix = Bytes::from_static(PREFIX);
        let call = map::Call::List { prefix, after, limit: PAGE, level: Level::Linearizable, within: WITHIN };
        self.ask_map(call, WITHIN, Asked::List(listed, applied), cx);
    }

    fn watch_history(&mut self, cx: Cx<'_, '_>) {
        if self.asked.values().any(|asked| matches!(asked, Asked::Watch)) {
            return; // an older one tells all the same
        }
        let after = self.history.through.unwrap_or(0);
        let call = map::Call::Watch { prefix: Bytes::from_static(PREFIX), after, limit: PAGE, within: WATCH };
        self.ask_map(call, WATCH, Asked::Watch, cx);
    }

    pub(super) fn map_answered(&mut self, token: Token, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        match self.asked.remove(&token) {
            Some(Asked::List(listed, applied)) => self.listed(listed, applied, answer(value), cx),
            Some(Asked::Watch) => self.watched(answer(value), cx),
            Some(Asked::Assign(task, assignment)) => self.assigned(task, assignment, answer(value), cx),
            Some(Asked::Look(task, then)) => self.looked(task, *then, answer(value), cx),
            Some(Asked::Remove(task, version, waiter)) => self.removed(task, version, waiter, answer(value), cx),
            Some(Asked::Expire(task)) => {
                if let Ok(Committed::Done { version }) = answer(value) {
                    log::warn!(target: "nodewright::steganography", "{task} was never acknowledged: it leaves the history");
                    self.history.set(task, None, version, cx.now());
                }
            }
            None => {}
        }
    }

    fn listed(
        &mut self,
        mut listed: BTreeSet<TaskId>,
        applied: Option<u64>,
        answer: Result<Got<Page>, CallError>,
        cx: Cx<'_, '_>,
    ) {
        let Ok(Got { applied: now_applied, value: page }) = answer else {
            return cx.set_timer(Timer::Again, AGAIN);
        };
        let applied = applied.unwrap_or(now_applied);
        for Entry { key, value, version } in page.entries {
            if let (Some(task), Some(assignment)) = (TaskId::of_key(&key), Assignment::decoded(&value)) {
                listed.insert(task.clone());
                self.history.set(task, Some(assignment), version, cx.now());
            }
        }
        if page.more {
            return self.list_history(Some((listed, applied)), cx);
        }
        self.history.keep_listed(&listed, applied, cx.now());
        self.history.told_through(applied);
        self.watch_history(cx);
        self.look_after(cx);
    }

    fn watched(&mut self, answer: Result<Got<Watched>, CallError>, cx: Cx<'_, '_>) {
        match answer {
            Ok(Got { value: Watched::Changes { changes, through }, .. }) => {
                // A list may have told more by now.
                let known = self.history.through;
                for change in changes.into_iter().filter(|change| Some(change.index) > known) {
                    let Some(task) = TaskId::of_key(&change.key) else { continue };
                    let assignment = change.value.as_deref().and_then(Assignment::decoded);
                    if self.history.set(task.clone(), assignment, change.index, cx.now()) {
                        self.moved_on(&task, cx);
                    }
                }
                let was_ready = self.ready_to_lead().is_some();
                self.history.told_through(through);
                self.watch_history(cx);
                if !was_ready {
                    self.look_after(cx); // a new leader knows all that was decided before it
                }
            }
            Ok(Got { value: Watched::Gone { .. }, .. }) => self.list_history(None, cx),
            Err(CallError::TimedOut(_)) => self.watch_history(cx),
            Err(_) => cx.set_timer(Timer::Again, AGAIN),
        }
    }

    fn looked(&mut self, task: TaskId, then: Then, answer: Result<Got<Vec<Option<Entry>>>, CallError>, cx: Cx<'_, '_>) {
        let waiter = match &then {
            Then::Submit(queued, _) => queued.waiter,
            Then::Acknowledge(waiter) => *waiter,
        };
        let Ok(got) = answer else { return self.refuse(waiter, Refused::NoLeader, cx) };
        let entry = got.value.into_iter().next().flatten();
        let held = entry.and_then(|entry| Some((Assignment::decoded(&entry.value)?, entry.version)));
        if let Some((assignment, version)) = &held {
            self.history.set(task.clone(), Some(assignment.clone()), *version, cx.now());
        }
        match (then, held) {
            (Then::Submit(queued, fence), Some((assignment, _))) => {
                self.take_in(queued, Some(fence), Some(&assignment), cx)
            }
            (Then::Acknowledge(waiter), Some((_, version))) => self.remove(task, version, waiter, cx),
            (_, None) => self.refuse(waiter, Refused::NoSuchTask, cx),
        }
    }

    fn removed(
        &mut self,
        task: TaskId,
        was: u64,
        waiter: Waiter,
        answer: Result<Committed, CallError>,
        cx: Cx<'_, '_>,
    ) {
        match answer {
            Ok(Committed::Done { version }) => {
                self.history.set(task.clone(), None, version, cx.now());
                self.recorded(task, was, cx);
                self.answer(waiter, Answer::Acked(true), cx);
            }
            // Assigned anew meanwhile: the client has its result all the same.
            Ok(Committed::Failed { found: Some(found), .. }) => self.remove(task, found.version, waiter, cx),
            Ok(Committed::Failed { found: None, at, .. }) => {
                self.history.set(task, None, at, cx.now());
                self.answer(waiter, Answer::Acked(false), cx);
            }
            Ok(Committed::Refused(_)) | Err(_) => self.refuse(waiter, Refused::NoLeader, cx),
        }
    }

    /// Who waits for an assignment that is under way.
    pub(super) fn waiting(&mut self, task: &TaskId) -> Vec<Waiter> {
        self.assigning.remove(task).map_or_else(Vec::new, |Assigning { waiters, .. }| waiters)
    }
}

fn answer<T: 'static>(value: Result<Erased, CallError>) -> Result<T, CallError> {
    let unreadable = || CallError::Failed("the map's answer is of another type".into());
    *value?.downcast::<Result<T, CallError>>().map_err(|_| unreadable())?
}
