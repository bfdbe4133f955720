//! Requests in the simulator: whatever happens, an answer comes, it tells the
//! truth, and nothing is done twice.

use bytes::Bytes;
use nodewright::component::{Context, Erased, Factory, Input, Manifest, NetComponent, ReplyTo, Role, Stack};
use nodewright::error::{CallError, Fault};
use nodewright::id::Kind;
use nodewright::protocol::failure_detector::{self, Detector};
use nodewright::protocol::membership::{self, Membership};
use nodewright::protocol::request::{Answer, Ask, Call, Config, Peer, Reply, Request, Requests, Route};
use nodewright::sim::{Faults, NodeIndex, Ticket, World};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bodies of the requests that were carried out, wherever. A lock, because a
/// handler is shared by all lives of all nodes here; a world has one thread.
type Done = Arc<Mutex<BTreeMap<Bytes, u32>>>;

fn carry_out(done: &Done, request: &Request) -> Reply {
    let mut done = done.lock().expect("no handler panics");
    *done.entry(request.body.clone()).or_insert(0) += 1;
    Reply::Done(request.body.clone())
}

/// A component that takes its time: it answers in the order of asking, 20 ms
/// after each request.
struct Slow {
    done: Done,
    waiting: VecDeque<(Request, ReplyTo)>,
}

impl NetComponent for Slow {
    type Message = ();
    type Call = Request;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest { role: Role::Leaf, ..Manifest::new("slow") }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { call, reply_to } => {
                self.waiting.push_back((call, reply_to));
                if !cx.has_timer(&()) {
                    cx.set_timer((), Duration::from_millis(20));
                }
            }
            Input::Timer(()) => {
                if let Some((request, reply_to)) = self.waiting.pop_front() {
                    let reply = carry_out(&self.done, &request);
                    cx.reply(reply_to, reply);
                }
                if !self.waiting.is_empty() {
                    cx.set_timer((), Duration::from_millis(20));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn stack(done: &Done) -> Stack {
    let (in_place, slow) = (done.clone(), done.clone());
    let route = Route { component: Kind::of("slow"), wrap: |request| -> Erased { Box::new(request) } };
    let config = Config::default()
        .respond("fast", move |request| carry_out(&in_place, request))
        .respond("deny", |_| Reply::Refused("never".into()))
        .route("slow", route);
    Stack {
        factories: vec![
            Factory::new(|| Detector::new(failure_detector::Config::default())),
            Factory::new(|| Membership::new(membership::Config::new(Duration::from_secs(2)))),
            Factory::new(move || Requests::new(config.clone())),
            Factory::new(move || Slow { done: slow.clone(), waiting: VecDeque::new() }),
        ],
    }
}

fn world(seed: u64) -> (World, Vec<NodeIndex>, Done) {
    let done = Done::default();
    let mut world = World::new(seed);
    let nodes = ["alpha", "beta", "gamma"].map(|name| world.add_node(name, stack(&done)));
    (world, nodes.to_vec(), done)
}

fn ask(world: &mut World, from: NodeIndex, to: NodeIndex, name: &str, body: Bytes, within: Duration) -> Ticket {
    let to = Peer::Node(world.life(to).node);
    let ask = Ask { to, name: name.into(), version: 1, params: vec![], body, within };
    world.call(from, Kind::of("request"), Box::new(Call::Ask(ask)), Duration::from_secs(120))
}

#[test]
fn a_request_is_answered_within_a_round_trip() {
    let (mut world, nodes, _) = world(1);
    world.run_for(Duration::from_secs(1));
    for (name, within) in [("fast", 5), ("slow", 25)] {
        let ticket = ask(&mut world, nodes[0], nodes[1], name, Bytes::from_static(b"body"), Duration::from_secs(5));
        world.run_for(Duration::from_millis(within));
        let answer = world.answer::<Answer>(ticket).expect("answered in time");
        assert_eq!(answer, Ok(Ok(Bytes::from_static(b"body"))), "{name}");
    }
    let ticket = ask(&mut world, nodes[0], nodes[1], "none", Bytes::new(), Duration::from_secs(5));
    world.run_for(Duration::from_millis(5));
    let refused = CallError::Refused("beta has no handler for 'none'".into());
    assert_eq!(world.answer::<Answer>(ticket), Some(Ok(Err(refused))));
}

#[test]
fn a_request_to_the_dead_is_answered_at_its_deadline_or_at_the_end_of_the_life() {
    let (mut world, nodes, done) = world(2);
    world.run_for(Duration::from_secs(1));
    world.crash(nodes[1]);
    let short = ask(&mut world, nodes[0], nodes[1], "fast", Bytes::from_static(b"1"), Duration::from_millis(500));
    let long = ask(&mut world, nodes[0], nodes[1], "fast", Bytes::from_static(b"2"), Duration::from_secs(60));
    world.run_for(Duration::from_millis(501));
    let timed_out = CallError::TimedOut(Duration::from_millis(500));
    assert_eq!(world.answer::<Answer>(short), Some(Ok(Err(timed_out))));
    world.run_for(Duration::from_secs(10));
    assert!(matches!(world.answer::<Answer>(long), Some(Ok(Err(CallError::Ended(_))))));
    world.restart(nodes[1], false);
    world.run_for(Duration::from_secs(10));
    assert!(done.lock().expect("one thread").is_empty(), "what was asked of the old life is not done by the new one");
}

/// What came of the requests of one world, by name of the outcome.
fn chaos(seed: u64, totals: &mut BTreeMap<&'static str, u32>) {
    let mut drawn = fastrand::Rng::with_seed(seed);
    let (mut world, nodes, done) = world(seed);
    world.run_for(Duration::from_secs(1));
    world.set_faults(Faults::draw(&mut drawn, 1));
    let mut asked = Vec::new();
    for n in 0..300u32 {
        let (from, to) = (nodes[drawn.usize(0..3)], nodes[drawn.usize(0..3)]);
        let name = ["fast", "slow", "deny"][drawn.usize(0..3)];
        let within = Duration::from_millis(drawn.u64(1..2000));
        let body = Bytes::from(n.to_le_bytes().to_vec());
        if world.is_up(from) {
            asked.push((ask(&mut world, from, to, name, body.clone(), within), world.life(from), from, name, body));
        }
        world.run_for(Duration::from_millis(drawn.u64(0..60)));
    }
    world.heal();
    world.run_for(Duration::from_secs(30));
    let done = done.lock().expect("one thread").clone();
    for (ticket, life, from, name, body) in asked {
        let times = done.get(&body).copied().unwrap_or(0);
        assert!(times <= 1, "seed {seed}: {name} {body:?} was done {times} times");
        let outcome = match world.answer::<Answer>(ticket) {
            Some(Ok(Ok(answer))) => {
                assert_eq!((answer, times), (body, 1), "seed {seed}: said to be done");
                "done"
            }
            Some(Ok(Err(CallError::Refused(_)))) => {
                assert_eq!(times, 0, "seed {seed}: {name} was refused, and done");
                "refused"
            }
            Some(Ok(Err(CallError::TimedOut(_)))) => "timed out",
            Some(Ok(Err(CallError::Ended(_)))) => "ended",
            Some(Ok(Err(CallError::Failed(_)))) => "failed",
            other => {
                let alive = world.is_up(from) && world.life(from) == life;
                assert!(!alive, "seed {seed}: {name} {body:?} was never answered: {other:?}");
                "asker crashed"
            }
        };
        *totals.entry(outcome).or_insert(0) += 1;
    }
}

#[test]
fn whatever_happens_an_answer_comes_and_tells_the_truth() {
    let mut totals = BTreeMap::new();
    for seed in 0..40 {
        chaos(seed, &mut totals);
    }
    for goal in ["done", "refused", "timed out", "ended", "asker crashed"] {
        assert!(totals.get(goal).is_some_and(|count| *count > 0), "never seen: {goal} in {totals:?}");
    }
}
