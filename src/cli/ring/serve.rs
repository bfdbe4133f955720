//! One member.

use crate::cli::Failure;
use crate::cli::serving::{Up, listens, serve};
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::node::Node;
use crate::service::ring::durability::Durability;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Run one member of a ring, which speaks the text protocol on its port
#[derive(clap::Args)]
#[command(after_help = "\
The members that begin a ring name one another by --peers, the same list on all of them; they need the same
secret (`nodewright keygen --secret cluster.secret`) unless all are on one machine. Alone, a node is a ring of one.

Examples:
  nodewright ring serve --listen 127.0.0.1:7000 --dir nodes/7000
      A ring of one node
  nodewright ring serve --listen 127.0.0.1:7000 --dir nodes/7000 --peers 127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002
      One of three on this machine; the same for 7001 and 7002")]
pub(super) struct Args {
    /// Where clients and the other members reach it
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
    /// The member's directory
    #[arg(long)]
    dir: PathBuf,
    /// All members' addresses, the own one among them or not
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    peers: Vec<String>,
    /// Take part in a running ring, through any of its members
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "peers")]
    join: Vec<String>,
    /// Copies of each part
    #[arg(long, default_value_t = 2)]
    replicas: u8,
    /// Cut files into fewer parts rather than into ones shorter than so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    min_part: u64,
    /// Cut files into parts of equal length, to the byte
    #[arg(long)]
    exact_split: bool,
    /// What an acknowledged push rests on: strict, all copies synced; group, all written, and synced together within
    /// 100 ms; none, all written
    #[arg(long, value_name = "LEVEL", default_value = "strict")]
    durability: Durability,
    /// How long deleted and overwritten files can be brought back
    #[arg(long, value_parser = duration, default_value = "10m")]
    undo: Duration,
    /// Period of the members' heartbeats
    #[arg(long, value_parser = duration, default_value = "500ms")]
    wait_time: Duration,
    /// What clients of other machines have to say first
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The cluster secret; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Its name, its own in the ring; else made of its address
    #[arg(long)]
    name: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Ends with its standard input, and with the process that started it
    #[arg(long, hide = true)]
    supervised: bool,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let name = args.name.clone().unwrap_or_else(|| args.listen.clone());
    let mut node = Node::new(name, 0, 64)
        .listen(&args.listen)
        .has_ring_store(&args.dir)
        .has_phi_detector(8.0, args.wait_time)
        .ring_copies(args.replicas)
        .ring_min_part(args.min_part)
        .ring_durability(args.durability)
        .ring_undo(args.undo);
    node = if args.join.is_empty() { node.has_peers(&args.peers) } else { node.joins(&args.join) };
    if args.exact_split {
        node = node.ring_exact_split();
    }
    if let Some(path) = &args.token_file {
        node = node.ring_token_file(path);
    }
    if let Some(path) = &args.secret_file {
        node = node.secret_file(path);
    }
    serve(node, args.supervised, args.json, terminal, |running| {
        let listen = listens(running);
        Up { facts: json!({ "listen": listen }), line: format!("answers at {listen}") }
    })
}
