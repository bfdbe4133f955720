//! Membership: a life ends only by its own word, by succession, or by a
//! majority.
//!
//! Judged: every `Ended` of a voter's life (a listener's is its sponsor's affair)
//! that any life is told of, unless a later life of that node started before (nodes tell each other of the end in their own words).
//! *Left*: the node stopped, which it says while it does. *Decided*: a majority of the configured
//! voters (any of their lives) had held something against it before.

use super::Violation;
use super::detector::Opinion;
use crate::component::EndedWhy;
use crate::id::{Life, NodeId};
use crate::sim::trace::{Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Checks why the lives of these voters ended. `against` reads from an event whether its publisher
/// holds something against a life.
///
/// # Errors
/// The first end without its reason.
pub fn decided_by_majority(trace: &Trace, voters: &BTreeSet<NodeId>, against: Opinion<'_>) -> Result<(), Violation> {
    let mut started: BTreeMap<NodeId, Life> = BTreeMap::new();
    let stopped: BTreeSet<Life> = trace
        .records()
        .iter()
        .filter(|record| matches!(record.what, What::Stopped))
        .map(|record| record.life)
        .collect();
    let mut accusers: BTreeMap<Life, BTreeSet<NodeId>> = BTreeMap::new();
    for record in trace.records() {
        match &record.what {
            What::Started => {
                started.insert(record.life.node, record.life);
            }
            What::Published(event) => {
                if let Some((life, true)) = against(event) {
                    accusers.entry(life).or_default().insert(record.life.node);
                }
            }
            What::Ended(life, why) if voters.contains(&life.node) => {
                let held = match why {
                    _ if started.get(&life.node).is_some_and(|newest| newest > life) => true,
                    EndedWhy::Succeeded => false,
                    EndedWhy::Left => stopped.contains(life),
                    EndedWhy::Decided => accusers.get(life).is_some_and(|accusers| accusers.len() > voters.len() / 2),
                };
                if !held {
                    let what = format!("{} ended for {}: {why:?}", trace.name(*life), trace.name(record.life));
                    return Err(Violation::new("ended by majority", what));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnyEvent, Event};
    use crate::time::Time;

    #[derive(Debug)]
    struct Against(Life);

    impl Event for Against {
        const NAME: &'static str = "against";
    }

    fn trace(accusers: &[&str], why: EndedWhy) -> Trace {
        let life = |name: &str| Life::new(NodeId::from_name(name), 1);
        let mut trace = Trace::with_nodes(&["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            trace.push(Time(0), life(name), What::Started);
        }
        for name in accusers {
            trace.push(Time(1), life(name), What::Published(AnyEvent::new(Against(life("c")))));
        }
        trace.push(Time(2), life("a"), What::Ended(life("c"), why));
        trace
    }

    fn voters() -> BTreeSet<NodeId> {
        ["a", "b", "c"].map(NodeId::from_name).into()
    }

    fn against(event: &AnyEvent) -> Option<(Life, bool)> {
        event.get::<Against>().map(|against| (against.0, true))
    }

    #[test]
    fn a_decision_takes_a_majority() {
        assert_eq!(decided_by_majority(&trace(&["a", "b"], EndedWhy::Decided), &voters(), &against), Ok(()));
        assert!(decided_by_majority(&trace(&["a"], EndedWhy::Decided), &voters(), &against).is_err());
        assert!(decided_by_majority(&trace(&["a", "a"], EndedWhy::Decided), &voters(), &against).is_err());
    }

    #[test]
    fn a_listener_is_its_sponsors_affair() {
        let two = ["a", "b"].map(NodeId::from_name).into();
        assert_eq!(decided_by_majority(&trace(&["a"], EndedWhy::Decided), &two, &against), Ok(()));
    }

    #[test]
    fn succession_takes_a_successor() {
        assert!(decided_by_majority(&trace(&[], EndedWhy::Succeeded), &voters(), &against).is_err());
        assert!(decided_by_majority(&trace(&[], EndedWhy::Left), &voters(), &against).is_err());
    }
}
