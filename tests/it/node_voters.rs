//! The voters of a delivery change as entries of the replicated log, on threads, TCP and
//! files: a node that nobody's list has joins, broadcasts and delivers, and another goes.

use crate::node_log::Directories;
use nodewright::node::{MessageType, Node, Running, start_together};
use nodewright::protocol::delivery::Delivery;
use nodewright::protocol::membership::View;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const VIA: Delivery = Delivery::UniformCausal;

type Heard = Arc<Mutex<Vec<String>>>;

fn member(name: &str, dirs: &Directories, heard: &Heard) -> Node {
    let heard = heard.clone();
    Node::new(name, 0, 5).has_replicated_log(dirs.path().join(name)).has_delivery(VIA).on_receive_message(
        MessageType::UniformReliableDelivery,
        move |msg| {
            heard.lock().expect("no callback panics").push(msg.text().unwrap_or_default().to_string());
        },
    )
}

#[track_caller]
fn wait_for(nodes: &[&Running], what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        let told = || nodes.iter().map(|node| format!("{:?}", node.inspect())).collect::<Vec<_>>();
        assert!(Instant::now() < end, "{what}: {:#?}", told());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn row(node: &Running, row: &str) -> String {
    let rows = node.inspect().into_iter().filter(|(name, _)| *name == VIA.name());
    rows.flat_map(|(_, rows)| rows.rows).find(|(name, _)| *name == row).map(|(_, value)| value).unwrap_or_default()
}

fn joined_by(nodes: &[&Running], voters: usize) {
    let seen = format!("{voters} of {voters}");
    wait_for(nodes, "joined by the list", || {
        nodes.iter().all(|node| row(node, "joined") == "yes" && row(node, "voters seen") == seen)
    });
}

fn hears(heard: &Heard, body: &str) -> bool {
    heard.lock().expect("no callback panics").iter().any(|it| it == body)
}

#[test]
fn a_node_that_joins_the_log_votes_in_deliveries_and_one_that_is_removed_does_not() {
    let dirs = Directories::new();
    let heard: Vec<Heard> = (0..4).map(|_| Heard::default()).collect();
    let names = ["alpha", "beta", "gamma"];
    let first = names.iter().zip(&heard).map(|(name, heard)| member(name, &dirs, heard));
    let nodes = start_together(first).expect("they start");
    nodes[0].broadcast(VIA, "of three").expect("composed").wait(DEADLINE).expect("delivered");

    let sponsor = nodes[0].local_addr().expect("it listens").to_string();
    let delta = member("delta", &dirs, &heard[3]).joins([sponsor.as_str()]).start().expect("it starts");
    let all: Vec<&Running> = nodes.iter().chain([&delta]).collect();
    joined_by(&all, 4);
    let view = delta.events::<View>().next_within(DEADLINE).expect("retained");
    assert_eq!(view.configured, 4, "{view:?}");
    delta.broadcast(VIA, "of the fourth").expect("composed").wait(DEADLINE).expect("delivered");
    nodes[1].broadcast(VIA, "to the fourth").expect("composed").wait(DEADLINE).expect("delivered");
    for body in ["of the fourth", "to the fourth"] {
        wait_for(&all, body, || heard.iter().all(|heard| hears(heard, body)));
    }

    nodes[1].log_remove(nodes[2].life().node, DEADLINE).expect("removed");
    joined_by(&[&nodes[0], &nodes[1], &delta], 3);
    nodes[0].broadcast(VIA, "without gamma").expect("composed").wait(DEADLINE).expect("delivered");
    for at in [0, 1, 3] {
        wait_for(&all, "without gamma", || hears(&heard[at], "without gamma"));
    }
    wait_for(&all, "gamma knows", || row(&nodes[2], "joined").ends_with("does not vote"));
    let refused = nodes[2].broadcast(VIA, "of gamma").map(|receipt| receipt.wait(DEADLINE));
    assert!(matches!(refused, Ok(Err(_))), "{refused:?}");
    assert!(!hears(&heard[2], "without gamma"));
    all.iter().for_each(|node| node.stop());
}
