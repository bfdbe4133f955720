//! Events as a stream.

use super::Running;
use crate::event::{AnyEvent, Event, EventType};
use std::marker::PhantomData;
use std::time::Duration;

impl Running {
    /// Events of type `E` from now on; retained ones come first.
    pub fn events<E: Event>(&self) -> Events<E> {
        Events { heard: self.node.handle.subscribe(EventType::of::<E>()), event: PhantomData }
    }
}

/// A stream of events; ends when the node stops. Up to 1,024 wait for a slow
/// reader, then the oldest goes.
pub struct Events<E> {
    heard: flume::Receiver<AnyEvent>,
    event: PhantomData<E>,
}

impl<E: Event + Clone> Events<E> {
    /// The next event, or `None` if none comes within `timeout` or the node
    /// has stopped.
    pub fn next_within(&self, timeout: Duration) -> Option<E> {
        self.heard.recv_timeout(timeout).ok().and_then(|event| event.get::<E>().cloned())
    }
}

impl<E: Event + Clone> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.heard.recv().ok().and_then(|event| event.get::<E>().cloned())
    }
}
