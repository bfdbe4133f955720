//! Links over real sockets, on loopback with the system's ports: what the
//! tests share.

mod altered;
mod clients;
mod links;
mod refusals;

use bytes::Bytes;
use nodewright::component::{Lane, PeerChange, To};
use nodewright::id::{Kind, Life, NodeId};
use nodewright::transport::keys::{ClusterSecret, KeyPair};
use nodewright::transport::{Bound, Config, Credentials, Inbound, Links, PeerAddr, Security, Sink};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const TALK: Kind = Kind::of("talk");
const DIALECT: Kind = Kind::of("dialect");

/// What one node's sink was told.
#[derive(Default, Debug, Clone)]
struct Told {
    received: BTreeMap<(Life, Lane), Vec<Bytes>>,
    credits: BTreeMap<Life, u64>,
    changes: Vec<PeerChange>,
    outlived: Option<u64>,
    dialects: Vec<Vec<u8>>,
    /// Something came from a life that had not joined or was over.
    out_of_turn: Vec<Life>,
    linked: BTreeSet<Life>,
}

#[derive(Default)]
struct Recorder {
    told: Mutex<Told>,
    change: Condvar,
}

impl Recorder {
    fn note(&self, note: impl FnOnce(&mut Told)) {
        note(&mut self.told.lock().expect("no panic in a sink"));
        self.change.notify_all();
    }

    /// Waits for a condition; gives what was told, or panics with it.
    #[track_caller]
    fn wait(&self, what: &str, until: impl Fn(&Told) -> bool) -> Told {
        self.wait_until(what, until).clone()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, until: impl Fn(&Told) -> bool) -> MutexGuard<'_, Told> {
        let deadline = Instant::now() + PATIENCE;
        let mut told = self.told.lock().expect("no panic in a sink");
        while !until(&told) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what}: {:?} {:?}", told.changes, told.outlived);
            told = self.change.wait_timeout(told, left).expect("no panic in a sink").0;
        }
        told
    }

    #[track_caller]
    fn wait_joined(&self, life: Life) {
        self.wait(&format!("{life} joined"), |told| told.linked.contains(&life));
    }
}

impl Sink for Recorder {
    fn received(&self, from: Life, blocks: &mut Vec<Inbound>, credits: &[(Kind, u64)]) {
        self.note(|told| {
            if !told.linked.contains(&from) {
                told.out_of_turn.push(from);
            }
            for inbound in blocks.drain(..) {
                assert_eq!(inbound.component, TALK);
                told.received.entry((from, inbound.lane)).or_default().push(inbound.block);
            }
            *told.credits.entry(from).or_default() += credits.iter().map(|(_, bytes)| bytes).sum::<u64>();
        });
    }
    fn peer(&self, change: PeerChange) {
        self.note(|told| {
            match &change {
                PeerChange::Joined { life, .. } => told.linked.insert(*life),
                PeerChange::Ended { life, .. } => told.linked.remove(life),
            };
            told.changes.push(change);
        });
    }
    fn dialect(&self, component: Kind, mut connection: TcpStream, mut first: Vec<u8>) {
        assert_eq!(component, DIALECT);
        let _ = connection.read_to_end(&mut first);
        self.note(|told| told.dialects.push(first));
    }
    fn outlived(&self, at_least: u64, _why: String) {
        self.note(|told| told.outlived = Some(at_least));
    }
}

struct Node {
    life: Life,
    links: Links,
    sink: Arc<Recorder>,
}

fn life(name: &str, incarnation: u64) -> Life {
    Life::new(NodeId::from_name(name), incarnation)
}

fn secured(secret: &ClusterSecret) -> Security {
    Security::Secured(Arc::new(Credentials::new(secret.clone(), KeyPair::generate().expect("random"))))
}

fn secret() -> ClusterSecret {
    ClusterSecret::generate().expect("random")
}

fn config(name: &str, security: &Security) -> Config {
    let mut config = Config::new(life(name, 1), name, ([127, 0, 0, 1], 0).into());
    config.security = security.clone();
    config.provides = vec![(TALK, "talk".to_string())];
    config.dialects = vec![(b"GET ", DIALECT)];
    config
}

fn start(bound: Bound, life: Life) -> Node {
    let sink = Arc::new(Recorder::default());
    let links = Links::start(bound, sink.clone()).expect("threads");
    Node { life, links, sink }
}

fn bind(config: Config) -> (Bound, Life) {
    let life = config.me;
    (Links::bind(config).expect("a free port"), life)
}

/// Nodes that list one another.
fn mesh(names: &[&str], adapt: impl Fn(&mut Config)) -> Vec<Node> {
    let secret = secret();
    let mut bound: Vec<(Bound, Life)> = names
        .iter()
        .map(|name| {
            let mut config = config(name, &secured(&secret));
            adapt(&mut config);
            bind(config)
        })
        .collect();
    let addresses: Vec<PeerAddr> = bound.iter().map(|(bound, _)| bound.local_addr().into()).collect();
    for (bound, _) in &mut bound {
        bound.set_peers(addresses.clone()).expect("few enough");
        assert_eq!(bound.voters, names.len());
    }
    bound.into_iter().map(|(bound, life)| start(bound, life)).collect()
}

fn pair() -> (Node, Node) {
    let mut nodes = mesh(&["alpha", "beta"], |_| {}).into_iter();
    (nodes.next().expect("two"), nodes.next().expect("two"))
}

fn say(node: &Node, to: To, lane: Lane, text: impl Into<Bytes>) {
    node.links.push(to, lane, TALK, text.into());
}

#[track_caller]
fn wait_refused(node: &Node, reason: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !node.links.counters().refused.contains_key(reason) {
        assert!(Instant::now() < deadline, "no '{reason}' in {:?}", node.links.counters());
        std::thread::yield_now();
    }
}
