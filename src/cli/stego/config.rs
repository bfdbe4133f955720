//! The configuration files of the service: servers' and clients'. Every key is
//! honoured; one that is not known is refused by its name.

use crate::cli::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server's file.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFile {
    pub(super) server: Server,
    pub(super) peers: Peers,
    #[serde(default)]
    pub(super) election: Election,
    #[serde(default)]
    pub(super) encryption: Encryption,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    /// From 1.
    pub(super) id: u32,
    /// Where it links with the others, and where clients reach it.
    pub(super) address: String,
    /// The image for clients that send only a secret.
    pub(super) cover_image: Option<PathBuf>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Peers {
    pub(super) peers: Vec<Peer>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) id: u32,
    pub(super) address: String,
}

/// Seconds, whole or not.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Election {
    pub(super) heartbeat_interval_secs: f64,
    pub(super) election_timeout_secs: f64,
    pub(super) failure_timeout_secs: f64,
    pub(super) monitor_interval_secs: f64,
}

impl Default for Election {
    fn default() -> Self {
        Election {
            heartbeat_interval_secs: 1.0,
            election_timeout_secs: 2.0,
            failure_timeout_secs: 3.0,
            monitor_interval_secs: 1.0,
        }
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Encryption {
    pub(super) thread_pool_size: u32,
    pub(super) max_queue_size: u32,
}

impl Default for Encryption {
    fn default() -> Self {
        Encryption { thread_pool_size: 4, max_queue_size: 100 }
    }
}

/// A client's file.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFile {
    pub(super) client: Client,
    #[serde(default)]
    pub(super) requests: Requests,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) server_addresses: Vec<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Requests {
    pub(super) rate_per_second: f64,
    pub(super) duration_seconds: f64,
    /// Pause after each answer.
    pub(super) request_processing_ms: u64,
    /// Goes into the report.
    pub(super) load_per_request: f64,
}

impl Default for Requests {
    fn default() -> Self {
        Requests { rate_per_second: 1.0, duration_seconds: 60.0, request_processing_ms: 0, load_per_request: 0.1 }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    toml::from_str(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

impl ServerFile {
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let file: ServerFile = read(path)?;
        match file.fault() {
            Some(why) => Err(Failure::usage(format!("{}: {why}", path.display()))),
            None => Ok(file),
        }
    }

    fn fault(&self) -> Option<String> {
        let mut ids: Vec<u32> = self.peers.peers.iter().map(|peer| peer.id).chain([self.server.id]).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("the id {} is given twice", twice[0]));
        }
        if ids.contains(&0) {
            return Some("ids begin with 1".into());
        }
        let Election { heartbeat_interval_secs, election_timeout_secs, failure_timeout_secs, monitor_interval_secs } =
            self.election;
        for (key, value) in [
            ("election.heartbeat_interval_secs", heartbeat_interval_secs),
            ("election.election_timeout_secs", election_timeout_secs),
            ("election.failure_timeout_secs", failure_timeout_secs),
            ("election.monitor_interval_secs", monitor_interval_secs),
        ] {
            if !(0.01..=86_400.0).contains(&value) {
                return Some(format!("{key} = {value}: take 0.01 to 86400 seconds"));
            }
        }
        if self.encryption.thread_pool_size == 0 || self.encryption.thread_pool_size > 1024 {
            let given = self.encryption.thread_pool_size;
            return Some(format!("encryption.thread_pool_size = {given}: take 1 to 1024 threads"));
        }
        None
    }
}

impl ClientFile {
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let file: ClientFile = read(path)?;
        let Requests { rate_per_second: rate, duration_seconds: duration, .. } = file.requests;
        let why = if file.client.server_addresses.is_empty() {
            "client.server_addresses is empty".to_string()
        } else if !(rate > 0.0 && rate <= 1e6) {
            format!("requests.rate_per_second = {rate}: take more than 0")
        } else if !(0.0..=1e9).contains(&duration) {
            format!("requests.duration_seconds = {duration}: take 0 or more")
        } else {
            return Ok(file);
        };
        Err(Failure::usage(format!("{}: {why}", path.display())))
    }
}

/// Seconds of a file.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}
