//! Components as states of a model: what an exhaustive checker copies, compares
//! and hashes.
//!
//! A checker tells two states apart by what can still make a difference. The
//! numbers that a driver knows timers by only ever rise, and would make every
//! state a new one; here a timer is set or it is not.

use super::context::Ledger;
use super::effect::TimerId;
use super::{Adapter, NetComponent};
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// A component that can stand in a model's state. Two that are equal must do
/// the same from here on, and a clone must share nothing that changes.
pub trait Modelled: NetComponent<Timer: Ord + Hash> + Clone + Eq + Hash {}

/// Part of a state that is not compared, because it cannot change what follows.
/// Every use says why that is so.
#[derive(Copy, Clone, Default, Debug)]
pub struct Uncompared<T>(pub T);

impl<T> PartialEq for Uncompared<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Uncompared<T> {}

impl<T> Hash for Uncompared<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for Uncompared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Uncompared<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<C: NetComponent> Adapter<C> {
    /// The timers that are set, in their order, with the numbers by which
    /// [`Item::Timer`](super::Item::Timer) fires them: a model has no clock and
    /// fires what it likes.
    pub fn timers(&self) -> Vec<(C::Timer, TimerId)>
    where
        C::Timer: Ord,
    {
        let mut timers = self.ledger.timers.clone();
        timers.sort();
        timers
    }
}

impl<C: Modelled> Clone for Adapter<C> {
    fn clone(&self) -> Self {
        Adapter {
            component: self.component.clone(),
            manifest: self.manifest.clone(),
            ledger: self.ledger.clone(),
            me: self.me,
            malformed: self.malformed,
            handled: self.handled,
            consumed: self.consumed.clone(),
        }
    }
}

impl<C: Modelled> PartialEq for Adapter<C> {
    fn eq(&self, other: &Self) -> bool {
        self.component == other.component
            && self.ledger == other.ledger
            && self.me == other.me
            && self.malformed == other.malformed
            && self.consumed == other.consumed
    }
}

impl<C: Modelled> Eq for Adapter<C> {}

impl<C: Modelled> Hash for Adapter<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.component.hash(state);
        self.ledger.hash(state);
        (self.me, self.malformed, &self.consumed).hash(state);
    }
}

impl<C: NetComponent> Clone for Ledger<C> {
    fn clone(&self) -> Self {
        Ledger {
            timers: self.timers.clone(),
            next_timer: self.next_timer,
            next_token: self.next_token,
            next_stream: self.next_stream,
            requested: self.requested.clone(),
            rng: self.rng.clone(),
        }
    }
}

impl<C: Modelled> Ledger<C> {
    fn set(&self) -> Vec<&C::Timer> {
        let mut set: Vec<_> = self.timers.iter().map(|(timer, _)| timer).collect();
        set.sort();
        set
    }
}

/// Of timers, which are set; of randomness, what it will bring. Outstanding
/// tokens stand in the component's own state, and streams are not modelled.
impl<C: Modelled> PartialEq for Ledger<C> {
    fn eq(&self, other: &Self) -> bool {
        self.set() == other.set()
            && self.next_token == other.next_token
            && self.requested == other.requested
            && self.rng == other.rng
    }
}

impl<C: Modelled> Hash for Ledger<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.set(), self.next_token, &self.requested, self.rng.get_seed()).hash(state);
    }
}
