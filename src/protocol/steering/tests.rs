//! One leader by hand: when it asks, and when it does not.

use super::*;
use crate::component::{Item, LoadSample, PeerRole};
use crate::id::{Life, NodeId};
use crate::protocol::driven::Driven;
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::replicated_log::LogLeader;
use std::time::Duration;

fn life(node: u64) -> Life {
    Life::new(NodeId(node), 1)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Node 2 of three, whose load score is 70 (all but the tasks), led by `leader`.
fn node(leader: u64) -> Driven<Steering> {
    let mut driven = Driven::start(Steering::new(Config::default()), life(2), 3, true);
    for other in [1, 3] {
        driven.joined(life(other), PeerRole::Voter, "other");
    }
    driven.give(Item::Load(LoadSample { cpu_percent: 100.0, memory_percent: 100.0 }));
    leads(&mut driven, leader, 1);
    driven
}

fn leads(driven: &mut Driven<Steering>, leader: u64, term: u64) {
    driven.event(LogLeader { node: Some(NodeId(leader)), term });
}

/// Node 1 reports every two seconds for so long; whom the leader wants to lead.
fn reported(driven: &mut Driven<Steering>, report: Message, time: Duration) -> Vec<NodeId> {
    let mut wanted = Vec::new();
    for _ in 0..time.as_secs() / 2 {
        driven.message(life(1), &report, b"");
        wanted.extend(driven.run_for(secs(2)).events::<Steered>().iter().map(|steered| steered.to));
    }
    wanted
}

const IDLE: Message = Message { score: Some(100), hears_majority: true };
const TENURE: Duration = secs(15 * 60);

#[test]
fn a_leader_asks_for_a_much_less_loaded_one_after_its_tenure_and_once() {
    let mut driven = node(2);
    assert!(reported(&mut driven, IDLE, TENURE - secs(2)).is_empty(), "before its tenure is over");
    assert_eq!(reported(&mut driven, IDLE, secs(6)), [NodeId(1)]);
    assert!(reported(&mut driven, IDLE, TENURE - secs(10)).is_empty(), "it has just asked");
}

#[test]
fn an_advantage_has_to_last_and_to_be_heard() {
    let mut driven = node(2);
    driven.run_for(TENURE);
    assert!(reported(&mut driven, IDLE, secs(28)).is_empty());
    assert!(reported(&mut driven, Message { score: Some(600), ..IDLE }, secs(4)).is_empty(), "near enough again");
    assert!(reported(&mut driven, IDLE, secs(28)).is_empty(), "it begins anew");
    driven.run_for(secs(60));
    assert!(reported(&mut driven, IDLE, secs(28)).is_empty(), "nothing was heard");
    assert_eq!(reported(&mut driven, IDLE, secs(6)), [NodeId(1)]);
}

#[test]
fn no_move_to_one_that_could_not_lead() {
    for report in [
        Message { hears_majority: false, ..IDLE },
        Message { score: None, ..IDLE },
        Message { score: Some(600), ..IDLE },
    ] {
        let mut driven = node(2);
        driven.run_for(TENURE);
        assert!(reported(&mut driven, report, secs(120)).is_empty(), "{report:?}");
    }
    let mut driven = node(2);
    driven.run_for(TENURE);
    driven.event(Suspicion { life: life(1), name: "other".into(), suspected: true });
    assert!(reported(&mut driven, IDLE, secs(120)).is_empty(), "it is suspected");
}

#[test]
fn who_follows_reports_and_asks_nothing() {
    let mut driven = node(1);
    let did = driven.run_for(secs(2));
    let sent = did.sent::<Message>();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].2, Message { score: Some(700), hears_majority: true });
    driven.event(Suspicion { life: life(1), name: "other".into(), suspected: true });
    driven.event(Suspicion { life: life(3), name: "other".into(), suspected: true });
    assert!(driven.run_for(secs(2)).sent::<Message>()[0].2 == Message { score: Some(700), hears_majority: false });
    assert!(reported(&mut driven, IDLE, TENURE + secs(60)).is_empty());
}

/// A leadership that was lost and won again begins anew.
#[test]
fn every_leadership_has_its_own_tenure() {
    let mut driven = node(2);
    driven.run_for(TENURE);
    leads(&mut driven, 1, 2);
    leads(&mut driven, 2, 3);
    assert!(reported(&mut driven, IDLE, TENURE - secs(2)).is_empty());
    assert_eq!(reported(&mut driven, IDLE, secs(6)), [NodeId(1)]);
}
