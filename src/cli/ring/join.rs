//! A new member.

use super::serve;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;

/// Run a node that takes part in a running ring (as `ring serve --join`)
#[derive(clap::Args)]
#[command(after_help = "\
What is stored already stays where it is; what is stored from then on is cut for the new ring too.

Examples:
  nodewright ring join 127.0.0.1:7000 --listen 127.0.0.1:7005 --dir nodes/7005 --secret-file nodes/cluster.secret
      Into the ring of `ring up`")]
pub(super) struct Args {
    /// Any of the ring's members
    #[arg(value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    members: Vec<String>,
    /// Where clients and the other members reach it
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
    /// The member's directory
    #[arg(long)]
    dir: PathBuf,
    /// The cluster secret; needed anywhere but on loopback
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// More arguments of `ring serve`
    #[arg(last = true)]
    more: Vec<OsString>,
}

/// The arguments of `ring serve`, read as from a command line.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: serve::Args,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let mut words: Vec<OsString> = ["serve", "--listen", &args.listen, "--dir"].map(Into::into).into();
    words.extend([args.dir.clone().into(), "--join".into(), args.members.join(",").into()]);
    if let Some(file) = &args.secret_file {
        words.extend(["--secret-file".into(), file.into()]);
    }
    if args.json {
        words.push("--json".into());
    }
    words.extend(args.more.iter().cloned());
    serve::run(&Serve::try_parse_from(words).map_err(Failure::usage)?.args, terminal)
}
