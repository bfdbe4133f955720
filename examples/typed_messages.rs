//! Messages with a type, requests with an answer, and a service for clients.
//!
//! `cargo run --example typed_messages`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::node::{Client, Message, Node, Security, start_together};
use nodewright::protocol::delivery::Delivery;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Chat {
    line: String,
}
impl Message for Chat {
    const KIND: &'static str = "chat";
}

#[derive(Serialize, Deserialize)]
struct Square(i64);
impl Message for Square {
    const KIND: &'static str = "square";
}

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let nodes = ["alpha", "beta"].map(|name| {
        let tell = tell.clone();
        Node::new(name, 0, 1)
            .on::<Chat>(Delivery::Uniform.causal(), move |chat| {
                println!("{name} reads \"{}\" of {}", chat.line, chat.incoming.origin_name);
                let _ = tell.send(());
            })
            .on_request::<Square, Square>(|asked| {
                asked.0.checked_mul(asked.0).map(Square).ok_or_else(|| "too large to square".to_string())
            })
            .on_service("shout", |_, text| Ok(text.to_ascii_uppercase()))
    });
    let mesh = start_together(nodes)?;

    mesh[0].broadcast_typed(Delivery::Uniform.causal(), &Chat { line: "typed, and causes first".into() })?;
    told.recv_timeout(WITHIN)?;
    told.recv_timeout(WITHIN)?; // delivered by both: they are linked
    let Square(answer) = mesh[0].request("beta", &Square(12), WITHIN)?;
    let refusal = mesh[0].request::<_, Square>("beta", &Square(i64::MAX), WITHIN).err().ok_or("not refused")?;
    println!("12 squared is {answer}; {refusal}");

    let addresses = mesh.iter().filter_map(|node| node.local_addr()).map(|address| address.to_string());
    let mut client = Client::connect(addresses, Security::LoopbackOnly)?;
    let shouted = client.send_data(b"a client is no member", "shout")?;
    println!("{}", String::from_utf8_lossy(&shouted));

    mesh.iter().for_each(|node| node.stop());
    if answer == 144 { Ok(()) } else { Err("12 squared is 144".into()) }
}
