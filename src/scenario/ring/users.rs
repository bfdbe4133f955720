//! What users ask of the ring, and what they were told.

use super::millis;
use crate::error::CallError;
use crate::id::Kind;
use crate::service::ring::member::{Call, Cut, NAME};
use crate::sim::check::Violation;
use crate::sim::{Counts, NodeIndex, Ticket, World};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const FILES: [&str; 4] = ["a", "b c", "d/e", ".f"];
/// What a user waits for an answer.
const WITHIN: Duration = Duration::from_secs(40);

/// A content that somebody pushed.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// The version and the copies that it was acknowledged with.
    pub(super) acknowledged: Option<(u64, u64)>,
}

enum What {
    Push(usize),
    Pull,
    Delete,
    Undo,
    List,
    Rebalance,
}

struct Asked {
    ticket: Ticket,
    file: &'static str,
    what: What,
}

type Answered = Result<Result<Bytes, Cut>, CallError>;

#[derive(Default)]
pub(super) struct Users {
    nodes: usize,
    open: Vec<Asked>,
    pub(super) contents: BTreeMap<&'static str, Vec<Content>>,
    /// The newest version of each file that anybody was told of, and whether the file
    /// was there in it.
    pub(super) newest: BTreeMap<&'static str, (u64, Option<usize>)>,
    /// Files that somebody changed without being told of which outcome.
    pub(super) unsure: BTreeSet<&'static str>,
    /// Undo ends so soon that all that is known of a deleted file may be gone, and
    /// versions begin anew.
    pub(super) forgets: bool,
    /// Files of which that may be so.
    pub(super) forgotten: BTreeSet<&'static str>,
    told: BTreeSet<(&'static str, u64)>,
    pub(super) wrong: Option<Violation>,
    counts: Counts,
}

impl Users {
    pub(super) fn new(nodes: usize) -> Self {
        Users { nodes, ..Users::default() }
    }

    pub(super) fn count(&mut self, counts: &mut Counts) {
        counts.append(&mut self.counts);
    }

    fn counted(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    /// Files that are there before anything goes wrong.
    pub(super) fn first(&mut self, world: &mut World, but: Option<NodeIndex>) {
        let at = world.all().find(|node| Some(*node) != but).unwrap_or(NodeIndex(0));
        self.push(world, at, FILES[0]);
        self.push(world, at, FILES[1]);
        for _ in 0..100 {
            world.run_for(millis(50));
            self.collect(world);
        }
    }

    pub(super) fn ask_something(&mut self, world: &mut World) {
        let at = NodeIndex(world.rng().usize(0..self.nodes));
        let file = FILES[world.rng().usize(0..FILES.len())];
        match world.rng().u32(0..14) {
            0..=4 => self.push(world, at, file),
            5..=8 => self.say(world, at, file, What::Pull, format!("FILE GET 0 9999999999 {file}\n").into()),
            9 => self.say(world, at, file, What::Delete, format!("FILE DELETE {file}\n").into()),
            10 => self.say(world, at, file, What::Undo, format!("FILE UNDO {file}\n").into()),
            11 => self.say(world, at, file, What::List, "FILE LIST\n".into()),
            12 => self.say(world, at, file, What::Rebalance, "NODE REBALANCE stop\n".into()),
            _ => self.say(world, at, file, What::Rebalance, "NODE REBALANCE 50000000\n".into()),
        }
    }

    fn push(&mut self, world: &mut World, at: NodeIndex, file: &'static str) {
        let sizes = [0, 1, 2, 3, 700, 30_000, if world.rng().u32(0..8) == 0 { 5_300_000 } else { 50 }];
        let size = sizes[world.rng().usize(0..sizes.len())];
        // each its own, so that a read tells which it is
        let number: usize = self.contents.values().map(Vec::len).sum();
        let mut content = vec![0; size];
        world.rng().fill(&mut content);
        for (byte, own) in content.iter_mut().zip(number.to_le_bytes()) {
            *byte = own;
        }
        let mut bytes = format!("FILE PUSH {size} {file}\n").into_bytes();
        bytes.extend_from_slice(&content);
        let all = self.contents.entry(file).or_default();
        all.push(Content { bytes: content.into(), acknowledged: None });
        let nth = all.len() - 1;
        self.say(world, at, file, What::Push(nth), bytes.into());
    }

    fn say(&mut self, world: &mut World, at: NodeIndex, file: &'static str, what: What, bytes: Bytes) {
        if self.forgets && matches!(what, What::Delete | What::Undo) {
            self.forgotten.insert(file);
        }
        let ticket = world.call(at, Kind::of(NAME), Box::new(Call::Talk(bytes)), WITHIN);
        self.open.push(Asked { ticket, file, what });
    }

    /// Takes the answers that are there.
    pub(super) fn collect(&mut self, world: &mut World) {
        for asked in std::mem::take(&mut self.open) {
            match world.answer::<Result<Bytes, Cut>>(asked.ticket) {
                None => self.open.push(asked),
                Some(answer) => self.told(&asked, answer),
            }
        }
    }

    fn told(&mut self, asked: &Asked, answer: Answered) {
        let Ok(Ok(bytes)) = answer else {
            match asked.what {
                What::Pull | What::List | What::Rebalance => {}
                What::Push(_) => {
                    self.counted("pushes unknown");
                    self.unsure.insert(asked.file);
                }
                What::Delete | What::Undo => _ = self.unsure.insert(asked.file),
            }
            return;
        };
        if let What::Pull = asked.what {
            return self.read(asked.file, &bytes);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let last = text.lines().last().unwrap_or_default();
        let number = |before: char| {
            let word = last.split(' ').find_map(|word| word.strip_prefix(before))?;
            word.trim_start_matches("opies=").parse::<u64>().ok()
        };
        match (&asked.what, last.starts_with("OK"), number('v')) {
            (What::Push(nth), true, Some(version)) => {
                let copies = number('c').unwrap_or(0);
                self.counted("pushes acknowledged");
                if let Some(content) = self.contents.get_mut(asked.file).and_then(|all| all.get_mut(*nth)) {
                    content.acknowledged = Some((version, copies));
                }
                self.version(asked.file, version, Some(*nth));
            }
            (What::Push(_), ..) => {
                self.counted("pushes refused");
                if text.contains("not known") {
                    self.unsure.insert(asked.file);
                }
            }
            (What::Delete, true, Some(version)) => {
                self.counted("deletions");
                self.version(asked.file, version, None);
            }
            (What::Undo, true, Some(version)) => {
                self.counted("brought back");
                self.version(asked.file, version, None);
                // it is one of the earlier contents, and the user was not told which
                self.unsure.insert(asked.file);
            }
            (What::Delete | What::Undo, ..) if text.contains("not known") => _ = self.unsure.insert(asked.file),
            _ => {}
        }
    }

    /// A version that somebody was told of: only one may be told it.
    fn version(&mut self, file: &'static str, version: u64, content: Option<usize>) {
        if !self.told.insert((file, version)) && !self.forgotten.contains(file) {
            let why = format!("version {version} of {file:?} was acknowledged twice");
            self.wrong.get_or_insert(Violation::new(super::judge::ONE_ORDER, why));
        }
        let newest = self.newest.entry(file).or_default();
        if version > newest.0 {
            *newest = (version, content);
        }
    }

    /// Bytes that were read: some content that was pushed, whole.
    pub(super) fn read(&mut self, file: &'static str, answer: &Bytes) {
        let Some(end) = answer.iter().position(|byte| *byte == b'\n') else { return };
        if answer.starts_with(b"ERR") {
            return;
        }
        self.counted("reads");
        let bytes = answer.slice(end + 1..);
        if !self.contents.get(file).is_some_and(|all| all.iter().any(|content| content.bytes == bytes)) {
            let why = format!("{} bytes of {file:?} were read that nobody pushed", bytes.len());
            self.wrong.get_or_insert(Violation::new(super::judge::NO_CREATION, why));
        }
    }
}
