//! The replicated state: machines, who proposed what, outcomes by key, members.
//! All of it is a function of the log, so it is equal on all replicas.
//!
//! **Once.** A life's proposals are counted, and applied in that order: one that
//! comes twice is skipped, one that comes before its predecessor as well (its
//! proposer sends all from there again). An entry of an earlier life of a node
//! whose later one has spoken is skipped. So one number a node is all that is
//! kept: after Lee et al., *Implementing Linearizability at Large Scale and Low
//! Latency* (RIFL), SOSP 2015, with a window that is in order.
//!
//! **Keys.** The outcomes of the newest [`KEYS_MAX`] proposals with a key of the
//! user's, at most [`KEY_BYTES_MAX`] of replies, are kept; a key that comes again
//! meanwhile is answered with its first outcome. Later it is done again.

use super::engine::mix;
use super::entry::{Head, Key};
use super::machine::{At, Machine, Queried, SnapshotWork};
use super::members::{Change, Founders, Member, Seats};
use super::snapshot::Conf;
use super::{MEMBERS_MAX, Machines};
use crate::codec::{Batch, Items, put_head, put_item, take_head};
use crate::id::{Incarnation, Kind, Life, NodeId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Outcomes by key that are kept.
pub const KEYS_MAX: usize = 4096;
/// Bytes of replies that are kept with them.
pub const KEY_BYTES_MAX: usize = 4 << 20;

/// Where a snapshot has the seats, among its machines: an older one lacks them.
const SEATS: Kind = Kind::of("replicated_log.seats");

/// What an entry came to.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// A command's reply: of this entry, or the first with its key.
    Replied(At, Bytes),
    /// A broadcast, to be delivered.
    Deliver(Head, Batch),
    /// Done before, or its turn has not come.
    Skipped,
    /// No entry of ours.
    Junk,
}

/// See the module.
pub(super) struct State {
    pub(super) applied: u64,
    pub(super) founders: Founders,
    pub(super) members: BTreeMap<u64, NodeId>,
    pub(super) conf: Conf,
    pub(super) seats: Seats,
    sessions: BTreeMap<NodeId, (Incarnation, u64)>,
    outcomes: BTreeMap<Key, (At, Bytes)>,
    /// Their keys, the oldest first.
    keys: VecDeque<Key>,
    key_bytes: usize,
    delivered: u64,
    machines: BTreeMap<Kind, Box<dyn Machine>>,
    /// Planted: what comes twice is done twice.
    pub(super) twice: bool,
}

/// All but the machines, as a snapshot has it.
#[derive(Serialize, Deserialize)]
struct Frame {
    founders: Founders,
    members: BTreeMap<u64, NodeId>,
    sessions: BTreeMap<NodeId, (Incarnation, u64)>,
    keys: VecDeque<(Key, (u64, u64), Bytes)>,
    delivered: u64,
}

impl State {
    /// The state in which a group of these founders begins.
    pub(super) fn founded(founders: Founders, machines: &Machines) -> Self {
        let members = founders.members().iter().map(|member| (member.replica, member.node)).collect();
        State {
            applied: founders.meta().index,
            conf: founders.meta().conf,
            seats: Seats::founded(&founders),
            founders,
            members,
            sessions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            keys: VecDeque::new(),
            key_bytes: 0,
            delivered: 0,
            machines: machines.iter().map(|(kind, make)| (*kind, make())).collect(),
            twice: false,
        }
    }

    /// Applies an entry.
    pub(super) fn apply(&mut self, at: At, entry: &Bytes) -> Applied {
        self.applied = at.index;
        let Some((head, body)) = Head::decode(entry) else { return Applied::Junk };
        if !self.is_next(head.origin, head.number) {
            return Applied::Skipped;
        }
        if let Some((at, reply)) = head.key.and_then(|key| self.outcome(key)) {
            return Applied::Replied(at, reply);
        }
        if head.messages > 0 {
            let Some(batch) = Batch::checked(body, head.messages) else { return Applied::Junk };
            self.delivered = mix(self.delivered ^ mix(head.origin.node.0 ^ head.number).rotate_left(9));
            return Applied::Deliver(head, batch);
        }
        let reply = match self.machines.get_mut(&head.channel) {
            Some(machine) => machine.apply(at, &body),
            None => Bytes::new(), // the plan says which machines there are; all replicas agree on that
        };
        if let Some(key) = head.key {
            self.remember(key, at, reply.clone());
        }
        Applied::Replied(at, reply)
    }

    /// Whether it is this life's turn to have its proposal `number` done; if so
    /// it is counted.
    fn is_next(&mut self, origin: Life, number: u64) -> bool {
        let (incarnation, last) = self.sessions.get(&origin.node).copied().unwrap_or_default();
        let done = if incarnation == origin.incarnation { last } else { 0 };
        let turn = origin.incarnation >= incarnation && number == done + 1;
        if turn {
            self.sessions.insert(origin.node, (origin.incarnation, number));
        }
        turn || self.twice && origin.incarnation == incarnation && number <= done
    }

    /// How many proposals of this life are done.
    pub(super) fn done(&self, origin: Life) -> u64 {
        self.sessions.get(&origin.node).filter(|(it, _)| *it == origin.incarnation).map_or(0, |(_, last)| *last)
    }

    /// The outcome of the proposal with this key, if it is remembered.
    pub(super) fn outcome(&self, key: Key) -> Option<(At, Bytes)> {
        self.outcomes.get(&key).cloned()
    }

    /// Keeps the outcome of a key of which none is kept.
    fn remember(&mut self, key: Key, at: At, reply: Bytes) {
        self.key_bytes += reply.len();
        self.keys.push_back(key);
        self.outcomes.insert(key, (at, reply));
        while self.keys.len() > KEYS_MAX || self.key_bytes > KEY_BYTES_MAX {
            let Some((_, reply)) = self.keys.pop_front().and_then(|key| self.outcomes.remove(&key)) else { break };
            self.key_bytes -= reply.len();
        }
    }

    /// A change of the membership is done; `conf` is what it came to.
    pub(super) fn change(&mut self, index: u64, change: Option<&Change>, conf: Conf) {
        self.applied = index;
        for Member { replica, node } in change.into_iter().flat_map(|it| it.voters.iter().chain(&it.learners)) {
            self.members.insert(*replica, *node);
        }
        self.members.retain(|replica, _| conf.has(*replica));
        self.conf = conf;
        self.seats.change(index, &self.voting());
    }

    fn voting(&self) -> BTreeSet<NodeId> {
        self.conf.voters.iter().filter_map(|replica| self.members.get(replica)).copied().collect()
    }

    pub(super) fn query(&self, channel: Kind, query: &[u8]) -> Option<Queried> {
        self.machines.get(&channel).map(|machine| machine.query(self.applied, query))
    }

    /// A hash of everything that the log determines.
    pub(super) fn hash(&self) -> u64 {
        let sessions = self.sessions.iter().fold(self.applied, |hash, (node, (incarnation, last))| {
            mix(hash ^ mix(node.0 ^ mix(incarnation.0)) ^ last)
        });
        let newest = self.keys.back().and_then(|key| Some((key, self.outcomes.get(key)?)));
        let keys = newest.map_or(0, |(key, (at, _))| mix(*key as u64 ^ at.index)) ^ self.keys.len() as u64;
        let machines = self.machines.values().fold(self.delivered, |hash, machine| mix(hash ^ machine.hash()));
        mix(sessions ^ keys.rotate_left(20)) ^ machines
    }

    /// What gives the whole state's bytes as it is now, at any later time; the
    /// second says whether that may take long, and should be done elsewhere.
    pub(super) fn snapshot(&self) -> (impl FnOnce() -> Vec<u8> + Send + use<>, bool) {
        let kept = self.keys.iter().filter_map(|key| self.outcomes.get(key).map(|(at, reply)| (key, at, reply)));
        let frame = Frame {
            founders: self.founders.clone(),
            members: self.members.clone(),
            sessions: self.sessions.clone(),
            keys: kept.map(|(key, at, reply)| (*key, (at.index, at.term), reply.clone())).collect(),
            delivered: self.delivered,
        };
        let mut long = false;
        let mut part = |machine: &dyn Machine| -> SnapshotWork {
            if let Some(work) = machine.snapshot_later() {
                long = true;
                return work;
            }
            let mut bytes = Vec::new();
            machine.snapshot(&mut bytes);
            Box::new(move |out| out.extend_from_slice(&bytes))
        };
        let parts: Vec<(Kind, SnapshotWork)> =
            self.machines.iter().map(|(kind, machine)| (*kind, part(machine.as_ref()))).collect();
        let seats = self.seats.clone();
        let bytes = move || {
            let mut out = Vec::new();
            put_head(&mut out, &frame);
            put_item(&mut out, |out| {
                put_head(out, &SEATS);
                put_head(out, &seats);
            });
            for (kind, part) in parts {
                let mut bytes = Vec::new();
                part(&mut bytes);
                put_item(&mut out, |out| {
                    put_head(out, &kind);
                    out.extend_from_slice(&bytes);
                });
            }
            out
        };
        (bytes, long)
    }

    /// The state of a snapshot.
    ///
    /// # Errors
    /// The bytes are none of these machines'.
    pub(super) fn restored(index: u64, conf: Conf, bytes: &[u8], machines: &Machines) -> Result<Self, String> {
        let (frame, at) = take_head::<Frame>(bytes).ok_or("a snapshot's frame does not decode")?;
        let Frame { founders, members, sessions, keys, delivered } = frame;
        if !founders.is_sound() || members.len() > MEMBERS_MAX {
            return Err("a snapshot's members are none".into());
        }
        let mut state =
            State { members, sessions, delivered, conf, applied: index, ..State::founded(founders, machines) };
        state.seats = Seats::unknown(state.voting()); // an older snapshot does not tell
        for (key, (index, term), reply) in keys {
            state.remember(key, At { index, term }, reply);
        }
        let mut items = Items::new(&bytes[at..]);
        for (_, item) in items.by_ref() {
            let (kind, body) = take_head::<Kind>(item).ok_or("a snapshot's machine has no name")?;
            if kind == SEATS {
                (state.seats, _) = take_head(&item[body..]).ok_or("a snapshot's seats do not decode")?;
            } else if let Some(machine) = state.machines.get_mut(&kind) {
                machine.restore(index, &item[body..])?;
            }
        }
        if items.malformed() { Err("a snapshot ends too early".into()) } else { Ok(state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Counts what it applies.
    struct Counter(u64);

    impl Machine for Counter {
        fn apply(&mut self, _: At, command: &[u8]) -> Bytes {
            self.0 += command.len() as u64;
            Bytes::copy_from_slice(&self.0.to_le_bytes())
        }
        fn query(&self, _: u64, _: &[u8]) -> Queried {
            Queried::Now(Bytes::copy_from_slice(&self.0.to_le_bytes()))
        }
        fn snapshot(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
        }
        fn restore(&mut self, _: u64, snapshot: &[u8]) -> Result<(), String> {
            self.0 = u64::from_le_bytes(snapshot.try_into().map_err(|_| "eight bytes")?);
            Ok(())
        }
        fn hash(&self) -> u64 {
            self.0
        }
    }

    const CHANNEL: Kind = Kind(7);

    fn machines() -> Machines {
        Machines::from([(CHANNEL, Arc::new(|| Box::new(Counter(0)) as Box<dyn Machine>) as _)])
    }

    fn state() -> State {
        let founders = Founders::new(vec![Member { replica: 5, node: NodeId(1) }]);
        State::founded(founders, &machines())
    }

    fn command(incarnation: u64, number: u64, key: Option<Key>) -> Bytes {
        let origin = Life::new(NodeId(1), incarnation);
        Head { origin, number, key, channel: CHANNEL, messages: 0 }.encode(b"abc").into()
    }

    fn applied(state: &mut State, entry: &Bytes) -> Option<u64> {
        let at = At { index: state.applied + 1, term: 1 };
        match state.apply(at, entry) {
            Applied::Replied(_, reply) => Some(u64::from_le_bytes(reply[..].try_into().expect("eight"))),
            Applied::Skipped => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn trap_7_a_proposal_that_comes_again_is_done_once_and_in_its_order() {
        let mut state = state();
        assert_eq!(applied(&mut state, &command(1, 1, None)), Some(3));
        assert_eq!(applied(&mut state, &command(1, 1, None)), None, "again");
        assert_eq!(applied(&mut state, &command(1, 3, None)), None, "before its predecessor");
        assert_eq!(applied(&mut state, &command(1, 2, None)), Some(6));
        assert_eq!(applied(&mut state, &command(2, 1, None)), Some(9), "a new life counts anew");
        assert_eq!(applied(&mut state, &command(1, 3, None)), None, "the old one is over");
    }

    #[test]
    fn trap_7_a_key_that_comes_again_is_answered_with_its_first_outcome() {
        let mut state = state();
        assert_eq!(applied(&mut state, &command(1, 1, Some(42))), Some(3));
        assert_eq!(applied(&mut state, &command(1, 2, None)), Some(6));
        assert_eq!(applied(&mut state, &command(2, 1, Some(42))), Some(3), "by another life");
        assert_eq!(state.outcome(42).map(|(at, _)| at.index), Some(2));
        for n in 0..KEYS_MAX as u64 {
            applied(&mut state, &command(2, 2 + n, Some(1000 + u128::from(n))));
        }
        assert_eq!(state.outcome(42), None, "bounded");
    }

    #[test]
    fn a_snapshot_holds_everything_that_the_hash_says() {
        let mut state = state();
        for n in 1..20 {
            applied(&mut state, &command(1, n, (n % 3 == 0).then_some(u128::from(n))));
        }
        let restored = State::restored(state.applied, state.conf.clone(), &(state.snapshot().0)(), &machines());
        let mut restored = restored.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(restored.hash(), state.hash());
        assert_eq!(applied(&mut restored, &command(1, 20, Some(3))), Some(9), "keys are part of it");
        assert_eq!(applied(&mut restored, &command(1, 20, None)), None, "numbers are part of it");
        assert!(State::restored(1, Conf::default(), b"junk", &machines()).is_err());
    }

    #[test]
    fn a_snapshot_tells_since_when_each_votes_and_an_older_one_need_not() {
        let mut state = state();
        let joined = Member { replica: 9, node: NodeId(4) };
        let conf = Conf { voters: vec![5, 9], ..Conf::default() };
        state.change(7, Some(&Change { voters: vec![joined], ..Change::default() }), conf.clone());
        let bytes = (state.snapshot().0)();
        let restored = |bytes: &[u8]| State::restored(8, conf.clone(), bytes, &machines()).map(|state| state.seats);
        assert_eq!(restored(&bytes), Ok(state.seats.clone()));
        assert_eq!(state.seats.list().seat(NodeId(4)).map(|seat| seat.since), Some(7));
        let (_, frame) = take_head::<Frame>(&bytes).expect("a frame");
        let mut older = bytes[..frame].to_vec();
        for (_, item) in
            Items::new(&bytes[frame..]).filter(|(_, item)| take_head::<Kind>(item).is_some_and(|it| it.0 != SEATS))
        {
            put_item(&mut older, |out| out.extend_from_slice(item));
        }
        assert!(older.len() < bytes.len());
        assert_eq!(restored(&older), Ok(Seats::unknown([NodeId(1), NodeId(4)].into())));
    }
}
