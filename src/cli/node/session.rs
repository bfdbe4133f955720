//! What a node of the command does beside being one: it records, counts and
//! reports. Shared by the callbacks, the broadcaster and the main loop.

use crate::cli::payload;
use crate::cli::records::{self, Delivered, Record, Recorder, Standing, header};
use crate::cli::report::What;
use crate::id::Life;
use crate::node::{Incoming, MessageType};
use crate::protocol::delivery::Delivery;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Who the node is, and where its records go.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) delivery: Delivery,
    pub(super) dir: Option<PathBuf>,
}

pub(super) struct Session {
    identity: Identity,
    started: Instant,
    /// The life that is being recorded. A lock, because callbacks of the next
    /// life may come while the broadcaster still writes for the last one.
    current: Mutex<Option<Arc<Chapter>>>,
    /// Since `started`, in milliseconds.
    last_delivery: AtomicU64,
    reports: flume::Sender<What>,
}

/// One life's records and counts.
pub(super) struct Chapter {
    pub(super) life: Life,
    pub(super) began: Instant,
    recorder: Option<Recorder>,
    broadcasts: AtomicU64,
    delivered: AtomicU64,
    /// Own broadcasts that came back or were refused.
    settled: AtomicU64,
}

impl Session {
    pub(super) fn new(identity: Identity, reports: flume::Sender<What>) -> Self {
        let started = Instant::now();
        Session { identity, started, current: Mutex::new(None), last_delivery: AtomicU64::new(0), reports }
    }

    /// The node's name.
    pub(super) fn name(&self) -> &str {
        &self.identity.name
    }

    /// Since the process began.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Broadcasts end now: silence counts from here.
    pub(super) fn hushed(&self) {
        self.last_delivery.store(self.now_ms(), Ordering::Relaxed);
    }

    /// How long nothing was delivered.
    pub(super) fn silent_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.last_delivery.load(Ordering::Relaxed))
    }

    /// A callback: a life of this node begins, in a cluster of so many voters.
    pub(super) fn enter(&self, life: Life, voters: usize) {
        self.chapter(life).append(&Record::Voters(u32::try_from(voters).unwrap_or(u32::MAX)));
    }

    /// The chapter of `life`, opened if this is its first word. A chapter that
    /// was closed by a later life stays closed.
    pub(super) fn chapter(&self, life: Life) -> Arc<Chapter> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(chapter) if chapter.life >= life => return chapter.clone(),
            Some(last) => _ = last.flush(self),
            None => {}
        }
        self.report(What::Up { incarnation: life.incarnation.0 });
        let chapter = Arc::new(Chapter {
            life,
            began: Instant::now(),
            recorder: self.open(life),
            broadcasts: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        });
        *current = Some(chapter.clone());
        chapter
    }

    /// The chapter of the present life, if one has begun.
    pub(super) fn current(&self) -> Option<Arc<Chapter>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, life: Life) -> Option<Recorder> {
        let Identity { name, delivery, dir } = &self.identity;
        let path = records::file_of(dir.as_ref()?, name, life);
        let created = Recorder::create(&path, &header(life, name, *delivery));
        created.map_err(|error| self.notice(format!("NO RECORDS: {} cannot be written: {error}", path.display()))).ok()
    }

    /// A callback: something was delivered.
    pub(super) fn delivered(&self, incoming: &Incoming<'_>) {
        let Some(id) = incoming.id else { return };
        let chapter = self.chapter(incoming.me);
        let payload = payload::read(incoming.body);
        chapter.append(&Record::Delivered(Delivered { origin: id.origin, batch: id.batch, index: id.index, payload }));
        chapter.delivered.fetch_add(1, Ordering::Relaxed);
        if id.origin == incoming.me {
            chapter.settled.fetch_add(1, Ordering::Relaxed);
        }
        self.last_delivery.store(self.now_ms(), Ordering::Relaxed);
    }

    /// A callback: a peer's standing changed in this life's eyes.
    pub(super) fn peer(&self, incoming: &Incoming<'_>) {
        let standing = match incoming.message_type {
            MessageType::JoinedNode => Standing::Joined,
            MessageType::FailedNode => Standing::Suspected,
            MessageType::RestoredNode => Standing::Restored,
            MessageType::EndedNode if incoming.body == b"left" => Standing::Left,
            MessageType::EndedNode => Standing::Ended,
            _ => return,
        };
        // Clients come and go (the container's health check is one).
        if incoming.origin.node.is_client() {
            return;
        }
        self.chapter(incoming.me).append(&Record::Peer { life: incoming.origin, standing });
        // Of its own earlier lives a node hears from the others.
        let own = incoming.origin.node == incoming.me.node;
        let peer = if own { self.name() } else { incoming.origin_name }.to_string();
        let incarnation = incoming.origin.incarnation.0;
        self.report(What::Peer { peer, incarnation, standing });
    }

    /// Hands a report to the main loop, which prints it.
    pub(super) fn report(&self, what: What) {
        // The main loop outlives the callbacks except at the very end, and a
        // full queue means that whoever reads the output is stuck: the records
        // are what counts, so a callback never waits for a reader.
        if self.reports.try_send(what).is_err() {
            log::warn!("a report was dropped: nobody reads this node's output");
        }
    }

    /// Tells the person something.
    pub(super) fn notice(&self, text: String) {
        self.report(What::Notice { text });
    }
}

impl Chapter {
    /// Records that the next payload is about to be broadcast: its number.
    pub(super) fn broadcast(&self) -> u64 {
        let n = self.broadcasts.fetch_add(1, Ordering::Relaxed) + 1;
        self.append(&Record::Broadcast { n });
        n
    }

    /// Records that it was refused.
    pub(super) fn refused(&self, n: u64) {
        self.append(&Record::Refused { n });
        self.settled.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends a record, if there are any.
    pub(super) fn append(&self, record: &Record) {
        if let Some(recorder) = &self.recorder {
            recorder.append(record);
        }
    }

    /// Lets what was recorded reach the file; whether there was anything.
    pub(super) fn flush(&self, session: &Session) -> bool {
        match self.recorder.as_ref().map(Recorder::flush) {
            Some(Ok(any)) => any,
            Some(Err(error)) => {
                session.notice(format!("RECORDS ARE INCOMPLETE: {error}"));
                false
            }
            None => false,
        }
    }

    /// Broadcasts, deliveries, and own broadcasts still on their way.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let broadcasts = self.broadcasts.load(Ordering::Relaxed);
        let pending = broadcasts.saturating_sub(self.settled.load(Ordering::Relaxed));
        (broadcasts, self.delivered.load(Ordering::Relaxed), pending)
    }
}
