//! A file on its way in.
//!
//! ```text
//!   begin     ring/t/<push> in the map
//!   prepare   every holder makes room                 full: again, without that node
//!   body      each chunk to owner and backups at once; the client may say as much
//!             as is not yet written everywhere, at most WINDOW bytes
//!   seal      every holder has its parts whole and synced, or as durably as is configured
//!   commit    one transaction: that is the decision
//!   answered  OK, and only then
//! ```
//!
//! What fails before the commit is aborted through the map; the bytes go when the
//! map says so, on every node by itself ([`following`](super::following)).

use super::asking::Why;
use super::component::{Cx, Ring};
use super::mapping::{For, WITHIN, Wish};
use super::message::{Answer, Ask, Got};
use super::{ClientId, MOVER};
use crate::id::NodeId;
use crate::protocol::replicated_log::Level;
use crate::service::ring::cuts::Cuts;
use crate::service::ring::decide::{self, File};
use crate::service::ring::holder::Refusal;
use crate::service::ring::manifest::{Manifest, PushId, State};
use crate::service::ring::name::Name;
use crate::service::ring::parts_log::{PartId, Place};
use crate::service::ring::placement::slots;
use crate::service::ring::sums::{Hash, Sums};
use crate::service::ring::text::Expected;
use crate::service::ring::text::reply::{Code, coded, error};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Bytes of one push that are granted, here, or not yet written everywhere.
pub(super) const WINDOW: u64 = 4 << 20;
/// A holder that does not answer within this time has failed the push.
pub(super) const HOLDER_WITHIN: Duration = Duration::from_secs(30);

/// Which answer of a holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Prepare(PushId),
    /// Of this chunk.
    Write(PushId, u64),
    Seal(PushId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// What stands there is read, for a push that expects something.
    Looking,
    Beginning,
    Preparing,
    Body,
    Sealing,
    /// What stands there is read, for the commit.
    Reading,
    Committing,
}

pub(super) struct Push {
    pub(super) intent: Manifest,
    pub(super) expected: Option<Expected>,
    pub(super) size: u64,
    pub(super) stage: Stage,
    sums: Sums,
    /// The version of `ring/t/<push>` in the map.
    pub(super) begun: Option<u64>,
    /// Answers that are awaited.
    open: usize,
    /// Chunks that are not yet written everywhere: answers awaited, and bytes.
    chunks: BTreeMap<u64, (usize, u64)>,
    next_chunk: u64,
    under_way: u64,
    full: BTreeSet<NodeId>,
    pub(super) tries: u32,
    /// It is a file on its way to other nodes.
    pub(super) moves: Option<Moves>,
}

/// The content that a push moves.
pub(super) struct Moves {
    pub(super) push: PushId,
    pub(super) root: Hash,
}

impl Push {
    fn new(intent: Manifest, expected: Option<Expected>, full: BTreeSet<NodeId>) -> Self {
        let stage = if expected.is_some() { Stage::Looking } else { Stage::Beginning };
        Push {
            expected,
            size: intent.cuts.size(),
            stage,
            sums: Sums::new(intent.cuts),
            begun: None,
            open: 0,
            chunks: BTreeMap::new(),
            next_chunk: 0,
            under_way: 0,
            full,
            tries: 0,
            moves: None,
            intent,
        }
    }

    /// A file that is there already, on its way to other nodes.
    pub(super) fn moving(intent: Manifest, moves: Moves) -> Self {
        Push { moves: Some(moves), ..Push::new(intent, None, BTreeSet::new()) }
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn takes_bytes(&self) -> bool {
        self.stage == Stage::Body
    }

    /// Bytes that are not yet written everywhere.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way
    }

    /// Who is to hold a part.
    fn holders(&self, part: u16) -> Vec<NodeId> {
        let all: BTreeSet<NodeId> = self.intent.slots.iter().copied().collect();
        self.intent.holders(part, &all)
    }
}

impl Ring {
    /// Whether it is under way here.
    pub(super) fn has_push(&self, push: PushId) -> bool {
        self.pushes.values().any(|under_way| under_way.intent.push == push)
    }

    pub(super) fn push(&mut self, id: ClientId, name: Name, size: u64, expected: Option<Expected>, cx: Cx<'_, '_>) {
        if size > self.config.size_max {
            let text = format!("invalid size for FILE PUSH: at most {} bytes are taken", self.config.size_max);
            return self.answer(id, error(&text), cx);
        }
        if !self.permit(id) {
            self.verbs.insert(id, super::verbs::Verb::Push(name, size, expected));
            return;
        }
        let Some(push) = self.planned(name, size, expected, BTreeSet::new(), cx) else {
            return self.answer(id, coded(Code::Unavailable, "no node that takes files is known yet"), cx);
        };
        let keys = File::keys(&push.intent.name).to_vec();
        let looks = push.stage == Stage::Looking;
        self.pushes.insert(id, push);
        if looks {
            self.wish(For::Client(id), Wish::Get(keys, Level::Linearizable), WITHIN, cx);
        } else {
            self.begin(id, cx);
        }
    }

    /// Slots and an intent for a push; `None` if nobody takes it.
    fn planned(
        &mut self,
        name: Name,
        size: u64,
        expected: Option<Expected>,
        full: BTreeSet<NodeId>,
        cx: Cx<'_, '_>,
    ) -> Option<Push> {
        let (me, now) = (cx.me(), cx.now());
        let ring = self.topology.ring();
        let takes = |node: NodeId| self.peers.takes(node, me.node, now) && !full.contains(&node);
        let there = ring.iter().filter(|node| takes(**node)).count() as u16;
        let copies = self.config.copies;
        let width = Cuts::width(size, there, self.config.min_part).max(u16::from(copies)).min(there.max(1));
        let slots = slots(&ring, me.node, width, takes);
        if slots.is_empty() {
            return None;
        }
        self.pushed += 1;
        let cuts = Cuts::new(size, slots.len() as u16, self.config.exact);
        let intent = Manifest {
            name,
            version: 1,
            push: PushId { life: me, number: self.pushed },
            cuts,
            root: Hash::default(),
            digests: vec![Hash::default(); slots.len()],
            slots,
            copies,
            mtime_ms: self.wall_ms(cx),
            state: State::Live,
        };
        Some(Push::new(intent, expected, full))
    }

    pub(super) fn begin(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        push.stage = Stage::Beginning;
        let begin = decide::begin(&push.intent);
        self.transact(For::Client(id), begin, cx);
    }

    pub(super) fn prepare(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        push.stage = Stage::Preparing;
        let begun = push.begun.unwrap_or(0);
        let Manifest { push: of, name, cuts, .. } = push.intent.clone();
        let mut asks = Vec::new();
        for part in 1..=cuts.parts() {
            for (at, node) in push.holders(part).into_iter().enumerate() {
                let role = if at == 0 { Place::Content } else { Place::Backup };
                let ask = Ask::Prepare { id: PartId { push: of, part }, name: name.clone(), cuts, role, begun };
                asks.push((node, ask));
            }
        }
        push.open = asks.len();
        for (node, ask) in asks {
            self.ask(node, ask, Bytes::new(), Why::Push(id, Step::Prepare(of)), HOLDER_WITHIN, cx);
        }
    }

    // --- the body ---

    /// The next bytes of the body.
    pub(super) fn push_bytes(&mut self, id: ClientId, mut bytes: Bytes, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        let (of, cuts) = (push.intent.push, push.intent.cuts);
        let mut asks = Vec::new();
        while let Some(part) = cuts.part_at(push.sums.taken()).filter(|_| !bytes.is_empty()) {
            let offset = push.sums.taken() - cuts.start(part);
            let take = (cuts.bytes(part) - offset).min(bytes.len() as u64);
            let chunk = bytes.split_to(take as usize);
            push.sums.push(&chunk, |_| {});
            let holders = push.holders(part);
            push.next_chunk += 1;
            push.chunks.insert(push.next_chunk, (holders.len(), take));
            push.under_way += take;
            let step = Step::Write(of, push.next_chunk);
            asks.extend(holders.into_iter().map(|node| {
                (node, Ask::Write { id: PartId { push: of, part }, offset }, chunk.clone(), Why::Push(id, step))
            }));
        }
        for (node, ask, chunk, why) in asks {
            self.ask(node, ask, chunk, why, HOLDER_WITHIN, cx);
        }
    }

    /// The client may say as much more as the push has room for.
    pub(super) fn push_grants(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        if id == MOVER {
            return self.move_on(cx);
        }
        let Some(push) = self.pushes.get(&id) else { return };
        let room = WINDOW.min(self.share()).saturating_sub(push.under_way);
        if let Some(client) = self.clients.get(id) {
            let (left, _) = client.body();
            client.grant_up_to(left.min(room), cx);
        }
    }

    /// The body is whole.
    pub(super) fn push_ends(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        if let Some(client) = self.clients.get(id) {
            client.at = super::clients::At::Busy;
        }
        self.seal(id, cx);
    }

    /// The client ended in the middle of the body.
    pub(super) fn push_breaks_off(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let size = self.pushes.get(&id).map_or(0, |push| push.size);
        self.fail_push(id, error(&format!("the body ended before its {size} bytes: nothing was stored")), cx);
    }

    /// Once all is written, all is sealed.
    fn seal(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id).filter(|push| push.sums.taken() == push.size) else { return };
        if push.stage != Stage::Body || !push.chunks.is_empty() {
            return;
        }
        let sums = std::mem::replace(&mut push.sums, Sums::new(push.intent.cuts));
        let Some((root, digests)) = sums.finish() else { return };
        if push.moves.as_ref().is_some_and(|moves| moves.root != root) {
            return self.fail_push(id, error("what was read is not the file: nothing was moved"), cx);
        }
        push.intent.root = root;
        push.intent.digests = digests;
        push.stage = Stage::Sealing;
        let (of, durability) = (push.intent.push, self.config.durability);
        let mut asks = Vec::new();
        for (part, digest) in (1..=push.intent.cuts.parts()).zip(push.intent.digests.clone()) {
            asks.extend(push.holders(part).into_iter().map(|node| (node, PartId { push: of, part }, digest)));
        }
        push.open = asks.len();
        for (node, part, digest) in asks {
            let ask = Ask::Seal { id: part, digest, durability };
            self.ask(node, ask, Bytes::new(), Why::Push(id, Step::Seal(of)), HOLDER_WITHIN, cx);
        }
    }

    /// A holder answers, or does not.
    pub(super) fn push_heard(&mut self, id: ClientId, step: Step, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        let (Step::Prepare(of) | Step::Write(of, _) | Step::Seal(of)) = step;
        if of != push.intent.push {
            return;
        }
        let refusal = match got.map(|got| got.answer) {
            Some(Answer::Done(Ok(()))) => None,
            Some(Answer::Done(Err(refusal))) => Some(refusal),
            _ => Some(Refusal::Disk("it does not answer".into())),
        };
        if let Some(refusal) = refusal {
            return self.push_refused(id, step, node, &refusal, cx);
        }
        match step {
            Step::Write(_, chunk) => {
                if let Some((open, bytes)) = push.chunks.get_mut(&chunk) {
                    *open -= 1;
                    if *open == 0 {
                        push.under_way -= *bytes;
                        push.chunks.remove(&chunk);
                    }
                }
                if push.sums.taken() == push.size {
                    self.seal(id, cx);
                } else {
                    self.push_grants(id, cx);
                }
            }
            Step::Prepare(_) | Step::Seal(_) => {
                push.open -= 1;
                if push.open > 0 {
                    return;
                }
                if let Step::Seal(_) = step {
                    return self.read_for_commit(id, cx);
                }
                push.stage = Stage::Body;
                if let Some(client) = self.clients.get(id) {
                    client.at = super::clients::At::Body;
                    return self.serve(id, cx);
                }
                self.push_grants(id, cx);
            }
        }
    }

    fn push_refused(&mut self, id: ClientId, step: Step, node: NodeId, refusal: &Refusal, cx: Cx<'_, '_>) {
        let port = self.topology.port(node);
        if *refusal == Refusal::Full {
            self.peers.full(node, cx.now());
            let Some(push) = self.pushes.get_mut(&id) else { return };
            let replan = matches!(step, Step::Prepare(_)) && push.moves.is_none();
            push.full.insert(node);
            if replan && push.full.len() <= push.intent.slots.len() {
                let (name, size, expected, full) =
                    (push.intent.name.clone(), push.size, push.expected, push.full.clone());
                self.abort_push(id, cx);
                if let Some(push) = self.planned(name, size, expected, full, cx) {
                    self.pushes.insert(id, push);
                    return self.begin(id, cx);
                }
            }
            let text = format!("the disk of node {port} is full: nothing was stored");
            return self.fail_push(id, coded(Code::Full, &text), cx);
        }
        let code = if *refusal == Refusal::Busy { Code::Busy } else { Code::Unavailable };
        self.fail_push(id, coded(code, &format!("node {port}: {refusal}: nothing was stored")), cx);
    }
}
