//! Which nodes are asked.

use super::talk::{Talk, Trouble};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::service::ring::text::Request;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file in a ring's directory that tells its nodes.
const RING_FILE: &str = "ring.json";
/// Between two rounds through all addresses.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Where the ring is, and how long it is asked
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Where {
    /// A gateway, or nodes; several are tried in turn
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', env = "NODEWRIGHT_RING")]
    at: Vec<String>,
    /// A ring's directory (of `ring up`); without it and --at: 127.0.0.1:8000, then :7000
    #[arg(long, value_name = "DIR", conflicts_with = "at")]
    dir: Option<PathBuf>,
    /// The file with the token that is asked for
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long it is tried, and how long one may stall
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(super) within: Duration,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What a ring's directory tells.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RingFile {
    /// The nodes' addresses, in order.
    pub(super) nodes: Vec<String>,
    /// The gateway's, if there is one.
    pub(super) gateway: Option<String>,
}

impl RingFile {
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(RING_FILE);
        match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(file) => Ok(Some(file)),
                Err(error) => Err(Failure::usage(format!("{} is no ring's: {error}", path.display()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))),
        }
    }

    /// Writes it, all or nothing.
    pub(super) fn save(&self, dir: &Path) -> std::io::Result<()> {
        let (path, new) = (dir.join(RING_FILE), dir.join("ring.json.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, path)
    }
}

/// Reads a token's file.
pub(super) fn token(path: Option<&PathBuf>) -> Result<Option<String>, Failure> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        match text.trim() {
            "" => Err(Failure::usage(format!("{} holds no token", path.display()))),
            text => Ok(text.to_owned()),
        }
    };
    path.map(read).transpose()
}

/// Nodes that can be asked.
pub(super) struct Target<'t> {
    addresses: Vec<String>,
    token: Option<String>,
    pub(super) within: Duration,
    pub(super) json: bool,
    pub(super) terminal: &'t Terminal,
}

impl Where {
    pub(super) fn find<'t>(&self, terminal: &'t Terminal) -> Result<Target<'t>, Failure> {
        let addresses = match &self.dir {
            Some(dir) => {
                let found = RingFile::load(dir)?;
                let none = || Failure::usage(format!("{} is no ring's directory: no {RING_FILE}", dir.display()));
                let RingFile { nodes, gateway } = found.ok_or_else(none)?;
                gateway.into_iter().chain(nodes).collect()
            }
            None if self.at.is_empty() => vec!["127.0.0.1:8000".into(), "127.0.0.1:7000".into()],
            None => self.at.clone(),
        };
        let token = token(self.token_file.as_ref())?;
        Ok(Target { addresses, token, within: self.within, json: self.json, terminal })
    }
}

impl Target<'_> {
    /// A conversation with the first that answers.
    pub(super) fn talk(&self) -> Result<Talk, Trouble> {
        let mut whys = Vec::new();
        for address in &self.addresses {
            match Talk::open(address, self.token.as_deref(), self.within) {
                Ok(talk) => return Ok(talk),
                Err(why) => whys.push(format!("{address}: {why}")),
            }
        }
        Err(Trouble::Nobody(format!("nobody answers ({})", whys.join("; "))))
    }

    /// Asks a question that does no harm, again and again until it is answered.
    pub(super) fn ask(&self, request: &Request, last: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
        let until = Instant::now() + self.within;
        loop {
            let lines = self.talk().and_then(|mut talk| talk.ask(request, &last));
            match lines {
                Err(trouble) if trouble.may_pass() && Instant::now() < until => std::thread::sleep(AGAIN_AFTER),
                lines => return lines.map_err(|trouble| self.failed(&trouble)),
            }
        }
    }

    /// Asks a question whose answer is one line.
    pub(super) fn ask_line(&self, request: &Request) -> Result<String, Failure> {
        Ok(self.ask(request, |_| true)?.pop().unwrap_or_default())
    }

    /// Has something changed, which is asked once.
    pub(super) fn change(&self, request: &Request) -> Result<String, Failure> {
        let line = self.talk().and_then(|mut talk| talk.ask(request, |_| true));
        let mut lines = line.map_err(|trouble| self.failed(&trouble))?;
        Ok(lines.pop().unwrap_or_default())
    }

    /// What went wrong, as the person or the program wants it.
    pub(super) fn failed(&self, trouble: &Trouble) -> Failure {
        let status = trouble.status();
        if self.json {
            let problem = json!({ "code": trouble.code(), "message": trouble.to_string(), "state": trouble.state() });
            self.terminal.json(&json!({ "problem": problem }));
            return Failure { status, message: String::new() };
        }
        Failure { status, message: trouble.to_string() }
    }

    /// The answer, or the exit that its absence means.
    pub(super) fn well<T, E: Into<Trouble>>(&self, answer: Result<T, E>) -> Result<T, Failure> {
        answer.map_err(|error| self.failed(&error.into()))
    }
}
