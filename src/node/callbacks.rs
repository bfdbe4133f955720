//! The user's callbacks: kept over the lives of a node, lent to its `app`
//! component for each.

use super::app;
use super::message::{Incoming, Message, MessageType, Typed};
use crate::component::{Manifest, Role, Run};
use crate::envelope::Envelope;
use crate::event::{AnyEvent, Event, EventType};
use crate::id::Kind;
use crate::protocol::delivery::Delivery;
use crate::protocol::failure_detector::Suspicion;

type OnMessage = Box<dyn FnMut(&Incoming<'_>) + Send>;
/// Returns whether the body decoded.
type OnTyped = Box<dyn FnMut(&Incoming<'_>, &[u8]) -> bool + Send>;
type OnEvent = Box<dyn FnMut(&AnyEvent) + Send>;

/// All callbacks of a node, by what they are for, in the order of the calls.
#[derive(Default)]
pub(super) struct Callbacks {
    messages: Vec<(MessageType, OnMessage)>,
    typed: Vec<(Delivery, Envelope, OnTyped)>,
    events: Vec<(EventType, OnEvent)>,
}

/// What became of a typed message.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Its callbacks ran.
    Called,
    /// No callback is for this kind and version.
    Unknown,
    /// The body is no value of that type.
    Undecodable,
}

impl Callbacks {
    pub(super) fn on_message(&mut self, what: MessageType, call: impl FnMut(&Incoming<'_>) + Send + 'static) {
        self.messages.push((what, Box::new(call)));
    }

    pub(super) fn on_typed<T: Message + 'static>(
        &mut self,
        delivery: Delivery,
        mut call: impl FnMut(Typed<'_, T>) + Send + 'static,
    ) {
        let envelope = Envelope { kind: Kind::of(T::KIND), version: T::VERSION };
        let decode_and_call = move |incoming: &Incoming<'_>, body: &[u8]| match postcard::from_bytes::<T>(body) {
            Ok(value) => {
                call(Typed { value, incoming });
                true
            }
            Err(_) => false,
        };
        self.typed.push((delivery, envelope, Box::new(decode_and_call)));
    }

    pub(super) fn on_event<E: Event>(&mut self, mut call: impl FnMut(&E) + Send + 'static) {
        let typed_call = move |event: &AnyEvent| {
            if let Some(event) = event.get::<E>() {
                call(event);
            }
        };
        self.events.push((EventType::of::<E>(), Box::new(typed_call)));
    }

    /// What the component `app` needs for the callbacks: deliveries, those of typed ones by name, those of
    /// a message type where no other of that guarantee is asked for; and the
    /// detector, where its opinions are.
    pub(super) fn manifest(&self, asked: &[Delivery]) -> Manifest {
        let mut needed: Vec<_> = self.typed.iter().map(|(delivery, ..)| *delivery).collect();
        let types: Vec<_> = self.messages.iter().map(|(what, _)| *what).collect();
        let of_detector = types.iter().any(|what| matches!(what, MessageType::FailedNode | MessageType::RestoredNode));
        for what in types {
            let present = asked.iter().chain(&needed).any(|delivery| MessageType::of(*delivery) == what);
            needed.extend(what.default_delivery().filter(|_| !present));
        }
        let mut requires: Vec<_> = needed.into_iter().map(Delivery::capability).collect();
        requires.extend(of_detector.then_some("failure_detector"));
        requires.sort_unstable();
        requires.dedup();
        let mut hears: Vec<_> =
            self.events.iter().map(|(event_type, _)| *event_type).chain([EventType::of::<Suspicion>()]).collect();
        hears.sort_unstable();
        hears.dedup();
        Manifest {
            requires,
            wants: Delivery::ALL.into_iter().chain([Delivery::Total]).map(Delivery::capability).collect(),
            hears,
            run: Run::Thread,
            role: Role::Leaf,
            guarantee: "callbacks run one at a time, in order per origin and channel; a panic in one is caught and counted",
            ..Manifest::new(app::NAME)
        }
    }

    pub(super) fn message(&mut self, incoming: &Incoming<'_>) {
        for (_, call) in self.messages.iter_mut().filter(|(what, _)| *what == incoming.message_type) {
            call(incoming);
        }
    }

    pub(super) fn typed(&mut self, incoming: &Incoming<'_>, envelope: Envelope, body: &[u8]) -> Heard {
        let mut heard = Heard::Unknown;
        for (delivery, known, call) in &mut self.typed {
            if incoming.delivery == Some(*delivery) && *known == envelope {
                heard = if call(incoming, body) { Heard::Called } else { Heard::Undecodable };
            }
        }
        heard
    }

    pub(super) fn event(&mut self, event: &AnyEvent) {
        for (_, call) in self.events.iter_mut().filter(|(event_type, _)| *event_type == event.event_type()) {
            call(event);
        }
    }
}
