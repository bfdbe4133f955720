//! The simulator: the second driver of the same stacks, in a virtual world.

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

pub use faults::{Faults, Spell};
pub use seeds::{Seeds, seeds};
pub use trace::{Record, Trace, What};
pub use transcript::transcript;
pub use world::{Counts, NodeIndex, Ticket, World};
