//! Election in the simulator: batches of whole runs, in both modes.

use crate::sim_delivery::holds;

#[test]
fn textbook_mode() {
    holds("sim_election::textbook_mode", "election.textbook", 60);
}

#[cfg(feature = "replicated_log")]
#[test]
fn safe_mode() {
    holds("sim_election::safe_mode", "election.safe", 40);
}
