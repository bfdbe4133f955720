//! From builder calls to a stack: the only place that knows every component.

use super::app::{App, Recipe, Shared};
use super::builder::{Node, Secret};
use super::callbacks::Callbacks;
use super::roster::Roster;
use super::services::{Handlers, Services};
use super::shelf::Shelf;
use super::stats::Stats;
use super::watch::Busy;
use super::window::Windows;
use crate::component::{
    Catalogue, Factory, Manifest, Part, Plan, Stack, WhenMissing, WiringFault, WiringReport, resolve,
};
use crate::protocol::clock::{Clocks, LamportClock, VectorTime};
use crate::protocol::delivery::{self, Broadcast, Delivery};
use crate::protocol::election::{self, Election, Mode};
use crate::protocol::failure_detector::{self, Detector};
use crate::protocol::link;
use crate::protocol::membership::{self, Membership};
use crate::protocol::request::{self, Requests};
use std::sync::Arc;

/// A resolved node: what drivers run, what the plan says, and what the handle
/// shares with the components.
pub(super) struct Composed {
    pub(super) stack: Stack,
    pub(super) plan: Plan,
    pub(super) shared: Arc<Shared>,
    pub(super) stats: Stats,
    pub(super) clocks: Clocks,
}

/// The user's closures, and what is known of them without running one.
pub(super) struct Closures {
    manifest: Manifest,
    routes: request::Config,
    callbacks: Callbacks,
    handlers: Handlers,
}

impl Node {
    /// What the node consists of, and why; nothing is started.
    ///
    /// # Errors
    /// Everything that is wrong, each with the line that mends it.
    pub fn plan(&self) -> Result<Plan, WiringReport> {
        // Nothing runs, so no closure is needed.
        let closures = Closures {
            manifest: self.app_manifest(),
            routes: self.handlers.routes(),
            callbacks: Callbacks::default(),
            handlers: Handlers::default(),
        };
        self.compose(closures, false).map(|composed| composed.plan)
    }

    /// The stack for [`sim::World`](crate::sim::World): the same composition
    /// in virtual time. Callbacks run inline; addresses, secret and directory
    /// have no meaning there.
    ///
    /// # Errors
    /// As [`Node::plan`].
    pub fn into_stack(mut self) -> Result<Stack, WiringReport> {
        let closures = self.take_closures();
        self.compose(closures, false).map(|composed| composed.stack)
    }

    pub(super) fn take_closures(&mut self) -> Closures {
        Closures {
            manifest: self.app_manifest(),
            routes: self.handlers.routes(),
            callbacks: std::mem::take(&mut self.callbacks),
            handlers: std::mem::take(&mut self.handlers),
        }
    }

    /// Resolves the composition; callbacks are timed where a clock is.
    pub(super) fn compose(&self, closures: Closures, timed: bool) -> Result<Composed, WiringReport> {
        let Closures { manifest, routes, callbacks, handlers } = closures;
        let shared = Arc::new(Shared {
            windows: Windows::new(self.settings.window_bytes),
            roster: Roster::default(),
            busy: Busy::default(),
            slow_after: self.settings.slow_callback_after,
        });
        let stats = Stats::new(&self.name, shared.clone());
        let clocks = self.clocks();
        let recipe = Recipe { manifest, shelf: Shelf::new(callbacks), shared: shared.clone(), timed };
        let (shelf, for_services) = (Shelf::new(handlers), stats.clone());
        let mut parts = vec![
            Part::new(Factory::new(move || App::new(recipe.clone())), "Node::new(..)"),
            Part::new(Factory::new(move || Services::new(&shelf, for_services.clone())), "Node::new(..)"),
        ];
        parts.extend(self.detectors.iter().map(|(config, call)| self.detector_part(*config, call)));
        parts.extend(self.deliveries.iter().map(|(delivery, call)| self.delivery_part(*delivery, call, &clocks)));
        parts.extend(self.log_parts());
        parts.extend(self.election_part());
        parts.extend(self.lamport_clock.then(|| lamport_part(&clocks)));
        parts.extend(self.vector_clock.then(|| vector_part(&clocks)));
        parts.extend(self.own.iter().cloned());
        let others = self.peers.len().min(self.most_peers).max(1);
        let resolved = resolve(&self.name, parts, &self.catalogue(routes, &clocks), others);
        let faults = self.value_faults();
        match resolved {
            Ok((stack, mut plan)) if faults.is_empty() => {
                plan.about = self.about(others);
                self.state_memory(&mut plan, &clocks);
                Ok(Composed { stack, plan, shared, stats, clocks })
            }
            Ok(_) => Err(WiringReport { node: self.name.clone(), faults }),
            Err(mut report) => {
                report.faults.splice(0..0, faults);
                Err(report)
            }
        }
    }

    /// The clocks that were asked for, or that a component requires.
    fn clocks(&self) -> Clocks {
        let required = |name| self.own.iter().any(|part| part.factory.manifest().requires.contains(&name));
        Clocks::new(self.lamport_clock || required("clock.lamport"), self.vector_clock || required("clock.vector"))
    }

    fn detector_part(&self, config: failure_detector::Config, call: &str) -> Part {
        let config = if self.assume_synchrony { config.assuming_synchrony() } else { config };
        Part::new(Factory::new(move || Detector::new(config)), call)
    }

    fn delivery_part(&self, delivery: Delivery, call: &str, clocks: &Clocks) -> Part {
        let config = self.delivery_config(delivery, clocks);
        Part::new(Factory::new(move || Broadcast::new(config.clone())), call)
    }

    /// The replicated log, with the map that stands on it in all groups alike.
    #[cfg(feature = "replicated_log")]
    fn log_parts(&self) -> Vec<Part> {
        use crate::protocol::replicated_log::{Config, ReplicatedLog};
        use crate::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
        let Some(call) = &self.log else { return Vec::new() };
        let documents = self.documents.clone();
        let config = move || {
            let config = Config::default().machine(CHANNEL, || Box::new(Table::default()));
            documents_machine(&documents, config)
        };
        let log = Factory::new(move || ReplicatedLog::new(config()));
        let mut parts = vec![Part::new(log, call), Part::new(Factory::new(ReplicatedMap::default), call)];
        parts.extend(self.steered.as_ref().map(|call| {
            use crate::protocol::steering::{Config, Steering};
            Part::new(Factory::new(|| Steering::new(Config::default())), call)
        }));
        parts.extend(self.documents_part());
        parts.extend(self.ring.parts());
        parts
    }

    #[cfg(feature = "documents")]
    fn documents_part(&self) -> Option<Part> {
        use crate::service::documents::DocumentStore;
        let call = self.documents.call.as_ref()?;
        let collections = self.documents.collections.as_ref().map(|(names, _)| names.clone()).unwrap_or_default();
        Some(Part::new(Factory::new(move || DocumentStore::new(collections.clone())), call))
    }

    #[cfg(not(feature = "documents"))]
    #[cfg(feature = "replicated_log")]
    fn documents_part(&self) -> Option<Part> {
        None
    }

    #[cfg(not(feature = "replicated_log"))]
    fn log_parts(&self) -> Vec<Part> {
        Vec::new()
    }

    fn election_part(&self) -> Option<Part> {
        let (_, call) = self.election.as_ref()?;
        let config = self.election_config();
        Some(Part::new(Factory::new(move || Election::new(config)), call))
    }

    /// Safe mode where there is a log, unless a minority may have a leader.
    fn election_config(&self) -> election::Config {
        let timeout = self.settings.election_timeout;
        let safe = self.log.is_some() && !self.allow_minority;
        election::Config {
            by: self.election.as_ref().map(|(by, _)| *by).unwrap_or_default(),
            mode: if safe { Mode::Safe } else { Mode::Textbook },
            timeout,
            start_delay: timeout / 8,
            lease: timeout * 3 / 4,
            pre_emption: self.settings.election_pre_emption,
            ..election::Config::default()
        }
    }

    /// Manifests state memory for the usual window; this node's may differ.
    fn state_memory(&self, plan: &mut Plan, clocks: &Clocks) {
        let peers = plan.peers;
        for component in &mut plan.components {
            if let Ok(delivery) = component.name.parse() {
                component.memory_ceiling = Some(self.delivery_config(delivery, clocks).memory_ceiling(peers));
            }
        }
    }

    fn delivery_config(&self, delivery: Delivery, clocks: &Clocks) -> delivery::Config {
        let mut config = delivery::Config::new(delivery).clocks(clocks.clone());
        config.window_bytes = self.settings.window_bytes;
        config.origin_bytes_max = config.origin_bytes_max.max(4 * self.settings.window_bytes);
        config.unstable_bytes_max = self.settings.unstable_bytes_max;
        config.voters_by_log = self.log.is_some();
        config
    }

    /// What is added where something is missing.
    fn catalogue(&self, routes: request::Config, clocks: &Clocks) -> Catalogue {
        let exclude_after = self.settings.exclude_after;
        let members =
            membership::Config { voters_by_log: self.log.is_some(), ..membership::Config::new(exclude_after) };
        let membership = Factory::new(move || Membership::new(members));
        let requests = Factory::new(move || Requests::new(routes.clone()));
        let phi = failure_detector::Config::default();
        let mut catalogue = Catalogue::from([
            (
                "failure_detector",
                WhenMissing::Add(self.detector_part(phi, ".has_phi_detector(8.0, Duration::from_millis(200))")),
            ),
            (
                "failure_detector.accurate",
                WhenMissing::Assume {
                    assumption: "no correct node or link is ever slower than a fixed timeout",
                    mend: ".has_failure_detector(timeout, period).assume_synchrony()".into(),
                },
            ),
            (
                "delivery.total",
                WhenMissing::Assume {
                    assumption: "every voter keeps the log in a directory",
                    mend: ".has_replicated_log(\"data\")".into(),
                },
            ),
            ("membership", WhenMissing::Add(Part::new(membership, format!(".exclude_after({exclude_after:?})")))),
            ("request", WhenMissing::Add(Part::new(requests, ".on_request(..)"))),
            ("clock.lamport", WhenMissing::Add(lamport_part(clocks))),
            ("clock.vector", WhenMissing::Add(vector_part(clocks))),
        ]);
        for delivery in Delivery::ALL {
            let call = format!(".has_delivery(Delivery::{delivery:?})");
            catalogue.insert(delivery.capability(), WhenMissing::Add(self.delivery_part(delivery, &call, clocks)));
        }
        catalogue
    }

    /// What is wrong with the values, with those that only all calls together
    /// make wrong.
    fn value_faults(&self) -> Vec<WiringFault> {
        let mut faults = self.faults.clone();
        let mut bad = |call: String, problem: String, mend: &str| {
            faults.push(WiringFault::BadValue { call, problem, mend: mend.into() });
        };
        if let Some(problem) = membership::Config::new(self.settings.exclude_after).fault() {
            bad(
                format!(".exclude_after({:?})", self.settings.exclude_after),
                problem,
                ".exclude_after(Duration::from_secs(30))",
            );
        }
        if let Some(problem) = self.election_config().fault() {
            let call = format!(".election_timeout({:?})", self.settings.election_timeout);
            bad(call, problem, ".election_timeout(Duration::from_secs(2))");
        }
        if self.allow_minority && self.election.is_none() {
            let problem = "no leader is elected here, so there is nothing to allow".to_string();
            bad(".allow_minority()".into(), problem, ".has_election(By::Id)");
        }
        if let (Some(call), None) = (&self.steered, &self.log) {
            let problem = "there is no replicated log whose leader could move".to_string();
            bad(call.clone(), problem, ".has_replicated_log(\"data\")");
        }
        let listed = self.peers.len();
        if listed > self.most_peers + 1 {
            bad(
                format!("Node::new(.., {})", self.most_peers),
                format!("has_peers names {listed} addresses, at most {} others are linked", self.most_peers),
                "raise the third value of Node::new",
            );
        }
        if let (Some(call), None) = (&self.total, &self.log) {
            bad(
                call.clone(),
                "total order rests on a log in a directory, and this node has none".into(),
                ".has_replicated_log(\"data\")",
            );
        }
        if let (Some((_, call)), true) = (&self.election, self.is_joiner()) {
            bad(
                call.clone(),
                "it joins a replicated log, and whom an election knows is the configured list".into(),
                "leave it out of a node that .joins([..])",
            );
        }
        if let (Some(call), false) = (&self.log, cfg!(feature = "replicated_log")) {
            let problem = "this program was built without the replicated log".into();
            bad(call.clone(), problem, "build it with the feature `replicated_log`");
        }
        let documents = &self.documents;
        if let (Some(call), false) = (&documents.call, cfg!(feature = "documents")) {
            let problem = "this program was built without the document store".into();
            bad(call.clone(), problem, "build it with the feature `documents`");
        }
        let asked = documents.collections.iter().map(|it| &it.1).chain(documents.bytes_max.iter().map(|it| &it.1));
        for call in asked.filter(|_| documents.call.is_none()) {
            let problem = "it is about the document store, and this node has none".into();
            bad(call.clone(), problem, ".has_documents(\"data\")");
        }
        if let (Some(call), false) = (&self.ring.call, cfg!(feature = "ring")) {
            let problem = "this program was built without the ring's file store".into();
            bad(call.clone(), problem, "build it with the feature `ring`");
        }
        for call in self.ring.knobs.iter().filter(|_| self.ring.call.is_none()) {
            let problem = "it is about the ring's file store, and this node has none".into();
            bad(call.clone(), problem, ".has_ring_store(\"data\")");
        }
        #[cfg(feature = "http")]
        if let (Some((_, call)), None) = (&self.http.listen, &documents.call) {
            let problem = "the front is that of the document store, and this node has none".into();
            bad(call.clone(), problem, ".has_documents(\"data\")");
        }
        #[cfg(feature = "documents")]
        for (name, call) in
            documents.collections.iter().flat_map(|(names, call)| names.iter().map(move |it| (it, call)))
        {
            if let Err(why) = crate::service::documents::check_name(name) {
                bad(call.clone(), why.to_string(), ".collections([\"people\"])");
            }
        }
        if self.secret.is_some() && self.insecure {
            bad(
                ".insecure()".into(),
                "there is a secret, and links are to go unsealed".into(),
                "remove one of the two",
            );
        }
        if self.secret.is_none() {
            for (call, set) in [
                ("key_file", self.key_file.is_some()),
                ("allow_keys", self.allowed_keys.is_some()),
                ("pin_key", !self.pinned_keys.is_empty()),
            ] {
                if set {
                    bad(
                        format!(".{call}(..)"),
                        "keys mean nothing without a secret".into(),
                        ".secret_file(\"cluster.secret\")",
                    );
                }
            }
        }
        // A pin that misses its name protects nobody. Where an address stands
        // without a name, any may be meant.
        let known: Option<Vec<_>> = self.peers.iter().chain(&self.joins).map(|peer| peer.name.as_deref()).collect();
        let known = known.filter(|known| !known.is_empty()).unwrap_or_default();
        for (name, _) in &self.pinned_keys {
            if !known.is_empty() && *name != self.name && !known.contains(&name.as_str()) {
                bad(
                    format!(".pin_key({name:?}, ..)"),
                    format!("nobody has this name: the peers are {}", known.join(", ")),
                    "pin one of these; the key of a listener belongs into .allow_keys([..])",
                );
            }
        }
        faults
    }

    /// What the plan says of the node as a whole.
    fn about(&self, others: usize) -> Vec<(String, String)> {
        let listen = self.listen_text();
        let links = match (&self.secret, self.insecure) {
            (Some(Secret::File(path)), _) => format!("sealed by Noise, secret in {}", path.display()),
            (Some(Secret::Given(_)), _) => "sealed by Noise".into(),
            (None, true) => "not sealed: everyone who reaches the port may link".into(),
            (None, false) => "not sealed, loopback only".into(),
        };
        let role = match self.joins.len() {
            0 => format!("voter, {} addresses listed", self.peers.len()),
            n if self.is_joiner() => format!("joins the log through {n} members"),
            n => format!("listener through one of {n} sponsors"),
        };
        let in_flight = link::Config::default().window_bytes / (1 << 20);
        let memory =
            format!("at most {in_flight} MiB in flight a lane and peer, {} MiB in all", 3 * in_flight * others);
        [
            ("node", self.name.clone()),
            ("listens on", listen),
            ("links", links),
            ("role", role),
            ("links' memory", memory),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec()
    }

    /// The address to listen on, as text.
    pub(super) fn listen_text(&self) -> String {
        match &self.listen {
            None => format!("127.0.0.1:{}", self.port),
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{address}]:{}", self.port),
            Some(address) if address.ends_with(']') || !address.contains(':') => format!("{address}:{}", self.port),
            Some(address) => address.clone(),
        }
    }
}

/// The log's configuration with the machine of the document store, where it was
/// asked for.
#[cfg(feature = "documents")]
fn documents_machine(
    asked: &super::builder::DocumentsAsked,
    config: crate::protocol::replicated_log::Config,
) -> crate::protocol::replicated_log::Config {
    use crate::service::documents::{CHANNEL, Limits, Store};
    let mut limits = Limits::default();
    if let Some((bytes, _)) = asked.bytes_max {
        limits.bytes_max = bytes;
    }
    match asked.call {
        Some(_) => config.machine(CHANNEL, move || Box::new(Store::new(limits))),
        None => config,
    }
}

#[cfg(not(feature = "documents"))]
#[cfg(feature = "replicated_log")]
fn documents_machine(
    _: &super::builder::DocumentsAsked,
    config: crate::protocol::replicated_log::Config,
) -> crate::protocol::replicated_log::Config {
    config
}

fn lamport_part(clocks: &Clocks) -> Part {
    let clocks = clocks.clone();
    Part::new(Factory::new(move || LamportClock::new(clocks.clone())), ".has_lamport_clock()")
}

fn vector_part(clocks: &Clocks) -> Part {
    let clocks = clocks.clone();
    Part::new(Factory::new(move || VectorTime::new(clocks.clone())), ".has_vector_clock()")
}
