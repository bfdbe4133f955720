//! One member.

use crate::cli::Failure;
use crate::cli::serving::{Up, listens, serve};
use crate::cli::terminal::Terminal;
use crate::node::Node;
use serde_json::json;
use std::path::PathBuf;

/// Run one member of a group, which answers HTTP
#[derive(clap::Args)]
#[command(after_help = "\
The members that begin a group name one another by --peers, the same list on all of them; they need the same
secret (`nodewright keygen --secret cluster.secret`) unless all are on one machine. Alone, a node is a group of one.

Examples:
  nodewright docs serve --dir store
      A store of one node at 127.0.0.1:8080
  nodewright docs serve --dir data --listen 10.0.0.1:7000 --peers 10.0.0.1:7000,10.0.0.2:7000,10.0.0.3:7000 \\
      --secret-file cluster.secret --http 10.0.0.1:8080 --token-file http.token
      One of three machines; the same on the others with their addresses
  nodewright docs serve --dir data --listen 10.0.0.4:7000 --join 10.0.0.1:7000 \\
      --secret-file cluster.secret --http 10.0.0.4:8080 --token-file http.token
      A fourth machine joins the running group; the next time --join may be left out
  The same command with an empty directory
      A member whose disk was lost takes part again, under a new identity")]
pub(super) struct Args {
    /// The member's directory
    #[arg(long)]
    dir: PathBuf,
    /// Where it links with the others
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// All members' addresses, the own one among them or not
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    peers: Vec<String>,
    /// Members of a running group that it joins: its directory remembers them
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "peers")]
    join: Vec<String>,
    /// Where it answers HTTP
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    http: String,
    /// The token that each HTTP request has to carry; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The cluster secret; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Its name, its own in the group; else made of its address
    #[arg(long)]
    name: Option<String>,
    /// Collections to be made where they are not there
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    collections: Vec<String>,
    /// The group's leader moves to a member that is much less loaded, four times an hour at most; the same on all
    #[arg(long)]
    leader_by_load: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Ends with its standard input, and with the process that started it
    #[arg(long, hide = true)]
    supervised: bool,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let name = args.name.clone().unwrap_or_else(|| args.listen.clone());
    let mut node = Node::new(name, 0, 16).listen(&args.listen).has_documents(&args.dir).has_http(&args.http);
    node = node.has_peers(&args.peers).joins(&args.join);
    if !args.collections.is_empty() {
        node = node.collections(args.collections.iter().cloned());
    }
    if let Some(path) = &args.secret_file {
        node = node.secret_file(path);
    }
    if let Some(path) = &args.token_file {
        node = node.http_token_file(path);
    }
    if args.leader_by_load {
        node = node.log_leader_by_load();
    }
    serve(node, args.supervised, args.json, terminal, |running| {
        let http = running.http_addr().map(|address| address.to_string()).unwrap_or_default();
        let listen = listens(running);
        let line = format!("answers at http://{http} and links at {listen}");
        Up { facts: json!({ "http": http, "listen": listen }), line }
    })
}
