//! A running node, for the user's threads.

use super::app::{self, Shared};
use super::error::SendError;
use super::message::{Body, Message};
use super::publisher::Publisher;
use super::roster::Peer;
use super::services::request_name;
use super::stats::Stats;
use super::window::{Patience, Receipt};
use crate::codec::{Batch, BatchBuilder};
use crate::component::{ComponentName, Inspection, Plan, Target};
use crate::envelope::{Content, Envelope};
use crate::error::CallError;
use crate::event::{AnyEvent, Event, EventType};
use crate::id::{Kind, Life, MessageId, NodeId};
use crate::protocol::clock::{Clocks, Lamport, VectorClock};
use crate::protocol::delivery::Delivery;
use crate::protocol::link::BLOCK_BYTES_MAX;
use crate::protocol::request::{self, Answer, Ask, Params, service_name};
use crate::runtime::{Counters, DeadLetter, Ended, Handle};
use bytes::Bytes;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of one message: what a link carries in one block, less the heads.
pub const MESSAGE_BYTES_MAX: usize = BLOCK_BYTES_MAX - (64 << 10);

/// A node that runs. Clones are the same node; dropping them does not stop it,
/// [`Running::stop`] does.
#[derive(Clone)]
pub struct Running {
    pub(super) node: Arc<Started>,
}

/// What a started node's clones share.
pub(super) struct Started {
    pub(super) handle: Handle,
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Plan,
    pub(super) stats: Stats,
    pub(super) clocks: Clocks,
    pub(super) name: String,
}

/// Which node: by name, by id, or by a life of it.
#[derive(Copy, Clone, Debug)]
pub enum Whom<'a> {
    /// The node of this name, once it has been linked.
    Name(&'a str),
    /// The node with this id.
    Id(NodeId),
}

impl<'a> From<&'a str> for Whom<'a> {
    fn from(name: &'a str) -> Self {
        Whom::Name(name)
    }
}

impl From<NodeId> for Whom<'_> {
    fn from(id: NodeId) -> Self {
        Whom::Id(id)
    }
}

impl From<Life> for Whom<'_> {
    fn from(life: Life) -> Self {
        Whom::Id(life.node)
    }
}

/// One message as a batch.
pub(super) fn alone(content: Content<'_>) -> Result<Batch, SendError> {
    let mut builder = BatchBuilder::default();
    append(&mut builder, content)?;
    Ok(builder.take().unwrap_or_default()) // it holds the message just put
}

/// Appends a message, if a link can carry it.
pub(super) fn append(builder: &mut BatchBuilder, content: Content<'_>) -> Result<(), SendError> {
    let (Content::Bytes(body) | Content::Typed(_, body)) = content;
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(SendError::TooLarge { bytes: body.len(), most: MESSAGE_BYTES_MAX });
    }
    builder.push(|out| content.put(out));
    Ok(())
}

/// The envelope and the encoded value.
pub(super) fn encode<T: Message>(value: &T) -> Result<(Envelope, Vec<u8>), SendError> {
    let body = postcard::to_stdvec(value).map_err(|_| SendError::Unencodable(std::any::type_name::<T>()))?;
    Ok((Envelope { kind: Kind::of(T::KIND), version: T::VERSION }, body))
}

impl Started {
    /// Hands a batch to a delivery once its window has room.
    pub(super) fn submit(
        &self,
        via: Delivery,
        target: Target,
        batch: Batch,
        patience: Patience,
    ) -> Result<super::window::Ticket, SendError> {
        self.composed(via)?;
        let windows = &self.shared.windows;
        let reserved = windows.reserve(via, target, &batch, patience)?;
        let numbered =
            self.handle.request(via.kind(), Kind::of(app::NAME), target, batch, |life| windows.number(reserved, life));
        numbered.map_err(|_| SendError::Stopping)
    }

    pub(super) fn composed(&self, via: Delivery) -> Result<(), SendError> {
        self.plan.component(via.name()).map(drop).ok_or(SendError::NotComposed(via))
    }
}

impl Running {
    fn submit(
        &self,
        via: Delivery,
        target: Target,
        content: Content<'_>,
        patience: Patience,
    ) -> Result<Receipt, SendError> {
        let ticket = self.node.submit(via, target, alone(content)?, patience)?;
        Ok(Receipt { shared: self.node.shared.clone(), ticket })
    }

    // Sending

    /// Broadcasts to all members, this node included. Waits while the window
    /// of this delivery is full (see [`Node::window_bytes`](super::Node::window_bytes)).
    /// For many messages a second see [`Running::publisher`].
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn broadcast<'b>(&self, delivery: Delivery, body: impl Into<Body<'b>>) -> Result<Receipt, SendError> {
        self.submit(delivery, Target::All, Content::Bytes(&body.into().0), Patience::Forever)
    }

    /// Broadcasts, or is refused where it would wait.
    ///
    /// # Errors
    /// Nothing was sent; [`SendError::WindowFull`] among others.
    pub fn try_broadcast<'b>(&self, delivery: Delivery, body: impl Into<Body<'b>>) -> Result<Receipt, SendError> {
        self.submit(delivery, Target::All, Content::Bytes(&body.into().0), Patience::None)
    }

    /// Broadcasts a typed message, for callbacks of [`Node::on`](super::Node::on).
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn broadcast_typed<T: Message>(&self, delivery: Delivery, value: &T) -> Result<Receipt, SendError> {
        let (envelope, body) = encode(value)?;
        self.submit(delivery, Target::All, Content::Typed(envelope, &body), Patience::Forever)
    }

    /// Sends to one node by best effort: lost if this node fails before it has
    /// left. Needs one of the two best-effort deliveries.
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn send<'w, 'b>(&self, to: impl Into<Whom<'w>>, body: impl Into<Body<'b>>) -> Result<Receipt, SendError> {
        let target = Target::Node(self.whom(to.into())?);
        self.submit(self.point_to_point(), target, Content::Bytes(&body.into().0), Patience::Forever)
    }

    /// Sends a typed message to one node, as [`Running::send`].
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn send_typed<'w, T: Message>(&self, to: impl Into<Whom<'w>>, value: &T) -> Result<Receipt, SendError> {
        let target = Target::Node(self.whom(to.into())?);
        let (envelope, body) = encode(value)?;
        self.submit(self.point_to_point(), target, Content::Typed(envelope, &body), Patience::Forever)
    }

    fn point_to_point(&self) -> Delivery {
        let fifo = self.node.plan.component(Delivery::BestEffortFifo.name()).is_some();
        if fifo { Delivery::BestEffortFifo } else { Delivery::BestEffort }
    }

    fn whom(&self, whom: Whom<'_>) -> Result<NodeId, SendError> {
        match whom {
            Whom::Id(id) => Ok(id),
            Whom::Name(name) if name == self.node.name => Ok(self.life().node),
            Whom::Name(name) => self.node.shared.roster.named(name).ok_or_else(|| {
                let known: Vec<_> = self.peers().iter().map(|peer| peer.name.to_string()).collect();
                SendError::UnknownNode(name.into(), known.join(", "))
            }),
        }
    }

    /// The fast way for many messages: joins them to batches on this thread
    /// and hands over a batch at a time.
    ///
    /// # Errors
    /// The node has no such delivery.
    pub fn publisher(&self, delivery: Delivery) -> Result<Publisher, SendError> {
        self.node.composed(delivery)?;
        Ok(Publisher::new(self.node.clone(), delivery, Target::All))
    }

    /// For many messages to one node, as [`Running::send`].
    ///
    /// # Errors
    /// The node is not known, or there is no best-effort delivery.
    pub fn publisher_to<'w>(&self, to: impl Into<Whom<'w>>) -> Result<Publisher, SendError> {
        let (delivery, target) = (self.point_to_point(), Target::Node(self.whom(to.into())?));
        self.node.composed(delivery)?;
        Ok(Publisher::new(self.node.clone(), delivery, target))
    }

    // Asking

    /// Asks a node for one thing and waits for its answer, until `deadline`
    /// has passed.
    ///
    /// # Errors
    /// Says whether it was done: refused (not done), or unknown.
    pub fn request<'w, Q: Message, R: Message>(
        &self,
        to: impl Into<Whom<'w>>,
        request: &Q,
        deadline: Duration,
    ) -> Result<R, CallError> {
        let refused = |error: SendError| CallError::Refused(error.to_string());
        let (_, body) = encode(request).map_err(refused)?;
        let name = request_name(Q::KIND);
        let bytes = self.ask(to.into(), name, Q::VERSION, Params::new(), body.into(), deadline)?;
        postcard::from_bytes(&bytes).map_err(|_| CallError::Failed(format!("done, but its answer is no '{}'", R::KIND)))
    }

    /// Calls a named service of a node.
    ///
    /// # Errors
    /// As [`Running::request`].
    pub fn call_service<'w>(
        &self,
        to: impl Into<Whom<'w>>,
        service: &str,
        params: Params,
        data: &[u8],
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let name = service_name(service).into();
        self.ask(to.into(), name, 1, params, Bytes::copy_from_slice(data), deadline)
    }

    fn ask(
        &self,
        to: Whom<'_>,
        name: Arc<str>,
        version: u16,
        params: Params,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let to = self.whom(to).map_err(|error| CallError::Refused(error.to_string()))?;
        let ask = Ask { to: request::Peer::Node(to), name, version, params, body, within };
        let answer = self.node.handle.call(Kind::of("request"), Box::new(request::Call::Ask(ask)), within)?;
        match answer.downcast::<Answer>() {
            Ok(answer) => *answer,
            Err(_) => Err(CallError::Failed("the answer is none of a request".into())),
        }
    }

    /// Events of type `E` from now on; retained ones come first.
    pub fn events<E: Event>(&self) -> Events<E> {
        Events { heard: self.node.handle.subscribe(EventType::of::<E>()), event: PhantomData }
    }

    // Seeing

    /// What the node consists of, and why.
    pub fn plan(&self) -> &Plan {
        &self.node.plan
    }

    /// Every component's state, for people.
    pub fn inspect(&self) -> Vec<(ComponentName, Inspection)> {
        self.node.handle.inspect()
    }

    /// Everything that [`Running::inspect`] knows, and the peers, as JSON.
    pub fn stats(&self) -> serde_json::Value {
        self.node.stats.own(&self.node.handle)
    }

    /// What is known of a message and what it waits for, by component.
    pub fn explain(&self, message: MessageId) -> String {
        let known = self.node.handle.explain(message);
        if known.is_empty() {
            return format!("{message}: never seen");
        }
        let lines: Vec<_> = known.into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
        lines.join("\n")
    }

    /// Who is or was linked.
    pub fn peers(&self) -> Vec<Peer> {
        self.node.shared.roster.list()
    }

    /// The Lamport time, where the node has that clock.
    pub fn lamport(&self) -> Option<Lamport> {
        self.node.clocks.lamport()
    }

    /// The vector time, where the node has that clock.
    pub fn vector(&self) -> Option<VectorClock> {
        self.node.clocks.vector()
    }

    /// Counts a local event of yours on the node's clocks.
    pub fn tick(&self) {
        self.node.clocks.local(1);
    }

    /// Bytes broadcast by `delivery` and not yet released.
    pub fn outstanding_bytes(&self, delivery: Delivery) -> u64 {
        self.node.shared.windows.outstanding_bytes(delivery.kind(), Target::All)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// The present life; the last one when the node is stopped.
    pub fn life(&self) -> Life {
        self.node.handle.life()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.node.handle.local_addr()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.node.handle.counters()
    }

    /// The newest inputs that killed their component twice.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.node.handle.dead_letters()
    }

    /// The runtime's handle, for calls to components of your own.
    pub fn handle(&self) -> &Handle {
        &self.node.handle
    }

    // Ending

    /// Stops gracefully and waits for the end; in a callback it only asks.
    pub fn stop(&self) {
        self.node.handle.stop();
    }

    /// Waits for the end of the node, whoever brings it about.
    ///
    /// # Errors
    /// Why it ended, unless it was stopped.
    pub fn join(&self) -> Result<(), Ended> {
        self.node.handle.join()
    }

    /// Stops gracefully on Ctrl-C or TERM; a second one ends the process at
    /// once. For one node of a process.
    ///
    /// # Errors
    /// The process handles these signals already.
    #[cfg(feature = "cli")]
    pub fn stop_on_ctrl_c(&self) -> Result<(), ctrlc::Error> {
        let (handle, asked) = (self.node.handle.clone(), std::sync::atomic::AtomicBool::new(false));
        ctrlc::set_handler(move || {
            if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                std::process::exit(130);
            }
            let handle = handle.clone(); // stopping waits, and the second signal must be heard meanwhile
            std::thread::spawn(move || handle.stop());
        })
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({} as {})", self.node.name, self.life())
    }
}

/// A stream of events; ends when the node stops. Up to 1,024 wait for a slow
/// reader, then the oldest goes.
pub struct Events<E> {
    heard: flume::Receiver<AnyEvent>,
    event: PhantomData<E>,
}

impl<E: Event + Clone> Events<E> {
    /// The next event, or `None` if none comes within `timeout` or the node
    /// has stopped.
    pub fn next_within(&self, timeout: Duration) -> Option<E> {
        self.heard.recv_timeout(timeout).ok().and_then(|event| event.get::<E>().cloned())
    }
}

impl<E: Event + Clone> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.heard.recv().ok().and_then(|event| event.get::<E>().cloned())
    }
}
