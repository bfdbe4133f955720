//! Who sent it: node ids, lives, kinds.
//!
//! A *node* is a configured place in the cluster, a *life* one run of it.
//! Windows, acknowledgements, votes and duplicate filters are keyed by the
//! life, never by the node: what an earlier life promised, a later one that
//! lost its memory cannot keep.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's identity, totally ordered (Bully election needs the order).
///
/// Derived from the node's name unless it is given. Ids with the highest bit
/// set belong to clients, which are linked but are no members.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

const CLIENT_BIT: u64 = 1 << 63;

impl NodeId {
    /// The id that a node named `name` has when none is given.
    pub fn from_name(name: &str) -> Self {
        NodeId(fnv1a(name.as_bytes()) & !CLIENT_BIT)
    }

    /// An id for a client, from random bits.
    pub fn client(random: u64) -> Self {
        NodeId(random | CLIENT_BIT)
    }

    /// Whether this id belongs to a client and not to a member.
    pub fn is_client(self) -> bool {
        self.0 & CLIENT_BIT != 0
    }
}

/// Reads what `Display` writes: `n<hex>`.
impl std::str::FromStr for NodeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix('n').and_then(|hex| u64::from_str_radix(hex, 16).ok());
        hex.map(NodeId).ok_or_else(|| format!("'{text}' is no node id (n<hex>)"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:x}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Counts a node's lives; rises with every start. Milliseconds of the wall
/// clock, or one more than the greatest that peers remember.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Incarnation(pub u64);

/// One run of one node: from its start to its crash, stop or end.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// Which node.
    pub node: NodeId,
    /// Which run of it.
    pub incarnation: Incarnation,
}

impl Life {
    /// The life of `node` with the number `incarnation`.
    pub fn new(node: NodeId, incarnation: u64) -> Self {
        Life { node, incarnation: Incarnation(incarnation) }
    }
}

/// Reads what `Display` writes: `n<hex>.<incarnation>`.
impl std::str::FromStr for Life {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no life (n<hex>.<incarnation>)");
        let (node, incarnation) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Life::new(node.parse().map_err(|_| wrong())?, incarnation.parse().map_err(|_| wrong())?))
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.node, self.incarnation.0)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The wire number of a component or a message type: a hash of its stable
/// name. Two names with one number are refused when the node is composed.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind(pub u32);

impl Kind {
    /// The kind named `name`.
    pub const fn of(name: &str) -> Self {
        let h = fnv1a(name.as_bytes());
        Kind((h ^ (h >> 32)) as u32)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{:08x}", self.0)
    }
}

/// One message of one broadcast: which life sent it, through which delivery
/// component, in which batch, at which place in it.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MessageId {
    /// The life that broadcast it.
    pub origin: Life,
    /// The delivery component that carried it.
    pub delivery: Kind,
    /// The batch, counted from 1 per origin and delivery.
    pub batch: u64,
    /// The place in the batch, from 0.
    pub index: u32,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:08x}/{}.{}", self.origin, self.delivery.0, self.batch, self.index)
    }
}

/// Reads what `Display` writes: `n<hex>.<incarnation>/<delivery hex>/<batch>.<index>`.
impl std::str::FromStr for MessageId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let mut parts = text.split('/');
            let origin = parts.next()?.parse().ok()?;
            let delivery = u32::from_str_radix(parts.next()?, 16).ok()?;
            let (batch, index) = parts.next()?.split_once('.')?;
            if parts.next().is_some() {
                return None;
            }
            Some(MessageId { origin, delivery: Kind(delivery), batch: batch.parse().ok()?, index: index.parse().ok()? })
        };
        parse().ok_or_else(|| format!("'{text}' is no message id (n<hex>.<incarnation>/<hex>/<batch>.<index>)"))
    }
}

const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < bytes.len() {
        hash ^= bytes[i] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_reads_what_it_writes() {
        let id = MessageId {
            origin: Life::new(NodeId::from_name("alpha"), 3),
            delivery: Kind::of("uniform"),
            batch: 41,
            index: 7,
        };
        assert_eq!(id.to_string().parse::<MessageId>(), Ok(id));
        assert!("n1.2/3".parse::<MessageId>().is_err());
    }

    #[test]
    fn names_never_make_client_ids() {
        assert!(!NodeId::from_name("alpha").is_client());
        assert!(NodeId::client(1).is_client());
    }
}
