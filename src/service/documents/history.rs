//! The newest changes, for watches. Part of the replicated state: what one replica
//! tells, all tell, also after a restart and after a snapshot.

use super::document::Document;
use super::limits::Limits;
use super::question::{ANSWER_BYTES, ANSWER_MAX, Change, Changed, Watch, Watched};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a change takes beside its bytes.
const CHANGE_BYTES: usize = 96;
/// Changes of other collections behind a watch's index, after which it is told.
const OTHERS_MAX: usize = 1024;

/// A change, sharing what the state holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) index: u64,
    pub(super) collection: Arc<str>,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Put(Arc<str>, Document),
    Deleted(Arc<str>),
    Dropped,
}

impl Told {
    fn bytes(&self) -> usize {
        CHANGE_BYTES
            + match &self.what {
                What::Put(id, document) => id.len() + document.len(),
                What::Deleted(id) => id.len(),
                What::Dropped => 0,
            }
    }

    pub(super) fn change(&self) -> Change {
        let what = match &self.what {
            What::Put(id, document) => Changed::Put(id.to_string(), document.clone()),
            What::Deleted(id) => Changed::Deleted(id.to_string()),
            What::Dropped => Changed::Dropped,
        };
        Change { index: self.index, collection: self.collection.to_string(), what }
    }
}

/// See the module.
#[derive(Default, Clone)]
pub(super) struct History {
    changes: VecDeque<Told>,
    bytes: usize,
    /// All changes behind this index are held.
    pub(super) from: u64,
}

impl History {
    pub(super) fn push(&mut self, told: Told, limits: &Limits) {
        self.bytes += told.bytes();
        self.changes.push_back(told);
        while self.changes.len() > limits.history_max || self.bytes > limits.history_bytes_max {
            // those of one index go together: what is told is never a part of it
            let Some(index) = self.changes.front().map(|told| told.index) else { break };
            while let Some(gone) = self.changes.pop_front_if(|told| told.index == index) {
                self.bytes -= gone.bytes();
            }
            self.from = index;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Told> {
        self.changes.iter()
    }

    /// What a watch is answered with; `None` while there is nothing to tell. (`late`
    /// is planted: it goes on one index too late.)
    pub(super) fn watch(&self, applied: u64, watch: &Watch, late: bool) -> Option<Watched> {
        let after = watch.after + u64::from(late);
        if watch.after < self.from {
            return Some(Watched::Gone { oldest: applied });
        }
        let limit = (watch.limit as usize).clamp(1, ANSWER_MAX);
        let (mut changes, mut bytes, mut through) = (Vec::<Change>::new(), 0, applied);
        let from = self.changes.partition_point(|told| told.index <= after);
        let others = self.changes.len() - from;
        let concerns = |told: &&Told| watch.collection.as_ref().is_none_or(|name| **name == *told.collection);
        for told in self.changes.range(from..).filter(concerns) {
            let last = changes.last().map_or(0, |last| last.index);
            if (changes.len() >= limit || bytes > ANSWER_BYTES) && told.index != last {
                through = last;
                break;
            }
            bytes += told.bytes();
            changes.push(told.change());
        }
        // who waits for something rare hears now and then how far it has come
        (!changes.is_empty() || others >= OTHERS_MAX).then_some(Watched::Changes { changes, through })
    }
}
