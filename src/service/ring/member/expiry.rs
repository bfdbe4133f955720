//! What nobody goes on with: pushes whose entry node is gone, and contents that can
//! be brought back no more. The node that leads the log sees to it, and each
//! node to its own pushes; whoever does, the map decides.

use super::PushId;
use super::component::{Cx, Ring};
use super::following::Standing;
use super::mapping::{For, Told, WITHIN, Wish};
use crate::protocol::replicated_log::Level;
use crate::service::ring::decide::{self, File};
use crate::service::ring::manifest::{FILES, Manifest, OLD, PUSHES};
use crate::service::ring::netmap::Status;
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(1);
/// A push whose entry node is not heard of is given up after so long.
const ORPHANED_AFTER: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct Expiry {
    pub(super) leads: bool,
    next_at: Time,
    /// Pushes that are being aborted, with their keys' versions.
    aborting: BTreeMap<PushId, u64>,
    /// A content's time is over: its keys are read, then taken away.
    busy: bool,
    /// Since when a push's entry node is missing.
    missing: BTreeMap<PushId, Time>,
}

impl Ring {
    /// The push comes to nothing. The map is asked until it answers.
    pub(super) fn abort(&mut self, push: PushId, begun: u64, cx: Cx<'_, '_>) {
        self.expiry.aborting.insert(push, begun);
        self.transact(For::Abort(push), decide::abort(push, begun), cx);
    }

    pub(super) fn abort_told(&mut self, push: PushId, told: &Told, cx: Cx<'_, '_>) {
        let Some(begun) = self.expiry.aborting.get(&push).copied() else { return };
        match told {
            // done, or decided before: the bytes go, or stay, as the map says
            Told::Committed(Some(_)) => _ = self.expiry.aborting.remove(&push),
            _ => self.transact(For::Abort(push), decide::abort(push, begun), cx),
        }
    }

    pub(super) fn expiry_tick(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        if !self.following.caught_up() || now < self.expiry.next_at {
            return;
        }
        self.expiry.next_at = now + EVERY;
        let wall = self.wall_ms(cx);
        let (mut orphans, mut over) = (Vec::new(), None);
        for (key, (push, standing)) in &self.following.keys {
            match standing {
                Standing::Pending(_) => orphans.push((key.clone(), *push)),
                Standing::Was(until) if *until <= wall && self.expiry.leads => over = Some(key.clone()),
                _ => {}
            }
        }
        self.expiry.missing.retain(|push, _| orphans.iter().any(|(_, orphan)| orphan == push));
        let due: Vec<Bytes> =
            orphans.into_iter().filter(|(_, push)| self.is_orphan(*push, cx)).map(|(key, _)| key).take(32).collect();
        if self.expiry.busy {
            return;
        }
        let keys = if due.is_empty() {
            let Some(key) = over else { return };
            let prefix = if key.starts_with(FILES) { FILES } else { OLD };
            [FILES, OLD].map(|other| Bytes::from([other, &key[prefix.len()..]].concat())).to_vec()
        } else {
            due
        };
        self.expiry.busy = true;
        self.wish(For::Expire, Wish::Get(keys, Level::Stale), WITHIN, cx);
    }

    /// Nobody goes on with the push: this node, whose it is, does not, or its entry
    /// node has another life or is not heard of for long.
    fn is_orphan(&mut self, push: PushId, cx: Cx<'_, '_>) -> bool {
        let (me, now) = (cx.me(), cx.now());
        if push.life == me {
            // one that nobody knew to be begun, or whose abort is under way
            return !self.has_push(push) && !self.expiry.aborting.contains_key(&push);
        }
        if !self.expiry.leads {
            return false;
        }
        let life = if push.life.node == me.node { Some(me) } else { self.peers.life(push.life.node) };
        if life.is_some_and(|life| life.incarnation > push.life.incarnation) {
            return true;
        }
        let status = self.peers.status(push.life.node, me.node, now);
        if life == Some(push.life) && status != Status::Dead {
            self.expiry.missing.remove(&push);
            return false;
        }
        now.since(*self.expiry.missing.entry(push).or_insert(now)) >= ORPHANED_AFTER
    }

    pub(super) fn expire_told(&mut self, told: &Told, cx: Cx<'_, '_>) {
        self.expiry.busy = false;
        let Told::Entries(entries) = told else {
            // one is done: the next
            self.expiry.next_at = cx.now();
            return;
        };
        let mut found = entries.iter().flatten().peekable();
        if found.peek().is_some_and(|entry| entry.key.starts_with(PUSHES)) {
            for entry in found {
                if let Ok(intent) = Manifest::decode_whole(&entry.value) {
                    self.abort(intent.push, entry.version, cx);
                }
            }
            return;
        }
        let wall = self.wall_ms(cx);
        let expire = File::read(entries).ok().and_then(|file| file.expire(wall));
        if let Some((_, transaction)) = expire {
            self.expiry.busy = true;
            self.transact(For::Expire, transaction, cx);
        }
    }
}
