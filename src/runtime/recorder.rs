//! Records what a node does into a [trace](crate::trace), beside it.
//!
//! Whoever records hands over what happened and goes on: nothing is encoded,
//! hashed or written on its thread, and nothing waits. A thread of its own
//! writes. **Bound.** Between the two wait at most [`ENTRIES_MAX`] entries and
//! [`QUEUE_BYTES_MAX`] bytes of messages; what finds no room is counted and a
//! mark with the number stands in the trace. The file has at most the bytes
//! that it was given: when they are used up a mark says so and recording ends.
//! The oldest is kept, since a run that is known from its beginning can be
//! judged up to there, and one that is known from somewhere on cannot.
//!
//! What a process recorded reaches the system within [`FLUSH_EVERY`], so that
//! when it is killed only the last moment is not in the file.

use super::clock::Clock;
use crate::codec::Batch;
use crate::component::{DeliveredBatch, EndedWhy, Lane, PeerChange, Target};
use crate::envelope::Content;
use crate::event::AnyEvent;
use crate::id::{Kind, Life, MessageId};
use crate::protocol::link::{self, FrameHeader};
use crate::time::Time;
use crate::trace::{self, EndWhy, Frame, Header, Record, Stamp, What, Writer, text};
use crate::transport::{FrameWatch, Passing};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Entries that wait to be written.
const ENTRIES_MAX: usize = 1 << 16;
/// Bytes of messages among them.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// How long what was recorded may stay in this process.
const FLUSH_EVERY: Duration = Duration::from_millis(20);
/// Left free for the marks at the end, and for the record before them: no line
/// is longer.
const RESERVE_BYTES: u64 = 2 * trace::LINE_BYTES_MAX as u64;
/// Entries of a vector time that are kept: a longer one is left out.
const VECTOR_MAX: usize = 256;

/// What is recorded, and where.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file; made anew, never written over.
    pub path: PathBuf,
    /// Most bytes of it; at least 1 MiB.
    pub bytes_max: u64,
    /// The user's component: what is broadcast for it and delivered to it are
    /// the trace's messages.
    pub user: Kind,
    /// An event as a record.
    pub event: fn(&AnyEvent) -> What,
}

/// The handle of those who record.
pub(super) struct Recorder {
    user: Kind,
    event: fn(&AnyEvent) -> What,
    queue: flume::Sender<(Time, Life, Entry)>,
    shared: Arc<Shared>,
    /// Taken once, by who waits for the end.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

enum Entry {
    Record(What),
    Broadcast(Kind, Target, Batch),
    Delivered(DeliveredBatch),
    End,
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Entry::Broadcast(_, _, batch) => batch.run().len(),
            Entry::Delivered(delivered) => delivered.batch.run().len(),
            Entry::Record(_) | Entry::End => 0,
        }
    }

    fn records(&self) -> u64 {
        match self {
            Entry::Broadcast(_, _, batch) => batch.count().into(),
            Entry::Delivered(delivered) => delivered.batch.count().into(),
            Entry::Record(_) => 1,
            Entry::End => 0,
        }
    }
}

impl Recorder {
    /// Makes the file and starts the thread that writes it.
    pub(super) fn start(recording: &Recording, node: &str, kinds: &[&str], clock: Clock) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(&recording.path)?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX).saturating_sub(clock.now().0);
        let mut header = Header::new(trace::Clock::Wall, epoch, node);
        header.kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let file = Writer::begin(BufWriter::with_capacity(256 << 10, file), &header)?;
        let (queue, entries) = flume::bounded(ENTRIES_MAX);
        let shared = Arc::new(Shared::default());
        let (kinds, bytes_max, last) = (header.kinds, recording.bytes_max, (Time::ZERO, NOBODY));
        let writing = Writing { file, kinds, bytes_max, shared: shared.clone(), last };
        let thread = Builder::new().name(format!("nw-{node}-trace")).spawn(move || {
            if let Err(error) = writing.run(&entries) {
                log::error!(target: "nodewright::trace", "recording ends, the trace is not whole: {error}");
            }
        })?;
        let (user, event) = (recording.user, recording.event);
        Ok(Recorder { user, event, queue, shared, thread: Mutex::new(Some(thread)) })
    }

    fn push(&self, at: Time, life: Life, entry: Entry) {
        let (bytes, records) = (entry.bytes(), entry.records());
        if self.shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= QUEUE_BYTES_MAX {
            match self.queue.try_send((at, life, entry)) {
                Ok(()) => return,
                Err(flume::TrySendError::Disconnected(_)) => return, // recording has ended
                Err(flume::TrySendError::Full(_)) => {}
            }
        }
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.dropped.fetch_add(records, Ordering::Relaxed);
    }

    /// Something happened to a life.
    pub(super) fn record(&self, at: Time, life: Life, what: What) {
        self.push(at, life, Entry::Record(what));
    }

    /// A component asks `via` to broadcast, or is about to.
    pub(super) fn broadcast(&self, at: Time, life: Life, from: Kind, via: Kind, target: Target, batch: &Batch) {
        if from == self.user {
            self.push(at, life, Entry::Broadcast(via, target, batch.clone()));
        }
    }

    /// A component is about to be handed a batch.
    pub(super) fn delivered(&self, at: Time, life: Life, to: Kind, delivered: &DeliveredBatch) {
        if to == self.user {
            self.push(at, life, Entry::Delivered(delivered.clone()));
        }
    }

    /// A component publishes.
    pub(super) fn published(&self, at: Time, life: Life, event: &AnyEvent) {
        self.record(at, life, (self.event)(event));
    }

    /// A life learns of a peer; clients are not recorded, they come and go.
    pub(super) fn peer(&self, at: Time, life: Life, change: &PeerChange) {
        let what = match change {
            PeerChange::Joined { life: peer, .. } => What::Joined { peer: *peer },
            PeerChange::Ended { life: peer, why } => {
                let why = match why {
                    EndedWhy::Succeeded => EndWhy::Succeeded,
                    EndedWhy::Decided => EndWhy::Decided,
                    EndedWhy::Left => EndWhy::Left,
                };
                What::Ended { peer: *peer, why }
            }
        };
        let (PeerChange::Joined { life: peer, .. } | PeerChange::Ended { life: peer, .. }) = change;
        if !peer.node.is_client() {
            self.record(at, life, what);
        }
    }

    /// What the links of the life `me` tell of their frames.
    pub(super) fn frames(self: &Arc<Self>, me: Life) -> FrameWatch {
        let recorder = self.clone();
        FrameWatch::new(move |at, passing, peer, header| {
            if let Some(frame) = frame(header, peer) {
                let what = if passing == Passing::Sent { What::Sent(frame) } else { What::Arrived(frame) };
                recorder.record(at, me, what);
            }
        })
    }

    /// Nothing more happens: waits until all is written.
    pub(super) fn end(&self) {
        // a full queue is being emptied, so this ends
        let _ = self.queue.send((Time::ZERO, NOBODY, Entry::End));
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join(); // it runs nobody's code but its own
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

const NOBODY: Life = Life { node: crate::id::NodeId(0), incarnation: crate::id::Incarnation(0) };

/// A frame as traces have it: none of what carries nothing, or is a client's.
fn frame(header: &FrameHeader, peer: Life) -> Option<Frame> {
    let lane = match header.lane {
        Lane::Probe => return None,
        Lane::Control => trace::Lane::Control,
        Lane::Data => trace::Lane::Data,
        Lane::Bulk => trace::Lane::Bulk,
    };
    let FrameHeader { seq: number, component, block_bytes: bytes, .. } = *header;
    let told = header.what == link::What::Block && !peer.node.is_client();
    told.then_some(Frame { peer, lane, number, component: component.0, bytes })
}

/// The thread that writes.
struct Writing {
    file: Writer<BufWriter<File>>,
    kinds: Vec<String>,
    bytes_max: u64,
    shared: Arc<Shared>,
    /// When and to whom the last entry happened.
    last: (Time, Life),
}

/// Recording goes on, or the file has no room.
type Room = io::Result<bool>;

impl Writing {
    fn run(mut self, entries: &flume::Receiver<(Time, Life, Entry)>) -> io::Result<()> {
        let mut unflushed: Option<Instant> = None;
        loop {
            let entry = match unflushed {
                None => entries.recv().ok(),
                Some(since) => match entries.recv_deadline(since + FLUSH_EVERY) {
                    Ok(entry) => Some(entry),
                    Err(flume::RecvTimeoutError::Disconnected) => None,
                    Err(flume::RecvTimeoutError::Timeout) => {
                        self.file.flush()?;
                        unflushed = None;
                        continue;
                    }
                },
            };
            let (at, life, entry) = entry.unwrap_or((self.last.0, self.last.1, Entry::End));
            let over = matches!(entry, Entry::End);
            if !over {
                self.last = (at, life);
            }
            self.shared.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
            let records = self.shared.dropped.swap(0, Ordering::Relaxed);
            let room = (records == 0 || self.push(What::Dropped { records })?) && self.write(entry)?;
            if over || !room {
                return self.file.finish().map(drop);
            }
            let since = *unflushed.get_or_insert_with(Instant::now);
            if since.elapsed() >= FLUSH_EVERY {
                self.file.flush()?;
                unflushed = None;
            }
        }
    }

    fn write(&mut self, entry: Entry) -> Room {
        match entry {
            Entry::Record(what) => return self.push(what),
            Entry::Broadcast(via, target, batch) => {
                let via = self.kind(via);
                let to = if let Target::Node(to) = target { Some(to) } else { None };
                for message in batch.iter() {
                    if !self.push(What::Broadcast { via: via.clone(), to, body: body(message) })? {
                        return Ok(false);
                    }
                }
            }
            Entry::Delivered(delivered) => {
                let vector = delivered.stamp.vector.iter().flat_map(|vector| vector.iter());
                let vector: Vec<_> = vector.take(VECTOR_MAX + 1).map(|(life, n)| (life.to_string(), *n)).collect();
                let vector = if vector.len() > VECTOR_MAX { Vec::new() } else { vector };
                for (index, message) in delivered.batch.iter().enumerate() {
                    let index = index as u32;
                    let id = MessageId { index: delivered.id.index + index, ..delivered.id };
                    let lamport = delivered.stamp.lamport.map(|first| first + u64::from(index));
                    let stamp = Stamp { lamport, vector: vector.clone() };
                    if !self.push(What::Delivered { id, body: body(message), stamp })? {
                        return Ok(false);
                    }
                }
            }
            Entry::End => {}
        }
        Ok(true)
    }

    /// Writes a record, or the mark that there is no room for it.
    fn push(&mut self, what: What) -> Room {
        let (Time(at), life) = self.last;
        let room = self.file.bytes() + RESERVE_BYTES <= self.bytes_max;
        let what = if room { what } else { What::Full { bytes_max: self.bytes_max } };
        self.file.push(&Record { at, life, what })?;
        if !room {
            log::warn!(target: "nodewright::trace", "the trace has its {} bytes: recording ends", self.bytes_max);
        }
        Ok(room)
    }

    fn kind(&self, kind: Kind) -> String {
        let known = self.kinds.iter().find(|name| Kind::of(name) == kind);
        known.cloned().unwrap_or_else(|| format!("{kind:?}"))
    }
}

/// A user's message as a trace has it, without its head.
fn body(message: &[u8]) -> String {
    let (Content::Bytes(body) | Content::Typed(_, body)) = Content::take(message).unwrap_or(Content::Bytes(message));
    text(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::BatchBuilder;
    use crate::id::NodeId;
    use crate::trace::{Tail, Trace};
    use std::io::BufReader;

    const ME: Life = Life { node: NodeId(7), incarnation: crate::id::Incarnation(1) };
    const APP: Kind = Kind::of("app");

    fn recording(name: &str, bytes_max: u64) -> Recording {
        let path = std::env::temp_dir().join(format!("nodewright-recorder-{name}-{}.trace", std::process::id()));
        _ = std::fs::remove_file(&path);
        Recording { path, bytes_max, user: APP, event: |_| What::Healed }
    }

    fn batch(bytes: usize) -> Batch {
        let mut builder = BatchBuilder::default();
        builder.push(|out| Content::Bytes(&vec![1; bytes]).put(out));
        builder.take().expect("a message")
    }

    /// What `act` records, as it is in the file.
    fn recorded(recording: &Recording, act: impl FnOnce(&Recorder)) -> (Trace, u64) {
        let recorder = Recorder::start(recording, "alpha", &["uniform", "app"], Clock::start()).expect("a file");
        act(&recorder);
        recorder.end();
        let file = File::open(&recording.path).expect("it is there");
        let bytes = file.metadata().expect("it has a size").len();
        let trace = Trace::load(BufReader::new(file)).expect("it is whole");
        std::fs::remove_file(&recording.path).expect("it is there");
        (trace, bytes)
    }

    fn broadcast(recorder: &Recorder, at: u64, bytes: usize) {
        recorder.broadcast(Time(at), ME, APP, Kind::of("uniform"), Target::All, &batch(bytes));
    }

    #[test]
    fn what_has_no_room_in_the_queue_is_counted_and_marked() {
        let (trace, _) = recorded(&recording("dropped", 1 << 20), |recorder| {
            broadcast(recorder, 1, 3);
            broadcast(recorder, 2, QUEUE_BYTES_MAX);
            broadcast(recorder, 3, QUEUE_BYTES_MAX);
            broadcast(recorder, 4, 3);
        });
        let dropped = |record: &Record| if let What::Dropped { records } = record.what { Some(records) } else { None };
        assert_eq!(trace.records.iter().filter_map(dropped).sum::<u64>(), 2);
        let kept = trace.records.iter().filter(|record| matches!(record.what, What::Broadcast { .. })).count();
        assert_eq!((kept, trace.tail), (2, Tail::Finished));
        assert!(matches!(&trace.records[0].what, What::Broadcast { via, .. } if via == "uniform"));
    }

    #[test]
    fn a_full_file_says_so_and_stays_below_its_bound() {
        let recording = recording("full", 1 << 20);
        let (trace, bytes) = recorded(&recording, |recorder| {
            for at in 0..20_000 {
                broadcast(recorder, at, 100);
            }
        });
        assert_eq!(trace.records.last().map(|record| &record.what), Some(&What::Full { bytes_max: 1 << 20 }));
        assert!((1 << 19..=1 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_trace_is_never_written_over() {
        let recording = recording("over", 1 << 20);
        std::fs::write(&recording.path, "precious").expect("a file");
        assert!(Recorder::start(&recording, "alpha", &[], Clock::start()).is_err());
        assert_eq!(std::fs::read(&recording.path).expect("it is there"), b"precious");
        std::fs::remove_file(&recording.path).expect("it is there");
    }

    #[test]
    fn components_among_themselves_are_no_users() {
        let (trace, _) = recorded(&recording("users", 1 << 20), |recorder| {
            recorder.broadcast(Time(1), ME, Kind::of("other"), Kind::of("uniform"), Target::All, &batch(3));
        });
        assert!(trace.records.is_empty());
    }
}
