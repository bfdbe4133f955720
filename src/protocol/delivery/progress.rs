//! How far each requester's broadcasts have come: cumulative counts, so that a
//! joined or lost report costs nothing.

use crate::component::{Failed, FailedWhy, Progress, Target};
use crate::id::Kind;
use std::collections::BTreeMap;

/// Counts of one requester and target.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Counts {
    requested: u64,
    delivered: u64,
    stable: u64,
    released_bytes: u64,
    failed: Option<Failed>,
    dirty: bool,
}

/// All counts of one delivery component.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Receipts {
    counts: BTreeMap<(Kind, Target), Counts>,
    dirty: bool,
}

impl Receipts {
    /// Counts requested messages; returns the first one's number.
    pub(super) fn requested(&mut self, channel: Kind, target: Target, messages: u32) -> u64 {
        let counts = self.counts.entry((channel, target)).or_default();
        let first = counts.requested + 1;
        counts.requested += u64::from(messages);
        first
    }

    pub(super) fn delivered(&mut self, channel: Kind, target: Target, messages: u32) {
        self.touch(channel, target).delivered += u64::from(messages);
    }

    /// Their copy is released: no life that is left lacks them.
    pub(super) fn stable(&mut self, channel: Kind, target: Target, messages: u32, bytes: u64) {
        let counts = self.touch(channel, target);
        counts.stable += u64::from(messages);
        counts.released_bytes += bytes;
    }

    /// Messages `first ..` failed; `delivered` and `stable` stay cumulative.
    pub(super) fn failed(
        &mut self,
        (channel, target): (Kind, Target),
        first: u64,
        messages: u32,
        bytes: u64,
        why: FailedWhy,
    ) {
        let counts = self.touch(channel, target);
        let last = first + u64::from(messages) - 1;
        let joined = counts.failed.filter(|failed| failed.why == why && failed.last + 1 == first);
        counts.failed = Some(Failed { first: joined.map_or(first, |failed| failed.first), last, why });
        counts.delivered += u64::from(messages);
        counts.stable += u64::from(messages);
        counts.released_bytes += bytes;
    }

    /// The next ones, which are not stable, never will be as far as is known here.
    pub(super) fn lost(&mut self, (channel, target): (Kind, Target), messages: u32, bytes: u64, delivered: bool) {
        if delivered {
            return self.stable(channel, target, messages, bytes);
        }
        let first = self.touch(channel, target).stable + 1;
        self.failed((channel, target), first, messages, bytes, FailedWhy::Ended);
    }

    /// Takes the reports that have news.
    pub(super) fn drain(&mut self, via: Kind, mut report: impl FnMut(Kind, Progress)) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        for ((channel, target), counts) in &mut self.counts {
            if std::mem::take(&mut counts.dirty) {
                let Counts { delivered, stable, released_bytes, failed, .. } = *counts;
                report(*channel, Progress { via, target: *target, delivered, stable, released_bytes, failed });
            }
        }
    }

    fn touch(&mut self, channel: Kind, target: Target) -> &mut Counts {
        self.dirty = true;
        let counts = self.counts.entry((channel, target)).or_default();
        counts.dirty = true;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cumulative_and_failures_join() {
        let mut receipts = Receipts::default();
        let key = (Kind(1), Target::All);
        assert_eq!(receipts.requested(key.0, key.1, 3), 1);
        assert_eq!(receipts.requested(key.0, key.1, 2), 4);
        receipts.failed(key, 1, 3, 30, FailedWhy::NotAVoter);
        receipts.failed(key, 4, 2, 20, FailedWhy::NotAVoter);
        let mut seen = Vec::new();
        receipts.drain(Kind(9), |_, progress| seen.push(progress));
        receipts.drain(Kind(9), |_, progress| seen.push(progress));
        assert_eq!(seen.len(), 1, "no news, no report");
        assert_eq!(seen[0].failed, Some(Failed { first: 1, last: 5, why: FailedWhy::NotAVoter }));
        assert_eq!((seen[0].delivered, seen[0].released_bytes), (5, 50));
    }
}
