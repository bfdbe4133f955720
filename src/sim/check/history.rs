//! A trace as the broadcast properties see it: lives, broadcasts, deliveries.

use super::{SETTLED, Violation};
use crate::component::{EndedWhy, Target};
use crate::event::AnyEvent;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::sim::trace::{Trace, What};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// A message that was broadcast to all.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// The life whose user broadcast it.
    pub origin: Life,
    /// Its place among that life's broadcasts through this delivery, from 1.
    pub number: u64,
    /// Its place in the trace.
    pub at: usize,
    /// The message.
    pub body: Bytes,
}

/// A message handed to a user.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The life whose user was handed it.
    pub life: Life,
    /// Its id.
    pub id: MessageId,
    /// The message.
    pub body: Bytes,
    /// Its place in the trace.
    pub at: usize,
    /// Which broadcast it is, if it is one.
    pub broadcast: Option<usize>,
}

/// What one delivery component did in a trace.
#[derive(Debug, Default)]
pub struct History {
    /// Broadcasts in the order in which they were made.
    pub broadcasts: Vec<Broadcast>,
    /// Deliveries in the order in which they happened.
    pub deliveries: Vec<Delivery>,
    /// Lives that were up throughout.
    pub correct: BTreeSet<Life>,
    /// Lives that started later and are up at the end.
    pub late: BTreeSet<Life>,
    /// Each node's first life: it begins every origin with its first message.
    pub first: BTreeSet<Life>,
    /// Where in the trace everything had settled, if it was marked.
    pub settled: Option<usize>,
    /// Which broadcasts each life delivered.
    delivered: BTreeMap<Life, Vec<bool>>,
    names: BTreeMap<Life, String>,
    numbered: BTreeMap<(Life, u64), usize>,
    /// In which batch each broadcast went, as its deliveries say.
    batches: BTreeMap<usize, u64>,
    /// Who reported which batches of whom as missing.
    gaps: Vec<(Life, Life, RangeInclusive<u64>)>,
    listeners: BTreeSet<NodeId>,
    /// Listeners are not told what they miss.
    untold: bool,
}

/// Reads from an event that batches of a life will never be delivered by its
/// publisher, and says so.
pub type Reported<'a> = &'a dyn Fn(&AnyEvent) -> Option<(Life, RangeInclusive<u64>)>;

impl History {
    /// The part of `trace` that went through the delivery component `via`.
    pub fn of(trace: &Trace, via: Kind) -> Self {
        let mut history = History::default();
        let mut by_body: HashMap<&[u8], usize> = HashMap::new();
        let mut numbers: BTreeMap<Life, u64> = BTreeMap::new();
        let mut first = BTreeMap::new();
        let mut up = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for (at, record) in trace.records().iter().enumerate() {
            let life = record.life;
            match &record.what {
                What::Started => {
                    first.entry(life.node).or_insert(life);
                    up.insert(life);
                    history.names.insert(life, trace.name(life));
                }
                What::Crashed | What::Failed(_) | What::Outlived | What::Stopped => {
                    up.remove(&life);
                }
                What::Ended(peer, EndedWhy::Decided) => {
                    ended.insert(*peer);
                }
                What::Marked(SETTLED) => history.settled = Some(at),
                What::Broadcast { via: by, target: Target::All, body } if *by == via => {
                    let number = numbers.entry(life).or_insert(0);
                    *number += 1;
                    by_body.insert(body, history.broadcasts.len());
                    history.numbered.insert((life, *number), history.broadcasts.len());
                    history.broadcasts.push(Broadcast { origin: life, number: *number, at, body: body.clone() });
                }
                What::Delivered { id, body } if id.delivery == via => {
                    let broadcast = by_body.get(&body[..]).copied();
                    let broadcast = broadcast.filter(|m| history.broadcasts[*m].origin == id.origin);
                    if let Some(broadcast) = broadcast {
                        let delivered = history.delivered.entry(life).or_default();
                        delivered.resize(delivered.len().max(broadcast + 1), false);
                        delivered[broadcast] = true;
                        history.batches.insert(broadcast, id.batch);
                    }
                    history.deliveries.push(Delivery { life, id: *id, body: body.clone(), at, broadcast });
                }
                _ => {}
            }
        }
        up.retain(|life| !ended.contains(life));
        (history.correct, history.late) = up.into_iter().partition(|life| first.get(&life.node) == Some(life));
        history.first = first.into_values().collect();
        history
    }

    /// The same, where late lives are forgiven what they reported as missing.
    pub fn reporting(mut self, trace: &Trace, reported: Reported<'_>) -> Self {
        let published = trace.records().iter().filter_map(|record| match &record.what {
            What::Published(event) => Some((record.life, reported(event)?)),
            _ => None,
        });
        self.gaps = published.map(|(life, (origin, batches))| (life, origin, batches)).collect();
        self
    }

    /// The same, where these nodes are listeners: all their lives are late ones,
    /// and what they alone delivered is owed to nobody. `told` says whether
    /// they report what they miss; else they are owed, whole, only what is
    /// broadcast after the world had settled.
    pub fn listening(mut self, listeners: impl IntoIterator<Item = NodeId>, told: bool) -> Self {
        self.listeners = listeners.into_iter().collect();
        self.untold = !told;
        let listens = |life: &Life| self.listeners.contains(&life.node);
        let moved: Vec<Life> = self.correct.iter().copied().filter(listens).collect();
        self.first.retain(|life| !listens(life));
        self.correct.retain(|life| !listens(life));
        self.late.extend(moved);
        self
    }

    /// Whether the life is a listener's.
    pub fn is_listener(&self, life: Life) -> bool {
        self.listeners.contains(&life.node)
    }

    /// Whether a life that is not its node's first reported the broadcast as
    /// missing.
    pub fn excused(&self, life: Life, broadcast: usize) -> bool {
        let origin = self.broadcasts[broadcast].origin;
        if self.untold && self.is_listener(life) {
            return self.settled.is_none_or(|settled| self.broadcasts[broadcast].at < settled);
        }
        let Some(batch) = self.batches.get(&broadcast) else { return false };
        !self.first.contains(&life)
            && self.gaps.iter().any(|(by, of, gap)| (*by, *of) == (life, origin) && gap.contains(batch))
    }

    /// The broadcast of `origin` with this number.
    pub fn numbered(&self, origin: Life, number: u64) -> Option<usize> {
        self.numbered.get(&(origin, number)).copied()
    }

    /// Whether `life` delivered the broadcast.
    pub fn delivered(&self, life: Life, broadcast: usize) -> bool {
        self.delivered.get(&life).is_some_and(|delivered| delivered.get(broadcast) == Some(&true))
    }

    /// The lives that are judged: correct and late ones.
    pub fn judged(&self) -> impl Iterator<Item = Life> {
        self.correct.iter().chain(&self.late).copied()
    }

    /// The numbers of the first broadcast of `origin` that `life` delivered.
    pub fn begins(&self, life: Life, origin: Life) -> Option<u64> {
        let delivered = self.broadcasts.iter().zip(self.delivered.get(&life)?).filter(|(_, delivered)| **delivered);
        delivered
            .map(|(broadcast, _)| broadcast)
            .filter(|broadcast| broadcast.origin == origin)
            .map(|broadcast| broadcast.number)
            .min()
    }

    /// A life's name.
    pub fn name(&self, life: Life) -> String {
        self.names.get(&life).cloned().unwrap_or_else(|| life.to_string())
    }

    /// A message's text, for people.
    pub fn text(body: &[u8]) -> String {
        String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned()
    }

    /// What each judged life is owed of the broadcasts in `owed`: a correct
    /// one all, a late one what follows its first of that origin, and all that
    /// was broadcast after the world had settled.
    pub(super) fn all_deliver(
        &self,
        property: &'static str,
        owed: impl Iterator<Item = (usize, Life)>,
    ) -> Result<(), Violation> {
        let mut judged = vec![false; self.broadcasts.len()];
        for (m, witness) in owed {
            if std::mem::replace(&mut judged[m], true) {
                continue; // another witness of it came before
            }
            let broadcast = &self.broadcasts[m];
            let after = self.settled.is_some_and(|settled| broadcast.at > settled);
            for life in self.judged() {
                let begun = || self.begins(life, broadcast.origin).is_some_and(|first| first <= broadcast.number);
                let owed = || self.correct.contains(&life) || after || begun() && !self.excused(life, m);
                if !self.delivered(life, m) && owed() {
                    let (text, origin) = (History::text(&broadcast.body), self.name(broadcast.origin));
                    let (witness, life) = (self.name(witness), self.name(life));
                    return Err(Violation::new(
                        property,
                        format!("'{text}' of {origin}: {witness} accounts for it, {life} never delivers it"),
                    ));
                }
            }
        }
        Ok(())
    }
}
