//! A file's bytes, from another node where one breaks off.

use super::ask::Trouble;
use super::link::Link;
use super::nodes::Nodes;
use crate::service::ring::name::Name;
use crate::service::ring::text::Request;
use crate::service::ring::text::answer::Ranged;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Between two rounds through all nodes.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A range of one version of a file that is being read.
pub(super) struct Reading {
    nodes: Arc<Nodes>,
    name: Name,
    /// Offset of the next byte.
    at: u64,
    end: u64,
    version: u64,
    size: u64,
    link: Link,
}

impl Reading {
    /// Begins at `offset`, with at most `length` bytes.
    pub(super) async fn begin(nodes: Arc<Nodes>, name: Name, offset: u64, length: u64) -> Result<Reading, Trouble> {
        let mut order = nodes.order(Some(name.as_str().as_bytes()));
        let mut trouble = None;
        loop {
            match Reading::ask(&nodes, &mut order, &name, offset, length).await {
                Ok((link, Ranged { length, size, version })) => {
                    return Ok(Reading { nodes, name, at: offset, end: offset + length, version, size, link });
                }
                Err(Trouble::Nobody(why)) => return Err(trouble.unwrap_or(Trouble::Nobody(why))),
                Err(failed) if failed.may_be_better_elsewhere() => trouble = Some(failed),
                Err(failed) => return Err(failed),
            }
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes; `None` when it is whole.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        if self.at == self.end {
            return Ok(None);
        }
        let mut until = None;
        loop {
            let error = match self.link.bytes(self.end - self.at).await {
                Ok(bytes) if !bytes.is_empty() => {
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(_) => io::ErrorKind::UnexpectedEof.into(),
                Err(error) => error,
            };
            let node = &self.link.node;
            log::info!(target: "nodewright::ring_gateway", "{node} broke off at byte {} of {}: {error}", self.at, self.name);
            self.nodes.failed(node);
            match until {
                None => until = Some(Instant::now() + self.nodes.limits.stall_within),
                // they answer, and bring no byte
                Some(until) if Instant::now() > until => {
                    return Err(Trouble::Broken { node: node.clone(), error });
                }
                Some(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
            self.go_on(error, until.unwrap_or_else(Instant::now)).await?;
        }
    }

    /// Goes on at another node, with the same version, if there is one in time.
    async fn go_on(&mut self, error: io::Error, until: Instant) -> Result<(), Trouble> {
        let mut trouble = Trouble::Broken { node: self.link.node.clone(), error };
        loop {
            let mut order = self.nodes.order(Some(self.name.as_str().as_bytes()));
            while !order.is_empty() {
                let (at, left) = (self.at, self.end - self.at);
                match Reading::ask(&self.nodes, &mut order, &self.name, at, left).await {
                    Ok((link, ranged)) if ranged.version == self.version && ranged.length == left => {
                        self.link = link;
                        return Ok(());
                    }
                    Ok(_) => return Err(Trouble::Changed),
                    Err(Trouble::Nobody(_)) => break,
                    Err(failed) if failed.may_be_better_elsewhere() => trouble = failed,
                    Err(failed) => return Err(failed),
                }
            }
            if Instant::now() > until {
                return Err(trouble);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks the first of `order` that is there, and takes it out.
    async fn ask(
        nodes: &Nodes,
        order: &mut Vec<String>,
        name: &Name,
        offset: u64,
        length: u64,
    ) -> Result<(Link, Ranged), Trouble> {
        let mut link = nodes.open(order.clone()).await.map_err(Trouble::Nobody)?;
        let at = order.iter().position(|other| *other == link.node).unwrap_or(0);
        order.drain(..=at);
        let request = Request::Get { offset, length, name: name.clone() };
        let line = async {
            link.say(format!("{request}\n")).await?;
            link.line().await
        };
        let line = timeout(nodes.limits.answer_within, line).await;
        let line = line.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            nodes.failed(&link.node);
            Trouble::Broken { node: link.node.clone(), error }
        })?;
        Ok((link, Ranged::read(&line)?))
    }
}
