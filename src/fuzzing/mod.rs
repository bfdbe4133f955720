//! What a fuzzer runs: one body for each kind of input that a stranger can
//! write. A body gets any bytes and panics where a promise is broken.
//!
//! | body | promise |
//! |---|---|
//! | `frames` | any split of a stream gives the same frames; room is made for what arrived, never for what is declared |
//! | `records` | the same over a socket, through the records that frames are sealed in |
//! | `handshake` | whatever the other side writes is refused or agreed on; what was altered on the way is never agreed on by both |
//! | `messages` | decoding never panics; what decodes encodes to what decodes to the same |
//! | `config` | any text is a configuration, or a list of what is wrong with it |
//! | `history` | any file is a history or a trace, or is refused |
//! | `query` | a filter lets pass what a naive one does, indexes hide nothing, bytes are in the order of values |
//! | `images` | any file is an image within the limits, whose samples survive being written, or is refused |
//! | `stego` | any low bits are a payload or refused, in every format; what fits comes back |
//! | `ring` | any bytes are lines, records and values of a ring or are refused, the same however they are cut; what is read prints as it reads |
//! | `simulation` | no choice of scenario, seed, size and faults breaks a property |
//!
//! They are in builds for tests, which run them over a small kept corpus
//! (`tests/corpus`), and behind the feature `fuzzing`, for `fuzz/run.sh`.

mod files;
mod simulation;
#[cfg(test)]
mod tests;

/// Judges one input.
pub type Body = fn(&[u8]);

/// All bodies by name.
pub const BODIES: &[(&str, Body)] = &[
    ("frames", crate::transport::fuzzing::frames),
    ("records", crate::transport::fuzzing::records),
    ("handshake", crate::transport::fuzzing::handshake),
    ("messages", messages),
    ("config", files::config),
    ("history", files::history),
    #[cfg(feature = "documents")]
    ("query", crate::service::documents::query::naive::fuzzed),
    #[cfg(not(feature = "documents"))]
    ("query", |_| {}), // nothing to break
    #[cfg(feature = "stego")]
    ("images", crate::service::stego::fuzzing::images),
    #[cfg(not(feature = "stego"))]
    ("images", |_| {}),
    #[cfg(feature = "stego")]
    ("stego", crate::service::stego::fuzzing::hidden),
    #[cfg(not(feature = "stego"))]
    ("stego", |_| {}),
    #[cfg(feature = "ring")]
    ("ring", ring),
    #[cfg(not(feature = "ring"))]
    ("ring", |_| {}),
    ("simulation", simulation::simulation),
];

/// Finds a body.
///
/// # Panics
/// If there is none of this name.
pub fn body(name: &str) -> Body {
    let found = BODIES.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no body is called {name}")).1
}

#[cfg(feature = "ring")]
fn ring(input: &[u8]) {
    crate::service::ring::fuzzing::ring(input);
}

/// Nothing to judge without it.
#[cfg(not(feature = "ring"))]
fn ring(_: &[u8]) {}

fn messages(input: &[u8]) {
    use crate::codec::fuzzing::stays_itself;
    crate::protocol::delivery::fuzzing::messages(input);
    crate::transport::fuzzing::hellos(input);
    stays_itself::<crate::protocol::membership::Claims>(input);
    stays_itself::<crate::protocol::failure_detector::Heartbeat>(input);
    stays_itself::<crate::protocol::request::Message>(input);
}
