//! Nodes in one process, linked over loopback.

use super::*;
use crate::component::{Lane, PeerChange, To};
use crate::id::Life;
use crate::transport::{self, Cut, PeerAddr};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a talker received, by the sender's life, in order.
type Received = Arc<Mutex<BTreeMap<Life, Vec<u64>>>>;

/// A call with n sends n to all; what arrives is kept. 13 is a planted panic,
/// 99 ends the lives of all peers.
fn talker(received: Received) -> Stack {
    let manifest = Manifest { role: Role::Protocol, run: Run::InPlace, ..named("talker") };
    let talker = little(manifest, move || {
        let received = received.clone();
        let mut linked: Vec<Life> = Vec::new();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call: 0, reply_to } => cx.reply(reply_to, linked.len() as u64),
                Input::Call { call: 99, .. } => linked.iter().for_each(|life| cx.end_life(*life)),
                Input::Call { call, reply_to } => {
                    assert_ne!(call, 13, "a planted panic");
                    cx.send(To::All, Lane::Data, &call);
                    cx.reply(reply_to, linked.len() as u64);
                }
                Input::Message { from, head, .. } => {
                    received.lock().expect("not poisoned").entry(from).or_default().push(head);
                }
                Input::Peer(PeerChange::Joined { life, .. }) => linked.push(*life),
                Input::Peer(PeerChange::Ended { life, .. }) => linked.retain(|linked| linked != life),
                _ => {}
            }
            Ok(())
        }
    });
    Stack { factories: vec![talker] }
}

pub(super) fn mesh_of(names: &[&str], mut stack: impl FnMut(&str) -> Stack) -> Vec<Handle> {
    let mut prepared: Vec<Prepared> = names
        .iter()
        .map(|name| {
            let mut options = Options::new(name);
            let me = Life::new(options.id, 1);
            options.links = Some(transport::Config::new(me, name, ([127, 0, 0, 1], 0).into()));
            Prepared::new(stack(name), options).expect("a free port")
        })
        .collect();
    let addresses: Vec<PeerAddr> =
        prepared.iter().map(|prepared| prepared.local_addr().expect("it listens").into()).collect();
    for prepared in &mut prepared {
        prepared.set_peers(addresses.clone()).expect("few peers");
    }
    prepared.into_iter().map(|prepared| prepared.start().expect("starts")).collect()
}

#[test]
fn messages_arrive_in_order_whatever_connections_are_cut() {
    const MESSAGES: u64 = 2_000;
    let received = [Received::default(), Received::default()];
    let mut each = received.iter().cloned();
    let nodes = mesh_of(&["left", "right"], |_| talker(each.next().expect("two nodes")));
    let mut cut = 0;
    for n in 1..=MESSAGES {
        for node in &nodes {
            ask(node, "talker", 100 + n).expect("answered");
        }
        if n % 250 == 0 {
            cut += nodes[0].links().expect("linked").cut(Cut::All);
        }
    }
    let all: Vec<u64> = (1..=MESSAGES).map(|n| 100 + n).collect();
    for (node, received) in [(&nodes[1], &received[0]), (&nodes[0], &received[1])] {
        let from = node.life();
        let len = || received.lock().expect("not poisoned").get(&from).map_or(0, Vec::len);
        until("all messages", || len() >= all.len());
        assert_eq!(received.lock().expect("not poisoned")[&from], all);
    }
    assert!(cut > 0, "no connection was cut");
    for node in nodes {
        node.stop();
        assert_eq!(node.join(), Ok(()));
    }
}

#[test]
fn a_node_that_falls_goes_on_as_a_new_life_on_its_port() {
    let received = [Received::default(), Received::default()];
    let mut each = received.iter().cloned();
    let nodes = mesh_of(&["faller", "witness"], |_| talker(each.next().expect("two nodes")));
    let (faller, witness) = (&nodes[0], &nodes[1]);
    until("a link", || ask(faller, "talker", 0) == Ok(1) && ask(witness, "talker", 0) == Ok(1));
    let (old, address) = (faller.life(), faller.local_addr());
    assert!(ask(faller, "talker", 13).is_err());
    until("a new life", || faller.counters().lives == 2);
    assert!(faller.life() > old);
    ask(faller, "talker", 7).expect("answered");
    let new = faller.life();
    until("word of the new life", || received[1].lock().expect("not poisoned").get(&new) == Some(&vec![7]));
    assert_eq!(faller.local_addr(), address);
    until("one link on each side", || ask(faller, "talker", 0) == Ok(1) && ask(witness, "talker", 0) == Ok(1));
    for node in nodes {
        node.stop();
    }
}

#[test]
fn a_life_that_a_peer_ended_goes_on_as_a_new_one() {
    let received = [Received::default(), Received::default()];
    let mut each = received.iter().cloned();
    let nodes = mesh_of(&["outcast", "judge"], |_| talker(each.next().expect("two nodes")));
    let (outcast, judge) = (&nodes[0], &nodes[1]);
    until("a link", || ask(outcast, "talker", 0) == Ok(1) && ask(judge, "talker", 0) == Ok(1));
    let old = outcast.life();
    judge.call_later(Kind::of("talker"), Box::new(99u64), DEADLINE);
    until("a new life", || outcast.life() > old);
    ask(outcast, "talker", 7).expect("answered");
    let new = outcast.life();
    until("word of the new life", || received[1].lock().expect("not poisoned").get(&new) == Some(&vec![7]));
    nodes.iter().for_each(Handle::stop);
}
