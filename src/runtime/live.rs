//! One life of a node: its components' mailboxes, and the ways between them.

use super::cell::Cell;
use super::counters::{Counts, count};
use super::mailbox::Mailbox;
use super::network::Network;
use super::node::Node;
use super::streams::Streams;
use crate::component::{Boot, DiskOp, Erased, Item, Manifest, PeerChange, ReplyTo, Token};
use crate::component::{ComponentName, effect::ErasedJob};
use crate::error::CallError;
use crate::event::{AnyEvent, EventType};
use crate::id::{Kind, Life};
use crate::time::Time;
use crate::trace::What;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// What all threads of one life share.
pub(super) struct Live {
    pub(super) me: Life,
    pub(super) boot: Boot,
    this: Weak<Live>,
    pub(super) node: Arc<Node>,
    /// In start order, as the stack's factories.
    pub(super) mailboxes: Vec<Mailbox>,
    kinds: Vec<(Kind, usize)>,
    hearers: Vec<(EventType, usize)>,
    network: OnceLock<Box<dyn Network>>,
    pub(super) streams: Streams,
    over: AtomicBool,
    /// Closed when the life is over: a thread that rests wakes up. The lock is
    /// taken once, to close it.
    rest: Mutex<Option<flume::Sender<()>>>,
    rested: flume::Receiver<()>,
}

/// A life without links.
static ALONE: super::network::Alone = super::network::Alone;

impl Live {
    pub(super) fn new(node: Arc<Node>, boot: Boot) -> Arc<Self> {
        let me = boot.me;
        let factories = &node.stack.factories;
        let mailboxes = factories.iter().enumerate().map(|(index, factory)| {
            let manifest = factory.manifest();
            let component = factory.make(node.seed(me, index, 0));
            Mailbox::new(manifest, Cell::new(manifest.name, manifest.role, component, index))
        });
        let mailboxes = mailboxes.collect();
        let kinds = factories.iter().enumerate().map(|(index, factory)| (factory.manifest().kind(), index)).collect();
        let hears = |(index, manifest): (usize, &Manifest)| {
            manifest.hears.iter().map(|wanted| (*wanted, index)).collect::<Vec<_>>()
        };
        let hearers = factories.iter().map(|factory| factory.manifest()).enumerate().flat_map(hears).collect();
        let (rest, rested) = flume::bounded(0);
        Arc::new_cyclic(|this| Live {
            me,
            boot,
            this: this.clone(),
            mailboxes,
            kinds,
            hearers,
            network: OnceLock::new(),
            streams: Streams::new(node.stack.factories.len()),
            over: AtomicBool::new(false),
            rest: Mutex::new(Some(rest)),
            rested,
            node,
        })
    }

    /// For those who must not keep a life that is over.
    pub(super) fn weak(&self) -> Weak<Live> {
        self.this.clone()
    }

    pub(super) fn now(&self) -> Time {
        self.node.clock.now()
    }

    /// Records what happens to this life, if anything is recorded.
    pub(super) fn record(&self, what: What) {
        if let Some(recorder) = &self.node.recorder {
            recorder.record(self.now(), self.me, what);
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.node.counts
    }

    pub(super) fn network(&self) -> &dyn Network {
        self.network.get().map_or(&ALONE, |network| &**network)
    }

    /// The life's links are up; they stay for the life.
    pub(super) fn linked(&self, network: Box<dyn Network>) {
        // Linked once, by the supervisor.
        let _ = self.network.set(network);
    }

    pub(super) fn index(&self, kind: Kind) -> Option<usize> {
        self.kinds.iter().find(|(known, _)| *known == kind).map(|(_, index)| *index)
    }

    pub(super) fn manifest(&self, index: usize) -> &Manifest {
        self.node.stack.factories[index].manifest()
    }

    pub(super) fn hand_over(&self, to: usize, items: &mut dyn Iterator<Item = Item>) {
        self.mailboxes[to].hand_over(self, items);
    }

    pub(super) fn hand(&self, to: usize, item: Item) {
        self.hand_over(to, &mut std::iter::once(item));
    }

    pub(super) fn unaddressed(&self, to: Kind) {
        count(&self.counts().unaddressed);
        log::debug!(target: "nodewright::runtime", "no component has kind {to:?}");
    }

    pub(super) fn answer(&self, to: ReplyTo, answer: Result<Erased, CallError>) {
        if to.component == ReplyTo::USER {
            if !self.node.calls.answer(to.token, answer) {
                count(&self.counts().late_answers);
            }
            return;
        }
        match self.index(to.component) {
            Some(caller) => self.hand(caller, Item::Reply { token: to.token, value: answer }),
            None => self.unaddressed(to.component),
        }
    }

    pub(super) fn consumed(&self, via: Kind, channel: Kind, bytes: u64) {
        if let Some(via) = self.index(via) {
            self.mailboxes[via].queue(Item::Consumed { channel, bytes });
        }
    }

    pub(super) fn publish(&self, event: AnyEvent) {
        if let Some(recorder) = &self.node.recorder {
            recorder.published(self.now(), self.me, &event);
        }
        self.node.board.publish(self.me, event, self.counts(), |event| {
            for (_, hearer) in self.hearers.iter().filter(|(wanted, _)| *wanted == event.event_type()) {
                self.mailboxes[*hearer].queue(Item::Event(event.clone()));
            }
        });
    }

    pub(super) fn peer(&self, change: PeerChange) {
        if let Some(recorder) = &self.node.recorder {
            recorder.peer(self.now(), self.me, &change);
        }
        let ended = if let PeerChange::Ended { life, .. } = &change { Some(*life) } else { None };
        self.node.board.peer(self.me, change, |change| {
            for mailbox in &self.mailboxes {
                mailbox.queue(Item::Peer(change.clone()));
            }
        });
        if let Some(life) = ended {
            self.streams_ended(life);
        }
    }

    pub(super) fn dead_letter(&self, component: ComponentName, item: &Item, why: &str) {
        count(&self.counts().dead_letters);
        log::error!(target: "nodewright::runtime", "{component}: an input killed it twice and is skipped: {why}");
        self.node.letters.add(component, item, why);
    }

    pub(super) fn job(&self, me: usize, token: Token, job: ErasedJob) {
        let live = self.weak();
        self.node.pool.run(Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(job));
            let Some(live) = live.upgrade() else { return };
            if done.is_err() {
                count(&live.counts().job_panics);
            }
            live.hand(me, Item::Done { token, done: done.ok() });
        }));
    }

    /// Performs neighbouring operations together; their results come together.
    pub(super) fn disk(&self, me: usize, ops: Vec<(Token, DiskOp)>) {
        let (live, node) = (self.weak(), self.node.clone());
        self.node.disk.run(Box::new(move || {
            let done = node.perform(me, ops);
            let Some(live) = live.upgrade() else { return };
            for (_, result) in &done {
                if let Err(error) = result {
                    let text = format!("{}: {error}", live.manifest(me).name);
                    live.record(What::Disk { text });
                }
            }
            live.hand_over(me, &mut done.into_iter().map(|(token, result)| Item::Disk { token, result }));
        }));
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The life is over without a farewell: every thread of it ends.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        drop(self.rest.lock().unwrap_or_else(PoisonError::into_inner).take());
        for mailbox in &self.mailboxes {
            mailbox.close();
        }
    }

    /// Rests for `time`, or until the life is over.
    pub(super) fn rest(&self, time: Duration) {
        let _ = self.rested.recv_timeout(time);
    }
}
