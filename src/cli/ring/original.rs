//! The original's two ways to start, with its flags: `set-network` and `run`.

use super::{serve, up};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::service::ring::durability::Durability;
use clap::Parser;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Run a ring of processes on this machine (as `ring up`, with OuroborosFS's flags)
#[derive(clap::Args)]
#[command(after_help = "\
Parts are of equal length to the byte, in nodes/PORT/content/NAME.part-001-of-005. Ctrl-C or TERM ends all; the end of
standard input does not.

Examples:
  nodewright set-network --nodes 5 --base-port 7000 --dns-port 8000 --dns-poll 5000
  nodewright set-network -n 3 -p 9000")]
pub(crate) struct SetNetworkArgs {
    /// How many nodes
    #[arg(long, short, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// The first node's port
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = 7000)]
    base_port: u16,
    /// The address of this machine where they listen
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Period of the nodes' heartbeats, in milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    wait_time: Duration,
    /// The gateway's port; without it there is none
    #[arg(long, value_name = "PORT")]
    dns_port: Option<u16>,
    /// How often the gateway asks for the nodes' states, in milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    dns_poll: Duration,
    /// Where the nodes keep everything
    #[arg(long, default_value = "nodes")]
    dir: PathBuf,
    /// What clients have to say; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Plain milliseconds, as the original takes them, or a duration with its unit.
fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        Err(_) => duration(text),
    }
}

pub(crate) fn set_network(args: &SetNetworkArgs, terminal: &Terminal) -> Result<(), Failure> {
    let args = up::Args {
        nodes: args.nodes,
        base_port: args.base_port,
        gateway_port: args.dns_port,
        no_gateway: args.dns_port.is_none(),
        poll: args.dns_poll,
        dir: args.dir.clone(),
        replicas: 2,
        min_part: 0,
        exact_split: true,
        durability: Durability::Strict,
        wait_time: args.wait_time,
        host: args.host,
        token_file: args.token_file.clone(),
        respawn_limit: 10,
        json: args.json,
    };
    up::run(&args, terminal)
}

/// Run one node by hand (as `ring serve`, with OuroborosFS's flags)
#[derive(clap::Args)]
#[command(after_help = "\
Nobody starts it again when it dies. Its directory is nodes/PORT unless --dir says otherwise.

Examples:
  nodewright run --addr 127.0.0.1:7000
      A ring of one
  nodewright run --addr 127.0.0.1:7001 --peers 127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002")]
pub(crate) struct RunArgs {
    /// Where it listens
    #[arg(long, value_name = "HOST:PORT")]
    addr: String,
    /// All that begin the ring
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    peers: Vec<String>,
    /// The node's directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Period of its heartbeats, in milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    wait_time: Duration,
    /// The cluster secret; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// What clients of other machines have to say first
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// The arguments of `ring serve`, read as from a command line.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: serve::Args,
}

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<(), Failure> {
    let port = args.addr.rsplit(':').next().unwrap_or_default();
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("nodes").join(port));
    let mut words: Vec<std::ffi::OsString> =
        ["serve", "--exact-split", "--listen", &args.addr, "--dir"].map(Into::into).into();
    words.push(dir.into());
    words.extend(["--wait-time".into(), format!("{}ms", args.wait_time.as_millis()).into()]);
    if !args.peers.is_empty() {
        words.extend(["--peers".into(), args.peers.join(",").into()]);
    }
    for (flag, file) in [("--secret-file", &args.secret_file), ("--token-file", &args.token_file)] {
        if let Some(file) = file {
            words.extend([flag.into(), file.into()]);
        }
    }
    if args.json {
        words.push("--json".into());
    }
    serve::run(&Serve::try_parse_from(words).map_err(Failure::usage)?.args, terminal)
}
