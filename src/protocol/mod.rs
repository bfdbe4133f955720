//! Protocols: pure components that the drivers run.

mod backlog;
pub mod clock;
pub mod delivery;
pub mod election;
pub mod failure_detector;
pub mod link;
pub mod membership;
pub mod ordering;
pub mod recorded;
#[cfg(feature = "replicated_log")]
pub mod replicated_log;
#[cfg(feature = "replicated_log")]
pub mod replicated_map;
pub mod request;
#[cfg(feature = "replicated_log")]
pub mod steering;

#[cfg(test)]
mod driven;
