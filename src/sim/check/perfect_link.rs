//! Perfect links: what one life sends another arrives once, in its order, and
//! nothing else does.
//!
//! Judged: blocks that their sender numbered from 1 for each peer's life and
//! lane. *No creation*: what a life receives, that very peer's life sent it.
//! *No duplication*, *link order*: the numbers come one by one, in the order of
//! the trace. *Reliable delivery*: between two lives that are up at the end, all
//! that was sent was received. What was sent to a life that ended is owed to
//! nobody.

use super::Violation;
use crate::component::Lane;
use crate::event::AnyEvent;
use crate::id::Life;
use crate::sim::trace::{Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// A block that its publisher sent or received.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Sent, else received.
    pub sent: bool,
    /// To whom, or from whom.
    pub peer: Life,
    /// On which lane.
    pub lane: Lane,
    /// Its number, from 1 for each sender's life, receiver's life and lane.
    pub number: u64,
}

/// Checks the properties of perfect links.
///
/// # Errors
/// The first block that breaks one.
pub fn perfect_link(trace: &Trace, passed: &dyn Fn(&AnyEvent) -> Option<Passed>) -> Result<(), Violation> {
    let mut up = BTreeSet::new();
    // By sender, receiver and lane: how many were sent, and received.
    let mut sent: BTreeMap<(Life, Life, Lane), u64> = BTreeMap::new();
    let mut received: BTreeMap<(Life, Life, Lane), u64> = BTreeMap::new();
    for record in trace.records() {
        let me = record.life;
        match &record.what {
            What::Started => drop(up.insert(me)),
            What::Crashed | What::Failed(_) | What::Outlived | What::Stopped => drop(up.remove(&me)),
            What::Published(event) => match passed(event) {
                Some(it) if it.sent => drop(sent.insert((me, it.peer, it.lane), it.number)),
                Some(it) => {
                    let flow = (it.peer, me, it.lane);
                    let violated = |property| {
                        let (to, from) = (trace.name(me), trace.name(it.peer));
                        let what = format!("{to} receives number {} of {from} on the lane {:?}", it.number, it.lane);
                        Err(Violation::new(property, what))
                    };
                    let last = received.entry(flow).or_insert(0);
                    match it.number {
                        n if sent.get(&flow).is_none_or(|sent| *sent < n) => return violated("link no creation"),
                        n if n <= *last => return violated("link no duplication"),
                        n if n > *last + 1 => return violated("link order"),
                        n => *last = n,
                    }
                }
                None => {}
            },
            _ => {}
        }
    }
    let lost = sent.iter().find(|(flow, sent)| {
        up.contains(&flow.0) && up.contains(&flow.1) && received.get(flow).copied().unwrap_or(0) < **sent
    });
    match lost {
        None => Ok(()),
        Some(((from, to, lane), sent)) => {
            let got = received.get(&(*from, *to, *lane)).copied().unwrap_or(0);
            let (from, to) = (trace.name(*from), trace.name(*to));
            let what = format!("{from} sent {to} {sent} blocks on the lane {lane:?}, which received {got}");
            Err(Violation::new("link reliable delivery", what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::id::NodeId;
    use crate::time::Time;

    #[derive(Debug)]
    struct Block(Passed);

    impl Event for Block {
        const NAME: &'static str = "block";
    }

    /// `a` sends `b` the numbers up to `sent`; `b` receives these, and is up.
    fn judge(sent: u64, received: &[u64], up: bool) -> Result<(), &'static str> {
        let [a, b] = ["a", "b"].map(|name| Life::new(NodeId::from_name(name), 1));
        let mut trace = Trace::with_nodes(&["a", "b"]);
        let block =
            |sent, peer, number| What::Published(AnyEvent::new(Block(Passed { sent, peer, lane: Lane::Data, number })));
        trace.push(Time(0), a, What::Started);
        trace.push(Time(0), b, What::Started);
        (1..=sent).for_each(|number| trace.push(Time(1), a, block(true, b, number)));
        received.iter().for_each(|number| trace.push(Time(2), b, block(false, a, *number)));
        if !up {
            trace.push(Time(3), b, What::Crashed);
        }
        let passed = |event: &AnyEvent| event.get::<Block>().map(|block| block.0);
        perfect_link(&trace, &passed).map_err(|violation| violation.property)
    }

    #[test]
    fn each_property_by_its_name() {
        assert_eq!(judge(3, &[1, 2, 3], true), Ok(()));
        assert_eq!(judge(3, &[1, 2, 3, 4], true), Err("link no creation"));
        assert_eq!(judge(3, &[1, 2, 2, 3], true), Err("link no duplication"));
        assert_eq!(judge(3, &[1, 3, 2], true), Err("link order"));
        assert_eq!(judge(3, &[1, 2], true), Err("link reliable delivery"));
        assert_eq!(judge(3, &[1, 2], false), Ok(()), "owed to nobody");
    }
}
