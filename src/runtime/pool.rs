//! Worker threads for long work, and the one thread for disk operations.
//!
//! **Bound.** The number of threads is fixed; the queue holds what components
//! have outstanding, which their tokens bound.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// A piece of work.
pub(super) type Work = Box<dyn FnOnce() + Send>;

/// With one thread, work is done in the order in which it was handed in.
pub(super) struct Pool {
    /// `None` tells one thread to end.
    queue: flume::Sender<Option<Work>>,
    /// Locked to start and to stop only.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts `size` threads named `name` and a number. They end when the pool
    /// is stopped or dropped.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(super) fn start(name: &str, size: usize) -> io::Result<Self> {
        let (queue, queued) = flume::unbounded::<Option<Work>>();
        let pool = Pool { queue, threads: Mutex::new(Vec::new()) };
        for n in 0..size {
            let queued = queued.clone();
            let worker = Builder::new().name(format!("{name}{n}")).spawn(move || {
                while let Ok(Some(work)) = queued.recv() {
                    if catch_unwind(AssertUnwindSafe(work)).is_err() {
                        log::error!(target: "nodewright::runtime", "a piece of work panicked unseen");
                    }
                }
            });
            match worker {
                Ok(worker) => pool.threads.lock().unwrap_or_else(PoisonError::into_inner).push(worker),
                Err(error) => {
                    pool.stop();
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    pub(super) fn run(&self, work: Work) {
        // Work that comes after the end is dropped with the queue.
        let _ = self.queue.send(Some(work));
    }

    /// Ends the threads after what was handed in before.
    pub(super) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for _ in &threads {
            let _ = self.queue.send(None);
        }
        for thread in threads {
            // Its panics are caught inside.
            let _ = thread.join();
        }
    }
}
