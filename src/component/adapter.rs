//! From erased items to typed inputs: the one place where bytes become heads.

use super::context::{Context, Ledger};
use super::effect::Outbox;
use super::input::{Boot, Delivered, Input};
use super::item::Item;
use super::{Manifest, NetComponent};
use crate::codec::{Items, take_head};
use crate::error::Fault;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::time::Time;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// A component's state for people, as names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Names and values, in the component's order.
    pub rows: Vec<(String, String)>,
}

impl Inspection {
    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, value: impl ToString) {
        self.rows.push((name.into(), value.to_string()));
    }
}

/// A component with its types erased: what drivers run.
pub trait AnyComponent: Send {
    /// The component's manifest.
    fn manifest(&self) -> &Manifest;
    /// Hands over one item.
    ///
    /// # Errors
    /// The component's fault.
    fn step(&mut self, item: Item, now: Time, out: &mut dyn Outbox) -> Result<(), Fault>;
    /// Ends a run of items.
    ///
    /// # Errors
    /// The component's fault.
    fn flush(&mut self, now: Time, out: &mut dyn Outbox) -> Result<(), Fault>;
    /// How many messages were dropped because they did not decode.
    fn malformed(&self) -> u64;
    /// How many messages of the last block or delivered batch were handled: if
    /// a step did not return, the next one is that under which it fell.
    fn handled(&self) -> u32;
}

/// Erases a component's types.
pub struct Adapter<C: NetComponent> {
    pub(super) component: C,
    pub(super) manifest: Manifest,
    pub(super) ledger: Ledger<C>,
    pub(super) me: Life,
    pub(super) malformed: u64,
    pub(super) handled: u32,
    pub(super) consumed: BTreeMap<Kind, u64>,
}

impl<C: NetComponent> Adapter<C> {
    /// Wraps `component`; its randomness comes from `seed`.
    pub fn new(component: C, seed: u64) -> Self {
        let manifest = component.manifest();
        Adapter {
            component,
            manifest,
            ledger: Ledger {
                timers: Vec::new(),
                next_timer: 0,
                next_token: 0,
                next_stream: 1,
                requested: BTreeMap::new(),
                rng: fastrand::Rng::with_seed(seed),
            },
            me: Life::new(NodeId(0), 0),
            malformed: 0,
            handled: 0,
            consumed: BTreeMap::new(),
        }
    }

    /// The component itself, for tests and checkers.
    pub fn component(&self) -> &C {
        &self.component
    }

    fn split(
        &mut self,
        now: Time,
        out: &mut dyn Outbox,
        run: impl FnOnce(&mut C, &mut Context<'_, C>, &mut u32) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut cx = Context { out, ledger: &mut self.ledger, me: self.me, now, component: PhantomData };
        self.handled = 0;
        run(&mut self.component, &mut cx, &mut self.handled)
    }

    fn messages(&mut self, from: Life, block: bytes::Bytes, now: Time, out: &mut dyn Outbox) -> Result<(), Fault> {
        let mut malformed = 0;
        let result = self.split(now, out, |component, cx, handled| {
            let mut items = Items::new(&block);
            for (at, item) in items.by_ref() {
                match take_head::<C::Message>(item) {
                    Some((head, body)) => {
                        let body = block.slice(at + body..at + item.len());
                        component.handle(Input::Message { from, head, body }, cx)?;
                    }
                    None => malformed += 1,
                }
                *handled += 1;
            }
            malformed += u64::from(items.malformed());
            Ok(())
        });
        self.malformed += malformed;
        result
    }
}

impl<C: NetComponent> AnyComponent for Adapter<C> {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn malformed(&self) -> u64 {
        self.malformed
    }

    fn handled(&self) -> u32 {
        self.handled
    }

    fn step(&mut self, item: Item, now: Time, out: &mut dyn Outbox) -> Result<(), Fault> {
        let input = match item {
            Item::Messages { from, block } => return self.messages(from, block, now, out),
            Item::Delivered(delivered) => {
                *self.consumed.entry(delivered.via).or_insert(0) += delivered.batch.run().len() as u64;
                return self.split(now, out, |component, cx, handled| {
                    for (index, body) in delivered.batch.iter().enumerate() {
                        let id = MessageId { index: delivered.id.index + index as u32, ..delivered.id };
                        let delivered = Delivered {
                            id,
                            via: delivered.via,
                            stamp: &delivered.stamp,
                            body,
                            batch: &delivered.batch,
                        };
                        component.handle(Input::Delivered(delivered), cx)?;
                        *handled += 1;
                    }
                    Ok(())
                });
            }
            Item::Started(boot) => {
                self.me = boot.me;
                return self.split(now, out, |component, cx, _| component.handle(Input::Started(&boot), cx));
            }
            Item::Event(event) => {
                return self.split(now, out, |component, cx, _| component.handle(Input::Event(&event), cx));
            }
            Item::Peer(change) => {
                return self.split(now, out, |component, cx, _| component.handle(Input::Peer(&change), cx));
            }
            Item::Timer(id) => {
                let Some(at) = self.ledger.timers.iter().position(|(_, set)| *set == id) else {
                    return Ok(()); // cancelled or replaced after it fired
                };
                Input::Timer(self.ledger.timers.swap_remove(at).0)
            }
            Item::Call { call, reply_to } => match call.downcast::<C::Call>() {
                Ok(call) => Input::Call { call: *call, reply_to },
                Err(_) => {
                    return Err(Fault::Broken(format!(
                        "{} was called with another component's call",
                        self.manifest.name
                    )));
                }
            },
            Item::Done { token, done } => {
                Input::Done { token, done: done.and_then(|done| done.downcast::<C::Done>().ok()).map(|done| *done) }
            }
            Item::Inspect(reply_to) => {
                let mut inspection = Inspection::default();
                self.component.inspect(&mut inspection);
                if self.malformed > 0 {
                    inspection.row("malformed messages dropped", self.malformed);
                }
                out.reply(reply_to, Box::new(inspection));
                return Ok(());
            }
            Item::Explain(message, reply_to) => {
                out.reply(reply_to, Box::new(self.component.explain(message)));
                return Ok(());
            }
            Item::Request { from, target, batch } => Input::Request { from, target, batch },
            Item::Progress(progress) => Input::Progress(progress),
            Item::Reply { token, value } => Input::Reply { token, value },
            Item::Disk { token, result } => Input::Disk { token, result },
            Item::Stream { id, input } => Input::Stream { id, input },
            Item::Credit { life, bytes } => Input::Credit { life, bytes },
            Item::Consumed { channel, bytes } => Input::Consumed { channel, bytes },
            Item::Load(sample) => Input::Load(sample),
            Item::Stop => Input::Stop,
        };
        self.split(now, out, |component, cx, _| component.handle(input, cx))
    }

    fn flush(&mut self, now: Time, out: &mut dyn Outbox) -> Result<(), Fault> {
        let channel = self.manifest.kind();
        for (via, bytes) in std::mem::take(&mut self.consumed) {
            out.consumed(via, channel, bytes);
        }
        self.split(now, out, |component, cx, _| component.flush(cx))
    }
}

/// What a component is at the start of a life, for drivers that show it.
impl<C: NetComponent> std::fmt::Debug for Adapter<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapter({} of {})", self.manifest.name, self.me)
    }
}

/// The first item of a life.
impl From<Boot> for Item {
    fn from(boot: Boot) -> Self {
        Item::Started(boot)
    }
}
