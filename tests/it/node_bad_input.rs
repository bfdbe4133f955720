//! The node under bad input: everything is said by name, nothing hangs.

use crate::node_api::{DEADLINE, collect, eventually, lone, mesh, minority, row, texts};
use nodewright::component::{Context, Input, Inspection, Manifest, NetComponent, Target};
use nodewright::error::{CallError, Fault};
use nodewright::event::Event;
use nodewright::id::Kind;
use nodewright::node::{
    MESSAGE_BYTES_MAX, MessageType, Node, Running, SendError, SlowCallback, StartError, start_together,
};
use nodewright::protocol::delivery::Delivery;
use std::convert::Infallible;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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
fn a_missing_secret_and_a_mute_key_are_named() {
    let absent = Node::new("alpha", 0, 1).secret_file("/nowhere/cluster.secret").key_file("/nowhere/node.key");
    let text = absent.start().expect_err("no such files").to_string();
    for expected in ["/nowhere/cluster.secret", "/nowhere/node.key", "`nodewright keygen` makes a secret"] {
        assert!(text.contains(expected), "'{expected}' is not said:\n{text}");
    }
    let mute = Node::new("alpha", 0, 1).key_file("node.key").allow_keys(["nwp1-short"]).plan();
    let text = mute.expect_err("no secret").to_string();
    for expected in ["keys mean nothing without a secret", "nwp1-short"] {
        assert!(text.contains(expected), "'{expected}' is not said:\n{text}");
    }
}

/// Broadcasts much more than any window on a channel that only this node has.
#[derive(Default)]
struct Talker {
    asked: u64,
    released: u64,
}

const TALK_BYTES: u64 = 24 << 20;

impl Talker {
    fn talk(&mut self, cx: &mut Context<'_, Self>) {
        // what is released counts heads too
        while self.asked < TALK_BYTES && self.asked.saturating_sub(self.released) < 1 << 20 {
            cx.request(Delivery::Reliable.kind(), Target::All, |out| out.resize(out.len() + (64 << 10), 7));
            self.asked += 64 << 10;
        }
    }
}

impl NetComponent for Talker {
    type Message = ();
    type Call = Infallible;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest { requires: vec![Delivery::Reliable.capability()], ..Manifest::new("talker") }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => self.talk(cx),
            Input::Progress(progress) => {
                self.released = progress.released_bytes;
                self.talk(cx);
            }
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("released", self.released);
    }
}

/// What is delivered on a channel that no component here has counts as
/// handled: it once filled the backlog of unhandled bytes for good, and the
/// node stopped acknowledging.
#[test]
fn a_channel_that_a_node_lacks_does_not_stop_its_acknowledgements() {
    let nodes = start_together(vec![
        Node::new("alpha", 0, 1).has_reliable_delivery().has_component(Talker::default),
        Node::new("beta", 0, 1).has_reliable_delivery(),
    ]);
    let nodes = nodes.expect("the nodes start");
    eventually("all is released", || row(&nodes[0], "talker", "released").parse().is_ok_and(|n: u64| n >= TALK_BYTES));
    nodes.iter().for_each(Running::stop);
}

#[test]
fn what_the_target_does_not_have_is_refused_by_name() {
    let nodes = start_together(vec![
        Node::new("alpha", 0, 1).has_best_effort_delivery(),
        Node::new("beta", 0, 1).has_reliable_delivery(),
    ]);
    let nodes = nodes.expect("the nodes start");
    eventually("linked", || nodes[0].peers().iter().any(|peer| peer.alive));
    let refused = nodes[0].send("beta", "hello").expect_err("beta has no best-effort delivery");
    assert_eq!(refused, SendError::NotProvided { node: "beta".into(), via: Delivery::BestEffort });
    nodes.iter().for_each(Running::stop);
}
