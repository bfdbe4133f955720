//! A thread beside the components: notices a callback that does not come back,
//! and the end of the node.

use super::app::Shared;
use super::running::Started;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Since when callbacks have been running, if they are: written by the `app`
/// component, read from outside, because a component that is stuck says nothing.
pub(super) struct Busy {
    origin: Instant,
    /// Nanoseconds after `origin`, 0 while idle.
    since: AtomicU64,
}

impl Default for Busy {
    fn default() -> Self {
        Busy { origin: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl Busy {
    pub(super) fn begin(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.origin).as_nanos();
        self.since.store(u64::try_from(nanos).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// The beginning of the present batch, as a mark, and how long ago it was.
    pub(super) fn running_for(&self) -> Option<(u64, Duration)> {
        let since = self.since.load(Ordering::Relaxed);
        (since > 0).then(|| (since, self.origin.elapsed().saturating_sub(Duration::from_nanos(since))))
    }
}

/// Watches over the node until it ends; then nobody waits for a receipt or for
/// room any more.
pub(super) fn over(node: &Arc<Started>) -> Result<(), String> {
    let (lives, shared, name) = (node.handle.lives(), node.shared.clone(), node.name.clone());
    let watching = move || {
        let mut reported = 0;
        while !matches!(lives.recv_timeout(EVERY), Err(flume::RecvTimeoutError::Disconnected)) {
            look(&shared, &name, &mut reported);
        }
        shared.windows.end();
    };
    let spawned = std::thread::Builder::new().name(format!("nw-{}-watch", node.name)).spawn(watching);
    spawned.map(drop).map_err(|error| {
        node.handle.stop();
        format!("no thread could be started: {error}")
    })
}

/// Reports a batch of callbacks once.
fn look(shared: &Shared, name: &str, reported: &mut u64) {
    let stuck = shared.busy.running_for().filter(|(_, time)| *time >= shared.slow_after);
    if let Some((mark, time)) = stuck.filter(|(mark, _)| mark != reported) {
        *reported = mark;
        log::warn!(
            target: "nodewright::app",
            "{name}: a callback has been running for {time:.1?}; other callbacks wait, heartbeats do not"
        );
    }
}
