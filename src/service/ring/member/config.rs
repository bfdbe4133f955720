//! Settings of a member of the ring.

use crate::service::ring::durability::Durability;
use crate::time::Time;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How a member takes part.
#[derive(Clone)]
pub struct Config {
    /// Where clients reach this node (`host:port`), set before it starts; without
    /// it, the node's name stands there.
    pub address: Arc<OnceLock<String>>,
    /// Milliseconds since 1970 at a time of this node's driver.
    pub wall_ms: Arc<dyn Fn(Time) -> u64 + Send + Sync>,
    /// How many copies of each part there should be: 2.
    pub copies: u8,
    /// Files are cut into fewer parts rather than into ones shorter than this, in
    /// bytes; but never into fewer than there are copies. 0: always one for each
    /// node.
    pub min_part: u64,
    /// Parts are 1/n of the file to the byte, whatever its size.
    pub exact: bool,
    /// What an acknowledgement of a push rests on: strict.
    pub durability: Durability,
    /// Largest file that is taken, in bytes.
    pub size_max: u64,
    /// How long deleted and overwritten contents can be brought back: 10 min.
    pub undo: Duration,
    /// What clients from elsewhere than loopback have to say first. Without one
    /// they are refused.
    pub token: Option<Arc<str>>,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            address: Arc::default(),
            wall_ms: Arc::new(|now| now.0 / 1_000_000),
            copies: 2,
            min_part: 0,
            exact: false,
            durability: Durability::Strict,
            size_max: super::super::text::SIZE_MAX,
            undo: Duration::from_secs(600),
            token: None,
            mutant: None,
        }
    }
}

/// A planted bug, that tests must catch.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Holders are computed from today's ring, not from the file's own slots.
    TodaysRing,
    /// Staged bytes go although the map was not asked.
    AbortWithoutMap,
    /// A copy is repaired from whatever bytes a holder gives.
    RepairsUnverified,
    /// A file that is moved takes the place of whatever the file is by then.
    MovesBlindly,
}
