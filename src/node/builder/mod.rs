//! The builder: one chain of calls by value, checked as a whole when the node
//! is planned or started.

mod closures;
mod knobs;
mod links;
mod parts;

use knobs::Settings;

use super::callbacks::Callbacks;
use super::services::Handlers;
use crate::component::{Manifest, Part, WiringFault};
use crate::id::NodeId;
use crate::protocol::delivery::Delivery;
use crate::protocol::election::By;
use crate::protocol::failure_detector;
use crate::transport::PeerAddr;
use crate::transport::keys::{ClusterSecret, PublicKey};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;

/// A node under construction: see [the module](crate::node) for a whole one.
///
/// Calls may come in any order. Values that are no good are kept as faults and
/// reported by [`Node::plan`] and [`Node::start`], together with everything
/// that is wrong with the composition.
pub struct Node {
    pub(in crate::node) name: String,
    pub(in crate::node) id: Option<NodeId>,
    pub(in crate::node) port: u16,
    pub(in crate::node) most_peers: usize,
    pub(in crate::node) listen: Option<String>,
    pub(in crate::node) advertise: Option<String>,
    pub(in crate::node) secret: Option<Secret>,
    pub(in crate::node) key_file: Option<PathBuf>,
    pub(in crate::node) allowed_keys: Option<BTreeSet<PublicKey>>,
    pub(in crate::node) pinned_keys: Vec<(String, PublicKey)>,
    pub(in crate::node) insecure: bool,
    pub(in crate::node) peers: Vec<PeerAddr>,
    pub(in crate::node) joins: Vec<PeerAddr>,
    pub(in crate::node) dir: Option<PathBuf>,
    pub(in crate::node) trace: Option<PathBuf>,
    pub(in crate::node) detectors: Vec<(failure_detector::Config, String)>,
    pub(in crate::node) assume_synchrony: bool,
    pub(in crate::node) deliveries: Vec<(Delivery, String)>,
    /// The call that asked for total order, and the one that gives it a log.
    pub(in crate::node) total: Option<String>,
    pub(in crate::node) log: Option<String>,
    pub(in crate::node) documents: DocumentsAsked,
    pub(in crate::node) ring: super::ring::Asked,
    #[cfg(feature = "http")]
    pub(in crate::node) http: super::http::Asked,
    /// By what its leader is elected, and the call that says so.
    pub(in crate::node) election: Option<(By, String)>,
    /// Whether a minority may have a leader, although there is a log.
    pub(in crate::node) allow_minority: bool,
    pub(in crate::node) steered: Option<String>,
    pub(in crate::node) lamport_clock: bool,
    pub(in crate::node) vector_clock: bool,
    pub(in crate::node) own: Vec<Part>,
    pub(in crate::node) callbacks: Callbacks,
    pub(in crate::node) handlers: Handlers,
    pub(in crate::node) settings: Settings,
    pub(in crate::node) faults: Vec<WiringFault>,
}

/// What was asked of the document store, each with the call that asked.
#[derive(Clone, Default)]
pub(in crate::node) struct DocumentsAsked {
    pub(in crate::node) call: Option<String>,
    pub(in crate::node) collections: Option<(Vec<String>, String)>,
    pub(in crate::node) bytes_max: Option<(u64, String)>,
}

/// Where the cluster secret comes from.
#[derive(Clone)]
pub(in crate::node) enum Secret {
    File(PathBuf),
    Given(ClusterSecret),
}

/// Names are told in the handshake and stand in file and thread names.
const NAME_BYTES_MAX: usize = 64;

impl Node {
    /// A node named `name` that listens on `port` (0: the system chooses) and
    /// links to at most `most_peers` others; a later one is refused by name.
    /// It listens on loopback only, until [`Node::listen`] says otherwise.
    pub fn new(name: impl Into<String>, port: u16, most_peers: usize) -> Self {
        let name = name.into();
        let mut node = Node {
            id: None,
            port,
            most_peers,
            listen: None,
            advertise: None,
            secret: None,
            key_file: None,
            allowed_keys: None,
            pinned_keys: Vec::new(),
            insecure: false,
            peers: Vec::new(),
            joins: Vec::new(),
            dir: None,
            trace: None,
            detectors: Vec::new(),
            assume_synchrony: false,
            deliveries: Vec::new(),
            total: None,
            log: None,
            documents: DocumentsAsked::default(),
            ring: super::ring::Asked::default(),
            #[cfg(feature = "http")]
            http: super::http::Asked::default(),
            election: None,
            allow_minority: false,
            steered: None,
            lamport_clock: false,
            vector_clock: false,
            own: Vec::new(),
            callbacks: Callbacks::default(),
            handlers: Handlers::default(),
            settings: Settings::default(),
            faults: Vec::new(),
            name,
        };
        if let Some(problem) = name_fault(&node.name) {
            node.bad(format!("Node::new({:?}, ..)", node.name), problem, "Node::new(\"alpha\", 8888, 5)");
        }
        node
    }

    /// Notes a value that is no good.
    pub(in crate::node) fn bad(&mut self, call: impl Into<String>, problem: impl Display, mend: impl Into<String>) {
        let (call, problem, mend) = (call.into(), problem.to_string(), mend.into());
        self.faults.push(WiringFault::BadValue { call, problem, mend });
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id, where it is not to be derived from the name. Ids are totally
    /// ordered, and two nodes of one id refuse each other.
    pub fn id(mut self, id: NodeId) -> Self {
        if id.is_client() {
            self.bad(format!(".id({id})"), "this is a client's id", "an id below 2^63");
        }
        self.id = Some(id);
        self
    }

    /// The deliveries asked for by name.
    pub(in crate::node) fn asked_deliveries(&self) -> Vec<Delivery> {
        self.deliveries.iter().map(|(delivery, _)| *delivery).collect()
    }

    pub(in crate::node) fn app_manifest(&self) -> Manifest {
        self.callbacks.manifest(&self.asked_deliveries())
    }
}

/// Why no node can have this name.
fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("the name is empty".to_string())
    } else if name.len() > NAME_BYTES_MAX {
        Some(format!("the name has more than {NAME_BYTES_MAX} bytes"))
    } else if name.contains(|c: char| c.is_control() || c.is_whitespace() || "@/\\".contains(c)) {
        Some("the name has blanks, control characters, '@' or '/'".to_string())
    } else {
        None
    }
}
