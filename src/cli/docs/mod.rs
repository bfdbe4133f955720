//! `nodewright docs`: the document store from the command line.
//!
//! | file | what |
//! |---|---|
//! | `target` | which nodes are asked: by address, by a cluster's directory, or a store opened here |
//! | `write` `read` | one document or many |
//! | `transfer` `backup` | NDJSON in and out; all of a store in one file |
//! | `group` | status, members, outcome |
//! | `serve` `up` | one member; a cluster of processes |
//!
//! Every subcommand talks REST, to a store opened here as well, so that there is one
//! way in.

mod backup;
mod group;
mod read;
mod serve;
mod target;
mod transfer;
pub(in crate::cli) mod up;
mod write;

use super::Failure;
use super::terminal::Terminal;
use crate::http::Problem;
use crate::service::documents::Fate;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Read;

/// Collections of JSON documents: on a cluster, or in a directory
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright docs add people '{\"name\":\"Ada\",\"born\":1815}' --dir store
      No set-up: opens (or makes) a store in a directory, and closes it
  nodewright docs up --nodes 3 --dir cluster
      Three nodes as processes of this machine; the other commands find them by --dir cluster
  nodewright docs find people '{\"born\":{\"$lt\":1900}}' --sort=-born --dir cluster
  nodewright docs watch people --at 127.0.0.1:8080

Exit status: 0 done, 1 refused (not done), 2 wrong usage, 3 unknown whether done, 4 nobody could be asked
(not done), 5 there is no such document")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Create(write::CreateArgs),
    Drop(write::DropArgs),
    Index(write::IndexArgs),
    List(read::ListArgs),
    Add(write::AddArgs),
    Get(read::GetArgs),
    Find(read::FindArgs),
    Count(read::CountArgs),
    Explain(read::ExplainArgs),
    Patch(write::PatchArgs),
    Delete(write::DeleteArgs),
    Watch(read::WatchArgs),
    Import(transfer::ImportArgs),
    Export(transfer::ExportArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Status(group::StatusArgs),
    Members(group::MembersArgs),
    Outcome(group::OutcomeArgs),
    Up(up::Args),
    Serve(serve::Args),
}

/// Runs the subcommand.
pub(crate) fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    match args.what {
        What::Create(args) => write::create(&args, terminal),
        What::Drop(args) => write::drop(&args, terminal),
        What::Index(args) => write::index(&args, terminal),
        What::List(args) => read::list(&args, terminal),
        What::Add(args) => write::add(&args, terminal),
        What::Get(args) => read::get(&args, terminal),
        What::Find(args) => read::find(&args, terminal),
        What::Count(args) => read::count(&args, terminal),
        What::Explain(args) => read::explain(&args, terminal),
        What::Patch(args) => write::patch(&args, terminal),
        What::Delete(args) => write::delete(&args, terminal),
        What::Watch(args) => read::watch(&args, terminal),
        What::Import(args) => transfer::import(&args, terminal),
        What::Export(args) => transfer::export(&args, terminal),
        What::Backup(args) => backup::backup(&args, terminal),
        What::Restore(args) => backup::restore(&args, terminal),
        What::Status(args) => group::status(&args, terminal),
        What::Members(args) => group::members(&args, terminal),
        What::Outcome(args) => group::outcome(&args, terminal),
        What::Up(args) => up::run(&args, terminal),
        What::Serve(args) => serve::run(&args, terminal),
    }
}

/// The exit status that a problem means.
fn status_of(problem: &Problem) -> u8 {
    match (problem.state, problem.code.as_str()) {
        (Fate::Unknown, _) => 3,
        (_, "unreachable" | "unavailable" | "connections" | "watches" | "rate") => 4,
        (_, "no_document") => 5,
        _ => 1,
    }
}

/// What went wrong, as the person or the program wants it.
fn failed(problem: &Problem, json: bool, terminal: &Terminal) -> Failure {
    let status = status_of(problem);
    if json {
        terminal.json(&json!({ "problem": problem }));
        return Failure { status, message: String::new() };
    }
    Failure { status, message: problem.to_string() }
}

/// JSON from an argument, or with `-` from standard input.
fn read_json(what: &str, text: &str) -> Result<Value, Failure> {
    let read = if text == "-" {
        let mut all = String::new();
        std::io::stdin()
            .read_to_string(&mut all)
            .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
        serde_json::from_str(&all)
    } else {
        serde_json::from_str(text)
    };
    read.map_err(|error| Failure::usage(format!("{what} is no JSON: {error} (nothing was done)")))
}
