//! One port in front of the ring.

use super::target::token;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::http::Token;
use crate::ring_gateway::{Gateway, Options};
use serde_json::json;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Run a gateway: the text protocol and HTTP on one port, at whichever node is alive
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring gateway --nodes 127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002
  curl -T photo.jpg http://127.0.0.1:8000/files/photo.jpg
  curl -r 0-99 http://127.0.0.1:8000/files/photo.jpg
  printf 'FILE PULL photo.jpg\\n' | nc 127.0.0.1 8000 > photo.jpg
  nodewright ring gateway --listen 10.0.0.9:8000 --nodes 10.0.0.1:7000,10.0.0.2:7000 --token-file ring.token
      Where others can reach it, each client has to say the token; it is said to the nodes too")]
pub(super) struct Args {
    /// Where clients reach it
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    listen: String,
    /// Nodes of the ring; those that join later it learns from them
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// How often the nodes' states are asked for
    #[arg(long, visible_alias = "dns-poll", value_name = "TIME", default_value = "5s", value_parser = duration)]
    poll: Duration,
    /// What clients have to say, and what is said to the nodes; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Starts a gateway where `listen` says.
pub(super) fn start(
    listen: &str,
    nodes: Vec<String>,
    poll: Duration,
    said: Option<&PathBuf>,
) -> Result<Gateway, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("the gateway at {listen}: {error}"));
    let mut addresses = listen.to_socket_addrs().map_err(|error| wrong(&error))?;
    let address = addresses.next().ok_or_else(|| wrong(&"no such host"))?;
    let token = token(said)?.map(Token::new).transpose().map_err(Failure::usage)?;
    let listener = TcpListener::bind(address).map_err(|error| wrong(&error))?;
    let options = Options { nodes, poll, token, ..Options::default() };
    Gateway::start(listener, options).map_err(|error| wrong(&error))
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let (interrupt, interrupted) = flume::bounded(1);
    let handled = ctrlc::set_handler(move || {
        let _ = interrupt.try_send(()); // once is enough
    });
    handled.map_err(Failure::failed)?;
    let mut gateway = start(&args.listen, args.nodes.clone(), args.poll, args.token_file.as_ref())?;
    let address = gateway.local_addr();
    if args.json {
        terminal.json(&json!({ "event": "up", "pid": std::process::id(), "listen": address }));
    } else {
        terminal.line(&format!("the gateway answers at {address}, and at http://{address}; Ctrl-C stops it"));
    }
    let _ = interrupted.recv(); // the handler lives as long as the process
    gateway.stop();
    Ok(())
}
