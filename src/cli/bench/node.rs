//! Ours, seen from inside: a node over secured links whose callback counts the
//! messages one by one.

use super::child::{Flood, Tally, pin, sequence, serve};
use super::plain_ping::measure;
use crate::id::NodeId;
use crate::node::{Incoming, Message, MessageType, Node, Running};
use crate::protocol::delivery::{Delivery, Guarantee};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How long anything of a run may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Recording is to go on for the whole run.
const TRACE_BYTES_MAX: u64 = 4 << 30;
/// Messages appended between two looks at the switch.
const BURST: usize = 1024;

/// One of the nodes of a run.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which of `ports` is this one's
    #[arg(long)]
    index: usize,
    /// Ports of all nodes
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// The file with the cluster secret
    #[arg(long)]
    secret: PathBuf,
    /// The delivery that carries the messages
    #[arg(long)]
    delivery: Delivery,
    /// Bytes of a message
    #[arg(long)]
    size: usize,
    /// Sends to the first node only, in place of all
    #[arg(long)]
    to_first: bool,
    /// Stays on one core
    #[arg(long)]
    pinned: bool,
    /// Records all that happens into this directory
    #[arg(long)]
    trace: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Ask(Vec<u8>);

impl Message for Ask {
    const KIND: &'static str = "bench.ask";
}

/// Runs the node: `start` and `stop` flood, `mark` tells what was delivered,
/// `go MS` makes round trips of one broadcast, `ask MS` of one request.
pub(super) fn run(args: &Args) -> io::Result<()> {
    if args.pinned {
        pin()?;
    }
    let tally = Arc::new(Tally::new());
    let (joined, joins) = mpsc::channel();
    let counted = tally.clone();
    let node = Node::new(name(args.index), args.ports[args.index], args.ports.len());
    // the log is kept beside the secret
    let node = match args.delivery {
        Delivery::Total => node.has_replicated_log(args.secret.with_file_name(name(args.index))),
        delivery => node.has_delivery(delivery),
    };
    let node = node
        .secret_file(&args.secret)
        .has_peers(args.ports.iter().map(|port| format!("127.0.0.1:{port}")))
        .on_receive_message(message_type(args.delivery), move |message: &Incoming<'_>| {
            counted.add(1, sequence(message.body));
        })
        .on_receive_message(MessageType::JoinedNode, move |_| {
            let _ = joined.send(());
        })
        .on_short_request(|ask: crate::node::Asked<Ask>| Ok(Ask(ask.value.0)));
    let node = match &args.trace {
        Some(dir) => node.trace(dir).trace_bytes_max(TRACE_BYTES_MAX),
        None => node,
    };
    let running = Arc::new(node.start().map_err(io::Error::other)?);
    for _ in 1..args.ports.len() {
        joins.recv_timeout(PATIENCE).map_err(|_| io::Error::other("a peer never joined"))?;
    }
    if args.delivery == Delivery::Total && args.index == 0 {
        lead(&running)?;
    }
    let flood = flood(&running, args);
    let mut payload = vec![0x5a; args.size];
    serve("", |question| match question {
        "mark" => Ok(tally.mark()),
        go if go.starts_with("go ") => measure(go, || {
            let receipt = running.broadcast(args.delivery, &payload).map_err(io::Error::other)?;
            receipt.wait(PATIENCE).map(|_| ()).map_err(io::Error::other)
        }),
        ask if ask.starts_with("ask ") => measure(ask.trim_start_matches("ask "), || {
            let first = NodeId::from_name(&name(0));
            let ask = Ask(std::mem::take(&mut payload));
            let answer: Ask = running.request(first, &ask, PATIENCE).map_err(io::Error::other)?;
            payload = answer.0;
            Ok(())
        }),
        #[cfg(feature = "replicated_log")]
        clients if clients.starts_with("clients ") => super::clients::measure(clients, |_| {
            let (running, payload) = (running.clone(), vec![0x5a; args.size]);
            move || {
                let receipt = running.broadcast(Delivery::Total, &payload).map_err(io::Error::other)?;
                receipt.wait(PATIENCE).map(drop).map_err(io::Error::other)
            }
        }),
        other => flood.answer(other),
    })
}

/// Has this node lead, as the limit's first process does.
#[cfg(feature = "replicated_log")]
fn lead(running: &Running) -> io::Result<()> {
    running.log_transfer(running.life().node, PATIENCE).map_err(io::Error::other)
}

#[cfg(not(feature = "replicated_log"))]
fn lead(_: &Running) -> io::Result<()> {
    Ok(())
}

fn name(index: usize) -> String {
    format!("bench-{index}")
}

fn message_type(delivery: Delivery) -> MessageType {
    match delivery.guarantee() {
        _ if delivery == Delivery::Total => MessageType::TotalOrderDelivery,
        Guarantee::BestEffort => MessageType::BestEffortDelivery,
        Guarantee::Reliable => MessageType::ReliableDelivery,
        Guarantee::Uniform => MessageType::UniformReliableDelivery,
        Guarantee::UniformAllAck => MessageType::UniformReliableDeliveryAllAck,
    }
}

/// Broadcasts as fast as the window lets it.
fn flood(running: &Arc<Running>, args: &Args) -> Flood {
    let running = running.clone();
    let (delivery, to_first) = (args.delivery, args.to_first);
    let mut payload = vec![0x5a; args.size];
    let mut sent = 0u64;
    Flood::new(move |on: &AtomicBool| {
        let publisher =
            if to_first { running.publisher_to(NodeId::from_name(&name(0))) } else { running.publisher(delivery) };
        let mut publisher = publisher.map_err(io::Error::other)?;
        while on.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                payload[..8].copy_from_slice(&sent.to_le_bytes());
                publisher.push(&payload).map_err(io::Error::other)?;
                sent += 1;
            }
        }
        publisher.flush().map_err(io::Error::other)?;
        Ok(sent)
    })
}
