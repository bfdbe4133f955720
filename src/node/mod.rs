//! The node: builder, callbacks, handle.

pub mod app;
mod callbacks;
mod error;
mod message;
mod roster;
mod window;

pub use error::{SendError, StartError};
pub use message::{Body, Incoming, Message, MessageType, Typed};
pub use roster::Peer;
pub use window::{Outcome, Receipt};
