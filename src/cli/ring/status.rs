//! The ring as a picture.

use super::files::{Copy, copies, pages};
use super::nodes::hops;
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::{Paint, Terminal};
use crate::service::ring::netmap::{Netmap, Status};
use crate::service::ring::text::Request;
use serde_json::json;
use std::collections::BTreeMap;

/// Show the ring: nodes, states, who backs whom, which parts are missing
#[derive(clap::Args)]
#[command(after_help = "\
Parts are counted over the first files; a part is missing where its node is up and does not have it, and silent where
its node does not answer. The exit status is 1 where a node is dead or a part has no copy that answers.

Examples:
  nodewright ring status
  nodewright ring status --files 0
      The nodes alone
  nodewright ring status --json")]
pub(super) struct Args {
    /// Over how many files parts are counted
    #[arg(long, default_value_t = 200)]
    files: u64,
    #[command(flatten)]
    at: Where,
}

/// What a node holds of the files that were looked at.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
struct Holds {
    owned: u64,
    backed: u64,
    missing: u64,
}

/// What was found.
#[derive(Default)]
struct Found {
    nodes: BTreeMap<String, Holds>,
    files: u64,
    bytes: u64,
    looked_at: u64,
    /// Parts without any copy that answers: file, part.
    unreadable: Vec<(String, u64)>,
    /// Parts with fewer copies than there should be.
    short: u64,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let lines = target.ask(&Request::Netmap { all: true }, |line| line == "OK")?;
    let map = Netmap::from_lines(lines.iter().map(String::as_str)).map_err(Failure::failed)?;
    let order = order(&hops(&target)?, &map);
    let found = look(&target, args.files)?;
    let well = map.0.values().all(|status| *status != Status::Dead) && found.unreadable.is_empty();
    if args.at.json {
        let nodes: Vec<_> = order
            .iter()
            .enumerate()
            .map(|(at, port)| {
                let Holds { owned, backed, missing } = found.nodes.get(port).cloned().unwrap_or_default();
                let (status, backs) = (map.0.get(port).map(ToString::to_string), &order[(at + 1) % order.len()]);
                json!({ "port": port, "state": status, "backs": backs, "parts": owned, "backups": backed,
                    "missing": missing })
            })
            .collect();
        let unreadable: Vec<_> =
            found.unreadable.iter().map(|(file, part)| json!({ "name": file, "part": part })).collect();
        terminal
            .json(&json!({ "nodes": nodes, "files": found.files, "bytes": found.bytes, "looked_at": found.looked_at,
            "short_of_copies": found.short, "unreadable": unreadable, "well": well }));
    } else {
        let dark = |text: &str| terminal.paint(Paint::Dim, text);
        let alive = map.0.values().filter(|status| status.plain() == Status::Alive).count();
        terminal.line(&format!("ring of {}, {alive} alive; {} files, {} bytes", order.len(), found.files, found.bytes));
        for line in picture(&order, &map, &found, terminal) {
            terminal.line(&line);
        }
        if found.looked_at < found.files {
            terminal.line(&dark(&format!("parts of the first {} files", found.looked_at)));
        }
        if found.short > 0 {
            terminal.line(&terminal.paint(Paint::Yellow, &format!("{} parts are short of copies", found.short)));
        }
        for (file, part) in found.unreadable.iter().take(10) {
            terminal.line(&terminal.paint(Paint::Red, &format!("unreadable now: part {part} of {file}")));
        }
        if found.unreadable.len() > 10 {
            terminal.line(&terminal.paint(Paint::Red, &format!("and {} more", found.unreadable.len() - 10)));
        }
    }
    if well { Ok(()) } else { Err(Failure::told()) }
}

/// The nodes from one to the next; those that no hop names stand behind.
fn order(hops: &[(String, String)], map: &Netmap) -> Vec<String> {
    let next: BTreeMap<&str, &str> = hops.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let mut order: Vec<String> = Vec::new();
    let mut at = hops.iter().map(|(from, _)| from.as_str()).min();
    while let Some(port) = at.filter(|port| !order.iter().any(|seen| seen == port)) {
        order.push(port.to_owned());
        at = next.get(port).copied();
    }
    order.extend(map.0.keys().filter(|port| !next.contains_key(port.as_str())).cloned());
    order
}

fn look(target: &Target<'_>, most: u64) -> Result<Found, Failure> {
    let (mut found, mut names) = (Found::default(), Vec::new());
    pages(target, "", "", |row| {
        found.files += 1;
        found.bytes += row.size;
        if (names.len() as u64) < most {
            names.push(row.name);
        }
        true
    })?;
    for name in names {
        match copies(target, &name) {
            Ok(copies) => found.count(&name, &copies),
            Err(failure) if failure.status == 5 => {} // deleted since
            Err(failure) => return Err(failure),
        }
        found.looked_at += 1;
    }
    Ok(found)
}

impl Found {
    fn count(&mut self, name: &str, copies: &[Copy]) {
        let mut parts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for copy in copies {
            let there = copy.state == "there";
            let part = parts.entry(copy.part).or_default();
            part.0 += u64::from(there);
            part.1 += 1;
            let node = self.nodes.entry(copy.port.clone()).or_default();
            match (there, copy.role == "owner") {
                (true, true) => node.owned += 1,
                (true, false) => node.backed += 1,
                (false, _) => node.missing += 1,
            }
        }
        for (part, (there, wanted)) in parts {
            if there == 0 {
                self.unreadable.push((name.to_owned(), part));
            } else if there < wanted {
                self.short += 1;
            }
        }
    }
}

fn picture(order: &[String], map: &Netmap, found: &Found, terminal: &Terminal) -> Vec<String> {
    let width = order.iter().map(String::len).max().unwrap_or(0);
    let last = order.len().saturating_sub(1);
    let line = |(at, port): (usize, &String)| {
        let status = map.0.get(port).copied().unwrap_or(Status::Dead);
        let (dot, paint) = match status {
            Status::Alive => ("●", Paint::Green),
            Status::Suspect | Status::Full | Status::Joining => ("◐", Paint::Yellow),
            Status::Dead => ("○", Paint::Red),
        };
        let edge = match (at, last) {
            (0, 0) => "──",
            (0, _) => "┌▶",
            (at, last) if at == last => "└─",
            _ => "│ ",
        };
        let Holds { owned, backed, missing } = found.nodes.get(port).cloned().unwrap_or_default();
        let lacks = match missing {
            0 => String::new(),
            missing => terminal.paint(Paint::Red, &format!(", {missing} missing")),
        };
        let state = terminal.paint(paint, &format!("{dot} {:<7}", status.to_string()));
        let backs = &order[(at + 1) % order.len()];
        format!("  {edge} {port:>width$} {state} backs {backs:<width$}  {owned} parts, {backed} backups{lacks}")
    };
    order.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(part: u64, role: &str, port: &str, state: &str) -> Copy {
        Copy::new(part, role, port, state)
    }

    #[test]
    fn the_picture_goes_round_and_says_what_is_missing() {
        let hops = [("7001", "7002"), ("7002", "7000"), ("7000", "7001")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let map = Netmap::from_entries("7000=Alive,7001=Dead,7002=Alive,7009=Joining").expect("a map");
        let order = order(&hops, &map);
        assert_eq!(order, ["7000", "7001", "7002", "7009"]);
        let mut found = Found::default();
        let copies = [
            copy(1, "owner", "7000", "there"),
            copy(1, "backup", "7002", "there"),
            copy(2, "owner", "7001", "silent"),
            copy(2, "backup", "7000", "there"),
            copy(3, "owner", "7002", "missing"),
            copy(3, "backup", "7001", "silent"),
        ];
        found.count("a", &copies);
        assert_eq!((found.short, &found.unreadable[..]), (1, &[("a".to_owned(), 3)][..]));
        assert_eq!(found.nodes["7001"], Holds { owned: 0, backed: 0, missing: 2 });
        let lines = picture(&order, &map, &found, &Terminal::new());
        assert_eq!(lines[0], "  ┌▶ 7000 ● Alive   backs 7001  1 parts, 1 backups");
        assert!(lines[1].contains("○ Dead") && lines[1].ends_with("0 parts, 0 backups, 2 missing"), "{lines:?}");
    }
}
