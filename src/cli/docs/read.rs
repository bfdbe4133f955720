//! What only looks.

use super::read_json;
use super::target::Where;
use super::write::of;
use crate::cli::Failure;
use crate::cli::terminal::{Paint, Terminal};
use crate::cli::values::duration;
use crate::http::client::{Request, segment};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How new what is read has to be
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Level {
    /// What the asked node has now, without asking the others
    #[arg(long, conflicts_with = "at_least")]
    stale: bool,
    /// At least the state at this index: that of your last write, say
    #[arg(long, value_name = "INDEX")]
    at_least: Option<u64>,
}

impl Level {
    fn of(&self, request: Request) -> Request {
        match (self.stale, self.at_least) {
            (true, _) => request.query("level", "stale"),
            (_, Some(index)) => request.query("level", &format!("at_least:{index}")),
            _ => request,
        }
    }
}

/// List the collections
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs list --dir store")]
pub(super) struct ListArgs {
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    at: Where,
}

pub(super) fn list(args: &ListArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let reply = target.client.call(args.level.of(Request::new("GET", "/v1/collections")));
    let value = target.well(reply.and_then(|reply| reply.value()))?;
    if args.at.json {
        terminal.json(&value);
        return Ok(());
    }
    for it in value["collections"].as_array().into_iter().flatten() {
        let indexes: Vec<_> =
            it["indexes"].as_array().into_iter().flatten().filter_map(|it| it["spec"]["name"].as_str()).collect();
        let name = it["name"].as_str().unwrap_or_default();
        let rest = format!(
            "{} documents, {} bytes, indexes: {}",
            it["documents"],
            it["bytes"],
            if indexes.is_empty() { "none".into() } else { indexes.join(", ") }
        );
        terminal.line(&format!("{name:<24} {}", terminal.paint(Paint::Dim, &rest)));
    }
    Ok(())
}

/// Show a document
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nodewright docs get people ada --dir store\n  nodewright docs get people ada --fields name,address.city --stale --at 127.0.0.1:8080"
)]
pub(super) struct GetArgs {
    /// Of which collection
    collection: String,
    /// Its id
    id: String,
    /// Only these fields, or with '-' before each all but these
    #[arg(long, value_name = "PATHS", allow_hyphen_values = true)]
    fields: Option<String>,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    at: Where,
}

pub(super) fn get(args: &GetArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let path = of(&args.collection, &format!("/documents/{}", segment(&args.id)));
    let mut request = args.level.of(Request::new("GET", path));
    if let Some(fields) = &args.fields {
        request = request.query("projection", fields);
    }
    let reply = target.client.call(request);
    let value = target.well(reply.and_then(|reply| reply.value()))?;
    if args.at.json {
        terminal.json(&value);
    } else {
        terminal.line(&format!("{:#}", value["document"]));
        terminal.line(
            &terminal.paint(Paint::Dim, &format!("revision {}, read at index {}", value["revision"], value["index"])),
        );
    }
    Ok(())
}

/// What is looked for
#[derive(clap::Args, Clone, Debug)]
struct Query {
    /// In which collection
    collection: String,
    /// A filter as JSON; all without one
    #[arg(default_value = "{}")]
    filter: String,
    /// Paths to sort by, with '-' before one for descending
    #[arg(long, value_name = "PATHS", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Refuse to look at all documents: an index has to narrow it
    #[arg(long)]
    demand_index: bool,
    /// Refuse to examine more documents than this
    #[arg(long, value_name = "N")]
    examined_max: Option<u64>,
    #[command(flatten)]
    level: Level,
}

impl Query {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({ "filter": read_json("the filter", &self.filter)? });
        if let Some(sort) = &self.sort {
            body["sort"] = json!(sort);
        }
        if self.demand_index {
            body["demand_index"] = json!(true);
        }
        if let Some(most) = self.examined_max {
            body["examined_max"] = json!(most);
        }
        Ok(body)
    }

    fn request(&self, route: &str, body: &Value) -> Request {
        self.level.of(Request::new("POST", of(&self.collection, route)).json(body).reading())
    }
}

/// Find documents by a filter
#[derive(clap::Args)]
#[command(after_help = "\
Tests of a field: $eq $ne $gt $gte $lt $lte $in $nin $exists $prefix $contains $size $not; of filters: $and $or $not.

Examples:
  nodewright docs find people --dir store
  nodewright docs find people '{\"born\":{\"$gte\":1800,\"$lt\":1900},\"address.city\":\"Graz\"}' --sort=-born,name --dir store
  nodewright docs find people '{\"tags\":{\"$contains\":\"x\"}}' --fields name --limit 10 --json --dir store")]
pub(super) struct FindArgs {
    #[command(flatten)]
    query: Query,
    /// Only these fields, or with '-' before each all but these
    #[arg(long, value_name = "PATHS", allow_hyphen_values = true)]
    fields: Option<String>,
    /// At most so many documents
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// All pages
    #[arg(long, conflicts_with = "cursor")]
    all: bool,
    /// Go on behind a page, by the cursor that it told
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn find(args: &FindArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut body = args.query.body()?;
    body["limit"] = json!(args.limit);
    body["cursor"] = json!(args.cursor);
    if let Some(fields) = &args.fields {
        body["projection"] = json!(fields);
    }
    let mut target = args.at.open(terminal)?;
    loop {
        let reply = target.client.call(args.query.request("/find", &body));
        let page = target.well(reply.and_then(|reply| reply.value()))?;
        for found in page["documents"].as_array().into_iter().flatten() {
            if args.at.json {
                terminal.json(found);
            } else {
                terminal.line(&found["document"].to_string());
            }
        }
        body["cursor"] = page["cursor"].clone();
        if args.all && !body["cursor"].is_null() {
            continue;
        }
        let (cursor, at, examined) = (&page["cursor"], &page["at"], &page["examined"]);
        if args.at.json {
            terminal.json(&json!({ "cursor": cursor, "at": at, "examined": examined }));
        } else if let Some(cursor) = cursor.as_str() {
            terminal.line(&terminal.paint(Paint::Dim, &format!("more: --cursor {cursor}")));
        }
        return Ok(());
    }
}

/// Count documents by a filter
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs count people '{\"born\":{\"$lt\":1900}}' --dir store")]
pub(super) struct CountArgs {
    #[command(flatten)]
    query: Query,
    #[command(flatten)]
    at: Where,
}

pub(super) fn count(args: &CountArgs, terminal: &Terminal) -> Result<(), Failure> {
    let body = args.query.body()?;
    let mut target = args.at.open(terminal)?;
    let reply = target.client.call(args.query.request("/count", &body));
    let value = target.well(reply.and_then(|reply| reply.value()))?;
    if args.at.json {
        terminal.json(&value);
    } else {
        terminal.line(&value["count"].to_string());
    }
    Ok(())
}

/// Show how a query is gone about
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  nodewright docs explain people '{\"born\":{\"$lt\":1900}}' --sort=-born --dir store"
)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    query: Query,
    #[command(flatten)]
    at: Where,
}

pub(super) fn explain(args: &ExplainArgs, terminal: &Terminal) -> Result<(), Failure> {
    let body = args.query.body()?;
    let mut target = args.at.open(terminal)?;
    let reply = target.client.call(args.query.request("/explain", &body));
    let value = target.well(reply.and_then(|reply| reply.value()))?;
    if args.at.json {
        terminal.json(&value);
    } else {
        terminal.line(&format!("{:#}", value["plan"]));
    }
    Ok(())
}

/// Watch changes as they happen
#[derive(clap::Args)]
#[command(after_help = "\
Without a gap, across nodes that fail: each change once. The last token goes on later: --after TOKEN.

Examples:
  nodewright docs watch people --dir cluster
  nodewright docs watch --state --json --for 10s --at 127.0.0.1:8080,127.0.0.1:8081")]
pub(super) struct WatchArgs {
    /// Which collection; all without one
    collection: Option<String>,
    /// Changes behind this token
    #[arg(long, value_name = "TOKEN")]
    after: Option<u64>,
    /// First all documents, then the changes behind that state
    #[arg(long, conflicts_with = "after")]
    state: bool,
    /// Only of documents that pass; others are told as 'out'
    #[arg(long = "where", value_name = "FILTER", requires = "collection")]
    filter: Option<String>,
    /// How long; until Ctrl-C without it
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn watch(args: &WatchArgs, terminal: &Terminal) -> Result<(), Failure> {
    let filter = args.filter.as_ref().map(|text| read_json("the filter", text)).transpose()?.map(|it| it.to_string());
    let mut target = args.at.open(terminal)?;
    let after = match (args.after, args.state) {
        (None, true) => None,
        (None, false) => {
            let newest = target.client.collections();
            target.well(newest)?["index"].as_u64()
        }
        (after, _) => after,
    };
    let until = args.time.map(|time| Instant::now() + time);
    let json = args.at.json;
    let mut events = target.client.watch(args.collection.as_deref(), after, filter.as_deref());
    loop {
        let left = until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
        let event = match events.next_within(left) {
            Ok(Some(event)) => event,
            Ok(None) if until.is_some() => return Ok(()),
            Ok(None) => continue,
            Err(problem) => return Err(super::failed(&problem, json, terminal)),
        };
        if json {
            terminal.json(&json!({ "event": event.name, "token": event.token, "data": event.data }));
            continue;
        }
        let (data, token) = (&event.data, event.token.map(|token| format!(" [{token}]")).unwrap_or_default());
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_string();
        match event.name.as_str() {
            "document" => terminal.line(&format!("= {} {}", text("collection"), data["found"]["document"])),
            "state" => terminal.line(&terminal.paint(Paint::Dim, &format!("that is the state at {}", data["index"]))),
            "gone" => terminal.line("history is no longer held: the state follows anew"),
            "change" => terminal.line(&match text("type").as_str() {
                "put" => format!("+ {} {}{token}", text("collection"), data["document"]),
                "dropped" => format!("- {} dropped{token}", text("collection")),
                "out" => format!("~ {} {} does not pass{token}", text("collection"), text("id")),
                _ => format!("- {} {}{token}", text("collection"), text("id")),
            }),
            _ => {}
        }
    }
}
