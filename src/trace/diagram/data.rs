//! What the page draws, worked out here: the page only places it.

use crate::id::{Kind, Life, MessageId, NodeId};
use crate::trace::{Clock, EndWhy, Frame, Lane, Record, Trace, What, arrivals, deliveries};
use serde::Serialize;
use std::collections::BTreeMap;

/// A life's place in [`Data::lives`].
type At = usize;

/// Logical time of an event: Lamport, and how many broadcasts and deliveries of
/// each life happened before it or are it. Counted here, whether or not the
/// nodes had clocks.
#[derive(Clone, Default, Serialize)]
pub(super) struct Times(u64, BTreeMap<At, u64>);

#[derive(Serialize)]
pub(super) struct Data {
    about: String,
    clock: Clock,
    epoch_unix_ns: u64,
    /// The last time in the trace.
    end: u64,
    lanes: Vec<LaneData>,
    lives: Vec<LifeData>,
    /// Lane, from, until.
    pauses: Vec<(usize, u64, u64)>,
    /// Lane, lane that it cannot reach, from, until.
    parts: Vec<(usize, usize, u64, u64)>,
    messages: Vec<Message>,
    frames: Vec<FrameData>,
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct LaneData {
    name: String,
    voter: bool,
}

#[derive(Serialize)]
struct LifeData {
    lane: usize,
    /// Which life of its node in this trace, from 1.
    number: usize,
    incarnation: u64,
    from: u64,
    until: u64,
    /// How it ended; `up` if it did not.
    end: &'static str,
    why: String,
}

#[derive(Serialize)]
struct Message {
    /// None if nobody ever delivered it.
    id: Option<String>,
    life: At,
    via: String,
    body: String,
    /// The lane that it was sent to, if not to all.
    to: Option<usize>,
    /// When it was broadcast, if that is in the trace.
    at: Option<u64>,
    times: Times,
    deliveries: Vec<Delivery>,
}

#[derive(Serialize)]
struct Delivery {
    life: At,
    at: u64,
    times: Times,
    /// The clock readings of the node itself.
    lamport: Option<u64>,
    vector: Vec<(String, u64)>,
}

#[derive(Serialize)]
struct FrameData {
    from: At,
    to: At,
    sent: u64,
    arrived: Option<u64>,
    lost: bool,
    component: String,
    lane: Lane,
    number: u64,
    bytes: u32,
}

#[derive(Serialize)]
struct Mark {
    life: At,
    at: u64,
    what: &'static str,
    peer: Option<At>,
    text: String,
}

impl Data {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut drawing = Drawing::new(trace);
        let (broadcasts, sendings) = (deliveries(&trace.records), arrivals(&trace.records));
        for (place, record) in trace.records.iter().enumerate() {
            drawing.add(place, record, broadcasts[place], sendings[place]);
        }
        drawing.finish()
    }
}

/// A drawing in progress.
struct Drawing<'a> {
    data: Data,
    lanes: BTreeMap<NodeId, usize>,
    lives: BTreeMap<Life, At>,
    kinds: BTreeMap<Kind, &'a str>,
    now: BTreeMap<At, Times>,
    /// Messages by the place of their broadcast, and by id where that is not in
    /// the trace.
    sent: BTreeMap<usize, usize>,
    known: BTreeMap<MessageId, usize>,
    frames: BTreeMap<usize, usize>,
    last_frame: BTreeMap<(Life, Life, Lane, u64), usize>,
    paused: BTreeMap<usize, u64>,
    /// How many partitions part two lanes, and since when.
    parted: BTreeMap<(usize, usize), (u32, u64)>,
}

impl<'a> Drawing<'a> {
    fn new(trace: &'a Trace) -> Self {
        let header = &trace.header;
        let data = Data {
            about: header.about.clone(),
            clock: header.clock,
            epoch_unix_ns: header.epoch_unix_ns,
            end: trace.records.iter().map(|record| record.at).max().unwrap_or(0),
            lanes: Vec::new(),
            lives: Vec::new(),
            pauses: Vec::new(),
            parts: Vec::new(),
            messages: Vec::new(),
            frames: Vec::new(),
            marks: Vec::new(),
        };
        let mut drawing = Drawing {
            data,
            lanes: BTreeMap::new(),
            lives: BTreeMap::new(),
            kinds: header.kinds.iter().map(|name| (Kind::of(name), name.as_str())).collect(),
            now: BTreeMap::new(),
            sent: BTreeMap::new(),
            known: BTreeMap::new(),
            frames: BTreeMap::new(),
            last_frame: BTreeMap::new(),
            paused: BTreeMap::new(),
            parted: BTreeMap::new(),
        };
        let mut nodes: Vec<(NodeId, &str, bool)> = Vec::new();
        for record in &trace.records {
            if let What::Started { name, voter } = &record.what
                && nodes.iter().all(|(node, ..)| *node != record.life.node)
            {
                nodes.push((record.life.node, name, *voter));
            }
        }
        if header.clock == Clock::Wall {
            nodes.sort_by_key(|(_, name, _)| *name); // who started first means nothing
        }
        nodes.sort_by_key(|(.., voter)| !voter);
        for (node, name, voter) in nodes {
            drawing.lane(node, name, voter);
        }
        drawing
    }

    fn lane(&mut self, node: NodeId, name: &str, voter: bool) -> usize {
        let lanes = &mut self.data.lanes;
        *self.lanes.entry(node).or_insert_with(|| {
            lanes.push(LaneData { name: name.to_owned(), voter });
            lanes.len() - 1
        })
    }

    fn lane_of(&mut self, node: NodeId) -> usize {
        self.lane(node, &node.to_string(), true)
    }

    /// A life's place; one that others only speak of begins there.
    fn life(&mut self, life: Life, at: u64) -> At {
        if let Some(place) = self.lives.get(&life) {
            return *place;
        }
        let lane = self.lane_of(life.node);
        let number = self.data.lives.iter().filter(|other| other.lane == lane).count() + 1;
        let incarnation = life.incarnation.0;
        let (end, why) = ("unrecorded", String::new());
        self.data.lives.push(LifeData { lane, number, incarnation, from: at, until: at, end, why });
        self.lives.insert(life, self.data.lives.len() - 1);
        self.data.lives.len() - 1
    }

    fn end(&mut self, me: At, at: u64, end: &'static str, why: &str) {
        let life = &mut self.data.lives[me];
        // what comes after is more than the recording knew
        if matches!(life.end, "up" | "cut") {
            (life.end, life.until, life.why) = (end, at.max(life.from), why.to_owned());
        }
        let lane = life.lane;
        self.resume(lane, at);
    }

    fn resume(&mut self, lane: usize, at: u64) {
        if let Some(from) = self.paused.remove(&lane) {
            self.data.pauses.push((lane, from, at));
        }
    }

    fn part(&mut self, from: usize, to: NodeId, at: u64) {
        let to = self.lane_of(to);
        let parted = self.parted.entry((from, to)).or_insert((0, at));
        parted.0 += 1;
    }

    fn mend(&mut self, pair: (usize, usize), at: u64, all: bool) {
        let Some((count, since)) = self.parted.get_mut(&pair) else { return };
        *count -= 1;
        if *count == 0 || all {
            self.data.parts.push((pair.0, pair.1, *since, at));
            self.parted.remove(&pair);
        }
    }

    fn mark(&mut self, me: At, at: u64, what: &'static str, peer: Option<Life>, text: impl Into<String>) {
        let peer = peer.map(|peer| self.life(peer, at));
        self.data.marks.push(Mark { life: me, at, what, peer, text: text.into() });
    }

    fn add(&mut self, place: usize, record: &'a Record, broadcast: Option<usize>, sending: Option<usize>) {
        let at = record.at;
        let me = self.life(record.life, at);
        let lane = self.data.lives[me].lane;
        match &record.what {
            What::Started { .. } => {
                let life = &mut self.data.lives[me];
                (life.from, life.until, life.end) = (at, at, "up");
            }
            What::Crashed => self.end(me, at, "crashed", ""),
            What::Failed { why } => self.end(me, at, "failed", why),
            What::Outlived => self.end(me, at, "ended by its peers", ""),
            What::Stopped => self.end(me, at, "stopped", ""),
            What::Cut => self.end(me, at, "cut", ""),
            What::Paused => _ = self.paused.entry(lane).or_insert(at),
            What::Resumed => self.resume(lane, at),
            What::Jumped { ns } => self.mark(me, at, "jumped", None, format!("{} ms", ns / 1_000_000)),
            What::Broadcast { via, to, body } => {
                let to = to.map(|to| self.lane_of(to));
                let message = self.message(me, via.clone(), body, to);
                self.data.messages[message].at = Some(at);
                self.data.messages[message].times = self.tick(me, None);
                self.sent.insert(place, message);
            }
            What::Delivered { id, body, stamp } => {
                let message = match broadcast.and_then(|place| self.sent.get(&place)).or(self.known.get(id)) {
                    Some(message) => *message,
                    None => {
                        let origin = self.life(id.origin, at);
                        let via = self.kind(id.delivery);
                        self.message(origin, via, body, None)
                    }
                };
                self.known.insert(*id, message);
                let cause = self.data.messages[message].times.clone();
                let times = self.tick(me, Some(&cause));
                let it = &mut self.data.messages[message];
                it.id.get_or_insert_with(|| id.to_string());
                let (lamport, vector) = (stamp.lamport, stamp.vector.clone());
                it.deliveries.push(Delivery { life: me, at, times, lamport, vector });
            }
            What::Joined { peer } => self.mark(me, at, "joined", Some(*peer), ""),
            What::Ended { peer, why } => {
                let why = match why {
                    EndWhy::Succeeded => "a later life appeared",
                    EndWhy::Decided => "a majority ended it",
                    EndWhy::Left => "it left",
                };
                self.mark(me, at, "ended", Some(*peer), why);
            }
            What::Suspected { peer } => self.mark(me, at, "suspected", Some(*peer), ""),
            What::Restored { peer } => self.mark(me, at, "restored", Some(*peer), ""),
            What::HoldingBack { peer, holding } => {
                let text = if *holding { "" } else { "no longer" };
                self.mark(me, at, "holding back", Some(*peer), text);
            }
            What::Missing { via, origin, first, last } => {
                self.mark(me, at, "missing", Some(*origin), format!("{via}, batches {first} to {last}"));
            }
            What::Sent(frame) => {
                let to = self.life(frame.peer, at);
                let Frame { lane, number, component, bytes, .. } = *frame;
                let component = self.kind(Kind(component));
                let (sent, arrived, lost) = (at, None, false);
                self.frames.insert(place, self.data.frames.len());
                self.last_frame.insert((record.life, frame.peer, lane, number), self.data.frames.len());
                self.data.frames.push(FrameData { from: me, to, sent, arrived, lost, component, lane, number, bytes });
            }
            What::Lost(Frame { peer, lane, number, .. }) => {
                if let Some(frame) = self.last_frame.get(&(record.life, *peer, *lane, *number)) {
                    self.data.frames[*frame].lost = true;
                }
            }
            What::Arrived(_) => {
                if let Some(frame) = sending.and_then(|place| self.frames.get(&place)) {
                    self.data.frames[*frame].arrived = Some(at);
                    self.data.frames[*frame].lost = false; // a copy of it came through
                }
            }
            What::Parted { to } => self.part(lane, *to, at),
            What::Mended { to } => {
                let to = self.lane_of(*to);
                self.mend((lane, to), at, false);
            }
            What::Healed => {
                for pair in self.parted.keys().copied().collect::<Vec<_>>() {
                    self.mend(pair, at, true);
                }
                self.mark(me, at, "healed", None, "all faults stop");
            }
            What::Disk { text } => self.mark(me, at, "disk", None, text),
            What::Published { event, text } => self.mark(me, at, "published", None, format!("{event}: {text}")),
            What::Marked { name } => self.mark(me, at, "marked", None, name),
            What::Dropped { records } => {
                self.mark(me, at, "dropped", None, format!("{records} records are missing"));
            }
            What::Full { bytes_max } => {
                self.mark(me, at, "full", None, format!("recording ended at {bytes_max} bytes"));
            }
        }
        let life = &mut self.data.lives[me];
        if life.end == "up" {
            life.until = life.until.max(at);
        }
    }

    fn kind(&self, kind: Kind) -> String {
        self.kinds.get(&kind).map_or_else(|| format!("{kind:?}"), |name| (*name).to_owned())
    }

    fn message(&mut self, life: At, via: String, body: &str, to: Option<usize>) -> usize {
        let (body, times) = (body.to_owned(), Times::default());
        self.data.messages.push(Message { id: None, life, via, body, to, at: None, times, deliveries: Vec::new() });
        self.data.messages.len() - 1
    }

    /// An event of a life, after what it knew and after `cause`.
    fn tick(&mut self, me: At, cause: Option<&Times>) -> Times {
        let now = self.now.entry(me).or_default();
        if let Some(Times(lamport, vector)) = cause {
            now.0 = now.0.max(*lamport);
            for (life, count) in vector {
                let known = now.1.entry(*life).or_insert(0);
                *known = (*known).max(*count);
            }
        }
        now.0 += 1;
        *now.1.entry(me).or_insert(0) += 1;
        now.clone()
    }

    fn finish(mut self) -> Data {
        let end = self.data.end;
        for lane in self.paused.keys().copied().collect::<Vec<_>>() {
            self.resume(lane, end);
        }
        for pair in self.parted.keys().copied().collect::<Vec<_>>() {
            self.mend(pair, end, true);
        }
        for life in self.data.lives.iter_mut().filter(|life| life.end == "up") {
            life.until = end;
        }
        self.data
    }
}
