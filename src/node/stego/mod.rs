//! The steganography service on a node, and a client of it.

mod client;

pub use client::{Embedded, StegoClient, TaskError, hides_exactly};

use super::Node;
use crate::component::Part;
use crate::protocol::election::By;
use crate::service::stego::service::{Config, factory};
use std::path::PathBuf;

impl Node {
    /// The steganography service: clients reach it on the node's port. It stands on the
    /// replicated log, which comes with it, in the directory `dir` as
    /// [`Node::has_replicated_log`] says, and on a leader elected by load. The same on
    /// all voters. `config.address` is where clients reach this node. Needs the crate's
    /// feature `stego_service`, which is on by default.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::service::stego::service::Config;
    ///
    /// let config = Config { address: "127.0.0.1:8001".into(), ..Config::default() };
    /// let node = Node::new("alpha", 8001, 5).has_steganography("data/alpha", config);
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_steganography(mut self, dir: impl Into<PathBuf>, config: Config) -> Self {
        let dir = dir.into();
        let call = format!(".has_steganography({dir:?}, ..)");
        if let Some(problem) = config.fault() {
            self.bad(&call, problem, ".has_steganography(dir, Config { address, ..Config::default() })");
        }
        if config.address.is_empty() {
            let problem = "clients are told addresses, and this node has none for them";
            self.bad(&call, problem, "Config { address: \"10.0.0.1:8001\".into(), ..Config::default() }");
        }
        self.settings.workers = self.settings.workers.max(config.workers as usize);
        self.own.push(Part::new(factory(config), &call));
        self = self.has_replicated_log(dir);
        if self.election.is_none() { self.has_election(By::Load) } else { self }
    }
}
