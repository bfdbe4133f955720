//! The same chaos while the list of the voters changes: five nodes, of which two are
//! in nobody's configuration; each applies the log's entries when it comes to them.
//!
//! Who fails counts by every list from the last one on under which a majority is
//! joined: a majority of each keeps its memory. A life that was never joined under its
//! list has failed, and so has one that missed a list.

use super::{Cluster, judge_by, seeds};
use crate::component::PeerRole;
use crate::id::{Life, NodeId};
use crate::protocol::delivery::{Delivery, Guarantee, Mutant};
use crate::protocol::membership::{Seat, VoterList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NODES: u64 = 5;
const CONFIGURED: u64 = 3;
/// Lists that may be on their way at once.
const AHEAD_MAX: usize = 3;

struct Run {
    cluster: Cluster,
    /// How many lists each node's log has applied in this life.
    applied: BTreeMap<u64, usize>,
    /// Lives that were not there from the start, or not all the time.
    late: BTreeSet<Life>,
    removed: u64,
}

impl Run {
    fn new(delivery: Delivery, mutant: Option<Mutant>, seed: u64) -> Self {
        let mut cluster = Cluster::new(delivery, CONFIGURED, seed);
        cluster.mutant = mutant;
        cluster.config.voters_by_log = true;
        cluster.list(&[0, 1, 2]);
        let mut run = Run { cluster, applied: BTreeMap::new(), late: BTreeSet::new(), removed: 0 };
        for node in 0..NODES {
            run.start(node);
        }
        run
    }

    fn start(&mut self, node: u64) {
        self.cluster.reborn.remove(&NodeId(node));
        let role = if node < CONFIGURED { PeerRole::Voter } else { PeerRole::Joiner };
        let life = self.cluster.start_as(node, role);
        if node >= CONFIGURED || life.incarnation.0 > 1 {
            self.late.insert(life);
        }
        // the disk may not know how far the last life had come
        let known = self.applied.get(&node).copied().unwrap_or(0);
        self.applied.insert(node, 0);
        let known = self.cluster.rng.usize(0..=known);
        if known > 0 {
            self.apply(node, known);
        }
    }

    /// The log of `node` applies lists up to this number; it sees only the last.
    fn apply(&mut self, node: u64, upto: usize) {
        let list = self.cluster.lists[upto - 1].clone();
        self.applied.insert(node, upto);
        self.cluster.applies(node, &list);
        while let Some(node) = self.cluster.reborn.pop_first() {
            self.start(node.0);
        }
    }

    /// Whether the node keeps its promises in this seat.
    fn keeps(&self, seat: Seat, uniform: bool) -> bool {
        self.cluster.up.get(&seat.node).is_some_and(|peer| {
            let core = peer.adapter.component();
            core.lists.seat == Some(seat.since) && (core.joining.under > 0 || !uniform)
        })
    }

    /// The lists of which a majority must be kept.
    fn in_force(&self) -> &[VoterList] {
        let joined = |list: &&VoterList| {
            let there = |node: NodeId| {
                self.cluster.up.get(&node).is_some_and(|it| it.adapter.component().joining.under >= list.version)
            };
            2 * list.seats.iter().filter(|seat| there(seat.node)).count() > list.seats.len()
        };
        let last = self.cluster.lists.iter().rposition(|list| joined(&list)).unwrap_or(0);
        &self.cluster.lists[last..]
    }

    /// Whether each list keeps its majority without `node`.
    fn may_fail(&self, node: u64) -> bool {
        let uniform = self.cluster.config.delivery.guarantee() == Guarantee::Uniform;
        self.in_force().iter().all(|list| {
            let kept = list.seats.iter().filter(|seat| seat.node.0 != node && self.keeps(**seat, uniform)).count();
            if uniform { 2 * kept > list.seats.len() } else { kept > 0 }
        })
    }

    /// One node comes or goes.
    fn change(&mut self) {
        if self.in_force().len() > AHEAD_MAX || !self.may_fail(NODES) {
            return;
        }
        let Some(newest) = self.cluster.lists.last() else { return };
        let mut nodes: Vec<u64> = newest.seats.iter().map(|seat| seat.node.0).collect();
        let one = self.cluster.rng.u64(..NODES);
        if nodes.contains(&one) {
            nodes.retain(|node| *node != one);
            let left = newest.seats.iter().filter(|seat| seat.node.0 != one);
            if 2 * left.filter(|seat| self.keeps(**seat, true)).count() <= nodes.len() {
                return; // the log removes nobody whom the others need
            }
            self.removed += 1;
        } else {
            nodes.push(one);
        }
        self.cluster.list(&nodes);
    }

    fn chaos(&mut self) {
        let mut dead: Vec<Life> = Vec::new();
        for _ in 0..self.cluster.rng.usize(100..600) {
            let node = self.cluster.rng.u64(..NODES);
            let up = self.cluster.up.contains_key(&NodeId(node));
            match self.cluster.rng.u32(..100) {
                0..15 if up && self.cluster.core(node).voter => self.cluster.broadcast(node, 10),
                15..65 => _ = self.cluster.arrive(),
                65..75 => _ = self.cluster.link_some(),
                75..82 if up => {
                    let (applied, newest) = (self.applied[&node], self.cluster.lists.len());
                    let snapshot = self.cluster.rng.u32(..6) == 0 && self.may_fail(node);
                    let next = if snapshot { newest } else { applied + 1 };
                    if next > applied && next <= newest {
                        self.apply(node, next);
                    }
                }
                82..85 => self.change(),
                85..88 if up && self.may_fail(node) => dead.push(self.cluster.crash(node)),
                88..91 if !up => self.start(node),
                91..93 => {
                    let other = self.cluster.rng.u64(..NODES);
                    let pair = (NodeId(node.min(other)), NodeId(node.max(other)));
                    if node != other && !self.cluster.cut.remove(&pair) {
                        self.cluster.cut.insert(pair);
                    }
                }
                93..96 if up => {
                    if let Some(life) = dead.get(self.cluster.rng.usize(..dead.len().max(1))).copied() {
                        self.cluster.end_at(node, life);
                    }
                }
                96..99 => _ = self.cluster.tick(Duration::from_millis(300)),
                _ => {}
            }
        }
        // Healing: who votes comes back, and all logs come to their end.
        self.cluster.cut.clear();
        for node in 0..NODES {
            if !self.cluster.up.contains_key(&NodeId(node)) {
                self.start(node);
            }
            for life in &dead {
                self.cluster.end_at(node, *life);
            }
        }
        loop {
            let behind =
                |(node, applied): (&u64, &usize)| (*applied < self.cluster.lists.len()).then_some((*node, *applied));
            if let Some((node, applied)) = self.applied.iter().find_map(behind) {
                self.apply(node, applied + 1);
                for _ in 0..self.cluster.rng.usize(0..30) {
                    self.cluster.arrive();
                }
                continue;
            }
            self.cluster.heal();
            match self.cluster.reborn.pop_first() {
                Some(node) => self.start(node.0),
                None => break,
            }
        }
    }

    fn judge(&self) -> Result<(), String> {
        let newest = self.cluster.lists.last().ok_or("no list")?;
        for seat in newest.seats.iter() {
            if !self.cluster.core(seat.node.0).joining.joined {
                return Err(format!("{} does not join\n{}", seat.node, self.cluster.state()));
            }
        }
        let votes = |life: Life| newest.seat(life.node).is_some();
        let late = |life: Life| self.late.contains(&life) || newest.seat(life.node).is_none_or(|seat| seat.since > 1);
        judge_by(&self.cluster, &BTreeSet::new(), votes, late)
    }
}

fn run(delivery: Delivery, mutant: Option<Mutant>, seed: u64) -> Result<Run, String> {
    let mut run = Run::new(delivery, mutant, seed);
    run.chaos();
    run.judge().map_err(|fault| format!("{delivery} {mutant:?} seed {seed}: {fault}"))?;
    Ok(run)
}

#[test]
fn every_rung_keeps_its_promise_while_the_voters_change() {
    for delivery in super::rungs().into_iter().filter(|it| it.guarantee() != Guarantee::BestEffort) {
        let (mut lists, mut removed) = (0, 0);
        for seed in 0..seeds() {
            match run(delivery, None, seed) {
                Ok(run) => (lists, removed) = (lists + run.cluster.lists.len(), removed + run.removed),
                Err(fault) => panic!("{fault}"),
            }
        }
        assert!(lists as u64 > 2 * seeds() && removed > 0, "{delivery}: {lists} lists, {removed} removals");
    }
}

/// Each is searched for from a seed on that once showed it, so that the search is short
/// while nothing changes.
#[test]
fn planted_bugs_of_the_lists_are_caught() {
    for (mutant, from) in [(Mutant::MoveAtOnce, 200), (Mutant::CountAcrossLists, 15_880)] {
        let lost = |seed| run(Delivery::Uniform, Some(mutant), seed).err().filter(|fault| fault.contains("agreement"));
        assert!((from..from + 20_000).any(|seed| lost(seed).is_some()), "{mutant:?} was not caught");
    }
}
