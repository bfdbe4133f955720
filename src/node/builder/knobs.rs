//! Bounds and times with defaults: unit, relation to others, trade-off, sane value.

use super::Node;
use std::time::Duration;

/// Knobs with defaults.
#[derive(Clone, Debug)]
pub(in crate::node) struct Settings {
    pub(in crate::node) exclude_after: Duration,
    pub(in crate::node) unstable_bytes_max: u64,
    pub(in crate::node) window_bytes: u64,
    pub(in crate::node) slow_callback_after: Duration,
    pub(in crate::node) workers: usize,
    pub(in crate::node) trace_bytes_max: u64,
    pub(in crate::node) election_timeout: Duration,
    pub(in crate::node) election_pre_emption: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            exclude_after: Duration::from_secs(30),
            unstable_bytes_max: 4 << 20,
            window_bytes: 4 << 20,
            slow_callback_after: Duration::from_secs(1),
            workers: 2,
            trace_bytes_max: 256 << 20,
            election_timeout: Duration::from_secs(2),
            election_pre_emption: false,
        }
    }
}

impl Node {
    /// The unit of an election: a better node's answer is awaited for a quarter of
    /// it, its leadership for half; the lease in safe mode is three quarters. About
    /// as long as the detector takes to suspect. Shorter finds a leader sooner, and
    /// has more elections for nothing. 2 s; at least 40 ms.
    pub fn election_timeout(mut self, time: Duration) -> Self {
        self.settings.election_timeout = time;
        self
    }

    /// A better node may displace a leader that is up: by id any higher one, by
    /// load one that is better by 15 points and 30 % for 30 s; in either case none
    /// that led for less than 60 s. Off without this call: every change of leader
    /// costs those who work with it.
    pub fn election_pre_emption(mut self) -> Self {
        self.settings.election_pre_emption = true;
        self
    }

    /// A life that is suspected, or holds a delivery back, for this long is
    /// accused; a majority of accusations ends it. Many times the detector's
    /// timeout. Longer forgives longer pauses, shorter frees memory sooner.
    /// 30 s; at least 100 ms.
    pub fn exclude_after(mut self, time: Duration) -> Self {
        self.settings.exclude_after = time;
        self
    }

    /// Bytes held for one delivery because some life does not acknowledge,
    /// beyond which that life is accused of holding back. Larger bears longer
    /// pauses and costs that much memory per origin. 4 MiB; at least 64 KiB.
    pub fn unstable_bytes_max(mut self, bytes: u64) -> Self {
        self.at_least("unstable_bytes_max", bytes, 64 << 10);
        self.settings.unstable_bytes_max = bytes;
        self
    }

    /// Bytes broadcast by one delivery and not yet released, at which
    /// `broadcast` waits and `try_broadcast` is refused. Larger is faster over
    /// long links; all memory of deliveries is a multiple of it. 4 MiB; at
    /// least 64 KiB.
    pub fn window_bytes(mut self, bytes: u64) -> Self {
        self.at_least("window_bytes", bytes, 64 << 10);
        self.settings.window_bytes = bytes;
        self
    }

    /// Most bytes of the file of [`Node::trace`]: when they are used up, a mark
    /// says so and recording ends. A record has some 150 bytes. 256 MiB; at
    /// least 1 MiB.
    pub fn trace_bytes_max(mut self, bytes: u64) -> Self {
        self.at_least("trace_bytes_max", bytes, 1 << 20);
        self.settings.trace_bytes_max = bytes;
        self
    }

    /// Callbacks that take longer for one batch or event are reported: a
    /// warning, a count, and the event [`SlowCallback`](crate::node::SlowCallback).
    /// 1 s.
    pub fn slow_callback_after(mut self, time: Duration) -> Self {
        self.settings.slow_callback_after = time;
        self
    }

    /// Threads for components' long jobs, made when first needed. 2; at least 1.
    pub fn workers(mut self, threads: usize) -> Self {
        self.at_least("workers", threads as u64, 1);
        self.settings.workers = threads;
        self
    }

    fn at_least(&mut self, call: &str, value: u64, least: u64) {
        if value < least {
            self.bad(format!(".{call}({value})"), format!("at least {least} is needed"), format!(".{call}({least})"));
        }
    }
}
