//! The node as its users see it: real nodes in one process, on loopback.

use nodewright::component::{Context, Input, Manifest, NetComponent, Role};
use nodewright::error::{CallError, Fault};
use nodewright::event::Event;
use nodewright::id::{Kind, MessageId};
use nodewright::node::{
    Client, MESSAGE_BYTES_MAX, Message, MessageType, Node, Outcome, Running, Security, SendError, SlowCallback,
    StartError, start_together,
};
use nodewright::protocol::delivery::Delivery;
use nodewright::protocol::membership::View;
use nodewright::runtime::NewLife;
use nodewright::sim::World;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
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

/// What one component says of itself under `row`.
fn row(node: &Running, component: &str, row: &str) -> String {
    let inspected = node.inspect();
    let (_, inspection) = inspected.iter().find(|(name, _)| *name == component).expect("composed");
    inspection.rows.iter().find(|(name, _)| name == row).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn lone(node: Node) -> Mesh {
    Mesh(vec![node.start().expect("starts")])
}

#[test]
fn faults_of_values_and_of_the_composition_come_together() {
    let node = Node::new("", 0, 1)
        .listen("0.0.0.0:0")
        .has_peers(["127.0.0.1:1", "nonsense", "127.0.0.1:2", "127.0.0.1:3"])
        .has_failure_detector(Duration::from_millis(100), Duration::from_millis(100))
        .has_phi_detector(8.0, Duration::from_millis(200))
        .has_uniform_reliable_delivery_all_ack()
        .window_bytes(1)
        .exclude_after(Duration::ZERO);
    let Err(StartError::Wiring(report)) = node.start() else { panic!("it must not start") };
    let text = report.to_string();
    for expected in [
        "the name is empty",
        "'nonsense' is no peer address",
        "has_peers names 3 addresses, at most 1 others are linked",
        "the timeout 100ms is shorter than two periods",
        "all provide \"failure_detector\", of which",
        "uniform.all_ack (.has_uniform_reliable_delivery_all_ack()) requires \"failure_detector.accurate\": nobody assumed",
        "mend: .has_failure_detector(timeout, period).assume_synchrony()",
        ".window_bytes(1): at least 65536 is needed",
        "exclude_after is 0ns",
        "others can reach this address, and there is no secret",
    ] {
        assert!(text.contains(expected), "'{expected}' is not said:\n{text}");
    }
}

#[test]
fn all_ack_is_composed_where_synchrony_is_assumed() {
    let build = |node: Node| node.has_uniform_reliable_delivery_all_ack();
    let timeout = Duration::from_secs(5);
    let fixed = |node: Node| node.has_failure_detector(timeout, timeout / 10);
    let phi = |node: Node| node.has_phi_detector(8.0, timeout / 10).assume_synchrony();
    let node = || Node::new("alpha", 0, 3);
    assert!(fixed(build(node())).assume_synchrony().plan().is_ok());
    assert!(fixed(build(node())).plan().is_err(), "nobody assumed synchrony");
    assert!(phi(build(node())).plan().is_err(), "phi is accurate under no assumption");
}

#[test]
fn a_port_in_use_is_named() {
    let first = lone(Node::new("alpha", 0, 1));
    let address = first.0[0].local_addr().expect("listens");
    let why = Node::new("beta", address.port(), 1).start().expect_err("the port is taken").to_string();
    assert!(why.contains(&address.to_string()) && why.contains("beta"), "{why}");
}

#[test]
fn a_panicking_callback_is_counted_and_the_next_message_arrives() {
    let (sender, receiver) = channel();
    let mut tell = texts(&sender);
    let mesh = lone(Node::new("alpha", 0, 1).on_receive_message(MessageType::ReliableDelivery, move |msg| {
        assert_ne!(msg.text(), Some("poison"), "planted");
        tell(msg);
    }));
    for body in ["poison", "bread"] {
        mesh.0[0].broadcast(Delivery::Reliable, body).expect("sent");
    }
    assert_eq!(collect(&receiver, 1), ["alpha: bread"]);
    assert_eq!(row(&mesh.0[0], "app", "callbacks panicked"), "1");
}

#[test]
fn a_slow_callback_is_reported() {
    let mesh = lone(
        Node::new("alpha", 0, 1)
            .slow_callback_after(Duration::from_millis(1))
            .on_receive_message(MessageType::ReliableDelivery, |_| std::thread::sleep(Duration::from_millis(20))),
    );
    let slow = mesh.0[0].events::<SlowCallback>();
    mesh.0[0].broadcast(Delivery::Reliable, "hold on").expect("sent");
    let event = slow.next_within(DEADLINE).expect("published");
    assert!(event.took >= Duration::from_millis(20), "{event:?}");
}

/// One of two voters, the other never there: nothing is ever delivered.
fn minority(node: Node) -> Mesh {
    lone(node.has_peers(["127.0.0.1:1"]).has_uniform_reliable_delivery().window_bytes(64 << 10))
}

#[test]
fn a_full_window_refuses_or_waits_until_the_node_stops() {
    let mesh = minority(Node::new("alpha", 0, 1));
    let node = mesh.0[0].clone();
    let first = node.try_broadcast(Delivery::Uniform, vec![7; 40 << 10]).expect("there is room");
    let full = node.try_broadcast(Delivery::Uniform, vec![7; 40 << 10]).expect_err("the window is full");
    assert!(matches!(full, SendError::WindowFull { via: Delivery::Uniform, window: 65_536, in_callback: false, .. }));
    assert!(node.outstanding_bytes(Delivery::Uniform) > 40 << 10);
    assert!(matches!(first.wait(Duration::from_millis(20)), Err(CallError::TimedOut(_))));
    let waiting = std::thread::spawn({
        let node = node.clone();
        move || node.broadcast(Delivery::Uniform, vec![7; 40 << 10])
    });
    node.stop();
    assert_eq!(waiting.join().expect("no panic").expect_err("never sent"), SendError::Stopping);
    assert!(matches!(first.wait(DEADLINE), Err(CallError::Ended(_))));
    assert_eq!(node.broadcast(Delivery::Uniform, "late").expect_err("stopped"), SendError::Stopping);
}

#[test]
fn what_cannot_be_sent_is_refused_by_name() {
    let mesh = lone(Node::new("alpha", 0, 1).has_best_effort_delivery());
    let node = &mesh.0[0];
    assert_eq!(node.broadcast(Delivery::Uniform, "x").expect_err("absent"), SendError::NotComposed(Delivery::Uniform));
    let long = node.broadcast(Delivery::BestEffort, vec![0; MESSAGE_BYTES_MAX + 1]).expect_err("too long");
    assert!(matches!(long, SendError::TooLarge { .. }));
    assert!(matches!(node.send("zulu", "x"), Err(SendError::UnknownNode(name, _)) if name == "zulu"));
    node.send("alpha", "to myself").expect("sent").wait(DEADLINE).expect("delivered");
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
fn a_callback_must_not_wait_for_what_only_it_can_bring() {
    let (sender, receiver) = channel();
    let place: Arc<OnceLock<Running>> = Arc::default();
    let inside = place.clone();
    let mesh = minority(
        Node::new("alpha", 0, 1)
            .on_event(move |_: &Nudge| {
                let node = inside.get().expect("placed before the nudge");
                let receipt = node.broadcast(Delivery::Uniform, vec![7; 60 << 10]).expect("there is room");
                let _ = sender.send((receipt.wait(DEADLINE), node.broadcast(Delivery::Uniform, vec![7; 60 << 10])));
            })
            .has_component(|| Nudger),
    );
    place.set(mesh.0[0].clone()).expect("empty");
    mesh.0[0].handle().call(Kind::of("nudger"), Box::new(()), DEADLINE).expect("nudged");
    let (waited, sent) = receiver.recv_timeout(DEADLINE).expect("the callback returns");
    assert!(matches!(waited, Err(CallError::Refused(_))), "{waited:?}");
    assert!(matches!(sent, Err(SendError::WindowFull { in_callback: true, .. })), "{sent:?}");
}

#[derive(Clone, Debug)]
struct Nudge;

impl Event for Nudge {
    const NAME: &'static str = "nudge";
}

struct Nudger;

impl NetComponent for Nudger {
    type Message = ();
    type Call = ();
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new("nudger")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if let Input::Call { reply_to, .. } = input {
            cx.publish(Nudge);
            cx.reply(reply_to, ());
        }
        Ok(())
    }
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
fn more_peers_than_allowed_are_refused_by_name() {
    let nodes = ["alpha", "beta", "gamma"].map(|name| Node::new(name, 0, 1));
    let why = start_together(nodes).expect_err("each would link two others").to_string();
    assert!(why.contains("alpha") && why.contains("2 other peers are configured but at most 1"), "{why}");

    let pair = mesh(["alpha", "beta"], |node| node); // room for two peers each
    let address = pair.0[0].local_addr().expect("listens").to_string();
    let listener = |name| lone(Node::new(name, 0, 1).joins([&address]));
    let first = listener("gamma");
    eventually("gamma is linked", || pair.0[0].peers().len() == 2);
    let second = listener("delta");
    eventually("delta is told that alpha has no more room", || {
        second.0[0].stats()["links"]["refused"]["too many peers"].as_u64() > Some(0)
    });
    assert_eq!(first.0[0].peers().len(), 1);
}

#[test]
fn two_nodes_with_one_name_refuse_each_other() {
    let mesh = mesh(["twin", "twin"], |node| node);
    eventually("the clash is noticed", || {
        mesh.0.iter().any(|node| node.stats()["links"]["refused"]["name clash"].as_u64() > Some(0))
    });
    assert!(mesh.0.iter().all(|node| node.peers().is_empty()));
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
