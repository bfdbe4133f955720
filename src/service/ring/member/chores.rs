//! What is asked of all members: heal, scrub, what-if, explain; and single parts by
//! the old verbs.

use super::asking::Why;
use super::component::{Cx, Ring};
use super::mapping::{For, Told, WITHIN, Wish};
use super::message::{Answer, Ask, Got};
use super::reading::Asked;
use super::verbs::ALL_WITHIN;
use super::{ClientId, holder};
use crate::component::Erased;
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::Committed;
use crate::service::ring::decide::File;
use crate::service::ring::holder::Refusal;
use crate::service::ring::manifest::{FILES, Manifest, State};
use crate::service::ring::parts_log::{PartId, Place};
use crate::service::ring::text::Request;
use crate::service::ring::text::reply::{self, Code, coded, error};
use crate::service::ring::what_if::{Tally, outcome};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Parts that are scrubbed at once for one client.
const SCRUBBED_AT_ONCE: usize = 4;
/// Entries of the map that are read as one.
const PAGE: u32 = 200;
/// Until when a holder says what it has.
const HAS_WITHIN: Duration = Duration::from_secs(3);

/// What is under way for a client.
pub(super) enum Chore {
    Heal(BTreeSet<NodeId>),
    /// Parts still to be read, and what was found; where the list of files goes on.
    Scrub {
        todo: VecDeque<(NodeId, PartId)>,
        open: usize,
        read: u64,
        bad: u64,
        next: Option<Option<Bytes>>,
    },
    WhatIf {
        down: BTreeSet<NodeId>,
        tally: Tally,
    },
    /// Files that this node's disk knows, the next one last; how many the map did not.
    Rebuild {
        todo: Vec<Manifest>,
        made: u64,
        writes: bool,
    },
    Explain {
        lines: Vec<(u16, NodeId, String)>,
        open: usize,
    },
}

impl Ring {
    pub(super) fn chore(&mut self, id: ClientId, request: Request, cx: Cx<'_, '_>) {
        match request {
            Request::Heal => self.heal(id, cx),
            Request::WhatIf(ports) => {
                let named: Vec<Option<NodeId>> = ports.iter().map(|port| self.topology.named(port)).collect();
                if let Some(at) = named.iter().position(Option::is_none) {
                    return self.answer(id, error(&format!("no node of the ring is at {}", ports[at])), cx);
                }
                let down = named.into_iter().flatten().collect();
                self.chores.insert(id, Chore::WhatIf { down, tally: Tally::default() });
                self.next_files(id, None, cx);
            }
            Request::Scrub(name) => {
                let next = if name.is_some() { None } else { Some(None) };
                let scrub = Chore::Scrub { todo: VecDeque::new(), open: 0, read: 0, bad: 0, next };
                self.chores.insert(id, scrub);
                match name {
                    Some(name) => self.look(For::Client(id), File::keys(&name).to_vec(), cx),
                    None => self.scrub_on(id, cx),
                }
            }
            Request::Rebuild => {
                let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), holder::Call::Files, ALL_WITHIN);
                self.rebuilds.insert(token, id);
            }
            Request::Rebalance(rate) => self.rebalance(id, rate, 0, cx),
            other => self.answer(id, error(&format!("{other} is not taken here")), cx),
        }
    }

    fn next_files(&mut self, id: ClientId, after: Option<Bytes>, cx: Cx<'_, '_>) {
        let prefix = Bytes::from_static(FILES);
        let wish = Wish::List { prefix, after, limit: PAGE, level: Level::Linearizable };
        self.wish(For::Client(id), wish, WITHIN, cx);
    }

    /// This node's holder says which files it knows.
    pub(super) fn rebuild(&mut self, id: ClientId, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        let files = value.ok().and_then(|it| it.downcast::<Result<Vec<Manifest>, Refusal>>().ok());
        match files.map(|files| *files) {
            Some(Ok(todo)) => {
                self.chores.insert(id, Chore::Rebuild { todo, made: 0, writes: false });
                self.rebuild_on(id, cx);
            }
            _ => self.answer(id, coded(Code::Unavailable, "this node's disk does not answer"), cx),
        }
    }

    fn rebuild_on(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(Chore::Rebuild { todo, made, .. }) = self.chores.get(&id) else { return };
        match todo.last() {
            Some(next) => {
                let keys = File::keys(&next.name).to_vec();
                self.wish(For::Client(id), Wish::Get(keys, Level::Linearizable), WITHIN, cx);
            }
            None => {
                let text = format!("OK files={made}\n");
                self.chores.remove(&id);
                self.answer(id, text, cx);
            }
        }
    }

    fn rebuild_told(&mut self, id: ClientId, told: &Told, cx: Cx<'_, '_>) {
        let Some(Chore::Rebuild { todo, made, writes }) = self.chores.get_mut(&id) else { return };
        let transaction = match told {
            Told::Committed(Some(Committed::Done { .. })) => {
                *made += 1;
                todo.pop();
                *writes = false;
                None
            }
            // something came in between: it is looked at again
            Told::Committed(Some(Committed::Failed { .. })) => {
                *writes = false;
                None
            }
            Told::Entries(entries) if !*writes => {
                let file = File::read(entries).unwrap_or_default();
                let restore = todo.last().and_then(|next| file.restore(next));
                if restore.is_none() {
                    todo.pop();
                }
                *writes = restore.is_some();
                restore
            }
            _ => {
                self.chores.remove(&id);
                return self.answer(id, coded(Code::Unavailable, "no quorum: not all files were looked at"), cx);
            }
        };
        match transaction {
            Some(transaction) => self.transact(For::Client(id), transaction, cx),
            None => self.rebuild_on(id, cx),
        }
    }

    /// The map answers.
    pub(super) fn chore_told(&mut self, id: ClientId, told: Told, cx: Cx<'_, '_>) {
        if let Some(Chore::Rebuild { .. }) = self.chores.get(&id) {
            return self.rebuild_told(id, &told, cx);
        }
        let (files, more) = match told {
            Told::Page(page) => {
                let last = page.value.entries.last().map(|entry| entry.key.clone());
                let files = page.value.entries.iter().filter_map(|entry| {
                    let manifest = Manifest::decode(FILES, &entry.key, &entry.value).ok()?;
                    (manifest.state == State::Live).then_some(manifest)
                });
                (files.collect::<Vec<_>>(), last.filter(|_| page.value.more))
            }
            Told::Entries(entries) => match File::read(&entries).ok().and_then(|file| file.live().cloned()) {
                Some(manifest) => (vec![manifest], None),
                None => {
                    self.chores.remove(&id);
                    return self.answer(id, coded(Code::NotFound, "file not found"), cx);
                }
            },
            _ => {
                self.chores.remove(&id);
                return self.answer(id, coded(Code::Unavailable, "this node's map is not ready"), cx);
            }
        };
        let members = self.topology.members();
        match self.chores.get_mut(&id) {
            Some(Chore::WhatIf { down, tally }) => {
                for file in &files {
                    tally.add(file, &outcome(file, &members, down, |_, _| false));
                }
                let text = reply::what_if(tally);
                match more {
                    Some(after) => self.next_files(id, Some(after), cx),
                    None => {
                        self.chores.remove(&id);
                        self.answer(id, text, cx);
                    }
                }
            }
            Some(Chore::Scrub { todo, next, .. }) => {
                *next = more.map(Some);
                for file in &files {
                    for part in 1..=file.cuts.parts() {
                        let of = PartId { push: file.push, part };
                        todo.extend(file.holders(part, &members).into_iter().map(|node| (node, of)));
                    }
                }
                self.scrub_on(id, cx);
            }
            _ => {}
        }
    }

    // --- scrub ---

    fn scrub_on(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(Chore::Scrub { todo, open, read, bad, next }) = self.chores.get_mut(&id) else { return };
        let mut asks = Vec::new();
        while *open < SCRUBBED_AT_ONCE
            && let Some(ask) = todo.pop_front()
        {
            *open += 1;
            asks.push(ask);
        }
        let text = format!("OK read={read} bad={bad}\n");
        let (idle, after) = (*open == 0 && todo.is_empty(), if *open == 0 { next.take() } else { None });
        if idle {
            match after {
                Some(after) => return self.next_files(id, after, cx),
                None => {
                    self.chores.remove(&id);
                    return self.answer(id, text, cx);
                }
            }
        }
        for (node, part) in asks {
            self.ask(node, Ask::Scrub(part), Bytes::new(), Why::Scrub(id), ALL_WITHIN, cx);
        }
    }

    pub(super) fn scrub_heard(&mut self, id: ClientId, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        let Some(Chore::Scrub { open, read, bad, .. }) = self.chores.get_mut(&id) else { return };
        *open -= 1;
        let missing = match got.map(|got| got.answer) {
            Some(Answer::Scrubbed(Ok(found))) => {
                *read += found.bytes;
                *bad += u64::from(found.bad.is_some());
                found.bad.is_some()
            }
            // it should be there
            Some(_) => {
                *bad += 1;
                true
            }
            None => false,
        };
        if missing {
            self.ask(node, Ask::Sweep, Bytes::new(), Why::Nothing, ALL_WITHIN, cx);
        }
        self.scrub_on(id, cx);
    }

    // --- heal ---

    fn heal(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let ring = self.topology.ring();
        self.chores.insert(id, Chore::Heal(ring.iter().copied().collect()));
        if ring.is_empty() {
            self.chores.remove(&id);
            return self.answer(id, error("heal walk canceled"), cx);
        }
        for node in ring {
            self.ask(node, Ask::Sweep, Bytes::new(), Why::Sweep(id), ALL_WITHIN, cx);
        }
    }

    /// A member has begun to look through what it holds, or does not answer: a dead
    /// one is the affair of whoever respawns it.
    pub(super) fn heal_heard(&mut self, id: ClientId, node: NodeId, cx: Cx<'_, '_>) {
        let Some(Chore::Heal(open)) = self.chores.get_mut(&id) else { return };
        open.remove(&node);
        if open.is_empty() {
            self.chores.remove(&id);
            self.answer(id, "OK network healed\n", cx);
        }
    }

    // --- explain ---

    pub(super) fn explain_file(&mut self, id: ClientId, manifest: Manifest, cx: Cx<'_, '_>) {
        let (members, push) = (self.topology.members(), manifest.push);
        let mut lines = Vec::new();
        for part in 1..=manifest.cuts.parts() {
            for (at, node) in manifest.holders(part, &members).into_iter().enumerate() {
                lines.push((part, node, if at == 0 { "owner".to_owned() } else { "backup".to_owned() }));
            }
        }
        let asks: Vec<(u16, NodeId)> = lines.iter().map(|(part, node, _)| (*part, *node)).collect();
        self.chores.insert(id, Chore::Explain { lines, open: asks.len() });
        for (part, node) in asks {
            let why = Why::Read(id, Asked::Has(push, part));
            self.ask(node, Ask::Has(PartId { push, part }), Bytes::new(), why, HAS_WITHIN, cx);
        }
    }

    /// A holder says what it has of a part that is explained.
    pub(super) fn explained(&mut self, id: ClientId, part: u16, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        let port = self.topology.port(node);
        let Some(Chore::Explain { lines, open }) = self.chores.get_mut(&id) else { return };
        let got = got.map(|got| got.answer);
        let checked = match &got {
            Some(Answer::Held(Ok(held))) => held.checked_ms,
            _ => None,
        };
        let verified = checked.map_or_else(|| "never".into(), |at_ms| at_ms.to_string());
        let state = match got {
            Some(Answer::Held(Ok(held))) if held.place == Place::Quarantine => "quarantined",
            Some(Answer::Held(Ok(_))) => "there",
            Some(_) => "missing",
            None => "silent",
        };
        for (_, _, line) in lines.iter_mut().filter(|line| (line.0, line.1) == (part, node)) {
            *line = format!("part {part} {line} {port} {state} verified={verified}\n");
        }
        *open -= 1;
        if *open == 0 {
            let text: String = lines.iter().map(|(_, _, line)| line.as_str()).collect();
            self.chores.remove(&id);
            self.answer(id, text + "OK\n", cx);
        }
    }
}
