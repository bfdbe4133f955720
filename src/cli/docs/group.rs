//! The node and its group.

use super::target::Where;
use super::write::key;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::http::client::{Request, segment};
use crate::protocol::replicated_log::Key;
use serde_json::Value;

/// Show a node and its view of the group
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs status --at 127.0.0.1:8080")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    at: Where,
}

pub(super) fn status(args: &StatusArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let status = target.client.status();
    let status = target.well(status)?;
    if args.at.json {
        terminal.json(&status);
        return Ok(());
    }
    let (node, log, store) = (&status["node"], &status["log"], &status["store"]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    terminal.line(&format!(
        "node         {} (id {}, load {})",
        text(&node["name"]),
        text(&node["id"]),
        text(&node["load_1m"])
    ));
    terminal.line(&format!("leader       {}, term {}", text(&log["leader"]), log["term"]));
    terminal.line(&format!(
        "applied      {} of {} committed, hash {}",
        log["applied"],
        log["commit"],
        text(&log["hash"])
    ));
    terminal.line(&format!("voters       {}, learners {}", log["voters"], log["learners"]));
    if let Some(why) = log["unusable"].as_str() {
        terminal.line(&format!("unusable     {why}"));
    }
    terminal.line(&format!("store        {} of {} bytes", store["bytes"], store["budget"]));
    for it in store["collections"].as_array().into_iter().flatten() {
        terminal.line(&format!("  {:<22} {} documents, {} bytes", text(&it["name"]), it["documents"], it["bytes"]));
    }
    Ok(())
}

/// Show the members of the group, or remove one
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs members --dir cluster\n  nodewright docs members --remove n2 --dir cluster"
)]
pub(super) struct MembersArgs {
    /// Remove this node, by name or id: it stops taking part
    #[arg(long, value_name = "NODE")]
    remove: Option<String>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn members(args: &MembersArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    if let Some(node) = &args.remove {
        let removed = target.client.call(Request::new("DELETE", format!("/v1/members/{}", segment(node))));
        target.well(removed)?;
        if !args.at.json {
            terminal.line(&format!("{node} is removed"));
        }
    }
    let reply = target.client.call(Request::new("GET", "/v1/members"));
    let value = target.well(reply.and_then(|reply| reply.value()))?;
    if args.at.json {
        terminal.json(&value);
        return Ok(());
    }
    for member in value["members"].as_array().into_iter().flatten() {
        let role = match (member["leads"] == true, member["votes"] == true) {
            (true, _) => "leads",
            (_, true) => "votes",
            _ => "learns",
        };
        let name = member["name"].as_str().unwrap_or_default();
        terminal.line(&format!("{name:<16} {role:<7} id {}", member["node"].as_str().unwrap_or_default()));
    }
    Ok(())
}

/// Show what became of a write whose outcome was unknown
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs outcome 6fa459eaee8a3ca4894edb77e160355e --dir cluster")]
pub(super) struct OutcomeArgs {
    /// Its idempotency key
    #[arg(value_parser = key)]
    key: Key,
    #[command(flatten)]
    at: Where,
}

pub(super) fn outcome(args: &OutcomeArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let outcome = target.client.outcome(args.key);
    let outcome = target.well(outcome)?;
    if args.at.json {
        terminal.json(&outcome);
    } else {
        let state = outcome["state"].as_str().unwrap_or_default().replace('_', " ");
        let rest = outcome.get("receipt").or(outcome.get("problem")).unwrap_or(&outcome["hint"]);
        terminal.line(&format!("{state}: {rest}"));
    }
    match outcome["state"].as_str() {
        Some("unknown") => Err(Failure { status: 3, message: String::new() }),
        _ => Ok(()),
    }
}
