//! One port in front of a ring: the text protocol and HTTP, whoever of the nodes is up.
//!
//! | file | what |
//! |---|---|
//! | `server` | one thread for all connections; which of the two a client speaks |
//! | `nodes` | the nodes and their states, polled; in which order they are tried |
//! | `link` | a connection to a node: opened, proved alive, spoken on |
//! | `ask` | a question to whoever answers, again elsewhere if that is harmless |
//! | `reading` | a file's bytes, from another node where one breaks off |
//! | `proxy` | a client of the text protocol |
//! | `web` | a client of HTTP |
//!
//! **Guarantee.** What a client reads is what one version of the file holds, or the
//! connection is reset: a node that dies in the middle of a file is continued at
//! another one, at the same byte of the same version, and a short file never ends
//! cleanly. What is acknowledged to a client was acknowledged by a node; a push is
//! sent to one node only, and never again once a byte of it was sent.
//!
//! **One request.** A connection comes in, and its first line is read: within 30 s, at
//! most 8 KiB of it. `GET / HTTP/1.1` and the like go to `web`. Any other line is the
//! text protocol's: its name (or, where it has none, a number that counts up) puts the
//! nodes in an order ([`rendezvous`](crate::service::ring::rendezvous)), those that the
//! netmap says are alive before the others. The first that takes a connection *and*
//! answers `NODE PING` is the entry: a process that is stopped takes connections too,
//! so that a connection alone says nothing. From there bytes pass both ways. The end of
//! what the client says is passed on, and the connection stays until the node has
//! answered; when the node ends, what it said is written, and then the client's
//! connection ends. A node that resets is a reset to the client.
//!
//! `FILE PULL` is the exception: it is asked as `FILE GET`, which says how many bytes
//! there are, so that an end before the end is seen.
//!
//! **Bounds.** Connections, heads, times and bodies: [`Limits`]. Buffers are 256 KiB a
//! connection and direction; nothing is spooled to memory or disk.
//!
//! **Who may ask.** As at the REST front: without a token only programs of this machine;
//! with one, clients of the text protocol say `AUTH <token>` first and each HTTP request
//! carries it. The same token is said to the nodes.

mod ask;
mod link;
mod nodes;
mod proxy;
mod reading;
mod server;
mod web;

pub use server::{Gateway, Limits, Options};
