//! Where a node listens, who may link, and whom it knows.

use super::{Node, Secret, name_fault};
use crate::transport::keys::{ClusterSecret, PublicKey};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

impl Node {
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

    /// Binds a name to a public key (`nwp1-...`): who comes under this name, or
    /// with the id that follows from it, with another key is refused, counted
    /// and named. A pinned key needs no place in [`Node::allow_keys`]. The own
    /// name may be pinned, so that all nodes have the same list; its key must
    /// then be this node's.
    ///
    /// A pin keeps others from a name. That nobody takes a voter's place under
    /// another name is said by `name@host:port` in [`Node::has_peers`].
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::transport::keys::{ClusterSecret, KeyPair};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let beta = KeyPair::generate()?.public().to_string(); // printed by `nodewright keygen` on beta
    /// let node = Node::new("alpha", 0, 5)
    ///     .secret(ClusterSecret::generate()?)
    ///     .has_peers(["beta@127.0.0.1:8888"])
    ///     .pin_key("beta", beta);
    /// assert!(node.plan().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn pin_key(mut self, name: impl Into<String>, key: impl AsRef<str>) -> Self {
        let (name, key) = (name.into(), key.as_ref());
        let doubled = self.pinned_keys.iter().any(|(pinned, _)| *pinned == name);
        let fault = name_fault(&name).or_else(|| doubled.then(|| "this name is pinned already".to_string()));
        let read = key.parse::<PublicKey>().map_err(|error| error.to_string());
        let call = format!(".pin_key({name:?}, {key:?})");
        for problem in fault.iter().chain(read.as_ref().err()) {
            self.bad(&call, problem, ".pin_key(\"beta\", \"nwp1-...\"), once for each name");
        }
        if let (None, Ok(key)) = (fault, read) {
            self.pinned_keys.push((name, key));
        }
        self
    }

    /// Listens and links without any sealing, on whatever address: everyone who
    /// reaches the port may link, read and write.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// The voters: `host:port` or `name@host:port`, the same list on all nodes.
    /// The own address is recognised and dropped. Majorities are majorities of this
    /// list. It does not change while a cluster runs; but with a replicated log it
    /// is only the first of several: who [`Node::joins`] comes to vote as well, in
    /// all deliveries, and who is removed from the log votes nowhere.
    pub fn has_peers<A: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        for address in addresses {
            let read = self.read("has_peers", address.as_ref(), "host:port");
            self.peers.extend(read);
        }
        self
    }

    /// Joins a cluster that has no such node in its lists, through one of these
    /// members.
    ///
    /// With a replicated log it becomes a member of that: it links with all
    /// members, catches up, and votes once it has, where fewer than five do. From
    /// then on it broadcasts and receives by all other deliveries too, the same on all
    /// nodes; before, they are silent, and refuse what it sends. Its directory
    /// remembers the members, so that its next start needs no call of this. Without
    /// a log it is a *listener*: it receives what is broadcast, has no vote and
    /// cannot broadcast.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let delta = Node::new("delta", 0, 8).joins(["127.0.0.1:7001"]).has_replicated_log("data");
    /// assert!(delta.plan().is_ok());
    /// ```
    pub fn joins<A: AsRef<str>>(mut self, sponsors: impl IntoIterator<Item = A>) -> Self {
        for address in sponsors {
            let read = self.read("joins", address.as_ref(), "host:port");
            self.joins.extend(read);
        }
        self
    }

    /// Whether it joins a replicated log.
    pub(in crate::node) fn is_joiner(&self) -> bool {
        !self.joins.is_empty() && self.log.is_some()
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

    /// Records all that happens on this node into a new file, off by default:
    /// broadcasts, deliveries, suspicions, frames, lives, as a
    /// [trace](crate::trace) that `nodewright check` judges and `nodewright
    /// trace` draws. In a directory, a file `<name>.<milliseconds>.trace`.
    ///
    /// A thread of its own writes; nothing waits for it. What it cannot keep
    /// up with is left out, counted, and marked in the trace.
    pub fn trace(mut self, path: impl Into<PathBuf>) -> Self {
        self.trace = Some(path.into());
        self
    }
}
