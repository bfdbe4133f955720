//! `nodewright ring`: the ring's file store from the command line.
//!
//! | file | what |
//! |---|---|
//! | `serve` `up` `gateway` | one member; a ring of processes; one port in front of the ring |
//! | `original` | `set-network` and `run`, with the original's flags |
//! | `target` `talk` | which nodes are asked; a conversation in the text protocol |
//! | `push` `pull` | files in and out, verified; a pull that was cut goes on |
//! | `files` | list, rm, undo, stat, explain |
//! | `nodes` | heal, scrub, what-if, drain, forget, rebuild, topology |
//! | `rebalance` | files to nodes that came later |
//! | `status` | the ring as a picture |
//!
//! All but the processes themselves are clients of the text protocol, of a node or of a
//! gateway.

mod files;
#[cfg(feature = "http")]
mod gateway;
mod join;
mod nodes;
pub(super) mod original;
mod pull;
mod push;
mod rebalance;
mod serve;
mod status;
mod talk;
mod target;
mod up;

use super::Failure;
use super::terminal::Terminal;
use clap::Subcommand;

/// Files in parts on a ring of nodes, each part with its backups
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring up
      Five nodes as processes of this machine, and a gateway; Ctrl-C ends them
  nodewright ring push photo.jpg --at 127.0.0.1:8000
  nodewright ring pull photo.jpg --at 127.0.0.1:8000
  nodewright ring status --at 127.0.0.1:8000
      Who is up, who backs whom, what is missing
  printf 'FILE PULL photo.jpg\\n' | nc 127.0.0.1 8000 > photo.jpg

Exit status: 0 done, 1 refused (not done), 2 wrong usage, 3 unknown whether done, 4 nobody could be asked, or too few
nodes answer (not done), 5 there is no such file")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Up(up::Args),
    Serve(serve::Args),
    Join(join::Args),
    #[cfg(feature = "http")]
    Gateway(gateway::Args),
    Push(push::Args),
    Pull(pull::Args),
    List(files::ListArgs),
    Rm(files::RmArgs),
    Undo(files::UndoArgs),
    Stat(files::StatArgs),
    Explain(files::ExplainArgs),
    Status(status::Args),
    Topology(nodes::TopologyArgs),
    Heal(nodes::HealArgs),
    Scrub(nodes::ScrubArgs),
    Whatif(nodes::WhatifArgs),
    Drain(nodes::DrainArgs),
    Forget(nodes::ForgetArgs),
    Rebuild(nodes::RebuildArgs),
    Rebalance(rebalance::Args),
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    match &args.what {
        What::Up(args) => up::run(args, terminal),
        What::Serve(args) => serve::run(args, terminal),
        What::Join(args) => join::run(args, terminal),
        #[cfg(feature = "http")]
        What::Gateway(args) => gateway::run(args, terminal),
        What::Push(args) => push::run(args, terminal),
        What::Pull(args) => pull::run(args, terminal),
        What::List(args) => files::list(args, terminal),
        What::Rm(args) => files::rm(args, terminal),
        What::Undo(args) => files::undo(args, terminal),
        What::Stat(args) => files::stat(args, terminal),
        What::Explain(args) => files::explain(args, terminal),
        What::Status(args) => status::run(args, terminal),
        What::Topology(args) => nodes::topology(args, terminal),
        What::Heal(args) => nodes::heal(args, terminal),
        What::Scrub(args) => nodes::scrub(args, terminal),
        What::Whatif(args) => nodes::whatif(args, terminal),
        What::Drain(args) => nodes::drain(args, terminal),
        What::Forget(args) => nodes::forget(args, terminal),
        What::Rebuild(args) => nodes::rebuild(args, terminal),
        What::Rebalance(args) => rebalance::run(args, terminal),
    }
}
