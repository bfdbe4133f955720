//! A node with a document store, seen from inside: clients on its threads.

use super::child::serve;
use super::clients::measure;
use crate::id::NodeId;
use crate::node::{Batch, Documents, Node, Running};
use crate::service::documents::query::Filter;
use crate::service::documents::{Find, IndexSpec, Write};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long anything of a run may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);
const COLLECTION: &str = "bench";
/// Documents that reads choose from.
const READ_FROM: u64 = 10_000;

/// One of the nodes of a run.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which of `ports` is this one's
    #[arg(long)]
    index: usize,
    /// Ports of all nodes
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// The file with the cluster secret
    #[arg(long)]
    secret: PathBuf,
    /// Bytes of a document
    #[arg(long)]
    size: usize,
    /// Where it keeps everything
    #[arg(long)]
    dir: PathBuf,
}

fn name(index: usize) -> String {
    format!("docs-{index}")
}

/// A document of about `size` bytes of JSON.
fn document(id: u64, size: usize) -> Value {
    let bare = json!({ "_id": format!("d{id:010}"), "n": id, "text": "" });
    let room = size.saturating_sub(bare.to_string().len());
    json!({ "_id": format!("d{id:010}"), "n": id, "text": "x".repeat(room) })
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Runs the node: `clients N MS` adds documents, `reads N MS` reads them
/// linearizably, `batches N MS SIZE` adds them by batches, `load N` fills it, `finds
/// MS` looks one up by an index, `bytes` tells what a document takes in memory.
pub(super) fn run(args: &Args) -> io::Result<()> {
    let peers = args.ports.iter().map(|port| format!("127.0.0.1:{port}"));
    let node = Node::new(name(args.index), args.ports[args.index], 16)
        .secret_file(&args.secret)
        .has_peers(peers)
        .has_documents(args.dir.join(name(args.index)))
        .documents_bytes_max(8 << 30);
    let running = node.start().map_err(other)?;
    let documents = running.documents().within(PATIENCE);
    if args.index == 0 {
        begin(&running, &documents, args)?;
    }
    let next = AtomicU64::new(READ_FROM);
    serve("", |question| {
        let insert = |_| {
            let (documents, next, size) = (documents.clone(), &next, args.size);
            move || {
                let id = next.fetch_add(1, Ordering::Relaxed);
                documents.insert(COLLECTION, document(id, size)).map(drop).map_err(other)
            }
        };
        let words: Vec<&str> = question.split_whitespace().collect();
        match &words[..] {
            ["clients", ..] => measure(question, insert),
            ["reads", ..] => measure(question, |client| {
                let documents = documents.clone();
                let mut at = client as u64;
                move || {
                    at = (at * 7 + 13) % READ_FROM;
                    let got = documents.get(COLLECTION, format!("d{at:010}")).map_err(other)?;
                    got.value.map(drop).ok_or_else(|| io::Error::other("a document is missing"))
                }
            }),
            ["batches", clients, ms, batch] => {
                let batch: u64 = batch.parse().map_err(other)?;
                measure(&format!("clients {clients} {ms}"), |_| {
                    let (documents, next, size) = (documents.clone(), &next, args.size);
                    move || {
                        let first = next.fetch_add(batch, Ordering::Relaxed);
                        batch_of(&documents, first..first + batch, size)
                    }
                })
            }
            ["load", count] => {
                let count: u64 = count.parse().map_err(other)?;
                let first = next.fetch_add(count, Ordering::Relaxed);
                load(&documents, first, count, args.size)?;
                Ok("loaded".to_string())
            }
            ["finds", ms] => measure(&format!("clients 1 {ms}"), |_| {
                let documents = documents.clone();
                let mut at = 1u64;
                move || {
                    at = (at * 7 + 13) % READ_FROM;
                    let filter = Filter::parse(&json!({ "n": at })).map_err(other)?;
                    let page = documents.find(COLLECTION, Find::matching(filter).demanding_index()).map_err(other)?;
                    if page.value.documents.len() == 1 { Ok(()) } else { Err(io::Error::other("not found once")) }
                }
            }),
            ["bytes"] => {
                let stats = documents.collections().map_err(other)?.value;
                let (bytes, count) = stats
                    .collections
                    .iter()
                    .fold((0, 0), |(bytes, count), it| (bytes + it.bytes, count + it.documents));
                Ok(format!("{} {count}", bytes / count.max(1)))
            }
            _ => Err(io::Error::other(format!("'{question}' is no question"))),
        }
    })
}

/// Leads, and holds what reads choose from.
fn begin(running: &Running, documents: &Documents, args: &Args) -> io::Result<()> {
    documents.create_collection(COLLECTION).map_err(other)?;
    documents.create_index(COLLECTION, IndexSpec::over(["n"])).map_err(other)?;
    let me: NodeId = running.life().node;
    running.log_transfer(me, PATIENCE).map_err(other)?;
    load(documents, 0, READ_FROM, args.size)
}

fn load(documents: &Documents, first: u64, count: u64, size: usize) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(600);
    for start in (first..first + count).step_by(1000) {
        batch_of(documents, start..(start + 1000).min(first + count), size)?;
        if Instant::now() > until {
            return Err(io::Error::other("loading takes too long"));
        }
    }
    Ok(())
}

fn batch_of(documents: &Documents, ids: std::ops::Range<u64>, size: usize) -> io::Result<()> {
    let mut batch = Batch::new();
    for id in ids {
        batch.push(COLLECTION, Write::Insert(document(id, size).try_into().map_err(other)?));
    }
    documents.batch(batch).map(drop).map_err(other)
}
