//! The component `app`: hosts the user's callbacks.
//!
//! It is an ordinary component, so callbacks run on its thread, in order per
//! origin and channel, and in the simulator inline. A callback that panics is
//! caught and counted; a slow one delays other callbacks and, through the
//! deliveries' credit, senders; it delays no heartbeat.

use super::callbacks::{Callbacks, Heard};
use super::message::{Incoming, MessageType};
use super::roster::Roster;
use super::shelf::{Lent, Shelf};
use super::watch::Busy;
use super::window::{Windows, as_callback};
use crate::component::{Boot, Context, Delivered, EndedWhy, Input, Inspection, Manifest, NetComponent, PeerChange};
use crate::envelope::Content;
use crate::error::Fault;
use crate::event::{AnyEvent, Event};
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::protocol::delivery::Delivery;
use crate::protocol::failure_detector::Suspicion;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The component's name.
pub const NAME: &str = "app";

/// The callbacks of one batch or event took longer than
/// [`Node::slow_callback_after`](super::Node::slow_callback_after).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlowCallback {
    /// How long.
    pub took: Duration,
    /// Whose message, or which event.
    pub on: String,
}

impl Event for SlowCallback {
    const NAME: &'static str = "slow_callback";
}

/// What the component shares with the node's handle.
pub(super) struct Shared {
    pub(super) windows: Windows,
    pub(super) roster: Roster,
    pub(super) busy: Busy,
    /// See [`Node::slow_callback_after`](super::Node::slow_callback_after).
    pub(super) slow_after: Duration,
}

/// How the component is made for each life.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) manifest: Manifest,
    pub(super) shelf: Shelf<Callbacks>,
    pub(super) shared: Arc<Shared>,
    /// Not in the simulator, where a callback takes no time.
    pub(super) timed: bool,
}

/// The component.
pub(super) struct App {
    recipe: Recipe,
    hosted: Hosted,
    me: Life,
    batch: Batch,
    counted: Counted,
    /// When the callbacks of the present batch began.
    began: Option<Instant>,
}

/// What is the same for all messages of a batch.
struct Batch {
    id: MessageId,
    delivery: Option<Delivery>,
    origin_name: Arc<str>,
}

/// What went by, for people.
#[derive(Default)]
struct Counted {
    delivered: u64,
    unknown: u64,
    undecodable: u64,
    slow: u64,
}

/// The callbacks of this life.
struct Hosted {
    callbacks: Lent<Callbacks>,
    panicked: u64,
}

impl Hosted {
    /// Runs callbacks; what they panic with is counted and goes no further.
    fn call<R>(&mut self, what: &str, run: impl FnOnce(&mut Callbacks) -> R) -> Option<R> {
        let callbacks = self.callbacks.get();
        let result = as_callback(|| catch_unwind(AssertUnwindSafe(|| run(callbacks))));
        if result.is_err() {
            self.panicked += 1;
            log::error!(target: "nodewright::app", "a callback panicked on {what} ({} so far)", self.panicked);
        }
        result.ok()
    }
}

impl App {
    pub(super) fn new(recipe: Recipe) -> Self {
        let me = Life::new(NodeId(0), 0);
        let id = MessageId { origin: me, delivery: Kind(0), batch: 0, index: 0 };
        let batch = Batch { id, delivery: None, origin_name: "".into() };
        let hosted = Hosted { callbacks: Lent::of(&recipe.shelf), panicked: 0 };
        App { recipe, hosted, me, batch, counted: Counted::default(), began: None }
    }

    fn started(&mut self, boot: &Boot) {
        self.me = boot.me;
        self.batch.id.origin = boot.me;
        self.batch.origin_name = boot.name.clone();
        self.recipe.shared.roster.clear();
        self.recipe.shared.windows.open(boot.me);
    }

    /// A batch begins: names its origin and its delivery once for all of it.
    fn begin(&mut self, delivered: &Delivered<'_>, cx: &mut Context<'_, Self>) {
        self.lap(cx);
        if self.batch.id.origin.node != delivered.id.origin.node {
            let node = delivered.id.origin.node;
            self.batch.origin_name = self.recipe.shared.roster.name(node).unwrap_or_else(|| node.to_string().into());
        }
        if self.batch.id.delivery != delivered.via {
            self.batch.delivery = Delivery::of_kind(delivered.via);
        }
        self.batch.id = MessageId { delivery: delivered.via, ..delivered.id };
    }

    fn delivered(&mut self, delivered: &Delivered<'_>, cx: &mut Context<'_, Self>) {
        let last = &self.batch.id;
        if (last.batch, last.origin, last.delivery) != (delivered.id.batch, delivered.id.origin, delivered.via) {
            self.begin(delivered, cx);
        }
        self.counted.delivered += 1;
        let (Some(delivery), Some(content)) = (self.batch.delivery, Content::take(delivered.body)) else {
            self.counted.undecodable += 1;
            return;
        };
        let (Content::Bytes(body) | Content::Typed(_, body)) = content;
        let incoming = Incoming {
            message_type: MessageType::of(delivery),
            me: self.me,
            origin: delivered.id.origin,
            origin_name: &self.batch.origin_name,
            delivery: Some(delivery),
            id: Some(delivered.id),
            stamp: Some(delivered.stamp),
            body,
        };
        let heard = match content {
            Content::Bytes(_) => {
                self.hosted.call("a message", |callbacks| callbacks.message(&incoming));
                None
            }
            Content::Typed(envelope, _) => {
                self.hosted.call("a typed message", |callbacks| callbacks.typed(&incoming, envelope, body))
            }
        };
        match heard {
            Some(Heard::Unknown) => self.counted.unknown += 1,
            Some(Heard::Undecodable) => self.counted.undecodable += 1,
            Some(Heard::Called) | None => {}
        }
    }

    /// Tells the callbacks for news of nodes.
    fn news(&mut self, message_type: MessageType, life: Life, name: &str, what: &str) {
        let body = what.as_bytes();
        let (delivery, id, stamp) = (None, None, None);
        let me = self.me;
        let incoming = Incoming { message_type, me, origin: life, origin_name: name, delivery, id, stamp, body };
        self.hosted.call(what, |callbacks| callbacks.message(&incoming));
    }

    fn peer(&mut self, change: &PeerChange) {
        self.recipe.shared.roster.change(change);
        match change {
            PeerChange::Joined { life, name, .. } => self.news(MessageType::JoinedNode, *life, name, "joined"),
            PeerChange::Ended { life, why } => {
                let name = self.recipe.shared.roster.name(life.node).unwrap_or_else(|| life.node.to_string().into());
                let what = match why {
                    EndedWhy::Succeeded => "ended: a newer life took its place",
                    EndedWhy::Decided => "ended by the voters",
                    EndedWhy::Left => "left",
                };
                self.news(MessageType::EndedNode, *life, &name, what);
            }
        }
    }

    fn event(&mut self, event: &AnyEvent) {
        if let Some(Suspicion { life, name, suspected }) = event.get() {
            self.recipe.shared.roster.suspect(*life, *suspected);
            match suspected {
                true => self.news(MessageType::FailedNode, *life, name, "failed: suspected"),
                false => self.news(MessageType::RestoredNode, *life, name, "restored"),
            }
        }
        self.hosted.call(event.event_type().name, |callbacks| callbacks.event(event));
    }

    /// Reports the callbacks since the last lap if they were slow. The clock
    /// is read once a batch, not once a message.
    fn lap(&mut self, cx: &mut Context<'_, Self>) {
        if !self.recipe.timed {
            return;
        }
        let (now, slow_after) = (Instant::now(), self.recipe.shared.slow_after);
        self.recipe.shared.busy.begin(now);
        if let Some(took) = self.began.replace(now).map(|began| now - began).filter(|took| *took >= slow_after) {
            self.counted.slow += 1;
            let on = format!("a batch or event of {}", self.batch.origin_name);
            log::warn!(target: "nodewright::app", "callbacks took {took:?} on {on}; other callbacks wait meanwhile");
            cx.publish(SlowCallback { took, on });
        }
    }
}

impl NetComponent for App {
    type Message = ();
    type Call = Infallible;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        self.recipe.manifest.clone()
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => self.started(boot),
            Input::Delivered(delivered) => self.delivered(&delivered, cx),
            Input::Progress(progress) => self.recipe.shared.windows.progress(progress),
            Input::Event(event) => {
                self.lap(cx);
                self.event(event);
            }
            Input::Peer(change) => {
                self.lap(cx);
                self.peer(change);
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if self.began.is_some() {
            self.lap(cx);
            self.began = None; // what follows is a wait for the mailbox
            self.recipe.shared.busy.end();
        }
        self.hosted.callbacks.give_back();
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("messages delivered", self.counted.delivered);
        into.row("messages of unknown kind or version", self.counted.unknown);
        into.row("messages that do not decode", self.counted.undecodable);
        into.row("callbacks panicked", self.hosted.panicked);
        into.row("callbacks slow", self.counted.slow);
    }
}

/// However a life goes, nobody sends into it any more.
impl Drop for App {
    fn drop(&mut self) {
        self.recipe.shared.windows.close(self.me);
    }
}
