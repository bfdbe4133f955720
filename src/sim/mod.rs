//! The simulator: the second driver of the same stacks, in a virtual world.

mod app;
mod disk;
mod driver;
mod faults;
mod faulty;
mod network;
mod node;
mod perform;
mod queue;
mod recorder;
mod stream;
mod trace;
mod world;

pub use faults::{Faults, Spell};
pub use trace::{Record, Trace, What};
pub use world::{Counts, NodeIndex, Ticket, World};
