//! The components that a node is composed of: detectors, deliveries, clocks.

use super::Node;
use crate::protocol::delivery::Delivery;
use crate::protocol::election::By;
use crate::protocol::failure_detector;
use std::time::Duration;

impl Node {
    fn detector(mut self, config: failure_detector::Config, call: String) -> Self {
        if let Some(problem) = config.fault() {
            self.bad(&call, problem, ".has_failure_detector(Duration::from_secs(5), Duration::from_millis(500))");
        }
        self.detectors.push((config, call));
        self
    }

    /// Suspects after a silence of `timeout`, with a heartbeat every `period`;
    /// the timeout is several periods. Shorter notices sooner and is wrong more
    /// often. Accurate only where [`Node::assume_synchrony`] holds.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use std::time::Duration;
    ///
    /// let node = Node::new("alpha", 0, 5).has_failure_detector(Duration::from_secs(5), Duration::from_millis(500));
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_failure_detector(self, timeout: Duration, period: Duration) -> Self {
        let call = format!(".has_failure_detector({timeout:?}, {period:?})");
        self.detector(failure_detector::Config::fixed(timeout, period), call)
    }

    /// Suspects after a silence of `initial`, and grows that peer's timeout by
    /// `step` with every mistake: in the end it makes none, where delays have
    /// any bound at all (eventually perfect).
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use std::time::Duration;
    ///
    /// let node = Node::new("alpha", 0, 5).has_growing_detector(Duration::from_secs(1), Duration::from_millis(500), Duration::from_millis(200));
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_growing_detector(self, initial: Duration, step: Duration, period: Duration) -> Self {
        let call = format!(".has_growing_detector({initial:?}, {step:?}, {period:?})");
        self.detector(failure_detector::Config::growing(initial, step, period), call)
    }

    /// Judges a silence by the intervals seen so far (phi accrual): suspects
    /// from `threshold` on, where 8 means one mistake in 10^8 regular
    /// intervals. The default, with 8 and a heartbeat every 200 ms.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use std::time::Duration;
    ///
    /// let node = Node::new("alpha", 0, 5).has_phi_detector(8.0, Duration::from_millis(200));
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_phi_detector(self, threshold: f64, period: Duration) -> Self {
        let call = format!(".has_phi_detector({threshold:?}, {period:?})");
        self.detector(failure_detector::Config::phi(threshold, period), call)
    }

    /// You warrant that no correct node and no link is ever slower than the
    /// fixed timeout. All-ack delivery rests on it: where it does not hold,
    /// that delivery's guarantee does not either.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use std::time::Duration;
    ///
    /// let node = Node::new("alpha", 0, 5).has_failure_detector(Duration::from_secs(5), Duration::from_millis(500)).assume_synchrony();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn assume_synchrony(mut self) -> Self {
        self.assume_synchrony = true;
        self
    }

    // Deliveries

    /// Saying again that it has a delivery says nothing new.
    fn delivery(mut self, delivery: Delivery, call: impl Into<String>) -> Self {
        if delivery == Delivery::Total {
            self.total = Some(call.into()); // the log's
        } else if !self.asked_deliveries().contains(&delivery) {
            self.deliveries.push((delivery, call.into()));
        }
        self
    }

    /// Best effort: if the sender is correct, every correct node delivers.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_best_effort_delivery();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_best_effort_delivery(self) -> Self {
        self.delivery(Delivery::BestEffort, ".has_best_effort_delivery()")
    }

    /// Reliable: all correct nodes deliver the same, even if the sender fails.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_reliable_delivery();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_reliable_delivery(self) -> Self {
        self.delivery(Delivery::Reliable, ".has_reliable_delivery()")
    }

    /// Uniform: what anyone delivered, also one that failed since, every
    /// correct node delivers. Needs a majority of the voters up.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_uniform_reliable_delivery();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_uniform_reliable_delivery(self) -> Self {
        self.delivery(Delivery::Uniform, ".has_uniform_reliable_delivery()")
    }

    /// Delivered once every node that is not suspected holds it. Needs
    /// [`Node::assume_synchrony`] and the fixed timeout.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_uniform_reliable_delivery_all_ack();
    /// assert!(node.plan().is_err(), "nobody assumed synchrony");
    /// ```
    pub fn has_uniform_reliable_delivery_all_ack(self) -> Self {
        self.delivery(Delivery::UniformAllAck, ".has_uniform_reliable_delivery_all_ack()")
    }

    /// Any rung of the ladder: `Delivery::Uniform.causal()`.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::protocol::delivery::Delivery;
    ///
    /// let node = Node::new("alpha", 0, 5).has_delivery(Delivery::Uniform.causal());
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_delivery(self, delivery: Delivery) -> Self {
        self.delivery(delivery, format!(".has_delivery(Delivery::{delivery:?})"))
    }

    // The replicated log

    /// One log for all voters, on their disks: [`Delivery::Total`] (uniform
    /// total-order broadcast) and the replicated map. Needs the crate's feature
    /// `replicated_log`, which is on by default. `dir` is the
    /// node's directory, as [`Node::dir`] says; the log is kept in a part of it. The
    /// same on all voters. A majority of them must be up for anything to be
    /// delivered; two voters stop when one is down.
    ///
    /// The log also says who votes in the node's other deliveries, which wait until
    /// it does: the first time, until all configured voters have met.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_replicated_log("data/alpha");
    /// # #[cfg(feature = "replicated_log")]
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_replicated_log(self, dir: impl Into<std::path::PathBuf>) -> Self {
        let dir = dir.into();
        let call = format!(".has_replicated_log({dir:?})");
        self.log_at(dir, call)
    }

    pub(in crate::node) fn log_at(mut self, dir: std::path::PathBuf, call: String) -> Self {
        if let Some(other) = self.dir.as_ref().filter(|other| **other != dir) {
            let problem = format!("a node has one directory, and this one has {} already", other.display());
            self.bad(&call, problem, "give both calls the same directory");
        }
        self.dir = Some(dir);
        self.log = Some(call);
        self
    }

    // Services

    /// The document store: collections of JSON documents on all voters, synced on a
    /// majority before anything is acknowledged. It stands on the replicated log, which
    /// comes with it, in the directory `dir` as [`Node::has_replicated_log`] says. The
    /// same on all voters. Needs the crate's feature `documents`, which is on by default.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_documents("data/alpha").collections(["people"]);
    /// # #[cfg(feature = "documents")]
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_documents(mut self, dir: impl Into<std::path::PathBuf>) -> Self {
        let dir = dir.into();
        let call = format!(".has_documents({dir:?})");
        self.documents.call = Some(call.clone());
        self.log_at(dir, call)
    }

    /// Collections of the document store that are made at start where they are not
    /// there.
    pub fn collections<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let call = format!(".collections({names:?})");
        self.documents.collections = Some((names, call));
        self
    }

    /// Bytes that the document store holds in memory, with its indexes; beyond them
    /// writes are refused. Default 1 GiB; the same on all voters.
    pub fn documents_bytes_max(mut self, bytes: u64) -> Self {
        let call = format!(".documents_bytes_max({bytes})");
        if bytes < 1 << 20 {
            self.bad(&call, "less than 1 MiB is no room for documents", ".documents_bytes_max(1 << 30)");
        }
        self.documents.bytes_max = Some((bytes, call));
        self
    }

    /// Answers HTTP at `address` (`host:port`): the REST front of the document store,
    /// described at `/v1/openapi.json`. Anything but loopback needs
    /// [`Node::http_token_file`]. Needs the crate's feature `http`, which is on by
    /// default.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_documents("data/alpha").has_http("127.0.0.1:8080");
    /// assert!(node.plan().is_ok());
    /// ```
    #[cfg(feature = "http")]
    pub fn has_http(mut self, address: impl Into<String>) -> Self {
        let address = address.into();
        let call = format!(".has_http({address:?})");
        self.http.listen = Some((address, call));
        self
    }

    /// The token that each HTTP request has to carry, as `Authorization: Bearer`: one
    /// line of a file.
    #[cfg(feature = "http")]
    pub fn http_token_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.http.token_file = Some(path.into());
        self
    }

    /// The same, given.
    #[cfg(feature = "http")]
    pub fn http_token(mut self, token: crate::http::Token) -> Self {
        self.http.token = Some(token);
        self
    }

    // The election of a leader

    /// One of the voters leads, the same for all: elected by Bully, by id (the
    /// highest wins) or by load (the least loaded wins; needs the crate's feature
    /// `load`, which is on by default). The same on all voters.
    ///
    /// Over a replicated log (*safe mode*): at most one leader an
    /// [`Epoch`](crate::protocol::election::Epoch), under any fault, and none
    /// without a majority. Without one (*textbook mode*): whoever is left leads, so
    /// there is one a side in a partition. Every change is told by
    /// [`LeaderElected`](crate::protocol::election::LeaderElected); receivers of a
    /// leader's commands refuse lower epochs by a
    /// [`Fence`](crate::protocol::election::Fence).
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::protocol::election::{By, LeaderElected};
    ///
    /// let node = Node::new("alpha", 0, 5)
    ///     .has_election(By::Id)
    ///     .on_event::<LeaderElected>(|it| println!("{} leads in epoch {}", it.leader, it.epoch));
    /// let plan = node.plan().expect("all that it needs has a default").to_string();
    /// assert!(plan.contains("textbook mode"), "there is no log: {plan}");
    /// ```
    pub fn has_election(mut self, by: By) -> Self {
        let call = format!(".has_election(By::{by:?})");
        if self.election.as_ref().is_some_and(|(other, _)| *other != by) {
            self.bad(&call, "the leader is elected by id or by load, not by both", "keep one of the two calls");
        }
        if by == By::Load && cfg!(not(feature = "load")) {
            self.bad(&call, "this program was built without measuring load", "build it with the feature `load`");
        }
        self.election = Some((by, call));
        self
    }

    /// Whoever is left leads, although there is a log: election in textbook mode.
    /// A minority that is cut off has a leader of its own.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::protocol::election::By;
    ///
    /// let node = Node::new("alpha", 0, 5).has_replicated_log("data/alpha").has_election(By::Id).allow_minority();
    /// # #[cfg(feature = "replicated_log")]
    /// assert!(node.plan().expect("complete").to_string().contains("textbook mode"));
    /// ```
    pub fn allow_minority(mut self) -> Self {
        self.allow_minority = true;
        self
    }

    /// The replicated log's leader moves to a voter that is much less loaded (by 15
    /// points and 30 % for 30 s), after it led for a quarter of an hour: so four times
    /// an hour at most. Advice only: a wrong score costs latency, never data; see
    /// [`steering`](crate::protocol::steering). The same on all nodes. Needs a log, and
    /// the crate's feature `load`, which is on by default.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_documents("data/alpha").log_leader_by_load();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn log_leader_by_load(mut self) -> Self {
        let call = ".log_leader_by_load()";
        if cfg!(not(feature = "load")) {
            self.bad(call, "this program was built without measuring load", "build it with the feature `load`");
        }
        self.steered = Some(call.into());
        self
    }

    // Clocks

    /// A Lamport clock: stamps deliveries, read by
    /// [`Running::lamport`](crate::node::Running::lamport).
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_lamport_clock();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_lamport_clock(mut self) -> Self {
        self.lamport_clock = true;
        self
    }

    /// A vector clock: stamps deliveries, read by
    /// [`Running::vector`](crate::node::Running::vector).
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).has_vector_clock();
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_vector_clock(mut self) -> Self {
        self.vector_clock = true;
        self
    }
}
