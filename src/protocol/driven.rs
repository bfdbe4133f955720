//! One component driven by hand, in virtual time: for unit tests of protocols.

use crate::codec::{put_item, take_head};
use crate::component::{
    Adapter, AnyComponent, Boot, Effect, Effects, EndedWhy, Inspection, Item, Lane, NetComponent, PeerChange, PeerRole,
    ReplyTo, TimerId, To, Token,
};
use crate::error::Fault;
use crate::event::{AnyEvent, Event};
use crate::id::{Kind, Life};
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// A component with its clock, its timers and what it did.
pub(crate) struct Driven<C: NetComponent> {
    adapter: Adapter<C>,
    out: Effects,
    pub(crate) now: Time,
    timers: BTreeMap<TimerId, Time>,
    calls: u64,
    timer_changes: u64,
}

/// What a component did, in order, timers left out.
#[derive(Default)]
pub(crate) struct Did(pub(crate) Vec<Effect>);

impl<C: NetComponent> Driven<C> {
    /// Starts `component` as the life `me` among this many voters.
    pub(crate) fn start(component: C, me: Life, voters: usize, voter: bool) -> Self {
        let mut driven = Driven {
            adapter: Adapter::new(component, 1),
            out: Effects::default(),
            now: Time::ZERO,
            timers: BTreeMap::new(),
            calls: 0,
            timer_changes: 0,
        };
        driven.give(Item::Started(Boot { me, name: "me".into(), voters, voter }));
        driven
    }

    /// Hands over one item and flushes.
    pub(crate) fn try_give(&mut self, item: Item) -> Result<Did, Fault> {
        self.adapter.step(item, self.now, &mut self.out)?;
        self.adapter.flush(self.now, &mut self.out)?;
        let mut did = Vec::new();
        for effect in self.out.list.drain(..) {
            self.timer_changes += u64::from(matches!(effect, Effect::Timer(..)));
            match effect {
                Effect::Timer(id, Some(at)) => drop(self.timers.insert(id, at)),
                Effect::Timer(id, None) => drop(self.timers.remove(&id)),
                other => did.push(other),
            }
        }
        Ok(Did(did))
    }

    pub(crate) fn give(&mut self, item: Item) -> Did {
        self.try_give(item).expect("no fault")
    }

    pub(crate) fn message(&mut self, from: Life, head: &C::Message, body: &[u8]) -> Did {
        self.try_message(from, head, body).expect("no fault")
    }

    pub(crate) fn try_message(&mut self, from: Life, head: &C::Message, body: &[u8]) -> Result<Did, Fault> {
        let mut block = Vec::new();
        put_item(&mut block, |out| {
            crate::codec::put_head(out, head);
            out.extend_from_slice(body);
        });
        self.try_give(Item::Messages { from, block: Bytes::from(block) })
    }

    pub(crate) fn joined(&mut self, life: Life, role: PeerRole, name: &str) -> Did {
        self.give(Item::Peer(PeerChange::Joined { life, role, name: name.into() }))
    }

    pub(crate) fn ended(&mut self, life: Life, why: EndedWhy) -> Did {
        self.give(Item::Peer(PeerChange::Ended { life, why }))
    }

    pub(crate) fn event(&mut self, event: impl Event) -> Did {
        self.give(Item::Event(AnyEvent::new(event)))
    }

    /// Calls it as another component would.
    pub(crate) fn call(&mut self, call: C::Call) -> (ReplyTo, Did) {
        self.calls += 1;
        let reply_to = ReplyTo { component: Kind::of("test"), token: Token(self.calls) };
        (reply_to, self.give(Item::Call { call: Box::new(call), reply_to }))
    }

    /// Bytes of `life`, not link acknowledgements, arrive now.
    pub(crate) fn hear(&mut self, life: Life) {
        self.out.heard.insert(life, self.now);
    }

    /// Lets time pass, firing timers when they are due.
    pub(crate) fn try_run_for(&mut self, time: Duration) -> Result<Did, Fault> {
        let end = self.now + time;
        let mut did = Did::default();
        while let Some((id, at)) = self.next_timer().filter(|(_, at)| *at <= end) {
            self.timers.remove(&id);
            self.now = self.now.max(at);
            did.0.extend(self.try_give(Item::Timer(id))?.0);
        }
        self.now = end;
        Ok(did)
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> Did {
        self.try_run_for(time).expect("no fault")
    }

    /// Lets time pass in which nothing runs.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// How often a timer was set or cancelled.
    pub(crate) fn timer_changes(&self) -> u64 {
        self.timer_changes
    }

    /// The value of its inspection's row.
    pub(crate) fn row(&self, name: &str) -> Option<String> {
        let mut inspection = Inspection::default();
        self.adapter.component().inspect(&mut inspection);
        inspection.rows.into_iter().find(|(row, _)| row.contains(name)).map(|(_, value)| value)
    }

    fn next_timer(&self) -> Option<(TimerId, Time)> {
        self.timers.iter().map(|(id, at)| (*id, *at)).min_by_key(|(id, at)| (*at, *id))
    }
}

impl Did {
    /// The published events of this type.
    pub(crate) fn events<E: Event + Clone>(&self) -> Vec<E> {
        let events = self.0.iter().filter_map(|effect| match effect {
            Effect::Publish(event) => event.get::<E>().cloned(),
            _ => None,
        });
        events.collect()
    }

    /// The messages sent.
    pub(crate) fn sent<M: serde::de::DeserializeOwned>(&self) -> Vec<(To, Lane, M, Bytes)> {
        let sent = self.0.iter().filter_map(|effect| match effect {
            Effect::Send { to, lane, message } => {
                let (head, body) = take_head::<M>(message).expect("well-formed");
                Some((*to, *lane, head, message.slice(body..)))
            }
            _ => None,
        });
        sent.collect()
    }

    /// The lives that it ended.
    pub(crate) fn ended(&self) -> Vec<Life> {
        let ended = self.0.iter().filter_map(|effect| match effect {
            Effect::EndLife(life) => Some(*life),
            _ => None,
        });
        ended.collect()
    }

    /// The answers to calls, of this type.
    pub(crate) fn replies<T: 'static>(self) -> Vec<(ReplyTo, T)> {
        let replies = self.0.into_iter().filter_map(|effect| match effect {
            Effect::Reply(to, value) => Some((to, *value.downcast::<T>().ok()?)),
            _ => None,
        });
        replies.collect()
    }
}
