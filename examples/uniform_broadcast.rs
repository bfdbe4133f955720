//! What one node delivers, every node that stays up delivers: receipts say when
//! that is so, and when nobody lacks the message any more.
//!
//! `cargo run --example uniform_broadcast`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::node::{MessageType, Node, Outcome, start_together};
use nodewright::protocol::delivery::Delivery;
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let nodes = ["alpha", "beta", "gamma"].map(|name| {
        let tell = tell.clone();
        Node::new(name, 0, 2).has_uniform_reliable_delivery().on_receive_message(
            MessageType::UniformReliableDelivery,
            move |msg| {
                let _ = tell.send((name, msg.to_string(), msg.id));
            },
        )
    });
    println!("{}\n", nodes[0].plan()?);
    let mesh = start_together(nodes)?;

    let receipt = mesh[0].broadcast(Delivery::Uniform, "to all or to none")?;
    println!("delivered by a majority: {:?}", receipt.wait(WITHIN)?);
    for _ in 0..3 {
        let (name, message, id) = told.recv_timeout(WITHIN)?;
        println!("{name} delivers {message}");
        if let (Some(id), "alpha") = (id, name) {
            println!("explained: {}", mesh[0].explain(id));
        }
    }
    let stable = receipt.wait_stable(WITHIN)?;
    println!("held by everyone: {stable:?}");

    mesh.iter().for_each(|node| node.stop());
    if stable == Outcome::Stable { Ok(()) } else { Err("not stable".into()) }
}
