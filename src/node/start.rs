//! From a resolved composition to a running node: addresses, keys, directory.

use super::app;
use super::builder::{Node, Secret};
use super::compose::Composed;
use super::error::StartError;
use super::running::{Running, Started};
use super::watch;
use crate::component::{WiringFault, WiringReport};
use crate::id::{Kind, Life, NodeId};
use crate::protocol;
use crate::runtime::{self, Recording};
use crate::transport::keys::{ClusterSecret, KeyPair};
use crate::transport::{self, Credentials, PeerAddr, Security};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

type Faults = Vec<WiringFault>;

/// The file in a joiner's directory that tells where the members are.
const MEMBERS: &str = "members";

/// A node that listens but does not run: for those who learn the peers'
/// addresses only when all have theirs.
pub struct Bound {
    prepared: runtime::Prepared,
    composed: Composed,
    name: String,
    /// Where clients reach the node's services, to be filled in.
    reached_at: std::sync::Arc<std::sync::OnceLock<String>>,
    #[cfg(feature = "http")]
    front: Option<super::http::Front>,
}

impl Node {
    /// Starts the node.
    ///
    /// # Errors
    /// All that is wrong with values and composition, in one report; or what
    /// the machine refused (a port in use, a directory that cannot be written).
    pub fn start(self) -> Result<Running, StartError> {
        self.bind()?.start()
    }

    /// Listens without starting: the port is the node's, and nobody is
    /// answered yet.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn bind(mut self) -> Result<Bound, StartError> {
        self.joined_before()?;
        let closures = self.take_closures();
        let composed = self.compose(closures, true);
        let machine = self.machine();
        let (composed, (listen, advertise, security)) = match (composed, machine) {
            (Ok(composed), Ok(machine)) => (composed, machine),
            (composed, machine) => {
                let faults = composed.err().into_iter().flat_map(|report| report.faults);
                let faults = faults.chain(machine.err().into_iter().flatten()).collect();
                return Err(WiringReport { node: self.name, faults }.into());
            }
        };
        #[cfg(feature = "http")]
        let front = self.bind_http().map_err(|faults| WiringReport { node: self.name.clone(), faults })?;
        let reached_at = self.ring.address.clone();
        if let Some(advertised) = &self.advertise {
            // else where it listens, once the port is known
            let _ = reached_at.set(advertised.clone());
        }
        let id = self.id.unwrap_or_else(|| NodeId::from_name(&self.name));
        let joiner = self.is_joiner();
        let mut links = transport::Config::new(Life::new(id, 0), &self.name, listen);
        links.advertise = advertise;
        links.peers = self.peers;
        links.members_file = self.dir.as_ref().map(|dir| dir.join(MEMBERS));
        links.joiner = joiner;
        links.join = self.joins;
        links.max_peers = self.most_peers;
        links.security = security;
        let mut options = runtime::Options::new(&self.name);
        options.id = id;
        options.dir = self.dir;
        options.links = Some(links);
        options.workers = self.settings.workers;
        options.recording = self.trace.map(|path| Recording {
            path: trace_file(path, &self.name),
            bytes_max: self.settings.trace_bytes_max,
            user: Kind::of(app::NAME),
            event: protocol::recorded::record,
        });
        let prepared = runtime::Prepared::new(composed.stack.clone(), options);
        let prepared = prepared.map_err(|why| refused(&self.name, why))?;
        Ok(Bound {
            prepared,
            composed,
            name: self.name,
            reached_at,
            #[cfg(feature = "http")]
            front,
        })
    }

    /// A joiner's directory knows the members: it needs no sponsor again.
    fn joined_before(&mut self) -> Result<(), StartError> {
        let Some(dir) = self.dir.as_ref().filter(|_| self.log.is_some() && self.peers.is_empty()) else {
            return Ok(());
        };
        let file = dir.join(MEMBERS);
        let kept = transport::acquainted(&file).map_err(|why| {
            let mend = "name a member by .joins([..]) and remove the file";
            refused(&self.name, format!("{}: {why}: {mend}", file.display()))
        })?;
        for member in kept {
            if !self.joins.contains(&member) {
                self.joins.push(member);
            }
        }
        Ok(())
    }

    /// What has to be looked up on this machine: addresses and key files.
    fn machine(&self) -> Result<(SocketAddr, Option<SocketAddr>, Security), Faults> {
        let listen = address("listen", &self.listen_text());
        let advertise = self.advertise.as_ref().map(|text| address("advertise", text)).transpose();
        match (listen, advertise, self.security()) {
            (Ok(listen), Ok(_), Ok(Security::LoopbackOnly)) if !listen.ip().is_loopback() => Err(bad(
                format!(".listen(\"{listen}\")"),
                "others can reach this address, and there is no secret",
                ".secret_file(\"cluster.secret\") (`nodewright keygen` makes one), or .insecure()",
            )),
            (Ok(listen), Ok(advertise), Ok(security)) => Ok((listen, advertise, security)),
            (listen, advertise, security) => {
                Err([listen.err(), advertise.err(), security.err()].into_iter().flatten().flatten().collect())
            }
        }
    }

    fn security(&self) -> Result<Security, Faults> {
        let secret = match &self.secret {
            None if self.insecure => return Ok(Security::Insecure),
            None => return Ok(Security::LoopbackOnly),
            Some(Secret::Given(secret)) => Ok(secret.clone()),
            Some(Secret::File(path)) => ClusterSecret::load(path)
                .map_err(|error| bad(format!(".secret_file({path:?})"), error, "`nodewright keygen` makes a secret")),
        };
        let keys = self.keys();
        match (secret, keys) {
            (Ok(secret), Ok(keys)) => {
                let own = self.pinned_keys.iter().find(|(name, key)| *name == self.name && *key != keys.public());
                if let Some((name, pinned)) = own {
                    return Err(bad(
                        format!(".pin_key({name:?}, \"{pinned}\")"),
                        format!("this node's own key is {}", keys.public()),
                        ".key_file(\"node.key\") with the private key of what is pinned, or pin this one",
                    ));
                }
                let mut credentials = Credentials::new(secret, keys);
                credentials.allowed = self.allowed_keys.clone();
                credentials.pinned = self.pinned_keys.iter().cloned().collect();
                Ok(Security::Secured(Arc::new(credentials)))
            }
            (secret, keys) => Err([secret.err(), keys.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// The key of the key file; else one that is kept in the directory; else a
    /// new one.
    fn keys(&self) -> Result<KeyPair, Faults> {
        if let Some(path) = &self.key_file {
            let no_key = |error| bad(format!(".key_file({path:?})"), error, "`nodewright keygen` makes a key");
            return KeyPair::load(path).map_err(no_key);
        }
        let made = match &self.dir {
            Some(dir) => kept_key(dir),
            None => KeyPair::generate().map_err(|error| error.to_string()),
        };
        made.map_err(|error| bad(".secret(..)".into(), error, ".key_file(\"node.key\")"))
    }
}

/// In a directory, a file that tells the node and when it started.
fn trace_file(path: PathBuf, name: &str) -> PathBuf {
    if !path.is_dir() {
        return path;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    path.join(format!("{name}.{}.trace", since.as_millis()))
}

fn address(call: &str, text: &str) -> Result<SocketAddr, Faults> {
    let mend = format!(".{call}(\"127.0.0.1:8888\")");
    let mut addresses = text.to_socket_addrs().map_err(|why| bad(format!(".{call}(\"{text}\")"), why, &mend))?;
    addresses.next().ok_or_else(|| bad(format!(".{call}(\"{text}\")"), "the host has no address", mend))
}

fn refused(node: &str, why: impl ToString) -> StartError {
    StartError::Refused { node: node.into(), why: why.to_string() }
}

impl Bound {
    /// Where the node listens.
    pub fn local_addr(&self) -> SocketAddr {
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        self.prepared.local_addr().unwrap_or(unset) // bound always, with links
    }

    /// Replaces the voters' addresses; the own one may be among them.
    ///
    /// # Errors
    /// More than may be linked.
    pub fn has_peers(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Self, StartError> {
        let peers = addresses.into_iter().map(PeerAddr::from).collect();
        self.prepared.set_peers(peers).map_err(|why| refused(&self.name, why))?;
        Ok(self)
    }

    /// Starts the node.
    ///
    /// # Errors
    /// What the machine refused.
    pub fn start(self) -> Result<Running, StartError> {
        let _ = self.reached_at.set(self.local_addr().to_string()); // unless it was advertised
        let Composed { plan, shared, stats, clocks, .. } = self.composed;
        let handle = self.prepared.start().map_err(|why| refused(&self.name, why))?;
        stats.started(handle.clone());
        shared.windows.open_first(handle.life());
        let node = Arc::new(Started {
            handle,
            shared,
            plan,
            stats,
            clocks,
            name: self.name,
            #[cfg(feature = "http")]
            serving: super::http::Serving::default(),
        });
        watch::over(&node).map_err(|why| refused(&node.name, why))?;
        #[cfg(feature = "http")]
        if let Some(front) = self.front
            && let Err(why) = front.serve(&node)
        {
            node.handle.stop();
            return Err(why);
        }
        Ok(Running { node })
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bound({} at {})", self.name, self.local_addr())
    }
}

/// Starts all of `nodes` in this process, each a voter, on the addresses that
/// the system gives them.
///
/// # Errors
/// As [`Node::start`]; those that run already are stopped.
pub fn start_together(nodes: impl IntoIterator<Item = Node>) -> Result<Vec<Running>, StartError> {
    let bound = nodes.into_iter().map(Node::bind).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<_> = bound.iter().map(Bound::local_addr).collect();
    let mut running = Vec::<Running>::new();
    for node in bound {
        match node.has_peers(addresses.iter().copied()).and_then(Bound::start) {
            Ok(started) => running.push(started),
            Err(why) => {
                running.iter().for_each(Running::stop);
                return Err(why);
            }
        }
    }
    Ok(running)
}

fn kept_key(dir: &Path) -> Result<KeyPair, String> {
    let path = dir.join("node.key");
    if path.exists() {
        return KeyPair::load(&path).map_err(|error| error.to_string());
    }
    let keys = KeyPair::generate().map_err(|error| error.to_string())?;
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    keys.create(&path).map_err(|error| error.to_string())?;
    Ok(keys)
}

fn bad(call: String, problem: impl ToString, mend: impl Into<String>) -> Faults {
    vec![WiringFault::BadValue { call, problem: problem.to_string(), mend: mend.into() }]
}
