//! Who is linked: names and lives as the node's handle and its callbacks see
//! them.

use crate::component::{PeerChange, PeerRole};
use crate::id::{Life, NodeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A node that is or was linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its latest life.
    pub life: Life,
    /// Its name.
    pub name: Arc<str>,
    /// What it is to this node.
    pub role: PeerRole,
    /// Whether that life goes on.
    pub alive: bool,
    /// Whether this node's failure detector suspects it.
    pub suspected: bool,
}

/// Ended lives of clients and listeners are forgotten from this many on.
const PEERS_MAX: usize = 4096;

/// The peers of a node. Written by its `app` component, read by the user's
/// threads.
#[derive(Default)]
pub(super) struct Roster {
    /// Read by threads of the user that must not wait for the `app`
    /// component, which may be busy in a callback. Held for one look-up.
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new life of this node knows nobody yet.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn change(&self, change: &PeerChange) {
        let mut peers = self.lock();
        match change {
            PeerChange::Joined { life, role, name } => {
                if peers.len() >= PEERS_MAX {
                    peers.retain(|_, peer| peer.alive || peer.role == PeerRole::Voter);
                }
                let (life, role, name) = (*life, *role, name.clone());
                peers.insert(life.node, Peer { life, name, role, alive: true, suspected: false });
            }
            PeerChange::Ended { life, .. } => match peers.get_mut(&life.node).filter(|peer| peer.life == *life) {
                Some(peer) if peer.role == PeerRole::Client => {
                    peers.remove(&life.node);
                }
                Some(peer) => peer.alive = false,
                None => {}
            },
        }
    }

    pub(super) fn suspect(&self, life: Life, suspected: bool) {
        if let Some(peer) = self.lock().get_mut(&life.node).filter(|peer| peer.life == life) {
            peer.suspected = suspected;
        }
    }

    pub(super) fn name(&self, node: NodeId) -> Option<Arc<str>> {
        self.lock().get(&node).map(|peer| peer.name.clone())
    }

    pub(super) fn named(&self, name: &str) -> Option<NodeId> {
        self.lock().values().find(|peer| peer.name.as_ref() == name).map(|peer| peer.life.node)
    }

    pub(super) fn list(&self) -> Vec<Peer> {
        self.lock().values().cloned().collect()
    }
}
