//! The judgement: pure, from histories to a verdict.

use super::history::{Event, Histories, History, LifeNumber, Message};
use super::order::out_of_order;
use crate::protocol::delivery::{Delivery, Guarantee};
use serde::Serialize;

/// The last line of a run. The order of the fields is the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// `"ok"` or `"failed"`.
    pub(crate) verdict: &'static str,
    /// Nodes that left records.
    pub(crate) nodes: usize,
    /// Broadcasts that were not refused, by all lives.
    pub(crate) broadcasts: u64,
    /// Deliveries by all lives.
    pub(crate) deliveries: u64,
    /// See the module.
    pub(crate) lost: u64,
    /// See the module.
    pub(crate) duplicated: u64,
    /// See the module.
    pub(crate) out_of_order: u64,
    /// Suspicions, over all lives.
    pub(crate) suspected: u64,
    /// Suspicions taken back.
    pub(crate) restored: u64,
    /// The greatest resident memory of any life.
    pub(crate) rss_bytes_max: u64,
}

impl Verdict {
    /// Whether all is well.
    pub(crate) fn ok(&self) -> bool {
        self.verdict == "ok"
    }
}

/// Something to tell beside the counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// `lost`, `duplicated`, `out_of_order`, `created`, `silent`, `damaged` or
    /// `unjudged`.
    pub(crate) finding: &'static str,
    /// The node that it was seen at.
    pub(crate) node: String,
    /// What, for people.
    pub(crate) what: String,
}

/// One life's part in the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NodeTotals {
    /// The node's name.
    pub(crate) node: String,
    /// Which of its lives.
    pub(crate) incarnation: u64,
    /// Whether it was up from the start of the run to its end.
    pub(crate) up_throughout: bool,
    /// Whether it stopped as it was asked to.
    pub(crate) ended_well: bool,
    /// Its broadcasts.
    pub(crate) broadcasts: u64,
    /// Its deliveries.
    pub(crate) deliveries: u64,
    /// Processor time it used, in percent of one core over its life.
    pub(crate) cpu_percent: f64,
    /// Its greatest resident memory.
    pub(crate) rss_bytes_max: u64,
}

/// Most findings of one sort that are told one by one.
const TOLD_MAX: usize = 5;

/// Judges a run of `expected` nodes (as many as the records say, if `None`).
pub(crate) fn judge(histories: &Histories, expected: Option<usize>) -> (Verdict, Vec<NodeTotals>, Vec<Finding>) {
    let lives = histories.lives();
    let mut findings = Findings::default();
    let mut failed = false;
    let delivery = histories.delivery().unwrap_or_else(|why| {
        failed = true;
        findings.tell("damaged", "", why);
        Delivery::BestEffort
    });
    for defect in &histories.defects {
        failed = true;
        findings.tell("damaged", "", defect.clone());
    }
    let declared = || lives.iter().filter(|history| history.declared);
    let mut nodes: Vec<_> = declared().map(|history| history.life.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let expected = expected.unwrap_or(histories.voters);
    if nodes.len() < expected {
        failed = true;
        findings.tell("silent", "", format!("{} of {expected} nodes left records", nodes.len()));
    }

    let mut sorted: Vec<Vec<Message>> = lives.iter().map(deliveries).collect();
    let mut duplicated = 0;
    for (history, sorted) in lives.iter().zip(&mut sorted) {
        sorted.sort_unstable();
        for pair in sorted.windows(2).filter(|pair| pair[0] == pair[1]) {
            duplicated += 1;
            findings.tell("duplicated", &history.name, describe(lives, pair[0]));
        }
        sorted.dedup();
    }

    let survivors: Vec<usize> = (0..lives.len()).filter(|at| up_throughout(histories, &lives[*at])).collect();
    if survivors.is_empty() {
        findings.tell("unjudged", "", "no node was up throughout: nothing can be said of lost messages".to_string());
    }
    let mut lost: Vec<Message> = Vec::new();
    let due = due(lives, &sorted, delivery.guarantee());
    for at in &survivors {
        for message in due.iter().filter(|message| sorted[*at].binary_search(message).is_err()) {
            lost.push(*message);
            findings.tell("lost", &lives[*at].name, describe(lives, *message));
        }
    }
    lost.sort_unstable();
    lost.dedup();

    let mut late = 0;
    for history in lives {
        for message in out_of_order(lives, history, delivery.order()) {
            late += 1;
            findings.tell("out_of_order", &history.name, describe(lives, message));
        }
    }

    failed |= created(lives, &sorted, &mut findings) | silent(lives, &sorted, &mut findings);
    let totals: Vec<_> = declared().map(|history| totals(history, up_throughout(histories, history))).collect();
    failed |= !lost.is_empty() || duplicated > 0 || late > 0 || totals.is_empty();
    let verdict = Verdict {
        verdict: if failed { "failed" } else { "ok" },
        nodes: nodes.len(),
        broadcasts: totals.iter().map(|totals| totals.broadcasts).sum(),
        deliveries: totals.iter().map(|totals| totals.deliveries).sum(),
        lost: lost.len() as u64,
        duplicated,
        out_of_order: late,
        suspected: lives.iter().map(|history| history.suspected).sum(),
        restored: lives.iter().map(|history| history.restored).sum(),
        rss_bytes_max: totals.iter().map(|totals| totals.rss_bytes_max).max().unwrap_or(0),
    };
    (verdict, totals, findings.into_told())
}

/// Whether this is the only life of its node and it was there at the end.
fn up_throughout(histories: &Histories, history: &History) -> bool {
    history.ended_well && histories.lives_of(history.life.node).count() == 1
}

fn deliveries(history: &History) -> Vec<Message> {
    let delivered = |event: &Event| match event {
        Event::Delivered(origin, n) => Some((*origin, *n)),
        _ => None,
    };
    history.events.iter().filter_map(delivered).collect()
}

/// What a life broadcast, without what was refused; sorted.
fn broadcasts(history: &History) -> Vec<u32> {
    let mut done = Vec::new();
    for event in &history.events {
        match event {
            Event::Broadcast(n) => done.push(*n),
            // A refusal follows its broadcast closely.
            Event::Refused(n) => {
                if let Some(at) = done.iter().rposition(|m| m == n) {
                    done.remove(at);
                }
            }
            Event::Delivered(..) => {}
        }
    }
    done.sort_unstable();
    done
}

/// The messages that every node which was up throughout has to deliver.
fn due(lives: &[History], sorted: &[Vec<Message>], guarantee: Guarantee) -> Vec<Message> {
    let mut due = Vec::new();
    for (number, history) in lives.iter().enumerate().filter(|(_, history)| history.ended_well) {
        let number = LifeNumber::try_from(number).expect("lives are numbered by this type");
        due.extend(broadcasts(history).into_iter().map(|n| (number, n)));
    }
    for (history, sorted) in lives.iter().zip(sorted) {
        match guarantee {
            Guarantee::Uniform | Guarantee::UniformAllAck => due.extend(sorted),
            Guarantee::Reliable if history.ended_well => due.extend(sorted),
            Guarantee::Reliable => {}
            Guarantee::BestEffort => {
                due.extend(sorted.iter().filter(|(origin, _)| lives[usize::from(*origin)].ended_well));
            }
        }
        due.sort_unstable();
        due.dedup();
    }
    due
}

/// Deliveries of what nobody broadcast. The broadcasts that a killed life made
/// after its last record are unknown.
fn created(lives: &[History], sorted: &[Vec<Message>], findings: &mut Findings) -> bool {
    let broadcast: Vec<Vec<u32>> = lives.iter().map(broadcasts).collect();
    let highest = |history: &History| {
        let number = |event: &Event| match event {
            Event::Broadcast(n) => Some(*n),
            _ => None,
        };
        history.events.iter().filter_map(number).max().unwrap_or(0)
    };
    let highest: Vec<u32> = lives.iter().map(highest).collect();
    let mut any = false;
    for (history, sorted) in lives.iter().zip(sorted) {
        for (origin, n) in sorted {
            let at = usize::from(*origin);
            let unknown = !lives[at].ended_well && *n > highest[at];
            if !unknown && broadcast[at].binary_search(n).is_err() {
                any = true;
                findings.tell("created", &history.name, describe(lives, (*origin, *n)));
            }
        }
    }
    any
}

/// Lives that were there at the end and delivered nothing, though others that
/// were there broadcast.
fn silent(lives: &[History], sorted: &[Vec<Message>], findings: &mut Findings) -> bool {
    let mut any = false;
    for (history, sorted) in lives.iter().zip(sorted) {
        let others = |other: &&History| other.life != history.life && other.ended_well && !broadcasts(other).is_empty();
        if history.ended_well && sorted.is_empty() && lives.iter().find(others).is_some() {
            any = true;
            findings.tell("silent", &history.name, format!("{} delivered nothing", history.life));
        }
    }
    any
}

fn totals(history: &History, up_throughout: bool) -> NodeTotals {
    let last = history.samples.last().copied().unwrap_or_default();
    NodeTotals {
        node: history.name.clone(),
        incarnation: history.life.incarnation.0,
        up_throughout,
        ended_well: history.ended_well,
        broadcasts: broadcasts(history).len() as u64,
        deliveries: deliveries(history).len() as u64,
        cpu_percent: last.cpu_ms as f64 * 100.0 / last.at_ms.max(1) as f64,
        rss_bytes_max: history.samples.iter().map(|sample| sample.rss_bytes_max).max().unwrap_or(0),
    }
}

fn describe(lives: &[History], (origin, n): Message) -> String {
    let history = &lives[usize::from(origin)];
    match history.name.as_str() {
        "" => format!("message {n} of {}", history.life),
        name => format!("message {n} of {name} ({})", history.life),
    }
}

/// Findings, the first few of each sort in full and the rest as a count.
#[derive(Default)]
struct Findings {
    told: Vec<Finding>,
    untold: Vec<(&'static str, usize)>,
}

impl Findings {
    fn tell(&mut self, finding: &'static str, node: &str, what: String) {
        if self.told.iter().filter(|told| told.finding == finding).count() < TOLD_MAX {
            self.told.push(Finding { finding, node: node.to_string(), what });
            return;
        }
        match self.untold.iter_mut().find(|(untold, _)| *untold == finding) {
            Some((_, count)) => *count += 1,
            None => self.untold.push((finding, 1)),
        }
    }

    fn into_told(mut self) -> Vec<Finding> {
        for (finding, count) in self.untold {
            self.told.push(Finding { finding, node: String::new(), what: format!("and {count} more") });
        }
        self.told
    }
}

#[cfg(test)]
mod tests;
