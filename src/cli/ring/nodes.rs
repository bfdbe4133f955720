//! What is asked of the nodes.

use super::push::name;
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::{Paint, Terminal};
use crate::service::ring::text::Request;
use serde_json::{Map, Value, json};

/// Who is next to whom
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring topology")]
pub(super) struct TopologyArgs {
    #[command(flatten)]
    at: Where,
}

/// The ring's order: who is followed by whom.
pub(super) fn hops(target: &Target<'_>) -> Result<Vec<(String, String)>, Failure> {
    let lines = target.ask(&Request::Walk, |line| line == "OK")?;
    let hop = |line: &String| line.split_once("->").map(|(from, to)| (from.to_owned(), to.to_owned()));
    Ok(lines.iter().filter_map(hop).collect())
}

pub(super) fn topology(args: &TopologyArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    for (from, to) in hops(&target)? {
        if args.at.json {
            terminal.json(&json!({ "from": from, "to": to }));
        } else {
            terminal.line(&format!("{from} -> {to}"));
        }
    }
    Ok(())
}

/// An answer of one line, as the person or the program wants it.
fn told(target: &Target<'_>, line: &str) {
    let text = line.trim_start_matches("OK").trim();
    if target.json {
        let fields: Map<String, Value> = text
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse::<u64>().ok()?.into())))
            .collect();
        let value = if fields.is_empty() { json!({ "done": text }) } else { Value::Object(fields) };
        target.terminal.json(&value);
    } else {
        target.terminal.line(if text.is_empty() { "done" } else { text });
    }
}

/// Have every node look through what it holds, and fetch what is missing
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring heal")]
pub(super) struct HealArgs {
    #[command(flatten)]
    at: Where,
}

pub(super) fn heal(args: &HealArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    told(&target, &target.ask_line(&Request::Heal)?);
    Ok(())
}

/// Read all copies, of one file or of all, and compare them with their hashes
#[derive(clap::Args)]
#[command(after_help = "\
Copies that are bad are put into quarantine and made anew; the exit status is 1 then.

Examples:
  nodewright ring scrub --within 10m
  nodewright ring scrub photo.jpg")]
pub(super) struct ScrubArgs {
    /// The file's name; else all
    name: Option<String>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn scrub(args: &ScrubArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let line = target.ask_line(&Request::Scrub(args.name.as_deref().map(name).transpose()?))?;
    told(&target, &line);
    if line.ends_with(" bad=0") { Ok(()) } else { Err(Failure::told()) }
}

/// What would be unreadable if these nodes were down
#[derive(clap::Args)]
#[command(after_help = "\
The exit status is 1 where something would be unreadable.

Examples:
  nodewright ring whatif 7001,7002")]
pub(super) struct WhatifArgs {
    /// Their ports
    #[arg(value_delimiter = ',', required = true)]
    ports: Vec<String>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn whatif(args: &WhatifArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let lines = target.ask(&Request::WhatIf(args.ports.clone()), |line| line == "OK")?;
    let line = lines.first().cloned().unwrap_or_default();
    if args.at.json {
        told(&target, &line);
    } else {
        let number = |key: &str| {
            let field = line.split(' ').find_map(|field| field.strip_prefix(key));
            field.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
        };
        let (unreadable, degraded) = (number("unreadable="), number("degraded="));
        let paint = if unreadable > 0 { Paint::Red } else { Paint::Green };
        let (files, bytes, ports) = (number("files="), number("bytes="), args.ports.join(" and "));
        let words = format!("{unreadable} of {files} files ({bytes} bytes) would be unreadable");
        terminal.line(&format!("without {ports}: {}, {degraded} short of copies", terminal.paint(paint, &words)));
    }
    if line.contains(" unreadable=0 ") { Ok(()) } else { Err(Failure::told()) }
}

/// Have a node give away what it holds, and leave
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring drain 127.0.0.1:7004")]
pub(super) struct DrainArgs {
    /// The node
    #[arg(value_name = "HOST:PORT")]
    node: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn drain(args: &DrainArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    told(&target, &target.change(&Request::Drain(args.node.clone()))?);
    Ok(())
}

/// Count a node that will not come back as no member any more
#[derive(clap::Args)]
#[command(after_help = "\
What it held is copied from the backups. A node that is only down needs no forgetting.

Examples:
  nodewright ring forget 127.0.0.1:7004")]
pub(super) struct ForgetArgs {
    /// The node
    #[arg(value_name = "HOST:PORT")]
    node: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn forget(args: &ForgetArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    told(&target, &target.change(&Request::Forget(args.node.clone()))?);
    Ok(())
}

/// Put the files that a node's disk knows into a map that has lost them
#[derive(clap::Args)]
#[command(after_help = "\
For a ring whose nodes lost what they agreed on, and still have their parts. It is asked of one node: name that, not a
gateway. What the map has is left as it is.

Examples:
  nodewright ring rebuild --at 127.0.0.1:7000")]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    at: Where,
}

pub(super) fn rebuild(args: &RebuildArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    told(&target, &target.change(&Request::Rebuild)?);
    Ok(())
}
