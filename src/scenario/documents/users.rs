//! Users of the store: what they ask, and what they were told.
//!
//! - *registers* `d0..` of `docs`: put, compare-and-set, deleted, read one by one;
//! - *tagged* documents `e0..` of `docs`: patched, found by an index, paged;
//! - *the list*: each append is a document of `list` and an element of one counter, in
//!   one batch;
//! - *the bank*: transfers between accounts, compare-and-set on two revisions;
//! - *people*: a unique field that several want.

use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::replicated_log::Level;
use crate::scenario::stacks::millis;
use crate::service::documents::query::{Filter, Patch, Projection, Sort};
use crate::service::documents::{
    Answer, Answered, Call, Command, Document, DocumentError, Fate, Find, Found, IndexSpec, NAME, Question, Read,
    Refusal, Step, Write,
};
use crate::sim::{Counts, NodeIndex, Ticket, World};
use crate::time::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const COLLECTIONS: [&str; 4] = ["bank", "docs", "list", "people"];
pub(super) const ACCOUNTS: usize = 4;
pub(super) const EACH: u64 = 100;
const REGISTERS: u64 = 3;
const TAGGED: u64 = 8;
const MAILS: u64 = 3;
const WITHIN: Duration = Duration::from_secs(3);

/// What was asked, when, and what anybody knew by then.
pub(super) struct Asked<T> {
    ticket: Ticket,
    pub(super) asked: Time,
    /// The newest index that anybody had been told.
    pub(super) known: u64,
    pub(super) about: T,
}

/// A write.
#[derive(Clone, Debug)]
pub(super) enum Wrote {
    Append(u64),
    Put(u64, u64),
    Swap(u64, u64, u64),
    Delete(u64),
    Other,
}

/// A read.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    Register(u64),
    Bank,
    List,
    People,
    /// All of `docs`, at least as new as this user's last.
    Session(usize, u64),
    Tagged(String),
    /// A page, and those before it.
    Page(Find, Vec<Found>),
}

/// What became of a write.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) asked: Time,
    pub(super) answered: Time,
    pub(super) known: u64,
    pub(super) wrote: Wrote,
    /// The index, or why not.
    pub(super) result: Result<u64, DocumentError>,
}

/// An answered read.
pub(super) struct Seen {
    pub(super) asked: Time,
    pub(super) answered: Time,
    pub(super) known: u64,
    pub(super) reading: Reading,
    pub(super) at: u64,
    pub(super) found: Vec<Found>,
}

pub(super) struct Users {
    nodes: usize,
    writes: Vec<Asked<Wrote>>,
    reads: Vec<Asked<Reading>>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) seen: Vec<Seen>,
    pub(super) known: u64,
    sessions: [u64; 2],
    next: u64,
    again: u64,
    expired: u64,
}

fn text(value: &Value) -> Document {
    Document::new(value).expect("a document of ours")
}

fn step(collection: &str, write: Write) -> Step {
    Step { collection: collection.to_string(), write }
}

fn filter(value: &Value) -> Filter {
    Filter::parse(value).expect("a filter of ours")
}

impl Users {
    pub(super) fn new(nodes: usize) -> Self {
        Users {
            nodes,
            writes: Vec::new(),
            reads: Vec::new(),
            outcomes: Vec::new(),
            seen: Vec::new(),
            known: 0,
            sessions: [0; 2],
            next: 1,
            again: 0,
            expired: 0,
        }
    }

    fn somewhere(&self, world: &mut World) -> NodeIndex {
        NodeIndex(world.rng().usize(0..self.nodes))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// What is there from the beginning.
    pub(super) fn open(&mut self, world: &mut World) {
        let mut steps = vec![step("docs", Write::Upsert(text(&json!({"_id": "counter", "by": []}))))];
        for n in 0..ACCOUNTS {
            steps.push(step("bank", Write::Upsert(text(&json!({"_id": format!("a{n}"), "amount": EACH})))));
        }
        for n in 0..TAGGED {
            let tag = format!("t{}", n % 3);
            steps.push(step("docs", Write::Upsert(text(&json!({"_id": format!("e{n}"), "tag": tag})))));
        }
        self.create_index(world, "people", IndexSpec::over(["mail"]).unique());
        for _ in 0..40 {
            let call = Call::Commit { command: Command::Write(steps.clone()), key: Some(1), within: WITHIN };
            let done = world.ask::<Answered>(NodeIndex(0), Kind::of(NAME), call, WITHIN);
            if matches!(done, Ok(Ok(_))) {
                break;
            }
            world.run_for(millis(100)); // its collections are being made
        }
    }

    pub(super) fn create_index(&mut self, world: &mut World, collection: &str, spec: IndexSpec) {
        let at = self.somewhere(world);
        self.write(world, at, Command::CreateIndex(collection.into(), spec), None, Wrote::Other);
    }

    fn write(&mut self, world: &mut World, at: NodeIndex, command: Command, key: Option<u128>, about: Wrote) {
        let call = Call::Commit { command, key, within: WITHIN };
        let ticket = world.call(at, Kind::of(NAME), Box::new(call), WITHIN + millis(1000));
        self.writes.push(Asked { ticket, asked: world.now(), known: self.known, about });
    }

    fn read(&mut self, world: &mut World, at: NodeIndex, question: Question, level: Level, about: Reading) {
        let call = Call::Ask { question, level, within: WITHIN };
        let ticket = world.call(at, Kind::of(NAME), Box::new(call), WITHIN + millis(1000));
        self.reads.push(Asked { ticket, asked: world.now(), known: self.known, about });
    }

    fn find(&mut self, world: &mut World, at: NodeIndex, collection: &str, find: Find, about: Reading) {
        self.read(world, at, Question::Find(collection.into(), find), Level::Linearizable, about);
    }

    /// One call of any kind, at any node.
    pub(super) fn ask_something(&mut self, world: &mut World) {
        let at = self.somewhere(world);
        match world.rng().u32(0..16) {
            0..=2 => self.append(world, at),
            3..=4 => {
                let (id, value) = (world.rng().u64(0..REGISTERS), self.number());
                let put = Write::Upsert(text(&json!({"_id": format!("d{id}"), "v": value})));
                self.write(world, at, Command::Write(vec![step("docs", put)]), None, Wrote::Put(id, value));
            }
            5 => {
                let id = world.rng().u64(0..REGISTERS);
                let delete = step("docs", Write::Delete(format!("d{id}"), None));
                self.write(world, at, Command::Write(vec![delete]), None, Wrote::Delete(id));
            }
            6..=7 => self.read_register(world, at),
            8..=9 => {
                let patch = json!({"$set": {"tag": format!("t{}", world.rng().u32(0..3))}});
                let patch = Patch::parse(&patch).expect("a patch of ours");
                let id = format!("e{}", world.rng().u64(0..TAGGED));
                let patch = step("docs", Write::Patch { id, patch, revision: None, upsert: false });
                self.write(world, at, Command::Write(vec![patch]), None, Wrote::Other);
            }
            10 => {
                let mail = format!("m{}", world.rng().u64(0..MAILS));
                let id = format!("p{}", world.rng().u64(0..6));
                let write = match world.rng().u32(0..3) {
                    0 => Write::Delete(id, None),
                    _ => Write::Upsert(text(&json!({"_id": id, "mail": mail}))),
                };
                self.write(world, at, Command::Write(vec![step("people", write)]), None, Wrote::Other);
                self.find(world, at, "people", Find::default(), Reading::People);
            }
            11 => self.find(world, at, "list", Find::default().limit(1000), Reading::List),
            12..=13 => self.find(world, at, "bank", Find::default(), Reading::Bank),
            14 => {
                let user = world.rng().usize(0..self.sessions.len());
                let (token, find) = (self.sessions[user], Find::default().limit(1000));
                let question = Question::Find("docs".into(), find);
                self.read(world, at, question, Level::AtLeast(token), Reading::Session(user, token));
            }
            _ => {
                let tag = format!("t{}", world.rng().u32(0..3));
                let tagged = Find::matching(filter(&json!({ "tag": tag })));
                self.find(world, at, "docs", tagged, Reading::Tagged(tag));
                let order = if world.rng().bool() { json!(["tag"]) } else { json!([]) };
                let find = Find::default().sorted(Sort::parse(&order).expect("a sort of ours")).limit(3);
                self.find(world, at, "docs", find.clone(), Reading::Page(find, Vec::new()));
            }
        }
    }

    fn append(&mut self, world: &mut World, at: NodeIndex) {
        let number = self.number();
        let push = Patch::parse(&json!({"$push": {"by": number}})).expect("a patch of ours");
        let pad = if number.is_multiple_of(7) { 300 } else { 4 };
        let document = text(&json!({"_id": format!("n{number:06}"), "pad": "x".repeat(pad)}));
        let patch = Write::Patch { id: "counter".into(), patch: push, revision: None, upsert: false };
        let steps = vec![step("docs", patch), step("list", Write::Upsert(document))];
        let key = world.rng().bool().then(|| u128::from(number) << 64);
        self.write(world, at, Command::Write(steps.clone()), key, Wrote::Append(number));
        if key.is_some() && world.rng().bool() {
            let other = self.somewhere(world);
            self.again += 1;
            self.write(world, other, Command::Write(steps), key, Wrote::Append(number));
        }
    }

    fn read_register(&mut self, world: &mut World, at: NodeIndex) {
        let id = world.rng().u64(0..REGISTERS);
        self.get(world, at, id);
    }

    fn get(&mut self, world: &mut World, at: NodeIndex, id: u64) {
        let ids = vec![format!("d{id}")];
        let question = Question::Get { collection: "docs".into(), ids, projection: Projection::default() };
        self.read(world, at, question, Level::Linearizable, Reading::Register(id));
    }

    /// Everything once more, at one node.
    pub(super) fn ask_all(&mut self, world: &mut World, at: NodeIndex) {
        self.append(world, at);
        (0..REGISTERS).for_each(|id| self.get(world, at, id));
        self.find(world, at, "list", Find::default().limit(1000), Reading::List);
        self.find(world, at, "bank", Find::default(), Reading::Bank);
        self.find(world, at, "people", Find::default(), Reading::People);
        let question = Question::Find("docs".into(), Find::default().limit(1000));
        self.read(world, at, question, Level::Linearizable, Reading::Session(0, 0));
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.writes.is_empty() || !self.reads.is_empty()
    }

    /// Takes the answers that are there; some lead to the next question.
    pub(super) fn collect(&mut self, world: &mut World) {
        let now = world.now();
        for asked in std::mem::take(&mut self.writes) {
            match world.answer::<Answered>(asked.ticket) {
                None => self.writes.push(asked),
                Some(answer) => {
                    let result = answer.map_err(DocumentError::from).and_then(|it| it).map(|receipt| receipt.index);
                    if let Ok(index) = result {
                        self.known = self.known.max(index);
                        let user = index as usize % self.sessions.len();
                        self.sessions[user] = self.sessions[user].max(index);
                    }
                    let Asked { asked, known, about: wrote, .. } = asked;
                    self.outcomes.push(Outcome { asked, answered: now, known, wrote, result });
                }
            }
        }
        for asked in std::mem::take(&mut self.reads) {
            match world.answer::<Read>(asked.ticket) {
                None => self.reads.push(asked),
                Some(answer) => self.answered(world, asked, answer),
            }
        }
    }

    fn answered(&mut self, world: &mut World, asked: Asked<Reading>, answer: Result<Read, CallError>) {
        let got = match answer.map_err(DocumentError::from).and_then(|it| it) {
            Ok(got) => got,
            Err(error) => {
                let expired = matches!(error.refusal(), Some(Refusal::CursorExpired { .. }));
                self.expired += u64::from(expired);
                return;
            }
        };
        let Asked { asked, known, about: reading, .. } = asked;
        let (mut at, mut cursor) = (got.applied, None);
        let mut found: Vec<Found> = match got.value {
            Answer::Documents(found) => found.into_iter().flatten().collect(),
            Answer::Page(page) => {
                (at, cursor) = (page.at, page.cursor);
                page.documents
            }
            _ => return,
        };
        match &reading {
            Reading::Page(find, before) => {
                found = before.iter().cloned().chain(found).collect();
                if let Some(cursor) = cursor {
                    // now and then through another node, which may know nothing of it
                    let (to, next) = (self.somewhere(world), find.clone().after(cursor));
                    let question = Question::Find("docs".into(), next);
                    return self.read(world, to, question, Level::AtLeast(at), Reading::Page(find.clone(), found));
                }
            }
            Reading::Session(user, _) => self.sessions[*user] = self.sessions[*user].max(at),
            Reading::Bank => self.transfer(world, &found),
            Reading::Register(id) => self.swap(world, *id, &found),
            _ => {}
        }
        if !matches!(reading, Reading::Page(..)) {
            self.known = self.known.max(at);
        }
        self.seen.push(Seen { asked, answered: world.now(), known, reading, at, found });
    }

    /// Moves an amount from one account to another, if both are still as they were.
    fn transfer(&mut self, world: &mut World, accounts: &[Found]) {
        if accounts.len() < 2 {
            return;
        }
        let (from, to) = (world.rng().usize(0..accounts.len()), world.rng().usize(0..accounts.len()));
        let much = world.rng().u64(0..=amount(&accounts[from]));
        if from == to || much == 0 {
            return;
        }
        let replace = |account: &Found, amount: u64| {
            let document = text(&json!({"_id": account.id, "amount": amount}));
            step("bank", Write::Replace(document, Some(account.revision)))
        };
        let (less, more) = (amount(&accounts[from]) - much, amount(&accounts[to]) + much);
        let steps = vec![replace(&accounts[from], less), replace(&accounts[to], more)];
        let at = self.somewhere(world);
        self.write(world, at, Command::Write(steps), None, Wrote::Other);
    }

    /// Now and then, what was read is replaced if it is still so.
    fn swap(&mut self, world: &mut World, id: u64, found: &[Found]) {
        if let (Some(found), true) = (found.first(), world.rng().bool()) {
            let (at, value) = (self.somewhere(world), self.number());
            let document = text(&json!({"_id": found.id, "v": value}));
            let replace = step("docs", Write::Replace(document, Some(found.revision)));
            let wrote = Wrote::Swap(id, value_of(found), value);
            self.write(world, at, Command::Write(vec![replace]), None, wrote);
        }
    }

    pub(super) fn count(&self, counts: &mut Counts) {
        let outcomes = |wanted: fn(&Result<u64, DocumentError>) -> bool| {
            self.outcomes.iter().filter(|it| wanted(&it.result)).count() as u64
        };
        counts.insert("writes done", outcomes(Result::is_ok));
        counts.insert("writes refused", outcomes(|it| it.as_ref().is_err_and(|it| it.fate() == Fate::NotDone)));
        counts.insert("writes unknown", outcomes(|it| it.as_ref().is_err_and(|it| it.fate() == Fate::Unknown)));
        counts.insert("asked again by key", self.again);
        let seen = |wanted: fn(&Reading) -> bool| self.seen.iter().filter(|it| wanted(&it.reading)).count() as u64;
        counts.insert("reads", self.seen.len() as u64);
        counts.insert("session reads", seen(|it| matches!(it, Reading::Session(..))));
        counts.insert("reads by index", seen(|it| matches!(it, Reading::Tagged(_))));
        counts.insert("further pages", seen(|it| matches!(it, Reading::Page(_, before) if !before.is_empty())));
        counts.insert("cursors expired", self.expired);
    }
}

pub(super) fn amount(account: &Found) -> u64 {
    account.document.value()["amount"].as_u64().unwrap_or(u64::MAX)
}

/// A register's value.
pub(super) fn value_of(found: &Found) -> u64 {
    found.document.value()["v"].as_u64().unwrap_or_default()
}

/// Documents by id, with revisions.
pub(super) fn by_id(found: &[Found]) -> BTreeMap<String, (u64, Document)> {
    found.iter().map(|it| (it.id.clone(), (it.revision, it.document.clone()))).collect()
}
