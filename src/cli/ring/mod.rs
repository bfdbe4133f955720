//! `nodewright ring`: the ring's file store from the command line.
//!
//! | file | what |
//! |---|---|
//! | `serve` | one member |

mod serve;

use super::Failure;
use super::terminal::Terminal;
use clap::Subcommand;

/// Files in parts on a ring of nodes, each part with its backups
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring serve --listen 127.0.0.1:7000 --dir nodes/7000
      A ring of one node
  printf 'FILE PUSH 5 hello.txt\\nhello' | nc -N 127.0.0.1 7000
  printf 'FILE PULL hello.txt\\n' | nc 127.0.0.1 7000")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Serve(serve::Args),
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    match &args.what {
        What::Serve(args) => serve::run(args, terminal),
    }
}
