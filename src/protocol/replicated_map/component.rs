//! The map's typed face on a node: turns calls into the log's, and its bytes into
//! answers.

use super::command::{Committed, Entry, Page, Query, Transaction, Watched};
use crate::component::{Context, Input, Inspection, Manifest, NetComponent, ReplyTo, Role, Run, Token};
use crate::error::{CallError, Fault};
use crate::id::Kind;
use crate::protocol::replicated_log::{self as log, Answer, Level, Proposed, ReplicatedLog};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "replicated_map";
/// The channel of its commands in the log.
pub const CHANNEL: Kind = Kind::of(NAME);
/// The log answers at its deadline; the driver's is a little later.
const GRACE: Duration = Duration::from_secs(5);

/// What may be asked of the map.
#[derive(Debug)]
pub enum Call {
    /// Answered with `Result<Committed, CallError>`.
    Commit {
        /// What is to be done.
        transaction: Transaction,
        /// The same key again does it once.
        key: Option<log::Key>,
        /// Until when it is tried.
        within: Duration,
    },
    /// Answered with `Result<Got<Vec<Option<Entry>>>, CallError>`: the keys, at one
    /// index.
    Get {
        /// Which.
        keys: Vec<Bytes>,
        /// How new.
        level: Level,
        /// Until when.
        within: Duration,
    },
    /// Answered with `Result<Got<Page>, CallError>`.
    List {
        /// How keys begin; empty for all.
        prefix: Bytes,
        /// Only those behind this one.
        after: Option<Bytes>,
        /// At most so many, and at most 1000.
        limit: u32,
        /// How new.
        level: Level,
        /// Until when.
        within: Duration,
    },
    /// Waits for a change. Answered with `Result<Got<Watched>, CallError>`;
    /// `TimedOut` if there was none.
    Watch {
        /// How keys begin; empty for all.
        prefix: Bytes,
        /// Changes behind this index.
        after: u64,
        /// About so many at most, and at most 1000.
        limit: u32,
        /// Until when.
        within: Duration,
    },
}

/// An answer, and the index of the state that gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Got<T> {
    /// The index.
    pub applied: u64,
    /// The answer.
    pub value: T,
}

#[derive(Clone, Copy)]
enum Asked {
    Commit,
    Get,
    List,
    Watch,
}

/// See [the module](super).
#[derive(Default)]
pub struct ReplicatedMap {
    waiting: BTreeMap<Token, (ReplyTo, Asked)>,
    asked: u64,
}

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedMap>;

impl ReplicatedMap {
    fn call(&mut self, call: Call, reply_to: ReplyTo, cx: Cx<'_, '_>) {
        let query = |query: &Query, level, within| {
            let call = log::Call::Query { channel: CHANNEL, query: encoded(query), level, within };
            (call, within)
        };
        let (asked, (call, within)) = match call {
            Call::Commit { transaction, key, within } => {
                if let Some(refusal) = transaction.refusal() {
                    return cx.reply(reply_to, Ok::<_, CallError>(Committed::Refused(refusal)));
                }
                let command = encoded(&transaction);
                (Asked::Commit, (log::Call::Propose { channel: CHANNEL, command, key, within }, within))
            }
            Call::Get { keys, level, within } => (Asked::Get, query(&Query::Get(keys), level, within)),
            Call::List { prefix, after, limit, level, within } => {
                (Asked::List, query(&Query::List { prefix, after, limit }, level, within))
            }
            Call::Watch { prefix, after, limit, within } => {
                // every replica tells the same changes: no majority is asked
                (Asked::Watch, query(&Query::Watch { prefix, after, limit }, Level::AtLeast(after), within))
            }
        };
        self.asked += 1;
        let token = cx.call::<ReplicatedLog>(Kind::of(log::NAME), call, within + GRACE);
        self.waiting.insert(token, (reply_to, asked));
    }

    fn answered(&mut self, token: Token, value: Result<crate::component::Erased, CallError>, cx: Cx<'_, '_>) {
        let Some((reply_to, asked)) = self.waiting.remove(&token) else { return };
        let unreadable = || CallError::Failed("the log's answer does not decode: are all nodes of one version?".into());
        if let Asked::Commit = asked {
            let proposed = value.and_then(|value| *value.downcast::<Proposed>().unwrap_or(Box::new(Err(unreadable()))));
            let committed = proposed.and_then(|done| postcard::from_bytes(&done.reply).map_err(|_| unreadable()));
            return cx.reply::<Result<Committed, CallError>>(reply_to, committed);
        }
        let answer = value.and_then(|value| *value.downcast::<Answer>().unwrap_or(Box::new(Err(unreadable()))));
        match asked {
            Asked::Get => cx.reply(reply_to, got::<Vec<Option<Entry>>>(answer, unreadable)),
            Asked::List => cx.reply(reply_to, got::<Page>(answer, unreadable)),
            Asked::Watch => cx.reply(reply_to, got::<Watched>(answer, unreadable)),
            Asked::Commit => {}
        }
    }
}

fn got<T: DeserializeOwned>(answer: Answer, unreadable: impl Fn() -> CallError) -> Result<Got<T>, CallError> {
    let log::Answered { applied, reply } = answer?;
    postcard::from_bytes(&reply).map(|value| Got { applied, value }).map_err(|_| unreadable())
}

fn encoded<T: Serialize>(value: &T) -> Bytes {
    // of plain values into memory: nothing in it can refuse
    postcard::to_stdvec(value).unwrap_or_default().into()
}

impl NetComponent for ReplicatedMap {
    type Message = ();
    type Call = Call;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            requires: vec!["replicated_log"],
            run: Run::InPlace,
            role: Role::Leaf,
            guarantee: "transactions of several keys are done at one index on all voters, or not at all; reads are \
                        linearizable, watches have no gap; as durable as the log",
            memory_ceiling: Some(|_| 2 * super::MEMORY_BYTES_MAX as u64),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { call, reply_to } => self.call(call, reply_to, cx),
            Input::Reply { token, value } => self.answered(token, value, cx),
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("asked", format!("{}, waiting {}", self.asked, self.waiting.len()));
    }
}
