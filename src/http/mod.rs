//! REST in front of the document store, and a client of it.
//!
//! | file | what |
//! |---|---|
//! | `routes` `openapi` | one table of routes: the router and its description are made from it |
//! | `collections` `documents` `queries` `batch` `group` `watch` | what they do |
//! | `asked` `problem` | what a request says; what goes wrong, as JSON |
//! | `gate` `rate` | who may ask, and how often |
//! | `server` `patient` | one thread for all connections; those that stall are closed |
//! | `store` | what is asked of a node |
//! | [`client`] | the other side, for Rust programs and the command |
//!
//! **Guarantee.** What is answered with a receipt is done, synced on a majority;
//! any node answers, whoever leads. Every error says whether it was done: `done`,
//! `not_done` or `unknown`, the last of which an idempotency key settles. Reads are
//! linearizable unless the request says less.
//!
//! **Bounds.** Bytes and depth of a body, connections, requests a second and address,
//! time for a head, a body and a stalled answer: see [`Limits`]. Nothing waits in a
//! queue here: a connection has one request under way, and there are at most so many.
//!
//! **Who may ask.** Without a token only this machine, and only programs: a request
//! that a browser's page makes, or that names a foreign host, is refused. With a token
//! each request has to carry it.
//!
//! One thread runs all connections on tokio's current-thread runtime. It is an edge:
//! it may wait where a user's thread would, for room in a component's mailbox, which
//! holds more than there are connections.

mod asked;
mod batch;
pub mod client;

mod collections;
mod documents;
pub(crate) mod gate;
mod group;
mod openapi;
pub(crate) mod patient;
mod problem;
mod queries;
pub(crate) mod rate;
mod routes;
mod server;
pub(crate) mod serving;
mod store;
#[cfg(test)]
mod tests;
mod watch;

pub use client::Client;
pub use gate::{Token, TokenError};
pub use problem::Problem;
pub use server::{Limits, Options, Server};
pub use store::{Later, Store};

/// The header that names a write, so that asking again does it once: 32 hexadecimal
/// digits, or a UUID.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of an answer that says at which index it was read or done.
pub const INDEX: &str = "nodewright-index";
/// The header of an acknowledgement: `term=3,index=41,synced=2`.
pub const RECEIPT: &str = "nodewright-receipt";
