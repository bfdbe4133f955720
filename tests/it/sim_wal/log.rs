//! The component: a write-ahead log of numbers, careful of its disk.
//!
//! ```text
//!   append -> record -> log/current ; sync -> mark: so many are durable ; acknowledge
//!   start  -> read mark and log -> what is whole -> log/next ; sync -> log/current ; sync names -> mark
//! ```
//!
//! - Records have checksums, and what follows the first bad one is cut off, by
//!   writing the whole ones to a new file. That also makes durable what a failed
//!   sync had left in memory alone: no sync of the old file could.
//! - The mark is replaced before an acknowledgement: it says how many records are
//!   owed, so a log that is shorter is damaged, and not just torn.
//! - It also says which life wrote it last. A life that finds another one before
//!   it than the last says so: the disk was exchanged, or that life never served.
//! - Whatever the disk refuses ends the life; nothing is tried again.

use super::record::{Mark, records, whole_records};
use bytes::Bytes;
use nodewright::component::{Context, DiskDone, DiskOp, Input, Manifest, NetComponent, ReplyTo, Role, Token};
use nodewright::error::Fault;
use nodewright::event::Event;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;

pub const CURRENT: &str = "log/current";
pub const MARK: &str = "mark";
const NEXT: &str = "log/next";

/// A mistake that people make with disks.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Bug {
    AcknowledgesBeforeTheSync,
    LeavesTheDirectoryUnsynced,
    KeepsTheTornTail,
    BelievesASecondSync,
}

/// A number was made durable.
#[derive(Debug)]
pub struct Acknowledged(pub u64);

impl Event for Acknowledged {
    const NAME: &'static str = "acknowledged";
}

/// A life begins to serve with these numbers.
#[derive(Debug)]
pub struct Recovered(pub Vec<u64>);

impl Event for Recovered {
    const NAME: &'static str = "recovered";
}

/// The life before this one left no trace: what it acknowledged may be lost.
/// Said before [`Recovered`].
#[derive(Debug)]
pub struct Doubtful;

impl Event for Doubtful {
    const NAME: &'static str = "doubtful";
}

/// Asks for a number to be kept; answered with `true` once it is durable.
pub struct Append(pub u64);

/// Appends that one sync makes durable.
struct Group {
    waits_for: Token,
    waiting: Vec<(u64, ReplyTo)>,
    /// Records in the log with these.
    count: u64,
}

enum Phase {
    ReadingMark,
    ReadingLog(Option<Mark>),
    /// Writing the whole records to a new file, renaming it, or marking.
    Rewriting(Token, DiskOp),
    Serving,
}

pub struct Log {
    bug: Option<Bug>,
    phase: Phase,
    values: Vec<u64>,
    life: u64,
    /// Not yet asked to be synced.
    appended: Vec<(u64, ReplyTo)>,
    syncing: VecDeque<Group>,
    marking: VecDeque<Group>,
}

type Cx<'a, 'b> = &'a mut Context<'b, Log>;

impl Log {
    pub fn new(bug: Option<Bug>) -> Self {
        Log {
            bug,
            phase: Phase::ReadingMark,
            values: Vec::new(),
            life: 0,
            appended: Vec::new(),
            syncing: VecDeque::new(),
            marking: VecDeque::new(),
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn mark(&self, count: u64) -> DiskOp {
        DiskOp::Replace { name: MARK.into(), bytes: Mark { life: self.life, count }.bytes() }
    }

    /// The mark and the log are read: is all there that is owed?
    fn recover(&mut self, mark: Option<Mark>, log: &[u8], cx: Cx<'_, '_>) -> Result<(), Fault> {
        self.values = whole_records(log);
        let owed = mark.as_ref().map_or(0, |mark| mark.count);
        if (self.values.len() as u64) < owed {
            return Err(Fault::Stop(format!("damaged: {} records of {owed}", self.values.len())));
        }
        if mark.map_or(0, |mark| mark.life) + 1 < self.life {
            cx.publish(Doubtful);
        }
        if self.has(Bug::KeepsTheTornTail) {
            cx.disk(DiskOp::Append { name: CURRENT.into(), bytes: Bytes::new() });
            cx.disk(DiskOp::Sync { name: CURRENT.into() });
            let named = cx.disk(DiskOp::SyncDir { name: "log".into() });
            self.phase = Phase::Rewriting(named, DiskOp::SyncDir { name: "log".into() });
            return Ok(());
        }
        cx.disk(DiskOp::Remove { name: NEXT.into() });
        cx.disk(DiskOp::Append { name: NEXT.into(), bytes: records(0, &self.values) });
        let sync = DiskOp::Sync { name: NEXT.into() };
        self.phase = Phase::Rewriting(cx.disk(sync.clone()), sync);
        Ok(())
    }

    /// What was rewritten takes its next step.
    fn rewritten(&mut self, done: DiskOp, cx: Cx<'_, '_>) {
        let next = match done {
            DiskOp::Sync { .. } => {
                let rename = DiskOp::Rename { from: NEXT.into(), to: CURRENT.into() };
                let renamed = cx.disk(rename.clone());
                if self.has(Bug::LeavesTheDirectoryUnsynced) {
                    self.phase = Phase::Rewriting(renamed, DiskOp::SyncDir { name: "log".into() });
                    return;
                }
                DiskOp::SyncDir { name: "log".into() }
            }
            DiskOp::SyncDir { .. } => self.mark(self.values.len() as u64),
            _ => {
                self.phase = Phase::Serving;
                return cx.publish(Recovered(self.values.clone()));
            }
        };
        self.phase = Phase::Rewriting(cx.disk(next.clone()), next);
    }

    fn disk(&mut self, token: Token, result: io::Result<DiskDone>, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let absent = matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let sync_failed = result.is_err() && self.syncing.front().is_some_and(|group| group.waits_for == token);
        if sync_failed && self.has(Bug::BelievesASecondSync) {
            self.syncing[0].waits_for = cx.disk(DiskOp::Sync { name: CURRENT.into() });
            return Ok(());
        }
        let read = match result {
            Ok(DiskDone::Read(bytes)) => bytes,
            Ok(_) => Bytes::new(),
            Err(_) if absent && !matches!(self.phase, Phase::Serving) => Bytes::new(),
            Err(error) => return Err(Fault::Broken(format!("the disk failed: {error}"))),
        };
        match &mut self.phase {
            Phase::ReadingMark => {
                let mark = if absent {
                    None
                } else {
                    Some(Mark::of(&read).ok_or_else(|| Fault::Stop("damaged: the mark".into()))?)
                };
                cx.disk(DiskOp::Read { name: CURRENT.into(), offset: 0, bytes: u64::MAX });
                self.phase = Phase::ReadingLog(mark);
            }
            Phase::ReadingLog(mark) => {
                let mark = mark.take();
                self.recover(mark, &read, cx)?;
            }
            Phase::Rewriting(waits_for, op) => {
                if *waits_for == token {
                    let op = op.clone();
                    self.rewritten(op, cx);
                }
            }
            Phase::Serving => self.served(token, cx),
        }
        Ok(())
    }

    fn served(&mut self, token: Token, cx: Cx<'_, '_>) {
        if let Some(mut group) = self.syncing.pop_front_if(|group| group.waits_for == token) {
            group.waits_for = cx.disk(self.mark(group.count));
            self.marking.push_back(group);
        } else if let Some(group) = self.marking.pop_front_if(|group| group.waits_for == token) {
            acknowledge(group.waiting, cx);
        }
    }
}

fn acknowledge(waiting: Vec<(u64, ReplyTo)>, cx: Cx<'_, '_>) {
    for (value, reply_to) in waiting {
        cx.publish(Acknowledged(value));
        cx.reply(reply_to, true);
    }
}

impl NetComponent for Log {
    type Message = ();
    type Call = Append;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest { role: Role::Protocol, ..Manifest::new("log") }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.life = boot.me.incarnation.0;
                cx.disk(DiskOp::Read { name: MARK.into(), offset: 0, bytes: u64::MAX });
            }
            Input::Disk { token, result } => self.disk(token, result, cx)?,
            Input::Call { call: Append(value), reply_to } if matches!(self.phase, Phase::Serving) => {
                let bytes = records(self.values.len() as u64, &[value]);
                cx.disk(DiskOp::Append { name: CURRENT.into(), bytes });
                self.values.push(value);
                self.appended.push((value, reply_to));
            }
            Input::Call { reply_to, .. } => cx.reply(reply_to, false),
            _ => {}
        }
        Ok(())
    }

    /// All appends of a run of inputs share one sync.
    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let mut waiting = std::mem::take(&mut self.appended);
        if waiting.is_empty() {
            return Ok(());
        }
        if self.has(Bug::AcknowledgesBeforeTheSync) {
            acknowledge(std::mem::take(&mut waiting), cx);
        }
        let waits_for = cx.disk(DiskOp::Sync { name: CURRENT.into() });
        self.syncing.push_back(Group { waits_for, waiting, count: self.values.len() as u64 });
        Ok(())
    }
}
