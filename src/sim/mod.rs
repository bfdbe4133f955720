//! The simulator: the second driver of the same stacks, in a virtual world.
//!
//! A [`World`] holds nodes built from the same [`Stack`](crate::component::Stack)s
//! as the threaded runtime's, one virtual clock, and a network between them
//! that delays, loses, repeats and reorders frames, cuts sessions and parts
//! nodes, as the test says or as the seed has it ([`Faults`]). Nodes pause,
//! crash between any two effects, and come back as new lives. All of it runs on
//! one thread and follows from the seed: two runs have the same trace, byte for
//! byte ([`Trace::hash`]).
//!
//! Where a stack has no component `app`, the world stands in for the user:
//! [`World::broadcast`] asks in its name, and what it is handed is recorded.
//! [`check`] judges properties on the trace alone; [`seeds`] runs many worlds
//! and says how to replay the one that failed; [`transcript()`] keeps a run as a
//! text file.
//!
//! Between nodes runs the real link core ([`crate::protocol::link`]); no other
//! protocol is known here. A chaos phase ([`World::set_faults`]) is followed by
//! a heal phase ([`World::heal`]), in which everything must come right.
//!
//! After Will Wilson, *Testing Distributed Systems w/ Deterministic Simulation*
//! (Strange Loop 2014).

mod app;
pub mod check;
mod disk;
mod driver;
mod faults;
mod faulty;
mod network;
mod node;
mod perform;
mod queue;
mod recorder;
mod seeds;
mod stream;
mod trace;
mod transcript;
mod world;

pub use disk::{DiskFault, DiskFaults, DiskKept};
pub use faults::{Faults, Spell};
pub use seeds::{Seeds, seeds};
pub use trace::{Record, Trace, What};
pub use transcript::{kept, transcript};
pub use world::{Counts, NodeIndex, Ticket, World};
