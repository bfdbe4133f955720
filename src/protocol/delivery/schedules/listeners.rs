//! Listeners and their sponsors.

use super::{has, id};
use crate::codec::BatchBuilder;
use crate::component::{FailedWhy, PeerRole, Target};
use crate::id::{Life, NodeId};
use crate::protocol::delivery::Delivery;
use crate::protocol::delivery::cluster::Cluster;
use std::time::Duration;

#[test]
fn a_listener_hears_its_sponsor_and_cannot_broadcast() {
    for delivery in [Delivery::BestEffort, Delivery::ReliableFifo, Delivery::UniformCausal] {
        let mut cluster = Cluster::started(delivery, 3, 4);
        cluster.broadcast(0, 10);
        cluster.heal();
        cluster.start_as(9, PeerRole::Listener);
        cluster.link(NodeId(1), NodeId(9));
        cluster.run_for(Duration::from_secs(1));
        for node in 0..3 {
            cluster.broadcast(node, 10);
        }
        cluster.heal();
        assert_eq!(cluster.of(9).delivered.len(), 3, "{delivery}");
        cluster.request(9, Target::All, 10, 1);
        let failed = cluster.of(9).progress.and_then(|progress| progress.failed).map(|failed| failed.why);
        assert_eq!(failed, Some(FailedWhy::NotAVoter));
        // Its sponsor dies: another one goes on where this one was.
        let sponsor = cluster.core(9).listening.sponsor.expect("has one");
        cluster.crash(sponsor.node.0);
        for node in [0, 1, 2, 9].into_iter().filter(|node| *node != sponsor.node.0) {
            cluster.end_at(node, sponsor);
        }
        cluster.run_for(Duration::from_secs(1));
        let before = cluster.of(9).delivered.len();
        let sender = (0..3).find(|node| *node != sponsor.node.0).expect("two are left");
        cluster.broadcast(sender, 10);
        cluster.heal();
        assert_eq!(cluster.of(9).delivered.len(), before + 1, "{delivery}");
        assert_eq!(cluster.core(sender).held_bytes(), 0, "nobody's stability waits for a listener");
    }
}

/// A listener is cut off; meanwhile its sponsor's life ends with something that
/// it never fed on. The next life knows of the old one only that it is closed:
/// unless it says where, the listener never learns that it lacks the last.
#[test]
fn a_listener_is_told_what_it_lacks_of_a_life_that_ended() {
    for delivery in [Delivery::ReliableFifo, Delivery::UniformCausal] {
        let mut cluster = Cluster::started(delivery, 3, 4);
        cluster.start_as(9, PeerRole::Listener);
        let (sponsor, listener) = (NodeId(1), NodeId(9));
        cluster.cut.extend([(NodeId(0), listener), (NodeId(2), listener)]);
        cluster.run_for(Duration::from_secs(1));
        cluster.broadcast(1, 10);
        cluster.run_for(Duration::from_secs(1));
        cluster.cut.insert((sponsor, listener));
        cluster.broadcast(1, 10);
        cluster.run_for(Duration::from_secs(1));
        let old = cluster.crash(1);
        cluster.lose_from(old);
        cluster.start(1);
        cluster.run_for(Duration::from_secs(60));
        assert!(cluster.core(1).closed.contains_key(&old), "{delivery}: nothing is left of it");
        cluster.cut.remove(&(sponsor, listener));
        cluster.run_for(Duration::from_secs(1));
        let (history, last) = (cluster.of(9), id(delivery, old, 2));
        assert!(has(history, id(delivery, old, 1)), "{delivery}: {:?}", history.delivered);
        assert!(!has(history, last), "{delivery}: it was cut off");
        let told = history.gaps.iter().any(|gap| gap.origin == old && (gap.from..=gap.to).contains(&2));
        assert!(told, "{delivery}: {:?}", history.gaps);
    }
}

/// n2 is up and was never met. The end of a listener at n1 must not be taken
/// for n2's: what n2 has not got would be let go.
#[test]
fn an_ended_listener_does_not_stand_for_a_voter_that_was_never_met() {
    for delivery in [Delivery::Reliable, Delivery::UniformCausal] {
        let mut cluster = Cluster::new(delivery, 3, 4);
        let (unmet, listener) = (NodeId(2), NodeId(9));
        cluster.cut.extend([(NodeId(0), unmet), (NodeId(1), unmet), (NodeId(0), listener), (unmet, listener)]);
        for node in 0..3 {
            cluster.start(node);
        }
        cluster.start_as(9, PeerRole::Listener);
        cluster.run_for(Duration::from_secs(1));
        let gone = cluster.crash(9);
        cluster.end_at(1, gone);
        cluster.broadcast(1, 10);
        cluster.run_for(Duration::from_secs(1));
        let progress = cluster.of(1).progress.expect("reported");
        assert_eq!((progress.delivered, progress.stable), (1, 0), "{delivery}");
        cluster.cut.clear();
        cluster.heal();
        assert!(has(cluster.of(2), id(delivery, cluster.life(1), 1)), "{delivery}");
    }
}

/// A sponsor restarts, and its listener asks the new life before that one knows
/// anything. What it then begins after, the listener will never hear from it.
#[test]
fn a_listener_is_told_what_its_sponsor_itself_begins_after() {
    for delivery in [Delivery::ReliableFifo, Delivery::UniformCausal] {
        let mut cluster = Cluster::started(delivery, 3, 4);
        cluster.start_as(9, PeerRole::Listener);
        let (sponsor, listener) = (NodeId(1), NodeId(9));
        cluster.cut.extend([(NodeId(0), listener), (NodeId(2), listener)]);
        cluster.run_for(Duration::from_secs(1));
        cluster.broadcast(0, 10);
        cluster.run_for(Duration::from_secs(60));
        let old = cluster.crash(1);
        for node in [0, 2] {
            cluster.end_at(node, old);
        }
        cluster.broadcast(0, 10);
        cluster.run_for(Duration::from_secs(1));
        cluster.cut.extend([(NodeId(0), sponsor), (sponsor, NodeId(2))]);
        cluster.start(1);
        cluster.run_for(Duration::from_secs(1));
        assert!(cluster.of(9).gaps.is_empty(), "{delivery}: nobody knows yet: {:?}", cluster.of(9).gaps);
        cluster.cut.remove(&(NodeId(0), sponsor));
        cluster.cut.remove(&(sponsor, NodeId(2)));
        cluster.heal();
        let told = cluster.of(9).gaps.iter().any(|gap| gap.origin == cluster.life(0) && (gap.from, gap.to) == (2, 2));
        assert!(told, "{delivery}: {:?} {:?}", cluster.of(9).delivered, cluster.of(9).gaps);
    }
}

/// A life ended, and so many of its node after it that the listener forgot
/// where. A sponsor that still has it open must not make it deliver it again.
#[test]
fn what_a_listener_has_heard_and_forgotten_does_not_come_again() {
    use crate::codec::{put_head, put_item};
    use crate::component::{Item, Stamp};
    use crate::protocol::delivery::cluster::CHANNEL;
    use crate::protocol::delivery::ended::CLOSED_KEPT;
    use crate::protocol::delivery::held::Held;
    use crate::protocol::delivery::message::Message;
    let mut cluster = Cluster::started(Delivery::UniformCausal, 3, 4);
    cluster.start_as(9, PeerRole::Listener);
    cluster.run_for(Duration::from_secs(1));
    let sponsor = cluster.core(9).listening.sponsor.expect("has one");
    let past = |incarnation| Life::new(NodeId(0), 100 + incarnation);
    let mut batch = BatchBuilder::default();
    batch.push(|out| out.push(7));
    let held = Held::new(CHANNEL, batch.take().expect("one message"), Stamp::default());
    let feed = |cluster: &mut Cluster, message: &Message, body: &[u8]| {
        let mut block = Vec::new();
        put_item(&mut block, |out| {
            put_head(out, message);
            out.extend_from_slice(body);
        });
        cluster.step(NodeId(9), vec![Item::Messages { from: sponsor, block: block.into() }]);
    };
    let again = Message::Feed { origin: past(0), head: held.head(1) };
    feed(&mut cluster, &again, held.body());
    assert_eq!(cluster.of(9).delivered.len(), 1);
    for incarnation in 0..=CLOSED_KEPT as u64 {
        feed(&mut cluster, &Message::FeedEnd { origin: past(incarnation), end: 1 }, &[]);
    }
    feed(&mut cluster, &again, held.body());
    assert_eq!(cluster.of(9).delivered.len(), 1);
}
