//! Windows: how much a user may have under way, and how far it has come.
//!
//! What is asked of one delivery for one target is numbered from 1; the
//! delivery reports cumulative counts ([`Progress`]). A window is the bytes
//! asked for less the bytes that the delivery released: at the bound the
//! *user's* call waits or is refused, never a component.
//!
//! Numbers count within one life of this node. When a life ends its windows
//! close, what waits for a receipt learns that the outcome is unknown, and the
//! next life opens them afresh.

use super::error::SendError;
use super::receipt::Outcome;
use crate::codec::Batch;
use crate::component::{Failed, FailedWhy, Progress, Target};
use crate::error::CallError;
use crate::id::{Kind, Life};
use crate::protocol::delivery::Delivery;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a send may wait for room.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    Forever,
    None,
}

/// Runs of failed requests that are remembered for receipts. A receipt from
/// before the oldest one forgotten is told that its outcome is unknown.
const FAILED_RUNS_MAX: usize = 256;

#[derive(Default)]
struct Window {
    requested: u64,
    requested_bytes: u64,
    progress: Option<Progress>,
    failed: VecDeque<Failed>,
    /// The last request of the failed runs that are no longer remembered.
    forgotten: u64,
    /// Who waits for a request's outcome.
    waiting: Waiting,
}

/// Threads that wait, by what they wait for: a report wakes those whose request
/// it settles and lets all others sleep. With one queue for all, each report
/// would wake each of them.
#[derive(Default)]
struct Waiting(BTreeMap<(Outcome, u64, u64), Arc<Condvar>>);

impl Waiting {
    /// Those for whom this much is enough leave.
    fn settled(&mut self, outcome: Outcome, through: u64) -> Vec<Arc<Condvar>> {
        self.0
            .extract_if((outcome, 0, 0)..=(outcome, through, u64::MAX), |_, _| true)
            .map(|(_, waiter)| waiter)
            .collect()
    }
}

impl Window {
    fn outstanding_bytes(&self) -> u64 {
        self.requested_bytes.saturating_sub(self.progress.map_or(0, |progress| progress.released_bytes))
    }

    fn outcome(&self, number: u64) -> Option<Result<Outcome, CallError>> {
        if let Some(failed) = self.failed.iter().find(|failed| (failed.first..=failed.last).contains(&number)) {
            return Some(Err(match failed.why {
                FailedWhy::Ended => CallError::Ended("the life it was for".into()),
                FailedWhy::NotAVoter => CallError::Refused("this node has no vote and cannot broadcast".into()),
                FailedWhy::Target => CallError::Refused("this delivery cannot send to a single node".into()),
            }));
        }
        if number <= self.forgotten {
            let why = format!("it was sent before {FAILED_RUNS_MAX} failures, more than are remembered");
            return Some(Err(CallError::Ended(why)));
        }
        let progress = self.progress?;
        match () {
            () if progress.stable >= number => Some(Ok(Outcome::Stable)),
            () if progress.delivered >= number => Some(Ok(Outcome::Delivered)),
            () => None,
        }
    }
}

enum Phase {
    /// Between two lives, or before the first.
    Closed,
    Open(Life),
    /// The node stopped for good.
    Over,
}

struct State {
    phase: Phase,
    /// The life whose numbers `windows` holds.
    counted: Option<Life>,
    windows: BTreeMap<(Kind, Target), Window>,
    /// Waits so far: tells two for the same request apart.
    waits: u64,
}

impl State {
    /// Numbers begin anew with each life.
    fn count_for(&mut self, life: Life) {
        if self.counted.replace(life) != Some(life) {
            self.wake_all();
            self.windows.clear();
        }
    }

    /// Whoever waits for an outcome is to look again.
    fn wake_all(&self) {
        self.windows.values().flat_map(|window| window.waiting.0.values()).for_each(|waiter| waiter.notify_one());
    }
}

/// All windows of a node: shared by its `app` component, which hears of
/// progress, and by the user's threads, which wait for it.
pub(super) struct Windows {
    /// One lock, taken twice a batch and once a report: users' threads sleep on
    /// it, and a new life voids all windows at once. No code of a component or of
    /// the user runs under it.
    state: Mutex<State>,
    /// Where those sleep that wait for room.
    moved: Condvar,
    bytes_max: u64,
}

/// Room in a window, taken for one batch.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reserved {
    life: Life,
    key: (Kind, Target),
    bytes: u64,
    count: u64,
}

/// Names a request for its receipt.
#[derive(Copy, Clone, Debug)]
pub(super) struct Ticket {
    life: Life,
    via: Kind,
    target: Target,
    number: u64,
}

thread_local! {
    /// Whether this thread runs a callback: it must not wait for what only it
    /// can bring.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
    /// Where this thread sleeps until a request of its own is settled.
    static OWN: Arc<Condvar> = Arc::default();
}

/// Runs `callback`, marked as one.
pub(super) fn as_callback<R>(callback: impl FnOnce() -> R) -> R {
    IN_CALLBACK.set(true);
    let result = callback();
    IN_CALLBACK.set(false);
    result
}

impl Windows {
    pub(super) fn new(bytes_max: u64) -> Self {
        let state = State { phase: Phase::Closed, counted: None, windows: BTreeMap::new(), waits: 0 };
        Windows { state: Mutex::new(state), moved: Condvar::new(), bytes_max }
    }

    /// No code under the lock panics between two changes: a poisoned state is
    /// a whole one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins. The same life again (its `app` restarted) goes on.
    pub(super) fn open(&self, life: Life) {
        let mut state = self.state();
        state.count_for(life);
        if !matches!(state.phase, Phase::Over) {
            state.phase = Phase::Open(life);
        }
        self.moved.notify_all();
    }

    /// The node has started: there is room before its `app` component has said
    /// so.
    pub(super) fn open_first(&self, life: Life) {
        if self.state().counted.is_none() {
            self.open(life);
        }
    }

    /// The `app` component of `life` is gone; of no consequence once the next
    /// life has begun.
    pub(super) fn close(&self, life: Life) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Open(open) if open == life) {
            state.phase = Phase::Closed;
        }
        state.wake_all();
        self.moved.notify_all();
    }

    /// The node stopped for good: nobody waits any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.phase = Phase::Over;
        state.wake_all();
        self.moved.notify_all();
    }

    /// A delivery reports.
    pub(super) fn progress(&self, progress: Progress) {
        let mut state = self.state();
        let window = state.windows.entry((progress.via, progress.target)).or_default();
        let (mut delivered, mut stable) = (progress.delivered.max(progress.stable), progress.stable);
        if let Some(failed) = progress.failed.filter(|failed| window.failed.back() != Some(failed)) {
            match window.failed.back_mut() {
                Some(last) if last.first == failed.first && last.why == failed.why => *last = failed,
                _ => window.failed.push_back(failed),
            }
            if window.failed.len() > FAILED_RUNS_MAX
                && let Some(oldest) = window.failed.pop_front()
            {
                window.forgotten = oldest.last;
            }
            (delivered, stable) = (u64::MAX, u64::MAX); // all are to look
        }
        window.progress = Some(progress);
        let mut settled = window.waiting.settled(Outcome::Delivered, delivered);
        settled.append(&mut window.waiting.settled(Outcome::Stable, stable));
        drop(state);
        settled.iter().for_each(|waiter| waiter.notify_one());
        self.moved.notify_all();
    }

    /// Waits until there is room for `batch`, and takes it. A batch larger than
    /// the window goes alone.
    pub(super) fn reserve(
        &self,
        via: Delivery,
        target: Target,
        batch: &Batch,
        patience: Patience,
    ) -> Result<Reserved, SendError> {
        let bytes = batch.run().len() as u64;
        let key = (via.kind(), target);
        let mut state = self.state();
        let life = loop {
            match state.phase {
                Phase::Over => return Err(SendError::Stopping),
                Phase::Open(life) => {
                    let outstanding = state.windows.get(&key).map_or(0, Window::outstanding_bytes);
                    if outstanding == 0 || outstanding + bytes <= self.bytes_max {
                        break life;
                    }
                    if patience == Patience::None || IN_CALLBACK.get() {
                        let (window, in_callback) = (self.bytes_max, IN_CALLBACK.get());
                        return Err(SendError::WindowFull { via, outstanding, window, in_callback });
                    }
                }
                Phase::Closed if patience == Patience::None || IN_CALLBACK.get() => {
                    return Err(SendError::BetweenLives);
                }
                Phase::Closed => {}
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.windows.entry(key).or_default().requested_bytes += bytes;
        Ok(Reserved { life, key, bytes, count: u64::from(batch.count()) })
    }

    /// Numbers a reserved batch as `life` gets it: perhaps a later life than
    /// the one that had room for it.
    pub(super) fn number(&self, reserved: Reserved, life: Life) -> Ticket {
        let Reserved { key, bytes, count, .. } = reserved;
        let mut state = self.state();
        state.count_for(life);
        let window = state.windows.entry(key).or_default();
        window.requested += count;
        if life != reserved.life {
            window.requested_bytes += bytes;
        }
        Ticket { life, via: key.0, target: key.1, number: window.requested }
    }

    /// Bytes asked of a delivery for a target and not yet released.
    pub(super) fn outstanding_bytes(&self, via: Kind, target: Target) -> u64 {
        self.state().windows.get(&(via, target)).map_or(0, Window::outstanding_bytes)
    }

    /// Waits until `ticket` has come so far, or never will.
    pub(super) fn wait(&self, ticket: Ticket, wanted: Outcome, timeout: Duration) -> Result<Outcome, CallError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            let known =
                state.windows.get(&(ticket.via, ticket.target)).and_then(|window| window.outcome(ticket.number));
            if state.counted != Some(ticket.life) {
                return Err(CallError::Ended("this node went on as a new life".into()));
            }
            match known {
                Some(Ok(outcome)) if outcome < wanted => {}
                Some(known) => return known,
                None => {}
            }
            if matches!(state.phase, Phase::Over) {
                return Err(CallError::Ended("this node stopped".into()));
            }
            if IN_CALLBACK.get() {
                return Err(CallError::Refused(
                    "a callback cannot wait for a receipt: it would wait for itself".into(),
                ));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::TimedOut(timeout));
            }
            let key = (ticket.via, ticket.target);
            state.waits += 1;
            let (own, wait) = (OWN.with(Arc::clone), (wanted, ticket.number, state.waits));
            state.windows.entry(key).or_default().waiting.0.insert(wait, own.clone());
            state = own.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if let Some(window) = state.windows.get_mut(&key) {
                window.waiting.0.remove(&wait);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn a_failure_that_is_no_longer_remembered_never_reads_as_delivered() {
        let (life, via) = (Life::new(NodeId(1), 1), Delivery::BestEffort.kind());
        let windows = Windows::new(1 << 20);
        windows.open(life);
        let failures = FAILED_RUNS_MAX as u64 + 1;
        for run in 1..=failures {
            let number = 2 * run; // every second one fails
            let failed = Some(Failed { first: number, last: number, why: FailedWhy::Ended });
            let (delivered, stable, released_bytes) = (number, number, 0);
            windows.progress(Progress { via, target: Target::All, delivered, stable, released_bytes, failed });
        }
        let outcome = |number| {
            windows.wait(Ticket { life, via, target: Target::All, number }, Outcome::Delivered, Duration::ZERO)
        };
        assert!(matches!(outcome(2), Err(CallError::Ended(_))), "the forgotten failure");
        assert!(matches!(outcome(4), Err(CallError::Ended(_))), "the oldest remembered one");
        assert_eq!(outcome(5), Ok(Outcome::Stable));
    }
}
