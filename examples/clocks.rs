//! Lamport and vector time on every delivery: what happened before what.
//!
//! `cargo run --example clocks`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::node::{MessageType, Node, start_together};
use nodewright::protocol::clock::VectorClock;
use nodewright::protocol::delivery::Delivery;
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let nodes = ["alpha", "beta"].map(|name| {
        let tell = tell.clone();
        Node::new(name, 0, 1)
            .has_lamport_clock()
            .has_vector_clock()
            .has_delivery(Delivery::Reliable.causal())
            .on_receive_message(MessageType::ReliableDelivery, move |msg| {
                let vector: VectorClock = msg.vector().unwrap_or_default().iter().copied().collect();
                let _ = tell.send((name, msg.to_string(), msg.lamport(), vector));
            })
    });
    let mesh = start_together(nodes)?;
    let delivered_by = |wanted: &str| loop {
        let (name, text, lamport, vector) = told.recv_timeout(WITHIN)?;
        println!("{name} delivers \"{text}\" of Lamport time {lamport:?}, vector time {vector:?}");
        if name == wanted {
            return Ok::<_, Box<dyn Error>>((lamport, vector));
        }
    };

    mesh[0].broadcast(Delivery::ReliableCausal, "the cause")?;
    let (cause_lamport, cause_vector) = delivered_by("beta")?;
    mesh[1].broadcast(Delivery::ReliableCausal, "the effect")?;
    let (effect_lamport, effect_vector) = delivered_by("alpha").and_then(|first| match first.0 > cause_lamport {
        true => Ok(first),
        false => delivered_by("alpha"), // the cause, delivered by its own sender
    })?;

    println!("alpha's clocks now: {:?}, {:?}", mesh[0].lamport(), mesh[0].vector());
    mesh.iter().for_each(|node| node.stop());
    let ordered = cause_lamport < effect_lamport && cause_vector < effect_vector;
    if ordered { Ok(()) } else { Err("the cause must come before its effect on both clocks".into()) }
}
