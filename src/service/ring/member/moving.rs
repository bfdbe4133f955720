//! One file moves to other nodes: pulled from where it lies, verified, and pushed as a
//! content of its own, which takes the place of the old one in one transaction.
//!
//! ```text
//!   pull, verified -> push to the new slots -> sealed -> {the file is what was copied}
//!                                                        ring/f/<name> = new slots, next version
//!                                                        ring/o/<name> = the old ones, for a while
//! ```
//!
//! **Guarantee.** It is the file's bytes that move and nothing else: the root has to be the
//! same before anything is sealed, and the transaction is done only while the file is
//! still the content that was copied. Readers find the old copies until it is done, and
//! for [`KEPT_FOR`] afterwards; one that is slower goes on with the new ones
//! ([`reading`](super::reading)).

use super::asking::Why;
use super::component::{Cx, Ring};
use super::message::{Ask, Got};
use super::push::{Moves, Push, WINDOW};
use super::reading::{Asked, hear};
use super::{MOVER, Mutant};
use crate::id::NodeId;
use crate::service::ring::cuts::Cuts;
use crate::service::ring::decide::File;
use crate::service::ring::manifest::{Manifest, PushId};
use crate::service::ring::parts_log::PartId;
use crate::service::ring::placement::slots;
use crate::service::ring::pull::{AHEAD_MAX, Pull, Taken};
use crate::service::ring::sums::Hash;
use crate::service::ring::text::reply::{Code, coded};
use bytes::Bytes;
use std::time::Duration;

/// Copies that were moved away are kept so long for whoever reads them.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(30);
/// A holder that does not answer within this time is asked no more.
const HOLDER_WITHIN: Duration = Duration::from_secs(10);

/// A file on its way.
pub(super) struct Moving {
    pull: Pull,
    from: PushId,
    bytes: u64,
}

impl Ring {
    /// The slots that a push of this file would have today, from its own first node on.
    fn slots_today(&self, manifest: &Manifest, cx: Cx<'_, '_>) -> Vec<NodeId> {
        let (me, now, ring) = (cx.me().node, cx.now(), self.topology.ring());
        let takes = |node: NodeId| self.peers.takes(node, me, now);
        let there = ring.iter().filter(|node| takes(**node)).count() as u16;
        let width = Cuts::width(manifest.cuts.size(), there, self.config.min_part);
        let width = width.max(manifest.copies.into()).min(there.max(1));
        let first = manifest.slots.iter().copied().find(|node| ring.contains(node)).unwrap_or(me);
        slots(&ring, first, width, takes)
    }

    pub(super) fn lies_right(&self, manifest: &Manifest, cx: Cx<'_, '_>) -> bool {
        let today = self.slots_today(manifest, cx);
        today.is_empty() || today == manifest.slots
    }

    pub(super) fn move_file(&mut self, manifest: Manifest, cx: Cx<'_, '_>) {
        let slots = self.slots_today(&manifest, cx);
        let members = self.holding(&manifest);
        self.pushed += 1;
        let cuts = Cuts::new(manifest.cuts.size(), slots.len() as u16, manifest.cuts.is_exact());
        let intent = Manifest {
            push: PushId { life: cx.me(), number: self.pushed },
            cuts,
            digests: vec![Hash::default(); slots.len()],
            slots,
            ..manifest.clone()
        };
        let moves = Moves { push: manifest.push, root: manifest.root };
        self.pushes.insert(MOVER, Push::moving(intent, moves));
        let (from, bytes) = (manifest.push, manifest.cuts.size());
        let pull = Pull::new(manifest, &members, 0, bytes);
        let asks: Vec<(u16, NodeId)> = pull.asks().collect();
        self.rebalance.moving = Some(Moving { pull, from, bytes });
        for (part, node) in asks {
            let why = Why::Move(Asked::Has(from, part));
            self.ask(node, Ask::Has(PartId { push: from, part }), Bytes::new(), why, HOLDER_WITHIN, cx);
        }
        self.begin(MOVER, cx);
    }

    /// A holder answers, or does not.
    pub(super) fn move_heard(&mut self, asked: Asked, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        let Some(moving) = self.rebalance.moving.as_mut().filter(|moving| moving.from == asked.push()) else { return };
        hear(&mut moving.pull, asked, node, got);
        let (from, reports) = (moving.from, moving.pull.reports());
        for report in reports {
            self.reported(from, report, cx);
        }
        self.move_on(cx);
    }

    /// Goes on as far as it can, and as the rate lets it.
    pub(super) fn move_on(&mut self, cx: Cx<'_, '_>) {
        loop {
            let Some(push) = self.pushes.get(&MOVER) else { return };
            let takes = push.takes_bytes() && push.under_way() < WINDOW;
            let Some(moving) = self.rebalance.moving.as_mut() else { return };
            let from = moving.from;
            match moving.pull.plan() {
                None => return,
                Some(Ok(())) => {}
                Some(Err(lost)) => return self.fail_push(MOVER, lost.to_string(), cx),
            }
            let mut fetches = Vec::new();
            while let Some(fetch) = moving.pull.wants(AHEAD_MAX) {
                fetches.push(fetch);
            }
            let taken = if takes && self.rebalance.budget > 0 { moving.pull.take() } else { Taken::Later };
            for fetch in fetches {
                let id = PartId { push: from, part: fetch.part };
                let ask = Ask::Read { id, offset: fetch.offset, bytes: fetch.bytes };
                let why = Why::Move(Asked::Block(from, fetch));
                self.ask(fetch.node, ask, Bytes::new(), why, HOLDER_WITHIN, cx);
            }
            match taken {
                Taken::Bytes(bytes) => {
                    self.rebalance.budget -= bytes.len() as i64;
                    self.push_bytes(MOVER, bytes, cx);
                }
                Taken::Later => return,
                Taken::Done => return self.push_ends(MOVER, cx),
                Taken::Lost(lost) => return self.fail_push(MOVER, lost.to_string(), cx),
            }
        }
    }

    /// The move is over: it is the file, or came to nothing.
    pub(super) fn move_over(&mut self, stored: bool, cx: Cx<'_, '_>) {
        let bytes = self.rebalance.moving.as_ref().map(|moving| moving.bytes);
        self.moved(bytes.filter(|_| stored), cx);
    }

    /// Why the file that was copied is not to be replaced.
    pub(super) fn forbids_move(&self, moves: &Moves, file: &File) -> Option<String> {
        let same = file.live().is_some_and(|live| live.push == moves.push);
        if self.has(Mutant::MovesBlindly) || same && file.before.is_none() {
            return None;
        }
        Some(coded(Code::Conflict, "the file has changed while it was moved: it stays as it is"))
    }
}
