//! Settings of a server.

use super::frame::LIMIT_BYTES_MAX;
use crate::service::stego::Limits;
use bytes::Bytes;
use std::time::Duration;

/// How a server works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients reach it, `host:port`: what assignments say.
    pub address: String,
    /// Tasks that run at the same time: 4. No more than the node has workers, or
    /// they wait a second time.
    pub workers: u32,
    /// Tasks that wait for one of them: 100. A further one is told that there is no
    /// room, and the leader looks elsewhere.
    pub queue_max: u32,
    /// How often the own load is told to the others: 250 ms. Longer makes the
    /// leader's picture older, not wrong: it counts what it assigns itself.
    pub publish_every: Duration,
    /// How often the leader looks for tasks of fallen servers, beside whenever one
    /// is suspected: 250 ms.
    pub look_every: Duration,
    /// How long the leader's answer is awaited: 2 s.
    pub leader_within: Duration,
    /// How long after its election a leader waits for the word of a server that it
    /// has never heard, before it counts as fallen: 2 s.
    pub unheard_after: Duration,
    /// Tasks that nobody acknowledges leave the history after so long: 10 min, by
    /// the leader's clock, from when it first saw them.
    pub keep: Duration,
    /// Most open tasks; a further one is refused.
    pub history_max: usize,
    /// Longest frame of a client: 100 MiB; at most 128 MiB less one byte.
    pub frame_bytes_max: usize,
    /// Bytes that all clients' frames may declare at a time: 1 GiB. Who comes then
    /// waits. Nothing is allocated for them but what arrives.
    pub declared_bytes_max: usize,
    /// How long a frame may take to arrive, from its first byte: 30 s.
    pub frame_within: Duration,
    /// How long a connection may be silent between frames: 5 min.
    pub idle_within: Duration,
    /// Most connections of clients; a further one is let go.
    pub clients_max: usize,
    /// The server's own image, for clients that send only a secret.
    pub cover: Option<Bytes>,
    /// What an image may take.
    pub limits: Limits,
    /// Publishes [`TaskDone`](super::TaskDone) with every result.
    pub publish_results: bool,
    /// Publishes what checkers ask for.
    #[doc(hidden)]
    pub traced: bool,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            address: String::new(),
            workers: 4,
            queue_max: 100,
            publish_every: Duration::from_millis(250),
            look_every: Duration::from_millis(250),
            leader_within: Duration::from_secs(2),
            unheard_after: Duration::from_secs(2),
            keep: Duration::from_secs(600),
            history_max: 100_000,
            frame_bytes_max: 100 << 20,
            declared_bytes_max: 1 << 30,
            frame_within: Duration::from_secs(30),
            idle_within: Duration::from_secs(300),
            clients_max: 200,
            cover: None,
            limits: Limits::default(),
            publish_results: false,
            traced: false,
            mutant: None,
        }
    }
}

impl Config {
    /// What is wrong with these values, and what would be right.
    pub fn fault(&self) -> Option<String> {
        if self.workers == 0 {
            return Some("no worker: take at least one".into());
        }
        if self.frame_bytes_max > LIMIT_BYTES_MAX || self.frame_bytes_max < 64 << 10 {
            let most = LIMIT_BYTES_MAX;
            return Some(format!("frames of {} bytes: take 65536 to {most}", self.frame_bytes_max));
        }
        if self.declared_bytes_max < self.frame_bytes_max {
            return Some("less room for all frames than for one".into());
        }
        let least = Duration::from_millis(10);
        if self.publish_every < least || self.look_every < least {
            return Some(format!(
                "{:?} or {:?} between two looks: take at least {least:?}",
                self.publish_every, self.look_every
            ));
        }
        None
    }
}

/// Bugs for the tests to catch.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A leader assigns whether or not its epoch is over.
    NoFence,
    /// An acknowledgement is recorded whether or not an earlier one was.
    RecordedTwice,
    /// What a fallen server had is not assigned anew.
    OrphansForgotten,
    /// A server does a task whatever the fence that comes with it.
    FenceUnchecked,
    /// A task that finds no room is dropped.
    OverflowDropped,
    /// Results are remembered by the request's number alone, whosever it is.
    RememberedByNumber,
}
