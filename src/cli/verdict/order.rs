//! Order, judged per receiving life with one number an origin: the *floor*,
//! the greatest broadcast of that origin in the past of what was delivered so
//! far. A message at or below its floor comes too late.
//!
//! Delivering the nth broadcast of an origin raises its floor to n (FIFO) and,
//! for causal order, the floors of everything that the origin itself had
//! delivered before that broadcast, and so on backwards. Each origin's history
//! is walked once per receiver, so a verdict costs lives times deliveries.

use super::history::{Event, History, LifeNumber, Message};
use crate::protocol::delivery::Order;

/// The messages that `receiver` delivered out of `order`, duplicates excluded.
pub(super) fn out_of_order(lives: &[History], receiver: &History, order: Order) -> Vec<Message> {
    if order == Order::None {
        return Vec::new();
    }
    let mut first: Vec<(LifeNumber, u32, usize)> = deliveries(receiver).map(|(at, (o, n))| (o, n, at)).collect();
    first.sort_unstable();
    let seen_before = |origin, n, at| {
        let found = first.partition_point(|entry| *entry < (origin, n, 0));
        first.get(found).is_some_and(|(o, m, earliest)| (*o, *m) == (origin, n) && *earliest < at)
    };
    let mut past = Past { lives, order, floor: vec![0; lives.len()], walked: vec![0; lives.len()] };
    let mut late = Vec::new();
    for (at, (origin, n)) in deliveries(receiver) {
        if n <= past.floor[usize::from(origin)] && !seen_before(origin, n, at) {
            late.push((origin, n));
        }
        past.include((origin, n));
    }
    late
}

fn deliveries(history: &History) -> impl Iterator<Item = (usize, Message)> {
    history.events.iter().enumerate().filter_map(|(at, event)| match event {
        Event::Delivered(origin, n) => Some((at, (*origin, *n))),
        _ => None,
    })
}

struct Past<'a> {
    lives: &'a [History],
    order: Order,
    floor: Vec<u32>,
    /// How far each origin's history is included.
    walked: Vec<usize>,
}

impl Past<'_> {
    /// Includes a message and its past.
    fn include(&mut self, message: Message) {
        let mut open = vec![message];
        while let Some((origin, n)) = open.pop() {
            let origin = usize::from(origin);
            if n <= self.floor[origin] {
                continue;
            }
            self.floor[origin] = n;
            if self.order != Order::Causal {
                continue;
            }
            let events = &self.lives[origin].events;
            // A killed origin's history may end before its nth broadcast:
            // all of it came before.
            while let Some(event) = events.get(self.walked[origin]) {
                if matches!(event, Event::Broadcast(m) if *m > n) {
                    break;
                }
                self.walked[origin] += 1;
                match *event {
                    Event::Broadcast(m) if m == n => break,
                    Event::Delivered(o, m) => open.push((o, m)),
                    Event::Broadcast(_) | Event::Refused(_) => {}
                }
            }
        }
    }
}
