//! A file on its way out: planned before its first byte, verified block by block
//! ([`pull`](crate::service::ring::pull)), written as the client takes it.

use super::ClientId;
use super::asking::Why;
use super::component::{Cx, Ring};
use super::mapping::{For, Told};
use super::message::{Answer, Ask, Got};
use super::verbs::Verb;
use crate::id::NodeId;
use crate::service::ring::cuts::BLOCK_BYTES;
use crate::service::ring::decide::File;
use crate::service::ring::manifest::{Manifest, PushId};
use crate::service::ring::name::Name;
use crate::service::ring::parts_log::PartId;
use crate::service::ring::pull::{Fault, Fetch, Pull, Report, Taken, Unavailable};
use crate::service::ring::sums::Hash;
use crate::service::ring::text::reply::{Code, coded, error, range};
use bytes::Bytes;
use std::time::Duration;

/// Who does not say what he has in this time is asked no more.
const HAS_WITHIN: Duration = Duration::from_secs(3);
/// A block that does not come in this time is fetched elsewhere.
const BLOCK_WITHIN: Duration = Duration::from_secs(5);

/// What a holder was asked for a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Has(PushId, u16),
    Block(PushId, Fetch),
}

impl Asked {
    pub(super) fn push(&self) -> PushId {
        match self {
            Asked::Has(push, _) | Asked::Block(push, _) => *push,
        }
    }
}

pub(super) struct Reading {
    name: Name,
    /// Offset and length, of the framed verb.
    range: Option<(u64, u64)>,
    /// What is read, once that is known.
    under_way: Option<(PushId, Pull)>,
    /// Every part of it had a source.
    planned: bool,
    /// What stands before the bytes.
    head: Option<String>,
    /// Something was written: so many bytes of the range, of the content with this root.
    begun: bool,
    said: u64,
    root: Hash,
    /// The content whose copies were not to be had, and what was to be said of it.
    lost: Option<(PushId, Unavailable)>,
}

impl Ring {
    pub(super) fn pull(&mut self, id: ClientId, name: Name, range: Option<(u64, u64)>, cx: Cx<'_, '_>) {
        if !self.permit(id) {
            self.verbs.insert(id, Verb::Read(name, range));
            return;
        }
        let keys = File::keys(&name).to_vec();
        let root = Hash::default();
        let reading = Reading {
            name,
            range,
            under_way: None,
            planned: false,
            head: None,
            begun: false,
            said: 0,
            root,
            lost: None,
        };
        self.readings.insert(id, reading);
        self.look(For::Client(id), keys, cx);
    }

    /// The map says what stands under the name.
    pub(super) fn reading_told(&mut self, id: ClientId, told: Told, cx: Cx<'_, '_>) {
        if !self.readings.contains_key(&id) {
            return;
        }
        let file = match told {
            Told::Entries(entries) => File::read(&entries).map_err(|wrong| error(&wrong.to_string())),
            _ => Err(coded(Code::Unavailable, "this node's map is not ready")),
        };
        let file = match file {
            Ok(file) => file,
            Err(text) => return self.end_reading(id, Some(text), cx),
        };
        let members = file.live().map(|manifest| self.holding(manifest)).unwrap_or_default();
        let live = file.live().cloned().map(|mut manifest| {
            self.planted_slots(&mut manifest);
            manifest
        });
        let Some(reading) = self.readings.get_mut(&id) else { return };
        if let Some((before, lost)) = &reading.lost {
            // moved meanwhile: the same bytes lie elsewhere
            let goes_on = |file: &Manifest| file.push != *before && (!reading.begun || file.root == reading.root);
            if !live.as_ref().is_some_and(goes_on) {
                let lost = lost.clone();
                return self.reading_lost(id, &lost, cx);
            }
        }
        let Some(manifest) = live else {
            let text = match reading.range {
                None => error("file not found"),
                Some(_) => coded(Code::NotFound, reading.name.as_str()),
            };
            return self.end_reading(id, Some(text), cx);
        };
        let size = manifest.cuts.size();
        let (offset, length) = reading.range.unwrap_or((0, size));
        if offset > size {
            let text = coded(Code::Range, &format!("the file has {size} bytes"));
            return self.end_reading(id, Some(text), cx);
        }
        let length = length.min(size - offset);
        let push = manifest.push;
        reading.root = manifest.root;
        let pull = Pull::new(manifest.clone(), &members, offset + reading.said, length - reading.said);
        let asks: Vec<(u16, NodeId)> = pull.asks().collect();
        reading.under_way = Some((push, pull));
        // said with the first byte, once the plan stands
        reading.head = reading.range.filter(|_| !reading.begun).map(|_| range(length, &manifest));
        for (part, node) in asks {
            let why = Why::Read(id, Asked::Has(push, part));
            self.ask(node, Ask::Has(PartId { push, part }), Bytes::new(), why, HAS_WITHIN, cx);
        }
        self.read_on(id, cx);
    }

    /// A holder answers, or does not.
    pub(super) fn reading_heard(&mut self, id: ClientId, asked: Asked, node: NodeId, got: Option<Got>, cx: Cx<'_, '_>) {
        if let (Asked::Has(_, part), true) = (asked, self.chores.contains_key(&id)) {
            return self.explained(id, part, node, got, cx);
        }
        let failed = matches!(&got, Some(Got { answer: Answer::Bytes(Err(_)), .. }));
        let reading = self.readings.get_mut(&id).and_then(|reading| reading.under_way.as_mut());
        let Some((push, pull)) = reading.filter(|(push, _)| *push == asked.push()) else { return };
        hear(pull, asked, node, got);
        let (push, mut reports) = (*push, pull.reports());
        if let (Asked::Block(_, fetch), true) = (asked, failed) {
            // it said that it has the part
            reports.insert(Report { node, part: fetch.part, what: Fault::Bad });
        }
        for report in reports {
            self.reported(push, report, cx);
        }
        self.read_on(id, cx);
    }

    /// Asks for more, and writes what there is.
    pub(super) fn read_on(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let ahead = (self.share() / BLOCK_BYTES) as usize;
        loop {
            let Some(reading) = self.readings.get_mut(&id) else { return };
            let Some((push, pull)) = reading.under_way.as_mut() else { return };
            let push = *push;
            let mut fetches = Vec::new();
            if !reading.begun || !reading.planned {
                match pull.plan() {
                    None => return,
                    Some(Ok(())) => reading.planned = true,
                    Some(Err(lost)) => return self.look_again(id, push, lost, cx),
                }
            }
            while let Some(fetch) = pull.wants(ahead) {
                fetches.push(fetch);
            }
            let room = self.clients.get(id).is_some_and(|client| client.room() > 0);
            let taken = if room { pull.take() } else { Taken::Later };
            for fetch in fetches {
                let ask = Ask::Read { id: PartId { push, part: fetch.part }, offset: fetch.offset, bytes: fetch.bytes };
                self.ask(fetch.node, ask, Bytes::new(), Why::Read(id, Asked::Block(push, fetch)), BLOCK_WITHIN, cx);
            }
            match taken {
                Taken::Bytes(bytes) => {
                    if let Some(reading) = self.readings.get_mut(&id) {
                        reading.said += bytes.len() as u64;
                    }
                    self.say_head(id, cx);
                    self.say(id, bytes, cx);
                }
                Taken::Later => return,
                Taken::Done => {
                    self.say_head(id, cx);
                    return self.end_reading(id, None, cx);
                }
                Taken::Lost(lost) => return self.look_again(id, push, lost, cx),
            }
        }
    }

    /// A part is not to be had. The file may have been moved while it was read: where it
    /// lies by now is asked once for each content.
    fn look_again(&mut self, id: ClientId, push: PushId, lost: Unavailable, cx: Cx<'_, '_>) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        (reading.under_way, reading.planned) = (None, false);
        reading.lost = Some((push, lost));
        let keys = File::keys(&reading.name).to_vec();
        self.asking.drop_client(id);
        self.look(For::Client(id), keys, cx);
    }

    /// It lies nowhere else.
    fn reading_lost(&mut self, id: ClientId, lost: &Unavailable, cx: Cx<'_, '_>) {
        if self.readings.get(&id).is_some_and(|reading| reading.begun) {
            self.readings.remove(&id);
            return self.cut(id, &lost.to_string(), cx);
        }
        let text = self.unavailable(lost);
        self.end_reading(id, Some(text), cx);
    }

    fn say_head(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(reading) = self.readings.get_mut(&id) else { return };
        reading.begun = true;
        if let Some(line) = reading.head.take() {
            self.say(id, line, cx);
        }
    }

    /// All is said, or there is nothing but an error to say.
    fn end_reading(&mut self, id: ClientId, error: Option<String>, cx: Cx<'_, '_>) {
        let raw = self.readings.remove(&id).is_some_and(|reading| reading.range.is_none());
        self.asking.drop_client(id);
        match (raw, error) {
            (true, error) => {
                if let Some(error) = error {
                    self.say(id, error, cx);
                }
                self.close(id, cx);
            }
            (false, error) => self.answer(id, error.unwrap_or_default(), cx),
        }
        self.admit(cx);
    }

    fn unavailable(&self, lost: &Unavailable) -> String {
        let holders: Vec<String> = lost.holders.iter().map(|node| self.topology.port(*node)).collect();
        let text = format!("part {}/{} holders {}", lost.part, lost.parts, holders.join(","));
        coded(Code::Unavailable, &text)
    }
}

/// Tells a pull what a holder answered.
pub(super) fn hear(pull: &mut Pull, asked: Asked, node: NodeId, got: Option<Got>) {
    match (asked, got) {
        (Asked::Has(_, part), Some(Got { answer: Answer::Held(held), .. })) => pull.has(part, node, held.ok()),
        (Asked::Has(_, part), _) => pull.silent(part, node),
        (Asked::Block(_, fetch), Some(Got { answer: Answer::Bytes(Ok(())), bytes })) => pull.came(fetch, bytes),
        (Asked::Block(_, fetch), _) => pull.failed(fetch),
    }
}
