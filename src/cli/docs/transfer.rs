//! NDJSON in and out: a document a line.

use super::target::Where;
use super::write::of;
use super::{failed, read_json, status_of};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::http::client::Request;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a batch: the log takes entries of at most 1 MiB.
const BATCH_BYTES_MAX: usize = 768 << 10;
/// Longest line.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A bar on standard error where a person watches it.
pub(super) fn progress(total: Option<u64>, what: &'static str, json: bool) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = match total {
        Some(_) => "{prefix} {wide_bar} {bytes}/{total_bytes} {msg} ({eta})",
        None => "{prefix} {spinner} {human_pos} documents {per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(what)
}

/// Import documents from NDJSON, one a line
#[derive(clap::Args)]
#[command(after_help = "\
Batches are done all or none, one after the other. Where a line is refused, what stands before its batch is
done and what follows is not; the message says from which line to go on (--from).

Examples:
  nodewright docs import people people.ndjson --create --dir store
  zcat people.ndjson.gz | nodewright docs import people - --upsert --at 127.0.0.1:8080")]
pub(super) struct ImportArgs {
    /// To which collection
    collection: String,
    /// The file; '-' reads standard input
    file: PathBuf,
    /// Create the collection where it is not there
    #[arg(long)]
    create: bool,
    /// Documents that are there are replaced, in place of refused
    #[arg(long)]
    upsert: bool,
    /// Most documents of a batch
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Begin at this line, counted from 1
    #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    #[command(flatten)]
    at: Where,
}

pub(super) fn import(args: &ImportArgs, terminal: &Terminal) -> Result<(), Failure> {
    let (input, length) = opened(&args.file)?;
    let mut target = args.at.open(terminal)?;
    if args.create {
        let created = target.client.create_collection(&args.collection);
        target.well(created)?;
    }
    let bar = progress(length, "import", args.at.json);
    let (mut batch, mut bytes, mut first) = (Vec::<Value>::new(), 0, args.from);
    let (mut done, mut number) = (0u64, 0u64);
    let mut lines = Lines { input, line: Vec::new() };
    let told = |line: u64, first: u64, done: u64, why: String, status: u8| {
        let why = format!(
            "line {line}: {why}\n{done} documents, of lines {} to {}, are imported; go on by --from {first}",
            args.from,
            first - 1
        );
        if args.at.json {
            terminal.json(&json!({ "imported": done, "line": line, "from": first, "why": why }));
            return Failure { status, message: String::new() };
        }
        Failure { status, message: why }
    };
    loop {
        let line = lines.next().map_err(|why| told(number + 1, first, done, why, 1))?;
        let over = line.is_none();
        if let Some(line) = line {
            number += 1;
            if number < args.from || line.iter().all(u8::is_ascii_whitespace) {
                bar.inc(line.len() as u64);
                first = if batch.is_empty() { number + 1 } else { first };
                continue;
            }
            let document: Value = serde_json::from_slice(line)
                .map_err(|error| told(number, first, done, format!("no JSON: {error}"), 1))?;
            bytes += line.len();
            let op = if args.upsert { "upsert" } else { "insert" };
            batch.push(json!({ "op": op, "collection": args.collection, "document": document }));
        }
        if over || bytes >= BATCH_BYTES_MAX || batch.len() >= usize::from(args.batch) {
            if !batch.is_empty() {
                match target.client.batch(&batch) {
                    Ok(_) => done += batch.len() as u64,
                    Err(problem) => {
                        bar.abandon();
                        let line = first + problem.write.unwrap_or(0) as u64;
                        return Err(told(line, first, done, problem.to_string(), status_of(&problem)));
                    }
                }
            }
            bar.inc(bytes as u64);
            bar.set_message(format!("{done} documents"));
            (bytes, first) = (0, number + 1);
            batch.clear();
        }
        if over {
            break;
        }
    }
    bar.finish_and_clear();
    if args.at.json {
        terminal.json(&json!({ "imported": done, "from": first }));
    } else {
        terminal.line(&format!("{done} documents imported into {}", args.collection));
    }
    Ok(())
}

fn opened(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(std::io::stdin())), None));
    }
    let file = File::open(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let length = file.metadata().ok().map(|it| it.len());
    Ok((Box::new(BufReader::new(file)), length))
}

/// Lines of a bounded length.
pub(super) struct Lines<R> {
    pub(super) input: R,
    pub(super) line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        self.line.clear();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
        match read {
            Ok(0) => Ok(None),
            Ok(length) if length as u64 == LINE_BYTES_MAX => Err(format!("longer than {LINE_BYTES_MAX} bytes")),
            Ok(_) => Ok(Some(&self.line)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Export documents as NDJSON, one a line
#[derive(clap::Args)]
#[command(after_help = "\
All lines show one state, however long it takes. The file appears when it is whole.

Examples:
  nodewright docs export people people.ndjson --dir store
  nodewright docs export people --where '{\"born\":{\"$lt\":1900}}' --at 127.0.0.1:8080 | gzip > old.ndjson.gz")]
pub(super) struct ExportArgs {
    /// Which collection
    collection: String,
    /// The file; without one, standard output
    file: Option<PathBuf>,
    /// Only those that pass this filter
    #[arg(long = "where", value_name = "FILTER", default_value = "{}")]
    filter: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn export(args: &ExportArgs, terminal: &Terminal) -> Result<(), Failure> {
    let filter = read_json("the filter", &args.filter)?;
    let mut target = args.at.open(terminal)?;
    let mut out = Whole::create(args.file.as_deref())?;
    let bar = progress(None, "export", args.at.json || args.file.is_none());
    // A scan of all is what an export is.
    let mut body = json!({ "filter": filter, "limit": 1000, "examined_max": crate::service::documents::EXAMINED_MAX });
    let (mut count, mut at) = (0u64, 0);
    loop {
        let reply = target.client.call(Request::new("POST", of(&args.collection, "/find")).json(&body).reading());
        let page = match reply.and_then(|reply| reply.value()) {
            Ok(page) => page,
            Err(problem) => return Err(failed(&problem, args.at.json, terminal)),
        };
        for found in page["documents"].as_array().into_iter().flatten() {
            out.line(&found["document"].to_string())?;
            count += 1;
        }
        at = page["at"].as_u64().unwrap_or(at);
        bar.set_position(count);
        if page["cursor"].is_null() {
            break;
        }
        body["cursor"] = page["cursor"].clone();
    }
    out.finish()?;
    bar.finish_and_clear();
    if args.file.is_some() {
        if args.at.json {
            terminal.json(&json!({ "exported": count, "at": at }));
        } else {
            terminal.line(&format!("{count} documents exported, the state at index {at}"));
        }
    }
    Ok(())
}

/// A file that appears when it is whole and synced; or standard output.
pub(super) struct Whole {
    out: Box<dyn Write>,
    file: Option<(PathBuf, PathBuf, File)>,
}

impl Whole {
    pub(super) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Whole { out: Box::new(BufWriter::new(std::io::stdout())), file: None });
        };
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let refused = |error: std::io::Error| Failure::usage(format!("{}: {error}", part.display()));
        let file = File::create(&part).map_err(refused)?;
        let out = file.try_clone().map_err(refused)?;
        Ok(Whole { out: Box::new(BufWriter::new(out)), file: Some((part, path.to_path_buf(), file)) })
    }

    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(|error| Failure::failed(format!("the output: {error}")))
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("the output: {error}"));
        self.out.flush().map_err(failed)?;
        if let Some((part, path, file)) = &self.file {
            file.sync_all().map_err(failed)?;
            std::fs::rename(part, path).map_err(failed)?;
        }
        Ok(())
    }
}
