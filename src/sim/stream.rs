//! Streams between peers' same components and from files, with credit.

use super::disk::Reading;
use super::queue::Event;
use super::world::World;
use crate::component::{Item, StreamId, StreamInput, StreamOp};
use crate::id::{Kind, Life, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest chunk that a file stream hands over, in bytes.
pub(super) const CHUNK_BYTES_MAX: u64 = 1 << 20;

/// Where a stream's other side is.
#[derive(Clone)]
pub(super) enum Far {
    /// A peer's component's stream.
    Peer { node: usize, run: u32, id: StreamId },
    /// A file of the component's directory.
    File(Reading),
}

/// One side of an open stream.
pub(super) struct End {
    pub(super) far: Far,
    /// When the last thing that this side sent arrives, so that order is kept.
    pub(super) arrives_at: crate::time::Time,
}

/// The streams of one life.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) ends: BTreeMap<(Kind, StreamId), End>,
    next_incoming: u64,
}

impl Streams {
    /// An id for a stream that a peer opens: with the lowest bit clear.
    pub(super) fn incoming_id(&mut self) -> StreamId {
        self.next_incoming += 2;
        StreamId(self.next_incoming)
    }
}

/// Something that arrives on a stream.
pub(super) struct Arrival {
    pub(super) component: Kind,
    pub(super) id: StreamId,
    pub(super) input: StreamInput,
}

impl World {
    pub(super) fn stream_act(&mut self, node: usize, kind: Kind, id: StreamId, op: StreamOp) {
        match op {
            StreamOp::OpenPeer { life, name } => self.open_peer_stream(node, kind, id, life, name),
            StreamOp::OpenFile { name, offset } => match self.nodes[node].storage.open(kind, &name, offset) {
                Ok(reading) => {
                    let end = End { far: Far::File(reading.clone()), arrives_at: self.now };
                    self.nodes[node].streams.ends.insert((kind, id), end);
                    self.stream_later(node, kind, id, StreamInput::Opened { peer: None, name });
                    self.read_file(node, kind, id, reading, 0);
                }
                Err(error) => self.stream_later(node, kind, id, StreamInput::Reset(error.to_string())),
            },
            StreamOp::Grant(bytes) => match self.far(node, kind, id) {
                Some(Far::Peer { .. }) => self.stream_far(node, kind, id, StreamInput::Writable(bytes)),
                Some(Far::File(reading)) => self.read_file(node, kind, id, reading, bytes),
                None => {}
            },
            StreamOp::Write(_) | StreamOp::Finish if matches!(self.far(node, kind, id), Some(Far::File(_))) => {
                if let StreamOp::Write(_) = op {
                    let why = "a file's stream is only read".to_owned();
                    self.stream_later(node, kind, id, StreamInput::Reset(why));
                }
                self.nodes[node].streams.ends.remove(&(kind, id));
            }
            StreamOp::Write(bytes) => self.stream_far(node, kind, id, StreamInput::Chunk(bytes)),
            StreamOp::Finish => self.stream_far(node, kind, id, StreamInput::Finished),
            StreamOp::Reset(why) => {
                self.stream_far(node, kind, id, StreamInput::Reset(why));
                self.nodes[node].streams.ends.remove(&(kind, id));
            }
        }
    }

    fn far(&self, node: usize, kind: Kind, id: StreamId) -> Option<Far> {
        self.nodes[node].streams.ends.get(&(kind, id)).map(|end| end.far.clone())
    }

    fn open_peer_stream(&mut self, node: usize, kind: Kind, id: StreamId, life: Life, name: String) {
        let peer = self.nodes.iter().position(|other| other.life() == life && other.up);
        let linked = peer.filter(|peer| self.network.session(node, *peer).is_some());
        let Some(peer) = linked.filter(|peer| self.nodes[*peer].cell(kind).is_some()) else {
            return self.stream_later(node, kind, id, StreamInput::Reset(format!("{life} is not linked")));
        };
        let far_id = self.nodes[peer].streams.incoming_id();
        let (run, peer_run) = (self.nodes[node].run, self.nodes[peer].run);
        let far = Far::Peer { node: peer, run: peer_run, id: far_id };
        self.nodes[node].streams.ends.insert((kind, id), End { far, arrives_at: self.now });
        let near = Far::Peer { node, run, id };
        self.nodes[peer].streams.ends.insert((kind, far_id), End { far: near, arrives_at: self.now });
        let me = self.nodes[node].life();
        self.stream_far(node, kind, id, StreamInput::Opened { peer: Some(me), name: name.clone() });
        self.stream_far(peer, kind, far_id, StreamInput::Opened { peer: Some(life), name });
    }

    /// Reads a file on, as far as was granted; at its end the stream is over.
    fn read_file(&mut self, node: usize, kind: Kind, id: StreamId, mut reading: Reading, mut granted: u64) {
        while granted > 0 && !reading.is_over() {
            match self.nodes[node].storage.read_on(kind, &mut reading, granted.min(CHUNK_BYTES_MAX)) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    granted -= bytes.len() as u64;
                    self.stream_later(node, kind, id, StreamInput::Chunk(bytes));
                }
                Err(error) => {
                    self.disk_failed(node, &error, "a stream's read");
                    self.stream_later(node, kind, id, StreamInput::Reset(error.to_string()));
                    self.nodes[node].streams.ends.remove(&(kind, id));
                    return;
                }
            }
        }
        if reading.is_over() {
            self.stream_later(node, kind, id, StreamInput::Finished);
            self.nodes[node].streams.ends.remove(&(kind, id));
        } else if let Some(end) = self.nodes[node].streams.ends.get_mut(&(kind, id)) {
            end.far = Far::File(reading);
        }
    }

    /// Lets something arrive at this side of a stream, after all that is under
    /// way to it.
    fn stream_later(&mut self, node: usize, kind: Kind, id: StreamId, input: StreamInput) {
        let delay = Duration::from_micros(self.rng.u64(20..500));
        let run = self.nodes[node].run;
        let mut at = self.now + delay;
        if let Some(end) = self.nodes[node].streams.ends.get_mut(&(kind, id)) {
            at = at.max(end.arrives_at + Duration::from_nanos(1));
            end.arrives_at = at;
        }
        let arrival = Box::new(Arrival { component: kind, id, input });
        self.queue.plan(at, Event::Stream { node: node as u16, run, arrival });
    }

    /// Lets something arrive at the other side of a stream.
    fn stream_far(&mut self, node: usize, kind: Kind, id: StreamId, input: StreamInput) {
        if let Some(Far::Peer { node: peer, run, id: far }) = self.far(node, kind, id)
            && self.nodes[peer].run == run
        {
            self.stream_later(peer, kind, far, input);
        }
    }

    pub(super) fn stream_arrives(&mut self, node: usize, arrival: Arrival) {
        let Arrival { component, id, input } = arrival;
        if matches!(input, StreamInput::Reset(_)) {
            self.nodes[node].streams.ends.remove(&(component, id));
        }
        self.hand_to(node, component, Item::Stream { id, input });
    }

    /// Cuts the streams between `at` and the node `peer`, on the side of `at`.
    pub(super) fn reset_streams(&mut self, at: usize, peer: NodeId, why: &str) {
        let nodes = &self.nodes;
        let cut = |end: &End| matches!(end.far, Far::Peer { node, .. } if nodes[node].id == peer);
        let ends = nodes[at].streams.ends.iter().filter(|(_, end)| cut(end));
        let ends: Vec<(Kind, StreamId)> = ends.map(|(key, _)| *key).collect();
        for (kind, id) in ends {
            self.nodes[at].streams.ends.remove(&(kind, id));
            self.hand_to(at, kind, Item::Stream { id, input: StreamInput::Reset(why.to_owned()) });
        }
    }
}
