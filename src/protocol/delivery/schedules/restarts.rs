//! Lives without memory, and those that meet them.

use super::{has, id};
use crate::component::Item;
use crate::id::{Life, NodeId};
use crate::protocol::delivery::Delivery;
use crate::protocol::delivery::cluster::Cluster;
use crate::protocol::delivery::message::{State, Under};
use std::time::Duration;

/// n0 and n2 acknowledge, n1 delivers; n1, then n0 restart without memory; n2
/// crashes. If the restarted ones acknowledged before they were told what n2
/// holds, the message would be gone.
#[test]
fn a_rolling_restart_without_disk_loses_nothing() {
    let delivery = Delivery::Uniform;
    let mut cluster = Cluster::started(delivery, 3, 9);
    let sender = cluster.life(1);
    // Stability is kept from everyone: n0's acknowledgements do not reach n2.
    cluster.cut.insert((NodeId(0), NodeId(2)));
    cluster.broadcast(1, 10);
    while cluster.arrive() {}
    let message = id(delivery, sender, 1);
    assert!(has(cluster.of(1), message));
    cluster.crash(1);
    cluster.start(1);
    cluster.run_for(Duration::from_secs(2));
    cluster.crash(0);
    cluster.cut.clear();
    cluster.start(0);
    cluster.run_for(Duration::from_secs(2));
    cluster.crash(2);
    cluster.run_for(Duration::from_secs(30));
    assert!(has(cluster.of(1), message), "the first to restart was told before it was counted on");
    let told = cluster.of(0).gaps.iter().any(|gap| gap.origin == sender);
    let closed = cluster.core(0).closed.get(&sender) == Some(&1);
    assert!(told || closed || has(cluster.of(0), message), "what was stable by then is known to have been");
}

/// n1 acknowledges to the sender alone, restarts, and joins again through three
/// that lack the message. Then n2, one of these, receives and acknowledges it.
/// The sender has not met n1's new life, but n2 has, and says so first: else the
/// sender would count three holders of five where two are left, and both may
/// crash.
#[test]
fn word_of_a_new_life_comes_before_the_acknowledgement_that_would_count_with_the_old_one() {
    let delivery = Delivery::Uniform;
    let mut cluster = Cluster::started(delivery, 5, 1);
    let (sender, old) = (cluster.life(0), cluster.life(1));
    let others = [NodeId(2), NodeId(3), NodeId(4)];
    cluster.cut.extend(others.iter().flat_map(|other| [(NodeId(0), *other), (NodeId(1), *other)]));
    cluster.broadcast(0, 10);
    while cluster.arrive() {}
    let message = id(delivery, sender, 1);
    assert_eq!(cluster.core(0).account_of(message), "2 of 5 voters hold it: n1, this node");
    cluster.crash(1);
    cluster.lose_from(old);
    cluster.cut.retain(|(a, _)| *a == NodeId(0));
    cluster.cut.insert((NodeId(0), NodeId(1)));
    cluster.start(1);
    cluster.run_for(Duration::from_secs(2));
    assert!(cluster.core(1).joining.joined && !has(cluster.of(1), message));
    cluster.cut.remove(&(NodeId(0), NodeId(2)));
    while cluster.arrive() {}
    assert_eq!(cluster.core(0).account_of(message), "2 of 5 voters hold it: n2, this node");
    assert!(cluster.of(0).delivered.is_empty());
    cluster.heal();
    for node in 0..5 {
        assert!(has(cluster.of(node), message), "n{node}");
    }
}

/// The sender reaches one peer, and restarts before any detector notices.
#[test]
fn a_sender_that_reached_one_and_restarted_is_delivered_by_all_or_none() {
    for delivery in [Delivery::Reliable, Delivery::ReliableCausal, Delivery::Uniform, Delivery::UniformFifo] {
        for reaches in [true, false] {
            let mut cluster = Cluster::started(delivery, 3, 5);
            let sender = cluster.life(0);
            cluster.broadcast(0, 10);
            if reaches {
                for link in cluster.links_between(sender, cluster.life(1)) {
                    cluster.arrive_on(link, 8);
                }
            }
            cluster.crash(0);
            cluster.lose_from(sender);
            cluster.start(0);
            cluster.heal();
            for node in [1, 2] {
                assert_eq!(has(cluster.of(node), id(delivery, sender, 1)), reaches, "{delivery} at n{node}");
            }
            assert!(cluster.core(1).origins.len() <= 3, "the ended life's record is gone");
        }
    }
}

#[test]
fn a_majority_starts_without_the_others_and_a_latecomer_joins() {
    for delivery in [Delivery::Uniform, Delivery::UniformCausal] {
        let mut cluster = Cluster::new(delivery, 4, 1);
        cluster.start(0);
        cluster.start(1);
        cluster.broadcast(0, 10);
        cluster.run_for(Duration::from_secs(5));
        assert!(!cluster.core(0).joining.joined && cluster.of(0).delivered.is_empty(), "two of four are no majority");
        cluster.start(2);
        cluster.run_for(Duration::from_secs(5));
        assert!(has(cluster.of(2), id(delivery, cluster.life(0), 1)));
        cluster.start(3);
        cluster.run_for(Duration::from_secs(5));
        assert!(has(cluster.of(3), id(delivery, cluster.life(0), 1)), "voters not seen yet are waited for");
        cluster.heal();
        assert_eq!(cluster.core(0).held_bytes(), 0);
    }
}

/// Two of three restart at once: more than a minority. What the third still
/// holds is not lost, and nobody waits forever.
#[test]
fn two_simultaneous_restarts_neither_block_nor_lose_what_the_third_holds() {
    let delivery = Delivery::Uniform;
    for seed in 0..50 {
        let mut cluster = Cluster::started(delivery, 3, seed);
        let sender = cluster.life(2);
        cluster.broadcast(2, 10);
        let later = cluster.rng.usize(..12);
        for _ in 0..later {
            cluster.arrive();
        }
        cluster.crash(0);
        cluster.crash(1);
        cluster.start(0);
        cluster.start(1);
        cluster.broadcast(0, 10);
        cluster.heal();
        assert!(has(cluster.of(2), id(delivery, sender, 1)), "seed {seed}");
        assert!(has(cluster.of(2), id(delivery, cluster.life(0), 1)), "seed {seed}");
        for node in [0, 1] {
            let told = cluster.of(node).gaps.iter().any(|gap| gap.origin == sender);
            assert!(told || has(cluster.of(node), id(delivery, sender, 1)), "seed {seed}");
        }
    }
}

/// n1 has a life of n2 still open that n0, a new life, never heard of; n2 has
/// closed so many since that it forgot that one. What n2 broadcasts may follow
/// from it without naming it, so n0 must not deliver it later.
#[test]
fn what_a_peer_has_closed_and_forgotten_is_not_owed_to_a_new_life() {
    use crate::codec::{put_head, put_item};
    use crate::protocol::delivery::ended::CLOSED_KEPT;
    use crate::protocol::delivery::message::{Holding, Message};
    let mut cluster = Cluster::new(Delivery::UniformCausal, 3, 1);
    cluster.lives.insert(NodeId(2), CLOSED_KEPT as u64 + 1);
    for node in 0..3 {
        cluster.start(node);
    }
    cluster.link(NodeId(0), NodeId(1));
    cluster.link(NodeId(0), NodeId(2));
    let past = |incarnation| Life::new(NodeId(2), incarnation);
    let forgotten = Holding { origin: past(1), base: 0, have: 1, over: true };
    let state = |closed, holdings| {
        Message::State(State {
            round: 0,
            under: Under { list: 1, seat: None },
            joined: 1,
            cold: vec![],
            lives: vec![],
            closed,
            holdings,
        })
    };
    let closed: Vec<(Life, u64)> = (2..2 + CLOSED_KEPT as u64).map(|incarnation| (past(incarnation), 0)).collect();
    let few = state(closed[1..].to_vec(), vec![]);
    for (from, message, skipped) in
        [(1, state(vec![], vec![forgotten]), false), (2, few, false), (2, state(closed, vec![]), true)]
    {
        let mut block = Vec::new();
        put_item(&mut block, |out| put_head(out, &message));
        let from = cluster.life(from);
        cluster.step(NodeId(0), vec![Item::Messages { from, block: block.into() }]);
        assert_eq!(cluster.of(0).gaps.iter().any(|gap| gap.origin == past(1)), skipped, "{message:?}");
    }
}
