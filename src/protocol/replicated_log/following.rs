//! What follows the log: snapshots of the state, and hashes that compare it with
//! the other replicas'.

use super::boot::{SNAPSHOTS, UNFINISHED, snapshot_name};
use super::component::{Phase, ReplicatedLog};
use super::config::Mutant;
use super::elsewhere::Job;
use super::event::Diverged;
use super::members::Seats;
use super::snapshot::{self, Meta};
use super::state::State;
use super::wire::WireEntry;
use crate::component::{Context, DiskOp, Token};
use crate::error::Fault;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Every so many entries the replicas compare their states.
pub(super) const HASH_EVERY: u64 = 64;

/// Indexes for which hashes are kept.
const HASHES_MAX: usize = 16;

/// What follows the log: entries to be applied, snapshots, hashes of peers.
pub(super) struct Following {
    pub(super) committed: VecDeque<WireEntry>,
    /// A leader's snapshot that the engine has yet to accept.
    pub(super) arrived: Option<(Meta, Bytes, State)>,
    pub(super) newest: u64,
    /// The newest durable snapshot, as it is sent.
    pub(super) bytes: Bytes,
    /// Snapshots on the disk, the oldest first.
    pub(super) files: Vec<u64>,
    pub(super) making: Option<Making>,
    pub(super) applied_bytes: u64,
    pub(super) hashes: BTreeMap<u64, BTreeMap<u64, u64>>,
    pub(super) led: Option<(u64, u64)>,
    /// Version of the seats that the node was told.
    pub(super) seated: u64,
}

pub(super) struct Making {
    token: Token,
    /// What is to be done after that, one after the other.
    steps: VecDeque<DiskOp>,
    meta: Meta,
    bytes: Bytes,
    then: Then,
}

/// What follows once a snapshot is durable, and not before.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    /// The log before it goes.
    Truncate,
    /// The log begins anew behind it.
    Restart,
    /// The log of a new group may be written.
    Begin,
}

impl Following {
    pub(super) fn new(newest: u64, files: Vec<u64>, bytes: Bytes) -> Self {
        Following {
            committed: VecDeque::new(),
            arrived: None,
            newest,
            bytes,
            files,
            making: None,
            applied_bytes: 0,
            hashes: BTreeMap::new(),
            led: None,
            seated: 0,
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes a snapshot: a new file, synced, renamed, its directory synced. Each
    /// step waits for the one before: a file whose sync failed never gets the name
    /// of a snapshot, on which the next life would rest.
    pub(super) fn keep(
        &mut self,
        meta: Meta,
        bytes: Bytes,
        then: Then,
        unsynced: bool,
        cx: &mut Context<'_, ReplicatedLog>,
    ) {
        let name = || UNFINISHED.to_string();
        let mut steps = VecDeque::from([
            DiskOp::Append { name: name(), bytes: bytes.clone() },
            DiskOp::Sync { name: name() },
            DiskOp::Rename { from: name(), to: snapshot_name(meta.index) },
            DiskOp::SyncDir { name: SNAPSHOTS.into() },
        ]);
        if unsynced {
            steps.retain(|step| !matches!(step, DiskOp::Sync { .. } | DiskOp::SyncDir { .. }));
        }
        let token = cx.disk(DiskOp::Remove { name: name() });
        self.files.retain(|index| *index != meta.index);
        self.files.push(meta.index);
        self.making = Some(Making { token, steps, meta, bytes, then });
    }

    /// Tells the node who votes, when that changes: after each change, so that no
    /// list is missed while the log is followed entry by entry.
    pub(super) fn seat(&mut self, seats: &Seats, cx: &mut Context<'_, ReplicatedLog>) {
        if seats.version > self.seated {
            self.seated = seats.version;
            cx.publish(seats.list());
        }
    }

    /// A peer's hash; false if it is no place to compare.
    pub(super) fn heard(&mut self, replica: u64, index: u64, hash: u64) -> bool {
        let sound = index.is_multiple_of(HASH_EVERY);
        if sound {
            self.hashes.entry(index).or_default().insert(replica, hash);
            while self.hashes.len() > HASHES_MAX {
                self.hashes.pop_first();
            }
        }
        sound
    }

    /// An index at which this replica is not with a majority that agrees, or
    /// with nobody when all have spoken.
    fn diverged(&self, me: u64, voters: &[u64]) -> Option<u64> {
        let majority = voters.len() / 2 + 1;
        let against = |hashes: &BTreeMap<u64, u64>| {
            let own = hashes.get(&me)?;
            let agree = |hash: &u64| voters.iter().filter(|voter| hashes.get(voter) == Some(hash)).count();
            let spoken = voters.iter().filter(|voter| hashes.contains_key(voter)).count();
            let outvoted = hashes.values().any(|hash| hash != own && agree(hash) >= majority);
            let split = spoken == voters.len() && agree(own) < majority;
            (outvoted || split).then_some(())
        };
        self.hashes.iter().find(|(_, hashes)| against(hashes).is_some()).map(|(index, _)| *index)
    }
}

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl ReplicatedLog {
    /// Makes a snapshot of the state once enough was applied.
    pub(super) fn snapshot_if_due(&mut self, cx: Cx<'_, '_>) {
        let (due, unsynced) = (self.config.snapshot_bytes, self.has(Mutant::SnapshotUnsynced));
        let Phase::Running(replica) = &mut self.phase else { return };
        let (Some(engine), Some(state)) = (&replica.engine, &replica.state) else { return };
        if replica.following.making.is_some() || replica.elsewhere.snapshot.is_some() {
            return; // also while one of a leader's is on its way to the disk
        }
        let wanted = engine.store().wants_snapshot() && state.applied > replica.following.newest;
        if replica.following.applied_bytes < due && !wanted {
            return;
        }
        let Some(term) = engine.term_at(state.applied) else { return };
        let meta = Meta { index: state.applied, term, conf: state.conf.clone() };
        replica.following.applied_bytes = 0;
        let (state, long) = state.snapshot();
        let encoded = {
            let meta = meta.clone();
            move || snapshot::encode(&meta, &state())
        };
        if long {
            replica.elsewhere.snapshot = Some((cx.job(Job(Box::new(encoded))), meta));
        } else {
            replica.following.keep(meta, encoded(), Then::Truncate, unsynced, cx);
        }
    }

    /// A snapshot was made elsewhere: it is kept, unless a leader's came before it.
    pub(super) fn snapshot_made(&mut self, meta: Meta, bytes: Bytes, cx: Cx<'_, '_>) {
        let unsynced = self.has(Mutant::SnapshotUnsynced);
        let Phase::Running(replica) = &mut self.phase else { return };
        if replica.following.making.is_none() && meta.index > replica.following.newest {
            replica.following.keep(meta, bytes, Then::Truncate, unsynced, cx);
        }
    }

    /// A disk operation of a running replica succeeded.
    pub(super) fn performed(&mut self, token: Token, cx: Cx<'_, '_>) -> Result<(), Fault> {
        let unsynced = self.has(Mutant::SnapshotUnsynced);
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        if replica.wal.done(token, &mut |op| cx.disk(op)) {
            return Ok(());
        }
        let following = &mut replica.following;
        if let Some(making) = following.making.as_mut().filter(|it| it.token == token)
            && let Some(step) = making.steps.pop_front()
        {
            making.token = cx.disk(step);
            return Ok(());
        }
        let Some(Making { meta, bytes, then, .. }) = following.making.take_if(|it| it.token == token) else {
            return Ok(());
        };
        let before = following.newest;
        (following.newest, following.bytes) = (meta.index, bytes);
        // The one before is kept, and the log behind it: should this one turn out to be damaged.
        let keep = if unsynced { meta.index } else { before };
        for index in following.files.extract_if(.., |index| *index < keep) {
            cx.disk(DiskOp::Remove { name: snapshot_name(index) });
        }
        match (then, &mut replica.engine) {
            (Then::Truncate, Some(engine)) => {
                engine.compact(meta, keep);
                replica.wal.remove_through(keep, &mut |op| cx.disk(op));
            }
            (Then::Restart, _) => replica.wal.restart(meta.index, &mut |op| cx.disk(op)),
            (Then::Begin, _) => replica.wal.release(),
            (Then::Truncate, None) => {}
        }
        Ok(())
    }

    /// A replica whose state is not the others' stops.
    pub(super) fn compare(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(state) = &replica.state else { return };
        if let Some(index) = replica.following.diverged(replica.id, &state.conf.voters) {
            cx.publish(Diverged { index });
            self.unusable(
                format!("its state at index {index} is not the others': empty its directory, and it takes part again"),
                cx,
            );
        }
    }
}
