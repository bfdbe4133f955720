//! What a node's links are told before they start.

use super::Refusal;
use super::keys::{ClusterSecret, KeyPair, PublicKey};
use super::planted::{Mutant, Planted};
use crate::id::{Kind, Life, NodeId};
use crate::protocol::link::{self, FrameHeader};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Everything that links need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's life.
    pub me: Life,
    /// This node's name.
    pub name: Arc<str>,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The address told to peers, where it is not the one listened on.
    pub advertise: Option<SocketAddr>,
    /// The voters' addresses; this node's own may be among them.
    pub peers: Vec<PeerAddr>,
    /// Sponsors: with any, this node is a listener and links to one of them.
    pub join: Vec<PeerAddr>,
    /// With sponsors: whether this node is a joiner, which links with all members
    /// rather than with one sponsor.
    pub joiner: bool,
    /// Where a joiner keeps the addresses that it is told: [`super::acquainted`]
    /// reads them.
    pub members_file: Option<PathBuf>,
    /// Most peers linked, clients not counted; a later one is refused by name.
    pub max_peers: usize,
    /// Who may link.
    pub security: Security,
    /// Bounds.
    pub limits: Limits,
    /// Components that this node has: kind and name.
    pub provides: Vec<(Kind, String)>,
    /// First bytes of client dialects, and the components that speak them.
    pub dialects: Vec<(&'static [u8], Kind)>,
    /// Settings of the perfect links.
    pub link: link::Config,
    /// The zero of [`crate::time::Time`].
    pub origin: Instant,
    /// Who is told of frames, if anyone.
    pub watch: Option<FrameWatch>,
    #[cfg(test)]
    pub(crate) planted: Planted,
}

/// What a frame does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Passing {
    /// It is about to be written.
    Sent,
    /// It arrived and is taken.
    Arrived,
}

type Tell = dyn Fn(Time, Passing, Life, &FrameHeader) + Send + Sync;

/// Is told of each frame with its peer. Called under the link's lock: it
/// must neither wait nor call back.
#[derive(Clone)]
pub struct FrameWatch(Arc<Tell>);

impl FrameWatch {
    /// Calls `tell`.
    pub fn new(tell: impl Fn(Time, Passing, Life, &FrameHeader) + Send + Sync + 'static) -> Self {
        FrameWatch(Arc::new(tell))
    }

    pub(super) fn tell(&self, at: Time, passing: Passing, peer: Life, header: &FrameHeader) {
        (self.0)(at, passing, peer, header);
    }
}

impl fmt::Debug for FrameWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameWatch")
    }
}

impl Config {
    /// A node alone on loopback, with the usual bounds.
    pub fn new(me: Life, name: &str, listen: SocketAddr) -> Self {
        Config {
            me,
            name: name.into(),
            listen,
            advertise: None,
            peers: Vec::new(),
            join: Vec::new(),
            joiner: false,
            members_file: None,
            max_peers: 64,
            security: Security::LoopbackOnly,
            limits: Limits::default(),
            provides: Vec::new(),
            dialects: Vec::new(),
            link: link::Config::default(),
            origin: Instant::now(),
            watch: None,
            #[cfg(test)]
            planted: Planted::default(),
        }
    }

    pub(super) fn planted(&self) -> Planted {
        #[cfg(test)]
        let planted = self.planted;
        #[cfg(not(test))]
        let planted = Planted::default();
        planted
    }
}

/// Who may link to this node, and how links are sealed.
#[derive(Clone, Debug)]
pub enum Security {
    /// Noise with the cluster secret and static keys.
    Secured(Arc<Credentials>),
    /// Not sealed, and therefore bound to loopback: nothing else is listened
    /// on or dialled.
    LoopbackOnly,
    /// Not sealed, on any address. Has to be asked for in so many words.
    Insecure,
}

/// What proves that a node belongs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The cluster secret.
    pub secret: ClusterSecret,
    /// This node's static keys.
    pub keys: KeyPair,
    /// Keys that may link; `None` lets everyone in who has the secret.
    pub allowed: Option<BTreeSet<PublicKey>>,
    /// Names that are bound to a key, and with each name the id that follows
    /// from it. A pinned key is allowed too, for its name.
    pub pinned: BTreeMap<String, PublicKey>,
    #[cfg(test)]
    pub(super) planted: Planted,
}

impl Credentials {
    /// The secret is enough.
    pub fn new(secret: ClusterSecret, keys: KeyPair) -> Self {
        Credentials {
            secret,
            keys,
            allowed: None,
            pinned: BTreeMap::new(),
            #[cfg(test)]
            planted: Planted::default(),
        }
    }

    pub(super) fn planted(&self) -> Planted {
        #[cfg(test)]
        let planted = self.planted;
        #[cfg(not(test))]
        let planted = Planted::default();
        planted
    }

    /// Whether the node named `name` with this id may link with this key.
    pub(super) fn admits(&self, name: &str, id: NodeId, key: &PublicKey) -> Result<(), Refusal> {
        // another name with a pinned one's id would be taken for it
        let pin = self.pinned.iter().find(|(pinned, _)| *pinned == name || NodeId::from_name(pinned) == id);
        match (pin, &self.allowed) {
            (Some((_, pinned)), _) if pinned == key => Ok(()),
            (Some(_), _) if self.planted().is(Mutant::PinNotConsulted) => Ok(()),
            (Some((name, _)), _) => Err(Refusal::PinnedKey { name: name.clone(), key: key.to_string() }),
            (None, Some(_)) if self.planted().is(Mutant::AllowListNotConsulted) => Ok(()),
            (None, Some(allowed)) if !allowed.contains(key) => Err(Refusal::UnknownKey { key: key.to_string() }),
            (None, _) => Ok(()),
        }
    }
}

/// Bounds against peers and strangers.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Connections that have not proven who they are; a further one pushes the
    /// oldest out.
    pub half_open_max: usize,
    /// How long a handshake may take.
    pub handshake_within: Duration,
    /// Clients linked at the same time.
    pub clients_max: usize,
    /// How long a connection attempt may take.
    pub connect_within: Duration,
    /// Longest pause between two attempts to reach a peer; the first comes
    /// after a fiftieth of it.
    pub redial_after_max: Duration,
    /// How long a leaving node waits for its peers to take what is queued.
    pub leave_within: Duration,
    /// A connection whose other end does not answer for this long is cut.
    pub unanswered_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            half_open_max: 64,
            handshake_within: Duration::from_secs(5),
            clients_max: 256,
            connect_within: Duration::from_secs(2),
            redial_after_max: Duration::from_secs(1),
            leave_within: Duration::from_secs(1),
            unanswered_max: Duration::from_secs(10),
        }
    }
}

/// A peer's configured address: `host:port` or `name@host:port`.
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct PeerAddr {
    /// The node's name, where it is given.
    pub name: Option<String>,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl PeerAddr {
    /// The addresses that the host has now; empty if it has none.
    pub(super) fn resolve(&self) -> Vec<SocketAddr> {
        (self.host.as_str(), self.port).to_socket_addrs().map(Iterator::collect).unwrap_or_default()
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        PeerAddr { name: None, host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Text that is no peer address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("'{text}' is no peer address ({why}): write host:port or name@host:port")]
pub struct PeerAddrError {
    text: String,
    why: &'static str,
}

impl FromStr for PeerAddr {
    type Err = PeerAddrError;

    fn from_str(text: &str) -> Result<Self, PeerAddrError> {
        let wrong = |why| PeerAddrError { text: text.to_string(), why };
        let (name, address) = match text.trim().split_once('@') {
            Some(("", _)) => return Err(wrong("the name is empty")),
            Some((name, address)) => (Some(name.to_string()), address),
            None => (None, text.trim()),
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        let port = match port.parse::<u16>() {
            Ok(0) => return Err(wrong("port 0 cannot be dialled")),
            Ok(port) => port,
            Err(_) => return Err(wrong("the port is no number up to 65535")),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match inner {
            Some(inner) if inner.parse::<IpAddr>().is_ok() => inner,
            Some(_) => return Err(wrong("what stands in brackets is no address")),
            None if host.is_empty() => return Err(wrong("there is no host")),
            None if host.contains(':') => return Err(wrong("an IPv6 address stands in brackets")),
            None if host.contains(|c: char| c.is_whitespace() || c == '/') => return Err(wrong("the host is no name")),
            None => host,
        };
        Ok(PeerAddr { name, host: host.to_string(), port })
    }
}

/// Why links cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}: {error}; choose another with .listen(\"host:port\") or stop what uses it")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others could reach it, and nothing keeps strangers out.
    #[error(
        "{address} can be reached from other machines but there is no cluster secret: add .secret_file(\"cluster.secret\") \
         (`nodewright keygen` makes one), or write .insecure() if everyone may link"
    )]
    Unsecured {
        /// The address listened on or dialled.
        address: String,
    },
    /// More voters than may be linked.
    #[error("{configured} other peers are configured but at most {max} may be linked: raise the node's most peers")]
    TooManyPeers {
        /// Other voters in the list.
        configured: usize,
        /// The limit.
        max: usize,
    },
    /// A member's id has the bit that marks clients.
    #[error("{0} is a client's id, not a member's")]
    ClientId(NodeId),
    /// Keys.
    #[error(transparent)]
    Key(#[from] super::keys::KeyError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_addresses_are_read_or_refused_with_the_reason() {
        let read = |text: &str| text.parse::<PeerAddr>().map(|addr| addr.to_string()).map_err(|e| e.why);
        assert_eq!(read("172.28.0.2:8888"), Ok("172.28.0.2:8888".into()));
        assert_eq!(read(" alpha@node-a:8888 "), Ok("alpha@node-a:8888".into()));
        assert_eq!(read("[::1]:80"), Ok("[::1]:80".into()));
        assert_eq!(read("node-a"), Err("there is no port"));
        assert_eq!(read("node-a:99999"), Err("the port is no number up to 65535"));
        assert_eq!(read("node-a:0"), Err("port 0 cannot be dialled"));
        assert_eq!(read("::1:80"), Err("an IPv6 address stands in brackets"));
        assert_eq!(read("@a:1"), Err("the name is empty"));
        assert_eq!(read(":80"), Err("there is no host"));
        assert_eq!(read("http://a:80"), Err("an IPv6 address stands in brackets"));
    }
}
