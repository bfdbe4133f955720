//! How one server does, as it says itself.

use serde::{Deserialize, Serialize};

/// Answered by every server by itself, without any election.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// The server's id.
    pub server: u64,
    /// Its name.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// The load score, 0 to 100; none before the first sample.
    pub load: Option<f64>,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that wait for a worker.
    pub queued: u32,
    /// Most tasks that may wait.
    pub queued_max: u32,
    /// Worker threads.
    pub workers: u32,
    /// Results given.
    pub served: u64,
    /// Tasks for which there is no result: the payload does not fit, say.
    pub failed: u64,
    /// Tasks that found no room here.
    pub full: u64,
    /// Tasks that came with a fence that was over, or that had moved on.
    pub fenced: u64,
    /// Acknowledgements that this server recorded.
    pub recorded: u64,
    /// What this server assigned while it led.
    pub assigned: u64,
    /// What it assigned anew: its server fell or was full.
    pub reassigned: u64,
    /// Open tasks in the history.
    pub open: u64,
    /// The leader's id, as known here.
    pub leader: Option<u64>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// Connected clients.
    pub clients: u64,
    /// Connections that were cut: no frame in time, a frame beyond the limit, junk.
    pub cut: u64,
    /// Server verbs of strangers.
    pub forged: u64,
}
