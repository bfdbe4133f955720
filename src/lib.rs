#![doc = include_str!("README.md")]

// L0: plain values and pure functions
pub mod codec;
pub mod envelope;
pub mod error;
pub mod event;
pub mod id;
pub mod lsb;
pub mod time;
pub mod trace;
// L1: the component contract
pub mod component;
// L2: protocols
pub mod protocol;
// L3: services
pub mod service;
// L4: the two drivers, the front of the document store, the gateway of the ring
#[cfg(feature = "http")]
pub mod http;
#[cfg(all(feature = "http", feature = "ring"))]
pub mod ring_gateway;
pub mod runtime;
pub mod sim;
pub mod transport;
// L5: the node, and whole runs of what is composed
pub mod node;
pub mod scenario;
// L6: the command
#[cfg(feature = "cli")]
pub mod cli;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

/// The programs in the project's README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
