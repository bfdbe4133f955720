//! Properties, one a file, judged on a trace alone.
//!
//! Who is judged. A life is **correct** if it is its node's first, no peer
//! ended it, and it is up at the end of the trace: it was up throughout. A
//! life that started later and is up at the end is **late**: it is owed what
//! was not stable when it joined, and all that was broadcast after. From a
//! trace that moment cannot be seen, so a late life may begin every origin's
//! messages anywhere, but may leave none out after its first, except what it
//! reports as missing ([`History::reporting`]: stable among the lives that the
//! others knew, before they knew of this one); and what is broadcast after the
//! mark [`SETTLED`] it must deliver like any other. All other lives ended: what
//! they did counts only where a property says "uniform". Every life of a
//! listener ([`History::listening`]) is judged as a late one.
//!
//! Messages are told apart by their bodies: a run that is judged gives each
//! broadcast its own.

mod agreement;
mod causal_order;
mod detector;
mod fifo_order;
mod history;
mod linearizable;
mod membership;
mod no_creation;
mod no_duplication;
mod perfect_link;
mod uniform_agreement;
mod validity;

pub use agreement::agreement;
pub use causal_order::causal_order;
pub use detector::{Opinion, completeness, eventual_accuracy};
pub use fifo_order::fifo_order;
pub use history::{Broadcast, Delivery, History, Reported};
pub use linearizable::{Call, Register, Specified, linearizable};
pub use membership::decided_by_majority;
pub use no_creation::no_creation;
pub use no_duplication::no_duplication;
pub use perfect_link::{Passed, perfect_link};
pub use uniform_agreement::uniform_agreement;
pub use validity::validity;

use thiserror::Error;

/// The mark after which late lives are owed everything: set by the test, with
/// [`super::World::mark`], when all that is up has joined.
pub const SETTLED: &str = "settled";

/// The mark of a life whose components no longer run: see
/// [`super::World::hang`].
pub const HUNG: &str = "hung";

/// A property that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{property} is violated: {what}")]
pub struct Violation {
    /// The property's name, as in the textbook.
    pub property: &'static str,
    /// By what.
    pub what: String,
}

impl Violation {
    /// `property` is violated by `what`.
    pub fn new(property: &'static str, what: impl Into<String>) -> Self {
        Violation { property, what: what.into() }
    }
}

/// Hand-made traces for the checkers' own tests.
#[cfg(test)]
mod hand {
    use super::*;
    use crate::component::Target;
    use crate::event::{AnyEvent, Event};
    use crate::id::{Kind, Life, MessageId, NodeId};
    use crate::sim::trace::{Trace, What};
    use crate::time::Time;
    use bytes::Bytes;
    use std::collections::BTreeMap;

    pub(super) const VIA: Kind = Kind::of("via");

    /// A trace written line by line: `a starts`, `a crashes`, `a sends m1`,
    /// `b gets m1`, `mark settled`. A node's lives are counted.
    pub(super) fn history(script: &str) -> History {
        History::of(&trace(script), VIA)
    }

    /// Says which batch is missing.
    #[derive(Debug)]
    pub(super) struct Missing(pub(super) u64);

    impl Event for Missing {
        const NAME: &'static str = "missing";
    }

    /// The same, after which the newest life of `node` reports batch 2 as
    /// missing.
    pub(super) fn reporting(script: &str, node: &str) -> Trace {
        let mut trace = trace(script);
        let lives = trace.records().iter().map(|record| record.life);
        let life = lives.filter(|life| life.node == NodeId::from_name(node)).max().expect("it has a life");
        trace.push(Time(99), life, What::Published(AnyEvent::new(Missing(2))));
        trace
    }

    pub(super) fn trace(script: &str) -> Trace {
        let mut trace = Trace::with_nodes(&["a", "b", "c"]);
        let mut lives: BTreeMap<&str, u64> = BTreeMap::new();
        let mut sent: BTreeMap<&str, MessageId> = BTreeMap::new();
        for (at, line) in script.split(',').map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let node = words[0];
            if words[1] == "starts" {
                *lives.entry(node).or_insert(0) += 1;
            }
            let life = Life::new(NodeId::from_name(node), lives.get(node).copied().unwrap_or(1));
            let body = || Bytes::copy_from_slice(words[2].as_bytes());
            let what = match words[1] {
                "starts" => What::Started,
                "crashes" => What::Crashed,
                "settled" => What::Marked(SETTLED),
                "sends" => {
                    let batch = sent.values().filter(|id| id.origin == life).count() as u64 + 1;
                    sent.insert(words[2], MessageId { origin: life, delivery: VIA, batch, index: 0 });
                    What::Broadcast { via: VIA, target: Target::All, body: body() }
                }
                "gets" => {
                    let made_up = MessageId { origin: life, delivery: VIA, batch: 99, index: 0 };
                    let id = sent.get(words[2]).copied().unwrap_or(made_up);
                    What::Delivered { id, body: body() }
                }
                other => panic!("no such word: {other}"),
            };
            trace.push(Time(at as u64), life, what);
        }
        trace
    }
}
