//! The command `nodewright`: raw arguments become typed options once, each
//! subcommand is one module with `Args` and `run`.
//!
//! Exit status: 0 done and well, 1 a verdict failed or something is unhealthy,
//! 2 the usage or the configuration is wrong (nothing was started).

mod bench;
mod payload;
mod process;
pub(crate) mod records;
mod report;
#[cfg(any(feature = "http", feature = "ring", feature = "stego_service"))]
mod serving;
#[cfg(any(feature = "http", feature = "ring"))]
mod supervise;
mod terminal;
mod traces;
mod values;
mod verdict;

mod check;
#[cfg(feature = "http")]
mod docs;
mod health;
mod keygen;
mod mesh;
mod node;
mod plan;
#[cfg(feature = "ring")]
mod ring;
mod sim;
mod soak;
#[cfg(feature = "stego")]
mod stego;
mod trace;
mod verdict_command;

use clap::{Parser, Subcommand};
use std::fmt;
use std::process::ExitCode;
use terminal::Terminal;

#[derive(Parser)]
#[command(name = "nodewright", version, about = "Nodes composed from pluggable components, meshed and judged", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  nodewright mesh --kill 2@5s --restart 2@10s
      Four nodes on this machine, one of them killed and restarted, with a verdict at the end
  nodewright sim --what uniform.causal --seeds 0..2000
      Two thousand simulated worlds under all faults, judged
  nodewright keygen --secret cluster.secret
      The secret that all nodes of a cluster share
  nodewright node --config alpha.toml
      One node

  nodewright docs up --nodes 3 --dir cluster
      A replicated document store of three processes
  nodewright ring up
      Files in parts on a ring of five processes, with a gateway

Exit status: 0 ok, 1 a verdict failed or a node is unhealthy, 2 wrong usage or configuration";

#[derive(Subcommand)]
enum Command {
    Mesh(mesh::Args),
    Node(node::Args),
    Plan(plan::Args),
    Config(plan::ConfigArgs),
    Soak(soak::Args),
    #[cfg(feature = "stego")]
    Stego(stego::Args),
    Keygen(keygen::Args),
    Health(health::Args),
    Verdict(verdict_command::Args),
    Sim(sim::Args),
    Check(check::Args),
    Trace(trace::Args),
    Bench(bench::Args),
    #[cfg(feature = "http")]
    Docs(docs::Args),
    #[cfg(feature = "ring")]
    Ring(ring::Args),
    #[cfg(feature = "ring")]
    SetNetwork(ring::original::SetNetworkArgs),
    #[cfg(feature = "ring")]
    Run(ring::original::RunArgs),
    #[command(hide = true)]
    BenchChild(bench::ChildArgs),
}

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let terminal = Terminal::new();
    let done = match Cli::parse().command {
        Command::Mesh(args) => mesh::run(args, &terminal),
        Command::Node(args) => node::run(args, &terminal),
        Command::Plan(args) => plan::run(&args, &terminal),
        Command::Config(args) => plan::example(&args, &terminal),
        Command::Soak(args) => soak::run(args, &terminal),
        #[cfg(feature = "stego")]
        Command::Stego(args) => stego::run(&args, &terminal),
        Command::Keygen(args) => keygen::run(&args, &terminal),
        Command::Health(args) => health::run(&args, &terminal),
        Command::Verdict(args) => verdict_command::run(&args, &terminal),
        Command::Sim(args) => sim::run(&args, &terminal),
        Command::Check(args) => check::run(&args, &terminal),
        Command::Trace(args) => trace::run(&args, &terminal),
        #[cfg(feature = "http")]
        Command::Docs(args) => docs::run(args, &terminal),
        #[cfg(feature = "ring")]
        Command::Ring(args) => ring::run(&args, &terminal),
        #[cfg(feature = "ring")]
        Command::SetNetwork(args) => ring::original::set_network(&args, &terminal),
        #[cfg(feature = "ring")]
        Command::Run(args) => ring::original::run(&args, &terminal),
        Command::Bench(args) => bench::run(&args, &terminal),
        Command::BenchChild(args) => bench::run_child(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.complain(&failure.message);
            ExitCode::from(failure.status)
        }
    }
}

/// Why the command ends with a status other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    /// What to tell the person; empty when it was already told.
    message: String,
}

impl Failure {
    /// The usage or the configuration is wrong; nothing was started.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Failure { status: 2, message: message.to_string() }
    }

    /// It ran, and failed.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Failure { status: 1, message: message.to_string() }
    }

    /// It ran, failed, and the output already says how.
    pub(crate) fn told() -> Self {
        Failure { status: 1, message: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent_and_every_subcommand_shows_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`nodewright {} --help` shows no example", sub.get_name());
        }
    }
}
