//! What this node should hold and does not: found by comparing, fetched from whoever
//! has it, verified, and kept.
//!
//! ```text
//!   sweep    inventory of the holder -> all files in the map -> what is missing
//!   refill   who has the part -> room here -> block by block, verified -> sealed -> committed
//! ```
//!
//! A sweep is made when a life has caught up with the map, when the members change,
//! when a commit found less than it should, when a reader reports a copy, and for
//! `NODE HEAL`. What cannot be fetched is tried again later, and later still.
//!
//! **Guarantee.** What is kept is what was pushed: the manifest's digest vouches for
//! the hashes, these for each block, and the holder compares once more when it
//! seals. So a corrupt copy is never a source.

use super::asking::Why;
use super::component::{Cx, Ring};
use super::holder::{self, Refusal, Scrubbed, Stocked};
use super::mapping::{For, Told, WITHIN, Wish};
use super::message::{Ask, Got};
use super::reading::{Asked, hear};
use super::{Mutant, PushId};
use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use crate::protocol::replicated_log::Level;
use crate::service::ring::durability::Durability;
use crate::service::ring::manifest::{FILES, Manifest, State};
use crate::service::ring::parts_log::{PartId, Place};
use crate::service::ring::pull::{AHEAD_MAX, Fault, Pull, Report, Taken};
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Parts that are fetched at once.
const AT_ONCE: usize = 4;
/// Most parts that wait to be fetched; the next sweep finds the others.
const WAITING_MAX: usize = 10_000;
/// Entries of the map that are read as one.
const PAGE: u32 = 200;
/// Until when a holder answers.
const HOLDER_WITHIN: Duration = Duration::from_secs(10);
/// After the first failure a part is tried again so much later, then twice as much.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Every part is read and compared once in so long, without being asked for.
const ALL_READ_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// And at least so often.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// A part that is missing here.
struct Missing {
    manifest: Manifest,
    own: bool,
    tries: u32,
    at: Time,
    /// How many holders should have it.
    holders: usize,
}

/// A part that is being fetched.
struct Refill {
    missing: Missing,
    pull: Pull,
    /// Bytes that are kept, or on their way to the holder.
    offset: u64,
    /// The holder was asked and has not answered.
    waits: bool,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Planning,
    Preparing,
    Body,
    Sealing,
    Committing,
}

enum Own {
    /// What it says changes nothing.
    Nothing,
    Inventory,
    Of(PartId),
}

#[derive(Default)]
enum Sweep {
    #[default]
    Rests,
    Counting,
    /// What the holder has.
    Comparing(BTreeSet<PartId>),
}

/// All of it.
#[derive(Default)]
pub(super) struct Refills {
    missing: BTreeMap<PartId, Missing>,
    under_way: BTreeMap<PartId, Refill>,
    asked: BTreeMap<Token, Own>,
    sweep: Sweep,
    /// Something happened since the sweep began.
    again: bool,
    again_at: Time,
    /// Parts that are still to be read in this round, and when the last one was.
    unread: Vec<PartId>,
    read_at: Time,
    /// How many parts the holder has.
    stocked: usize,
    /// Parts that were fetched in this life.
    pub(super) fetched: u64,
}

impl Refills {
    pub(super) fn waiting(&self) -> usize {
        self.missing.len() + self.under_way.len()
    }
}

impl Ring {
    /// Looks through all that this node should hold.
    pub(super) fn sweep(&mut self, cx: Cx<'_, '_>) {
        if !matches!(self.refills.sweep, Sweep::Rests) {
            self.refills.again = true;
            return;
        }
        self.refills.again = false;
        self.refills.sweep = Sweep::Counting;
        let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), holder::Call::Inventory, HOLDER_WITHIN);
        self.refills.asked.insert(token, Own::Inventory);
    }

    fn next_of_sweep(&mut self, after: Option<Bytes>, cx: Cx<'_, '_>) {
        let prefix = Bytes::from_static(FILES);
        self.wish(For::Sweep, Wish::List { prefix, after, limit: PAGE, level: Level::Stale }, WITHIN, cx);
    }

    /// A page of files, to be compared with the inventory.
    pub(super) fn sweep_told(&mut self, told: Told, cx: Cx<'_, '_>) {
        let (Told::Page(page), Sweep::Comparing(stock)) = (told, &self.refills.sweep) else {
            return self.sweep_ends(true, cx);
        };
        let (me, now) = (cx.me().node, cx.now());
        let mut found = Vec::new();
        for entry in &page.value.entries {
            let Ok(manifest) = Manifest::decode(FILES, &entry.key, &entry.value) else { continue };
            if manifest.state != State::Live {
                continue;
            }
            let members = self.holding(&manifest);
            for (part, own) in manifest.parts_of(me, &members) {
                let id = PartId { push: manifest.push, part };
                if !stock.contains(&id) {
                    let holders = manifest.holders(part, &members).len();
                    found.push((id, Missing { manifest: manifest.clone(), own, tries: 0, at: now, holders }));
                }
            }
        }
        for (id, missing) in found {
            if self.refills.missing.len() < WAITING_MAX && !self.refills.under_way.contains_key(&id) {
                self.refills.missing.entry(id).or_insert(missing);
            }
        }
        let last = page.value.entries.last().map(|entry| entry.key.clone());
        match last.filter(|_| page.value.more) {
            Some(after) => self.next_of_sweep(Some(after), cx),
            None => self.sweep_ends(false, cx),
        }
        self.refill_next(cx);
    }

    fn sweep_ends(&mut self, failed: bool, cx: Cx<'_, '_>) {
        self.refills.sweep = Sweep::Rests;
        self.refills.again |= failed;
        self.refills.again_at = cx.now() + AGAIN_AFTER;
    }

    pub(super) fn refill_tick(&mut self, cx: Cx<'_, '_>) {
        if self.refills.again && cx.now() >= self.refills.again_at && matches!(self.refills.sweep, Sweep::Rests) {
            self.sweep(cx);
        }
        self.read_next(cx);
        self.refill_next(cx);
    }

    /// All parts are read within [`ALL_READ_WITHIN`], one after the other.
    fn read_next(&mut self, cx: Cx<'_, '_>) {
        if self.refills.read_at == Time::ZERO {
            self.refills.read_at = cx.now();
        }
        if cx.now().since(self.refills.read_at) < self.read_pause() {
            return;
        }
        self.refills.read_at = cx.now();
        match self.refills.unread.pop() {
            Some(id) => {
                let me = cx.me().node;
                self.ask(me, Ask::Scrub(id), Bytes::new(), Why::Nothing, HOLDER_WITHIN, cx);
            }
            // the next round begins with what is there by then
            None => self.sweep(cx),
        }
    }

    fn read_pause(&self) -> Duration {
        let parts = u32::try_from(self.refills.stocked.max(1)).unwrap_or(u32::MAX);
        (ALL_READ_WITHIN / parts).max(AGAIN_AFTER)
    }

    /// The next parts: those with the fewest copies first.
    fn refill_next(&mut self, cx: Cx<'_, '_>) {
        while self.refills.under_way.len() < AT_ONCE {
            let now = cx.now();
            let due = self.refills.missing.iter().filter(|(_, missing)| missing.at <= now);
            let Some(id) = due.min_by_key(|(_, missing)| missing.holders).map(|(id, _)| *id) else { return };
            let Some(missing) = self.refills.missing.remove(&id) else { return };
            self.refill(id, missing, cx);
        }
    }

    fn refill(&mut self, id: PartId, missing: Missing, cx: Cx<'_, '_>) {
        let me = cx.me().node;
        let manifest = missing.manifest.clone();
        // those it was pushed to first, then those who hold it now: one may have left
        // and another have taken its place
        let members: BTreeSet<NodeId> = match missing.tries % 2 {
            0 => manifest.slots.iter().copied().collect(),
            _ => self.holding(&manifest),
        };
        let (start, bytes) = (manifest.cuts.start(id.part), manifest.cuts.bytes(id.part));
        let mut pull = Pull::new(manifest, &members, start, bytes);
        pull.has(id.part, me, None);
        let asks: Vec<(u16, NodeId)> = pull.asks().collect();
        let refill = Refill { missing, pull, offset: 0, waits: false, step: Step::Planning };
        self.refills.under_way.insert(id, refill);
        for (part, node) in asks {
            let why = Why::Refill(Asked::Has(id.push, part));
            self.ask(node, Ask::Has(id), Bytes::new(), why, HOLDER_WITHIN, cx);
        }
        self.refill_on(id, cx);
    }

    /// Another holder answers, or does not.
    pub(super) fn refill_heard(&mut self, asked: Asked, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        let part = match asked {
            Asked::Has(_, part) => part,
            Asked::Block(_, fetch) => fetch.part,
        };
        let id = PartId { push: asked.push(), part };
        let believes = self.has(Mutant::RepairsUnverified);
        let Some(refill) = self.refills.under_way.get_mut(&id) else { return };
        if believes {
            refill.pull.believe();
        }
        hear(&mut refill.pull, asked, node, got);
        let (reports, me) = (refill.pull.reports(), cx.me().node);
        for report in reports.into_iter().filter(|report| report.node != me) {
            self.reported(id.push, report, cx);
        }
        self.refill_on(id, cx);
    }

    /// Goes on as far as it can.
    fn refill_on(&mut self, id: PartId, cx: Cx<'_, '_>) {
        let Some(refill) = self.refills.under_way.get_mut(&id) else { return };
        if refill.step == Step::Planning {
            match refill.pull.plan() {
                None => return,
                Some(Err(_)) => return self.refill_fails(id, false, cx),
                Some(Ok(())) => {
                    refill.step = Step::Preparing;
                    let role = if refill.missing.own { Place::Content } else { Place::Backup };
                    let (name, cuts) = (refill.missing.manifest.name.clone(), refill.missing.manifest.cuts);
                    return self.ask_own(id, holder::Call::Prepare { id, name, cuts, role }, cx);
                }
            }
        }
        if refill.step != Step::Body {
            return;
        }
        let mut fetches = Vec::new();
        while let Some(fetch) = refill.pull.wants(AHEAD_MAX) {
            fetches.push(fetch);
        }
        let taken = if refill.waits { Taken::Later } else { refill.pull.take() };
        let (offset, digests) = (refill.offset, &refill.missing.manifest.digests);
        let digest = digests.get(usize::from(id.part) - 1).copied().unwrap_or_default();
        match &taken {
            Taken::Bytes(bytes) => refill.offset += bytes.len() as u64,
            Taken::Done => refill.step = Step::Sealing,
            _ => {}
        }
        for fetch in fetches {
            let ask = Ask::Read { id, offset: fetch.offset, bytes: fetch.bytes };
            let why = Why::Refill(Asked::Block(id.push, fetch));
            self.ask(fetch.node, ask, Bytes::new(), why, HOLDER_WITHIN, cx);
        }
        match taken {
            Taken::Bytes(bytes) => self.ask_own(id, holder::Call::Write { id, offset, bytes }, cx),
            Taken::Done => self.ask_own(id, holder::Call::Seal { id, digest, durability: Durability::Strict }, cx),
            Taken::Later => {}
            Taken::Lost(_) => self.refill_fails(id, true, cx),
        }
    }

    fn ask_own(&mut self, id: PartId, call: holder::Call, cx: Cx<'_, '_>) {
        if let Some(refill) = self.refills.under_way.get_mut(&id) {
            refill.waits = true;
        }
        let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), call, HOLDER_WITHIN);
        self.refills.asked.insert(token, Own::Of(id));
    }

    /// This node's holder answers.
    pub(super) fn refill_answered(&mut self, token: Token, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        let id = match self.refills.asked.remove(&token) {
            None | Some(Own::Nothing) => return,
            Some(Own::Inventory) => {
                let stock = value.ok().and_then(|value| value.downcast::<Result<Vec<Stocked>, Refusal>>().ok());
                let Some(Ok(stock)) = stock.map(|stock| *stock) else { return self.sweep_ends(true, cx) };
                self.refills.stocked = stock.len();
                let good = stock.into_iter().filter(|part| part.place != Place::Quarantine);
                let good: BTreeSet<PartId> = good.map(|part| part.id).collect();
                if self.refills.unread.is_empty() {
                    self.refills.unread = good.iter().rev().copied().collect();
                }
                self.refills.sweep = Sweep::Comparing(good);
                return self.next_of_sweep(None, cx);
            }
            Some(Own::Of(id)) => id,
        };
        let Some(refill) = self.refills.under_way.get_mut(&id) else { return };
        refill.waits = false;
        let done = match refill.step {
            Step::Committing => {
                value.ok().and_then(|it| it.downcast::<Result<u16, Refusal>>().ok()).map(|it| it.map(drop))
            }
            _ => value.ok().and_then(|it| it.downcast::<Result<(), Refusal>>().ok()).map(|it| *it),
        };
        match (done, refill.step) {
            (Some(Ok(())), Step::Preparing) => {
                refill.step = Step::Body;
                self.refill_on(id, cx);
            }
            (Some(Ok(())), Step::Body) => self.refill_on(id, cx),
            (Some(Ok(())), Step::Sealing) => {
                refill.step = Step::Committing;
                let manifest = Box::new(refill.missing.manifest.clone());
                self.ask_own(id, holder::Call::Commit(manifest), cx);
            }
            (Some(Ok(())), _) => {
                let done = self.refills.under_way.remove(&id);
                self.refills.fetched += 1;
                // while it was fetched, the file may have become another
                self.refills.again = true;
                self.refills.again_at = cx.now() + AGAIN_AFTER;
                if let Some(refill) = done {
                    self.recheck(refill.missing.manifest, cx);
                }
                self.refill_next(cx);
            }
            // it is here by now, and lies where it belongs once that is said again
            (Some(Err(Refusal::Twice)), Step::Preparing) => {
                refill.step = Step::Committing;
                let manifest = Box::new(refill.missing.manifest.clone());
                self.ask_own(id, holder::Call::Commit(manifest), cx);
            }
            (_, step) => self.refill_fails(id, step != Step::Preparing, cx),
        }
    }

    /// Later again; what was written goes.
    fn refill_fails(&mut self, id: PartId, written: bool, cx: Cx<'_, '_>) {
        let Some(Refill { mut missing, .. }) = self.refills.under_way.remove(&id) else { return };
        if written {
            let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), holder::Call::GiveUp(id), HOLDER_WITHIN);
            self.refills.asked.insert(token, Own::Nothing);
        }
        let after = AGAIN_AFTER * 2u32.saturating_pow(missing.tries.min(10));
        missing.tries += 1;
        missing.at = cx.now() + after.min(AGAIN_WITHIN);
        if self.is_wanted(id.push) {
            self.refills.missing.insert(id, missing);
        }
    }

    /// A reader saw that a copy is not what it should be: its node looks itself.
    pub(super) fn reported(&mut self, push: PushId, report: Report, cx: Cx<'_, '_>) {
        let Report { node, part, what } = report;
        match what {
            Fault::Silent => {}
            Fault::Missing => self.ask(node, Ask::Sweep, Bytes::new(), Why::Nothing, HOLDER_WITHIN, cx),
            Fault::Bad => {
                log::warn!(target: "nodewright::ring", "part {part} of {push} on node {} is not what it was", self.topology.port(node));
                self.ask(node, Ask::Scrub(PartId { push, part }), Bytes::new(), Why::Nothing, HOLDER_WITHIN, cx);
            }
        }
    }

    /// The holder was asked to look at a part: if it has it no more, it is fetched.
    pub(super) fn scrubbed_here(&mut self, found: &Result<Scrubbed, Refusal>, cx: Cx<'_, '_>) {
        if !matches!(found, Ok(Scrubbed { bad: None, .. })) {
            self.sweep(cx);
        }
    }
}
