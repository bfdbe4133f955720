//! The delivery ladder: one broadcast core, nine rungs.
//!
//! A batch is the unit: what a component broadcasts between two flushes is
//! numbered once per origin life, sent once to each, acknowledged by number and
//! kept until it is stable. The rungs differ in *when* they deliver: on receipt
//! (best effort, reliable), when a majority of the voters holds it
//! (uniform), when every life that is not suspected does (all-ack). Orders are
//! pure hold-back structures around that ([`crate::protocol::ordering`]). What
//! a life holds of an origin is always a prefix, so unordered rungs deliver each
//! sender's messages in its order too; the FIFO rungs promise it.
//!
//! The voters are the configured list, or those of the node's replicated log: then
//! they change while the cluster runs (`list`), and each list has its own `f < n/2`,
//! until a majority of its voters has gone on to the next.
//!
//! Where is the thing that does X:
//!
//! | file | what |
//! |---|---|
//! | `kinds` | the rungs by name: guarantee and order |
//! | `config` | settings, planted bugs |
//! | `manifest` | what each rung tells the resolver and the plan |
//! | `message` | the dialogue |
//! | `broadcast` | the component: inputs in, one flush |
//! | `requests` | what is asked for, joined into batches |
//! | `receive` | arrivals: who may say what |
//! | `deliver` | when to deliver, release, acknowledge |
//! | `best_effort`, `window` | the rung that keeps nothing, and its credit |
//! | `held` | a batch as it is kept |
//! | `origin` | what is held of one origin |
//! | `voters` | who counts: majorities, minima |
//! | `lives` | voters' lives come and go; earlier promises are void |
//! | `list` | who votes changes, as a replicated log says |
//! | `join` | when a life without memory may be counted on |
//! | `repair` | pull and relay |
//! | `ended` | leftovers of an ended life, until nothing is left |
//! | `pressure` | flat memory: slow consumers, lives that hold back |
//! | `feed` | listeners and their sponsors |
//! | `progress` | receipts |
//! | `explain` | inspection and explanations |
//!
//! Source: Cachin, Guerraoui, Rodrigues, *Introduction to Reliable and Secure
//! Distributed Programming*, chapter 3, for names, properties and the
//! majority-ack and all-ack algorithms; each file says what it adds.

mod best_effort;
mod broadcast;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod cluster;
mod config;
mod deliver;
mod ended;
mod event;
mod explain;
mod feed;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod held;
mod join;
mod kinds;
mod list;
mod lives;
mod manifest;
mod message;
mod origin;
mod pressure;
mod progress;
mod receive;
mod repair;
mod requests;
#[cfg(test)]
mod schedules;
mod voters;
mod window;

pub use broadcast::Broadcast;
pub use config::Config;
#[doc(hidden)]
pub use config::Mutant;
pub use event::{Gap, GapWhy};
pub use kinds::{Delivery, Guarantee, Order};
