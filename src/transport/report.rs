//! What links tell people: peers, counts.

use super::links::Links;
use super::peer::{Peer, lock};
use crate::component::PeerRole;
use crate::id::{Kind, Life};
use crate::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a node knows of a peer, for people.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its life, once met.
    pub life: Option<Life>,
    /// Its name, once met.
    pub name: Option<Arc<str>>,
    /// What it is to this node.
    pub role: PeerRole,
    /// Its address: as configured until it is met.
    pub address: String,
    /// Whether there is a session now.
    pub connected: bool,
    /// Bytes queued for it and not acknowledged.
    pub queued_bytes: u64,
    /// Sessions so far.
    pub sessions: u64,
    /// Blocks written again.
    pub resent: u64,
    /// When a new block last came from it.
    pub last_heard: Option<Time>,
    /// Components that it has.
    pub provides: Vec<(Kind, String)>,
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handshakes refused, by either side, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Handshakes refused here because the key was not the one pinned to the
    /// name, by name.
    pub impostors: BTreeMap<String, u64>,
    /// Sessions begun; all but the first with each peer are reconnects.
    pub sessions: u64,
    /// Sessions cut because of bytes that are no frame.
    pub malformed: u64,
    /// Bytes read from peers.
    pub bytes_in: u64,
    /// Bytes written to peers.
    pub bytes_out: u64,
    /// Blocks written again.
    pub resent: u64,
    /// Blocks received again and dropped.
    pub duplicates: u64,
}

impl Links {
    /// The peers, members first met first, for people.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let book = lock(&self.shared.book);
        let slot_address = |peer: &Arc<Peer>| {
            let slot = book.slots.iter().find(|slot| Arc::ptr_eq(&slot.peer, peer));
            slot.map_or(String::new(), |slot| slot.configured.to_string())
        };
        let info = |peer: &Arc<Peer>| {
            let who = peer.who();
            PeerInfo {
                life: who.as_ref().map(|who| who.life),
                name: who.as_ref().map(|who| who.name.clone()),
                role: who.as_ref().map_or(PeerRole::Voter, |who| who.role),
                address: who.as_ref().map_or_else(|| slot_address(peer), |who| who.address.to_string()),
                connected: peer.linked(),
                queued_bytes: peer.queued_bytes(),
                sessions: peer.sessions(),
                resent: peer.counters().resent,
                last_heard: peer.last_heard(),
                provides: who.map_or(Vec::new(), |who| who.provides.to_vec()),
            }
        };
        book.peers().iter().map(info).collect()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        let counts = &self.shared.counters;
        let mut sum = Counters {
            refused: lock(&counts.refused).clone(),
            impostors: lock(&counts.impostors).clone(),
            sessions: counts.sessions.load(Ordering::Relaxed),
            malformed: counts.malformed.load(Ordering::Relaxed),
            ..Counters::default()
        };
        for peer in self.all() {
            let link = peer.counters();
            sum.bytes_in += peer.bytes_in.load(Ordering::Relaxed);
            sum.bytes_out += peer.bytes_out.load(Ordering::Relaxed);
            sum.resent += link.resent;
            sum.duplicates += link.duplicates;
        }
        sum
    }
}
