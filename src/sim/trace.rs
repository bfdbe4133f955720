//! What happened in a world: the only thing that checkers see.

use crate::component::{EndedWhy, Progress, Target};
use crate::event::AnyEvent;
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::time::Time;
use crate::trace::Frame;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::Arc;

/// One thing that happened on one node.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in the world's time.
    pub at: Time,
    /// To which life (for what happens to the network: of which node it is told).
    pub life: Life,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// The life begins.
    Started,
    /// The life is over: all its memory is lost.
    Crashed,
    /// The life is over by a component's fault, which says why.
    Failed(Arc<str>),
    /// The life was ended by its peers; the node goes on as a new one.
    Outlived,
    /// Graceful stop.
    Stopped,
    /// Nothing is handled any more.
    Paused,
    /// Things are handled again.
    Resumed,
    /// The node's clock jumped forward by this many nanoseconds.
    Jumped(u64),
    /// The user broadcast a message.
    Broadcast {
        /// The delivery component.
        via: Kind,
        /// To whom.
        target: Target,
        /// The message.
        body: Bytes,
    },
    /// The user was handed a message.
    Delivered {
        /// The message's id.
        id: MessageId,
        /// The message.
        body: Bytes,
    },
    /// The user learned how far its broadcasts have come.
    Progressed(Progress),
    /// The node's components learn of a peer's life.
    Joined(Life),
    /// The node's components learn that a peer's life is over.
    Ended(Life, EndedWhy),
    /// A component published an event.
    Published(AnyEvent),
    /// Frames from this node to that one are lost from now on.
    Parted(NodeId),
    /// They no longer are, as far as that partition goes.
    Mended(NodeId),
    /// Faults stop; partitions are mended.
    Healed,
    /// Something happened to the node's disk.
    Disk(Arc<str>),
    /// The test marked a point.
    Marked(&'static str),
}

/// A frame on its way. Heartbeats and bare acknowledgements are left out.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// How many records of the trace were there before.
    pub after: usize,
    /// When, in the world's time.
    pub at: Time,
    /// To whom it happened.
    pub life: Life,
    /// What.
    pub how: How,
    /// Which frame; its `peer` is the other end.
    pub frame: Frame,
}

/// What can happen to a frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// It is sent.
    Sent,
    /// It is lost; told of its sender.
    Lost,
    /// It arrives and is taken.
    Arrived,
}

/// A world's records, and a hash over them and over every step of the world.
#[derive(Default)]
pub struct Trace {
    records: Vec<Record>,
    /// Beside the records, since checkers and transcripts do not look at them.
    frames: Vec<Passage>,
    listeners: BTreeSet<NodeId>,
    hash: u64,
    node_names: BTreeMap<NodeId, Arc<str>>,
    kind_names: BTreeMap<Kind, &'static str>,
}

impl Trace {
    /// A trace with nodes of these names, for hand-made records.
    pub fn with_nodes(names: &[&str]) -> Self {
        let mut trace = Trace::default();
        for name in names {
            trace.name_node(NodeId::from_name(name), (*name).into(), true);
        }
        trace
    }

    /// The records in the order in which they happened.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// A hash of all that happened: equal for two runs of one seed.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Appends a record.
    pub fn push(&mut self, at: Time, life: Life, what: What) {
        self.mix(at.0 ^ life.node.0.rotate_left(32) ^ life.incarnation.0);
        self.mix_what(&what);
        self.records.push(Record { at, life, what });
    }

    /// A life as people name it: `alpha.1`.
    pub fn name(&self, life: Life) -> String {
        match self.node_names.get(&life.node) {
            Some(name) => format!("{name}.{}", life.incarnation.0),
            None => life.to_string(),
        }
    }

    /// The records as text, one a line.
    pub fn transcript(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            // writing to a String cannot fail
            let _ = writeln!(text, "{}", Line { trace: self, record });
        }
        text
    }

    /// The nodes' names.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Arc<str>> {
        &self.node_names
    }

    /// The nodes that have no vote.
    pub fn listeners(&self) -> &BTreeSet<NodeId> {
        &self.listeners
    }

    /// The components' names.
    pub fn kinds(&self) -> &BTreeMap<Kind, &'static str> {
        &self.kind_names
    }

    /// The frames that carried something, in the order in which it happened.
    pub fn frames(&self) -> &[Passage] {
        &self.frames
    }

    /// Gives a node its name, and says whether it votes.
    pub fn name_node(&mut self, id: NodeId, name: Arc<str>, voter: bool) {
        self.node_names.insert(id, name);
        if !voter {
            self.listeners.insert(id);
        }
    }

    pub(super) fn name_kind(&mut self, name: &'static str) {
        self.kind_names.insert(Kind::of(name), name);
    }

    /// Appends what befell a frame.
    pub(super) fn pass(&mut self, at: Time, life: Life, how: How, frame: Frame) {
        self.frames.push(Passage { after: self.records.len(), at, life, how, frame });
    }

    /// Lets `value` count in the hash.
    #[inline]
    pub(super) fn mix(&mut self, value: u64) {
        let mixed = (self.hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }

    fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }

    fn mix_life(&mut self, life: Life) {
        self.mix(life.node.0.rotate_left(17) ^ life.incarnation.0);
    }

    fn mix_what(&mut self, what: &What) {
        match what {
            What::Started => self.mix(1),
            What::Crashed => self.mix(2),
            What::Failed(why) => self.mix_bytes(why.as_bytes()),
            What::Outlived => self.mix(3),
            What::Stopped => self.mix(4),
            What::Paused => self.mix(5),
            What::Resumed => self.mix(6),
            What::Jumped(nanos) => self.mix(7 ^ nanos << 8),
            What::Broadcast { via, body, .. } => {
                self.mix(8 ^ u64::from(via.0) << 8);
                self.mix_bytes(body);
            }
            What::Delivered { id, body } => {
                self.mix(9 ^ id.batch << 8 ^ u64::from(id.index) << 48);
                self.mix_life(id.origin);
                self.mix_bytes(body);
            }
            What::Progressed(progress) => self.mix(10 ^ progress.delivered << 8 ^ progress.stable << 36),
            What::Joined(life) => self.mix_life(*life),
            What::Ended(life, why) => {
                self.mix(11 + *why as u64);
                self.mix_life(*life);
            }
            What::Published(event) => {
                let mut mixer = Mixer(self);
                let _ = write!(mixer, "{event:?}");
            }
            What::Parted(from) => self.mix(14 ^ from.0),
            What::Mended(from) => self.mix(16 ^ from.0),
            What::Healed => self.mix(15),
            What::Disk(what) => self.mix_bytes(what.as_bytes()),
            What::Marked(name) => self.mix_bytes(name.as_bytes()),
        }
    }
}

/// Hashes text as it is written.
struct Mixer<'a>(&'a mut Trace);

impl Write for Mixer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.mix_bytes(text.as_bytes());
        Ok(())
    }
}

/// A record as a line of a transcript.
struct Line<'a> {
    trace: &'a Trace,
    record: &'a Record,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { trace, record } = self;
        let name = |life: Life| trace.name(life);
        let node = |id: &NodeId| trace.node_names.get(id).map_or_else(|| id.to_string(), |name| name.to_string());
        let kind = |kind: Kind| match trace.kind_names.get(&kind) {
            Some(name) => (*name).to_owned(),
            None => format!("{kind:?}"),
        };
        let at = record.at.0;
        write!(f, "{:>5}.{:06} {:<9} ", at / 1_000_000_000, at % 1_000_000_000 / 1000, name(record.life))?;
        match &record.what {
            What::Started => write!(f, "starts"),
            What::Crashed => write!(f, "crashes"),
            What::Failed(why) => write!(f, "fails: {why}"),
            What::Outlived => write!(f, "was ended by its peers"),
            What::Stopped => write!(f, "stops"),
            What::Paused => write!(f, "pauses"),
            What::Resumed => write!(f, "resumes"),
            What::Jumped(nanos) => write!(f, "jumps {} ms", nanos / 1_000_000),
            What::Broadcast { via, target, body } => match target {
                Target::All => write!(f, "broadcasts {} {}", kind(*via), Text(body)),
                Target::Node(to) => write!(f, "sends {} {} to {}", kind(*via), Text(body), node(to)),
            },
            What::Delivered { id, body } => {
                let (origin, via) = (name(id.origin), kind(id.delivery));
                write!(f, "delivers {via} {} of {origin} ({}.{})", Text(body), id.batch, id.index)
            }
            What::Progressed(progress) => {
                let Progress { via, delivered, stable, .. } = progress;
                write!(f, "progress {} delivered {delivered} stable {stable}", kind(*via))?;
                match progress.failed {
                    Some(failed) => write!(f, " failed {}..={} {:?}", failed.first, failed.last, failed.why),
                    None => Ok(()),
                }
            }
            What::Joined(life) => write!(f, "sees {} join", name(*life)),
            What::Ended(life, why) => write!(f, "sees {} end: {why:?}", name(*life)),
            What::Published(event) => write!(f, "publishes {} {}", event.event_type().name, Named { trace, event }),
            What::Parted(to) => write!(f, "cannot reach {}", node(to)),
            What::Mended(to) => write!(f, "can reach {} again", node(to)),
            What::Healed => write!(f, "sees all faults healed"),
            What::Disk(what) => write!(f, "has a disk: {what}"),
            What::Marked(mark) => write!(f, "--- {mark}"),
        }
    }
}

/// An event's text with node numbers replaced by names.
struct Named<'a> {
    trace: &'a Trace,
    event: &'a AnyEvent,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{:?}", self.event);
        for (id, name) in &self.trace.node_names {
            text = text.replace(&id.to_string(), name);
        }
        f.write_str(&text)
    }
}

/// Bytes as text where they are text, shortened.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) if text.len() <= 40 => write!(f, "{text:?}"),
            _ => write!(f, "({} B, {:08x})", self.0.len(), crc32c::crc32c(self.0)),
        }
    }
}
