//! Parts that are acknowledged once they are written, and synced soon after: many with
//! one sync of their directories and of the log.

use super::super::durability::GROUP_WITHIN;
use super::super::parts_log::PartId;
use super::component::{Cx, Holder, Mutant, Timer};
use super::shelf::{LOG, directory};
use super::steps::{Sealed, Then};
use crate::component::DiskOp;
use bytes::Bytes;
use std::collections::BTreeSet;

/// See [the module](self).
#[derive(Default)]
pub(super) struct Group {
    /// They have their names; their records go out with the next write of the log.
    pub(super) written: Vec<Sealed>,
    /// Acknowledged and not synced. Where there are some, the timer runs.
    unsynced: BTreeSet<PartId>,
}

impl Holder {
    /// Records of parts for which no sync is waited: the log is in order, so the next
    /// sync, whoever asks for it, is theirs too.
    pub(super) fn append_written(&mut self, cx: Cx<'_, '_>) {
        if self.group.written.is_empty() {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut self.records));
        let token = cx.disk(DiskOp::Append { name: LOG.into(), bytes });
        self.work.insert(token, Then::Written(std::mem::take(&mut self.group.written)));
    }

    /// The part is synced with all else that comes within [`GROUP_WITHIN`].
    pub(super) fn group_later(&mut self, id: PartId, cx: Cx<'_, '_>) {
        if self.group.unsynced.is_empty() {
            cx.set_timer(Timer::Group, GROUP_WITHIN);
        }
        self.group.unsynced.insert(id);
    }

    /// All that was only written, wherever it lies by now.
    pub(super) fn sync_group(&mut self, cx: Cx<'_, '_>) {
        let all = std::mem::take(&mut self.group.unsynced);
        if self.has(Mutant::GroupForgotten) {
            return;
        }
        let mut directories = BTreeSet::new();
        for id in all {
            // one that is gone needs no sync
            let Some(part) = self.shelf.parts.get(&id) else { continue };
            directories.insert(directory(part.place));
            let token = cx.disk(DiskOp::Sync { name: part.file(id, part.place) });
            self.work.insert(token, Then::Synced);
        }
        for name in directories {
            self.must(DiskOp::SyncDir { name: name.into() }, cx);
        }
        self.must(DiskOp::Sync { name: LOG.into() }, cx);
    }
}
