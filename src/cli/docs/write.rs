//! What changes something.

use super::read_json;
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::values::duration;
use crate::http::client::{Reply, Request, segment};
use crate::protocol::replicated_log::Key;
use serde_json::{Value, json};
use std::time::Duration;

/// A write's own name, so that it is done once
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Once {
    /// Idempotency key, 32 hexadecimal digits: the same key again does it once
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<Key>,
}

pub(super) fn key(text: &str) -> Result<Key, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_key = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key
        .then(|| Key::from_str_radix(&digits, 16).ok())
        .flatten()
        .ok_or_else(|| format!("'{text}' is no key: 32 hexadecimal digits, or a UUID"))
}

/// The path of a collection's part.
pub(super) fn of(collection: &str, rest: &str) -> String {
    format!("/v1/collections/{}{rest}", segment(collection))
}

impl Target<'_> {
    pub(super) fn write(&mut self, request: Request, once: &Once) -> Result<Reply, Failure> {
        if let Some(key) = once.key {
            self.client.next_key(key);
        }
        let reply = self.client.call(request);
        self.well(reply)
    }

    /// Shows what a write came to: `words` for people.
    fn show(&self, reply: &Reply, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let value = self.well(reply.value())?;
        if self.json {
            self.terminal.json(&value);
        } else {
            let receipt = &value["receipt"];
            let synced = match receipt["synced"].as_u64() {
                Some(nodes) if nodes > 0 => format!("synced on {nodes} node{}", if nodes == 1 { "" } else { "s" }),
                _ => "synced on a majority".to_string(),
            };
            self.terminal.line(&format!("{} ({synced}, index {})", words(&value), receipt["index"]));
        }
        Ok(())
    }
}

/// Create a collection
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs create people --dir store\n  nodewright docs create sessions --expire-after 30m --at 127.0.0.1:8080"
)]
pub(super) struct CreateArgs {
    /// Its name: letters, digits, and '_-.' behind the first
    collection: String,
    /// Documents go so long after they were last written
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expire_after: Option<Duration>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn create(args: &CreateArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let options = match args.expire_after {
        Some(time) => json!({ "expire_after_ms": time.as_millis() as u64 }),
        None => json!({}),
    };
    let reply = target.write(Request::new("PUT", of(&args.collection, "")).json(&options), &args.once)?;
    target.show(&reply, |it| {
        format!("{} {}", args.collection, if it["changed"] == true { "created" } else { "was there already" })
    })
}

/// Drop a collection with all it holds
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs drop people --dir store")]
pub(super) struct DropArgs {
    /// Which
    collection: String,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn drop(args: &DropArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let reply = target.write(Request::new("DELETE", of(&args.collection, "")), &args.once)?;
    target.show(&reply, |it| {
        format!("{} {}", args.collection, if it["changed"] == true { "dropped" } else { "was not there" })
    })
}

/// Create or drop an index
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs index people born --fields born --dir store\n  nodewright docs index people mail --fields mail --unique --sparse --dir store\n  nodewright docs index people born --drop --dir store"
)]
pub(super) struct IndexArgs {
    /// Of which collection
    collection: String,
    /// Its name
    index: String,
    /// Over which fields, the first orders first
    #[arg(long, value_name = "PATH", value_delimiter = ',', required_unless_present = "drop")]
    fields: Vec<String>,
    /// No two documents have the same values
    #[arg(long)]
    unique: bool,
    /// Documents without the first field are not in it
    #[arg(long)]
    sparse: bool,
    /// Drop it
    #[arg(long, conflicts_with_all = ["fields", "unique", "sparse"])]
    drop: bool,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn index(args: &IndexArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let path = of(&args.collection, &format!("/indexes/{}", segment(&args.index)));
    let request = if args.drop {
        Request::new("DELETE", path)
    } else {
        Request::new("PUT", path).json(&json!({ "fields": args.fields, "unique": args.unique, "sparse": args.sparse }))
    };
    let reply = target.write(request, &args.once)?;
    target.show(&reply, |it| {
        let word = match (args.drop, it["changed"] == true) {
            (true, true) => "dropped",
            (true, false) => "was not there",
            (false, true) => "created; it is built while writes go on",
            (false, false) => "was there already",
        };
        format!("index {} of {} {word}", args.index, args.collection)
    })
}

/// Add documents, all or none
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs add people '{\"name\":\"Ada\"}' '{\"_id\":\"bo\",\"name\":\"Bo\"}' --dir store\n  echo '{\"name\":\"Cy\"}' | nodewright docs add people - --dir store"
)]
pub(super) struct AddArgs {
    /// To which collection
    collection: String,
    /// Documents as JSON; '-' reads one, or a list, from standard input
    #[arg(required = true, value_name = "JSON")]
    documents: Vec<String>,
    /// Create the collection where it is not there
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn add(args: &AddArgs, terminal: &Terminal) -> Result<(), Failure> {
    let documents = args.documents.iter().map(|text| read_json("a document", text)).collect::<Result<Vec<_>, _>>()?;
    let mut target = args.at.open(terminal)?;
    if args.create {
        let created = target.client.create_collection(&args.collection);
        target.well(created)?;
    }
    let body = match <[Value; 1]>::try_from(documents) {
        Ok([one]) => one,
        Err(several) => Value::Array(several),
    };
    let reply = target.write(Request::new("POST", of(&args.collection, "/documents")).json(&body), &args.once)?;
    target.show(&reply, |it| match it["results"].as_array() {
        Some(results) => {
            let ids: Vec<_> = results.iter().filter_map(|one| one["id"].as_str()).collect();
            format!("{} added: {}", ids.len(), ids.join(", "))
        }
        None => format!("{} added", it["id"].as_str().unwrap_or_default()),
    })
}

/// Change a document, or all that pass a filter
#[derive(clap::Args)]
#[command(after_help = "\
A patch is operators ($set $unset $inc $min $max $push $add $pull), or without any '$' an RFC 7396 merge patch.

Examples:
  nodewright docs patch people ada '{\"$inc\":{\"age\":1},\"$push\":{\"tags\":\"x\"}}' --dir store
  nodewright docs patch people ada '{\"age\":37,\"old\":null}' --revision 41 --dir store
  nodewright docs patch people --where '{\"age\":{\"$gte\":18}}' '{\"$set\":{\"adult\":true}}' --dir store")]
pub(super) struct PatchArgs {
    /// Of which collection
    collection: String,
    /// Id of the document (not with --where), and the patch as JSON
    #[arg(required = true, num_args = 1..=2, value_name = "[ID] PATCH")]
    rest: Vec<String>,
    /// Change all that pass this filter
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    /// Only at this revision
    #[arg(long, conflicts_with = "filter")]
    revision: Option<u64>,
    /// Make the document where it is not there
    #[arg(long, conflicts_with = "filter")]
    upsert: bool,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn patch(args: &PatchArgs, terminal: &Terminal) -> Result<(), Failure> {
    let request = match (&args.filter, &args.rest[..]) {
        (Some(filter), [patch]) => {
            let body = json!({ "filter": read_json("the filter", filter)?, "patch": read_json("the patch", patch)? });
            Request::new("POST", of(&args.collection, "/patch")).json(&body)
        }
        (None, [id, patch]) => {
            let path = of(&args.collection, &format!("/documents/{}", segment(id)));
            let request = Request::new("PATCH", path).json(&read_json("the patch", patch)?);
            let request = if args.upsert { request.query("upsert", "true") } else { request };
            at_revision(request, args.revision)
        }
        _ => return Err(Failure::usage("either an id and a patch, or --where FILTER and a patch")),
    };
    let mut target = args.at.open(terminal)?;
    let reply = target.write(request, &args.once)?;
    target.show(&reply, |it| match it["id"].as_str() {
        Some(id) => format!("{id} is at revision {}", it["revision"]),
        None => format!("{} matched, {} changed", it["matched"], it["changed"]),
    })
}

/// Delete documents by id, or all that pass a filter
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs delete people ada bo --dir store\n  nodewright docs delete people --where '{\"age\":{\"$lt\":18}}' --dir store\n  nodewright docs delete people --exact '{\"name\":\"Ada\",\"born\":1815}' --dir store"
)]
pub(super) struct DeleteArgs {
    /// Of which collection
    collection: String,
    /// Ids
    #[arg(required_unless_present_any = ["filter", "exact"], conflicts_with_all = ["filter", "exact"])]
    ids: Vec<String>,
    /// All that pass this filter
    #[arg(long = "where", value_name = "FILTER", conflicts_with = "exact")]
    filter: Option<String>,
    /// All whose given attributes are equal
    #[arg(long, value_name = "JSON")]
    exact: Option<String>,
    /// Only at this revision
    #[arg(long)]
    revision: Option<u64>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    at: Where,
}

pub(super) fn delete(args: &DeleteArgs, terminal: &Terminal) -> Result<(), Failure> {
    let by = |name: &str, text: &str| -> Result<Request, Failure> {
        let body = json!({ name: read_json("the filter", text)? });
        Ok(Request::new("POST", of(&args.collection, "/delete")).json(&body))
    };
    let request = match (&args.filter, &args.exact, &args.ids[..]) {
        (Some(filter), ..) => by("filter", filter)?,
        (_, Some(example), _) => by("exact", example)?,
        (.., [id]) => {
            let path = of(&args.collection, &format!("/documents/{}", segment(id)));
            at_revision(Request::new("DELETE", path), args.revision)
        }
        (.., ids) => {
            let one = |id| json!({ "op": "delete", "collection": args.collection, "id": id });
            let writes: Vec<Value> = ids.iter().map(one).collect();
            Request::new("POST", "/v1/batch").json(&json!({ "writes": writes }))
        }
    };
    let mut target = args.at.open(terminal)?;
    let reply = target.write(request, &args.once)?;
    target.show(&reply, |it| {
        let deleted = match it["results"].as_array() {
            Some(results) => results.iter().filter_map(|one| one["deleted"].as_u64()).sum(),
            None => it["deleted"].as_u64().unwrap_or(0),
        };
        format!("{deleted} deleted")
    })
}

fn at_revision(request: Request, revision: Option<u64>) -> Request {
    match revision {
        Some(revision) => request.header("if-match", format!("\"{revision}\"")),
        None => request,
    }
}
