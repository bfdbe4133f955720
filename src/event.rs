//! Published events: values that any component, and the user, may subscribe to.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Something that a component publishes on its node.
///
/// State-like events are *retained*: a late subscriber receives the last one,
/// so the order in which components are composed does not matter.
pub trait Event: Any + Send + Sync + fmt::Debug {
    /// Stable name, for logs and traces.
    const NAME: &'static str;
    /// Whether the last one is kept for late subscribers. Retained events are
    /// kept once per `retained_key`.
    const RETAINED: bool = false;

    /// Which of several retained values of this type this one replaces.
    fn retained_key(&self) -> u64 {
        0
    }
}

/// An event type, as manifests list it.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventType {
    id: TypeId,
    /// The event's stable name.
    pub name: &'static str,
}

impl EventType {
    /// The type of `E`.
    pub fn of<E: Event>() -> Self {
        EventType { id: TypeId::of::<E>(), name: E::NAME }
    }
}

/// An event of some type, shared by its subscribers.
#[derive(Clone)]
pub struct AnyEvent {
    value: Arc<dyn Any + Send + Sync>,
    debug: fn(&(dyn Any + Send + Sync), &mut fmt::Formatter<'_>) -> fmt::Result,
    event_type: EventType,
    retained: Option<u64>,
}

impl AnyEvent {
    /// Wraps `event`.
    pub fn new<E: Event>(event: E) -> Self {
        AnyEvent {
            retained: E::RETAINED.then(|| event.retained_key()),
            event_type: EventType::of::<E>(),
            debug: |any, f| match any.downcast_ref::<E>() {
                Some(event) => event.fmt(f),
                None => f.write_str(E::NAME),
            },
            value: Arc::new(event),
        }
    }

    /// The event, if it is an `E`.
    pub fn get<E: Event>(&self) -> Option<&E> {
        self.value.downcast_ref()
    }

    /// Its type.
    pub fn event_type(&self) -> EventType {
        self.event_type
    }

    /// The key under which it is retained, if it is.
    pub fn retained(&self) -> Option<u64> {
        self.retained
    }
}

impl fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.debug)(self.value.as_ref(), f)
    }
}
