//! A question to whoever answers.

use super::nodes::Nodes;
use crate::service::ring::text::answer::{NoAnswer, accepted};
use crate::service::ring::text::reply::Code;
use crate::service::ring::text::{Rate, Request};
use std::io;
use thiserror::Error;
use tokio::time::timeout;

/// Most lines of an answer: a page of a list.
const LINES_MAX: usize = 1200;

/// Why nothing, or not all, could be done.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// Nothing was done.
    #[error("{0}")]
    Nobody(String),
    /// A node says why not.
    #[error("{0}")]
    Refused(#[from] NoAnswer),
    /// The node went while it was asked: what it did is not known.
    #[error("{node} broke off: {error}")]
    Broken { node: String, error: io::Error },
    /// The file was overwritten or deleted while it was read.
    #[error("the file has changed while it was read")]
    Changed,
    /// The client said something that cannot be done. Nothing was.
    #[error("{0}")]
    Client(String),
}

impl Trouble {
    /// The node's own word for it.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Trouble::Refused(NoAnswer::Refused { code, .. }) => *code,
            _ => None,
        }
    }

    /// Whether another node may know better.
    pub(super) fn may_be_better_elsewhere(&self) -> bool {
        match self {
            Trouble::Broken { .. } => true,
            trouble => matches!(trouble.code(), Some(Code::Unavailable | Code::Busy)),
        }
    }
}

/// Whether asking twice does no harm.
pub(super) fn is_harmless(request: &Request) -> bool {
    !matches!(
        request,
        Request::Push { .. }
            | Request::PushIf { .. }
            | Request::Delete(_)
            | Request::Undo(_)
            | Request::Next(_)
            | Request::Drain(_)
            | Request::Forget(_)
            | Request::Rebalance(Rate::Usual | Rate::Bytes(_) | Rate::Stop)
            | Request::Rebuild
    )
}

/// What the request's file is called.
pub(super) fn name_of(request: &Request) -> Option<&[u8]> {
    let name = match request {
        Request::Push { name, .. } | Request::PushIf { name, .. } | Request::Get { name, .. } => name,
        Request::Pull(name) | Request::Stat(name) | Request::Manifest(name) | Request::Explain(name) => name,
        Request::Delete(name) | Request::Undo(name) | Request::Scrub(Some(name)) => name,
        Request::GetChunk(chunk) | Request::GetBackupChunk(chunk) | Request::GetChunkForBackup(chunk) => &chunk.name,
        _ => return None,
    };
    Some(name.as_str().as_bytes())
}

/// Asks one node after the other, until one has answered with lines up to `last`.
pub(super) async fn ask(nodes: &Nodes, request: &Request, last: impl Fn(&str) -> bool) -> Result<Vec<String>, Trouble> {
    let mut order: Vec<String> = nodes.order(name_of(request));
    let mut trouble = None;
    while !order.is_empty() {
        let mut link = match nodes.open(order.clone()).await {
            Ok(link) => link,
            Err(why) => return Err(trouble.unwrap_or(Trouble::Nobody(why))),
        };
        let node = link.node.clone();
        let answer = async {
            link.say(format!("{request}\n")).await?;
            link.lines(LINES_MAX, &last).await
        };
        let answer = timeout(nodes.limits.answer_within, answer).await;
        let lines = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let failed = match lines {
            Ok(lines) => match accepted(lines.first().map_or("", String::as_str)) {
                Ok(_) => return Ok(lines),
                Err(refused) => refused.into(),
            },
            Err(error) => {
                nodes.failed(&node);
                Trouble::Broken { node: node.clone(), error }
            }
        };
        if !is_harmless(request) || !failed.may_be_better_elsewhere() {
            return Err(failed);
        }
        trouble = Some(failed);
        // those before it did not answer at all
        let at = order.iter().position(|other| *other == node).unwrap_or(order.len() - 1);
        order.drain(..=at);
    }
    Err(trouble.unwrap_or_else(|| Trouble::Nobody("no node is known".into())))
}

/// The one line of an answer.
pub(super) async fn ask_line(nodes: &Nodes, request: &Request) -> Result<String, Trouble> {
    Ok(ask(nodes, request, |_| true).await?.pop().unwrap_or_default())
}
