//! One node by hand: the rules of the textbook, and what is made of them.

use super::*;
use crate::component::{Effect, EndedWhy, Item, LoadSample, PeerRole, To};
use crate::id::{Life, NodeId};
use crate::protocol::driven::{Did, Driven};
use crate::protocol::failure_detector::Suspicion;
use std::io;
use std::time::Duration;

fn life(node: u64) -> Life {
    Life::new(NodeId(node), 1)
}

fn of(number: u64, leader: u64) -> Epoch {
    Epoch { number, leader: NodeId(leader) }
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Node 2 of three, linked with 1 and 3, with an empty disk.
fn node(config: Config) -> Driven<Election> {
    let mut driven = Driven::start(Election::new(config), life(2), 3, true);
    disk(&mut driven, Err(io::ErrorKind::NotFound.into()));
    for other in [1, 3] {
        driven.joined(life(other), PeerRole::Voter, "other");
    }
    driven
}

/// The disk answers the first read.
fn disk(driven: &mut Driven<Election>, result: io::Result<crate::component::DiskDone>) -> Did {
    driven.give(Item::Disk { token: crate::component::Token(0), result })
}

/// The disk does what `did` asks of it.
fn written(driven: &mut Driven<Election>, did: &Did) -> Did {
    let token = did.0.iter().find_map(|effect| match effect {
        Effect::Disk(token, _) => Some(*token),
        _ => None,
    });
    driven.give(Item::Disk { token: token.expect("something is written"), result: Ok(crate::component::DiskDone::Ok) })
}

fn suspect(driven: &mut Driven<Election>, node: u64, suspected: bool) -> Did {
    driven.event(Suspicion { life: life(node), name: "other".into(), suspected })
}

fn messages(did: &Did) -> Vec<(To, Message)> {
    did.sent::<Message>().into_iter().map(|(to, _, message, _)| (to, message)).collect()
}

fn coordinator(epoch: Epoch) -> Message {
    Message::Coordinator { epoch, score: None }
}

fn seeks(number: u64, id: u64, bucket: Option<u8>) -> Message {
    Message::Election { number, rank: Rank { bucket, id: NodeId(id) }, challenge: false }
}

#[test]
fn the_highest_is_asked_and_when_it_is_silent_the_next_one_leads() {
    let mut driven = node(Config::default());
    let did = driven.run_for(millis(1300));
    assert_eq!(messages(&did), [(To::Life(life(3)), seeks(1, 2, None))], "only those that are better are asked");
    let did = driven.run_for(millis(500));
    assert!(did.events::<LeaderElected>().is_empty(), "not before its epoch is on the disk");
    let did = written(&mut driven, &did);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(1, 2), leader: life(2) }]);
    let all = [1, 3].map(|other| (To::Life(life(other)), coordinator(of(1, 2))));
    assert_eq!(messages(&did), all);
}

#[test]
fn a_better_one_that_answers_and_then_dies_is_not_waited_for_for_ever() {
    let mut driven = node(Config::default());
    driven.run_for(millis(1300));
    driven.message(life(3), &Message::Answer { number: 1 }, &[]);
    driven.ended(life(3), EndedWhy::Decided);
    let did = driven.run_for(millis(3000));
    let did = written(&mut driven, &did);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(2, 2), leader: life(2) }]);
}

#[test]
fn a_worse_one_that_seeks_is_answered_and_displaced() {
    let mut driven = node(Config::default());
    let did = driven.message(life(1), &seeks(4, 1, None), &[]);
    assert_eq!(messages(&did)[0], (To::Life(life(1)), Message::Answer { number: 4 }));
    assert_eq!(messages(&did)[1], (To::Life(life(3)), seeks(4, 2, None)));
}

#[test]
fn lower_epochs_are_refused_and_higher_ones_followed_once_they_are_written() {
    let mut driven = node(Config::default());
    let did = driven.message(life(3), &coordinator(of(5, 3)), &[]);
    assert!(did.events::<LeaderElected>().is_empty());
    let did = written(&mut driven, &did);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(5, 3), leader: life(3) }]);
    for refused in [coordinator(of(4, 1)), coordinator(of(5, 1)), coordinator(of(9, 3)), coordinator(of(1 << 60, 1))] {
        let did = driven.message(life(1), &refused, &[]);
        assert!(did.0.is_empty(), "{refused:?} does nothing");
    }
    assert!(driven.row("elections begun").is_some_and(|row| row.contains("refused 2, junk 2")));
    let did = driven.message(life(1), &coordinator(of(6, 1)), &[]);
    assert_eq!(
        written(&mut driven, &did).events::<LeaderElected>(),
        [LeaderElected { epoch: of(6, 1), leader: life(1) }]
    );
}

#[test]
fn a_leader_of_which_somebody_followed_a_higher_epoch_begins_one_above_it() {
    let mut driven = node(Config::default());
    driven.ended(life(3), EndedWhy::Left);
    let did = driven.run_for(millis(1300));
    written(&mut driven, &did);
    assert!(driven.message(life(1), &Message::Outdated { epoch: of(1, 1) }, &[]).0.is_empty(), "it is lower");
    let did = driven.message(life(1), &Message::Outdated { epoch: of(7, 3) }, &[]);
    let did = written(&mut driven, &did);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(8, 2), leader: life(2) }]);
}

#[test]
fn an_epoch_that_cannot_be_written_is_not_led_in_and_not_used_again() {
    let mut driven = node(Config::default());
    driven.ended(life(3), EndedWhy::Left);
    let did = driven.run_for(millis(1300));
    let token = did.0.iter().find_map(|effect| if let Effect::Disk(token, _) = effect { Some(*token) } else { None });
    let failed = Item::Disk { token: token.expect("writes"), result: Err(io::ErrorKind::StorageFull.into()) };
    assert!(driven.give(failed).events::<LeaderElected>().is_empty());
    let did = driven.run_for(millis(2000));
    let did = written(&mut driven, &did);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(2, 2), leader: life(2) }]);
}

#[test]
fn a_mistaken_suspicion_that_is_taken_back_in_time_begins_nothing() {
    let mut driven = node(Config::default());
    let did = driven.message(life(3), &coordinator(of(5, 3)), &[]);
    written(&mut driven, &did);
    assert_eq!(suspect(&mut driven, 3, true).events::<LeaderLost>(), [LeaderLost { epoch: of(5, 3), leader: life(3) }]);
    let did = suspect(&mut driven, 3, false);
    assert_eq!(did.events::<LeaderElected>(), [LeaderElected { epoch: of(5, 3), leader: life(3) }]);
    assert!(messages(&driven.run_for(millis(5000))).is_empty());
}

#[test]
fn without_a_directory_epochs_begin_above_the_incarnation() {
    let mut driven = Driven::start(Election::new(Config::default()), Life::new(NodeId(2), 1000), 1, true);
    disk(&mut driven, Err(io::ErrorKind::Unsupported.into()));
    let did = driven.run_for(millis(1300));
    let token = did.0.iter().find_map(|effect| if let Effect::Disk(token, _) = effect { Some(*token) } else { None });
    let unsupported = Item::Disk { token: token.expect("tries"), result: Err(io::ErrorKind::Unsupported.into()) };
    let led: Vec<LeaderElected> = driven.give(unsupported).events();
    assert_eq!(led[0].epoch, of(1001, 2));
}

fn load(driven: &mut Driven<Election>, percent: f64) -> Did {
    driven.give(Item::Load(LoadSample { cpu_percent: percent, memory_percent: percent }))
}

#[test]
fn by_load_the_score_of_an_election_is_frozen_and_junk_is_no_candidate() {
    let mut driven = node(Config { by: By::Load, ..Config::default() });
    assert!(messages(&driven.run_for(millis(1300))).is_empty(), "no sample, no candidate");
    load(&mut driven, f64::NAN);
    assert!(messages(&driven.message(life(1), &seeks(1, 1, Some(20)), &[])).is_empty());
    load(&mut driven, 20.0); // 14 points: bucket 2
    let did = driven.message(life(1), &seeks(3, 1, Some(3)), &[]);
    assert_eq!(messages(&did)[0].1, Message::Answer { number: 3 });
    load(&mut driven, 90.0);
    let did = driven.message(life(3), &seeks(3, 3, Some(3)), &[]);
    assert_eq!(messages(&did), [(To::Life(life(3)), Message::Answer { number: 3 })], "still that of this election");
    let did = driven.message(life(3), &seeks(4, 3, Some(3)), &[]);
    assert!(messages(&did).is_empty(), "a new election, a new score");
}

/// The first sample of a busy machine may come when elections have begun: the one of
/// that number went on without this node for ever.
#[test]
fn by_load_a_node_whose_first_sample_is_late_still_seeks() {
    let mut driven = node(Config { by: By::Load, ..Config::default() });
    assert!(messages(&driven.run_for(millis(5000))).is_empty(), "no sample, no candidate");
    load(&mut driven, 20.0);
    let sought = messages(&driven.run_for(millis(5000)));
    assert!(sought.iter().any(|(_, message)| matches!(message, Message::Election { .. })), "{sought:?}");
}

/// Node 2, better than leader 3 by `mine` against `theirs`, for so many seconds.
fn challenges(config: Config, mine: f64, theirs: u16, seconds: u64) -> bool {
    let mut driven = node(config);
    let did = driven.message(life(3), &coordinator(of(5, 3)), &[]);
    written(&mut driven, &did);
    load(&mut driven, mine);
    (0..seconds).any(|_| {
        driven.message(life(3), &Message::Coordinator { epoch: of(5, 3), score: Some(theirs) }, &[]);
        let did = driven.run_for(millis(1000));
        messages(&did).iter().any(|(_, message)| matches!(message, Message::Election { challenge: true, .. }))
    })
}

#[test]
fn a_leader_is_displaced_only_where_it_is_wished_late_and_for_much() {
    let wished = Config { by: By::Load, pre_emption: true, ..Config::default() };
    assert!(challenges(wished, 20.0, 500, 70), "14 points against 50");
    assert!(!challenges(wished, 20.0, 500, 55), "within the tenure");
    assert!(!challenges(wished, 20.0, 280, 200), "14 points more are too little");
    assert!(!challenges(Config { by: By::Load, ..Config::default() }, 20.0, 500, 200), "off by default");
    assert!(challenges(Config { tenure: millis(0), ..wished }, 20.0, 500, 33), "30 s");
    assert!(!challenges(Config { tenure: millis(0), ..wished }, 20.0, 500, 28), "30 s");
}

#[test]
fn a_leader_lets_a_much_better_one_try_and_no_other() {
    let mut driven = node(Config { by: By::Load, pre_emption: true, ..Config::default() });
    load(&mut driven, 80.0); // 56 points
    driven.ended(life(3), EndedWhy::Left);
    let did = driven.run_for(millis(4000));
    written(&mut driven, &did);
    let challenge =
        |bucket| Message::Election { number: 50, rank: Rank { bucket: Some(bucket), id: NodeId(1) }, challenge: true };
    let is_shown = |did: &Did| matches!(messages(did)[..], [(_, Message::Coordinator { .. })]);
    assert!(is_shown(&driven.message(life(1), &challenge(2), &[])), "not within its tenure");
    driven.run_for(millis(61_000));
    assert!(is_shown(&driven.message(life(1), &challenge(9), &[])), "45 points are not much better");
    assert!(is_shown(&driven.message(life(1), &seeks(50, 1, Some(2)), &[])), "not without a challenge");
    assert!(messages(&driven.message(life(1), &challenge(2), &[])).is_empty());
}

#[test]
fn who_is_not_linked_or_has_no_vote_has_no_say() {
    let mut driven = node(Config::default());
    driven.joined(life(9), PeerRole::Listener, "listener");
    assert!(driven.message(life(9), &seeks(1, 9, None), &[]).0.is_empty());
    assert!(driven.message(Life::new(NodeId(3), 7), &coordinator(of(5, 3)), &[]).0.is_empty(), "another life");
}
