//! The clocks of one node, shared by what stamps and what reads.

use super::{Lamport, VectorClock};
use crate::component::Stamp;
use crate::id::{Incarnation, Life, NodeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A node's clock readings. Clones share them. The default has no clocks, and
/// stamps nothing.
///
/// The lock: every delivery component of a node and the user must see *one*
/// clock, a call to a clock component per batch would cost a hand-over each,
/// and the lock is held for some nanoseconds, once a batch.
#[derive(Clone, Default)]
pub struct Clocks {
    shared: Option<Arc<Mutex<Register>>>,
}

#[derive(Default)]
struct Register {
    me: Option<Life>,
    lamport: Option<Lamport>,
    vector: Option<VectorClock>,
    /// Greatest ended incarnation per node: entries up to it never come back.
    ended: BTreeMap<NodeId, Incarnation>,
}

impl Clocks {
    /// Clocks for one node: which of the two it has.
    pub fn new(lamport: bool, vector: bool) -> Self {
        let register = Register {
            lamport: lamport.then(Lamport::default),
            vector: vector.then(VectorClock::default),
            ..Register::default()
        };
        Clocks { shared: (lamport || vector).then(|| Arc::new(Mutex::new(register))) }
    }

    /// Begins a life: a new one starts from zero, however often it is told.
    pub fn begin(&self, me: Life) {
        if let Some(mut register) = self.lock()
            && register.me != Some(me)
        {
            *register = Register {
                me: Some(me),
                lamport: register.lamport.map(|_| Lamport::default()),
                vector: register.vector.is_some().then(VectorClock::default),
                ended: BTreeMap::new(),
            };
        }
    }

    /// Counts the broadcast of `messages` messages by this life and stamps
    /// them.
    pub fn stamp(&self, messages: u32) -> Stamp {
        let Some(mut register) = self.lock() else { return Stamp::default() };
        let lamport = register.lamport.as_mut().map(|clock| clock.tick(messages));
        let me = register.me;
        let vector = register.vector.as_mut().zip(me).map(|(clock, me)| {
            clock.tick(me, messages);
            clock.entries().collect()
        });
        Stamp { lamport, vector }
    }

    /// Counts the delivery of a batch of `messages` messages stamped `stamp`.
    pub fn observe(&self, stamp: &Stamp, messages: u32) {
        let Some(mut register) = self.lock() else { return };
        if let (Some(clock), Some(first)) = (register.lamport.as_mut(), stamp.lamport) {
            clock.observe(first.saturating_add(u64::from(messages.saturating_sub(1))));
        }
        let Register { vector, ended, .. } = &mut *register;
        if let (Some(clock), Some(entries)) = (vector, &stamp.vector) {
            for (life, count) in entries.iter() {
                if ended.get(&life.node).is_none_or(|ended| life.incarnation > *ended) {
                    clock.raise(*life, *count);
                }
            }
        }
    }

    /// Counts `events` local events of the user's; returns the first one's
    /// Lamport time, where there is such a clock.
    pub fn local(&self, events: u32) -> Option<u64> {
        self.stamp(events).lamport
    }

    /// Drops the entries of lives of `life`'s node up to `life`: it ended, and
    /// nobody will hear of it again.
    pub fn forget(&self, life: Life) {
        let Some(mut register) = self.lock() else { return };
        let ended = register.ended.entry(life.node).or_default();
        *ended = life.incarnation.max(*ended);
        if let Some(clock) = register.vector.as_mut() {
            clock.retain(|entry| entry.node != life.node || entry.incarnation > life.incarnation);
        }
    }

    /// The Lamport time now, if there is such a clock.
    pub fn lamport(&self) -> Option<Lamport> {
        self.lock()?.lamport
    }

    /// The vector time now, if there is such a clock.
    pub fn vector(&self) -> Option<VectorClock> {
        self.lock()?.vector.clone()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Register>> {
        // No code that can panic runs under the lock, so a poisoned one still
        // holds whole readings.
        self.shared.as_ref().map(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocks").field("lamport", &self.lamport()).field("vector", &self.vector()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(n: u64, incarnation: u64) -> Life {
        Life::new(NodeId(n), incarnation)
    }

    #[test]
    fn stamps_follow_causality() {
        let (a, b) = (Clocks::new(true, true), Clocks::new(true, true));
        a.begin(life(1, 1));
        b.begin(life(2, 1));
        let first = a.stamp(10);
        b.observe(&first, 10);
        let second = b.stamp(1);
        assert!(second.lamport > first.lamport.map(|t| t + 9));
        let time = |stamp: &Stamp| stamp.vector.as_ref().expect("stamped").iter().copied().collect::<VectorClock>();
        assert!(time(&first) < time(&second));
    }

    #[test]
    fn an_ended_life_does_not_come_back() {
        let clocks = Clocks::new(false, true);
        clocks.begin(life(1, 1));
        let old = Stamp { lamport: None, vector: Some(Arc::from([(life(2, 5), 3)])) };
        clocks.observe(&old, 1);
        assert_eq!(clocks.vector().expect("has one").get(life(2, 5)), 3);
        clocks.forget(life(2, 5));
        clocks.observe(&old, 1);
        assert_eq!(clocks.vector().expect("has one").entries().len(), 0);
    }

    #[test]
    fn a_new_life_starts_from_zero_and_no_clock_stamps_nothing() {
        let clocks = Clocks::new(true, false);
        clocks.begin(life(1, 1));
        clocks.local(4);
        clocks.begin(life(1, 1));
        assert_eq!(clocks.lamport(), Some(Lamport(4)));
        clocks.begin(life(1, 2));
        assert_eq!(clocks.lamport(), Some(Lamport(0)));
        assert_eq!(Clocks::default().stamp(3), Stamp::default());
    }
}
