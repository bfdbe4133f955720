//! The builder: one chain of calls by value, checked as a whole when the node
//! is planned or started.

use super::app;
use super::callbacks::Callbacks;
use super::message::{Incoming, Message, MessageType, Typed};
use super::services::{Asked, Handlers};
use crate::component::{Factory, NetComponent, Part, WiringFault};
use crate::event::Event;
use crate::id::NodeId;
use crate::protocol::delivery::Delivery;
use crate::protocol::failure_detector;
use crate::protocol::request::Params;
use crate::transport::keys::{ClusterSecret, PublicKey};
use crate::transport::{Limits, PeerAddr};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A node under construction: see [the module](super) for a whole one.
///
/// Calls may come in any order. Values that are no good are kept as faults and
/// reported by [`Node::plan`] and [`Node::start`], together with everything
/// that is wrong with the composition.
pub struct Node {
    pub(super) name: String,
    pub(super) id: Option<NodeId>,
    pub(super) port: u16,
    pub(super) most_peers: usize,
    pub(super) listen: Option<String>,
    pub(super) advertise: Option<String>,
    pub(super) secret: Option<Secret>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) allowed_keys: Option<BTreeSet<PublicKey>>,
    pub(super) insecure: bool,
    pub(super) peers: Vec<PeerAddr>,
    pub(super) joins: Vec<PeerAddr>,
    pub(super) dir: Option<PathBuf>,
    pub(super) limits: Limits,
    pub(super) detectors: Vec<(failure_detector::Config, String)>,
    pub(super) assume_synchrony: bool,
    pub(super) deliveries: Vec<(Delivery, String)>,
    pub(super) lamport_clock: bool,
    pub(super) vector_clock: bool,
    pub(super) own: Vec<Part>,
    pub(super) callbacks: Callbacks,
    pub(super) handlers: Handlers,
    pub(super) settings: Settings,
    pub(super) faults: Vec<WiringFault>,
}

/// Where the cluster secret comes from.
#[derive(Clone)]
pub(super) enum Secret {
    File(PathBuf),
    Given(ClusterSecret),
}

/// Knobs with defaults.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) exclude_after: Duration,
    pub(super) unstable_bytes_max: u64,
    pub(super) window_bytes: u64,
    pub(super) slow_callback_after: Duration,
    pub(super) workers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            exclude_after: Duration::from_secs(30),
            unstable_bytes_max: 4 << 20,
            window_bytes: 4 << 20,
            slow_callback_after: Duration::from_secs(1),
            workers: 2,
        }
    }
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
            insecure: false,
            peers: Vec::new(),
            joins: Vec::new(),
            dir: None,
            limits: Limits::default(),
            detectors: Vec::new(),
            assume_synchrony: false,
            deliveries: Vec::new(),
            lamport_clock: false,
            vector_clock: false,
            own: Vec::new(),
            callbacks: Callbacks::default(),
            handlers: Handlers::default(),
            settings: Settings::default(),
            faults: Vec::new(),
            name,
        };
        let problem = match &node.name {
            name if name.is_empty() => Some("the name is empty".to_string()),
            name if name.len() > NAME_BYTES_MAX => Some(format!("the name has more than {NAME_BYTES_MAX} bytes")),
            name if name.contains(|c: char| c.is_control() || c.is_whitespace() || "@/\\".contains(c)) => {
                Some("the name has blanks, control characters, '@' or '/'".to_string())
            }
            _ => None,
        };
        if let Some(problem) = problem {
            node.bad(format!("Node::new({:?}, ..)", node.name), problem, "Node::new(\"alpha\", 8888, 5)");
        }
        node
    }

    /// Notes a value that is no good.
    pub(super) fn bad(&mut self, call: impl Into<String>, problem: impl Display, mend: impl Into<String>) {
        let (call, problem, mend) = (call.into(), problem.to_string(), mend.into());
        self.faults.push(WiringFault::BadValue { call, problem, mend });
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

    // Where it listens, and who may link

    /// Listens on this address, `host:port` or a host alone for the port given
    /// to [`Node::new`]. Anything but loopback needs a secret or
    /// [`Node::insecure`].
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Tells peers this address in place of the one listened on: for a node
    /// behind a translated address.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Seals links with the cluster secret in this file, the same on all
    /// nodes; `nodewright keygen` makes it.
    pub fn secret_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.secret = Some(Secret::File(path.into()));
        self
    }

    /// Seals links with this cluster secret.
    pub fn secret(mut self, secret: ClusterSecret) -> Self {
        self.secret = Some(Secret::Given(secret));
        self
    }

    /// The file with this node's private key, needed where others list the
    /// keys that they allow. Without one a key is kept in the node's directory,
    /// or made anew for every life.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// Links only to nodes with these public keys (`nwp1-...`). Without this
    /// call everyone who has the secret may link.
    pub fn allow_keys<K: AsRef<str>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().filter_map(|key| self.read::<PublicKey>("allow_keys", key.as_ref(), "nwp1-..."));
        let keys: Vec<_> = keys.collect();
        self.allowed_keys.get_or_insert_default().extend(keys);
        self
    }

    /// Listens and links without any sealing, on whatever address: everyone who
    /// reaches the port may link, read and write.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// The voters: `host:port` or `name@host:port`, the same list on all nodes.
    /// The own address is recognised and dropped. The number of voters never
    /// changes while a cluster runs; majorities are majorities of this list.
    pub fn has_peers<A: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        for address in addresses {
            let read = self.read("has_peers", address.as_ref(), "host:port");
            self.peers.extend(read);
        }
        self
    }

    /// Joins as a *listener* through one of these members: it receives
    /// everything, has no vote and cannot broadcast.
    pub fn joins<A: AsRef<str>>(mut self, sponsors: impl IntoIterator<Item = A>) -> Self {
        for address in sponsors {
            let read = self.read("joins", address.as_ref(), "host:port");
            self.joins.extend(read);
        }
        self
    }

    /// Reads one value of a list; what does not read becomes a fault.
    fn read<T: FromStr<Err: Display>>(&mut self, call: &str, text: &str, shape: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.bad(format!(".{call}([\"{text}\"])"), why, format!(".{call}([\"{shape}\"])"));
                None
            }
        }
    }

    /// The node's directory: its incarnation, its key and what components
    /// keep. Without one a node has no memory of earlier lives; its incarnation
    /// follows the wall clock.
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dir = Some(path.into());
        self
    }

    // Failure detectors

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
    pub fn has_failure_detector(self, timeout: Duration, period: Duration) -> Self {
        let call = format!(".has_failure_detector({timeout:?}, {period:?})");
        self.detector(failure_detector::Config::fixed(timeout, period), call)
    }

    /// Suspects after a silence of `initial`, and grows that peer's timeout by
    /// `step` with every mistake: in the end it makes none, where delays have
    /// any bound at all (eventually perfect).
    pub fn has_growing_detector(self, initial: Duration, step: Duration, period: Duration) -> Self {
        let call = format!(".has_growing_detector({initial:?}, {step:?}, {period:?})");
        self.detector(failure_detector::Config::growing(initial, step, period), call)
    }

    /// Judges a silence by the intervals seen so far (phi accrual): suspects
    /// from `threshold` on, where 8 means one mistake in 10^8 regular
    /// intervals. The default, with 8 and a heartbeat every 200 ms.
    pub fn has_phi_detector(self, threshold: f64, period: Duration) -> Self {
        let call = format!(".has_phi_detector({threshold:?}, {period:?})");
        self.detector(failure_detector::Config::phi(threshold, period), call)
    }

    /// You warrant that no correct node and no link is ever slower than the
    /// fixed timeout. All-ack delivery rests on it: where it does not hold,
    /// that delivery's guarantee does not either.
    pub fn assume_synchrony(mut self) -> Self {
        self.assume_synchrony = true;
        self
    }

    // Deliveries

    /// Saying again that it has a delivery says nothing new.
    fn delivery(mut self, delivery: Delivery, call: impl Into<String>) -> Self {
        if !self.asked_deliveries().contains(&delivery) {
            self.deliveries.push((delivery, call.into()));
        }
        self
    }

    /// Best effort: if the sender is correct, every correct node delivers.
    pub fn has_best_effort_delivery(self) -> Self {
        self.delivery(Delivery::BestEffort, ".has_best_effort_delivery()")
    }

    /// Reliable: all correct nodes deliver the same, even if the sender fails.
    pub fn has_reliable_delivery(self) -> Self {
        self.delivery(Delivery::Reliable, ".has_reliable_delivery()")
    }

    /// Uniform: what anyone delivered, also one that failed since, every
    /// correct node delivers. Needs a majority of the voters up.
    pub fn has_uniform_reliable_delivery(self) -> Self {
        self.delivery(Delivery::Uniform, ".has_uniform_reliable_delivery()")
    }

    /// Delivered once every node that is not suspected holds it. Needs
    /// [`Node::assume_synchrony`] and the fixed timeout.
    pub fn has_uniform_reliable_delivery_all_ack(self) -> Self {
        self.delivery(Delivery::UniformAllAck, ".has_uniform_reliable_delivery_all_ack()")
    }

    /// Any rung of the ladder: `Delivery::Uniform.causal()`.
    pub fn has_delivery(self, delivery: Delivery) -> Self {
        self.delivery(delivery, format!(".has_delivery(Delivery::{delivery:?})"))
    }

    // Clocks

    /// A Lamport clock: stamps deliveries, read by
    /// [`Running::lamport`](super::Running::lamport).
    pub fn has_lamport_clock(mut self) -> Self {
        self.lamport_clock = true;
        self
    }

    /// A vector clock: stamps deliveries, read by
    /// [`Running::vector`](super::Running::vector).
    pub fn has_vector_clock(mut self) -> Self {
        self.vector_clock = true;
        self
    }

    // The user's own

    /// A component of your own: the same contract, both drivers. `make` is
    /// called for every life of the node.
    pub fn has_component<C: NetComponent>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        let factory = Factory::new(make);
        let call = format!(".has_component(|| {})", factory.manifest().name);
        self.own.push(Part::new(factory, call));
        self
    }

    /// Calls `call` on every message of this type as it is *delivered*, and on
    /// news of nodes. If no delivery of that guarantee is composed, the
    /// unordered one is added.
    pub fn on_receive_message(
        mut self,
        message_type: MessageType,
        call: impl FnMut(&Incoming<'_>) + Send + 'static,
    ) -> Self {
        self.callbacks.on_message(message_type, call);
        self
    }

    /// Calls `call` on every message of type `T` that `delivery` delivers; the
    /// delivery is added if it is not composed.
    pub fn on<T: Message + 'static>(
        mut self,
        delivery: Delivery,
        call: impl FnMut(Typed<'_, T>) + Send + 'static,
    ) -> Self {
        self.callbacks.on_typed(delivery, call);
        self
    }

    /// Calls `call` on every event of type `E` that a component of this node
    /// publishes; retained ones come first.
    pub fn on_event<E: Event>(mut self, call: impl FnMut(&E) + Send + 'static) -> Self {
        self.callbacks.on_event(call);
        self
    }

    /// Answers requests of type `Q`. An `Err` refuses: it says that nothing
    /// was done. Handlers have a thread of their own, apart from the callbacks.
    pub fn on_request<Q: Message + 'static, R: Message + 'static>(
        mut self,
        handle: impl FnMut(Asked<Q>) -> Result<R, String> + Send + 'static,
    ) -> Self {
        let added = self.handlers.on_request(handle);
        self.one_handler(added, "on_request")
    }

    /// Answers requests of type `Q` right where they arrive, which saves a
    /// hand-over between threads (about 20 us). Only for short handlers that
    /// never block: until one returns, nothing else arrives from that peer.
    pub fn on_short_request<Q: Message + 'static, R: Message + 'static>(
        mut self,
        handle: impl Fn(Asked<Q>) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self {
        let added = self.handlers.on_short_request(handle);
        self.one_handler(added, "on_short_request")
    }

    /// A named service on bytes, for clients and nodes alike. An `Err` refuses:
    /// it says that nothing was done.
    pub fn on_service(
        mut self,
        name: &str,
        handle: impl FnMut(&Params, &[u8]) -> Result<Vec<u8>, String> + Send + 'static,
    ) -> Self {
        let added = self.handlers.on_service(name, handle);
        self.one_handler(added, "on_service")
    }

    fn one_handler(mut self, added: Result<(), std::sync::Arc<str>>, call: &str) -> Self {
        if let Err(name) = added {
            self.bad(format!(".{call}(..)"), format!("'{name}' has a handler already"), "keep one of the two calls");
        }
        self
    }

    // Knobs

    /// A life that is suspected, or holds a delivery back, for this long is
    /// accused; a majority of accusations ends it. Many times the detector's
    /// timeout. Longer forgives longer pauses, shorter frees memory sooner.
    /// 30 s; at least 100 ms.
    pub fn exclude_after(mut self, time: Duration) -> Self {
        self.settings.exclude_after = time;
        self
    }

    /// Bytes held for one delivery because some life does not acknowledge,
    /// beyond which that life is accused of holding back. Larger bears longer
    /// pauses and costs that much memory per origin. 4 MiB; at least 64 KiB.
    pub fn unstable_bytes_max(mut self, bytes: u64) -> Self {
        self.at_least("unstable_bytes_max", bytes, 64 << 10);
        self.settings.unstable_bytes_max = bytes;
        self
    }

    /// Bytes broadcast by one delivery and not yet released, at which
    /// `broadcast` waits and `try_broadcast` is refused. Larger is faster over
    /// long links; all memory of deliveries is a multiple of it. 4 MiB; at
    /// least 64 KiB.
    pub fn window_bytes(mut self, bytes: u64) -> Self {
        self.at_least("window_bytes", bytes, 64 << 10);
        self.settings.window_bytes = bytes;
        self
    }

    /// Callbacks that take longer for one batch or event are reported: a
    /// warning, a count, and the event [`SlowCallback`](super::SlowCallback).
    /// 1 s.
    pub fn slow_callback_after(mut self, time: Duration) -> Self {
        self.settings.slow_callback_after = time;
        self
    }

    /// Threads for components' long jobs, made when first needed. 2; at least 1.
    pub fn workers(mut self, threads: usize) -> Self {
        self.at_least("workers", threads as u64, 1);
        self.settings.workers = threads;
        self
    }

    fn at_least(&mut self, call: &str, value: u64, least: u64) {
        if value < least {
            self.bad(format!(".{call}({value})"), format!("at least {least} is needed"), format!(".{call}({least})"));
        }
    }

    /// The deliveries asked for by name.
    pub(super) fn asked_deliveries(&self) -> Vec<Delivery> {
        self.deliveries.iter().map(|(delivery, _)| *delivery).collect()
    }

    pub(super) fn app_manifest(&self) -> crate::component::Manifest {
        app::manifest(&self.callbacks, &self.asked_deliveries())
    }
}
