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
//! # Testing your component
//!
//! 1. Build a world from a [`Setup`]: so many nodes of your stack.
//! 2. [`World::set_faults`] with what [`Setup::draw`] draws: the chaos phase.
//!    Make your calls ([`World::call`], [`World::ask`], [`World::broadcast`]) and
//!    let virtual time pass ([`World::run_for`]). Only safety holds here.
//! 3. [`World::heal`]: all faults stop. Give it time; now everything must come
//!    right.
//! 4. Judge: your own property as a [`check::Violation`] if it does not hold,
//!    those of [`check`] on the trace.
//! 5. [`seeds`]`(..).explore(..)` runs thousands of such worlds on all cores. A
//!    failure is printed as the command that replays it, and *shrunk*: to fewer
//!    faults, nodes and calls that still violate the same property.
//!
//! `examples/test_your_component.rs` is a whole one, in a page.
//!
//! ```
//! use nodewright::component::{Context, Input, Lane, Manifest, NetComponent, PeerChange, Stack, To};
//! use nodewright::error::Fault;
//! use nodewright::id::Kind;
//! use nodewright::sim::check::Violation;
//! use nodewright::sim::{Setup, World, seeds};
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! /// Greets every peer, and counts who greets it.
//! #[derive(Default)]
//! struct Greeter(usize);
//!
//! impl NetComponent for Greeter {
//!     type Message = ();
//!     type Call = ();
//!     type Timer = ();
//!     type Job = Infallible;
//!     type Done = Infallible;
//!
//!     fn manifest(&self) -> Manifest {
//!         Manifest::new("greeter")
//!     }
//!
//!     fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
//!         match input {
//!             Input::Peer(PeerChange::Joined { life, .. }) => _ = cx.send(To::Life(*life), Lane::Control, &()),
//!             Input::Message { .. } => self.0 += 1,
//!             Input::Call { reply_to, .. } => cx.reply(reply_to, self.0),
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//! }
//!
//! /// In the end everyone was greeted by everyone.
//! fn run(setup: &Setup) -> (World, Result<(), Violation>) {
//!     let mut world = World::new(setup.seed);
//!     let names = (0..setup.nodes).map(|n| format!("n{n}"));
//!     let nodes: Vec<_> = names.map(|name| world.add_node(&name, Stack::of(Greeter::default))).collect();
//!     let faults = setup.draw(&mut world.rng().fork(), 0); // nobody crashes
//!     world.set_faults(faults);
//!     world.run_for(setup.chaos(Duration::from_secs(2)));
//!     world.heal();
//!     world.run_for(Duration::from_secs(5));
//!     for node in nodes {
//!         let greeted: Result<usize, _> = world.ask(node, Kind::of("greeter"), (), Duration::from_secs(1));
//!         if greeted != Ok(setup.nodes - 1) {
//!             return (world, Err(Violation::new("all are greeted", format!("{node:?}: {greeted:?}"))));
//!         }
//!     }
//!     (world, Ok(()))
//! }
//!
//! # fn main() -> Result<(), String> {
//! seeds("greeting", 0..50).sometimes(&["frames lost", "partitions"]).explore(run)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it is
//!
//! Where a stack has no component `app`, the world stands in for the user:
//! [`World::broadcast`] asks in its name, and what it is handed is recorded.
//! [`check`] judges properties on the trace alone; [`Batch`] runs many worlds on
//! many threads, [`shrink()`] makes a failing run smaller, [`transcript()`] keeps
//! a run as a text file.
//!
//! Between nodes runs the real link core ([`crate::protocol::link`]); no other
//! protocol is known here. The shipped scenarios are in [`crate::scenario`].
//!
//! After Will Wilson, *Testing Distributed Systems w/ Deterministic Simulation*
//! (Strange Loop 2014).

mod app;
mod batch;
pub mod check;
pub(crate) mod cores;
mod disk;
mod driver;
mod faults;
mod faulty;
mod network;
mod node;
mod outcome;
mod perform;
mod queue;
mod recorder;
mod seeds;
mod setup;
mod shrink;
mod stream;
mod trace;
mod transcript;
mod world;

pub use batch::{Batch, Tally};
pub use disk::{DiskFault, DiskFaults, DiskKept};
pub use faults::{Faults, Spell};
pub use outcome::Outcome;
pub use seeds::{Seeds, seeds};
pub use setup::{FaultClass, FaultClasses, Setup};
pub use shrink::{Shrunk, Smallest, shrink};
pub use trace::{How, Passage, Record, Trace, What};
pub use transcript::{kept, transcript};
pub use world::{Counts, NodeIndex, Ticket, World};
