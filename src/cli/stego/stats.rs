//! How servers do, each by its own word.

use super::config::ClientFile;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::node::StegoClient;
use serde_json::json;
use std::path::PathBuf;

/// Show load, tasks and counts of every server
#[derive(clap::Args)]
#[command(after_help = "\
Every server answers for itself, whether or not it knows a leader.

Examples:
  nodewright stego stats --at 127.0.0.1:8001,127.0.0.1:8002,127.0.0.1:8003
  nodewright stego stats --config client1.toml --json")]
pub(super) struct Args {
    /// The servers
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required_unless_present = "config")]
    at: Vec<String>,
    /// A client's file that names them
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let servers = match &args.config {
        Some(path) => ClientFile::load(path)?.client.server_addresses,
        None => args.at.clone(),
    };
    let mut silent = Vec::new();
    if !args.json {
        terminal.line("server                  load  run wait  served failed  full open  leads");
    }
    for (server, stats) in StegoClient::new("stats", servers).stats() {
        match stats {
            Ok(stats) if args.json => terminal.json(&stats),
            Ok(stats) => {
                let load = stats.load.map_or("-".into(), |load| format!("{load:.1}"));
                let leads = if stats.leader == Some(stats.server) { "yes" } else { "" };
                terminal.line(&format!(
                    "{server:<22} {load:>5} {:>4} {:>4} {:>7} {:>6} {:>5} {:>4}  {leads}",
                    stats.running, stats.queued, stats.served, stats.failed, stats.full, stats.open
                ));
            }
            Err(error) => {
                if args.json {
                    terminal.json(&json!({ "address": server, "error": error.to_string() }));
                } else {
                    terminal.line(&format!("{server:<22} {error}"));
                }
                silent.push(server);
            }
        }
    }
    if silent.is_empty() { Ok(()) } else { Err(Failure::failed(format!("no answer from {}", silent.join(", ")))) }
}
