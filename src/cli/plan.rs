//! `nodewright plan` and `nodewright config`: what a node would be, before it is.

use super::Failure;
use super::node::OWN_VARIABLES;
use super::terminal::Terminal;
use crate::component::{Plan, Planned, Why};
use crate::node::{Config, config_example};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show what a configuration is resolved to, or everything that is wrong with it
#[derive(clap::Args)]
#[command(after_help = "\
The environment (NODEWRIGHT_<KEY>) goes before the file, as it does for `nodewright node`.

Examples:
  nodewright plan --config alpha.toml
  NODEWRIGHT_HAS_DELIVERY=uniform.causal nodewright plan --config alpha.toml --json

Exit status: 0 it composes, 2 it has faults")]
pub(crate) struct Args {
    /// The node's configuration; see `nodewright config --example`
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `nodewright plan`.
pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let config = Config::read(&args.config).map_err(Failure::usage)?.with_environment(&OWN_VARIABLES);
    let plan = config.node().map_err(Failure::usage)?.plan().map_err(Failure::usage)?;
    if args.json {
        terminal.json(&as_json(&plan));
    } else {
        terminal.line(plan.to_string().trim_end());
    }
    Ok(())
}

fn as_json(plan: &Plan) -> Value {
    let about: serde_json::Map<_, _> = plan.about.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let component = |planned: &Planned| {
        let why = match &planned.why {
            Why::AskedFor => json!("asked for"),
            Why::Required { by } => json!({ "required_by": by.iter().map(|(name, _)| name).collect::<Vec<_>>() }),
        };
        json!({
            "name": planned.name,
            "call": planned.call,
            "why": why,
            "provides": planned.provides,
            "guarantee": planned.guarantee,
            "memory_ceiling_bytes": planned.memory_ceiling,
        })
    };
    json!({
        "about": about,
        "components": plan.components.iter().map(component).collect::<Vec<_>>(),
        "threads": plan.threads(),
        "memory_ceiling_bytes": plan.memory_ceiling(),
    })
}

/// Print what a configuration may hold
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  nodewright config --example > alpha.toml")]
pub(crate) struct ConfigArgs {
    /// Every key with its default and what it means, as a file that loads
    #[arg(long, required = true)]
    example: bool,
}

/// Runs `nodewright config`.
pub(crate) fn example(_args: &ConfigArgs, terminal: &Terminal) -> Result<(), Failure> {
    terminal.line(config_example().trim_end());
    Ok(())
}
