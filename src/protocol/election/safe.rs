//! Leadership in the replicated map: a compare-and-set, a watch, and a lease.
//!
//! ```text
//!   look (a linearizable read) -> watch, watch, ...     who leads, in which epoch
//!   claim: if `leader` is as last seen, put me          the index is the epoch
//!   confirm (a linearizable read), again and again      the lease, from when it was asked
//! ```

use super::component::{Cx, Election, Timer};
use super::config::Mutant;
use super::epoch::Epoch;
use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::id::{Kind, Life};
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::{self as map, Committed, Condition, Entry, Got, ReplicatedMap, Transaction};
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// The key under which the leader's life stands.
pub const KEY: &str = "leader";
/// How long one watch is left to wait.
const WATCH: Duration = Duration::from_secs(10);

/// What is known of the map.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Map {
    asked: BTreeMap<Token, Asked>,
    /// All through this index is known; `None` until the first look.
    through: Option<u64>,
    /// At which index the key was written, if it is there.
    version: Option<u64>,
    /// Until when this life leads, if the key is its own.
    lease: Option<Time>,
    /// The key holds what no election wrote.
    foreign: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
enum Asked {
    Look,
    Watch,
    Confirm { at: Time },
    Claim { at: Time },
}

impl Map {
    pub(super) fn is_ready(&self) -> bool {
        self.through.is_some() && !self.foreign
    }

    pub(super) fn lease_lasts(&self, now: Time) -> bool {
        self.lease.is_some_and(|until| now < until)
    }

    /// The key was written at this index.
    pub(super) fn saw(&mut self, index: u64) {
        self.version = self.version.max(Some(index));
    }

    fn is_asking(&self, what: impl Fn(&Asked) -> bool) -> bool {
        self.asked.values().any(what)
    }
}

impl Election {
    fn ask_map(&mut self, call: map::Call, within: Duration, asked: Asked, cx: Cx<'_, '_>) {
        let token = cx.call::<ReplicatedMap>(Kind::of(map::NAME), call, within + WATCH);
        self.map.asked.insert(token, asked);
    }

    fn get(&mut self, asked: Asked, cx: Cx<'_, '_>) {
        let within = self.config.lease;
        let call = map::Call::Get { keys: vec![KEY.into()], level: Level::Linearizable, within };
        self.ask_map(call, within, asked, cx);
    }

    /// Reads who leads; on the leader's own node, confirms that it does.
    pub(super) fn look(&mut self, cx: Cx<'_, '_>) {
        if self.map.through.is_none() {
            if !self.map.is_asking(|asked| *asked == Asked::Look) {
                self.get(Asked::Look, cx);
            }
        } else if self.known.is_some_and(|known| known.life == self.me) {
            // more than one may be under way: each is for its own moment
            self.get(Asked::Confirm { at: cx.now() }, cx);
            cx.set_timer(Timer::Again, self.config.lease / 3);
        } else if !self.map.is_asking(|asked| *asked == Asked::Watch) {
            self.watch(cx);
        }
    }

    fn watch(&mut self, cx: Cx<'_, '_>) {
        let after = self.map.through.unwrap_or(0);
        let call = map::Call::Watch { prefix: KEY.into(), after, limit: 16, within: WATCH };
        self.ask_map(call, WATCH, Asked::Watch, cx);
    }

    pub(super) fn claim_in_map(&mut self, cx: Cx<'_, '_>) {
        let condition = match self.map.version {
            Some(version) => Condition::Version(KEY.into(), version),
            None => Condition::Absent(KEY.into()),
        };
        let value = postcard::to_stdvec(&self.me).unwrap_or_default(); // of two numbers: cannot fail
        let transaction = Transaction::default().when(condition).put(KEY, value);
        let within = self.config.timeout;
        self.ask_map(map::Call::Commit { transaction, key: None, within }, within, Asked::Claim { at: cx.now() }, cx);
    }

    pub(super) fn map_answered(&mut self, token: Token, value: Result<Erased, CallError>, cx: Cx<'_, '_>) {
        match self.map.asked.remove(&token) {
            Some(Asked::Look) => match answer::<Got<Vec<Option<Entry>>>>(value) {
                Ok(got) => {
                    self.map.through = Some(got.applied);
                    self.entry(got.value.into_iter().next().flatten(), cx);
                    self.look(cx);
                    self.review(cx);
                }
                Err(_) => cx.set_timer(Timer::Again, self.config.repeat()),
            },
            Some(Asked::Confirm { at }) => {
                if let Ok(got) = answer::<Got<Vec<Option<Entry>>>>(value) {
                    let entry = got.value.into_iter().next().flatten();
                    let version = entry.as_ref().map(|entry| entry.version);
                    self.entry(entry, cx);
                    if self.known.is_some_and(|known| known.life == self.me && Some(known.epoch.number) == version) {
                        self.renew(at, cx);
                        self.review(cx);
                    }
                }
            }
            Some(Asked::Watch) => self.watched(answer(value), cx),
            Some(Asked::Claim { at }) => self.claimed(at, answer(value), cx),
            None => {}
        }
    }

    fn watched(&mut self, answer: Result<Got<map::Watched>, CallError>, cx: Cx<'_, '_>) {
        match answer {
            Ok(Got { value: map::Watched::Changes { changes, through }, .. }) => {
                for change in changes.into_iter().filter(|change| change.key == KEY.as_bytes()) {
                    let entry = change.value.map(|value| Entry { key: change.key, value, version: change.index });
                    self.entry(entry, cx);
                }
                self.map.through = self.map.through.max(Some(through));
                self.watch(cx);
            }
            Ok(Got { value: map::Watched::Gone { .. }, .. }) => {
                self.map.through = None;
                self.look(cx);
            }
            Err(CallError::TimedOut(_)) => self.watch(cx),
            Err(_) if cx.has_timer(&Timer::Again) => {}
            Err(_) => cx.set_timer(Timer::Again, self.config.repeat()),
        }
    }

    /// What stands under the key.
    fn entry(&mut self, entry: Option<Entry>, cx: Cx<'_, '_>) {
        let Some(entry) = entry else {
            self.map.version = None;
            return;
        };
        self.map.version = Some(entry.version);
        let life = postcard::from_bytes::<Life>(&entry.value).ok();
        if life.is_none() && !self.map.foreign {
            log::error!(target: "nodewright::election", "the key '{KEY}' of the replicated map holds what no election wrote: nobody is elected until it is deleted");
        }
        self.map.foreign = life.is_none();
        let Some(life) = life else { return };
        let epoch = Epoch { number: entry.version, leader: life.node };
        let lower = self.known.is_some_and(|known| epoch.number <= known.epoch.number);
        if !lower {
            self.follow(epoch, life, cx);
            if life == self.me {
                self.look(cx); // an outcome that was unknown: it leads once this is confirmed
            }
        }
    }

    fn claimed(&mut self, at: Time, answer: Result<Committed, CallError>, cx: Cx<'_, '_>) {
        match answer {
            Ok(Committed::Done { version }) => {
                let reused = self.config.mutant == Some(Mutant::EpochReused);
                let before = self.map.version.filter(|_| reused);
                self.map.saw(version);
                let number = before.unwrap_or(version);
                self.renew(at, cx);
                if self.known.is_some_and(|known| number <= known.epoch.number) && !reused {
                    return self.review(cx); // told by the watch before, or another leads since
                }
                self.follow(Epoch { number, leader: self.me.node }, self.me, cx);
                cx.set_timer(Timer::Again, self.config.lease / 3);
            }
            Ok(Committed::Failed { found, .. }) => {
                self.entry(found, cx);
                self.claim_failed(cx);
            }
            Ok(Committed::Refused(why)) => {
                log::warn!(target: "nodewright::election", "the map refuses the key '{KEY}' ({why:?}): nobody is elected");
                self.claim_failed(cx);
            }
            Err(why) => {
                log::info!(target: "nodewright::election", "no leadership without a majority: {why}");
                self.claim_failed(cx);
            }
        }
    }

    /// The key was this life's at some moment after `at`.
    fn renew(&mut self, at: Time, cx: Cx<'_, '_>) {
        let until = at + self.config.lease;
        if self.map.lease.is_none_or(|lease| lease < until) {
            self.map.lease = Some(until);
            cx.set_timer(Timer::Lease, until.since(cx.now()));
        }
    }
}

fn answer<T: 'static>(value: Result<Erased, CallError>) -> Result<T, CallError> {
    let unreadable = || CallError::Failed("the map's answer is of another type".into());
    let answer = value?.downcast::<Result<T, CallError>>().map_err(|_| unreadable())?;
    *answer
}
