//! From a kept trace to the simulator's, which checkers read.

use crate::component::{EndedWhy, Lane, Target};
use crate::event::AnyEvent;
use crate::id::{Kind, Life, NodeId};
use crate::protocol;
use crate::scenario::talker::Block;
use crate::sim::check::{HUNG, Passed, SETTLED};
use crate::sim::{self, What as Seen};
use crate::time::Time;
use crate::trace::{self, EndWhy, Frame, Trace, What};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A trace as checkers see it, and what of it they cannot see.
pub struct Replayed {
    /// The trace. Every message has a body of its own, as checkers expect.
    pub trace: sim::Trace,
    /// The nodes that vote.
    pub voters: BTreeSet<NodeId>,
    /// Lives whose recording breaks off.
    pub cut: BTreeSet<Life>,
    /// Broadcasts of such lives that are known from their deliveries alone, and
    /// were put before the first of these.
    pub supplied: u64,
    /// Records that the recorder dropped.
    pub dropped: u64,
    /// Lives of which others speak, but whose own recording is not there.
    pub unrecorded: BTreeSet<Life>,
    /// Whether a file was full, or a simulated world's is cut off.
    pub short: bool,
}

/// Turns a kept trace into one that checkers read.
///
/// A life that stops when nothing is broadcast or delivered any more counts as
/// up to the end: so live runs end. Where a recording breaks off, the life
/// counts as crashed.
pub fn replay(kept: &Trace) -> Replayed {
    let mut it = Replay::new(kept);
    for place in 0..kept.records.len() {
        it.step(place);
    }
    it.out
}

struct Replay<'a> {
    kept: &'a Trace,
    /// For each delivery the place of its broadcast.
    pairs: Vec<Option<usize>>,
    /// How the body of each broadcast is to read.
    bodies: BTreeMap<usize, String>,
    /// The place of the last broadcast or delivery.
    busy: usize,
    recorded: BTreeSet<Life>,
    /// Lives that stop after that: others hear of it before or after they do.
    parting: BTreeSet<Life>,
    over: BTreeSet<Life>,
    /// The highest number sent, by sender, receiver and lane.
    sent: BTreeMap<(Life, Life, trace::Lane), u64>,
    supplied: BTreeSet<(Life, Kind, String)>,
    out: Replayed,
}

impl<'a> Replay<'a> {
    fn new(kept: &'a Trace) -> Self {
        let mut trace = sim::Trace::default();
        let (mut voters, mut cut, mut recorded) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut busy, mut names, mut short) = (0, BTreeMap::new(), kept.tail != trace::Tail::Finished);
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, record) in kept.records.iter().enumerate() {
            match &record.what {
                What::Started { name, voter } => {
                    trace.name_node(record.life.node, name.as_str().into(), *voter);
                    names.insert(record.life.node, name);
                    recorded.insert(record.life);
                    if *voter {
                        voters.insert(record.life.node);
                    }
                }
                What::Cut => drop(cut.insert(record.life)),
                What::Full { .. } => short = true,
                What::Broadcast { body, .. } => {
                    *times.entry(body).or_insert(0) += 1;
                    busy = place;
                }
                What::Delivered { .. } => busy = place,
                _ => {}
            }
        }
        let stopping = kept.records[busy..].iter().filter(|record| matches!(record.what, What::Stopped));
        let parting = stopping.map(|record| record.life).collect();
        let mut bodies = BTreeMap::new();
        let mut numbers: BTreeMap<(Life, &str), u64> = BTreeMap::new();
        for (place, record) in kept.records.iter().enumerate() {
            let What::Broadcast { body, .. } = &record.what else { continue };
            let number = numbers.entry((record.life, body)).or_insert(0);
            *number += 1;
            let alone = times.get(body.as_str()) == Some(&1);
            let own = || format!("{body} (number {number} of {})", trace.name(record.life));
            bodies.insert(place, if alone { body.clone() } else { own() });
        }
        Replay {
            kept,
            pairs: trace::deliveries(&kept.records),
            bodies,
            busy,
            recorded,
            parting,
            over: BTreeSet::new(),
            sent: BTreeMap::new(),
            supplied: BTreeSet::new(),
            out: Replayed { trace, voters, cut, supplied: 0, dropped: 0, unrecorded: BTreeSet::new(), short },
        }
    }

    fn step(&mut self, place: usize) {
        let record = &self.kept.records[place];
        let (at, life) = (Time(record.at), record.life);
        let seen = match &record.what {
            What::Started { .. } => Seen::Started,
            What::Crashed | What::Cut if self.over.contains(&life) => return,
            What::Crashed | What::Cut => Seen::Crashed,
            What::Failed { why } => Seen::Failed(why.as_str().into()),
            What::Outlived => Seen::Outlived,
            What::Stopped if place > self.busy => return,
            What::Stopped => Seen::Stopped,
            What::Paused => Seen::Paused,
            What::Resumed => Seen::Resumed,
            What::Jumped { ns } => Seen::Jumped(*ns),
            What::Broadcast { via, to, .. } => {
                let target = to.map_or(Target::All, Target::Node);
                let body = self.bodies.get(&place).cloned().unwrap_or_default().into();
                Seen::Broadcast { via: Kind::of(via), target, body }
            }
            What::Delivered { id, body, .. } => match self.delivered(place, id.origin, id.delivery, body) {
                Some(body) => Seen::Delivered { id: *id, body },
                None => return,
            },
            What::Joined { peer } => Seen::Joined(*peer),
            What::Ended { peer, .. } if self.parting.contains(peer) => return,
            What::Ended { peer, why } => Seen::Ended(*peer, ended_why(*why)),
            What::Sent(frame) | What::Arrived(frame) => {
                match self.passed(life, frame, matches!(record.what, What::Sent(_))) {
                    Some(passed) => Seen::Published(AnyEvent::new(Block(passed))),
                    None => return,
                }
            }
            What::Parted { to } => Seen::Parted(*to),
            What::Mended { to } => Seen::Mended(*to),
            What::Healed => Seen::Healed,
            What::Disk { text } => Seen::Disk(text.as_str().into()),
            What::Marked { name } if name == SETTLED => Seen::Marked(SETTLED),
            What::Marked { name } if name == HUNG => Seen::Marked(HUNG),
            What::Dropped { records } => {
                self.out.dropped = self.out.dropped.saturating_add(*records);
                return;
            }
            other => match protocol::recorded::replay(other) {
                Some(event) => Seen::Published(event),
                None => return,
            },
        };
        if let Seen::Crashed | Seen::Failed(_) | Seen::Outlived | Seen::Stopped = seen {
            self.over.insert(life);
        }
        self.out.trace.push(at, life, seen);
    }

    /// The body of a delivery as its broadcast has it; `None` if it is not to
    /// be judged: sent to one node alone, or of a life that was not recorded.
    fn delivered(&mut self, place: usize, origin: Life, via: Kind, body: &str) -> Option<Bytes> {
        if let Some(broadcast) = self.pairs[place] {
            let alone = matches!(self.kept.records[broadcast].what, What::Broadcast { to: Some(_), .. });
            return self.bodies.get(&broadcast).filter(|_| !alone).map(|body| body.clone().into());
        }
        if !self.recorded.contains(&origin) {
            self.out.unrecorded.insert(origin);
            return None;
        }
        if self.out.cut.contains(&origin) && self.supplied.insert((origin, via, body.to_owned())) {
            self.out.supplied += 1;
            let (at, body) = (Time(self.kept.records[place].at), Bytes::from(body.to_owned()));
            self.out.trace.push(at, origin, Seen::Broadcast { via, target: Target::All, body });
        }
        Some(body.to_owned().into())
    }

    /// A frame as the checker of links wants it: no repetition of a sending,
    /// and nothing of a peer whose sendings are not all known.
    fn passed(&mut self, me: Life, frame: &Frame, sent: bool) -> Option<Passed> {
        let Frame { peer, lane, number, .. } = *frame;
        if sent {
            let last = self.sent.entry((me, peer, lane)).or_insert(0);
            if number <= *last {
                return None;
            }
            *last = number;
        } else if !self.recorded.contains(&peer) || self.out.cut.contains(&peer) {
            return None;
        }
        let lane = match lane {
            trace::Lane::Probe => Lane::Probe,
            trace::Lane::Control => Lane::Control,
            trace::Lane::Data => Lane::Data,
            trace::Lane::Bulk => Lane::Bulk,
        };
        Some(Passed { sent, peer, lane, number })
    }
}

fn ended_why(why: EndWhy) -> EndedWhy {
    match why {
        EndWhy::Succeeded => EndedWhy::Succeeded,
        EndWhy::Decided => EndedWhy::Decided,
        EndWhy::Left => EndedWhy::Left,
    }
}
