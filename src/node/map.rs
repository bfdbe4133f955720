//! The replicated map and its log, for the user's threads.

use super::running::Running;
use crate::error::CallError;
use crate::id::{Kind, NodeId};
use crate::protocol::replicated_log::{self as log, Key, Level, Status};
use crate::protocol::replicated_map::{Call, Committed, Entry, Got, NAME, Page, Transaction, Watched};
use bytes::Bytes;
use std::any::Any;
use std::time::Duration;

/// The driver's deadline is this much later than the component's own, which says
/// more.
const GRACE: Duration = Duration::from_secs(6);

/// The replicated map of a running node: see [`Running::map`].
///
/// ```no_run
/// use nodewright::node::Node;
/// use nodewright::protocol::replicated_map::{Condition, Transaction};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new("alpha", 0, 5).has_replicated_log("data/alpha").start()?;
/// let map = node.map();
/// let take = Transaction::default().when(Condition::Absent("lock".into())).put("lock", "alpha");
/// println!("{:?}", map.commit(take, Duration::from_secs(10))?);
/// println!("{:?}", map.get("lock", Duration::from_secs(10))?);
/// node.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Map {
    node: Running,
}

impl Running {
    /// The replicated map, where the node has a replicated log; else its calls
    /// are refused.
    pub fn map(&self) -> Map {
        Map { node: self.clone() }
    }

    /// This node's view of the replicated log: who leads, what is applied, who
    /// takes part.
    ///
    /// # Errors
    /// The node has no log, or stops.
    pub fn log_status(&self) -> Result<Status, CallError> {
        asked(self, Kind::of(log::NAME), log::Call::Status, GRACE)
    }

    /// Removes a node from the group of the replicated log, asked of any member:
    /// it stops taking part. One that leads hands over first.
    ///
    /// # Errors
    /// `TimedOut`: it may still happen.
    pub fn log_remove(&self, node: NodeId, within: Duration) -> Result<(), CallError> {
        asked::<Result<(), _>>(self, Kind::of(log::NAME), log::Call::Remove { node, within }, within + GRACE)?
    }

    /// Lets another node lead the replicated log.
    ///
    /// # Errors
    /// `TimedOut`: it may still happen.
    pub fn log_transfer(&self, to: NodeId, within: Duration) -> Result<(), CallError> {
        asked::<Result<(), _>>(self, Kind::of(log::NAME), log::Call::Transfer { to, within }, within + GRACE)?
    }
}

fn asked<T: 'static>(node: &Running, to: Kind, call: impl Any + Send, within: Duration) -> Result<T, CallError> {
    let answer = node.handle().call(to, Box::new(call), within)?;
    answer.downcast().map(|answer| *answer).map_err(|_| CallError::Failed("an answer of another type".into()))
}

impl Map {
    fn ask<T: 'static>(&self, call: Call, within: Duration) -> Result<T, CallError> {
        asked::<Result<T, CallError>>(&self.node, Kind::of(NAME), call, within + GRACE)?
    }

    /// Does a transaction, or says why it was not done.
    ///
    /// # Errors
    /// `Refused`: not done. Else the outcome is unknown: with a key
    /// ([`Map::commit_once`]) it can be asked for again.
    pub fn commit(&self, transaction: Transaction, within: Duration) -> Result<Committed, CallError> {
        self.ask(Call::Commit { transaction, key: None, within }, within)
    }

    /// Does a transaction once, however often and through whatever node it is
    /// asked for with this key.
    ///
    /// # Errors
    /// As [`Map::commit`].
    pub fn commit_once(&self, key: Key, transaction: Transaction, within: Duration) -> Result<Committed, CallError> {
        self.ask(Call::Commit { transaction, key: Some(key), within }, within)
    }

    /// What a key holds, as new as anything acknowledged before.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn get(&self, key: impl Into<Bytes>, within: Duration) -> Result<Option<Entry>, CallError> {
        let mut got = self.get_all(vec![key.into()], Level::Linearizable, within)?;
        Ok(got.value.pop().flatten())
    }

    /// What keys hold at one index.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn get_all(
        &self,
        keys: Vec<Bytes>,
        level: Level,
        within: Duration,
    ) -> Result<Got<Vec<Option<Entry>>>, CallError> {
        self.ask(Call::Get { keys, level, within }, within)
    }

    /// A page of the keys that begin with `prefix`, behind the key `after`; at
    /// most 1000.
    ///
    /// # Errors
    /// Nothing was read.
    pub fn list(
        &self,
        prefix: impl Into<Bytes>,
        after: Option<Bytes>,
        limit: u32,
        level: Level,
        within: Duration,
    ) -> Result<Got<Page>, CallError> {
        self.ask(Call::List { prefix: prefix.into(), after, limit, level, within }, within)
    }

    /// Waits for changes behind the index `after` of keys that begin with
    /// `prefix`. Go on from where the answer says.
    ///
    /// # Errors
    /// `TimedOut`: there was none.
    pub fn watch(&self, prefix: impl Into<Bytes>, after: u64, within: Duration) -> Result<Watched, CallError> {
        let call = Call::Watch { prefix: prefix.into(), after, limit: 1000, within };
        self.ask::<Got<Watched>>(call, within).map(|got| got.value)
    }
}
