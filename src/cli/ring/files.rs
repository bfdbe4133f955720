//! What the ring has.

use super::push::name;
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::{Paint, Terminal};
use crate::service::ring::text::answer::{Listed, Row, Stat, version};
use crate::service::ring::text::{Listing, Request};
use serde_json::json;

/// Rows that are asked for at once.
const PAGE: u32 = 500;

/// List files
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring list
  nodewright ring list photos/ --json
  nodewright ring list --after photos/z --limit 100")]
pub(super) struct ListArgs {
    /// Only names that begin so
    #[arg(default_value = "")]
    prefix: String,
    /// Only names behind this one
    #[arg(long, default_value = "")]
    after: String,
    /// At most so many
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    at: Where,
}

/// All files of the ring, a page at a time, as long as `each` wants more.
pub(super) fn pages(
    target: &Target<'_>,
    prefix: &str,
    after: &str,
    mut each: impl FnMut(Row) -> bool,
) -> Result<(), Failure> {
    let mut after = after.as_bytes().to_vec();
    loop {
        let listing = Listing { prefix: prefix.into(), after, limit: PAGE };
        let last = |line: &str| matches!(Listed::read(line), Ok(Listed::End(_)) | Err(_));
        let mut next = None;
        for line in target.ask(&Request::ListPage(listing), last)? {
            match target.well(Listed::read(&line))? {
                Listed::Header => {}
                Listed::Row(row) => {
                    if !each(row) {
                        return Ok(());
                    }
                }
                Listed::End(end) => next = end,
            }
        }
        match next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

pub(super) fn list(args: &ListArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut first = true;
    pages(&target, &args.prefix, &args.after, |row| {
        let Row { name, start, size, version, parts, copies, mtime_ms, root } = row;
        if args.at.json {
            terminal.json(&json!({ "name": name, "start": start, "size": size, "version": version, "parts": parts,
                "copies": copies, "mtime_ms": mtime_ms, "root": root }));
        } else {
            if first {
                let head =
                    format!("{:>14}  {:>7}  {:>5}  {:>6}  {:>5}  name", "bytes", "version", "parts", "copies", "start");
                terminal.line(&terminal.paint(Paint::Dim, &head));
            }
            terminal.line(&format!("{size:>14}  {version:>7}  {parts:>5}  {copies:>6}  {start:>5}  {name}"));
        }
        first = false;
        left -= 1;
        left > 0
    })
}

/// Delete files; for a while they can be brought back by `undo`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring rm photo.jpg
  nodewright ring undo photo.jpg")]
pub(super) struct RmArgs {
    /// The files' names
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn rm(args: &RmArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    for text in &args.names {
        let name = name(text)?;
        let line = target.change(&Request::Delete(name.clone()))?;
        changed(&target, name.as_str(), "deleted", target.well(version(&line))?);
    }
    Ok(())
}

fn changed(target: &Target<'_>, name: &str, what: &str, version: u64) {
    if target.json {
        target.terminal.json(&json!({ "name": name, "done": what, "version": version }));
    } else {
        target.terminal.line(&format!("{name} {what} (version {version})"));
    }
}

/// Bring back what was deleted or overwritten of late
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring undo photo.jpg")]
pub(super) struct UndoArgs {
    /// The file's name
    name: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn undo(args: &UndoArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let name = name(&args.name)?;
    let line = target.change(&Request::Undo(name.clone()))?;
    changed(&target, name.as_str(), "brought back", target.well(version(&line))?);
    Ok(())
}

/// What is known of a file
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring stat photo.jpg
  nodewright ring stat photo.jpg --json")]
pub(super) struct StatArgs {
    /// The file's name
    name: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn stat(args: &StatArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let name = name(&args.name)?;
    let stat = target.well(Stat::read(&target.ask_line(&Request::Stat(name.clone()))?))?;
    let Stat { size, root, version, parts, copies, mtime_ms, deleted } = stat;
    if args.at.json {
        terminal.json(&json!({ "name": name.as_str(), "size": size, "root": root, "version": version, "parts": parts,
            "copies": copies, "mtime_ms": mtime_ms, "deleted": deleted }));
    } else {
        let state = if deleted { ", deleted" } else { "" };
        terminal.line(&format!("{name}: {size} bytes, version {version}{state}, {parts} parts in {copies} copies"));
        terminal.line(&format!("blake3 {root}"));
    }
    Ok(())
}

/// One copy of a part, as `FILE EXPLAIN` tells it.
pub(super) struct Copy {
    pub(super) part: u64,
    pub(super) role: String,
    pub(super) port: String,
    pub(super) state: String,
    verified: String,
}

#[cfg(test)]
impl Copy {
    pub(super) fn new(part: u64, role: &str, port: &str, state: &str) -> Self {
        let (role, port, state) = (role.into(), port.into(), state.into());
        Copy { part, role, port, state, verified: "never".into() }
    }
}

/// Where each part and copy of a file is.
pub(super) fn copies(target: &Target<'_>, text: &str) -> Result<Vec<Copy>, Failure> {
    let lines = target.ask(&Request::Explain(name(text)?), |line| line == "OK")?;
    let read = |line: &String| {
        let mut fields = line.strip_prefix("part ")?.split(' ').map(str::to_owned);
        let (part, role, port, state) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?, fields.next()?);
        let verified = fields.next()?.strip_prefix("verified=")?.to_owned();
        Some(Copy { part, role, port, state, verified })
    };
    Ok(lines.iter().filter_map(read).collect())
}

/// Where each part and copy of a file is
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright ring explain photo.jpg")]
pub(super) struct ExplainArgs {
    /// The file's name
    name: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn explain(args: &ExplainArgs, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    for Copy { part, role, port, state, verified } in copies(&target, &args.name)? {
        if args.at.json {
            let verified: Option<u64> = verified.parse().ok();
            terminal
                .json(&json!({ "part": part, "role": role, "port": port, "state": state, "verified_ms": verified }));
        } else {
            let paint = if state == "there" { Paint::Green } else { Paint::Red };
            terminal.line(&format!("part {part:<4} {role:<7} {port:>6}  {}", terminal.paint(paint, &state)));
        }
    }
    Ok(())
}
