//! Seeded chaos against the textbook's properties, and the planted bugs that
//! they must catch. The public simulator judges whole stacks in the same way.

mod lists;

use super::cluster::Cluster;
use super::{Delivery, Guarantee, Mutant, Order};
use crate::id::{Life, MessageId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// One run: chaos, then healing, then judgement.
fn run(delivery: Delivery, mutant: Option<Mutant>, seed: u64) -> Result<(), String> {
    let voters = if seed.is_multiple_of(3) { 5 } else { 3 };
    let mut cluster = Cluster::new(delivery, voters, seed);
    cluster.mutant = mutant;
    for node in 0..voters {
        cluster.start(node);
    }
    cluster.run_for(Duration::from_millis(if seed.is_multiple_of(2) { 2000 } else { 0 }));
    let minority = match delivery.guarantee() {
        Guarantee::Uniform => (voters - 1) / 2,
        _ => voters - 1,
    };
    let mut accurate: Vec<Life> = Vec::new();
    for _ in 0..cluster.rng.usize(50..400) {
        let node = cluster.rng.u64(..voters);
        let up = cluster.up.contains_key(&NodeId(node));
        match cluster.rng.u32(..100) {
            0..15 if up => cluster.broadcast(node, 10),
            15..75 => _ = cluster.arrive(),
            75..85 => _ = cluster.link_some(),
            85..88 if up => {
                let failed = (0..voters).filter(|n| !counted_on(&cluster, *n)).count() as u64;
                if counted_on(&cluster, node) && failed < minority && delivery.guarantee() != Guarantee::UniformAllAck {
                    accurate.push(cluster.crash(node));
                }
            }
            88..91 if !up => _ = cluster.start(node),
            91..93 => {
                let other = cluster.rng.u64(..voters);
                let pair = (NodeId(node.min(other)), NodeId(node.max(other)));
                if node != other && !cluster.cut.remove(&pair) {
                    cluster.cut.insert(pair);
                }
            }
            93..95 if up => {
                let other = cluster.rng.u64(..voters);
                if let Some(peer) =
                    cluster.up.get(&NodeId(other)).filter(|_| delivery.guarantee() == Guarantee::Reliable)
                {
                    let (life, suspected) = (peer.life, cluster.rng.bool());
                    cluster.suspect(node, life, suspected);
                }
            }
            95..97 if up => {
                if let Some(life) = accurate.get(cluster.rng.usize(..accurate.len().max(1))).copied() {
                    cluster.end_at(node, life);
                }
            }
            97..99 => _ = cluster.tick(Duration::from_millis(300)),
            _ => {}
        }
    }
    // Healing: some of those that are down come back, the others are ended.
    let up: BTreeSet<Life> = cluster.up.values().map(|peer| peer.life).collect();
    cluster.cut.clear();
    for node in 0..voters {
        if !cluster.up.contains_key(&NodeId(node)) && cluster.rng.bool() {
            cluster.start(node);
        }
    }
    for life in &accurate {
        for node in 0..voters {
            cluster.end_at(node, *life);
        }
    }
    cluster.heal();
    judge(&cluster, &up).map_err(|fault| format!("{delivery} {mutant:?} seed {seed}: {fault}"))
}

fn counted_on(cluster: &Cluster, node: u64) -> bool {
    cluster.up.get(&NodeId(node)).is_some_and(|peer| peer.adapter.component().joining.joined)
}

fn judge(cluster: &Cluster, throughout: &BTreeSet<Life>) -> Result<(), String> {
    judge_by(cluster, throughout, |_| true, |life| life.incarnation.0 > 1)
}

/// `votes` says which lives are owed something at all, `late` which may have missed
/// what was stable before them.
fn judge_by(
    cluster: &Cluster,
    throughout: &BTreeSet<Life>,
    votes: impl Fn(Life) -> bool,
    late: impl Fn(Life) -> bool,
) -> Result<(), String> {
    let delivery = cluster.config.delivery;
    if cluster.restless {
        return Err("does not come to rest".into());
    }
    let mut delivered = BTreeMap::<MessageId, Life>::new();
    for (life, history) in &cluster.history {
        let set: BTreeSet<MessageId> = history.delivered.iter().copied().collect();
        if set.len() != history.delivered.len() {
            return Err(format!("duplication at {life}"));
        }
        ordered(cluster, *life, delivery.order())?;
        let matters = match delivery.guarantee() {
            Guarantee::BestEffort => false,
            Guarantee::Reliable => throughout.contains(life),
            _ => true,
        };
        for id in set.iter().filter(|_| matters) {
            delivered.insert(*id, *life);
        }
        if let Some(invented) = set.iter().find(|id| !cluster.causes.contains_key(&(id.origin, id.batch))) {
            return Err(format!("creation: {invented} at {life}"));
        }
    }
    let up = |life: Life| cluster.up.values().any(|peer| peer.life == life) && votes(life);
    for (origin, n) in cluster.causes.keys().filter(|(origin, _)| up(*origin)) {
        let id = MessageId { origin: *origin, delivery: delivery.kind(), batch: *n, index: 0 };
        delivered.entry(id).or_insert(*origin); // validity: a correct sender's
    }
    for peer in cluster.up.values().filter(|peer| votes(peer.life)) {
        let history = &cluster.history[&peer.life];
        let first = !late(peer.life);
        let mine: BTreeSet<MessageId> = history.delivered.iter().copied().collect();
        for (id, by) in delivered.iter().filter(|_| first || delivery.guarantee() != Guarantee::BestEffort) {
            let told =
                history.gaps.iter().any(|gap| gap.origin == id.origin && (gap.from..=gap.to).contains(&id.batch));
            let before = !first && !cluster.core_of(peer.life).origins.contains_key(&id.origin);
            if !mine.contains(id) && (first || !(told || before)) {
                let account = cluster.core_of(peer.life).account_of(*id);
                let state = cluster.state();
                return Err(format!("agreement: {id}, delivered by {by}, not by {}: {account}\n{state}", peer.life));
            }
        }
        let core = cluster.core_of(peer.life);
        let left = core.held_bytes() + core.window.bytes();
        if left > 0 || core.origins.len() > core.voters.configured {
            return Err(format!("memory at {}: {left} B\n{}", peer.life, cluster.state()));
        }
        if core.causal.as_ref().is_some_and(|causal| causal.held_back() > 0) {
            return Err(format!("held back at {}", peer.life));
        }
    }
    Ok(())
}

fn ordered(cluster: &Cluster, life: Life, order: Order) -> Result<(), String> {
    let history = &cluster.history[&life];
    let mut last = BTreeMap::<Life, u64>::new();
    let mut seen = BTreeSet::new();
    for id in &history.delivered {
        let before = last.insert(id.origin, id.batch).unwrap_or(0);
        if order != Order::None && id.batch <= before {
            return Err(format!("order at {life}: {id} after {before}"));
        }
        if order == Order::Causal {
            let owed = |cause: &&MessageId| {
                let gap = history.gaps.iter().any(|gap| gap.origin == cause.origin && cause.batch <= gap.to);
                !seen.contains(*cause) && !gap && history.delivered.contains(cause)
            };
            if let Some(cause) = cluster.causes.get(&(id.origin, id.batch)).and_then(|causes| causes.iter().find(owed))
            {
                return Err(format!("causality at {life}: {id} before {cause}\n{}", cluster.state()));
            }
        }
        seen.insert(*id);
    }
    Ok(())
}

impl Cluster {
    fn state(&self) -> String {
        let mut text = String::new();
        for peer in self.up.values() {
            let core = peer.adapter.component();
            let _ = writeln!(
                text,
                "{} knows {:?}, closed {:?}",
                peer.life,
                core.voters.lives().collect::<Vec<_>>(),
                core.closed
            );
            for origin in core.origins.values() {
                let _ =
                    writeln!(text, "  {:?} acked {:?} reported {:?}", origin.holding(), origin.acked, origin.reported);
            }
            let _ = writeln!(text, "  gaps {:?}", self.history[&peer.life].gaps);
        }
        text
    }

    fn core_of(&self, life: Life) -> &super::Broadcast {
        self.up[&life.node].adapter.component()
    }
}

fn seeds() -> u64 {
    std::env::var("NODEWRIGHT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60)
}

#[test]
fn every_rung_keeps_its_promise() {
    for delivery in rungs() {
        for seed in 0..seeds() {
            if let Err(fault) = run(delivery, None, seed) {
                panic!("{fault}");
            }
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    let planted = [
        (Delivery::Reliable, Mutant::NoRelayNoPull),
        (Delivery::Uniform, Mutant::NoRelayNoPull),
        (Delivery::Uniform, Mutant::DeliverFirstCopy),
        (Delivery::Reliable, Mutant::DropDedupe),
        (Delivery::Uniform, Mutant::DropDedupe),
        (Delivery::Reliable, Mutant::ForgetIncarnation),
        (Delivery::Uniform, Mutant::ForgetIncarnation),
        (Delivery::Uniform, Mutant::CountAmnesiacAcks),
        (Delivery::ReliableFifo, Mutant::DeliverOnArrival),
        (Delivery::ReliableCausal, Mutant::DeliverOnArrival),
        (Delivery::UniformCausal, Mutant::DeliverOnArrival),
        (Delivery::BestEffort, Mutant::SkipSelf),
    ];
    for (delivery, mutant) in planted {
        let caught = (0..3000).find_map(|seed| run(delivery, Some(mutant), seed).err());
        assert!(caught.is_some(), "{delivery} {mutant:?} was not caught");
    }
}

/// All rungs, or the one that `NODEWRIGHT_RUNG` names, to look for a seed.
fn rungs() -> Vec<Delivery> {
    let chosen = std::env::var("NODEWRIGHT_RUNG").ok().and_then(|rung| rung.parse().ok());
    chosen.map_or_else(|| Delivery::ALL.to_vec(), |rung| vec![rung])
}
