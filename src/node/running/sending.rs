//! Broadcasting and sending: batches through a window, receipts back.

use super::{Running, Started, Whom};
use crate::codec::{Batch, BatchBuilder};
use crate::component::Target;
use crate::envelope::{Content, Envelope};
use crate::id::Kind;
use crate::node::app;
use crate::node::error::SendError;
use crate::node::message::{Body, Message};
use crate::node::publisher::Publisher;
use crate::node::receipt::Receipt;
use crate::node::window::{Patience, Ticket};
use crate::protocol::delivery::Delivery;
use crate::protocol::link::BLOCK_BYTES_MAX;

/// Most bytes of one message: what a link carries in one block, less the heads.
pub const MESSAGE_BYTES_MAX: usize = BLOCK_BYTES_MAX - (64 << 10);

/// One message as a batch.
pub(in crate::node) fn alone(content: Content<'_>) -> Result<Batch, SendError> {
    let mut builder = BatchBuilder::default();
    append(&mut builder, content)?;
    Ok(builder.take().unwrap_or_default()) // it holds the message just put
}

/// Appends a message, if a link can carry it.
pub(in crate::node) fn append(builder: &mut BatchBuilder, content: Content<'_>) -> Result<(), SendError> {
    let (Content::Bytes(body) | Content::Typed(_, body)) = content;
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(SendError::TooLarge { bytes: body.len(), most: MESSAGE_BYTES_MAX });
    }
    builder.push(|out| content.put(out));
    Ok(())
}

/// The envelope and the encoded value.
pub(in crate::node) fn encode<T: Message>(value: &T) -> Result<(Envelope, Vec<u8>), SendError> {
    let body = postcard::to_stdvec(value).map_err(|_| SendError::Unencodable(std::any::type_name::<T>()))?;
    Ok((Envelope { kind: Kind::of(T::KIND), version: T::VERSION }, body))
}

impl Started {
    /// Hands a batch to a delivery once its window has room.
    pub(in crate::node) fn submit(
        &self,
        via: Delivery,
        target: Target,
        batch: Batch,
        patience: Patience,
    ) -> Result<Ticket, SendError> {
        self.composed(via)?;
        let windows = &self.shared.windows;
        let reserved = windows.reserve(via, target, &batch, patience)?;
        let numbered =
            self.handle.request(via.kind(), Kind::of(app::NAME), target, batch, |life| windows.number(reserved, life));
        numbered.map_err(|_| SendError::Stopping)
    }

    pub(in crate::node) fn composed(&self, via: Delivery) -> Result<(), SendError> {
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

    /// Broadcasts to all members, this node included. Waits while the window
    /// of this delivery is full (see [`Node::window_bytes`](crate::node::Node::window_bytes)).
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

    /// Broadcasts a typed message, for callbacks of [`Node::on`](crate::node::Node::on).
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
        let (via, target) = self.point_to_point(to.into())?;
        self.submit(via, target, Content::Bytes(&body.into().0), Patience::Forever)
    }

    /// Sends a typed message to one node, as [`Running::send`].
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn send_typed<'w, T: Message>(&self, to: impl Into<Whom<'w>>, value: &T) -> Result<Receipt, SendError> {
        let (via, target) = self.point_to_point(to.into())?;
        let (envelope, body) = encode(value)?;
        self.submit(via, target, Content::Typed(envelope, &body), Patience::Forever)
    }

    /// The best-effort delivery of this node, and the target; refused by name
    /// if the target said that it lacks it.
    fn point_to_point(&self, to: Whom<'_>) -> Result<(Delivery, Target), SendError> {
        let fifo = self.node.plan.component(Delivery::BestEffortFifo.name()).is_some();
        let via = if fifo { Delivery::BestEffortFifo } else { Delivery::BestEffort };
        let node = self.whom(to)?;
        let peer = self.peers().into_iter().find(|peer| peer.life.node == node);
        if let (Some(peer), Some(links)) = (peer, self.node.handle.links())
            && links.provides(peer.life, via.kind()) == Some(false)
        {
            return Err(SendError::NotProvided { node: peer.name.to_string(), via });
        }
        Ok((via, Target::Node(node)))
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
        let (delivery, target) = self.point_to_point(to.into())?;
        self.node.composed(delivery)?;
        Ok(Publisher::new(self.node.clone(), delivery, target))
    }
}
