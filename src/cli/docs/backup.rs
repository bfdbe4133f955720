//! All of a store in one file, while it runs.
//!
//! ```text
//!   {"backup":1,"collections":[{"name","options","indexes"}]}
//!   {"c":"people","d":{..}}        the state of each collection, at one index or a little later
//!   {"put"|"deleted"|"dropped":..} the changes behind the earliest, which make it one state
//!   {"end":{"documents":3,"changes":0,"index":41,"crc32c":7}}
//! ```
//!
//! A restore judges the whole file before it does anything, and wants a store
//! without these collections.

use super::target::{Target, Where};
use super::transfer::{Lines, Whole, progress};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::http::client::{Event, Request, segment};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Version of the file.
const VERSION: u64 = 1;
/// Documents of a batch of a restore, and its bytes.
const BATCH: usize = 500;
const BATCH_BYTES_MAX: usize = 768 << 10;
/// Changes that are held come at once; so long without one there is none.
const SILENT: Duration = Duration::from_secs(1);
/// How long a node may take for a piece of the state.
const PATIENCE: Duration = Duration::from_secs(60);

/// Write all of a store to a file, while it runs
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs backup monday.backup --at 127.0.0.1:8080")]
pub(super) struct BackupArgs {
    /// The file; it appears when it is whole
    file: PathBuf,
    #[command(flatten)]
    at: Where,
}

struct Writing {
    out: Whole,
    checksum: u32,
    documents: u64,
    changes: u64,
}

impl Writing {
    fn line(&mut self, value: &Value) -> Result<(), Failure> {
        let text = value.to_string();
        self.checksum = crc32c::crc32c_append(self.checksum, text.as_bytes());
        self.out.line(&text)
    }
}

fn described(stats: &Value) -> Value {
    let of = |it: &Value| {
        let indexes: Vec<&Value> = it["indexes"].as_array().into_iter().flatten().map(|index| &index["spec"]).collect();
        json!({ "name": it["name"], "options": it["options"], "indexes": indexes })
    };
    stats["collections"].as_array().into_iter().flatten().map(of).collect()
}

pub(super) fn backup(args: &BackupArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut target = args.at.open(terminal)?;
    let stats = target.client.collections();
    let stats = target.well(stats)?;
    let out = Whole::create(Some(&args.file))?;
    let mut writing = Writing { out, checksum: 0, documents: 0, changes: 0 };
    writing.line(&json!({ "backup": VERSION, "collections": described(&stats) }))?;
    let bar = progress(None, "backup", args.at.json);
    let json = args.at.json;
    let mut index = None;
    let until = Instant::now() + Duration::from_secs(24 * 3600);
    let mut events = target.client.watch(None, None, None);
    // Behind the state, changes are written until there is none for a moment: at that
    // moment the file is the state at the last one's index.
    while Instant::now() < until {
        let wait = if index.is_some() { SILENT } else { PATIENCE };
        let event = match events.next_within(wait) {
            Ok(Some(event)) => event,
            Ok(None) if index.is_some() => break,
            Ok(None) => {
                return Err(Failure {
                    status: 4,
                    message: "no node told its state in time; nothing is written".into(),
                });
            }
            Err(problem) => return Err(super::failed(&problem, json, terminal)),
        };
        match told(&event) {
            Told::Document(line) => {
                if index.is_some() {
                    return Err(Failure::failed("history went away meanwhile: begin again (nothing is written)"));
                }
                writing.documents += 1;
                bar.set_position(writing.documents);
                writing.line(&line)?;
            }
            Told::Change(line) => {
                writing.changes += 1;
                writing.line(&line)?;
            }
            Told::Nothing => {}
        }
        if event.token.is_some() && (index.is_none() || event.name != "state") {
            index = event.token;
        }
        if index.is_some() && event.name == "through" {
            break;
        }
    }
    let (documents, changes, checksum) = (writing.documents, writing.changes, writing.checksum);
    let end = json!({ "end": { "documents": documents, "changes": changes, "index": index, "crc32c": checksum } });
    writing.out.line(&end.to_string())?;
    writing.out.finish()?;
    bar.finish_and_clear();
    if json {
        terminal.json(&end["end"]);
    } else {
        let at = index.unwrap_or(0);
        terminal.line(&format!("{documents} documents and {changes} changes of them, the state at index {at}"));
    }
    Ok(())
}

enum Told {
    Document(Value),
    Change(Value),
    Nothing,
}

fn told(event: &Event) -> Told {
    let data = &event.data;
    match (event.name.as_str(), data["type"].as_str()) {
        ("document", _) => Told::Document(json!({ "c": data["collection"], "d": data["found"]["document"] })),
        ("change", Some("put")) => Told::Change(json!({ "put": data["document"], "c": data["collection"] })),
        ("change", Some("deleted")) => Told::Change(json!({ "deleted": data["id"], "c": data["collection"] })),
        ("change", Some("dropped")) => Told::Change(json!({ "dropped": data["collection"] })),
        _ => Told::Nothing,
    }
}

/// Bring a backup into a store that has none of its collections
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nodewright docs restore monday.backup --dir new-store")]
pub(super) struct RestoreArgs {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    at: Where,
}

pub(super) fn restore(args: &RestoreArgs, terminal: &Terminal) -> Result<(), Failure> {
    let refused = |why: String| Failure::usage(format!("{}: {why} (nothing was done)", args.file.display()));
    let mut file = File::open(&args.file).map_err(|error| refused(error.to_string()))?;
    let header = judged(&file).map_err(refused)?;
    file.rewind().map_err(|error| refused(error.to_string()))?;
    let mut target = args.at.open(terminal)?;
    let stats = target.client.collections();
    let there = described(&target.well(stats)?);
    let names = |of: &Value| -> BTreeSet<String> {
        of.as_array().into_iter().flatten().filter_map(|it| Some(it["name"].as_str()?.to_string())).collect()
    };
    let both: Vec<String> = names(&header).intersection(&names(&there)).cloned().collect();
    if !both.is_empty() {
        let both = both.join(", ");
        return Err(Failure::failed(format!(
            "the store has {both} already: drop it first, or restore elsewhere (nothing was done)"
        )));
    }
    let length = file.metadata().ok().map(|it| it.len());
    let bar = progress(length, "restore", args.at.json);
    let mut restoring = Restoring { target: &mut target, batch: Vec::new(), bytes: 0, documents: 0 };
    for it in header.as_array().into_iter().flatten() {
        let name = it["name"].as_str().unwrap_or_default();
        restoring.ask(Request::new("PUT", path(name, "")).json(&it["options"]))?;
    }
    let mut lines = Lines { input: BufReader::new(&file), line: Vec::new() };
    while let Some(line) = lines.next().map_err(Failure::failed)? {
        bar.inc(line.len() as u64);
        let value: Value = serde_json::from_slice(line).unwrap_or(Value::Null); // judged before
        restoring.line(&value, line.len())?;
    }
    restoring.flush()?;
    // Built over what is there, once.
    for it in header.as_array().into_iter().flatten() {
        let name = it["name"].as_str().unwrap_or_default();
        for index in it["indexes"].as_array().into_iter().flatten() {
            let part = format!("/indexes/{}", segment(index["name"].as_str().unwrap_or_default()));
            let body = json!({ "fields": index["fields"], "unique": index["unique"], "sparse": index["sparse"] });
            restoring.ask(Request::new("PUT", path(name, &part)).json(&body))?;
        }
    }
    let documents = restoring.documents;
    bar.finish_and_clear();
    if args.at.json {
        terminal.json(&json!({ "restored": documents, "collections": names(&header) }));
    } else {
        terminal.line(&format!(
            "{documents} documents restored into {}",
            names(&header).into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

fn path(collection: &str, rest: &str) -> String {
    super::write::of(collection, rest)
}

/// The collections of a file that is whole, or what is wrong with it.
fn judged(file: &File) -> Result<Value, String> {
    let mut lines = Lines { input: BufReader::new(file), line: Vec::new() };
    let (mut header, mut checksum, mut number, mut end) = (None, 0, 0u64, None);
    while let Some(line) = lines.next()? {
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("line {number} is damaged: {error}"))?;
        if end.is_some() {
            return Err(format!("line {number} stands behind the end"));
        }
        if number == 1 {
            match value["backup"].as_u64() {
                Some(VERSION) => header = Some(value["collections"].clone()),
                Some(other) => return Err(format!("it has version {other}, this program reads {VERSION}")),
                None => return Err("it is no backup".into()),
            }
        }
        match value.get("end") {
            Some(it) => end = Some(it["crc32c"].as_u64()),
            None => checksum = crc32c::crc32c_append(checksum, text),
        }
    }
    match (header, end) {
        (None, _) => Err("it is empty".into()),
        (_, None) => Err("its end is missing: the backup was not finished".into()),
        (_, Some(said)) if said != Some(u64::from(checksum)) => Err("its checksum differs: it is damaged".into()),
        (Some(header), _) => Ok(header),
    }
}

struct Restoring<'a, 't> {
    target: &'a mut Target<'t>,
    batch: Vec<Value>,
    bytes: usize,
    documents: u64,
}

impl Restoring<'_, '_> {
    fn ask(&mut self, request: Request) -> Result<(), Failure> {
        let reply = self.target.client.call(request);
        self.target.well(reply).map(drop)
    }

    fn line(&mut self, value: &Value, bytes: usize) -> Result<(), Failure> {
        if let Some(name) = value["dropped"].as_str() {
            self.flush()?;
            return self.ask(Request::new("DELETE", path(name, "")));
        }
        let collection = &value["c"];
        let write = if let Some(document) = value.get("d").or(value.get("put")) {
            json!({ "op": "upsert", "collection": collection, "document": document })
        } else if let Some(id) = value.get("deleted") {
            json!({ "op": "delete", "collection": collection, "id": id })
        } else {
            return Ok(()); // the header or the end
        };
        self.documents += u64::from(value.get("d").is_some());
        self.batch.push(write);
        self.bytes += bytes;
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let done = self.target.client.batch(&batch);
        self.target.well(done).map(drop)
    }
}
