//! `nodewright keygen`: the cluster's secret and a node's key pair.

use super::Failure;
use super::terminal::Terminal;
use crate::transport::keys::{ClusterSecret, KeyPair};
use std::path::{Path, PathBuf};

/// Make a cluster secret and a node's key pair, each a file that only you may read
#[derive(clap::Args)]
#[command(after_help = "\
The cluster secret is the same on every node; a private key never leaves its node, and its public half, which
is printed, goes into the others' allow lists or pins. A file that is there is never overwritten.

Examples:
  nodewright keygen
      cluster.secret and node.key in this directory
  nodewright keygen --secret /etc/nodewright/cluster.secret
      The secret only
  nodewright keygen --key alpha.key --json
      A key pair only: {\"key\":\"alpha.key\",\"public\":\"nwp1-...\"}

Exit status: 0 done, 2 a file is there already or cannot be written")]
pub(crate) struct Args {
    /// Where the cluster secret goes
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// Where the private key goes
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let both = args.secret.is_none() && args.key.is_none();
    let named = |given: &Option<PathBuf>, usual: &str| given.clone().or_else(|| both.then(|| PathBuf::from(usual)));
    let (secret, key) = (named(&args.secret, "cluster.secret"), named(&args.key, "node.key"));
    // Nothing is made unless all of it can be.
    for path in [&secret, &key].into_iter().flatten() {
        if path.symlink_metadata().is_ok() {
            let path = path.display();
            return Err(Failure::usage(format!(
                "{path} exists and is not overwritten: name another file or move it away"
            )));
        }
    }
    if let Some(path) = secret {
        ClusterSecret::generate().and_then(|secret| secret.create(&path)).map_err(Failure::usage)?;
        tell(terminal, args.json, "secret", &path, None);
    }
    if let Some(path) = key {
        let pair = KeyPair::generate().and_then(|pair| pair.create(&path).map(|()| pair)).map_err(Failure::usage)?;
        tell(terminal, args.json, "key", &path, Some(pair.public().to_string()));
    }
    Ok(())
}

fn tell(terminal: &Terminal, json: bool, what: &str, path: &Path, public: Option<String>) {
    let path = path.display().to_string();
    match (json, public) {
        (true, None) => terminal.json(&serde_json::json!({ what: path })),
        (true, Some(public)) => terminal.json(&serde_json::json!({ what: path, "public": public })),
        (false, None) => terminal.line(&format!("cluster secret  {path}")),
        (false, Some(public)) => terminal.line(&format!("private key     {path}\npublic key      {public}")),
    }
}
