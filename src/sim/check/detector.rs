//! Failure detectors: completeness and eventual accuracy.
//!
//! Judged at the end of the trace, between lives that are up and not paused at
//! the end; one whose components hang is as good as crashed. An observer's opinion on a life is the last that it published; it
//! has one of a life only if that life joined it.

use super::Violation;
use crate::event::AnyEvent;
use crate::id::Life;
use crate::sim::trace::{Trace, What};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Reads an opinion from an event: on which life, and whether it is suspected.
pub type Opinion<'a> = &'a dyn Fn(&AnyEvent) -> Option<(Life, bool)>;

#[derive(Default)]
struct Observed {
    up: BTreeSet<Life>,
    /// Which lives are joined and not ended, for each observer.
    joined: BTreeSet<(Life, Life)>,
    suspected: BTreeSet<(Life, Life)>,
    /// When each observer last began to suspect.
    since: BTreeMap<(Life, Life), Time>,
}

fn observe(trace: &Trace, opinion: Opinion<'_>) -> Observed {
    let mut seen = Observed::default();
    for record in trace.records() {
        let me = record.life;
        match &record.what {
            What::Started => {
                seen.up.insert(me);
            }
            What::Crashed | What::Failed(_) | What::Outlived | What::Stopped | What::Marked(super::HUNG) => {
                seen.up.remove(&me);
            }
            What::Joined(life) => {
                seen.joined.insert((me, *life));
            }
            What::Ended(life, _) => {
                seen.joined.remove(&(me, *life));
            }
            What::Published(event) => {
                if let Some((life, suspected)) = opinion(event) {
                    if suspected {
                        seen.suspected.insert((me, life));
                        seen.since.insert((me, life), record.at);
                    } else {
                        seen.suspected.remove(&(me, life));
                    }
                }
            }
            _ => {}
        }
    }
    seen
}

/// Strong completeness: a life that crashed is suspected by every life that is
/// up and was linked with it, unless it is over for that one altogether.
///
/// # Errors
/// The first crashed life that is not suspected.
pub fn completeness(trace: &Trace, opinion: Opinion<'_>) -> Result<(), Violation> {
    let seen = observe(trace, opinion);
    let missed = seen
        .joined
        .iter()
        .find(|(me, life)| seen.up.contains(me) && !seen.up.contains(life) && !seen.suspected.contains(&(*me, *life)));
    match missed {
        None => Ok(()),
        Some((me, life)) => {
            let what = format!("{} crashed and {} does not suspect it", trace.name(*life), trace.name(*me));
            Err(Violation::new("completeness", what))
        }
    }
}

/// Eventual accuracy: at the end no life that is up suspects another that is
/// up, and none began to after `from` (faults had stopped well before).
///
/// # Errors
/// The first mistake.
pub fn eventual_accuracy(trace: &Trace, opinion: Opinion<'_>, from: Time) -> Result<(), Violation> {
    let seen = observe(trace, opinion);
    let both_up = |(me, life): &(Life, Life)| seen.up.contains(me) && seen.up.contains(life);
    let standing = seen.suspected.iter().find(|pair| both_up(pair) && seen.joined.contains(pair));
    let recent = seen.since.iter().find(|(pair, since)| both_up(pair) && **since > from).map(|(pair, _)| pair);
    match standing.or(recent) {
        None => Ok(()),
        Some((me, life)) => {
            let what = format!("{} suspects {}, which is up", trace.name(*me), trace.name(*life));
            Err(Violation::new("eventual accuracy", what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::id::NodeId;

    #[derive(Debug)]
    struct Suspects(Life, bool);

    impl Event for Suspects {
        const NAME: &'static str = "suspects";
    }

    fn opinion(event: &AnyEvent) -> Option<(Life, bool)> {
        event.get::<Suspects>().map(|suspects| (suspects.0, suspects.1))
    }

    fn two(crashed: bool, suspected: &[bool]) -> Trace {
        let (a, b) = (Life::new(NodeId::from_name("a"), 1), Life::new(NodeId::from_name("b"), 1));
        let mut trace = Trace::with_nodes(&["a", "b"]);
        for (life, what) in [(a, What::Started), (b, What::Started), (a, What::Joined(b))] {
            trace.push(Time(0), life, what);
        }
        if crashed {
            trace.push(Time(1), b, What::Crashed);
        }
        for (at, suspected) in suspected.iter().enumerate() {
            trace.push(Time(2 + at as u64), a, What::Published(AnyEvent::new(Suspects(b, *suspected))));
        }
        trace
    }

    #[test]
    fn the_crashed_are_suspected() {
        assert_eq!(completeness(&two(true, &[true]), &opinion), Ok(()));
        assert!(completeness(&two(true, &[]), &opinion).is_err());
        assert!(completeness(&two(true, &[true, false]), &opinion).is_err());
    }

    #[test]
    fn those_that_are_up_are_not_for_ever() {
        assert_eq!(eventual_accuracy(&two(false, &[true, false]), &opinion, Time(9)), Ok(()));
        assert!(eventual_accuracy(&two(false, &[true]), &opinion, Time(9)).is_err());
        assert!(eventual_accuracy(&two(false, &[true, false]), &opinion, Time(1)).is_err(), "a mistake after `from`");
        assert_eq!(eventual_accuracy(&two(true, &[true]), &opinion, Time(1)), Ok(()));
    }
}
