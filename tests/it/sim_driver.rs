//! The simulator drives a component by the contract: calls, timers, events,
//! jobs, disk, peers. One seed, one trace.

use nodewright::component::{
    Context, DeliveredBatch, DiskDone, DiskOp, Factory, Input, Lane, Manifest, NetComponent, PeerChange, ReplyTo,
    Stack, Stamp, To, Token,
};
use nodewright::error::{CallError, Fault};
use nodewright::event::{Event, EventType};
use nodewright::id::{Kind, Life, MessageId};
use nodewright::sim::{Faults, NodeIndex, World};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sends what it is asked to broadcast to each peer once and delivers what
/// arrives: best effort at most.
pub struct Naive {
    batches: u64,
}

pub const NAIVE: &str = "naive";

#[derive(Serialize, Deserialize)]
pub struct Batch {
    channel: Kind,
    number: u64,
    count: u32,
}

pub fn naive() -> Stack {
    Stack { factories: vec![Factory::new(|| Naive { batches: 0 })] }
}

impl NetComponent for Naive {
    type Message = Batch;
    type Call = ();
    type Timer = ();
    type Job = ();
    type Done = ();

    fn manifest(&self) -> Manifest {
        Manifest::new(NAIVE)
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let (origin, channel, number, batch) = match input {
            Input::Request { from, batch, .. } => {
                self.batches += 1;
                let head = Batch { channel: from, number: self.batches, count: batch.count() };
                cx.send_with(To::All, Lane::Data, &head, batch.run());
                (cx.me(), from, self.batches, batch)
            }
            Input::Message { from, head, body } => {
                let Some(batch) = nodewright::codec::Batch::checked(body, head.count) else { return Ok(()) };
                (from, head.channel, head.number, batch)
            }
            _ => return Ok(()),
        };
        let via = Kind::of(NAIVE);
        let id = MessageId { origin, delivery: via, batch: number, index: 0 };
        cx.deliver(channel, DeliveredBatch { id, via, stamp: Stamp::default(), batch });
        Ok(())
    }
}

fn five(seed: u64) -> (World, Vec<NodeIndex>) {
    let mut world = World::new(seed);
    let nodes = ["alpha", "beta", "gamma", "delta", "epsilon"].map(|name| world.add_node(name, naive()));
    (world, nodes.to_vec())
}

#[test]
fn a_broadcast_reaches_everyone_in_a_calm_world() {
    let (mut world, nodes) = five(1);
    for n in 0..20 {
        world.broadcast(nodes[n % 5], Kind::of(NAIVE), format!("m{n}"));
        world.run_for(Duration::from_millis(3));
    }
    world.run_for(Duration::from_secs(1));
    for node in nodes {
        assert_eq!(world.delivered(node).count(), 20, "{}", world.trace().transcript());
    }
}

fn chaotic(seed: u64) -> World {
    let (mut world, nodes) = five(seed);
    world.set_faults(Faults::all());
    for n in 0..100 {
        world.broadcast(nodes[n % 5], Kind::of(NAIVE), format!("m{n}"));
        world.run_for(Duration::from_millis(100));
    }
    world.heal();
    world.restart_all();
    world.run_for(Duration::from_secs(30));
    world
}

#[test]
fn one_seed_one_trace() {
    for seed in 0..5 {
        let (one, other) = (chaotic(seed), chaotic(seed));
        assert_eq!(one.trace().hash(), other.trace().hash());
        assert_eq!(one.trace().transcript(), other.trace().transcript());
    }
    assert_ne!(chaotic(1).trace().hash(), chaotic(2).trace().hash());
}

#[test]
fn every_fault_strikes() {
    let world = chaotic(3);
    let counts = world.counts();
    for what in [
        "frames lost",
        "frames lost in partitions",
        "frames duplicated",
        "frames reordered",
        "sessions cut",
        "partitions",
        "pauses",
        "crashes",
        "clock jumps",
        "retransmissions",
        "reconnects",
    ] {
        assert!(counts.get(what).copied().unwrap_or(0) > 0, "no {what} in {counts:?}");
    }
    assert!(world.all().all(|node| world.is_up(node)));
}

/// Answers calls with what it knows: how often its timer fired, what a job
/// made, what its disk kept, which peers it has.
#[derive(Default)]
struct Clerk {
    ticks: u64,
    kept: Option<u64>,
    job: Option<u64>,
    peers: Vec<Life>,
    heard: u64,
    asked: Option<(Token, ReplyTo)>,
    silent: bool,
}

#[derive(Debug)]
struct Ticked(#[expect(dead_code, reason = "shown in transcripts")] u64);

impl Event for Ticked {
    const NAME: &'static str = "ticked";
    const RETAINED: bool = true;
}

enum Ask {
    State,
    Silence,
    Silent,
}

#[derive(Debug, PartialEq)]
struct State {
    ticks: u64,
    kept: Option<u64>,
    job: Option<u64>,
    peers: usize,
    heard: u64,
}

const CLERK: &str = "clerk";

impl NetComponent for Clerk {
    type Message = ();
    type Call = Ask;
    type Timer = ();
    type Job = u64;
    type Done = u64;

    fn manifest(&self) -> Manifest {
        Manifest { hears: vec![EventType::of::<Ticked>()], ..Manifest::new(CLERK) }
    }

    fn run(job: u64) -> u64 {
        job * job
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => {
                cx.set_timer((), Duration::from_millis(100));
                cx.disk(DiskOp::Read { name: "kept".into(), offset: 0, bytes: 8 });
                cx.job(7);
            }
            Input::Timer(()) => {
                self.ticks += 1;
                cx.set_timer((), Duration::from_millis(100));
                let bytes = self.ticks.to_le_bytes().to_vec().into();
                cx.disk(DiskOp::Replace { name: "kept".into(), bytes });
                cx.publish(Ticked(self.ticks));
            }
            Input::Disk { result: Ok(DiskDone::Read(bytes)), .. } => {
                self.kept = bytes.first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
            }
            Input::Done { done, .. } => self.job = done,
            Input::Event(_) => self.heard += 1,
            Input::Peer(PeerChange::Joined { life, .. }) => self.peers.push(*life),
            Input::Peer(PeerChange::Ended { life, .. }) => self.peers.retain(|known| known != life),
            Input::Call { call: Ask::State, reply_to } => {
                let Clerk { ticks, kept, job, heard, .. } = *self;
                cx.reply(reply_to, State { ticks, kept, job, peers: self.peers.len(), heard });
            }
            Input::Call { call: Ask::Silence, reply_to } => {
                self.silent = true;
                let token = cx.call::<Clerk>(Kind::of(CLERK), Ask::Silent, Duration::from_millis(50));
                self.asked = Some((token, reply_to));
            }
            Input::Reply { token, value } => {
                if let Some((asked, reply_to)) = self.asked.take()
                    && asked == token
                {
                    cx.reply(reply_to, matches!(value, Err(CallError::TimedOut(_))));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn clerks(seed: u64) -> (World, [NodeIndex; 3]) {
    let mut world = World::new(seed);
    let stack = || Stack { factories: vec![Factory::new(Clerk::default)] };
    let nodes = ["alpha", "beta", "gamma"].map(|name| world.add_node(name, stack()));
    (world, nodes)
}

fn ask<T: 'static>(world: &mut World, node: NodeIndex, ask: Ask) -> Result<T, CallError> {
    let ticket = world.call(node, Kind::of(CLERK), Box::new(ask), Duration::from_secs(1));
    world.run_for(Duration::from_millis(90));
    world.answer(ticket).expect("answered or refused by now")
}

#[test]
fn timers_jobs_disk_events_and_peers_reach_a_component() {
    let (mut world, [alpha, beta, _]) = clerks(4);
    world.run_for(Duration::from_millis(1010));
    let state: State = ask(&mut world, alpha, Ask::State).expect("answered");
    assert_eq!((state.kept, state.job, state.peers), (None, Some(49), 2));
    assert!((9..=11).contains(&state.ticks) && state.heard == state.ticks, "{state:?}");

    world.crash(beta);
    world.run_for(Duration::from_secs(1));
    let refused: Result<State, _> = ask(&mut world, beta, Ask::State);
    assert_eq!(refused, Err(CallError::Stopping));
    world.restart(beta, true);
    world.run_for(Duration::from_millis(50));
    let state: State = ask(&mut world, beta, Ask::State).expect("answered");
    assert!(state.kept.is_some_and(|kept| kept >= 9) && state.peers == 2, "{state:?}");
    let state: State = ask(&mut world, alpha, Ask::State).expect("answered");
    assert_eq!(state.peers, 2, "the old life ended, the new one joined");
}

#[test]
fn a_call_without_an_answer_times_out() {
    let (mut world, [alpha, ..]) = clerks(5);
    assert_eq!(ask(&mut world, alpha, Ask::Silence), Ok(true));
    let ticket = world.call(alpha, Kind::of("nobody"), Box::new(()), Duration::from_secs(1));
    assert!(matches!(world.answer::<()>(ticket), Some(Err(CallError::Refused(_)))));
}

#[test]
fn a_jump_lets_timers_fire_and_a_pause_lets_them_wait() {
    let (mut world, [alpha, beta, _]) = clerks(6);
    world.run_for(Duration::from_millis(50));
    world.jump(alpha, Duration::from_secs(10));
    world.pause(beta);
    world.run_for(Duration::from_millis(20));
    assert_eq!(world.events::<Ticked>(alpha).count(), 1);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.events::<Ticked>(beta).count(), 0);
    world.resume(beta);
    world.run_for(Duration::from_millis(20));
    assert_eq!(world.events::<Ticked>(beta).count(), 1);
}

#[test]
fn a_restarted_leaf_is_told_of_peers_and_retained_events() {
    let (mut world, [alpha, ..]) = clerks(7);
    world.run_for(Duration::from_millis(250));
    world.restart_component(alpha, Kind::of(CLERK));
    let state: State = ask(&mut world, alpha, Ask::State).expect("answered");
    assert_eq!((state.ticks, state.peers, state.heard), (0, 2, 1), "{state:?}");
}

#[test]
fn batches_join_what_is_broadcast_together() {
    let (mut world, nodes) = five(8);
    for n in 0..50 {
        world.broadcast(nodes[0], Kind::of(NAIVE), format!("m{n}"));
    }
    world.run_for(Duration::from_secs(1));
    let batches: std::collections::BTreeSet<u64> = world.delivered(nodes[1]).map(|(_, id, _)| id.batch).collect();
    assert_eq!((batches.len(), world.delivered(nodes[1]).count()), (1, 50));
}
