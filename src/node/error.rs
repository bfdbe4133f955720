//! Why a node does not start, and why something was not sent.

use crate::component::WiringReport;
use crate::protocol::delivery::Delivery;
use thiserror::Error;

/// Why a broadcast or a send was not done.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SendError {
    /// The node is composed without this delivery.
    #[error("not sent: this node has no delivery {0}; compose it with .has_delivery(Delivery::{0:?})")]
    NotComposed(Delivery),
    /// So much is under way that it would exceed the window.
    #[error(
        "not sent: the window of {via} is full ({outstanding} of {window} bytes not yet released){}",
        if *.in_callback {
            "; a callback cannot wait for room: hand the message to a thread of your own"
        } else {
            "; wait for a receipt, use broadcast(..), or raise .window_bytes(..)"
        }
    )]
    WindowFull {
        /// The delivery.
        via: Delivery,
        /// Bytes under way.
        outstanding: u64,
        /// The bound.
        window: u64,
        /// Whether a callback tried to send.
        in_callback: bool,
    },
    /// A message is longer than what a link carries.
    #[error("not sent: {bytes} bytes are more than the {most} of one message; cut it, or use a stream")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// A value refused to be encoded.
    #[error("not sent: a value of type {0} refuses to be encoded")]
    Unencodable(&'static str),
    /// No node of this name is known.
    #[error("not sent: no node named '{0}' was ever linked; known are: {1}")]
    UnknownNode(String, String),
    /// The target said in its handshake that it has no such delivery.
    #[error("not sent: {node} has no delivery {via}; compose it there with .has_delivery(Delivery::{via:?})")]
    NotProvided {
        /// The target's name.
        node: String,
        /// The delivery.
        via: Delivery,
    },
    /// The node is between two lives and waiting was not wanted.
    #[error("not sent: the node is about to go on as a new life; try again")]
    BetweenLives,
    /// The node stopped.
    #[error("not sent: the node is stopping")]
    Stopping,
}

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its composition is faulty.
    #[error(transparent)]
    Wiring(#[from] WiringReport),
    /// The composition is right, but the machine refused something.
    #[error("node \"{node}\" does not start: {why}")]
    Refused {
        /// The node.
        node: String,
        /// What was refused, and what to do.
        why: String,
    },
}
