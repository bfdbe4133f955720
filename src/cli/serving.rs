//! A node that runs until it is stopped: what the `serve` of every system shares.

use super::Failure;
use super::process::die_with_parent;
use super::terminal::Terminal;
use crate::node::{Node, Running, StartError};
use serde_json::{Map, Value, json};
use std::io::Read;

/// Says that it is up, in JSON with `facts` beside its name and process, or as `line`.
pub(super) struct Up {
    pub(super) facts: Value,
    pub(super) line: String,
}

/// Starts the node, says so, and returns when it has stopped: by Ctrl-C, or where it is
/// `supervised`, with its standard input or the process that started it.
pub(super) fn serve(
    node: Node,
    supervised: bool,
    json: bool,
    terminal: &Terminal,
    up: impl FnOnce(&Running) -> Up,
) -> Result<(), Failure> {
    if supervised {
        die_with_parent().map_err(Failure::failed)?;
    }
    let running = node.start().map_err(|error| match error {
        StartError::Wiring(report) => Failure::usage(report),
        error => Failure::failed(error),
    })?;
    let Up { facts, line } = up(&running);
    if json {
        let mut all = Map::new();
        all.insert("event".into(), json!("up"));
        all.insert("node".into(), json!(running.name()));
        all.insert("pid".into(), json!(std::process::id()));
        all.extend(facts.as_object().cloned().unwrap_or_default());
        terminal.json(&Value::Object(all));
    } else {
        terminal.line(&format!("{} {line}; Ctrl-C stops it", running.name()));
    }
    running.stop_on_ctrl_c().map_err(Failure::failed)?;
    if supervised {
        let stopped = running.clone();
        std::thread::spawn(move || {
            // Nothing is said on it: its end is what counts.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            stopped.stop();
        });
    }
    running.join().map_err(Failure::failed)
}

/// Where it links, as it came out.
pub(super) fn listens(running: &Running) -> String {
    running.local_addr().map(|address| address.to_string()).unwrap_or_default()
}
