use super::*;
use crate::component::{EndedWhy, Item, Lane, PeerChange, PeerRole, To};
use crate::error::Fault;
use crate::id::NodeId;
use crate::protocol::driven::{Did, Driven};
use crate::protocol::failure_detector::{SelfPaused, Suspicion};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(7500);

fn life(node: u64, incarnation: u64) -> Life {
    Life::new(NodeId(node), incarnation)
}

/// Node 1 of `voters`, linked with all the others' first lives.
fn linked(voters: usize) -> Driven<Membership> {
    let mut driven = Driven::start(Membership::new(Config::new(LONG)), life(1, 1), voters, true);
    for node in 2..=voters as u64 {
        driven.joined(life(node, 1), PeerRole::Voter, &format!("node {node}"));
    }
    driven
}

fn suspect(driven: &mut Driven<Membership>, life: Life, suspected: bool) -> Did {
    driven.event(Suspicion { life, name: "someone".into(), suspected })
}

fn accuses(driven: &mut Driven<Membership>, from: Life, version: u64, lives: &[Life]) -> Did {
    driven.message(from, &Claims::Accuses { version, lives: lives.to_vec() }, b"")
}

/// What was said on this lane, to whom.
fn said(did: &Did, on: Lane) -> Vec<(Life, Claims)> {
    let sent = did.sent::<Claims>().into_iter().filter(|(_, lane, ..)| *lane == on);
    let to = |to| if let To::Life(life) = to { life } else { panic!("{to:?} queues for nodes never seen") };
    sent.map(|(target, _, claims, _)| (to(target), claims)).collect()
}

#[test]
fn a_long_suspicion_accuses_and_a_majority_of_accusers_ends() {
    let mut driven = linked(3);
    suspect(&mut driven, life(3, 1), true);
    let did = driven.run_for(LONG - TICK);
    assert!(said(&did, Lane::Probe).is_empty(), "accused too soon");
    let did = driven.run_for(TICK);
    let claim = Claims::Accuses { version: 1, lives: vec![life(3, 1)] };
    assert_eq!(said(&did, Lane::Probe), [(life(2, 1), claim.clone()), (life(3, 1), claim)]);
    assert!(did.ended().is_empty(), "one opinion ends nobody");
    let did = accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    assert_eq!(did.ended(), [life(3, 1)]);
    let fact = Claims::Ended(vec![life(3, 1)]);
    assert_eq!(said(&did, Lane::Control), [(life(2, 1), fact.clone()), (life(3, 1), fact)]);
    assert!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended().is_empty(), "ended once");
}

#[test]
fn a_minority_never_ends_anybody() {
    // Two of five see the other three vanish, for ever.
    let mut driven = linked(5);
    for node in 3..=5 {
        suspect(&mut driven, life(node, 1), true);
    }
    for _ in 0..200 {
        let did = driven.run_for(TICK);
        assert!(did.ended().is_empty());
        let did = accuses(&mut driven, life(2, 1), 1, &[life(3, 1), life(4, 1), life(5, 1)]);
        assert!(did.ended().is_empty());
    }
    assert_eq!(driven.row("accused n3.1"), Some("by 2 of 3 needed: me, node 2".to_owned()));
}

#[test]
fn of_two_voters_neither_can_end_the_other() {
    let mut driven = linked(2);
    suspect(&mut driven, life(2, 1), true);
    driven.run_for(LONG);
    for version in 1..50 {
        let did = accuses(&mut driven, life(2, 1), version, &[life(1, 1), life(2, 1)]);
        assert!(did.ended().is_empty(), "nobody counts against itself");
        assert!(driven.run_for(TICK).ended().is_empty());
    }
}

#[test]
fn a_withdrawn_accusation_counts_no_more_on_either_side() {
    let mut driven = linked(3);
    suspect(&mut driven, life(3, 1), true);
    driven.run_for(LONG);
    let did = suspect(&mut driven, life(3, 1), false);
    let withdrawal = Claims::Accuses { version: 2, lives: vec![] };
    assert_eq!(said(&did, Lane::Probe)[0], (life(2, 1), withdrawal.clone()), "at once");
    assert!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended().is_empty());
    // The withdrawal may be lost: it is repeated, and then silence is enough.
    let repeated = said(&driven.run_for(LONG * 2), Lane::Probe);
    assert_eq!(repeated.iter().filter(|(to, claims)| *to == life(2, 1) && *claims == withdrawal).count(), 4);

    accuses(&mut driven, life(2, 1), 2, &[]);
    suspect(&mut driven, life(3, 1), true);
    assert!(driven.run_for(LONG).ended().is_empty(), "theirs was withdrawn");
    accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    assert!(driven.run_for(TICK).ended().is_empty(), "an overtaken claim");
}

/// Alpha accuses gamma and is then cut off; later its one listener is cut off
/// from gamma too. The old accusation and the new one must not add up.
#[test]
fn an_accusation_from_before_a_cut_does_not_help_a_minority() {
    let mut driven = linked(3);
    accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    suspect(&mut driven, life(2, 1), true);
    suspect(&mut driven, life(3, 1), true);
    for _ in 0..100 {
        assert!(driven.run_for(TICK).ended().is_empty());
    }
    assert_eq!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended(), [life(3, 1)], "repeated, it counts");
}

#[test]
fn an_accusers_new_life_voids_what_its_earlier_one_said() {
    let mut driven = linked(3);
    accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    suspect(&mut driven, life(3, 1), true);
    driven.run_for(LONG - Duration::from_secs(1));
    accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    driven.ended(life(2, 1), EndedWhy::Succeeded);
    driven.joined(life(2, 2), PeerRole::Voter, "node 2");
    assert!(driven.run_for(TICK).ended().is_empty());
    assert!(accuses(&mut driven, life(2, 1), 2, &[life(3, 1)]).ended().is_empty(), "said by a life that is over");
    assert_eq!(accuses(&mut driven, life(2, 2), 1, &[life(3, 1)]).ended(), [life(3, 1)]);
}

#[test]
fn an_ended_node_comes_back_as_a_new_life_and_is_told_what_ended() {
    let mut driven = linked(3);
    driven.message(life(2, 1), &Claims::Ended(vec![life(3, 1)]), b"");
    let over = driven.ended(life(3, 1), EndedWhy::Decided);
    let event = LifeEndedEvent { life: life(3, 1), name: "node 3".into(), why: EndedWhy::Decided };
    assert_eq!(over.events::<LifeEndedEvent>(), [event]);
    let back = driven.joined(life(3, 2), PeerRole::Voter, "node 3");
    assert_eq!(said(&back, Lane::Control), [(life(3, 2), Claims::Ended(vec![life(3, 1)]))]);
    let view = back.events::<View>().pop().expect("a new view");
    assert_eq!(view.voters.iter().map(|member| member.life).collect::<Vec<_>>(), [life(1, 1), life(2, 1), life(3, 2)]);
    assert_eq!((view.configured, view.ended), (3, 1));
    // It has a vote, and can be ended again.
    suspect(&mut driven, life(2, 1), true);
    driven.run_for(LONG);
    assert_eq!(accuses(&mut driven, life(3, 2), 1, &[life(2, 1)]).ended(), [life(2, 1)]);
}

#[test]
fn what_others_ended_is_ended_here_whatever_this_node_thinks_of_it() {
    let mut driven = linked(4);
    // A later life than the linked one: both are over.
    let did = driven.message(life(2, 1), &Claims::Ended(vec![life(3, 4)]), b"");
    assert_eq!(did.ended(), [life(3, 4), life(3, 1)]);
    assert_eq!(said(&did, Lane::Control).len(), 3, "passed on, once");
    let did = driven.message(life(4, 1), &Claims::Ended(vec![life(3, 4)]), b"");
    assert!(did.0.is_empty());
}

#[test]
fn a_node_that_learns_that_its_life_is_ended_stops() {
    let mut driven = linked(3);
    let earlier = driven.message(life(2, 1), &Claims::Ended(vec![life(1, 0)]), b"");
    assert!(earlier.ended().is_empty(), "an earlier life of this node is no reason to stop");
    let told = driven.try_message(life(2, 1), &Claims::Ended(vec![life(1, 1)]), b"");
    assert!(matches!(told.err(), Some(Fault::LifeEnded(_))));

    let mut driven = linked(4);
    accuses(&mut driven, life(2, 1), 1, &[life(1, 1)]);
    accuses(&mut driven, life(3, 1), 1, &[life(1, 1)]);
    let third = Claims::Accuses { version: 1, lives: vec![life(1, 1)] };
    let convicted = driven.try_message(life(4, 1), &third, b"");
    assert!(matches!(convicted.err(), Some(Fault::LifeEnded(_))));
}

#[test]
fn holding_back_for_long_accuses_too() {
    let mut driven = linked(3);
    driven.event(HoldingBack { life: life(3, 1), holding: true });
    driven.run_for(LONG);
    assert_eq!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended(), [life(3, 1)]);
}

#[test]
fn a_pause_of_this_node_is_nobodys_fault() {
    // Told by the detector, or found out by its own late tick.
    for told in [true, false] {
        let mut driven = linked(3);
        accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
        suspect(&mut driven, life(3, 1), true);
        driven.pause(LONG * 3);
        if told {
            driven.event(SelfPaused { late: LONG * 3 });
        }
        let did = driven.run_for(TICK);
        assert!(said(&did, Lane::Probe).is_empty(), "accused over its own pause");
        assert!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended().is_empty());
    }
}

#[test]
fn who_leaves_is_over_and_that_is_told_to_those_who_accuse_it() {
    let mut driven = linked(4);
    let did = driven.ended(life(4, 1), EndedWhy::Left);
    assert!(said(&did, Lane::Control).is_empty(), "its last messages may still be on their way to others");
    let did = accuses(&mut driven, life(2, 1), 1, &[life(4, 1)]);
    assert_eq!(said(&did, Lane::Control), [(life(2, 1), Claims::Ended(vec![life(4, 1)]))]);
}

#[test]
fn a_succeeded_life_is_no_decision_and_told_to_nobody() {
    // It once was told as ended. Who heard that before it met the new life
    // waited for nobody in that place, and took for stable what the new life
    // then lacked.
    let mut driven = linked(3);
    let did = driven.ended(life(3, 1), EndedWhy::Succeeded);
    assert!(said(&did, Lane::Control).is_empty());
    assert!(did.ended().is_empty(), "the driver ended it already");
    let did = accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]);
    assert!(said(&did, Lane::Control).is_empty(), "the accuser will meet the new life");
}

#[test]
fn listeners_and_strangers_have_no_say() {
    let mut driven = linked(3);
    driven.joined(life(8, 1), PeerRole::Listener, "ear");
    driven.joined(Life::new(NodeId::client(9), 1), PeerRole::Client, "client");
    for stranger in [life(8, 1), Life::new(NodeId::client(9), 1), life(77, 1), life(2, 9)] {
        assert!(driven.message(stranger, &Claims::Ended(vec![life(3, 1)]), b"").ended().is_empty());
        accuses(&mut driven, stranger, 1, &[life(3, 1)]);
    }
    suspect(&mut driven, life(3, 1), true);
    assert!(driven.run_for(LONG).ended().is_empty());
    // Nor can a voter make this node remember more nodes than there are voters.
    let many: Vec<Life> = (100..200).map(|node| life(node, 1)).collect();
    assert!(driven.message(life(2, 1), &Claims::Ended(many), b"").ended().len() <= 3);
}

#[test]
fn a_listener_is_ended_by_its_sponsor_alone_and_nobody_is_told() {
    let mut driven = linked(3);
    driven.joined(life(8, 1), PeerRole::Listener, "ear");
    suspect(&mut driven, life(8, 1), true);
    let did = driven.run_for(LONG);
    assert_eq!(did.ended(), [life(8, 1)]);
    assert!(did.sent::<Claims>().is_empty());
    let did = driven.ended(life(8, 1), EndedWhy::Decided);
    assert!(did.sent::<Claims>().is_empty());
    assert!(did.events::<View>().pop().expect("a new view").listeners.is_empty());
}

fn listener() -> Driven<Membership> {
    Driven::start(Membership::new(Config::new(LONG)), life(8, 1), 3, false)
}

#[test]
fn a_listener_accuses_nobody_and_joins_anew_when_its_sponsor_is_gone() {
    let mut driven = listener();
    driven.run_for(LONG * 10); // not yet sponsored: it waits
    driven.joined(life(2, 1), PeerRole::Voter, "sponsor");
    suspect(&mut driven, life(2, 1), true);
    let gone = driven.try_run_for(LONG * 2);
    assert!(matches!(gone.err(), Some(Fault::LifeEnded(_))));

    let mut driven = listener();
    driven.joined(life(2, 1), PeerRole::Voter, "sponsor");
    driven.ended(life(2, 1), EndedWhy::Left);
    let did = driven.run_for(LONG / 2);
    assert!(did.sent::<Claims>().is_empty() && did.ended().is_empty());
    assert!(matches!(driven.try_run_for(LONG).err(), Some(Fault::LifeEnded(_))));
}

#[test]
fn a_listener_with_another_sponsor_stays() {
    let mut driven = listener();
    driven.joined(life(2, 1), PeerRole::Voter, "sponsor");
    driven.joined(life(3, 1), PeerRole::Voter, "another");
    suspect(&mut driven, life(2, 1), true);
    driven.run_for(LONG * 3);
    driven.ended(life(3, 1), EndedWhy::Succeeded);
    driven.joined(life(3, 2), PeerRole::Voter, "another");
    driven.run_for(LONG * 3);
}

#[test]
fn junk_from_a_voter_changes_nothing() {
    let mut driven = linked(3);
    for junk in [&[][..], &[9, 9, 9], &[0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let mut block = vec![junk.len() as u8];
        block.extend_from_slice(junk);
        let did = driven.give(Item::Messages { from: life(2, 1), block: block.into() });
        assert!(did.0.is_empty());
    }
    let unknown = PeerChange::Ended { life: life(55, 1), why: EndedWhy::Left };
    assert!(driven.give(Item::Peer(unknown)).0.is_empty());
}

fn listed(version: u64, previous: u64, nodes: &[u64]) -> VoterList {
    let seats = nodes.iter().map(|node| Seat { node: NodeId(*node), since: version }).collect();
    VoterList { version, previous, seats }
}

#[test]
fn where_a_log_names_the_voters_a_majority_is_one_of_its_list() {
    let config = Config { voters_by_log: true, ..Config::new(LONG) };
    let mut driven = Driven::start(Membership::new(config), life(1, 1), 3, true);
    for (node, role) in [(2, PeerRole::Voter), (3, PeerRole::Voter), (4, PeerRole::Joiner), (5, PeerRole::Joiner)] {
        driven.joined(life(node, 1), role, &format!("node {node}"));
    }
    suspect(&mut driven, life(5, 1), true);
    driven.event(listed(1, 0, &[1, 2, 3]));
    let did = driven.run_for(LONG);
    assert!(said(&did, Lane::Probe).is_empty(), "it is none of the voters");
    assert_eq!(did.ended(), [life(5, 1)], "and ended by each for itself");
    driven.joined(life(5, 2), PeerRole::Joiner, "node 5");
    driven.event(listed(9, 1, &[1, 2, 3, 4, 5]));
    suspect(&mut driven, life(5, 2), true);
    assert!(!said(&driven.run_for(LONG), Lane::Probe).is_empty(), "now it is accused");
    let did = accuses(&mut driven, life(2, 1), 1, &[life(5, 2)]);
    assert!(did.ended().is_empty(), "two of five");
    assert_eq!(accuses(&mut driven, life(4, 1), 1, &[life(5, 2)]).ended(), [life(5, 2)], "three of five");
    driven.event(listed(12, 9, &[1, 2, 3]));
    assert!(accuses(&mut driven, life(4, 1), 2, &[life(3, 1)]).ended().is_empty(), "whoever was removed has no say");
}

#[test]
fn before_the_log_has_named_the_voters_nobody_has_a_say() {
    let config = Config { voters_by_log: true, ..Config::new(LONG) };
    let mut driven = Driven::start(Membership::new(config), life(1, 1), 3, true);
    driven.joined(life(2, 1), PeerRole::Voter, "node 2");
    driven.joined(life(3, 1), PeerRole::Voter, "node 3");
    suspect(&mut driven, life(3, 1), true);
    assert!(said(&driven.run_for(LONG), Lane::Probe).is_empty());
    assert!(accuses(&mut driven, life(2, 1), 1, &[life(3, 1)]).ended().is_empty());
}
