//! The node: composed by one chain of builder calls, started, and held by a
//! handle.
//!
//! ```no_run
//! use nodewright::node::{MessageType, Node};
//! use nodewright::protocol::delivery::Delivery;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::new("alpha", 8888, 5)                       // name, port, most peers linked (a later one is refused by name)
//!     .listen("172.28.0.2:8888").secret_file("cluster.secret") // without these: loopback only
//!     .has_peers(["172.28.0.2:8888", "172.28.0.3:8888"])       // the own address is recognised and dropped
//!     .has_failure_detector(Duration::from_millis(5000), Duration::from_millis(500))   // timeout, period: the fixed-timeout detector
//!     .on_receive_message(MessageType::UniformReliableDelivery, |msg| println!("{msg}"))
//!     .has_uniform_reliable_delivery();
//! let running = node.start()?;            // Err(WiringReport) lists every fault
//! running.broadcast(Delivery::Uniform, "hello")?;
//! running.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! The order of the calls does not matter: the resolver
//! ([`crate::component::resolve()`]) puts the components in order, adds what is
//! missing and has a default, and [`Node::plan`] says why each is there.
//! The same calls drive the simulator: [`Node::into_stack`].
//!
//! Callbacks live in the component [`app`], handlers of requests in
//! [`services`]; both are ordinary components on threads of their own. What a
//! user has under way is bounded by a window per delivery, and how far it has
//! come is told by a [`Receipt`].

pub mod app;
mod builder;
mod callbacks;
mod client;
mod compose;
mod config;
mod config_keys;
#[cfg(feature = "documents")]
mod documents;
mod error;
#[cfg(feature = "documents")]
mod follow;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "replicated_log")]
mod map;
mod message;
mod publisher;
mod receipt;
mod ring;
mod roster;
mod running;
pub mod services;
mod shelf;
mod start;
mod stats;
#[cfg(feature = "stego_service")]
mod stego;
mod watch;
mod window;

pub use crate::transport::Security;
pub use app::SlowCallback;
pub use builder::Node;
pub use client::Client;
pub use config::{Config, ConfigError, config_example};
#[cfg(feature = "documents")]
pub use documents::{Batch, Documents};
pub use error::{SendError, StartError};
#[cfg(feature = "documents")]
pub use follow::{Follow, Followed};
#[cfg(feature = "replicated_log")]
pub use map::Map;
pub use message::{Body, Incoming, Message, MessageType, Typed};
pub use publisher::Publisher;
pub use receipt::{Outcome, Receipt};
#[cfg(feature = "ring")]
pub use ring::{Durability, Ring, RingError};
pub use roster::Peer;
pub use running::{Events, MESSAGE_BYTES_MAX, Running, Whom};
pub use services::Asked;
pub use start::{Bound, start_together};
#[cfg(feature = "stego_service")]
pub use stego::{Embedded, StegoClient, TaskError, hides_exactly};
