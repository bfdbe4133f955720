//! Files move to a node that came later: readers never see a gap, what is pushed meanwhile
//! stays, and it goes on when the node that does it falls. In virtual time.

use bytes::Bytes;
use nodewright::component::{Factory, Stack};
use nodewright::id::Kind;
use nodewright::protocol::failure_detector::{self as detector, Detector};
use nodewright::protocol::replicated_log::{Config as LogConfig, ReplicatedLog};
use nodewright::protocol::replicated_map::{CHANNEL, ReplicatedMap, Table};
use nodewright::service::ring::holder::Holder;
use nodewright::service::ring::member::{Call, Config, Cut, Mutant, NAME, Ring};
use nodewright::sim::{NodeIndex, World};
use std::time::Duration;

const LATE: NodeIndex = NodeIndex(1);
const SIZE: usize = 6 << 20;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn stack(mutant: Option<Mutant>) -> Stack {
    let log = || {
        let small = LogConfig { segment_bytes: 1 << 20, snapshot_bytes: 1 << 20, ..LogConfig::default() };
        ReplicatedLog::new(small.machine(CHANNEL, || Box::new(Table::default())))
    };
    let config = Config { mutant, ..Config::default() };
    Stack {
        factories: vec![
            Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200)))),
            Factory::new(log),
            Factory::new(ReplicatedMap::default),
            Factory::new(Holder::default),
            Factory::new(move || Ring::new(config.clone())),
        ],
    }
}

/// Files that were pushed while the second of four nodes was away, which is back.
fn joined(mutant: Option<Mutant>, content: &[u8]) -> World {
    let mut world = World::new(7);
    for name in ["alpha", "beta", "gamma", "delta"] {
        world.add_node(name, stack(mutant));
    }
    until(&mut world, "NETMAP GET\n", |netmap| netmap.matches("=Alive").count() == 4);
    world.crash(LATE);
    until(&mut world, "NETMAP GET\n", |netmap| netmap.matches("=Alive").count() == 3);
    push(&mut world, "file", content);
    push(&mut world, "small", b"abc");
    world.restart(LATE, true);
    until(&mut world, "NETMAP GET\n", |netmap| netmap.matches("=Alive").count() == 4);
    world
}

fn say(world: &mut World, node: NodeIndex, said: Vec<u8>) -> Bytes {
    let call = Call::Talk(said.into());
    let answer: Result<Result<Bytes, Cut>, _> = world.ask(node, Kind::of(NAME), call, millis(60_000));
    answer.expect("an answer").expect("that is not cut")
}

fn text(world: &mut World, node: NodeIndex, said: &str) -> String {
    String::from_utf8_lossy(&say(world, node, said.as_bytes().to_vec())).into_owned()
}

fn push(world: &mut World, name: &str, content: &[u8]) {
    let mut said = format!("FILE PUSH {} {name}\n", content.len()).into_bytes();
    said.extend_from_slice(content);
    for _ in 0..100 {
        let answer = say(world, NodeIndex(0), said.clone());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if answer.contains("\nOK ") {
            return;
        }
        assert!(answer.starts_with("ERR UNAVAILABLE"), "{answer}"); // the ring is not known yet
        world.run_for(millis(200));
    }
    panic!("{name} is not taken");
}

fn until(world: &mut World, said: &str, well: impl Fn(&str) -> bool) -> String {
    for _ in 0..600 {
        let answer = text(world, NodeIndex(0), said);
        if well(&answer) {
            return answer;
        }
        world.run_for(millis(200));
    }
    panic!("{said:?}: {}", text(world, NodeIndex(0), said));
}

fn content(seed: u64) -> Vec<u8> {
    let mut content = vec![0; SIZE];
    fastrand::Rng::with_seed(seed).fill(&mut content);
    content
}

/// How many of the file's copies each node has.
fn slots(world: &mut World) -> usize {
    let manifest = text(world, NodeIndex(0), "FILE MANIFEST file\n");
    manifest.lines().filter(|line| line.starts_with("part ")).count()
}

#[test]
fn a_newcomer_gets_its_share_and_readers_see_no_gap() {
    let content = content(1);
    let mut world = joined(None, &content);
    assert_eq!(slots(&mut world), 3, "nothing moves by itself");
    // a tenth of the file a second
    let answer = text(&mut world, LATE, &format!("NODE REBALANCE {}\n", SIZE / 10));
    assert!(answer.starts_with("OK state=running moved=0"), "{answer}");
    let (mut reads, begun) = (0, world.now());
    loop {
        for node in 0..4 {
            assert!(say(&mut world, NodeIndex(node), b"FILE PULL file\n".to_vec()) == content, "node {node}");
            assert_eq!(text(&mut world, NodeIndex(node), "FILE PULL small\n"), "abc");
            reads += 1;
        }
        if text(&mut world, NodeIndex(2), "NODE REBALANCE status\n").starts_with("OK state=done moved=2 ") {
            break;
        }
        assert!(reads < 10_000, "{}", text(&mut world, NodeIndex(2), "NODE REBALANCE status\n"));
        world.run_for(millis(100));
    }
    assert!(world.now().since(begun) > Duration::from_secs(5), "at the rate that was asked for");
    assert_eq!(slots(&mut world), 4);
    let stat = text(&mut world, NodeIndex(0), "FILE STAT file\n");
    assert!(
        stat.contains(" v2 parts=4 copies=2 ") && stat.contains(blake3::hash(&content).to_hex().as_str()),
        "{stat}"
    );
    // the copies that were moved away go, and the file is whole all the same
    world.run_for(millis(40_000));
    until(&mut world, "FILE SCRUB\n", |scrub| scrub.ends_with(" bad=0\n"));
    assert!(say(&mut world, LATE, b"FILE PULL file\n".to_vec()) == content);
    // nothing is left to be moved
    text(&mut world, NodeIndex(0), "NODE REBALANCE\n");
    until(&mut world, "NODE REBALANCE status\n", |status| status.starts_with("OK state=done moved=0 "));
}

/// A push, in the middle of the move: it stays.
fn pushed_meanwhile(mutant: Option<Mutant>) -> bool {
    let (first, second) = (content(1), content(2));
    let mut world = joined(mutant, &first);
    text(&mut world, NodeIndex(0), &format!("NODE REBALANCE {}\n", SIZE / 4));
    world.run_for(millis(1500));
    push(&mut world, "file", &second);
    world.run_for(millis(20_000));
    say(&mut world, NodeIndex(2), b"FILE PULL file\n".to_vec()) == second
}

#[test]
fn what_is_pushed_meanwhile_stays() {
    assert!(pushed_meanwhile(None));
    assert!(!pushed_meanwhile(Some(Mutant::MovesBlindly)), "nobody notices that a push is lost");
}

#[test]
fn it_goes_on_after_a_fall_and_stops_when_it_is_told_to() {
    let content = content(1);
    let mut world = joined(None, &content);
    text(&mut world, NodeIndex(0), &format!("NODE REBALANCE {}\n", SIZE / 8));
    world.run_for(millis(2000));
    // whoever does it is among them
    for node in 0..4 {
        world.crash(NodeIndex(node));
    }
    for node in 0..4 {
        world.restart(NodeIndex(node), true);
    }
    until(&mut world, "NODE REBALANCE status\n", |status| status.starts_with("OK state=done "));
    assert_eq!(slots(&mut world), 4);
    assert!(say(&mut world, NodeIndex(3), b"FILE PULL file\n".to_vec()) == content);

    let mut world = joined(None, &content);
    text(&mut world, NodeIndex(0), &format!("NODE REBALANCE {}\n", SIZE / 30));
    world.run_for(millis(3000));
    let told = text(&mut world, NodeIndex(3), "NODE REBALANCE stop\n");
    assert!(told.starts_with("OK state=stopped"), "{told}");
    world.run_for(millis(60_000));
    assert_eq!(slots(&mut world), 3, "nothing was moved");
    for node in world.all().collect::<Vec<_>>() {
        assert_eq!(world.inspect_row(node, "ring_holder", "staged").as_deref(), Some("0"), "what was copied is gone");
    }
    assert!(say(&mut world, NodeIndex(3), b"FILE PULL file\n".to_vec()) == content);
}
