//! The one place of a running node that reads the monotonic clock.

use crate::time::Time;
use std::time::{Duration, Instant};

/// Measures [`Time`] from the start of the driver; it goes on over lives.
#[derive(Copy, Clone, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { origin: Instant::now() }
    }

    pub(super) fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The instant of `time`; far away ones stand for "never" and are cut to a
    /// century, which every platform's clock can hold.
    pub(super) fn instant(&self, time: Time) -> Instant {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.origin + Duration::from_nanos(time.0).min(CENTURY)
    }
}
