//! The edge: what the user's threads do with a running node.

use super::calls::Answer;
use super::counters::Counters;
use super::letters::DeadLetter;
use super::live::Live;
use super::mailbox::Running;
use super::node::{Ended, Node, Notice};
use crate::codec::Batch;
use crate::component::{ComponentName, Erased, Inspection, Item, ReplyTo, Target};
use crate::error::CallError;
use crate::event::{AnyEvent, EventType};
use crate::id::{Kind, Life, MessageId};
use crate::transport::Links;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The node is stopped or stopping: nothing was done.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the node is stopped (not done)")]
pub struct Stopped;

/// How long people wait for a component's description of itself.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(5);
/// How long a component's thread does, which cannot describe itself meanwhile.
const DESCRIBE_HERE_WITHIN: Duration = Duration::from_millis(100);

/// A running node, for the user's threads. Clones are the same node. Dropping
/// all of them does not stop it: [`Handle::stop`] does.
///
/// While the node changes to a new life, calls wait for it; what was asked of
/// the old life is answered with [`CallError::Ended`].
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    node: Arc<Node>,
    /// Closed at the end.
    ended: flume::Receiver<()>,
    supervisor: Mutex<Option<JoinHandle<Result<(), Ended>>>>,
    result: Mutex<Option<Result<(), Ended>>>,
}

impl Handle {
    pub(super) fn new(node: Arc<Node>, ended: flume::Receiver<()>, supervisor: JoinHandle<Result<(), Ended>>) -> Self {
        let (supervisor, result) = (Mutex::new(Some(supervisor)), Mutex::new(None));
        Handle { shared: Arc::new(Shared { node, ended, supervisor, result }) }
    }

    fn node(&self) -> &Node {
        &self.shared.node
    }

    /// Hands an item to the component of kind `to`, in place if that is idle
    /// and allows it. Waits while 1,024 items wait there, except on a thread
    /// that is running a component.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn post(&self, to: Kind, item: Item) -> Result<(), Stopped> {
        let live = self.node().current()?;
        match live.index(to) {
            Some(to) => {
                live.mailboxes[to].room();
                live.hand(to, item);
            }
            None => live.unaddressed(to),
        }
        Ok(())
    }

    /// Asks the delivery component `via` to broadcast `batch` on the channel
    /// `from`; waits as [`Handle::post`] does.
    ///
    /// Requests are counted per life, channel and target in the order in which
    /// the delivery gets them. `number` is called with the life that is asked
    /// exactly when the batch's place in that order is fixed, one call at a
    /// time, so it is where the caller counts; it may take locks, but not call
    /// the node. Afterwards components may run on this thread, so no lock that
    /// one of them takes may be held over this call.
    ///
    /// # Errors
    /// [`Stopped`]; `number` was not called.
    pub fn request<T>(
        &self,
        via: Kind,
        from: Kind,
        target: Target,
        batch: Batch,
        number: impl FnOnce(Life) -> T,
    ) -> Result<T, Stopped> {
        let live = self.node().current()?;
        let Some(index) = live.index(via) else {
            live.unaddressed(via);
            return Ok(number(live.me));
        };
        let mailbox = &live.mailboxes[index];
        mailbox.room();
        let recorded = live.node.recorder.as_ref().map(|recorder| (recorder, batch.clone()));
        let item = Item::Request { from, target, batch };
        Ok(mailbox.numbered(&live, item, || {
            // in the order of the requests, and before anyone can deliver it
            if let Some((recorder, batch)) = recorded {
                recorder.broadcast(live.now(), live.me, from, via, target, &batch);
            }
            number(live.me)
        }))
    }

    /// Calls the component of kind `to` with a boxed `C::Call` and waits for
    /// the answer.
    ///
    /// # Errors
    /// As the component answers; [`CallError::TimedOut`] after `deadline`,
    /// [`CallError::Ended`] if the component or the life fell meanwhile;
    /// [`CallError::Refused`] on a thread that is running a component, which
    /// may be the one that has to answer.
    pub fn call(&self, to: Kind, call: Erased, deadline: Duration) -> Result<Erased, CallError> {
        if Running::here() {
            let why = "a component or callback cannot wait for an answer: take it later, or on another thread";
            return Err(CallError::Refused(why.to_owned()));
        }
        let answered = self.call_later(to, call, deadline);
        answered.recv().unwrap_or(Err(CallError::Stopping))
    }

    /// Calls without waiting: the receiver yields one answer, at the deadline
    /// at the latest. Dropping it drops the answer.
    pub fn call_later(&self, to: Kind, call: Erased, deadline: Duration) -> flume::Receiver<Answer> {
        self.ask(to, deadline, |reply_to| Item::Call { call, reply_to })
    }

    fn ask(&self, to: Kind, deadline: Duration, item: impl FnOnce(ReplyTo) -> Item) -> flume::Receiver<Answer> {
        let node = self.node();
        let (token, answered, sooner) = node.calls.open(node.clock.now(), deadline);
        if sooner {
            node.notify(Notice::Deadline);
        }
        let refusal = match node.current() {
            Err(Stopped) => Some(CallError::Stopping),
            Ok(live) if live.index(to).is_none() => {
                Some(CallError::Refused("this node has no such component".to_owned()))
            }
            Ok(_) => {
                self.post(to, item(ReplyTo { component: ReplyTo::USER, token })).err().map(|_| CallError::Stopping)
            }
        };
        if let Some(refusal) = refusal {
            node.calls.answer(token, Err(refusal));
        }
        answered
    }

    /// Subscribes to an event type; retained events come first. Up to 1,024
    /// wait for a slow subscriber, then the oldest goes, since retained events
    /// describe a state and the newest is true (counted: `events_missed`). The
    /// subscription outlasts lives and ends when the receiver is dropped or the
    /// node stops.
    pub fn subscribe(&self, wanted: EventType) -> flume::Receiver<AnyEvent> {
        self.node().board.subscribe(wanted, &self.node().counts)
    }

    /// Every component's state, for people; one that does not answer within
    /// five seconds says so.
    pub fn inspect(&self) -> Vec<(ComponentName, Inspection)> {
        let described = self.describe(Item::Inspect);
        let Ok(live) = self.node().current() else { return Vec::new() };
        let mut all = Vec::new();
        for (name, answer) in described {
            let mut inspection = match answer.and_then(|answer| answer.downcast::<Inspection>().ok()) {
                Some(inspection) => *inspection,
                None => {
                    let mut silent = Inspection::default();
                    silent.row("state", "does not answer");
                    silent
                }
            };
            if let Some(index) = live.index(Kind::of(name)) {
                inspection.row("mailbox items", live.mailboxes[index].pending());
            }
            all.push((name, inspection));
        }
        all
    }

    /// What components know of a message, from those that know something.
    pub fn explain(&self, message: MessageId) -> Vec<(ComponentName, String)> {
        let described = self.describe(|reply_to| Item::Explain(message, reply_to));
        let known = described.into_iter().filter_map(|(name, answer)| {
            let text = answer?.downcast::<Option<String>>().ok()?;
            Some((name, (*text)?))
        });
        known.collect()
    }

    fn describe(&self, item: impl Fn(ReplyTo) -> Item) -> Vec<(ComponentName, Option<Erased>)> {
        let within = if Running::here() { DESCRIBE_HERE_WITHIN } else { DESCRIBE_WITHIN };
        let until = Instant::now() + within;
        let names = self.node().stack.factories.iter().map(|factory| factory.manifest().name);
        let asked: Vec<_> = names.map(|name| (name, self.ask(Kind::of(name), within, &item))).collect();
        let answers =
            asked.into_iter().map(|(name, answered)| (name, answered.recv_deadline(until).ok().and_then(Result::ok)));
        answers.collect()
    }

    /// The present life; the last one when the node is stopped.
    pub fn life(&self) -> Life {
        self.node().life()
    }

    /// Tells of every new life from now on; closes when the node stops.
    pub fn lives(&self) -> flume::Receiver<Life> {
        let (watcher, lives) = flume::unbounded(); // a life is seldom, and their number has a budget
        self.node().watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        lives
    }

    /// Where the node listens; `None` without links.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.links().map(|links| links.local_addr())
    }

    /// The present life's links, to look at peers or to cut connections;
    /// `None` without links. Do not keep them over a change of life.
    pub fn links(&self) -> Option<Arc<Links>> {
        self.node().current().ok().and_then(|live: Arc<Live>| live.network().links())
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.node().counts.read()
    }

    /// The newest inputs that killed their component twice.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.node().letters.list()
    }

    /// Stops gracefully, what stands above first, and waits for the end;
    /// on a thread that is running a component it only asks.
    pub fn stop(&self) {
        self.node().notify(Notice::Stop);
        if !Running::here() {
            let _ = self.join();
        }
    }

    /// Waits for the end of the node, whoever brings it about.
    ///
    /// # Errors
    /// Why it ended, unless the user stopped it.
    pub fn join(&self) -> Result<(), Ended> {
        let _ = self.shared.ended.recv();
        let mut result = self.shared.result.lock().unwrap_or_else(PoisonError::into_inner);
        let supervisor = self.shared.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            // The supervisor runs no code of components.
            *result = Some(supervisor.join().unwrap_or(Ok(())));
        }
        result.clone().unwrap_or(Ok(()))
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({} as {})", self.node().options.name, self.life())
    }
}
