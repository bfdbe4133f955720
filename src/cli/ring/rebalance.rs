//! Files to nodes that came later.

use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::service::ring::text::{Rate, Request};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;
use std::time::Duration;

/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_millis(500);

/// Move files to today's ring, so that nodes that came later have their share
#[derive(clap::Args)]
#[command(after_help = "\
The ring does it by itself from then on, whatever becomes of this command or of the node that does it; files stay
readable all the time. A file that was moved has the next version. Files that can still be undone are moved later.

Examples:
  nodewright ring rebalance --rate 100000000
  nodewright ring rebalance --background
  nodewright ring rebalance --status --json
  nodewright ring rebalance --stop")]
pub(super) struct Args {
    /// Bytes a second that are moved at most; without it 32 MiB. Of one that runs, it is changed
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Stop one that runs: the file under way stays where it was
    #[arg(long, conflicts_with_all = ["rate", "status", "background"])]
    stop: bool,
    /// Only say how far it has come
    #[arg(long, conflicts_with_all = ["rate", "background"])]
    status: bool,
    /// Order it, and do not wait until it is done
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    at: Where,
}

/// What a node tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Told {
    state: String,
    moved: u64,
    bytes: u64,
    left: u64,
    rate: u64,
}

impl Told {
    fn read(line: &str) -> Result<Self, Failure> {
        let field = |key: &str| line.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
        let number = |key: &str| field(key).and_then(|value| value.parse().ok());
        let told = || {
            Some(Told {
                state: field("state")?.to_owned(),
                moved: number("moved")?,
                bytes: number("bytes")?,
                left: number("left")?,
                rate: number("rate")?,
            })
        };
        told().ok_or_else(|| Failure::failed(format!("'{line}' is no answer to that")))
    }

    fn show(&self, target: &Target<'_>) {
        let Told { state, moved, bytes, left, rate } = self;
        if target.json {
            let told = json!({ "state": state, "moved": moved, "bytes": bytes, "left": left, "rate": rate });
            return target.terminal.json(&told);
        }
        let state = if state == "none" { "never ordered" } else { state };
        let later = if *left > 0 { format!(", {left} files are left for later") } else { String::new() };
        target.terminal.line(&format!("{state}: {moved} files moved, {bytes} bytes{later}"));
    }
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let target = args.at.find(terminal)?;
    let rate = match args.rate {
        _ if args.status => Rate::Status,
        _ if args.stop => Rate::Stop,
        Some(bytes) => Rate::Bytes(bytes),
        None => Rate::Usual,
    };
    // ordered twice is ordered once
    let mut told = Told::read(&target.ask_line(&Request::Rebalance(rate))?)?;
    let bar = ProgressBar::new_spinner();
    if target.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    while told.state == "running" && !(args.status || args.background) {
        bar.set_message(format!("{} files moved, {} bytes; Ctrl-C leaves it to the ring", told.moved, told.bytes));
        bar.tick();
        std::thread::sleep(LOOK);
        told = Told::read(&target.ask_line(&Request::Rebalance(Rate::Status))?)?;
    }
    bar.finish_and_clear();
    told.show(&target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_is_read_or_refused() {
        let told = Told::read("OK state=running moved=3 bytes=77 left=1 rate=5").ok();
        assert_eq!(told, Some(Told { state: "running".into(), moved: 3, bytes: 77, left: 1, rate: 5 }));
        assert!(Told::read("OK").is_err() && Told::read("OK state=done moved=x bytes=0 left=0 rate=0").is_err());
    }
}
