//! Questions to the replicated map: tried until there is an answer that says
//! something, or the time for it is over.

use super::component::{Cx, Ring};
use super::following::Followed;
use super::{ClientId, PushId};
use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::replicated_log::{Key, Level, NOT_READY};
use crate::protocol::replicated_map::{self as map, Committed, Entry, Got, Page, ReplicatedMap, Transaction, Watched};
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// When the map is not ready it is asked again after so long.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Until when a transaction is tried; then nobody knows.
pub(super) const WITHIN: Duration = Duration::from_secs(8);
/// A read that no majority confirms in this time is answered by this replica.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone)]
pub(super) enum Wish {
    Commit(Transaction, Key),
    Get(Vec<Bytes>, Level),
    List { prefix: Bytes, after: Option<Bytes>, limit: u32, level: Level },
    Watch(u64),
}

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    Client(ClientId),
    Topology,
    Follow,
    Abort(PushId),
    Expire,
    Sweep,
    Rebalance,
}

/// What came of it.
pub(super) enum Told {
    /// A transaction; `None` if nobody knows whether it was done.
    Committed(Option<Committed>),
    /// Nothing was read, or nothing can be: not done.
    Not,
    Entries(Vec<Option<Entry>>),
    Page(Got<Page>),
    Watched(Option<Watched>),
}

struct Open {
    wish: Wish,
    whom: For,
    until: Time,
}

/// What is asked of the map.
#[derive(Default)]
pub(super) struct Mapping {
    open: BTreeMap<Token, Open>,
    again: Vec<(Time, Open)>,
}

impl Ring {
    /// Asks the map; [`Ring::told`] hears the answer.
    pub(super) fn wish(&mut self, whom: For, wish: Wish, within: Duration, cx: Cx<'_, '_>) {
        let until = cx.now() + within;
        self.put_wish(Open { wish, whom, until }, cx);
    }

    /// A transaction with a name of its own, so that trying it again does it once.
    pub(super) fn transact(&mut self, whom: For, transaction: Transaction, cx: Cx<'_, '_>) {
        let key = cx.rng().u128(..);
        self.wish(whom, Wish::Commit(transaction, key), WITHIN, cx);
    }

    /// Reads as new as anything acknowledged, or, where no majority says so in time,
    /// what this replica has: committed files stay readable.
    pub(super) fn look(&mut self, whom: For, keys: Vec<Bytes>, cx: Cx<'_, '_>) {
        self.wish(whom, Wish::Get(keys, Level::Linearizable), WITHIN, cx);
    }

    fn put_wish(&mut self, open: Open, cx: Cx<'_, '_>) {
        let left = open.until.since(cx.now()).max(Duration::from_millis(1));
        let within = match open.wish {
            Wish::Get(_, Level::Linearizable) | Wish::List { level: Level::Linearizable, .. } => {
                left.min(CONFIRMED_WITHIN)
            }
            _ => left,
        };
        let call = match open.wish.clone() {
            Wish::Commit(transaction, key) => map::Call::Commit { transaction, key: Some(key), within },
            Wish::Get(keys, level) => map::Call::Get { keys, level, within },
            Wish::List { prefix, after, limit, level } => map::Call::List { prefix, after, limit, level, within },
            Wish::Watch(after) => map::Call::Watch { prefix: "ring/".into(), after, limit: 500, within },
        };
        let token = cx.call::<ReplicatedMap>(Kind::of(map::NAME), call, within + Duration::from_secs(6));
        self.mapping.open.insert(token, open);
    }

    /// What is to be asked again by now.
    pub(super) fn wish_again(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        let (due, later) = std::mem::take(&mut self.mapping.again).into_iter().partition(|(at, _)| *at <= now);
        self.mapping.again = later;
        let due: Vec<(Time, Open)> = due;
        due.into_iter().for_each(|(_, open)| self.put_wish(open, cx));
    }

    /// The map answers; whether it was asked by this part.
    pub(super) fn map_answered(
        &mut self,
        token: Token,
        value: Result<Erased, CallError>,
        cx: Cx<'_, '_>,
    ) -> Option<Result<Erased, CallError>> {
        let Some(mut open) = self.mapping.open.remove(&token) else { return Some(value) };
        let told = match &open.wish {
            Wish::Commit(..) => taken::<Committed>(value).map(|done| Told::Committed(Some(done))),
            Wish::Get(..) => taken::<Got<Vec<Option<Entry>>>>(value).map(|got| Told::Entries(got.value)),
            Wish::List { .. } => taken::<Got<Page>>(value).map(Told::Page),
            Wish::Watch(_) => taken::<Got<Watched>>(value).map(|got| Told::Watched(Some(got.value))),
        };
        let error = match told {
            Ok(told) => {
                self.told(open.whom, told, cx);
                return None;
            }
            Err(error) => error,
        };
        let commits = matches!(open.wish, Wish::Commit(..));
        let over = open.until <= cx.now() + AGAIN_AFTER;
        match (&mut open.wish, error) {
            // whatever the watch hears or not, it goes on
            (Wish::Watch(_), CallError::TimedOut(_)) => self.told(open.whom, Told::Watched(None), cx),
            (_, CallError::Stopping) => {}
            (Wish::Get(_, level) | Wish::List { level, .. }, CallError::TimedOut(_) | CallError::Ended(_))
                if *level == Level::Linearizable && matches!(open.whom, For::Client(_)) =>
            {
                *level = Level::Stale;
                self.put_wish(open, cx);
            }
            (_, CallError::Refused(why)) if !over && (why == NOT_READY || commits) => {
                self.mapping.again.push((cx.now() + AGAIN_AFTER, open));
                cx.set_timer(super::component::Timer::Again, AGAIN_AFTER);
            }
            (Wish::Commit(..), CallError::Refused(_)) => self.told(open.whom, Told::Not, cx),
            // with its key it is done once
            (Wish::Commit(..), _) if !over => self.put_wish(open, cx),
            (Wish::Commit(..), _) => self.told(open.whom, Told::Committed(None), cx),
            _ => self.told(open.whom, Told::Not, cx),
        }
        None
    }

    fn told(&mut self, whom: For, told: Told, cx: Cx<'_, '_>) {
        match whom {
            For::Client(client) => self.client_told(client, told, cx),
            For::Topology => self.topology_told(told, cx),
            For::Follow => {
                let followed = match told {
                    Told::Page(page) => Followed::Page(page),
                    Told::Watched(watched) => Followed::Watched(watched),
                    _ => Followed::Nothing,
                };
                self.followed(followed, cx);
            }
            For::Abort(push) => self.abort_told(push, &told, cx),
            For::Expire => self.expire_told(&told, cx),
            For::Sweep => self.sweep_told(told, cx),
            For::Rebalance => self.rebalance_heard(told, cx),
        }
    }
}

fn taken<T: 'static>(value: Result<Erased, CallError>) -> Result<T, CallError> {
    let strange = || CallError::Failed("the map's answer is of another type".into());
    *value?.downcast::<Result<T, CallError>>().map_err(|_| strange())?
}
