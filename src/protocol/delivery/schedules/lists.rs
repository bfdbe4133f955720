//! The list of the voters changes.

use super::{has, id};
use crate::component::{FailedWhy, Item, PeerRole, Target};
use crate::id::NodeId;
use crate::protocol::delivery::cluster::Cluster;
use crate::protocol::delivery::{Delivery, Mutant};
use std::time::Duration;

const VIA: Delivery = Delivery::Uniform;

/// n0, n1, n2 vote by the first list; n3 may join.
fn three_and_one(mutant: Option<Mutant>) -> Cluster {
    let mut cluster = Cluster::new(VIA, 3, 7);
    cluster.mutant = mutant;
    cluster.config.voters_by_log = true;
    let first = cluster.list(&[0, 1, 2]);
    for node in 0..3 {
        cluster.start(node);
        cluster.applies(node, &first);
    }
    cluster.start_as(3, PeerRole::Joiner);
    cluster.heal();
    cluster
}

fn cut(cluster: &mut Cluster, pairs: &[(u64, u64)]) {
    cluster.cut = pairs.iter().map(|(a, b)| (NodeId(*a), NodeId(*b))).collect();
}

fn joined(cluster: &Cluster, node: u64) -> bool {
    let core = cluster.core(node);
    core.voter && core.joining.joined
}

#[test]
fn a_node_that_comes_with_a_list_votes_and_one_that_goes_does_not() {
    let mut cluster = three_and_one(None);
    cluster.broadcast(0, 10);
    cluster.heal();
    assert!(!joined(&cluster, 3) && cluster.of(3).delivered.is_empty());
    let four = cluster.list(&[0, 1, 2, 3]);
    (0..4).for_each(|node| cluster.applies(node, &four));
    cluster.heal();
    assert!((0..4).all(|node| joined(&cluster, node)));
    // Three of four are a majority, two are not.
    cluster.crash(0);
    cluster.broadcast(3, 10);
    cluster.run_for(Duration::from_secs(1));
    let of_four = id(VIA, cluster.life(3), 1);
    assert!((1..4).all(|node| has(cluster.of(node), of_four)));
    cut(&mut cluster, &[(1, 2), (1, 3)]);
    cluster.broadcast(3, 10);
    cluster.run_for(Duration::from_secs(1));
    assert!(!has(cluster.of(3), id(VIA, cluster.life(3), 2)));
    cluster.cut.clear();
    cluster.run_for(Duration::from_secs(1));
    // Without n0, which is down, three are left, and of these two are enough.
    let three = cluster.list(&[1, 2, 3]);
    (1..4).for_each(|node| cluster.applies(node, &three));
    cluster.run_for(Duration::from_secs(1));
    cut(&mut cluster, &[(1, 2), (1, 3)]);
    cluster.broadcast(3, 10);
    cluster.run_for(Duration::from_secs(1));
    assert!(has(cluster.of(2), id(VIA, cluster.life(3), 3)));
}

/// n2's log lags. n0 has gone on when it acknowledges n2's message, and n1 and n3 are
/// joined without having heard of it: they would vouch for n2's new life, and were n0 to
/// fail, nobody would know what n2 had delivered.
#[test]
fn what_is_acknowledged_under_a_later_list_counts_under_no_earlier_one() {
    for (mutant, delivers) in [(None, false), (Some(Mutant::CountAcrossLists), true)] {
        let mut cluster = three_and_one(mutant);
        let four = cluster.list(&[0, 1, 2, 3]);
        [0, 1, 3].into_iter().for_each(|node| cluster.applies(node, &four));
        cluster.run_for(Duration::from_secs(1));
        assert!(joined(&cluster, 0) && joined(&cluster, 1) && joined(&cluster, 3));
        cut(&mut cluster, &[(1, 2), (2, 3), (0, 1), (0, 3)]);
        let (sender, message) = (cluster.life(2), id(VIA, cluster.life(2), 1));
        cluster.broadcast(2, 10);
        cluster.run_for(Duration::from_secs(1));
        assert_eq!(has(&cluster.history[&sender], message), delivers);
        cluster.crash(2);
        cluster.start(2);
        cluster.applies(2, &four);
        cut(&mut cluster, &[(0, 1), (0, 2), (0, 3)]);
        for node in [1, 3] {
            cluster.end_at(node, sender);
        }
        cluster.run_for(Duration::from_secs(1));
        assert!(joined(&cluster, 2), "two of the three others vouch for it");
        cluster.crash(0);
        cluster.heal();
        assert!([1, 2, 3].into_iter().all(|node| !has(cluster.of(node), message)), "nobody is left that holds it");
    }
}

/// n1 and n2 hold a message, n2 delivers it; n1 restarts without memory, and n2 is
/// removed. n0 must not go on before n2 has told it.
#[test]
fn who_is_removed_is_asked_before_it_is_done_without() {
    let mut cluster = three_and_one(None);
    cut(&mut cluster, &[(0, 1), (0, 2)]);
    let message = id(VIA, cluster.life(2), 1);
    cluster.broadcast(2, 10);
    cluster.run_for(Duration::from_secs(1));
    assert!(has(cluster.of(2), message));
    let before = cluster.crash(1);
    cluster.start(1);
    let first = cluster.lists[0].clone();
    cluster.applies(1, &first);
    let two = cluster.list(&[0, 1]);
    (0..3).for_each(|node| cluster.applies(node, &two));
    cluster.end_at(0, before);
    cut(&mut cluster, &[(0, 2)]);
    cluster.run_for(Duration::from_secs(1));
    assert!(!joined(&cluster, 0), "one of three has gone on, as far as it knows");
    cluster.heal();
    assert!(joined(&cluster, 0) && joined(&cluster, 1));
    assert!(has(cluster.of(0), message));
    assert!(cluster.core(2).origins.is_empty(), "what it held is not needed any more");
}

#[test]
fn a_removed_node_is_told_what_is_unknown_and_what_is_refused() {
    let mut cluster = three_and_one(None);
    cut(&mut cluster, &[(0, 2), (1, 2)]);
    cluster.broadcast(2, 10); // nobody hears of it
    let two = cluster.list(&[0, 1]);
    (0..3).for_each(|node| cluster.applies(node, &two));
    let failed = cluster.of(2).progress.and_then(|progress| progress.failed).expect("it failed");
    assert_eq!((failed.first, failed.last, failed.why), (1, 1, FailedWhy::Ended));
    cluster.broadcast(2, 10);
    let failed = cluster.of(2).progress.and_then(|progress| progress.failed).expect("it failed");
    assert_eq!((failed.first, failed.last, failed.why), (2, 2, FailedWhy::NotAVoter));
    // Taken in again it begins anew.
    let three = cluster.list(&[0, 1, 2]);
    cluster.step(NodeId(2), vec![Item::Event(crate::event::AnyEvent::new(three))]);
    assert!(cluster.reborn.contains(&NodeId(2)));
}

/// n2 was cut off while the others changed twice, and its log has just come to the
/// first change: those whom it would have to ask are gone.
#[test]
fn one_that_was_left_behind_joins_where_the_others_are() {
    let mut cluster = three_and_one(None);
    let four = cluster.list(&[0, 1, 2, 3]);
    cut(&mut cluster, &[(0, 2), (1, 2), (2, 3)]);
    [0, 1, 3].into_iter().for_each(|node| cluster.applies(node, &four));
    cluster.run_for(Duration::from_secs(1));
    let three = cluster.list(&[1, 2, 3]);
    [0, 1, 3].into_iter().for_each(|node| cluster.applies(node, &three));
    cluster.run_for(Duration::from_secs(1));
    cluster.broadcast(3, 10);
    cluster.run_for(Duration::from_secs(1));
    cluster.crash(0);
    cluster.applies(2, &four);
    cluster.applies(2, &three);
    cluster.heal();
    assert!(joined(&cluster, 2) && has(cluster.of(2), id(VIA, cluster.life(3), 1)));
}

/// A log's group that is not founded yet says nothing of who is meant by "all".
#[test]
fn what_is_for_one_node_does_not_wait_for_a_list() {
    let mut cluster = Cluster::new(Delivery::BestEffort, 2, 7);
    cluster.config.voters_by_log = true;
    cluster.start(0);
    cluster.start(1);
    cluster.heal();
    cluster.broadcast(0, 10);
    cluster.request(0, Target::Node(NodeId(1)), 10, 1);
    cluster.heal();
    assert_eq!(cluster.of(1).delivered.len(), 1);
    let both = cluster.list(&[0, 1]);
    (0..2).for_each(|node| cluster.applies(node, &both));
    cluster.heal();
    assert_eq!((cluster.of(0).delivered.len(), cluster.of(1).delivered.len()), (1, 2));
}
