//! The threads of a node's links, and the one signal that stops them.

use super::StartError;
use super::peer::lock;
use super::shared::Shared;
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts the threads that run. A lock, because a stop has to wait for all of
/// them and a pause has to end with it.
#[derive(Debug, Default)]
pub(super) struct Crew {
    state: Mutex<CrewState>,
    change: Condvar,
}

thread_local! {
    /// Whether the thread is one of some links' crew.
    static IN_CREW: Cell<bool> = const { Cell::new(false) };
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
            IN_CREW.set(true);
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

    /// Waits until all have ended, or the deadline; how many have not. One of
    /// the crew, which lets go of the last handle, does not wait for itself.
    pub(super) fn ended(&self, within: Duration) -> usize {
        if IN_CREW.get() {
            return 0;
        }
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
