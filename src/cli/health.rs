//! `nodewright health`: asks a running node whether it is well, over the same
//! sealed port that its peers use.

use super::Failure;
use super::terminal::{Paint, Terminal};
use super::values::duration;
use crate::id::Kind;
use crate::node::services::STATS;
use crate::protocol::request::{Message, Outcome};
use crate::transport::Security;
use crate::transport::client::ClientLink;
use crate::transport::keys::ClusterSecret;
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Ask a running node whether it is well
#[derive(clap::Args)]
#[command(after_help = "\
The node has to answer a request that all its components contribute to: a node whose threads hang is not well.
Address and secret may also come from the environment (NODEWRIGHT_LISTEN, NODEWRIGHT_SECRET_FILE), as they do in
a container.

Examples:
  nodewright health --addr 127.0.0.1:8888
  nodewright health --addr 172.28.0.2:8888 --secret-file cluster.secret --json

Exit status: 0 well, 1 not well or not reached, 2 wrong usage")]
pub(crate) struct Args {
    /// Where the node listens
    #[arg(long, env = "NODEWRIGHT_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8888")]
    addr: String,
    /// The cluster secret, where the node has one
    #[arg(long, env = "NODEWRIGHT_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    within: Duration,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let security = match &args.secret_file {
        Some(path) => {
            let secret = ClusterSecret::load(path).map_err(Failure::usage)?;
            ClientLink::credentials(secret).map_err(Failure::failed)?
        }
        None => Security::LoopbackOnly,
    };
    let asked = ask(args, &security);
    if args.json {
        match &asked {
            Ok(stats) => terminal.json(
                &json!({ "healthy": true, "node": stats["name"], "life": stats["life"], "peers": stats["peers"] }),
            ),
            Err(why) => terminal.json(&json!({ "healthy": false, "why": why })),
        }
        return asked.map(drop).map_err(|_| Failure::told());
    }
    let stats = asked.map_err(|why| Failure::failed(format!("{} is not well: {why}", args.addr)))?;
    let peers = stats["peers"].as_array().cloned().unwrap_or_default();
    let is = |peer: &&Value, key: &str| peer[key].as_bool().unwrap_or(false);
    let up =
        peers.iter().filter(|peer| is(peer, "alive") && !is(peer, "suspected") && peer["role"] != "client").count();
    let name = stats["name"].as_str().unwrap_or("the node");
    terminal.line(&format!("{name} is {}: {up} peers up", terminal.paint(Paint::Green, "well")));
    Ok(())
}

/// The node's statistics.
fn ask(args: &Args, security: &Security) -> Result<Value, String> {
    let within_ms = u32::try_from(args.within.as_millis()).unwrap_or(u32::MAX);
    let mut link = ClientLink::connect(&args.addr, security, args.within).map_err(|error| error.to_string())?;
    let mut block = Vec::new();
    let request = Message::Request { id: 1, kind: Kind::of(STATS), version: 1, within_ms, params: Vec::new() };
    request.put(&[], &mut block);
    let requests = Kind::of("request");
    let block = link.call(requests, Bytes::from(block), args.within).map_err(|error| error.to_string())?;
    match Message::take(&block).next() {
        Some((Message::Reply { outcome: Outcome::Done, .. }, body)) => {
            serde_json::from_slice(&body).map_err(|error| format!("its answer does not read: {error}"))
        }
        Some((Message::Reply { outcome, .. }, _)) => Err(format!("it answers {outcome:?}")),
        _ => Err("its answer is none".to_string()),
    }
}
