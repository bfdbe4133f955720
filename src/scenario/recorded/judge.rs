//! The shipped properties on a trace.

use super::replay::{Replayed, replay};
use crate::id::Life;
use crate::protocol::delivery::{Delivery, Guarantee, Order};
use crate::scenario::stacks::{against, missing};
use crate::scenario::talker::passed;
use crate::sim::check::{self, History, Violation};
use crate::sim::{self, What as Seen};
use crate::trace::Trace;
use std::collections::BTreeSet;

/// A property, and what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Whose: a delivery's name, `links` or `membership`.
    pub of: &'static str,
    /// The property's name, as in the textbook.
    pub property: &'static str,
    /// Whether it holds.
    pub result: Result<(), Violation>,
}

/// What is known of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judgement {
    /// Records in the trace.
    pub records: usize,
    /// Messages broadcast to all.
    pub broadcasts: usize,
    /// Messages delivered.
    pub deliveries: usize,
    /// The properties that were judged.
    pub judged: Vec<Judged>,
    /// What could not be judged, and why: without it the verdict is whole.
    pub partial: Vec<String>,
}

impl Judgement {
    /// Whether no property is violated.
    pub fn ok(&self) -> bool {
        self.judged.iter().all(|judged| judged.result.is_ok())
    }

    fn add(&mut self, of: &'static str, property: &'static str, result: Result<(), Violation>) {
        self.judged.push(Judged { of, property, result });
    }
}

/// Judges a trace by what the deliveries in it promise, by the links' and by
/// membership's properties.
///
/// Safety alone is judged where a property needs the run's end and the trace
/// does not show it; where records are missing, only what their absence cannot
/// break. [`Judgement::partial`] says what was left out.
pub fn judge(kept: &Trace) -> Judgement {
    let replayed = replay(kept);
    let mut judgement = Judgement { records: kept.records.len(), ..Judgement::default() };
    judgement.partial = partial(&replayed);
    let whole = replayed.dropped == 0 && !replayed.short;
    for rung in Delivery::ALL.into_iter().filter(|rung| used(&replayed.trace, *rung)) {
        ladder(rung, &replayed, whole, &mut judgement);
    }
    if whole {
        // What is still on its way at the end of a trace is no loss.
        let links = check::perfect_link(&replayed.trace, &passed);
        let links = links.or_else(|it| if it.property == "link reliable delivery" { Ok(()) } else { Err(it) });
        judgement.add("links", "no creation, no duplication, order", links);
        let decided = check::decided_by_majority(&replayed.trace, &replayed.voters, &against);
        let has_membership = kept.header.kinds.iter().any(|kind| kind == "membership");
        if has_membership && replayed.cut.is_empty() && replayed.unrecorded.is_empty() {
            judgement.add("membership", "ended by majority", decided);
        }
    }
    judgement
}

fn partial(replayed: &Replayed) -> Vec<String> {
    let mut partial = Vec::new();
    let name = |lives: &BTreeSet<Life>| {
        let names: Vec<_> = lives.iter().map(|life| replayed.trace.name(*life)).collect();
        names.join(", ")
    };
    if replayed.dropped > 0 {
        partial.push(format!("{} records were dropped: only no duplication is judged", replayed.dropped));
    }
    if replayed.short {
        partial.push("the trace does not reach the end of the run: only no duplication is judged".into());
    }
    if !replayed.cut.is_empty() {
        let lives = name(&replayed.cut);
        partial.push(format!(
            "the recording of {lives} breaks off: taken for crashed there; {} of its last broadcasts are known from \
             deliveries alone; why lives were ended is not judged",
            replayed.supplied
        ));
    }
    if !replayed.unrecorded.is_empty() {
        partial.push(format!("there is no recording of {}: its messages are not judged", name(&replayed.unrecorded)));
    }
    partial
}

fn used(trace: &sim::Trace, rung: Delivery) -> bool {
    trace.records().iter().any(|record| match &record.what {
        Seen::Broadcast { via, .. } => *via == rung.kind(),
        Seen::Delivered { id, .. } => id.delivery == rung.kind(),
        _ => false,
    })
}

fn ladder(rung: Delivery, replayed: &Replayed, whole: bool, judgement: &mut Judgement) {
    let Replayed { trace, voters, .. } = replayed;
    let told = rung.guarantee() != Guarantee::BestEffort;
    let listeners = trace.listeners().iter().copied();
    let history = History::of(trace, rung.kind()).reporting(trace, &missing).listening(listeners, told);
    judgement.broadcasts += history.broadcasts.len();
    judgement.deliveries += history.deliveries.len();
    let of = rung.name();
    judgement.add(of, "no duplication", check::no_duplication(&history));
    if !whole {
        return;
    }
    judgement.add(of, "no creation", check::no_creation(&history));
    match rung.order() {
        Order::None => {}
        Order::Fifo | Order::Total => judgement.add(of, "FIFO order", check::fifo_order(&history)),
        Order::Causal => judgement.add(of, "causal order", check::causal_order(&history)),
    }
    let up: BTreeSet<_> = history.judged().map(|life| life.node).filter(|node| voters.contains(node)).collect();
    if matches!(rung.guarantee(), Guarantee::Uniform) && up.len() <= voters.len() / 2 {
        let (up, voters) = (up.len(), voters.len());
        judgement.partial.push(format!(
            "{of}: {up} of {voters} voters are up at the end, no majority: agreement and validity are not judged"
        ));
        return;
    }
    match rung.guarantee() {
        Guarantee::BestEffort => {}
        Guarantee::Reliable => judgement.add(of, "agreement", check::agreement(&history)),
        Guarantee::Uniform | Guarantee::UniformAllAck => {
            judgement.add(of, "uniform agreement", check::uniform_agreement(&history));
        }
    }
    judgement.add(of, "validity", check::validity(&history));
}
