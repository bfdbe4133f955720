//! The same component in the simulated world.

use super::courier::{Courier, Order, Receipt, WINDOW};
use bytes::Bytes;
use nodewright::component::{Factory, NetComponent, Stack};
use nodewright::error::CallError;
use nodewright::sim::{NodeIndex, Ticket, World};
use std::time::Duration;

const BYTES: u64 = 2 * WINDOW + 12_345;

/// Two nodes, of which the first ships a file to the second.
fn shipping(seed: u64) -> (World, [NodeIndex; 2], Ticket) {
    let mut world = World::new(seed);
    let stack = || Stack { factories: vec![Factory::new(Courier::default)] };
    let nodes = ["alpha", "beta"].map(|name| world.add_node(name, stack()));
    world.run_for(Duration::from_secs(1));
    let kind = Courier::default().manifest().kind();
    let content: Vec<u8> = (0..BYTES).map(super::byte_at).collect();
    let keep = Order::Keep { file: "film".into(), content: Bytes::from(content) };
    world.call(nodes[0], kind, Box::new(keep), Duration::from_secs(1));
    world.run_for(Duration::from_millis(100));
    let ship = Order::Ship { file: "film".into(), to: world.life(nodes[1]) };
    let ticket = world.call(nodes[0], kind, Box::new(ship), Duration::from_secs(30));
    (world, nodes, ticket)
}

#[test]
fn a_file_crosses_the_world_whole() {
    let (mut world, _, ticket) = shipping(1);
    world.run_for(Duration::from_secs(20));
    let receipt = world.answer::<Result<Receipt, CallError>>(ticket).expect("answered").expect("no deadline passed");
    assert_eq!(receipt, Ok(Receipt { name: "film".into(), bytes: BYTES, crc: super::expected(BYTES) }));
}

#[test]
fn a_receiver_that_crashes_leaves_the_outcome_unknown() {
    let (mut world, nodes, ticket) = shipping(2);
    world.run_for(Duration::from_millis(1));
    world.crash(nodes[1]);
    world.restart(nodes[1], true);
    world.run_for(Duration::from_secs(20));
    let answer = world.answer::<Result<Receipt, CallError>>(ticket).expect("answered").expect("no deadline passed");
    let failure = answer.expect_err("the receiver was gone").to_string();
    assert!(failure.contains("outcome unknown"), "{failure}");
}
