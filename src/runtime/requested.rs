//! What a component asked of deliveries, counted over its restarts.
//!
//! A delivery counts a channel's requests over the whole life; a component made
//! anew counts its own from one. The difference is taken off each report.

use crate::codec::Batch;
use crate::component::{Failed, Progress, Target};
use crate::id::Kind;
use std::collections::BTreeMap;

/// Messages and bytes.
type Count = (u64, u64);

#[derive(Default)]
pub(super) struct Requested {
    /// By delivery and target: all so far, and what fallen predecessors asked.
    counts: BTreeMap<(Kind, Target), (Count, Count)>,
}

impl Requested {
    pub(super) fn add(&mut self, via: Kind, target: Target, batch: &Batch) {
        let ((messages, bytes), _) = self.counts.entry((via, target)).or_default();
        *messages += u64::from(batch.count());
        *bytes += batch.run().len() as u64;
    }

    pub(super) fn begin_anew(&mut self) {
        for (all, before) in self.counts.values_mut() {
            *before = *all;
        }
    }

    /// The report without what predecessors asked.
    pub(super) fn own(&self, progress: Progress) -> Progress {
        let Some((_, (messages, bytes))) = self.counts.get(&(progress.via, progress.target)) else { return progress };
        let failed = progress.failed.filter(|failed| failed.last > *messages);
        Progress {
            delivered: progress.delivered.saturating_sub(*messages),
            stable: progress.stable.saturating_sub(*messages),
            released_bytes: progress.released_bytes.saturating_sub(*bytes),
            failed: failed.map(|failed| Failed {
                first: failed.first.saturating_sub(*messages).max(1),
                last: failed.last - messages,
                why: failed.why,
            }),
            ..progress
        }
    }
}
