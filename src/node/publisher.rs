//! Many messages from one thread: joined to batches before anything is shared.

use super::error::SendError;
use super::message::{Body, Message};
use super::receipt::Receipt;
use super::running::{Started, append, encode};
use super::window::Patience;
use crate::codec::BatchBuilder;
use crate::component::Target;
use crate::envelope::Content;
use crate::protocol::delivery::Delivery;
use std::sync::Arc;

/// Bytes at which a batch is handed over.
const BATCH_BYTES: usize = 64 << 10;

/// Broadcasts by one delivery, or sends to one node, a batch at a time.
///
/// What is pushed waits here until 64 KiB have come together or
/// [`Publisher::flush`] is called: nothing is handed over by the passing of
/// time. One publisher is for one thread; dropping it flushes.
pub struct Publisher {
    node: Arc<Started>,
    delivery: Delivery,
    target: Target,
    builder: BatchBuilder,
}

impl Publisher {
    pub(super) fn new(node: Arc<Started>, delivery: Delivery, target: Target) -> Self {
        Publisher { node, delivery, target, builder: BatchBuilder::default() }
    }

    /// Appends a message; waits for the window where a batch is full.
    ///
    /// # Errors
    /// This message, and the batch that it would have filled, were not sent.
    #[inline]
    pub fn push(&mut self, body: &[u8]) -> Result<(), SendError> {
        append(&mut self.builder, Content::Bytes(body))?;
        if self.builder.bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends anything that turns into a body.
    ///
    /// # Errors
    /// As [`Publisher::push`].
    pub fn push_body<'b>(&mut self, body: impl Into<Body<'b>>) -> Result<(), SendError> {
        self.push(&body.into().0)
    }

    /// Appends a typed message.
    ///
    /// # Errors
    /// As [`Publisher::push`].
    pub fn push_typed<T: Message>(&mut self, value: &T) -> Result<(), SendError> {
        let (envelope, body) = encode(value)?;
        append(&mut self.builder, Content::Typed(envelope, &body))?;
        if self.builder.bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands over what was appended; the receipt is that of the last message.
    /// `None` if there was nothing.
    ///
    /// # Errors
    /// The batch was not sent and is gone.
    pub fn flush(&mut self) -> Result<Option<Receipt>, SendError> {
        let Some(batch) = self.builder.take() else { return Ok(None) };
        let ticket = self.node.submit(self.delivery, self.target, batch, Patience::Forever)?;
        Ok(Some(Receipt { shared: self.node.shared.clone(), ticket }))
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Err(why) = self.flush() {
            log::warn!(target: "nodewright::node", "the last batch of a publisher of {} is lost: {why}", self.delivery);
        }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publisher({}, {} messages wait)", self.delivery, self.builder.count())
    }
}
