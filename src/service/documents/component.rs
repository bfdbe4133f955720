//! The store's typed face on a node: turns calls into the log's, and its bytes
//! into answers; makes the collections that were named, and sees to what is due as
//! time passes while this node leads.

use super::command::{CollectionOptions, Command, Committed, Done, Step, Write};
use super::limits::Mutant;
use super::question::{Answer, Chores, Question};
use super::refusal::{DocumentError, Refusal};
use crate::component::{Context, Input, Inspection, Manifest, NetComponent, ReplyTo, Role, Run, Token};
use crate::error::{CallError, Fault};
use crate::event::EventType;
use crate::id::{Kind, Life};
use crate::protocol::replicated_log::{self as log, Key, Level, LogLeader, Proposed, ReplicatedLog};
use crate::time::Time;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "documents";
/// The channel of its commands in the log.
pub const CHANNEL: Kind = Kind::of(NAME);
/// Longest batch, in bytes of its entry: the log takes 1 MiB with its own head.
pub const BATCH_BYTES_MAX: usize = (1 << 20) - 128;
/// The log answers at its deadline; the driver's is a little later.
const GRACE: Duration = Duration::from_secs(5);
/// When the log is not ready, it is asked again after so long.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Most questions that wait for that.
const UNREADY_MAX: usize = 4096;
/// How often it looks for what is due.
const CHORES_EVERY: Duration = Duration::from_millis(250);
/// How long what it does of itself is tried, before it is asked for again.
const CHORES_WITHIN: Duration = Duration::from_secs(5);

/// What may be asked of the store.
#[derive(Debug)]
pub enum Call {
    /// Answered with `Result<Receipt<Done>, DocumentError>`.
    Commit {
        /// What is to be done.
        command: Command,
        /// The same key again does it once, through whatever node.
        key: Option<Key>,
        /// Until when it is tried.
        within: Duration,
    },
    /// What became of the command with this key. Answered with
    /// `Result<Option<Receipt<Done>>, DocumentError>`: `None` if no such outcome is
    /// remembered, as of now.
    Outcome {
        /// The key.
        key: Key,
        /// Until when.
        within: Duration,
    },
    /// Answered with `Result<Got<Answer>, DocumentError>`; never with
    /// [`Answer::Refused`], which is an error.
    Ask {
        /// What is asked.
        question: Question,
        /// How new the state must be. A watch takes any replica's.
        level: Level,
        /// Until when.
        within: Duration,
    },
}

/// Something that is done: synced on a majority of the voters, applied here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Receipt<T> {
    /// Term of the leader that took it.
    pub term: u64,
    /// Its place in the log: the revision of what it wrote, and what
    /// [`Level::AtLeast`] takes.
    pub index: u64,
    /// On how many nodes it is synced at the least; 0 where that is not known (an
    /// outcome asked for later), which is a majority all the same.
    pub synced: usize,
    /// What it came to.
    pub value: T,
}

impl<T> Receipt<T> {
    /// The same about something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Receipt<U> {
        let Receipt { term, index, synced, value } = self;
        Receipt { term, index, synced, value: change(value) }
    }
}

/// An answer, the index of the state that gave it, and how new that had to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Got<T> {
    /// The index.
    pub applied: u64,
    /// The level that was asked for.
    pub level: Level,
    /// The answer.
    pub value: T,
}

impl<T> Got<T> {
    /// The same with another answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Got<U> {
        let Got { applied, level, value } = self;
        Got { applied, level, value: change(value) }
    }
}

/// Answer to [`Call::Commit`].
pub type Answered = Result<Receipt<Done>, DocumentError>;
/// Answer to [`Call::Ask`].
pub type Read = Result<Got<Answer>, DocumentError>;
/// Answer to [`Call::Outcome`].
pub type Remembered = Result<Option<Receipt<Done>>, DocumentError>;

#[derive(Clone)]
enum Asked {
    Commit(ReplyTo),
    Outcome(ReplyTo),
    /// The question as it was put, and until when.
    Ask(ReplyTo, Level, Bytes, Level, Time),
    /// A collection that was named is on its way.
    Named,
    Chores,
    Passed,
}

/// See [the module](super).
pub struct DocumentStore {
    collections: Vec<String>,
    named: usize,
    /// The next of them is to be asked for again.
    unnamed: bool,
    waiting: BTreeMap<Token, Asked>,
    /// Questions that the log was not ready for.
    unready: Vec<Asked>,
    asked: u64,
    /// Ids that this life has given.
    given: u64,
    leads: bool,
    busy: bool,
    passed_at: Time,
    mutant: Option<Mutant>,
}

type Cx<'a, 'b> = &'a mut Context<'b, DocumentStore>;

impl DocumentStore {
    /// With these collections, made where they are not there.
    pub fn new(collections: Vec<String>) -> Self {
        DocumentStore {
            collections,
            named: 0,
            unnamed: false,
            waiting: BTreeMap::new(),
            unready: Vec::new(),
            asked: 0,
            given: 0,
            leads: false,
            busy: false,
            passed_at: Time::ZERO,
            mutant: None,
        }
    }

    /// With a bug, for the tests to catch.
    #[doc(hidden)]
    pub fn planted(self, mutant: Option<Mutant>) -> Self {
        DocumentStore { mutant, ..self }
    }

    fn call(&mut self, call: Call, reply_to: ReplyTo, cx: Cx<'_, '_>) {
        self.asked += 1;
        match call {
            Call::Commit { command, key, within } => match self.prepared(command, cx.me()) {
                Ok(command) => self.propose(command, key, within, Asked::Commit(reply_to), cx),
                Err((step, why)) => {
                    cx.reply::<Answered>(reply_to, Err(DocumentError::Refused { at: 0, step, why }));
                }
            },
            Call::Outcome { key, within } => {
                let asked = Asked::Outcome(reply_to);
                self.hand_on(log::Call::Outcome { key, within }, within, asked, cx);
            }
            Call::Ask { question, level, within } => {
                // every replica tells the same changes: no majority is asked
                let of_log = match &question {
                    Question::Watch(watch) => Level::AtLeast(watch.after),
                    _ if self.mutant == Some(Mutant::ReadStale) => Level::Stale,
                    _ => level,
                };
                let (query, end) = (encoded(&question), cx.now() + within);
                self.query(query.clone(), of_log, within, Asked::Ask(reply_to, level, query, of_log, end), cx);
            }
        }
    }

    fn hand_on(&mut self, call: log::Call, within: Duration, asked: Asked, cx: Cx<'_, '_>) {
        let token = cx.call::<ReplicatedLog>(Kind::of(log::NAME), call, within + GRACE);
        self.waiting.insert(token, asked);
    }

    fn propose(&mut self, command: Bytes, key: Option<Key>, within: Duration, asked: Asked, cx: Cx<'_, '_>) {
        self.hand_on(log::Call::Propose { channel: CHANNEL, command, key, within }, within, asked, cx);
    }

    fn query(&mut self, query: Bytes, level: Level, within: Duration, asked: Asked, cx: Cx<'_, '_>) {
        self.hand_on(log::Call::Query { channel: CHANNEL, query, level, within }, within, asked, cx);
    }

    /// The command as it goes to the log: judged as far as it can be by itself,
    /// new documents with their ids.
    fn prepared(&mut self, mut command: Command, me: Life) -> Result<Bytes, (usize, Refusal)> {
        command.check()?;
        if let Command::Write(steps) = &mut command {
            for (at, Step { write, .. }) in steps.iter_mut().enumerate() {
                let given = &mut self.given;
                write.give_id(|| next_id(me, given)).map_err(|why| (at, why))?;
            }
        }
        let bytes = encoded(&command);
        match bytes.len() {
            asked if asked > BATCH_BYTES_MAX => {
                let (what, max) = ("bytes in a batch".to_string(), BATCH_BYTES_MAX as u64);
                Err((0, Refusal::TooMany { what, asked: asked as u64, max }))
            }
            _ => Ok(bytes),
        }
    }

    fn answered(&mut self, token: Token, value: Result<crate::component::Erased, CallError>, cx: Cx<'_, '_>) {
        let Some(asked) = self.waiting.remove(&token) else { return };
        match asked {
            Asked::Commit(reply_to) => cx.reply::<Answered>(reply_to, committed(value)),
            Asked::Outcome(reply_to) => cx.reply::<Remembered>(reply_to, remembered(value)),
            Asked::Ask(reply_to, level, query, of_log, end) => {
                let read = read(value, level);
                let waits = matches!(&read, Err(DocumentError::NotDone(why)) if why == log::NOT_READY);
                if waits && cx.now() + AGAIN_AFTER < end && self.unready.len() < UNREADY_MAX {
                    self.unready.push(Asked::Ask(reply_to, level, query, of_log, end));
                    if !cx.has_timer(&Timer::Again) {
                        cx.set_timer(Timer::Again, AGAIN_AFTER);
                    }
                    return;
                }
                cx.reply::<Read>(reply_to, read);
            }
            Asked::Named => match committed(value) {
                Ok(_) => self.name_next(cx),
                // there, with options of its own
                Err(DocumentError::Refused { why: Refusal::Differs(_), .. }) => self.name_next(cx),
                Err(DocumentError::Refused { why, .. }) => {
                    ::log::error!(target: "nodewright::documents", "a collection named in the builder: {why}");
                    self.name_next(cx);
                }
                Err(_) => self.unnamed = true, // harmless to ask for again
            },
            Asked::Chores => match read(value, Level::Stale) {
                Ok(Got { value: Answer::Chores(chores), .. }) => self.chores(chores, cx),
                _ => self.busy = false,
            },
            Asked::Passed => {
                self.busy = false;
                // an index that is built goes on at once
                if let Ok(receipt) = committed(value)
                    && receipt.value == Done::Changed(true)
                {
                    self.look(cx);
                }
            }
        }
    }

    /// What the log was not ready for is put to it again.
    fn again(&mut self, cx: Cx<'_, '_>) {
        for asked in std::mem::take(&mut self.unready) {
            if let Asked::Ask(_, _, query, level, end) = &asked {
                let (query, level, within) = (query.clone(), *level, end.since(cx.now()));
                self.query(query, level, within, asked, cx);
            }
        }
    }

    // --- of its own accord ---

    fn name_next(&mut self, cx: Cx<'_, '_>) {
        self.named += 1;
        self.name(cx);
    }

    /// Asks for the next collection that was named.
    fn name(&mut self, cx: Cx<'_, '_>) {
        if let Some(name) = self.collections.get(self.named) {
            let command = encoded(&Command::CreateCollection(name.clone(), CollectionOptions::default()));
            self.propose(command, None, CHORES_WITHIN, Asked::Named, cx);
        }
    }

    /// Asks this replica whether anything is due.
    fn look(&mut self, cx: Cx<'_, '_>) {
        if self.leads && !self.busy {
            self.busy = true;
            self.query(encoded(&Question::Chores), Level::Stale, CHORES_WITHIN, Asked::Chores, cx);
        }
    }

    fn chores(&mut self, chores: Chores, cx: Cx<'_, '_>) {
        let passed = cx.now().since(self.passed_at);
        let due = chores.building || chores.expiring && passed >= CHORES_EVERY;
        if !due || !self.leads {
            self.busy = false;
            return;
        }
        self.passed_at = cx.now();
        let passed = if chores.expiring { passed.as_millis() as u64 } else { 0 };
        self.propose(encoded(&Command::Pass(passed)), None, CHORES_WITHIN, Asked::Passed, cx);
    }
}

impl Write {
    /// A new document without an id gets one.
    fn give_id(&mut self, id: impl FnOnce() -> String) -> Result<(), Refusal> {
        match self {
            Write::Insert(document) | Write::Upsert(document) => {
                *document = document.with_id(id)?.0;
                Ok(())
            }
            Write::Replace(document, _) if document.id().is_none() => {
                Err(Refusal::Document("it has no '_id': which one is to be replaced?".into()))
            }
            _ => Ok(()),
        }
    }
}

/// An id that nobody else gives: a life's number, its node, a count. Those of one
/// life are in their order.
fn next_id(me: Life, given: &mut u64) -> String {
    *given += 1;
    let mut id = String::with_capacity(32);
    for (value, digits) in [(me.incarnation.0, 10), (me.node.0, 13), (*given, 8)] {
        for digit in (0..digits).rev() {
            const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
            id.push(char::from(DIGITS[(value >> (5 * digit) & 31) as usize]));
        }
    }
    id
}

fn unreadable() -> CallError {
    CallError::Failed("the log's answer does not decode: are all nodes of one version?".into())
}

fn taken<T: 'static>(value: Result<crate::component::Erased, CallError>) -> Result<T, CallError> {
    value.and_then(|value| value.downcast::<T>().map(|it| *it).map_err(|_| unreadable()))
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CallError> {
    postcard::from_bytes(bytes).map_err(|_| unreadable())
}

fn judged(term: u64, index: u64, synced: usize, reply: &[u8]) -> Answered {
    match decoded::<Committed>(reply)? {
        Committed::Done(value) => Ok(Receipt { term, index, synced, value }),
        Committed::Refused { step, why } => Err(DocumentError::Refused { at: index, step, why }),
    }
}

fn committed(value: Result<crate::component::Erased, CallError>) -> Answered {
    let log::Done { term, index, synced, reply } = taken::<Proposed>(value).and_then(|it| it)?;
    judged(term, index, synced, &reply)
}

fn remembered(value: Result<crate::component::Erased, CallError>) -> Remembered {
    let log::Answered { reply, .. } = taken::<log::Answer>(value).and_then(|it| it)?;
    let Some((term, rest)) = reply.split_first_chunk() else { return Ok(None) };
    let Some((index, rest)) = rest.split_first_chunk() else { return Err(unreadable().into()) };
    judged(u64::from_le_bytes(*term), u64::from_le_bytes(*index), 0, rest).map(Some)
}

fn read(value: Result<crate::component::Erased, CallError>, level: Level) -> Read {
    let log::Answered { applied, reply } = taken::<log::Answer>(value).and_then(|it| it)?;
    match decoded::<Answer>(&reply)? {
        Answer::Refused(why) => Err(DocumentError::Refused { at: applied, step: 0, why }),
        value => Ok(Got { applied, level, value }),
    }
}

pub(super) fn encoded<T: Serialize>(value: &T) -> Bytes {
    // of plain values into memory: nothing in it can refuse
    postcard::to_stdvec(value).unwrap_or_default().into()
}

/// The component's timers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Looks for what is due.
    Chores,
    /// Asks the log again.
    Again,
}

impl NetComponent for DocumentStore {
    type Message = ();
    type Call = Call;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            requires: vec!["replicated_log"],
            hears: vec![EventType::of::<LogLeader>()],
            run: Run::InPlace,
            role: Role::Leaf,
            guarantee: "a write is one entry of the log, done as a whole on all voters and synced on a majority before \
                        it is acknowledged; reads are linearizable unless less is asked for; watches have no gap",
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => {
                self.passed_at = cx.now();
                self.name(cx);
                cx.set_timer(Timer::Chores, CHORES_EVERY);
            }
            Input::Call { call, reply_to } => self.call(call, reply_to, cx),
            Input::Reply { token, value } => self.answered(token, value, cx),
            Input::Event(event) => {
                if let Some(LogLeader { node, .. }) = event.get::<LogLeader>() {
                    let leads = *node == Some(cx.me().node);
                    if leads && !self.leads {
                        self.passed_at = cx.now();
                    }
                    self.leads = leads;
                }
            }
            Input::Timer(Timer::Again) => self.again(cx),
            Input::Timer(Timer::Chores) => {
                cx.set_timer(Timer::Chores, CHORES_EVERY);
                if std::mem::take(&mut self.unnamed) {
                    self.name(cx);
                }
                self.look(cx);
            }
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("asked", format!("{}, waiting {}", self.asked, self.waiting.len()));
        if self.named < self.collections.len() {
            into.row("collections to be made", self.collections[self.named..].join(", "));
        }
    }
}
