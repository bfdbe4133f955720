//! What the two sides of a handshake tell each other, sealed, and the reasons
//! for which they refuse.
//!
//! ```text
//!   dialling side                          accepting side
//!     preamble, message 1 (e)          ->
//!                                      <-  preamble, message 2 (e, s): Hello
//!     message 3 (s): Third             ->      judged by the dialling side
//!                                      <-  Verdict: judged by the accepting side
//! ```

use crate::id::{Kind, Life, NodeId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use thiserror::Error;

/// The version of everything that links write.
pub(super) const WIRE_VERSION: u8 = 1;
/// Names and lists in a hello are cut at these lengths.
pub(super) const NAME_BYTES_MAX: usize = 128;
pub(super) const PROVIDES_MAX: usize = 256;

/// What a side is.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Role {
    Voter,
    Listener,
    Client,
    Joiner,
}

/// A member that a joiner is told of, and dials.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Who it is, where it was met.
    pub(super) node: Option<NodeId>,
}

/// How a side introduces itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) life: Life,
    pub(super) name: String,
    /// Random for each life: two nodes with one id differ in it.
    pub(super) boot: u64,
    pub(super) role: Role,
    /// Where it listens; an unspecified address means the one it calls from.
    pub(super) listen: Option<SocketAddr>,
    pub(super) block_bytes_max: u32,
    /// How many voters it counts.
    pub(super) voters: u32,
    pub(super) provides: Vec<(Kind, String)>,
}

/// The dialling side's last word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Third {
    Hello(Hello),
    Refused(Refusal),
}

/// The accepting side's last word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    Accepted,
    Refused(Refusal),
    /// A joiner is accepted, and told of the other members.
    Welcome(Vec<Told>),
}

/// Why a connection is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error, Serialize, Deserialize)]
pub enum Refusal {
    /// Another version of the wire format.
    #[error("wire version {theirs} is spoken there, {ours} here: run the same release on all nodes")]
    Version {
        /// The refused side's version.
        theirs: u8,
        /// The refusing side's version.
        ours: u8,
    },
    /// The sides take blocks of different length at the most.
    #[error("blocks of {theirs} bytes are taken there, of {ours} here: run the same release on all nodes")]
    BlockBytes {
        /// The refused side's limit.
        theirs: u32,
        /// The refusing side's limit.
        ours: u32,
    },
    /// One side seals its links and the other does not.
    #[error("one side has a cluster secret and the other has none: give all nodes the same secret file")]
    Mode,
    /// The cluster secrets differ (or the first message was damaged).
    #[error("the cluster secrets differ: give all nodes the same secret file")]
    WrongSecret,
    /// A message of the handshake does not open: damaged, replayed or forged.
    #[error("a handshake message is damaged, replayed or forged")]
    Garbled,
    /// The static key is not allowed.
    #[error("the key {key} is not allowed: add it to the allowed keys")]
    UnknownKey {
        /// Its text form.
        key: String,
    },
    /// The static key is not the one pinned to the name.
    #[error(
        "the key {key} is not the one pinned to {name}: another node took the name, or its key changed and the pin did not"
    )]
    PinnedKey {
        /// The pinned name.
        name: String,
        /// The text form of the refused key.
        key: String,
    },
    /// Two running nodes have one id.
    #[error("{life} ({name}) runs twice, at {here} and at {there}: give each node a name of its own")]
    NameClash {
        /// The id in question.
        life: Life,
        /// The name.
        name: String,
        /// Where the refusing side knows it.
        here: String,
        /// Where the refused one is.
        there: String,
    },
    /// The life was ended by the voters.
    #[error("this life was ended by the voters")]
    Ended {
        /// The least incarnation that is admitted.
        at_least: u64,
    },
    /// A later life of the same node is known.
    #[error("a later life of this node is known")]
    Outlived {
        /// The least incarnation that is admitted.
        at_least: u64,
    },
    /// No more peers may be linked.
    #[error("{name} already has {max} peers, the most it links")]
    TooManyPeers {
        /// The refusing node.
        name: String,
        /// Its limit.
        max: u32,
    },
    /// No more clients may be linked.
    #[error("{name} already has {max} clients, the most it links")]
    TooManyClients {
        /// The refusing node.
        name: String,
        /// Its limit.
        max: u32,
    },
    /// The voter configured at this address is another node.
    #[error("the voter at {address} is {bound}, not {life}: voters do not change while a cluster runs")]
    SlotTaken {
        /// The configured address.
        address: String,
        /// The node that was met there first.
        bound: String,
        /// The refused life.
        life: Life,
    },
    /// A voter that is not in this node's list.
    #[error(
        "{name} at {address} is not among the peers of the node asked: list it in has_peers everywhere, or join as a listener"
    )]
    NotAPeer {
        /// The refused node.
        name: String,
        /// Its address.
        address: String,
    },
    /// A node dialled itself.
    #[error("the node dialled itself")]
    Myself,
    /// Both sides dialled at the same time and the other dial goes on.
    #[error("both sides dialled, the other connection goes on")]
    OtherDial,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Refusal {
    /// A short name, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Version { .. } => "wrong version",
            Refusal::BlockBytes { .. } => "other block limit",
            Refusal::Mode => "sealed and unsealed",
            Refusal::WrongSecret => "wrong secret",
            Refusal::Garbled => "garbled handshake",
            Refusal::UnknownKey { .. } => "unknown key",
            Refusal::PinnedKey { .. } => "not the pinned key",
            Refusal::NameClash { .. } => "name clash",
            Refusal::Ended { .. } => "life ended",
            Refusal::Outlived { .. } => "life outlived",
            Refusal::TooManyPeers { .. } => "too many peers",
            Refusal::TooManyClients { .. } => "too many clients",
            Refusal::SlotTaken { .. } => "voter slot taken",
            Refusal::NotAPeer { .. } => "not a peer",
            Refusal::Myself => "myself",
            Refusal::OtherDial => "other dial goes on",
            Refusal::Stopping => "stopping",
        }
    }
}
