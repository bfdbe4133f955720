//! A sharded ring file store: files cut into parts, each part on its owner and
//! its backups, whatever joins or leaves later.
//!
//! What is here so far are the values and pure functions that the store stands on,
//! and the holder that keeps parts on a node's disk:
//!
//! | question | where |
//! |---|---|
//! | which names are taken, what stands for one on disks and in the map | [`name`] |
//! | where a file is cut | [`cuts`] |
//! | what vouches for a block, a part, the whole | [`sums`] |
//! | who holds a part | [`placement`] |
//! | what the ring knows of a file | [`manifest`] |
//! | how pushes, deletions and undoings are decided in the map | [`decide`] |
//! | how a file is read back: from whom, verified, and what else | [`pull`] |
//! | which node a client's file is entered at | [`rendezvous`] |
//! | what would be unreadable if some nodes were down | [`what_if`] |
//! | how parts are kept, and found again after a crash | [`holder`] |
//! | what a holder's disk says of its parts | [`parts_log`] |
//! | how the nodes' states are told | [`netmap`] |
//! | what clients say and are answered: all verbs | [`text`] |

pub mod cuts;
pub mod decide;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod holder;
pub mod manifest;
pub mod member;
pub mod name;
pub mod netmap;
pub mod parts_log;
pub mod placement;
pub mod pull;
pub mod rendezvous;
pub mod sums;
pub mod text;
pub mod what_if;
