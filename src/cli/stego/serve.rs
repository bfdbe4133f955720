//! One server of the service.

use super::config::{ServerFile, seconds};
use super::files;
use crate::cli::Failure;
use crate::cli::serving::{Up, serve};
use crate::cli::terminal::Terminal;
use crate::id::NodeId;
use crate::node::Node;
use crate::service::stego::service::{Config, TaskDone};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run one server of the service
#[derive(clap::Args)]
#[command(after_help = "\
The file is that of existing servers: [server] id, address, cover_image; [peers] peers; [election]
heartbeat_interval_secs, election_timeout_secs, failure_timeout_secs, monitor_interval_secs; [encryption]
thread_pool_size, max_queue_size. The server links with the others and answers clients at the one address, in this
program's own dialect and in the JSON of existing clients. The history is kept in a directory, and a majority of
the servers named has to be up.

Examples:
  nodewright stego serve --config server1.toml
  nodewright stego serve --config server1.toml --secret-file cluster.secret --save-dir results")]
pub(super) struct Args {
    /// The server's file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where it keeps the history [default: stego-data/server<ID>]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep a copy of each result here
    #[arg(long, value_name = "DIR")]
    save_dir: Option<PathBuf>,
    /// The cluster secret; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Ends with its standard input, and with the process that started it
    #[arg(long, hide = true)]
    supervised: bool,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let file = ServerFile::load(&args.config)?;
    let address = file.server.address.clone();
    serve(node(args, &file)?, args.supervised, args.json, terminal, |_| {
        let line = format!("answers at {address}");
        Up { facts: json!({ "address": address }), line }
    })
}

fn node(args: &Args, file: &ServerFile) -> Result<Node, Failure> {
    let (server, election) = (&file.server, &file.election);
    let cover = server.cover_image.as_ref().map(|path| files::read(path)).transpose()?;
    let config = Config {
        address: server.address.clone(),
        workers: file.encryption.thread_pool_size,
        queue_max: file.encryption.max_queue_size,
        publish_every: seconds(election.heartbeat_interval_secs),
        look_every: seconds(election.monitor_interval_secs),
        unheard_after: seconds(election.failure_timeout_secs.max(2.0 * election.heartbeat_interval_secs)),
        cover: cover.map(Into::into),
        publish_results: args.save_dir.is_some(),
        ..Config::default()
    };
    let name = format!("server{}", server.id);
    let dir = args.dir.clone().unwrap_or_else(|| Path::new("stego-data").join(&name));
    let mut node = Node::new(&name, 0, file.peers.peers.len().max(1))
        .id(NodeId(server.id.into()))
        .listen(&server.address)
        .has_peers(file.peers.peers.iter().map(|peer| &peer.address))
        .has_failure_detector(seconds(election.failure_timeout_secs), seconds(election.heartbeat_interval_secs))
        .election_timeout(seconds(election.election_timeout_secs))
        .has_steganography(dir, config);
    if let Some(path) = &args.secret_file {
        node = node.secret_file(path);
    }
    if let Some(folder) = args.save_dir.clone() {
        files::folder(&folder)?;
        node = node.on_event::<TaskDone>(move |done| {
            let place = folder.join(file_name(&done.task.client, done.task.request));
            if let Err(failure) = files::write(&place, &done.image) {
                log::error!("{}: {}", place.display(), failure.message);
            }
        });
    }
    Ok(node)
}

/// A file's name for a client's result; a client's name is a stranger's text.
pub(super) fn file_name(client: &str, request: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    format!("{}-{request}.png", client.chars().map(plain).take(64).collect::<String>())
}
