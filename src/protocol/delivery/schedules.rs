//! Schedules with a story: each opens with what went wrong, or would.

mod listeners;
mod lists;
mod restarts;

use super::cluster::{CHANNEL, Cluster, History};
use super::{Delivery, GapWhy, Guarantee};
use crate::component::{FailedWhy, Item, Target};
use crate::id::{Life, MessageId, NodeId};
use std::time::Duration;

fn id(delivery: Delivery, origin: Life, batch: u64) -> MessageId {
    MessageId { origin, delivery: delivery.kind(), batch, index: 0 }
}

fn has(history: &History, id: MessageId) -> bool {
    history.delivered.contains(&id)
}

#[test]
fn every_rung_delivers_to_all_and_reports_progress() {
    for delivery in Delivery::ALL {
        for voters in 1..5 {
            let mut cluster = Cluster::started(delivery, voters, voters);
            for round in 0..3 {
                for node in 0..voters {
                    cluster.broadcast(node, 100 * round);
                }
            }
            cluster.heal();
            for node in 0..voters {
                let history = cluster.of(node);
                assert_eq!(history.delivered.len() as u64, 3 * voters, "{delivery} {voters}");
                let progress = history.progress.expect("reported");
                assert_eq!((progress.delivered, progress.stable), (3, 3), "{delivery} {voters}");
                assert_eq!(cluster.core(node).held_bytes(), 0);
                assert!(history.gaps.is_empty(), "{delivery} {voters}: {:?}", history.gaps);
            }
        }
    }
}

/// A peer is down for an hour; senders go on as far as their windows allow.
#[test]
fn a_peer_down_for_long_holds_back_no_more_than_the_ceiling() {
    for delivery in [Delivery::Reliable, Delivery::UniformCausal] {
        let mut cluster = Cluster::new(delivery, 3, 3);
        cluster.config.unstable_bytes_max = 20_000;
        for node in 0..3 {
            cluster.start(node);
        }
        cluster.heal();
        let gone = cluster.crash(2);
        // The window that a user has: what is not released is not followed.
        for _ in 0..100 {
            let released = cluster.of(0).progress.map_or(0, |progress| progress.released_bytes);
            let sent = cluster.core(0).held_bytes() + released;
            if sent < 30_000 + released {
                cluster.broadcast(0, 1000);
            }
            cluster.run_for(Duration::from_secs(36));
            assert!(cluster.core(0).held_bytes() < 40_000 && cluster.core(1).held_bytes() < 40_000);
        }
        let accusations = |node| cluster.of(node).holding.iter().any(|word| word.life == gone && word.holding);
        assert!(accusations(0) && accusations(1), "both name the life that holds back");
        for node in [0, 1] {
            cluster.end_at(node, gone);
        }
        cluster.heal();
        assert_eq!(cluster.core(0).held_bytes() + cluster.core(1).held_bytes(), 0);
        cluster.start(2);
        cluster.heal();
        let gaps = &cluster.of(2).gaps;
        assert!(
            gaps.iter().any(|gap| gap.origin == cluster.life(0) && gap.why == GapWhy::BeforeThisLife),
            "{delivery}"
        );
        cluster.broadcast(0, 10);
        cluster.heal();
        assert_eq!(cluster.of(2).delivered.len(), 1, "{delivery}: it is back");
    }
}

#[test]
fn a_slow_consumer_slows_the_senders_and_nothing_is_lost() {
    for delivery in [Delivery::BestEffort, Delivery::Reliable, Delivery::Uniform] {
        let mut cluster = Cluster::new(delivery, 3, 4);
        cluster.config.consumed_backlog_bytes_max = 5_000;
        for node in 0..3 {
            cluster.start(node);
        }
        cluster.heal();
        cluster.up.get_mut(&NodeId(2)).expect("is up").consumes = false;
        for _ in 0..20 {
            cluster.broadcast(0, 1000);
            while cluster.arrive() {}
        }
        let released = cluster.of(0).progress.map_or(0, |progress| progress.released_bytes);
        assert!(released < 10_000, "{delivery}: {released} released while one is slow");
        cluster.up.get_mut(&NodeId(2)).expect("is up").consumes = true;
        cluster.step(NodeId(2), vec![Item::Consumed { channel: CHANNEL, bytes: 20 * 1100 }]);
        cluster.heal();
        assert_eq!(cluster.of(2).delivered.len(), 20, "{delivery}");
        let progress = cluster.of(0).progress.expect("reported");
        assert_eq!((progress.stable, progress.delivered), (20, 20), "{delivery}");
    }
}

/// n0's question reaches only n1, whose answer reaches only n2; both crash. The
/// question is gone with them, and the answer must not wait for it forever.
#[test]
fn a_cause_that_nobody_holds_is_a_gap() {
    let delivery = Delivery::ReliableCausal;
    let mut cluster = Cluster::started(delivery, 4, 2);
    let (asker, answerer) = (cluster.life(0), cluster.life(1));
    cluster.cut.extend([(NodeId(0), NodeId(2)), (NodeId(0), NodeId(3))]);
    cluster.broadcast(0, 10);
    for link in cluster.links_between(asker, answerer) {
        cluster.arrive_on(link, 8);
    }
    cluster.broadcast(1, 10);
    for link in cluster.links_between(answerer, cluster.life(2)) {
        if link.2 == crate::component::Lane::Data as u8 {
            cluster.arrive_on(link, 8);
        }
    }
    let answer = id(delivery, answerer, 1);
    assert!(!has(cluster.of(2), answer));
    let waits = cluster.core(2).account_of(answer);
    assert_eq!(waits, "waiting for 1 from n0");
    cluster.crash(0);
    cluster.crash(1);
    for life in [asker, answerer] {
        for node in [2, 3] {
            cluster.end_at(node, life);
        }
    }
    cluster.heal();
    for node in [2, 3] {
        assert!(has(cluster.of(node), answer), "n{node}");
        let gap = cluster.of(node).gaps.iter().find(|gap| gap.origin == asker).expect("told");
        assert_eq!((gap.from, gap.to, gap.why), (1, 1, GapWhy::NobodyHolds));
    }
}

#[test]
fn best_effort_reaches_one_node_alone_and_fails_with_its_life() {
    let mut cluster = Cluster::started(Delivery::BestEffort, 3, 1);
    let target = Target::Node(NodeId(2));
    cluster.request(0, target, 10, 1);
    cluster.heal();
    assert_eq!((cluster.of(1).delivered.len(), cluster.of(2).delivered.len()), (0, 1));
    let gone = cluster.life(2);
    cluster.request(0, target, 10, 2);
    cluster.crash(2);
    cluster.end_at(0, gone);
    let progress = cluster.of(0).progress.expect("reported");
    assert_eq!((progress.target, progress.stable), (target, 2));
    assert_eq!(progress.failed.map(|failed| (failed.first, failed.why)), Some((2, FailedWhy::Ended)));
    cluster.request(1, Target::Node(NodeId(77)), 10, 1);
    assert!(cluster.of(1).progress.and_then(|progress| progress.failed).is_some());
}

#[test]
fn a_message_is_explained() {
    let delivery = Delivery::Uniform;
    let mut cluster = Cluster::started(delivery, 3, 1);
    let me = cluster.life(0);
    let first = id(delivery, me, 1);
    assert_eq!(cluster.core(0).account_of(first), "never seen");
    cluster.broadcast(0, 10);
    assert_eq!(cluster.core(0).account_of(first), "1 of 3 voters hold it: this node");
    cluster.heal();
    assert_eq!(cluster.core(0).account_of(first), "stable in all lives");
    assert_eq!(cluster.core(2).account_of(first), "stable in all lives");
}

#[test]
fn junk_from_a_voter_is_counted_and_harmless() {
    use super::message::{Head, Holding, Message, State, Under};
    use crate::codec::{put_head, put_item};
    for delivery in [Delivery::Reliable, Delivery::UniformCausal, Delivery::BestEffort] {
        let mut cluster = Cluster::started(delivery, 3, 1);
        let from = cluster.life(1);
        let stranger = Life::new(NodeId(50), u64::MAX);
        let head = |seq| Head { seq, channel: CHANNEL, count: 7, lamport: Some(u64::MAX), vector: None, deps_bytes: 3 };
        let holding = Holding { origin: from, base: u64::MAX, have: u64::MAX, over: true };
        let junk = [
            Message::Data(head(0)),
            Message::Data(head(u64::MAX)),
            Message::Relay { origin: stranger, head: head(u64::MAX - 1) },
            Message::Ack(vec![(from, u64::MAX), (stranger, u64::MAX)]),
            Message::State(State {
                round: u32::MAX,
                under: Under { list: 1, seat: None },
                joined: 1,
                cold: vec![],
                lives: vec![stranger],
                closed: vec![(stranger, u64::MAX)],
                holdings: vec![holding],
            }),
            Message::Moved(Under { list: u64::MAX, seat: Some(7) }),
            Message::Pull { origin: from, from: 0, to: u64::MAX },
            Message::Pull { origin: cluster.life(0), from: u64::MAX, to: u64::MAX },
            Message::Answer { origin: from, base: u64::MAX, upto: u64::MAX },
            Message::Closed { origin: from, end: Some(u64::MAX) },
            Message::Report { origin: from, have: u64::MAX, again: true },
            Message::FeedAck { bytes: u64::MAX },
            Message::Listen,
        ];
        let mut block = Vec::new();
        for message in &junk {
            put_item(&mut block, |out| put_head(out, message));
        }
        cluster.step(NodeId(0), vec![Item::Messages { from, block: block.clone().into() }]);
        cluster.step(NodeId(0), vec![Item::Messages { from: stranger, block: block.into() }]);
        cluster.run_for(Duration::from_millis(500));
        cluster.broadcast(2, 10);
        cluster.run_for(Duration::from_secs(1));
        assert!(has(cluster.of(0), id(delivery, cluster.life(2), 1)), "{delivery}");
        if delivery.guarantee() != Guarantee::BestEffort {
            assert!(cluster.core(0).dropped.unknown >= junk.len() as u64, "{delivery}: the stranger's");
        }
    }
}
