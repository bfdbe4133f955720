//! The component: calls come in here, disk operations go out.

use super::super::parts_log::{PartId, Place};
use super::ballast::Ballast;
use super::boot::{Boot, Step};
use super::call::{Call, Refusal};
use super::group::Group;
use super::shelf::Shelf;
use super::steps::{Growing, Then, Work};
use crate::component::{Context, DiskDone, Input, Inspection, Manifest, NetComponent, ReplyTo, Role, Token};
use crate::error::Fault;
use crate::event::Event;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;

/// The component's name.
pub const NAME: &str = "ring_holder";

/// The directory was read: what a life begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// Whole parts.
    pub parts: usize,
    /// Parts that the log knows and the disk has not.
    pub lost: usize,
    /// Stretches of the log that are no records.
    pub damaged: u64,
}

impl Event for Recovered {
    const NAME: &'static str = "ring_holder.recovered";
}

/// The component's timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// What was only written is synced.
    Group,
    /// Room is kept again, where there is some.
    Ballast,
}

/// A planted bug, that tests must catch.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A part is acknowledged before it is synced.
    AckBeforeSync,
    /// A part is called whole whatever was written.
    RelabelsEmpty,
    /// The log is written, not synced.
    LogUnsynced,
    /// The directory is not synced.
    NoDirectorySync,
    /// What is to be synced soon is never.
    GroupForgotten,
    /// The older content does not make way.
    Overwrites,
}

/// See [the module](super).
#[derive(Default)]
pub struct Holder {
    pub(super) mutant: Option<Mutant>,
    boot: Option<Boot>,
    /// Operations before the directory is in order.
    settling: usize,
    pub(super) serves: bool,
    /// Parts in whose place something lies that is no file.
    pub(super) blocked: std::collections::BTreeSet<PartId>,
    pub(super) shelf: Shelf,
    pub(super) growing: BTreeMap<PartId, Growing>,
    pub(super) work: BTreeMap<Token, Then>,
    /// Records for the next write of the log, and what waits for its sync.
    pub(super) records: Vec<u8>,
    pub(super) waiting: Vec<Work>,
    pub(super) syncing: bool,
    /// What was acknowledged once it was written, and is to be synced soon.
    pub(super) group: Group,
    pub(super) ballast: Ballast,
}

pub(super) type Cx<'a, 'b> = &'a mut Context<'b, Holder>;

impl Holder {
    /// One that keeps so many bytes free, for deletions on a full disk.
    pub fn with_ballast(bytes: u64) -> Self {
        Holder { ballast: Ballast { bytes, ..Ballast::default() }, ..Holder::default() }
    }

    /// With a planted bug.
    #[doc(hidden)]
    pub fn planted(mutant: Option<Mutant>) -> Self {
        Holder { mutant, ..Holder::default() }
    }

    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn booting(&mut self, result: io::Result<DiskDone>, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let broken = |error: io::Error| Fault::Broken(format!("the holder's directory cannot be read: {error}"));
        if self.settling > 0 {
            result.map_err(broken)?;
            self.settling -= 1;
            self.serves = self.settling == 0;
            if self.serves {
                self.make_ballast(cx);
            }
            return Ok(());
        }
        let Some(boot) = &mut self.boot else { return Ok(()) };
        match boot.done(result).map_err(broken)? {
            Step::Ask(op) => _ = cx.disk(op),
            Step::Done(booted) => {
                self.boot = None;
                let (parts, lost, damaged) = (booted.shelf.parts.len(), booted.lost.len(), booted.scanned.damaged);
                if lost > 0 || damaged > 0 {
                    log::warn!(target: "nodewright::ring_holder", "{}: {lost} parts are lost, the log is damaged in {damaged} places", cx.me());
                }
                self.shelf = booted.shelf;
                self.blocked = booted.blocked;
                let ops: Vec<_> = self.ballast.before_boot().into_iter().chain(booted.ops).collect();
                self.settling = ops.len();
                ops.into_iter().for_each(|op| _ = cx.disk(op));
                cx.publish(Recovered { parts, lost, damaged });
            }
        }
        Ok(())
    }

    fn call(&mut self, call: Call, to: ReplyTo, cx: Cx<'_, '_>) {
        match call {
            Call::Prepare { id, name, cuts, role } => self.prepare(id, Growing::new(name, cuts, id.part, role), to, cx),
            Call::Write { id, offset, bytes } => self.write(id, offset, bytes, to, cx),
            Call::Seal { id, digest, durability } => self.seal(id, digest, durability, to, cx),
            Call::Commit(manifest) => self.commit(*manifest, to),
            Call::Abort(push) => self.abort(push, to, cx),
            Call::Retire(push) => self.retire(push, to, cx),
            Call::Purge(push) => self.purge(push, to, cx),
            Call::GiveUp(id) => {
                self.give_up(id, cx);
                cx.reply(to, Ok::<(), Refusal>(()));
            }
            Call::Inventory => cx.reply(to, Ok::<_, Refusal>(self.shelf.stock())),
            Call::Files => cx.reply(to, Ok::<_, Refusal>(self.shelf.files())),
            Call::Rot(nth) => self.rot(nth, to, cx),
            Call::Has(id) => self.tell(id, to, cx),
            Call::Read { id, offset, bytes } => self.read(id, offset, bytes, to, cx),
            Call::Scrub { id, at_ms } => self.scrub(id, at_ms, to, cx),
        }
    }
}

/// An answer of the type that the call has, that says no.
fn refuse(call: &Call, refusal: Refusal, to: ReplyTo, cx: Cx<'_, '_>) {
    match call {
        Call::Commit(_) => cx.reply(to, Err::<u16, _>(refusal)),
        Call::Has(_) => cx.reply(to, Err::<super::Held, _>(refusal)),
        Call::Rot(_) => cx.reply(to, false),
        Call::Files => cx.reply(to, Err::<Vec<super::super::manifest::Manifest>, _>(refusal)),
        Call::Inventory => cx.reply(to, Err::<Vec<super::Stocked>, _>(refusal)),
        Call::Read { .. } => cx.reply(to, Err::<bytes::Bytes, _>(refusal)),
        Call::Scrub { .. } => cx.reply(to, Err::<super::Scrubbed, _>(refusal)),
        _ => cx.reply(to, Err::<(), _>(refusal)),
    }
}

impl NetComponent for Holder {
    type Message = ();
    type Call = Call;
    type Timer = Timer;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            role: Role::Protocol,
            at_home: true,
            guarantee: "a part that was acknowledged is there, whole, after every crash; it is seen under its file's \
                        name only once its push was committed",
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => {
                let (boot, first) = Boot::begin();
                self.boot = Some(boot);
                cx.disk(first);
            }
            Input::Call { call, reply_to } if !self.serves => refuse(&call, Refusal::Starting, reply_to, cx),
            Input::Call { call, reply_to } => self.call(call, reply_to, cx),
            Input::Disk { result, .. } if !self.serves => self.booting(result, cx)?,
            Input::Disk { token, result } => self.done(token, result, cx)?,
            Input::Timer(Timer::Group) => self.sync_group(cx),
            Input::Timer(Timer::Ballast) => self.make_ballast(cx),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.append_written(cx);
        self.write_log(cx);
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("parts", format!("{}, being written {}", self.shelf.parts.len(), self.growing.len()));
        into.row(
            "staged",
            self.growing.len() + self.shelf.stock().iter().filter(|it| it.place == Place::Stage).count(),
        );
        into.row("disk full", self.ballast.is_gone());
        into.row("quarantine", format!("{}", self.shelf.quarantined.len()));
    }
}
