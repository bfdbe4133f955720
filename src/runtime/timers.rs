//! One component's timers and the deadlines of its calls.
//!
//! A heap with lazy removal: what was cancelled or set anew is recognised by
//! its absence from the map when it comes up. The heap is rebuilt when more
//! than half of it is stale, so a timer that is set again and again (a failure
//! detector's) does not make it grow.

use crate::component::{TimerId, Token};
use crate::time::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What comes up.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    /// A timer of the component.
    Timer(TimerId),
    /// The deadline of a call.
    Call(Token),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Due)>>,
    set: BTreeMap<Due, Time>,
}

impl Timers {
    pub(super) fn set(&mut self, due: Due, at: Time) {
        self.set.insert(due, at);
        self.heap.push(Reverse((at, due)));
        if self.heap.len() > 32 && self.heap.len() > 2 * self.set.len() {
            self.heap = self.set.iter().map(|(due, at)| Reverse((*at, *due))).collect();
        }
    }

    /// Takes `due` away; false if it was not set.
    pub(super) fn cancel(&mut self, due: Due) -> bool {
        self.set.remove(&due).is_some()
    }

    /// The next time at which something comes up.
    pub(super) fn next(&mut self) -> Option<Time> {
        while let Some(Reverse((at, due))) = self.heap.peek() {
            if self.set.get(due) == Some(at) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the first of what has come up by `now`.
    pub(super) fn due(&mut self, now: Time) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, due)) = self.heap.pop()?;
        self.set.remove(&due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn come_up_in_order_and_stale_ones_never() {
        let mut timers = Timers::default();
        let timer = |n| Due::Timer(TimerId(n));
        timers.set(timer(1), Time(30));
        timers.set(timer(2), Time(10));
        timers.set(timer(3), Time(20));
        timers.set(timer(2), Time(40)); // set anew
        assert!(timers.cancel(timer(3)));
        assert!(!timers.cancel(timer(3)));
        assert_eq!(timers.next(), Some(Time(30)));
        assert_eq!(timers.due(Time(29)), None);
        assert_eq!(timers.due(Time(50)), Some(timer(1)));
        assert_eq!(timers.due(Time(50)), Some(timer(2)));
        assert_eq!(timers.due(Time(50)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn setting_one_timer_for_ever_keeps_the_heap_small() {
        let mut timers = Timers::default();
        for n in 0..10_000 {
            timers.set(Due::Timer(TimerId(n % 3)), Time(n));
        }
        assert!(timers.heap.len() <= 64, "{} entries for 3 timers", timers.heap.len());
    }
}
