//! The node as its users see it: real nodes in one process, on loopback.

use nodewright::component::{Context, Input, Manifest, NetComponent, Role};
use nodewright::error::{CallError, Fault};
use nodewright::id::{Kind, MessageId};
use nodewright::node::{Client, Incoming, Message, MessageType, Node, Outcome, Running, Security, start_together};
use nodewright::protocol::delivery::Delivery;
use nodewright::protocol::membership::View;
use nodewright::runtime::NewLife;
use nodewright::sim::World;
use nodewright::transport::keys::{ClusterSecret, KeyPair};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Stops the nodes however the test ends.
pub(crate) struct Mesh(pub(crate) Vec<Running>);

impl Drop for Mesh {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            for node in &self.0 {
                scope.spawn(|| node.stop());
            }
        });
    }
}

pub(crate) fn mesh<const N: usize>(names: [&str; N], build: impl Fn(Node) -> Node) -> Mesh {
    Mesh(start_together(names.map(|name| build(Node::new(name, 0, N)))).expect("the nodes start"))
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn texts(sender: &Sender<String>) -> impl FnMut(&Incoming<'_>) + Send + 'static {
    let sender = sender.clone();
    move |msg| drop(sender.send(msg.to_string()))
}

pub(crate) fn collect(receiver: &Receiver<String>, count: usize) -> Vec<String> {
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

/// What one component says of itself under `row`.
pub(crate) fn row(node: &Running, component: &str, row: &str) -> String {
    let inspected = node.inspect();
    let (_, inspection) = inspected.iter().find(|(name, _)| *name == component).expect("composed");
    inspection.rows.iter().find(|(name, _)| name == row).map(|(_, value)| value.clone()).unwrap_or_default()
}

pub(crate) fn lone(node: Node) -> Mesh {
    Mesh(vec![node.start().expect("starts")])
}

/// One of two voters, the other never there: nothing is ever delivered.
pub(crate) fn minority(node: Node) -> Mesh {
    lone(node.has_peers(["127.0.0.1:1"]).has_uniform_reliable_delivery().window_bytes(64 << 10))
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Number(u64);

impl Message for Number {
    const KIND: &'static str = "number";
}

#[derive(Serialize, Deserialize)]
struct Stranger;

impl Message for Stranger {
    const KIND: &'static str = "stranger";
}

#[test]
fn typed_messages_find_their_callbacks_and_strangers_are_counted() {
    let (sender, receiver) = channel();
    let mesh = mesh(["alpha", "beta"], |node| {
        let sender = sender.clone();
        node.on::<Number>(Delivery::Uniform.causal(), move |number| {
            let _ = sender.send(format!("{}: {}", number.incoming.origin_name, number.0));
        })
    });
    let delivery = Delivery::UniformCausal;
    mesh.0[1].broadcast_typed(delivery, &Stranger).expect("sent");
    mesh.0[1].broadcast(delivery, "bytes are for nobody").expect("sent");
    mesh.0[1].broadcast_typed(delivery, &Number(42)).expect("sent");
    assert_eq!(collect(&receiver, 2), ["beta: 42"; 2]);
    assert_eq!(row(&mesh.0[0], "app", "messages of unknown kind or version"), "1");
}

#[test]
fn requests_services_and_clients() {
    let mesh = mesh(["alpha", "beta"], |node| {
        node.on_request::<Number, Number>(|asked| match asked.0 {
            0 => Err("nothing comes of nothing".into()),
            13 => panic!("planted"),
            n => Ok(Number(n + 1)),
        })
        .on_service("reverse", |params, bytes| {
            let mut bytes = bytes.to_vec();
            bytes.reverse();
            bytes.extend(params.iter().flat_map(|(key, value)| format!(" {key}={value}").into_bytes()));
            Ok(bytes)
        })
    });
    let [alpha, beta] = mesh.0.as_slice() else { panic!("two nodes") };
    eventually("alpha and beta are linked", || alpha.peers().len() == 1 && beta.peers().len() == 1);
    assert_eq!(alpha.request::<_, Number>("beta", &Number(41), DEADLINE), Ok(Number(42)));
    assert_eq!(alpha.request::<_, Number>("alpha", &Number(1), DEADLINE), Ok(Number(2)), "this node itself");
    let refused = alpha.request::<_, Number>("beta", &Number(0), DEADLINE);
    assert!(
        matches!(&refused, Err(CallError::Refused(why)) if why.contains("nothing comes of nothing")),
        "{refused:?}"
    );
    let failed = alpha.request::<_, Number>("beta", &Number(13), DEADLINE);
    assert!(matches!(failed, Err(CallError::Failed(_))), "{failed:?}");
    let reversed = alpha.call_service("beta", "reverse", vec![("a".into(), "1".into())], b"olleh", DEADLINE);
    assert_eq!(reversed.as_deref(), Ok(&b"hello a=1"[..]));

    let address = |node: &Running| node.local_addr().expect("listens").to_string();
    let mut client = Client::connect([address(alpha), address(beta)], Security::LoopbackOnly).expect("links");
    assert_eq!(client.send_data(b"abc", "reverse").as_deref(), Ok(&b"cba"[..]));
    assert!(matches!(client.send_data(b"abc", "nowhere"), Err(CallError::Refused(_))), "known to be not done");
    let stats = client.collect_stats().expect("both answer");
    assert_eq!(stats["beta"]["peers"][0]["name"], "alpha", "{stats}");
    assert!(stats["alpha"]["components"]["request"].is_object(), "{stats}");
    alpha.stop();
    eventually("the client has gone over to beta", || client.send_data(b"ab", "reverse").as_deref() == Ok(b"ba"));
    assert_eq!(client.node_name(), Some("beta"));
}

#[test]
fn a_publisher_joins_messages_to_batches() {
    let (sender, receiver) = channel();
    let mesh = mesh(["alpha", "beta"], |node| {
        let sender = sender.clone();
        node.on_receive_message(MessageType::BestEffortDelivery, move |msg| {
            let number = msg.body.try_into().map_or(u64::MAX, u64::from_le_bytes);
            if msg.origin != msg.me {
                let _ = sender.send(number);
            }
        })
    });
    let count = 50_000u64;
    let mut publisher = mesh.0[0].publisher(Delivery::BestEffort).expect("composed");
    for number in 0..count {
        publisher.push(&number.to_le_bytes()).expect("sent");
    }
    let receipt = publisher.flush().expect("sent").expect("the last batch is not empty");
    assert!(publisher.flush().expect("nothing to send").is_none());
    receipt.wait(DEADLINE).expect("delivered");
    for number in 0..count {
        assert_eq!(receiver.recv_timeout(DEADLINE), Ok(number));
    }
}

/// Falls when it is called: the node goes on as a new life.
struct Fragile;

impl NetComponent for Fragile {
    type Message = ();
    type Call = ();
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest { role: Role::Protocol, ..Manifest::new("fragile") }
    }

    fn handle(&mut self, input: Input<'_, Self>, _: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { .. } => Err(Fault::Broken("asked to".into())),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_new_life_ends_what_was_outstanding_and_goes_on() {
    let (sender, receiver) = channel();
    let mesh = minority(Node::new("alpha", 0, 1).has_component(|| Fragile).on_event(move |life: &NewLife| {
        let _ = sender.send(life.new);
    }));
    let node = &mesh.0[0];
    let old = receiver.recv_timeout(DEADLINE).expect("the first life is told");
    let outstanding = node.broadcast(Delivery::Uniform, vec![7; 40 << 10]).expect("sent");
    let answer = node.handle().call(Kind::of("fragile"), Box::new(()), DEADLINE);
    assert!(matches!(answer, Err(CallError::Ended(_))), "{answer:?}");
    assert!(matches!(outstanding.wait(DEADLINE), Err(CallError::Ended(_))));
    let new = receiver.recv_timeout(DEADLINE).expect("the second life is told by the same callback");
    assert!(new > old);
    eventually("the windows are empty again", || node.try_broadcast(Delivery::Uniform, vec![7; 60 << 10]).is_ok());
    assert_eq!(node.life(), new);
}

#[test]
fn the_same_calls_drive_the_simulator() {
    let (sender, receiver) = channel();
    let mut world = World::new(11);
    let nodes = ["alpha", "beta", "gamma"].map(|name| {
        let node = Node::new(name, 0, 2).on_receive_message(MessageType::UniformReliableDelivery, texts(&sender));
        world.add_node(name, node.into_stack().expect("composes"))
    });
    world.run_for(Duration::from_secs(2));
    assert!(world.broadcast(nodes[0], Delivery::Uniform.kind(), "virtual"));
    world.run_for(Duration::from_secs(5));
    let mut heard: Vec<String> = receiver.try_iter().collect();
    heard.sort();
    assert_eq!(heard, ["alpha: virtual"; 3]);
    assert!(nodes.iter().all(|node| world.delivered(*node).count() == 1), "the world's own record agrees");
}

#[test]
fn what_was_never_seen_is_said_so_and_events_are_retained() {
    let mesh = mesh(["alpha", "beta"], |node| node.has_uniform_reliable_delivery());
    let node = &mesh.0[0];
    let views = node.events::<View>();
    let full = std::iter::from_fn(|| views.next_within(DEADLINE)).find(|view| view.voters.len() == 2);
    assert!(full.is_some(), "beta is linked");
    assert_eq!(node.events::<View>().next_within(DEADLINE), full, "a late subscriber gets the last one");
    let never = MessageId { origin: node.life(), delivery: Delivery::Uniform.kind(), batch: 999, index: 0 };
    let said = node.explain(never);
    assert!(said.contains("never seen"), "{said}");
}

#[test]
fn news_of_nodes_comes_with_the_detector_that_it_needs() {
    let (sender, receiver) = channel();
    let mesh = mesh(["alpha", "beta"], |node| {
        let node = node.has_failure_detector(Duration::from_millis(300), Duration::from_millis(50));
        [MessageType::JoinedNode, MessageType::EndedNode]
            .into_iter()
            .fold(node, |node, news| node.on_receive_message(news, texts(&sender)))
    });
    assert_eq!(collect(&receiver, 2), ["alpha: joined", "beta: joined"]);
    mesh.0[1].stop();
    assert_eq!(collect(&receiver, 1), ["beta: left"]);
    let plan = Node::new("alpha", 0, 1).on_receive_message(MessageType::FailedNode, |_| ()).plan().expect("composes");
    assert!(plan.component("failure_detector").is_some(), "{plan}");
}

#[test]
fn sealed_nodes_link_by_the_secret_and_by_listed_keys() {
    let secret = ClusterSecret::generate().expect("random");
    let dir = std::env::temp_dir().join(format!("nodewright-sealed-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    let keys = ["alpha", "beta"].map(|name| {
        let keys = KeyPair::generate().expect("random");
        keys.create(&dir.join(format!("{name}.key"))).expect("a new file");
        keys.public().to_string()
    });
    let (sender, receiver) = channel();
    let nodes = ["alpha", "beta"].map(|name| {
        Node::new(name, 0, 1)
            .secret(secret.clone())
            .key_file(dir.join(format!("{name}.key")))
            .allow_keys(&keys)
            .on_receive_message(MessageType::ReliableDelivery, texts(&sender))
    });
    let mesh = Mesh(start_together(nodes).expect("the nodes start"));
    mesh.0[0].broadcast(Delivery::Reliable, "sealed").expect("sent");
    assert_eq!(collect(&receiver, 2), ["alpha: sealed"; 2]);
    assert!(mesh.0[0].plan().to_string().contains("sealed by Noise"));
    let address = mesh.0[0].local_addr().expect("listens").to_string();
    assert!(Client::connect([address], Security::LoopbackOnly).is_err(), "a client without the secret is refused");
    std::fs::remove_dir_all(&dir).expect("ours");
}
