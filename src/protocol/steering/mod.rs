//! Leadership of the replicated log by load: advice that costs latency at most.
//!
//! ```text
//!   member ---- Report(score, sees a majority) ---> leader     again and again
//!   leader ---- transfer ------------------------> its own log, once one is much better,
//!                                                  for long, and the leader led for long
//! ```
//!
//! The log elects its own leader, whatever the loads are. This component runs beside
//! it and only ever asks for the engine's own transfer of leadership, which the log
//! does to a voter that has caught up and while no change of its membership is under
//! way. So a wrong score, a late report, or a bug in here moves a leader for nothing,
//! and loses nothing.
//!
//! When it asks: a member whose score (see
//! [`election::score`](crate::protocol::election::score)) is better by 15 points and
//! by 30 %, in each report for [`Config::sustained`], which is heard, not suspected,
//! and itself hears a majority. And only a leader asks that led for
//! [`Config::tenure`] and has not asked for as long: with a quarter of an hour, two
//! moves of a group are at least that far apart, so there are four an hour at most,
//! and nobody has to share a count.
//!
//! O. Ongaro, *Consensus: Bridging Theory and Practice*, 2014, section 3.10 (leadership
//! transfer extension).

mod component;
mod config;
#[cfg(test)]
mod tests;

pub use component::{Message, NAME, Steered, Steering, Timer};
pub use config::Config;
#[doc(hidden)]
pub use config::Mutant;
