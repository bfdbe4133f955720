//! What the map decided is done on this node's disk.
//!
//! ```text
//!   inventory of the holder -> list of ring/, as this replica has it
//!                           -> the index of all that was acknowledged by now
//!                           -> watch, without a gap, from the list's first page on
//! ```
//!
//! | the map says of a push | the holder is told |
//! |---|---|
//! | it is a file | Commit |
//! | it was a file, undo is open | Commit, Retire |
//! | nothing more | Abort, or Retire and Purge if it was a file |
//!
//! Each is idempotent, and all of it is done again when a life begins: so a node
//! that was down when something was decided does it when it is up. A push that is
//! staged here and stands nowhere in the map was begun before its bytes came, so
//! its key was there and is gone for ever.

use super::PushId;
use super::component::{Cx, Ring};
use super::holder::{self, Committed, Refusal, Stocked};
use super::mapping::{For, Wish};
use super::rebalance::REBALANCE;
use super::topology::TOPOLOGY;
use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::{Got, Page, Watched};
use crate::service::ring::manifest::{FILES, Manifest, OLD, PUSHES, State};
use crate::service::ring::parts_log::Place;
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All that this reads.
const PREFIX: &[u8] = b"ring/";
/// Entries of one page.
const PAGE: u32 = 500;
/// Until when a page is read before it is asked for again.
const PAGE_WITHIN: Duration = Duration::from_secs(5);
/// How long a watch waits for a change.
const WATCH_WITHIN: Duration = Duration::from_secs(5);
/// The same, while it is not known whether anything did since the list.
const SOON: Duration = Duration::from_millis(300);
/// What failed is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Decisions that are being done at once.
const BUSY_MAX: usize = 32;
/// Until when the holder does what it is told.
const HOLDER_WITHIN: Duration = Duration::from_secs(60);

/// What a push is in the map, the most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Standing {
    /// Under way since, in milliseconds since 1970.
    Pending(u64),
    /// It was a file; until then it can be brought back.
    Was(u64),
    Is,
}

/// What is to be done of a push.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Op {
    Commit(Box<Manifest>),
    Retire(Box<Manifest>),
    Drop,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Commit,
    Abort,
    Retire,
    Purge,
}

enum Asked {
    Inventory,
    Of(PushId, Op, Told),
}

/// What came of a question to the map.
pub(super) enum Followed {
    Page(Got<Page>),
    Watched(Option<Watched>),
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// What this replica has.
    #[default]
    Listing,
    /// How far others have come. Without a majority it stays at that: files are read,
    /// and nothing is removed.
    Confirming,
    Watching,
}

/// How far this node has followed.
#[derive(Default)]
pub(super) struct Following {
    /// Keys of the map, with the push that each is about.
    pub(super) keys: BTreeMap<Bytes, (PushId, Standing)>,
    claims: BTreeMap<PushId, BTreeMap<Bytes, Standing>>,
    /// Changes of the answer that is being read: pushes, and what they are.
    touched: BTreeSet<PushId>,
    manifests: BTreeMap<PushId, Manifest>,
    todo: BTreeMap<PushId, Op>,
    busy: BTreeSet<PushId>,
    asked: BTreeMap<Token, Asked>,
    /// Staged when the life began, to be compared once the list is whole.
    staged: BTreeSet<PushId>,
    /// Made room for in this life, and the index at which each was begun: one that the
    /// map does not know from there on is gone, however late its parts came.
    pub(super) prepared: BTreeMap<PushId, u64>,
    /// The list's last key so far.
    after: Option<Bytes>,
    stage: Stage,
    /// The watch goes on behind this index.
    from: u64,
    /// All that was acknowledged before this life began is at this index or before.
    through: u64,
    /// The map was asked and has not answered.
    waits: bool,
    again_at: Time,
    inventory: bool,
    caught_up: bool,
}

impl Following {
    /// Decisions that are not done here yet.
    pub(super) fn waiting(&self) -> usize {
        self.todo.len() + self.busy.len()
    }

    pub(super) fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// The key of a push under way, if it is still there.
    fn standing(&self, push: PushId) -> Option<Standing> {
        self.claims.get(&push)?.values().copied().max()
    }

    fn set(&mut self, key: Bytes, now: Option<(PushId, Standing)>) {
        let before = match now {
            Some(now) => self.keys.insert(key.clone(), now),
            None => self.keys.remove(&key),
        };
        if let Some((push, _)) = before {
            self.touched.insert(push);
            if let Some(claims) = self.claims.get_mut(&push) {
                claims.remove(&key);
                if claims.is_empty() {
                    self.claims.remove(&push);
                }
            }
        }
        if let Some((push, standing)) = now {
            self.touched.insert(push);
            self.claims.entry(push).or_default().insert(key, standing);
        }
    }

    fn read(&mut self, key: &Bytes, value: Option<&Bytes>) {
        let manifest = |prefix: &[u8], value: &Bytes| Manifest::decode(prefix, key, value);
        let (found, pending) = match value {
            None => return self.set(key.clone(), None),
            Some(value) if key.starts_with(FILES) => (manifest(FILES, value), false),
            Some(value) if key.starts_with(OLD) => (manifest(OLD, value), false),
            Some(value) if key.starts_with(PUSHES) => (Manifest::decode_whole(value), true),
            Some(_) => return,
        };
        let manifest = match found {
            Ok(manifest) => manifest,
            Err(wrong) => {
                log::error!(target: "nodewright::ring", "an entry of the map is passed over: {wrong}");
                return;
            }
        };
        let standing = match manifest.state {
            _ if pending => Standing::Pending(manifest.mtime_ms),
            State::Live => Standing::Is,
            State::Deleted { until_ms } => Standing::Was(until_ms),
        };
        self.set(key.clone(), Some((manifest.push, standing)));
        if !pending {
            self.manifests.insert(manifest.push, manifest);
        }
    }
}

impl Ring {
    /// Begins: what does the holder have?
    pub(super) fn follow(&mut self, cx: Cx<'_, '_>) {
        let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), holder::Call::Inventory, HOLDER_WITHIN);
        self.following.asked.insert(token, Asked::Inventory);
    }

    fn list(&mut self, cx: Cx<'_, '_>) {
        let following = &mut self.following;
        following.waits = true;
        let prefix = Bytes::from_static(PREFIX);
        let wish = match following.stage {
            Stage::Listing => Wish::List { prefix, after: following.after.clone(), limit: PAGE, level: Level::Stale },
            Stage::Confirming => Wish::List { prefix, after: None, limit: 1, level: Level::Linearizable },
            Stage::Watching => Wish::Watch(following.from),
        };
        let within = match (following.stage, following.caught_up) {
            (Stage::Watching, true) => WATCH_WITHIN,
            (Stage::Watching, false) => SOON,
            _ => PAGE_WITHIN,
        };
        self.wish(For::Follow, wish, within, cx);
    }

    /// The map answers.
    pub(super) fn followed(&mut self, followed: Followed, cx: Cx<'_, '_>) {
        self.following.waits = false;
        match followed {
            Followed::Page(Got { applied, .. }) if self.following.stage == Stage::Confirming => {
                self.following.through = applied;
                self.following.stage = Stage::Watching;
            }
            Followed::Page(Got { applied, value: Page { entries, more } }) => {
                let following = &mut self.following;
                if following.after.is_none() {
                    following.from = applied;
                }
                following.after = entries.last().map(|entry| entry.key.clone()).or(following.after.take());
                if !more {
                    following.stage = Stage::Confirming;
                }
                for entry in &entries {
                    self.entry(&entry.key, Some(&entry.value), entry.version, cx);
                }
                if !more {
                    self.topology.seen(None, 0);
                }
            }
            Followed::Watched(Some(Watched::Changes { changes, through })) => {
                self.following.from = through;
                for change in &changes {
                    self.entry(&change.key, change.value.as_ref(), change.index, cx);
                }
            }
            Followed::Watched(Some(Watched::Gone { .. })) => {
                // the state anew; what is not in it any more is left as it is
                let staged = std::mem::take(&mut self.following.staged);
                let keys = std::mem::take(&mut self.following.keys);
                self.following.staged = staged.into_iter().chain(keys.into_values().map(|(push, _)| push)).collect();
                self.following.claims.clear();
                (self.following.stage, self.following.after) = (Stage::Listing, None);
                self.following.caught_up = false;
            }
            // nothing changed since the replica stood there
            Followed::Watched(None) => self.following.from = self.following.from.max(self.following.through),
            Followed::Nothing => {
                self.following.again_at = cx.now() + AGAIN_AFTER;
                return;
            }
        }
        self.decided(cx);
        let following = &mut self.following;
        let seen = following.stage == Stage::Watching && following.from >= following.through;
        if seen && !following.caught_up {
            following.caught_up = true;
            // begun before its bytes came, and gone: for ever
            for push in std::mem::take(&mut following.staged) {
                if following.standing(push).is_none() {
                    following.todo.insert(push, Op::Drop);
                }
            }
            self.sweep(cx);
        }
        self.work(cx);
        self.list(cx);
    }

    fn entry(&mut self, key: &Bytes, value: Option<&Bytes>, version: u64, cx: Cx<'_, '_>) {
        if key == TOPOLOGY {
            if self.topology.seen(value, version) && self.following.caught_up {
                self.sweep(cx);
            }
            return self.topology_changed(cx);
        }
        if key == REBALANCE {
            return self.rebalance.seen(value, version);
        }
        self.following.read(key, value);
    }

    /// What the last answer of the map makes to be done.
    fn decided(&mut self, cx: Cx<'_, '_>) {
        let me = cx.me().node;
        let following = &mut self.following;
        let manifests = std::mem::take(&mut following.manifests);
        for push in std::mem::take(&mut following.touched) {
            let op = match (following.standing(push), manifests.get(&push)) {
                (None, _) => Op::Drop,
                (Some(Standing::Pending(_)), _) | (_, None) => continue,
                (Some(_), Some(manifest)) if !manifest.slots.contains(&me) => continue,
                (Some(Standing::Was(_)), Some(manifest)) => Op::Retire(Box::new(manifest.clone())),
                (Some(Standing::Is), Some(manifest)) => Op::Commit(Box::new(manifest.clone())),
            };
            following.todo.insert(push, op);
        }
    }

    /// Does what is to be done, of different pushes at once.
    fn work(&mut self, cx: Cx<'_, '_>) {
        let following = &mut self.following;
        if !following.inventory {
            return;
        }
        let free = BUSY_MAX.saturating_sub(following.busy.len());
        let next: Vec<PushId> =
            following.todo.keys().filter(|push| !following.busy.contains(push)).take(free).copied().collect();
        for push in next {
            let Some(op) = self.following.todo.remove(&push) else { continue };
            self.following.busy.insert(push);
            let first = if op == Op::Drop { Told::Abort } else { Told::Commit };
            self.tell(push, op, first, cx);
        }
    }

    fn tell(&mut self, push: PushId, op: Op, told: Told, cx: Cx<'_, '_>) {
        let call = match (told, &op) {
            (Told::Commit, Op::Commit(manifest) | Op::Retire(manifest)) => holder::Call::Commit(manifest.clone()),
            (Told::Retire, _) => holder::Call::Retire(push),
            (Told::Purge, _) => holder::Call::Purge(push),
            (Told::Abort | Told::Commit, _) => holder::Call::Abort(push),
        };
        let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), call, HOLDER_WITHIN);
        self.following.asked.insert(token, Asked::Of(push, op, told));
    }

    /// The holder answers to this part.
    pub(super) fn follow_answered(&mut self, token: Token, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        let Some(asked) = self.following.asked.remove(&token) else {
            return self.refill_answered(token, value, cx);
        };
        let (push, op, told) = match asked {
            Asked::Inventory => return self.has_inventory(value, cx),
            Asked::Of(push, op, told) => (push, op, told),
        };
        let answer: Option<Result<u16, Refusal>> = match told {
            Told::Commit => value.ok().and_then(|value| value.downcast().ok()).map(|answer| *answer),
            _ => value.ok().and_then(|value| value.downcast::<Result<(), Refusal>>().ok()).map(|it| it.map(|()| 0)),
        };
        match (answer, told, &op) {
            (None | Some(Err(Refusal::Starting)), ..) => {
                // the newest decision counts
                self.following.busy.remove(&push);
                self.following.todo.entry(push).or_insert(op);
                self.following.again_at = cx.now() + AGAIN_AFTER;
                return;
            }
            (Some(Ok(_)), Told::Commit, Op::Retire(_)) => return self.tell(push, op, Told::Retire, cx),
            (Some(Err(Refusal::State(Committed::Yes))), Told::Abort, _) => {
                return self.tell(push, op, Told::Retire, cx);
            }
            (Some(Ok(_)), Told::Retire, Op::Drop) => return self.tell(push, op, Told::Purge, cx),
            (Some(Ok(parts)), Told::Commit, Op::Commit(manifest)) => {
                let should = manifest.parts_of(cx.me().node, &self.holding(manifest)).len();
                if usize::from(parts) < should {
                    self.sweep(cx);
                }
            }
            _ => {}
        }
        self.following.busy.remove(&push);
        self.work(cx);
    }

    fn has_inventory(&mut self, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        let stock = value.ok().and_then(|value| value.downcast::<Result<Vec<Stocked>, Refusal>>().ok());
        match stock.map(|stock| *stock) {
            Some(Ok(stock)) => {
                let staged = stock.into_iter().filter(|part| part.place == Place::Stage && part.version.is_none());
                self.following.staged.extend(staged.map(|part| part.id.push));
                self.following.inventory = true;
                self.list(cx);
            }
            _ => self.following.again_at = cx.now() + AGAIN_AFTER,
        }
    }

    /// Whether the map still knows the push as a file.
    pub(super) fn is_wanted(&self, push: PushId) -> bool {
        self.following.standing(push) == Some(Standing::Is)
    }

    /// A part came late: if its content is no file any more, it is treated so.
    pub(super) fn recheck(&mut self, manifest: Manifest, cx: Cx<'_, '_>) {
        let push = manifest.push;
        let op = match self.following.standing(push) {
            None => Op::Drop,
            Some(Standing::Was(_)) => Op::Retire(Box::new(manifest)),
            Some(_) => return,
        };
        self.following.todo.entry(push).or_insert(op);
        self.work(cx);
    }

    pub(super) fn following_tick(&mut self, cx: Cx<'_, '_>) {
        if cx.now() < self.following.again_at {
            return;
        }
        let inventory_open = self.following.asked.values().any(|asked| matches!(asked, Asked::Inventory));
        if !self.following.inventory {
            if !inventory_open {
                self.follow(cx);
            }
            return;
        }
        if !self.following.waits {
            self.list(cx);
        }
        let following = &mut self.following;
        let (known, from) = (std::mem::take(&mut following.prepared), following.from);
        for (push, begun) in known {
            match following.standing(push) {
                None if following.stage == Stage::Watching && from >= begun => {
                    following.todo.insert(push, Op::Drop);
                }
                None | Some(Standing::Pending(_)) => _ = following.prepared.insert(push, begun),
                Some(_) => {}
            }
        }
        self.work(cx);
    }
}
