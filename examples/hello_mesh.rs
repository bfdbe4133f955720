//! Four nodes find one another, greet by best effort, and one leaves.
//!
//! `cargo run --example hello_mesh`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::node::{MessageType, Node, Whom, start_together};
use nodewright::protocol::delivery::Delivery;
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let nodes = NAMES.map(|name| {
        let (joined, greeted, ended) = (tell.clone(), tell.clone(), tell.clone());
        Node::new(name, 0, 3) // port 0: the system chooses
            .has_best_effort_delivery()
            .on_receive_message(MessageType::JoinedNode, move |_| {
                let _ = joined.send("joined");
            })
            .on_receive_message(MessageType::BestEffortDelivery, move |msg| {
                println!("{name} hears {msg}");
                let _ = greeted.send("greeted");
            })
            .on_receive_message(MessageType::EndedNode, move |msg| {
                println!("{name} sees that {msg}");
                let _ = ended.send("ended");
            })
    });
    let mesh = start_together(nodes)?;
    let wait_for = |what, mut count| -> Result<(), Box<dyn Error>> {
        while count > 0 {
            count -= u32::from(told.recv_timeout(WITHIN)? == what);
        }
        Ok(())
    };

    wait_for("joined", 4 * 3)?;
    mesh[0].broadcast(Delivery::BestEffort, "good morning, everyone")?;
    mesh[1].send(Whom::Name("gamma"), "a word for you alone")?;
    wait_for("greeted", 4 + 1)?;

    mesh[3].stop();
    wait_for("ended", 3)?;
    for node in &mesh[..3] {
        node.stop();
    }
    println!("{} greeted one another, and delta's leave was noticed", NAMES.join(", "));
    Ok(())
}
