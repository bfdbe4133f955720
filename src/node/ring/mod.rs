//! The ring's file store: what a builder says of it.

#[cfg(feature = "ring")]
mod handle;

#[cfg(feature = "ring")]
pub use crate::service::ring::durability::Durability;
#[cfg(feature = "ring")]
pub use handle::{Ring, RingError};

use super::builder::Node;
#[cfg(feature = "ring")]
use crate::service::ring::member;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Kept free on the disk, for deletions when it is full.
#[cfg(feature = "ring")]
const BALLAST_BYTES: u64 = 16 << 20;

/// What was asked of the store.
#[derive(Clone)]
pub(in crate::node) struct Asked {
    /// The call that asked for it.
    pub(in crate::node) call: Option<String>,
    /// Calls that mean nothing without it.
    pub(in crate::node) knobs: Vec<String>,
    /// Where clients reach this node: known once its port is.
    pub(in crate::node) address: Arc<OnceLock<String>>,
    copies: u8,
    min_part: u64,
    exact: bool,
    #[cfg(feature = "ring")]
    durability: Durability,
    undo: Duration,
    token: Option<Arc<str>>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked {
            call: None,
            knobs: Vec::new(),
            address: Arc::default(),
            copies: 2,
            min_part: 0,
            exact: false,
            #[cfg(feature = "ring")]
            durability: Durability::Strict,
            undo: Duration::from_secs(600),
            token: None,
        }
    }
}

impl Node {
    /// The ring's file store: files in parts, each on its owner and its backups, under
    /// names that all nodes of the ring know. Clients speak its text protocol on the
    /// node's port; `netcat` is one. It stands on the replicated log, which comes with
    /// it, in the directory `dir` as [`Node::has_replicated_log`] says, where `content/`
    /// and `backup/` hold the parts, and `ballast` keeps 16 MiB for deletions on a full
    /// disk. The same on all voters. Needs the crate's feature `ring`, which is on by
    /// default.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 7000, 5).has_ring_store("nodes/7000").ring_copies(2);
    /// # #[cfg(feature = "ring")]
    /// assert!(node.plan().is_ok());
    /// ```
    pub fn has_ring_store(mut self, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let call = format!(".has_ring_store({dir:?})");
        self.ring.call = Some(call.clone());
        self.log_at(dir, call)
    }

    /// How many copies of each part there are to be: 2 unless said, 1 to 8.
    pub fn ring_copies(mut self, copies: u8) -> Self {
        let call = format!(".ring_copies({copies})");
        if !(1..=8).contains(&copies) {
            self.bad(&call, "a part has 1 to 8 copies", ".ring_copies(2)");
        }
        self.ring.knobs.push(call);
        self.ring.copies = copies;
        self
    }

    /// Files are cut into fewer parts rather than into ones shorter than this, in
    /// bytes: small files are then on few nodes. 0, the default: always one part for
    /// each node.
    pub fn ring_min_part(mut self, bytes: u64) -> Self {
        self.ring.knobs.push(format!(".ring_min_part({bytes})"));
        self.ring.min_part = bytes;
        self
    }

    /// Parts are 1/n of a file to the byte, where they would be cut at whole MiB.
    pub fn ring_exact_split(mut self) -> Self {
        self.ring.knobs.push(".ring_exact_split()".into());
        self.ring.exact = true;
        self
    }

    /// What an acknowledged push rests on: [`Durability::Strict`] unless said, all
    /// copies synced. The receipt names it.
    #[cfg(feature = "ring")]
    pub fn ring_durability(mut self, level: Durability) -> Self {
        self.ring.knobs.push(format!(".ring_durability(Durability::{level:?})"));
        self.ring.durability = level;
        self
    }

    /// How long deleted and overwritten contents can be brought back: 10 min unless
    /// said.
    pub fn ring_undo(mut self, undo: Duration) -> Self {
        self.ring.knobs.push(format!(".ring_undo({undo:?})"));
        self.ring.undo = undo;
        self
    }

    /// What clients from elsewhere than this machine have to say first (`AUTH
    /// <token>`), one line of a file. Without one, they are refused.
    pub fn ring_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let call = format!(".ring_token_file({path:?})");
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => self.ring.token = Some(text.trim().into()),
            Ok(_) => self.bad(&call, "the file is empty", "a file with one line, the token"),
            Err(error) => self.bad(&call, error, "a file with one line, the token"),
        }
        self.ring.knobs.push(call);
        self
    }
}

#[cfg(feature = "ring")]
impl Asked {
    /// The components, where they were asked for.
    pub(in crate::node) fn parts(&self) -> Vec<crate::component::Part> {
        use crate::component::{Factory, Part};
        use crate::service::ring::holder::Holder;
        let Some(call) = &self.call else { return Vec::new() };
        let config = member::Config {
            address: self.address.clone(),
            wall_ms: Arc::new(|_| {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
            copies: self.copies,
            min_part: self.min_part,
            exact: self.exact,
            durability: self.durability,
            undo: self.undo,
            token: self.token.clone(),
            ..member::Config::default()
        };
        let ring = Factory::new(move || member::Ring::new(config.clone()));
        vec![Part::new(Factory::new(|| Holder::with_ballast(BALLAST_BYTES)), call), Part::new(ring, call)]
    }
}

#[cfg(all(feature = "replicated_log", not(feature = "ring")))]
impl Asked {
    pub(in crate::node) fn parts(&self) -> Vec<crate::component::Part> {
        Vec::new()
    }
}
