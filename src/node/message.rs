//! What callbacks are handed, and what is handed to be sent.

use crate::component::Stamp;
use crate::id::{Life, MessageId};
use crate::protocol::delivery::{Delivery, Guarantee};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// What a callback of [`Node::on_receive_message`](super::Node::on_receive_message)
/// is for. Those for messages fire on *delivery*, in any order of that guarantee.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum MessageType {
    /// Delivered by best effort: lost if the sender fails.
    BestEffortDelivery,
    /// Delivered reliably: all correct nodes deliver it, or none.
    ReliableDelivery,
    /// Delivered uniformly: what anyone delivered, every correct node delivers
    /// (a majority of the voters up).
    UniformReliableDelivery,
    /// Delivered once every node that is not suspected held it.
    UniformReliableDeliveryAllAck,
    /// Delivered in one order on all nodes, once a majority of the voters has it on
    /// its disks.
    TotalOrderDelivery,
    /// The failure detector suspects a node (an opinion, taken back by
    /// [`MessageType::RestoredNode`]).
    FailedNode,
    /// A suspected node was heard of again.
    RestoredNode,
    /// A life of a node is linked.
    JoinedNode,
    /// A life of a node is over: it left, was ended by the voters, or a newer
    /// life took its place.
    EndedNode,
}

impl MessageType {
    pub(super) fn of(delivery: Delivery) -> Self {
        match delivery.guarantee() {
            _ if delivery == Delivery::Total => MessageType::TotalOrderDelivery,
            Guarantee::BestEffort => MessageType::BestEffortDelivery,
            Guarantee::Reliable => MessageType::ReliableDelivery,
            Guarantee::Uniform => MessageType::UniformReliableDelivery,
            Guarantee::UniformAllAck => MessageType::UniformReliableDeliveryAllAck,
        }
    }

    /// The delivery that is added where no other of this guarantee was asked for.
    pub(super) fn default_delivery(self) -> Option<Delivery> {
        match self {
            MessageType::BestEffortDelivery => Some(Delivery::BestEffort),
            MessageType::ReliableDelivery => Some(Delivery::Reliable),
            MessageType::UniformReliableDelivery => Some(Delivery::Uniform),
            MessageType::UniformReliableDeliveryAllAck => Some(Delivery::UniformAllAck),
            MessageType::TotalOrderDelivery => Some(Delivery::Total),
            _ => None,
        }
    }
}

/// What a callback is told: a delivered message, or news of a node. Displays
/// as `origin: text`, with a summary in hex where the body is no text.
#[derive(Copy, Clone, Debug)]
pub struct Incoming<'a> {
    /// What it is.
    pub message_type: MessageType,
    /// The life of this node that is told.
    pub me: Life,
    /// The life that broadcast it, or that the news is of.
    pub origin: Life,
    /// That node's name.
    pub origin_name: &'a str,
    /// The delivery that carried it; `None` for news of a node.
    pub delivery: Option<Delivery>,
    /// Its id, for [`Running::explain`](super::Running::explain).
    pub id: Option<MessageId>,
    /// Readings of the sender's clocks, where the node has clocks.
    pub stamp: Option<&'a Stamp>,
    /// The bytes as they were broadcast; for news of a node, what happened.
    pub body: &'a [u8],
}

/// Bytes of a body that a summary in hex shows.
const SHOWN_BYTES_MAX: usize = 16;

impl Incoming<'_> {
    /// The body, where it is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.body).ok().filter(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()))
    }

    /// The Lamport time at which it was broadcast, where the node has that clock.
    pub fn lamport(&self) -> Option<u64> {
        let first = self.stamp?.lamport?;
        Some(first + u64::from(self.id.map_or(0, |id| id.index)))
    }

    /// The vector time at which its batch was broadcast, where the node has
    /// that clock.
    pub fn vector(&self) -> Option<&[(Life, u64)]> {
        self.stamp?.vector.as_deref()
    }
}

impl fmt::Display for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin_name)?;
        if let Some(text) = self.text() {
            return f.write_str(text);
        }
        write!(f, "{} bytes ", self.body.len())?;
        for byte in &self.body[..self.body.len().min(SHOWN_BYTES_MAX)] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(if self.body.len() > SHOWN_BYTES_MAX { "..." } else { "" })
    }
}

/// A type that users send: known on the wire by a stable name and a version,
/// encoded in postcard.
///
/// ```
/// use nodewright::node::Message;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Chat { line: String }
///
/// impl Message for Chat {
///     const KIND: &'static str = "chat";
/// }
/// ```
pub trait Message: Serialize + DeserializeOwned {
    /// Stable name, unique among the types of a cluster.
    const KIND: &'static str;
    /// Raised when the encoding changes; a message of another version is
    /// counted and dropped.
    const VERSION: u16 = 1;
}

/// A typed message as its callback gets it; dereferences to the value.
#[derive(Debug)]
pub struct Typed<'a, T> {
    /// The value.
    pub value: T,
    /// Origin, id and clock readings.
    pub incoming: &'a Incoming<'a>,
}

impl<T> Deref for Typed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Bytes to send: text, slices and vectors turn into it.
#[derive(Clone, Debug)]
pub struct Body<'a>(pub(super) Cow<'a, [u8]>);

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Self {
        Body(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        Body(Cow::Owned(text.into_bytes()))
    }
}

impl<'a> From<&'a String> for Body<'a> {
    fn from(text: &'a String) -> Self {
        Body(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Body(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Body(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Body(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Body(Cow::Owned(bytes))
    }
}

impl<'a> From<&'a bytes::Bytes> for Body<'a> {
    fn from(bytes: &'a bytes::Bytes) -> Self {
        Body(Cow::Borrowed(bytes))
    }
}
