//! Links that work: what is said arrives, once and in order, through cuts and
//! new lives.

use super::*;
use nodewright::component::{EndedWhy, PeerRole};
use nodewright::transport::Cut;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn two_nodes_link_and_talk_and_what_was_said_before_arrives_too() {
    let (a, b) = pair();
    say(&a, To::All, Lane::Data, "early");
    b.sink.wait_joined(a.life);
    a.sink.wait_joined(b.life);
    say(&b, To::Life(a.life), Lane::Control, vec![7; 3 << 20]);
    say(&b, To::Life(life("nobody", 1)), Lane::Control, "lost");
    let told = b.sink.wait("the early word", |told| told.received.contains_key(&(a.life, Lane::Data)));
    assert_eq!(told.received[&(a.life, Lane::Data)], ["early"]);
    let told = a.sink.wait("the long block", |told| told.received.contains_key(&(b.life, Lane::Control)));
    assert_eq!(told.received[&(b.life, Lane::Control)][0], vec![7; 3 << 20]);
    a.sink.wait("credit", |told| told.credits.get(&b.life) == Some(&5));
    assert!(a.links.last_heard(b.life).is_some());
    assert_eq!(a.links.provides(b.life, TALK), Some(true));
    assert_eq!(a.links.provides(b.life, Kind::of("other")), Some(false));
    let seen = &a.links.peers()[0];
    assert_eq!((seen.name.as_deref(), seen.role, seen.connected), (Some("beta"), PeerRole::Voter, true));
}

/// Says numbered blocks to all, mostly short, some over several records, until
/// told to stop; never more than a little ahead of what was acknowledged. How
/// many there were.
fn count_up(node: &Node, others: u64, done: &AtomicBool) -> u64 {
    let (mut number, mut said_bytes) = (0u64, 0u64);
    while !done.load(Ordering::Relaxed) {
        let length = if number % 97 == 0 { 150_000 } else { 8 + (number as usize * 31) % 5000 };
        let mut block = number.to_le_bytes().to_vec();
        block.resize(length, 0);
        said_bytes += block.len() as u64 * others;
        say(node, To::All, if number % 3 == 0 { Lane::Control } else { Lane::Data }, block);
        number += 1;
        drop(node.sink.wait_until("credit", |told| told.credits.values().sum::<u64>() + (2 << 20) > said_bytes));
    }
    number
}

#[test]
fn cutting_every_connection_at_random_loses_repeats_and_reorders_nothing() {
    const CUTS: usize = 20;
    for names in [&["alpha", "beta"][..], &["alpha", "beta", "gamma"][..]] {
        let nodes = mesh(names, |config| config.link.resend_after = Duration::from_millis(500));
        let done = AtomicBool::new(false);
        let said: Vec<u64> = std::thread::scope(|scope| {
            let (nodes, done) = (&nodes, &done);
            let others = nodes.len() as u64 - 1;
            let sayers: Vec<_> = nodes.iter().map(|node| scope.spawn(move || count_up(node, others, done))).collect();
            let mut rng = fastrand::Rng::with_seed(7);
            let (mut cuts, deadline) = (0, Instant::now() + PATIENCE * 4);
            while cuts < CUTS && Instant::now() < deadline {
                let node = &nodes[rng.usize(0..nodes.len())];
                let other = nodes[rng.usize(0..nodes.len())].life;
                cuts += node.links.cut(if rng.bool() { Cut::All } else { Cut::Life(other) });
                std::thread::sleep(Duration::from_millis(rng.u64(5..50))); // lets the cuts fall anywhere in the load
            }
            done.store(true, Ordering::Relaxed);
            assert!(cuts >= CUTS, "only {cuts} connections were there to be cut");
            sayers.into_iter().map(|sayer| sayer.join().expect("no panic")).collect()
        });
        for node in &nodes {
            for (from, said) in nodes.iter().zip(&said).filter(|(from, _)| from.life != node.life) {
                let expected = |control: bool| (0..*said).filter(move |n| (n % 3 == 0) == control);
                for (lane, control) in [(Lane::Control, true), (Lane::Data, false)] {
                    let count = expected(control).count();
                    let of = |told: &Told| told.received.get(&(from.life, lane)).map_or(0, Vec::len);
                    let told = node.sink.wait("every block", |told| of(told) >= count);
                    let numbers = told.received[&(from.life, lane)]
                        .iter()
                        .map(|block| u64::from_le_bytes(*block.first_chunk().expect("at least eight bytes")));
                    assert!(numbers.eq(expected(control)), "{lane:?} from {} to {}", from.life, node.life);
                    assert_eq!(told.out_of_turn, []);
                    assert_eq!(told.changes.len(), nodes.len() - 1, "{:?}", told.changes);
                }
            }
        }
        let counters: Vec<_> = nodes.iter().map(|node| node.links.counters()).collect();
        assert!(counters.iter().map(|one| one.resent).sum::<u64>() > 0, "nothing was on its way: {counters:?}");
    }
}

#[test]
fn a_new_incarnation_takes_the_old_ones_place_and_the_old_one_is_told() {
    let secret = secret();
    let security = secured(&secret);
    let (mut a, a_life) = bind(config("alpha", &security));
    let (mut b, b_life) = bind(config("beta", &secured(&secret)));
    let (a_at, b_at) = (a.local_addr(), b.local_addr());
    a.set_peers(vec![a_at.into(), b_at.into()]).expect("two");
    b.set_peers(vec![a_at.into(), b_at.into()]).expect("two");
    let (a, b) = (start(a, a_life), start(b, b_life));
    b.sink.wait_joined(a.life);
    say(&b, To::All, Lane::Data, "to the first life");
    a.sink.wait("the word", |told| told.received.len() == 1);
    a.links.stop();
    say(&b, To::All, Lane::Data, "lost with the first life");
    let old = a.life;

    let again = |incarnation| {
        let mut config = config("alpha", &security);
        config.me = life("alpha", incarnation);
        config.listen = a_at;
        config.peers = vec![b_at.into()];
        let (bound, life) = bind(config);
        start(bound, life)
    };
    let a = again(2);
    let told = b.sink.wait("the new life", |told| told.linked.contains(&a.life));
    let joined = |life| PeerChange::Joined { life, role: PeerRole::Voter, name: "alpha".into() };
    let ended = PeerChange::Ended { life: old, why: EndedWhy::Succeeded };
    assert_eq!(told.changes, [joined(old), ended, joined(a.life)]);
    say(&b, To::All, Lane::Data, "to the second");
    let told = a.sink.wait("the word", |told| !told.received.is_empty());
    assert_eq!(told.received[&(b.life, Lane::Data)], ["to the second"]);
    a.links.stop();

    let stale = again(1);
    stale.sink.wait("to be told of a later life", |told| told.outlived == Some(3));
    wait_refused(&b, "life outlived");
}

#[test]
fn an_ended_life_is_closed_refused_and_told() {
    let (a, b) = pair();
    a.sink.wait_joined(b.life);
    b.sink.wait_joined(a.life);
    a.links.end_life(b.life);
    a.links.end_life(b.life);
    let ended = PeerChange::Ended { life: b.life, why: EndedWhy::Decided };
    a.sink.wait("the end", |told| told.changes.last() == Some(&ended));
    a.links.end_life(b.life); // told once, however often it is asked for
    b.sink.wait("to be told", |told| told.outlived == Some(2));
    assert!(!a.sink.wait("the end", |_| true).linked.contains(&b.life));
    say(&a, To::Life(b.life), Lane::Data, "dropped");
    assert_eq!(a.links.peers()[0].queued_bytes, 0);
    // one never met can be ended too
    let stranger = life("stranger", 4);
    a.links.end_life(stranger);
    let told = a.sink.wait("its end", |told| told.changes.len() == 3);
    assert_eq!(told.changes[2], PeerChange::Ended { life: stranger, why: EndedWhy::Decided });
}

#[test]
fn the_greatest_incarnation_is_ended_and_refused_like_any_other() {
    let secret = secret();
    let mut greatest = config("beta", &secured(&secret));
    greatest.me = life("beta", u64::MAX);
    let (mut a, a_life) = bind(config("alpha", &secured(&secret)));
    let (mut b, b_life) = bind(greatest);
    let (a_at, b_at) = (a.local_addr(), b.local_addr());
    a.set_peers(vec![a_at.into(), b_at.into()]).expect("two");
    b.set_peers(vec![a_at.into(), b_at.into()]).expect("two");
    let (a, b) = (start(a, a_life), start(b, b_life));
    a.sink.wait_joined(b.life);
    a.links.end_life(b.life);
    wait_refused(&a, "life ended"); // it dials again, and no greater one can be asked for
    b.links.stop();

    let mut earlier = config("beta", &secured(&secret));
    earlier.listen = b_at;
    earlier.peers = vec![a_at.into()];
    let (earlier, life) = bind(earlier);
    let earlier = start(earlier, life);
    earlier.sink.wait("to be told", |told| told.outlived == Some(u64::MAX));
}

#[test]
fn a_leaving_node_hands_over_what_is_queued_and_says_goodbye() {
    // on a busy machine five megabytes may take longer than a leave usually waits
    let nodes = mesh(&["alpha", "beta"], |config| config.limits.leave_within = PATIENCE);
    let [a, b] = &nodes[..] else { unreachable!("two") };
    a.sink.wait_joined(b.life);
    b.sink.wait_joined(a.life);
    for _ in 0..100 {
        say(a, To::All, Lane::Data, vec![1; 50_000]);
    }
    a.links.leave();
    let left = PeerChange::Ended { life: a.life, why: EndedWhy::Left };
    let told = b.sink.wait("the goodbye", |told| told.changes.last() == Some(&left));
    assert_eq!(told.received[&(a.life, Lane::Data)].len(), 100);
    assert_eq!(told.out_of_turn, []);
}

#[test]
fn a_listener_joins_through_the_next_sponsor_when_one_is_gone() {
    let secret = secret();
    let dead = TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a port nobody listens on");
    let (a, a_life) = bind(config("alpha", &secured(&secret)));
    let mut listener = config("echo", &secured(&secret));
    listener.join = vec![dead.into(), a.local_addr().into()];
    let (listener, listener_life) = bind(listener);
    assert!(!listener.voter);
    let (a, listener) = (start(a, a_life), start(listener, listener_life));
    let told = a.sink.wait("the listener", |told| !told.changes.is_empty());
    let joined = |life, role, name: &str| PeerChange::Joined { life, role, name: name.into() };
    assert_eq!(told.changes, [joined(listener.life, PeerRole::Listener, "echo")]);
    let told = listener.sink.wait("the sponsor", |told| !told.changes.is_empty());
    assert_eq!(told.changes, [joined(a.life, PeerRole::Voter, "alpha")]);
    say(&a, To::All, Lane::Data, "for voters only");
    say(&a, To::Life(listener.life), Lane::Data, "for you");
    let told = listener.sink.wait("the word", |told| !told.received.is_empty());
    assert_eq!(told.received[&(a.life, Lane::Data)], ["for you"]);
}

#[test]
fn nodes_that_dial_each_other_at_once_end_with_one_link() {
    for _ in 0..10 {
        let nodes = mesh(&["alpha", "beta", "gamma", "delta"], |_| {});
        for node in &nodes {
            say(node, To::All, Lane::Data, "hello");
        }
        for node in &nodes {
            for other in nodes.iter().filter(|other| other.life != node.life) {
                let flow = (other.life, Lane::Data);
                let told = node.sink.wait("a hello", |told| told.received.contains_key(&flow));
                assert_eq!(told.received[&flow], ["hello"]);
            }
            let told = node.sink.wait("", |_| true);
            assert_eq!((told.changes.len(), told.out_of_turn.len()), (3, 0), "{:?}", told.changes);
        }
    }
}

#[test]
fn a_joiner_that_knows_one_member_links_with_all_and_with_other_joiners() {
    let secret = secret();
    let nodes = mesh(&["alpha", "beta", "gamma"], |config| config.security = secured(&secret));
    let dir = std::env::temp_dir().join(format!("nodewright-joins-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let join = |name: &str, sponsors: Vec<PeerAddr>| {
        let mut config = config(name, &secured(&secret));
        (config.join, config.joiner, config.members_file) = (sponsors, true, Some(dir.join(name)));
        let (bound, life) = bind(config);
        start(bound, life)
    };
    let delta = join("delta", vec![nodes[1].links.local_addr().into()]);
    let epsilon = join("epsilon", vec![nodes[2].links.local_addr().into()]);
    for node in &nodes {
        delta.sink.wait_joined(node.life);
        epsilon.sink.wait_joined(node.life);
        for joiner in [&delta, &epsilon] {
            node.sink.wait_joined(joiner.life);
            let name = if joiner.life == delta.life { "delta".into() } else { "epsilon".into() };
            let joined = PeerChange::Joined { life: joiner.life, role: PeerRole::Joiner, name };
            node.sink.wait("as a joiner", |told| told.changes.contains(&joined));
        }
    }
    delta.sink.wait_joined(epsilon.life);
    epsilon.sink.wait_joined(delta.life);

    // The next start needs no sponsor, and the first one may be gone.
    drop(delta);
    nodes[1].links.stop();
    let known = nodewright::transport::acquainted(&dir.join("delta")).expect("it reads");
    assert!(known.len() >= 3, "{known:?}");
    let mut config = config("delta", &secured(&secret));
    (config.me, config.join, config.joiner) = (life("delta", 2), known, true);
    let (bound, life) = bind(config);
    let delta = start(bound, life);
    delta.sink.wait_joined(nodes[0].life);
    delta.sink.wait_joined(nodes[2].life);
    std::fs::remove_dir_all(&dir).expect("removed");
}
