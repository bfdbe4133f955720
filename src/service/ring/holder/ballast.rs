//! Room that is kept so that a full disk can be emptied: a deletion is a record of two
//! logs before a byte goes.
//!
//! ```text
//!   a life begins       ballast removed, the directory put in order, ballast made again
//!   the disk is full    ballast removed: its room is for logs; parts are refused as Full
//!   something was removed, or after a while    made again, if there is room; parts are taken
//! ```

use super::component::{Cx, Holder, Timer};
use super::steps::Then;
use crate::component::DiskOp;
use std::io;
use std::time::Duration;

/// The file.
const BALLAST: &str = "ballast";
/// While it is missing it is made again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How the room is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kept {
    /// It is not known yet; parts are taken as if it were.
    #[default]
    Asked,
    There,
    /// The disk is full.
    Gone,
}

/// See [the module](self).
#[derive(Default)]
pub(super) struct Ballast {
    /// 0: none is kept.
    pub(super) bytes: u64,
    pub(super) kept: Kept,
}

impl Ballast {
    /// What makes room before the directory is put in order.
    pub(super) fn before_boot(&self) -> Option<DiskOp> {
        (self.bytes > 0).then(|| DiskOp::Remove { name: BALLAST.into() })
    }

    /// Whether parts have to be refused.
    pub(super) fn is_gone(&self) -> bool {
        self.kept == Kept::Gone
    }
}

impl Holder {
    pub(super) fn make_ballast(&mut self, cx: Cx<'_, '_>) {
        if self.ballast.bytes > 0 && self.ballast.kept != Kept::There {
            let token = cx.disk(DiskOp::Allocate { name: BALLAST.into(), bytes: self.ballast.bytes });
            self.work.insert(token, Then::Ballast);
        }
    }

    pub(super) fn ballast_made(&mut self, result: &io::Result<()>, cx: Cx<'_, '_>) {
        match result {
            Ok(()) => self.ballast.kept = Kept::There,
            // a part of it may lie there
            Err(_) => self.drop_ballast(cx),
        }
    }

    /// The disk is full.
    pub(super) fn drop_ballast(&mut self, cx: Cx<'_, '_>) {
        if self.ballast.bytes == 0 {
            return;
        }
        if self.ballast.kept == Kept::There {
            log::warn!(target: "nodewright::ring_holder", "{}: the disk is full; what is kept free is for deletions", cx.me());
        }
        self.ballast.kept = Kept::Gone;
        self.must(DiskOp::Remove { name: BALLAST.into() }, cx);
        cx.set_timer(Timer::Ballast, AGAIN_AFTER);
    }
}
