//! Broadcasts at a steady rate, on a thread of its own: a full window makes
//! it wait, and nothing else.

use super::session::Session;
use crate::cli::payload;
use crate::node::Running;
use crate::protocol::delivery::Delivery;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(super) struct Broadcaster {
    hushed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A node that was paused or that waited for room does not make up for more
/// than this.
const BACKLOG_MAX: Duration = Duration::from_millis(200);

impl Broadcaster {
    pub(super) fn start(
        running: Running,
        session: Arc<Session>,
        delivery: Delivery,
        interval: Duration,
        size: usize,
    ) -> io::Result<Self> {
        let hushed = Arc::new(AtomicBool::new(false));
        let told = hushed.clone();
        let pace = move || {
            let mut due = Instant::now();
            while !told.load(Ordering::Relaxed) {
                let now = Instant::now();
                if now < due {
                    std::thread::park_timeout(due - now);
                    continue;
                }
                due = due.max(now - BACKLOG_MAX) + interval;
                broadcast(&running, &session, delivery, size);
            }
        };
        let thread = std::thread::Builder::new().name("broadcaster".into()).spawn(pace)?;
        Ok(Broadcaster { hushed, thread: Some(thread) })
    }

    /// Ends the broadcasts; the last one may still be waiting for room.
    pub(super) fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        self.hush();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the broadcaster panicked");
        }
    }
}

fn broadcast(running: &Running, session: &Session, delivery: Delivery, size: usize) {
    let Some(chapter) = session.current() else { return };
    let n = chapter.broadcast();
    if let Err(error) = running.broadcast(delivery, payload::write(chapter.life, n, size).as_slice()) {
        log::info!("broadcast {n} of {}: {error}", chapter.life);
        chapter.refused(n);
    }
}
