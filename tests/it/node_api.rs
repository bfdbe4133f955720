//! The node as its users see it: real nodes in one process, on loopback.

use nodewright::node::{MessageType, Node, Outcome, Running, start_together};
use nodewright::protocol::delivery::Delivery;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

/// Stops the nodes however the test ends.
struct Mesh(Vec<Running>);

impl Drop for Mesh {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            for node in &self.0 {
                scope.spawn(|| node.stop());
            }
        });
    }
}

fn mesh<const N: usize>(names: [&str; N], build: impl Fn(Node) -> Node) -> Mesh {
    Mesh(start_together(names.map(|name| build(Node::new(name, 0, N)))).expect("the nodes start"))
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn texts(sender: &Sender<String>) -> impl FnMut(&nodewright::node::Incoming<'_>) + Send + 'static {
    let sender = sender.clone();
    move |msg| drop(sender.send(msg.to_string()))
}

fn collect(receiver: &Receiver<String>, count: usize) -> Vec<String> {
    let mut all: Vec<_> = (0..count).map(|_| receiver.recv_timeout(DEADLINE).expect("delivered in time")).collect();
    all.sort();
    all
}

#[test]
fn three_nodes_deliver_uniformly_and_receipts_say_so() {
    let (sender, receiver) = channel();
    let mesh = mesh(["alpha", "beta", "gamma"], |node| {
        node.on_receive_message(MessageType::UniformReliableDelivery, texts(&sender))
    });
    let receipt = mesh.0[0].broadcast(Delivery::Uniform, "hello").expect("sent");
    assert!(receipt.wait(DEADLINE).expect("delivered") >= Outcome::Delivered);
    assert_eq!(receipt.wait_stable(DEADLINE), Ok(Outcome::Stable));
    assert_eq!(collect(&receiver, 3), ["alpha: hello"; 3]);
    let plan = mesh.0[0].plan().to_string();
    assert!(plan.contains("added because app requires \"delivery.uniform\""), "{plan}");
}
