//! A pull: planned before its first byte, verified block by block.
//!
//! ```text
//!   asks -> who has which part, and its blocks' hashes     no source for a part: an error, and no byte
//!   wants -> a block from a part's best source             bad or missing: the next source, and a report
//!   take  -> verified bytes, in the file's order           no source is left: the connection has to be cut
//! ```
//!
//! **Guarantee.** A byte that is taken is a byte of the content that the manifest
//! names: a list of hashes is a source's only if the part's digest vouches for it,
//! a block is taken only if the list does. A file is refused before its first byte
//! if some part has no source.
//!
//! **Bounds.** [`AHEAD_MAX`] blocks are asked for or held at once; and 32 bytes for
//! each block of the range. Who asks sets the deadlines, and says [`Pull::failed`].

use super::cuts::Piece;
use super::holder::Held;
use super::manifest::Manifest;
use super::parts_log::Place;
use super::sums::{Hash, block_hash, block_offset, part_digest};
use crate::id::NodeId;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most blocks that are asked for or held at once.
pub const AHEAD_MAX: usize = 4;

/// A block to be read from a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// From whom.
    pub node: NodeId,
    /// The part, from 1.
    pub part: u16,
    /// Which block of it, from 0.
    pub block: u64,
    /// Where the block begins in the part, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// Something that repair has to hear of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Report {
    /// The node whose copy it is.
    pub node: NodeId,
    /// The part, from 1.
    pub part: u16,
    /// What is wrong with it.
    pub what: Fault,
}

/// What is wrong with a copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// It is not there, or it is another one.
    Missing,
    /// A block is not what it was.
    Bad,
    /// The node does not answer.
    Silent,
}

/// A part that cannot be read now. It is not lost: its holders may come back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("part {part}/{parts} cannot be read")]
pub struct Unavailable {
    /// Which.
    pub part: u16,
    /// Of how many.
    pub parts: u16,
    /// Who should have it.
    pub holders: Vec<NodeId>,
}

/// What may be taken now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The range's next bytes.
    Bytes(Bytes),
    /// Nothing yet.
    Later,
    /// All bytes were taken.
    Done,
    /// Every copy of the next block is bad or gone. If bytes went out already, the
    /// connection has to be cut, so that nobody takes them for the file.
    Lost(Unavailable),
}

/// See [the module](self).
pub struct Pull {
    manifest: Manifest,
    holders: BTreeMap<u16, Vec<NodeId>>,
    /// Who was asked and has not answered.
    asked: BTreeSet<(u16, NodeId)>,
    /// Hashes of the parts' blocks, vouched for.
    sums: BTreeMap<u16, Vec<Hash>>,
    /// Who has the part whole, as far as he says.
    sources: BTreeMap<u16, Vec<NodeId>>,
    /// Every part had a source once.
    stands: bool,
    pieces: VecDeque<Piece>,
    ahead: VecDeque<Slot>,
    reports: BTreeSet<Report>,
    /// Of a planted bug: every block is believed.
    believes: bool,
    #[cfg(test)]
    planted: Option<tests::Bug>,
}

struct Slot {
    piece: Piece,
    asked: Option<NodeId>,
    bytes: Option<Bytes>,
}

impl Pull {
    /// Of `length` bytes from `offset` on, as far as the file goes.
    pub fn new(manifest: Manifest, members: &BTreeSet<NodeId>, offset: u64, length: u64) -> Self {
        let pieces: VecDeque<Piece> = manifest.cuts.pieces(offset, length).collect();
        let parts: BTreeSet<u16> = pieces.iter().map(|piece| piece.part).collect();
        let holders: BTreeMap<u16, Vec<NodeId>> =
            parts.into_iter().map(|part| (part, manifest.holders(part, members))).collect();
        let asked = holders.iter().flat_map(|(part, nodes)| nodes.iter().map(|node| (*part, *node))).collect();
        Pull {
            manifest,
            holders,
            asked,
            sums: BTreeMap::new(),
            sources: BTreeMap::new(),
            stands: false,
            pieces,
            ahead: VecDeque::new(),
            reports: BTreeSet::new(),
            believes: false,
            #[cfg(test)]
            planted: None,
        }
    }

    /// A planted bug: blocks are not compared.
    pub(super) fn believe(&mut self) {
        self.believes = true;
    }

    /// Who is to be asked what he has of which part.
    pub fn asks(&self) -> impl Iterator<Item = (u16, NodeId)> {
        self.asked.iter().copied()
    }

    /// A node said what it has of a part.
    pub fn has(&mut self, part: u16, node: NodeId, held: Option<Held>) {
        if !self.asked.remove(&(part, node)) {
            return;
        }
        let vouched = held.filter(|held| self.is_source(part, held));
        match vouched {
            Some(held) => {
                self.sums.entry(part).or_insert(held.sums);
                self.sources.entry(part).or_default().push(node);
            }
            None => self.report(part, node, Fault::Missing),
        }
    }

    /// A node does not answer: neither to the question nor with a block.
    pub fn silent(&mut self, part: u16, node: NodeId) {
        self.asked.remove(&(part, node));
        self.drop_source(part, node, Fault::Silent);
    }

    fn is_source(&self, part: u16, held: &Held) -> bool {
        let Some(digest) = self.manifest.digests.get(usize::from(part).wrapping_sub(1)) else { return false };
        #[cfg(test)]
        if self.planted == Some(tests::Bug::BelievesEveryList) {
            return true;
        }
        let whole = held.bytes == self.manifest.cuts.bytes(part) && part_digest(&held.sums) == *digest;
        whole && held.place != Place::Quarantine
    }

    /// Whether bytes may be promised: once every part has a source. `None`: not
    /// all answers are there.
    pub fn plan(&self) -> Option<Result<(), Unavailable>> {
        let without = self.holders.keys().filter(|part| self.sources.get(part).is_none_or(Vec::is_empty));
        let mut open = false;
        for part in without {
            if !self.asked.iter().any(|(asked, _)| asked == part) {
                return Some(Err(self.unavailable(*part)));
            }
            open = true;
        }
        (!open).then_some(Ok(()))
    }

    /// The next block to be read, once the plan stands and while there is room: for as
    /// many blocks as `ahead` says, at most [`AHEAD_MAX`].
    pub fn wants(&mut self, ahead: usize) -> Option<Fetch> {
        // a part that is lost later says so when it is its turn
        self.stands |= matches!(self.plan(), Some(Ok(())));
        if !self.stands {
            return None;
        }
        while self.ahead.len() < ahead.clamp(1, AHEAD_MAX)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.ahead.push_back(Slot { piece, asked: None, bytes: None });
        }
        let (sources, holders) = (&self.sources, &self.holders);
        // the best that answered: the owner, else the nearest backup
        let best = |part: u16| {
            let sources = sources.get(&part)?;
            holders.get(&part)?.iter().copied().find(|node| sources.contains(node))
        };
        let open = self.ahead.iter_mut().filter(|slot| slot.asked.is_none() && slot.bytes.is_none());
        let (node, slot) = open.into_iter().find_map(|slot| Some((best(slot.piece.part)?, slot)))?;
        let Piece { part, block, bytes, .. } = slot.piece;
        slot.asked = Some(node);
        Some(Fetch { node, part, block, offset: block * super::cuts::BLOCK_BYTES, bytes })
    }

    /// A block came. One that is not what was pushed is asked for elsewhere.
    pub fn came(&mut self, fetch: Fetch, bytes: Bytes) {
        let Some(at) = self.slot(fetch) else { return };
        let wanted = self.sums.get(&fetch.part).and_then(|sums| sums.get(fetch.block as usize));
        let offset = block_offset(&self.manifest.cuts, fetch.part, fetch.block);
        let right = bytes.len() as u64 == fetch.bytes && wanted == Some(&block_hash(offset, &bytes));
        let right = right || self.believes;
        #[cfg(test)]
        let right = right || self.planted == Some(tests::Bug::BelievesEveryBlock);
        if right {
            self.ahead[at].asked = None;
            self.ahead[at].bytes = Some(bytes);
        } else {
            self.drop_source(fetch.part, fetch.node, Fault::Bad);
        }
    }

    /// A block does not come.
    pub fn failed(&mut self, fetch: Fetch) {
        if self.slot(fetch).is_some() {
            self.drop_source(fetch.part, fetch.node, Fault::Silent);
        }
    }

    /// What can be taken of the range now.
    pub fn take(&mut self) -> Taken {
        let Some(first) = self.ahead.front_mut() else {
            return if self.pieces.is_empty() { Taken::Done } else { Taken::Later };
        };
        let (part, skip, take) = (first.piece.part, first.piece.skip as usize, first.piece.take as usize);
        if let Some(bytes) = first.bytes.take() {
            self.ahead.pop_front();
            // shorter only if it was not verified
            let end = bytes.len().min(skip + take);
            return Taken::Bytes(bytes.slice(skip.min(end)..end));
        }
        // one that has not answered yet may have it
        let may_come = self.asked.iter().any(|(asked, _)| *asked == part);
        if self.sources.get(&part).is_none_or(Vec::is_empty) && !may_come {
            return Taken::Lost(self.unavailable(part));
        }
        Taken::Later
    }

    /// What repair has to hear of, since it was last asked.
    pub fn reports(&mut self) -> BTreeSet<Report> {
        std::mem::take(&mut self.reports)
    }

    fn slot(&self, fetch: Fetch) -> Option<usize> {
        let is = |slot: &Slot| {
            (slot.piece.part, slot.piece.block, slot.asked) == (fetch.part, fetch.block, Some(fetch.node))
        };
        self.ahead.iter().position(is)
    }

    /// The node is no source of the part any more; what it was asked for is wanted
    /// again.
    fn drop_source(&mut self, part: u16, node: NodeId, what: Fault) {
        if let Some(sources) = self.sources.get_mut(&part) {
            sources.retain(|source| *source != node);
        }
        for slot in self.ahead.iter_mut().filter(|slot| slot.piece.part == part && slot.asked == Some(node)) {
            slot.asked = None;
        }
        self.report(part, node, what);
    }

    fn report(&mut self, part: u16, node: NodeId, what: Fault) {
        self.reports.insert(Report { node, part, what });
    }

    fn unavailable(&self, part: u16) -> Unavailable {
        let holders = self.holders.get(&part).cloned().unwrap_or_default();
        Unavailable { part, parts: self.manifest.cuts.parts(), holders }
    }
}

#[cfg(test)]
mod tests;
