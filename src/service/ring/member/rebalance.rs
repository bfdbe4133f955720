//! Files move to today's ring, one after the other: after a join, so that the newcomer
//! has its share.
//!
//! ```text
//!   NODE REBALANCE -> ring/rebalance = running, at a rate      any node
//!   the leader of the log:
//!     each file in the map -> lies as a push of today would? -> left as it is
//!                          -> else moved                        (moving)
//!     all looked at, none left -> ring/rebalance = done
//! ```
//!
//! **Guarantee.** The order stands in the map, so it survives every node: whoever leads
//! the log goes on with it, and what was moved already is seen to lie right. Two that
//! believe to lead harm nothing, since each move is one compare-and-set. `stop` ends it
//! with the file under way, which comes to nothing.
//!
//! Nothing moves while a member of the ring is down or full: it has not left, and its
//! parts stay its own. A file that was overwritten and can still be undone is left for a
//! later pass, since the move would take the place of what undo brings back.

use super::ClientId;
use super::component::{Cx, Ring};
use super::mapping::{For, Told, WITHIN, Wish};
use super::moving::Moving;
use super::verbs::Verb;
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::{Committed, Condition, Entry, Transaction};
use crate::service::ring::decide::File;
use crate::service::ring::manifest::{FILES, Manifest, State};
use crate::service::ring::rebalance::{Progress, Standing};
use crate::service::ring::text::Rate;
use crate::service::ring::text::reply::{Code, coded, rebalanced};
use crate::time::Time;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// The order's key.
pub(super) const REBALANCE: &[u8] = b"ring/rebalance";
/// What may be moved at once after a pause, as a part of a second.
const BURST: u64 = 5;
/// Entries of the map that are read as one.
const PAGE: u32 = 100;
/// Between two passes, and while members are missing.
const PAUSE: Duration = Duration::from_secs(2);
/// How far it has come is written down so often.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often an order is tried against others'.
const TRIES_MAX: u32 = 16;

/// What the map was asked for.
enum Asked {
    Page,
    File,
    Save,
}

/// What this node knows of it, and does where it leads.
#[derive(Default)]
pub(super) struct Rebalance {
    order: Progress,
    /// Its version in the map; 0 where there is none.
    version: u64,
    asked: Option<Asked>,
    todo: VecDeque<Manifest>,
    /// Where the list goes on; `None` within it: the pass begins, or has ended.
    after: Option<Bytes>,
    listed: bool,
    left: u64,
    again_at: Time,
    saved_at: Time,
    pub(super) moving: Option<Moving>,
    /// Bytes that may be moved now; less than none after a block.
    pub(super) budget: i64,
    filled_at: Time,
}

impl Rebalance {
    /// The map's entry.
    pub(super) fn seen(&mut self, value: Option<&Bytes>, version: u64) {
        if version > self.version {
            self.version = version;
            self.order = value.map(read).unwrap_or_default();
        }
    }
}

fn read(value: &Bytes) -> Progress {
    // of a newer program, or damaged: nothing is moved
    postcard::from_bytes(value).unwrap_or_default()
}

fn write(order: &Progress, version: u64) -> Transaction {
    let key = Bytes::from_static(REBALANCE);
    let as_read = match version {
        0 => Condition::Absent(key.clone()),
        version => Condition::Version(key.clone(), version),
    };
    // of plain values into memory: nothing in it can refuse
    Transaction::default().when(as_read).put(key, postcard::to_stdvec(order).unwrap_or_default())
}

impl Ring {
    // --- what clients ask ---

    pub(super) fn rebalance(&mut self, id: ClientId, rate: Rate, tries: u32, cx: Cx<'_, '_>) {
        self.verbs.insert(id, Verb::Rebalance(rate, tries, None));
        let keys = vec![Bytes::from_static(REBALANCE)];
        self.wish(For::Client(id), Wish::Get(keys, Level::Linearizable), WITHIN, cx);
    }

    /// The map answers a client's order.
    pub(super) fn rebalance_told(
        &mut self,
        id: ClientId,
        (rate, tries): (Rate, u32),
        ordered: Option<Progress>,
        told: &Told,
        cx: Cx<'_, '_>,
    ) {
        match (told, ordered) {
            (Told::Entries(entries), _) => {
                let now: Option<&Entry> = entries.first().and_then(Option::as_ref);
                let (before, version) = now.map_or_else(Default::default, |entry| (read(&entry.value), entry.version));
                let Some(order) = before.ordered(rate) else {
                    return self.answer(id, rebalanced(&before), cx);
                };
                let transaction = write(&order, version);
                self.verbs.insert(id, Verb::Rebalance(rate, tries, Some(order)));
                self.transact(For::Client(id), transaction, cx);
            }
            (Told::Committed(Some(Committed::Done { .. })), Some(order)) => self.answer(id, rebalanced(&order), cx),
            (Told::Committed(Some(Committed::Failed { .. })), _) if tries < TRIES_MAX => {
                self.rebalance(id, rate, tries + 1, cx);
            }
            _ => self.answer(id, coded(Code::Unavailable, "no quorum: whether it was ordered is not known"), cx),
        }
    }

    // --- what the leader does ---

    pub(super) fn rebalance_tick(&mut self, cx: Cx<'_, '_>) {
        let runs = self.rebalance.order.state == Standing::Running;
        if !(runs && self.expiry.leads && self.following.caught_up()) {
            self.rebalance_rests(cx);
            return;
        }
        let (now, rate) = (cx.now(), self.rebalance.order.rate.max(1));
        let elapsed = now.since(self.rebalance.filled_at).as_millis().min(1000) as u64;
        self.rebalance.filled_at = now;
        let most = (rate / BURST).max(1) as i64;
        let more = (rate / 1000).saturating_mul(elapsed).max(1) as i64;
        self.rebalance.budget = self.rebalance.budget.saturating_add(more).min(most);
        self.move_on(cx);
        self.rebalance_on(cx);
    }

    /// Another one leads, or it was stopped: the next one begins from the first file.
    fn rebalance_rests(&mut self, cx: Cx<'_, '_>) {
        if self.rebalance.moving.take().is_some() {
            self.give_up_push(super::MOVER, cx);
        }
        let rebalance = &mut self.rebalance;
        rebalance.todo.clear();
        (rebalance.after, rebalance.listed, rebalance.left) = (None, false, 0);
    }

    /// The next thing to be done, if nothing is under way.
    pub(super) fn rebalance_on(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        let rebalance = &mut self.rebalance;
        let runs = rebalance.order.state == Standing::Running && self.expiry.leads;
        if !runs || rebalance.asked.is_some() || rebalance.moving.is_some() || now < rebalance.again_at {
            return;
        }
        let me = cx.me().node;
        if !self.topology.ring().iter().all(|node| self.peers.takes(*node, me, now)) {
            self.rebalance.again_at = now + PAUSE;
            return;
        }
        if now.since(self.rebalance.saved_at) >= SAVE_EVERY {
            return self.save(cx);
        }
        if self.rebalance.budget <= 0 {
            return; // the next tick brings more
        }
        while let Some(manifest) = self.rebalance.todo.pop_front() {
            if self.lies_right(&manifest, cx) {
                continue;
            }
            self.rebalance.asked = Some(Asked::File);
            let keys = File::keys(&manifest.name).to_vec();
            return self.wish(For::Rebalance, Wish::Get(keys, Level::Linearizable), WITHIN, cx);
        }
        if self.rebalance.listed {
            return self.pass_ends(cx);
        }
        self.rebalance.asked = Some(Asked::Page);
        let (prefix, after) = (Bytes::from_static(FILES), self.rebalance.after.clone());
        self.wish(For::Rebalance, Wish::List { prefix, after, limit: PAGE, level: Level::Stale }, WITHIN, cx);
    }

    fn pass_ends(&mut self, cx: Cx<'_, '_>) {
        let rebalance = &mut self.rebalance;
        let left = std::mem::take(&mut rebalance.left);
        (rebalance.after, rebalance.listed) = (None, false);
        rebalance.order.left = left;
        rebalance.again_at = cx.now() + PAUSE;
        if left == 0 {
            rebalance.order.state = Standing::Done;
        }
        self.save(cx);
    }

    /// Writes down how far it has come; a new order that came meanwhile stays.
    fn save(&mut self, cx: Cx<'_, '_>) {
        self.rebalance.saved_at = cx.now();
        self.rebalance.asked = Some(Asked::Save);
        let transaction = write(&self.rebalance.order, self.rebalance.version);
        self.transact(For::Rebalance, transaction, cx);
    }

    /// A file was moved, or has to be left for now.
    pub(super) fn moved(&mut self, bytes: Option<u64>, cx: Cx<'_, '_>) {
        self.rebalance.moving = None;
        match bytes {
            Some(bytes) => {
                self.rebalance.order.moved += 1;
                self.rebalance.order.bytes += bytes;
            }
            None => self.rebalance.left += 1,
        }
        self.rebalance_on(cx);
    }

    /// The map answers the leader.
    pub(super) fn rebalance_heard(&mut self, told: Told, cx: Cx<'_, '_>) {
        match (self.rebalance.asked.take(), told) {
            (Some(Asked::Page), Told::Page(page)) => {
                let live = page.value.entries.iter().filter_map(|entry| {
                    let manifest = Manifest::decode(FILES, &entry.key, &entry.value).ok()?;
                    (manifest.state == State::Live).then_some(manifest)
                });
                self.rebalance.todo = live.collect();
                self.rebalance.listed = !page.value.more;
                self.rebalance.after = page.value.entries.last().map(|entry| entry.key.clone());
            }
            (Some(Asked::File), Told::Entries(entries)) => {
                let file = File::read(&entries).unwrap_or_default();
                match file.live().cloned() {
                    Some(_) if file.before.is_some() => self.rebalance.left += 1,
                    Some(manifest) if !self.lies_right(&manifest, cx) => return self.move_file(manifest, cx),
                    _ => {}
                }
            }
            (Some(Asked::Save), Told::Committed(Some(Committed::Done { version }))) => {
                self.rebalance.version = self.rebalance.version.max(version);
            }
            // somebody ordered something else: the watch tells what
            (Some(Asked::Save), Told::Committed(Some(Committed::Failed { .. }))) | (None, _) => {}
            _ => self.rebalance.again_at = cx.now() + PAUSE,
        }
        self.rebalance_on(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_sight_of_the_order_changes_nothing() {
        let order = |rate| Progress { state: Standing::Running, rate, ..Progress::default() };
        let value = |rate| Bytes::from(postcard::to_stdvec(&order(rate)).expect("a value"));
        let mut rebalance = Rebalance::default();
        rebalance.seen(Some(&value(1)), 5);
        rebalance.seen(Some(&value(2)), 4);
        assert_eq!((rebalance.order.rate, rebalance.version), (1, 5));
        rebalance.seen(Some(&Bytes::from_static(b"\xff\xff")), 6);
        assert_eq!(rebalance.order, Progress::default(), "of a newer program: nothing is moved");
    }
}
