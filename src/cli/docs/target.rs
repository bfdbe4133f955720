//! Which nodes are asked.

use super::failed;
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::http::{Client, Problem, Token, client};
use crate::node::{Node, Running};
use crate::protocol::replicated_log::LogLeader;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file in a cluster's directory that tells its nodes.
const CLUSTER_FILE: &str = "cluster.json";
/// The name of a node that is only this process's.
const EMBEDDED: &str = "embedded";
/// Between two looks at whether a store can be opened at all.
const LOOK: Duration = Duration::from_millis(200);

/// Where the store is, and how long it is asked
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Where {
    /// Nodes that answer HTTP; several are tried in turn
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', env = "NODEWRIGHT_AT")]
    at: Vec<String>,
    /// A cluster's directory (of `docs up`); or that of a store to be opened here
    #[arg(long, value_name = "DIR", conflicts_with = "at")]
    dir: Option<PathBuf>,
    /// The file with the token that the nodes ask for
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long it is tried
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    within: Duration,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What a cluster's directory tells.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ClusterFile {
    /// The nodes, in order.
    pub(super) nodes: Vec<ClusterNode>,
}

/// A node of a cluster.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct ClusterNode {
    /// Its name.
    pub(super) name: String,
    /// Where it answers HTTP.
    pub(super) http: String,
    /// Where it links.
    pub(super) listen: String,
}

impl ClusterFile {
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(CLUSTER_FILE);
        match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(file) => Ok(Some(file)),
                Err(error) => Err(Failure::usage(format!("{} is no cluster's: {error}", path.display()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))),
        }
    }

    pub(super) fn save(&self, dir: &Path) -> std::io::Result<()> {
        let (path, new) = (dir.join(CLUSTER_FILE), dir.join("cluster.json.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, path)
    }
}

/// A store that can be asked; closed at the end.
pub(super) struct Target<'t> {
    pub(super) client: Client,
    embedded: Option<Running>,
    pub(super) json: bool,
    pub(super) terminal: &'t Terminal,
}

impl Where {
    /// Finds the nodes, or opens the store.
    pub(super) fn open<'t>(&self, terminal: &'t Terminal) -> Result<Target<'t>, Failure> {
        let target = |client: Client, embedded| {
            Ok::<_, Failure>(Target { client: client.within(self.within), embedded, json: self.json, terminal })
        };
        let token = self.token_file.as_ref().map(Token::load).transpose().map_err(Failure::usage)?;
        let with_token = |client: Client| match token.clone() {
            Some(token) => client.token(token),
            None => client,
        };
        let Some(dir) = &self.dir else {
            if self.at.is_empty() {
                let why =
                    "where is the store? Name nodes by --at HOST:PORT (or NODEWRIGHT_AT), or a directory by --dir";
                return Err(Failure::usage(why));
            }
            return target(with_token(Client::new(self.at.iter().cloned())), None);
        };
        if let Some(cluster) = ClusterFile::load(dir)? {
            return target(with_token(Client::new(cluster.nodes.into_iter().map(|node| node.http))), None);
        }
        let token = Token::new(format!("{:032x}", client::new_key())).map_err(Failure::failed)?;
        let node = Node::new(EMBEDDED, 0, 1).has_documents(dir).has_http("127.0.0.1:0").http_token(token.clone());
        let running = node.start().map_err(Failure::failed)?;
        let Some(address) = running.http_addr() else {
            return Err(Failure::failed("the store does not answer"));
        };
        let target = target(Client::new([address.to_string()]).token(token), Some(running))?;
        target.led(self.within)?;
        Ok(target)
    }
}

impl Target<'_> {
    /// Waits until a store that was opened here leads its group of one.
    fn led(&self, within: Duration) -> Result<(), Failure> {
        let Some(running) = &self.embedded else { return Ok(()) };
        let leaders = running.events::<LogLeader>();
        let until = Instant::now() + within;
        loop {
            let unusable = running.log_status().ok().and_then(|status| status.unusable);
            if let Some(why) = unusable {
                return Err(Failure::failed(format!("the store cannot be opened: {why} (nothing was done)")));
            }
            match leaders.next_within(until.saturating_duration_since(Instant::now()).min(LOOK)) {
                Some(LogLeader { node: Some(_), .. }) => return Ok(()),
                _ if Instant::now() < until => {}
                _ => {
                    return Err(Failure {
                        status: 4,
                        message: "the store did not open in time (nothing was done)".into(),
                    });
                }
            }
        }
    }

    /// The answer, or the exit that its problem means.
    pub(super) fn well<T>(&self, answer: Result<T, Problem>) -> Result<T, Failure> {
        answer.map_err(|problem| failed(&problem, self.json, self.terminal))
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some(running) = &self.embedded {
            running.stop();
        }
    }
}
