use super::*;
use crate::component::{Effect, EndedWhy, Lane, NetComponent, PeerRole, To};
use crate::id::NodeId;
use crate::protocol::driven::{Did, Driven};

const PERIOD: Duration = Duration::from_millis(200);

fn life(node: u64, incarnation: u64) -> Life {
    Life::new(NodeId(node), incarnation)
}

fn configs() -> [Config; 3] {
    [
        Config::fixed(Duration::from_secs(2), PERIOD),
        Config::growing(Duration::from_secs(1), Duration::from_secs(1), PERIOD),
        Config::default(),
    ]
}

/// A detector linked with beta (2.1).
fn linked(config: Config) -> Driven<Detector> {
    let mut driven = Driven::start(Detector::new(config), life(1, 1), 3, true);
    driven.joined(life(2, 1), PeerRole::Voter, "beta");
    driven
}

/// Lets beta send heartbeats for this long.
fn beating(driven: &mut Driven<Detector>, time: Duration) -> Did {
    let mut did = Did::default();
    for _ in 0..time.as_millis() / PERIOD.as_millis() {
        did.0.extend(driven.run_for(PERIOD).0);
        driven.hear(life(2, 1));
        did.0.extend(driven.message(life(2, 1), &Heartbeat, b"").0);
    }
    did
}

fn suspicions(did: &Did) -> Vec<(Life, bool)> {
    did.events::<Suspicion>().into_iter().map(|suspicion| (suspicion.life, suspicion.suspected)).collect()
}

#[test]
fn every_algorithm_suspects_the_silent_and_restores_the_returned() {
    for config in configs() {
        let mut driven = linked(config);
        assert_eq!(suspicions(&beating(&mut driven, Duration::from_secs(20))), [], "{config:?}");
        assert_eq!(suspicions(&driven.run_for(Duration::from_secs(10))), [(life(2, 1), true)], "{config:?}");
        assert!(driven.row("beta").is_some_and(|row| row.starts_with("suspected, silent for")), "{config:?}");
        let back = driven.message(life(2, 1), &Heartbeat, b"");
        assert_eq!(suspicions(&back), [(life(2, 1), false)], "{config:?}");
        assert!(driven.row("beta").is_some_and(|row| row.contains("1 mistakes")), "{config:?}");
    }
}

#[test]
fn the_default_notices_a_crash_within_three_seconds() {
    let mut driven = linked(Config::default());
    beating(&mut driven, Duration::from_secs(60));
    assert_eq!(suspicions(&driven.run_for(Duration::from_secs(3))), [(life(2, 1), true)]);
}

#[test]
fn heartbeats_go_to_voters_and_listeners_unsequenced_and_to_no_client() {
    let mut driven = linked(Config::default());
    driven.joined(life(5, 1), PeerRole::Listener, "ear");
    driven.joined(Life::new(NodeId::client(7), 1), PeerRole::Client, "client");
    let did = driven.run_for(PERIOD);
    let to: Vec<(To, Lane)> = did.sent::<Heartbeat>().into_iter().map(|(to, lane, ..)| (to, lane)).collect();
    assert_eq!(to, [(To::Life(life(2, 1)), Lane::Probe), (To::Life(life(5, 1)), Lane::Probe)]);
}

#[test]
fn other_bytes_count_as_heard_but_teach_phi_nothing() {
    let mut driven = linked(Config::default());
    beating(&mut driven, Duration::from_secs(10));
    let before = driven.row("beta").expect("linked");
    // Data flows, heartbeats do not: never suspected.
    for _ in 0..100 {
        let did = driven.run_for(PERIOD);
        assert_eq!(suspicions(&did), []);
        driven.hear(life(2, 1));
    }
    let seen = |row: &str| row[row.find("(intervals").expect("phi's words")..].to_owned();
    assert_eq!(seen(&driven.row("beta").expect("linked")), seen(&before));
}

#[test]
fn a_suspicion_is_taken_back_on_other_bytes_too() {
    let mut driven = linked(Config::default());
    driven.run_for(Duration::from_secs(10));
    driven.hear(life(2, 1));
    assert_eq!(suspicions(&driven.run_for(PERIOD)), [(life(2, 1), false)]);
}

#[test]
fn a_growing_timeout_makes_fewer_mistakes() {
    let config = Config::growing(Duration::from_secs(1), Duration::from_secs(1), PERIOD);
    let mut driven = linked(config);
    let mut mistakes = 0;
    for _ in 0..20 {
        mistakes += suspicions(&driven.run_for(Duration::from_millis(3500))).len();
        driven.message(life(2, 1), &Heartbeat, b"");
    }
    assert_eq!(mistakes, 3, "silences of 3.5 s are mistaken until the timeout is 4 s");
}

#[test]
fn a_pause_of_this_node_accuses_nobody() {
    for config in configs() {
        let mut driven = linked(config);
        beating(&mut driven, Duration::from_secs(10));
        driven.pause(Duration::from_secs(60));
        // The tick that was due long ago is the first to run.
        let did = driven.run_for(PERIOD);
        assert_eq!(suspicions(&did), [], "{config:?}");
        assert_eq!(did.events::<SelfPaused>().len(), 1, "{config:?}");
        assert_eq!(suspicions(&beating(&mut driven, Duration::from_secs(10))), [], "{config:?}");
    }
}

#[test]
fn what_queued_up_in_a_pause_teaches_phi_nothing() {
    let mut driven = linked(Config::default());
    beating(&mut driven, Duration::from_secs(10));
    driven.pause(Duration::from_secs(60));
    for _ in 0..64 {
        driven.message(life(2, 1), &Heartbeat, b"");
    }
    let row = driven.row("beta").expect("linked");
    assert!(row.contains("intervals 200 ms"), "{row}");
}

#[test]
fn who_is_silent_after_a_pause_is_suspected_all_the_same() {
    let mut driven = linked(Config::default());
    beating(&mut driven, Duration::from_secs(10));
    driven.pause(Duration::from_secs(60));
    assert_eq!(suspicions(&driven.run_for(Duration::from_secs(10))), [(life(2, 1), true)]);
}

/// A node that is late at every tick would give grace for ever and never find
/// anybody dead: completeness lost.
#[test]
fn a_node_that_is_always_late_still_suspects() {
    for config in configs() {
        let mut driven = linked(config);
        beating(&mut driven, Duration::from_secs(10));
        let mut suspected = Vec::new();
        for _ in 0..200 {
            driven.pause(PERIOD * 5);
            suspected.extend(suspicions(&driven.run_for(Duration::ZERO)));
        }
        assert_eq!(suspected, [(life(2, 1), true)], "{config:?}");
    }
}

#[test]
fn an_ended_life_is_forgotten_and_its_successor_starts_fresh() {
    let mut driven = linked(Config::default());
    driven.run_for(Duration::from_secs(10));
    assert_eq!(suspicions(&driven.ended(life(2, 1), EndedWhy::Succeeded)), []);
    assert_eq!(driven.row("beta"), None);
    let back = driven.joined(life(2, 2), PeerRole::Voter, "beta");
    assert_eq!(suspicions(&back), [(life(2, 2), false)]);
    assert!(driven.row("beta").is_some_and(|row| row.starts_with("up") && row.contains("0 mistakes")));
    // A heartbeat of the old life that was on the way restores nothing.
    driven.run_for(Duration::from_secs(10));
    assert_eq!(suspicions(&driven.message(life(2, 1), &Heartbeat, b"")), []);
}

#[test]
fn who_never_joined_is_not_suspected_but_shown() {
    let mut driven = linked(Config::default());
    assert_eq!(driven.row("not seen yet"), Some("1 of 2 other voters".to_owned()));
    let did = driven.run_for(Duration::from_secs(60));
    assert!(suspicions(&did).iter().all(|(life, _)| life.node == NodeId(2)));
    driven.joined(life(3, 1), PeerRole::Voter, "gamma");
    assert_eq!(driven.row("not seen yet"), None);
}

#[test]
fn accurate_is_said_only_of_a_fixed_timeout_under_assumed_synchrony() {
    let accurate = |config: Config| Detector::new(config).manifest().provides.contains(&"failure_detector.accurate");
    for config in configs() {
        assert!(!accurate(config));
        assert_eq!(accurate(config.assuming_synchrony()), config == configs()[0]);
    }
}

#[test]
fn senseless_configurations_are_named() {
    assert!(configs().iter().all(|config| config.fault().is_none()));
    let none = Duration::ZERO;
    for senseless in [
        Config::fixed(PERIOD, PERIOD),
        Config::growing(PERIOD, none, PERIOD),
        Config::phi(f64::NAN, PERIOD),
        Config::phi(-1.0, PERIOD),
        Config::phi(8.0, none),
    ] {
        assert!(senseless.fault().is_some(), "{senseless:?}");
    }
}

#[test]
fn one_timer_and_no_send_between_ticks() {
    let mut driven = linked(Config::default());
    assert_eq!(driven.timers(), 1);
    let did = driven.message(life(2, 1), &Heartbeat, b"");
    assert!(!did.0.iter().any(|effect| matches!(effect, Effect::Send { .. })));
}
