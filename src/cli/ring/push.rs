//! Files in.

use super::talk::{BLOCK_BYTES, Trouble};
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::service::ring::name::Name;
use crate::service::ring::text::answer::{Pushed, accepted};
use crate::service::ring::text::{Expected, Request};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Store files
#[derive(clap::Args)]
#[command(after_help = "\
It is stored when the command says so: all copies are on disks (as durably as the answer names), and a majority of the
nodes has agreed. What the ring has is compared with what was read here (BLAKE3, as b3sum prints it).

Examples:
  nodewright ring push photo.jpg notes.txt
  nodewright ring push photo.jpg --name photos/2026/cat.jpg --if-version none
      Only where no file has this name
  tar c docs | nodewright ring push - --size 104857600 --name docs.tar
      A push begins with its size, so standard input needs one")]
pub(super) struct Args {
    /// The files; '-' is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The name in the ring, of a single file; else the last part of its path
    #[arg(long)]
    name: Option<String>,
    /// Bytes of standard input
    #[arg(long)]
    size: Option<u64>,
    /// Only over this version, or with 'none' only where no file is
    #[arg(long, value_name = "VERSION|none", value_parser = expected)]
    if_version: Option<Expected>,
    #[command(flatten)]
    at: Where,
}

fn expected(text: &str) -> Result<Expected, String> {
    match text {
        "none" => Ok(Expected::Nothing),
        number => number.parse().map(Expected::Version).map_err(|_| format!("'{number}' is no version: 3, or none")),
    }
}

/// A name that the ring takes.
pub(super) fn name(text: &str) -> Result<Name, Failure> {
    Name::from_bytes(text.as_bytes()).map_err(|error| Failure::usage(format!("'{}': {error}", text.escape_debug())))
}

/// A bar on standard error where a person watches it.
pub(super) fn progress(total: u64, what: &Name, json: bool) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} ({eta})")
    {
        bar.set_style(style);
    }
    bar.with_prefix(what.to_string())
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("--name is of a single file, and there are several (nothing was done)"));
    }
    let files: Vec<(&PathBuf, Name)> =
        args.files.iter().map(|path| Ok((path, named(path, args.name.as_deref())?))).collect::<Result<_, Failure>>()?;
    let target = args.at.find(terminal)?;
    for (path, name) in files {
        let (input, size) = opened(path, args.size)?;
        let pushed = target.well(push(&target, input, size, &name, args.if_version))?;
        let Pushed { size, root, version, copies, durability } = pushed;
        if args.at.json {
            terminal.json(&json!({
                "name": name.as_str(), "size": size, "root": root, "version": version, "copies": copies,
                "durability": durability.name(),
            }));
        } else {
            let copies = if copies == 1 { "1 copy".into() } else { format!("{copies} copies") };
            terminal.line(&format!("{name} stored: {size} bytes, version {version}, {copies}, {durability}, {root}"));
        }
    }
    Ok(())
}

fn named(path: &Path, given: Option<&str>) -> Result<Name, Failure> {
    let own = path.file_name().and_then(|name| name.to_str()).filter(|name| *name != "-");
    let text = given.or(own);
    name(text.ok_or_else(|| Failure::usage(format!("{}: say its name in the ring by --name", path.display())))?)
}

fn opened(path: &Path, size: Option<u64>) -> Result<(Box<dyn Read>, u64), Failure> {
    if path.as_os_str() == "-" {
        let size = size.ok_or_else(|| Failure::usage("a push begins with its size: say --size BYTES"))?;
        return Ok((Box::new(std::io::stdin()), size));
    }
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let about = file.metadata().map_err(|error| wrong(&error))?;
    if !about.is_file() {
        return Err(wrong(&"it is no file"));
    }
    Ok((Box::new(file), about.len()))
}

fn push(
    target: &Target<'_>,
    mut input: Box<dyn Read>,
    size: u64,
    name: &Name,
    expected: Option<Expected>,
) -> Result<Pushed, Trouble> {
    let request = match expected {
        Some(expected) => Request::PushIf { expected, size, name: name.clone() },
        None => Request::Push { size, name: name.clone() },
    };
    let mut talk = target.talk()?;
    let bar = progress(size, name, target.json);
    let (mut block, mut left, mut hash) = (vec![0; BLOCK_BYTES], size, blake3::Hasher::new());
    let mut sent = talk.say(format!("{request}\n").as_bytes());
    while left > 0 && sent.is_ok() {
        let most = left.min(BLOCK_BYTES as u64) as usize;
        let read = input.read(&mut block[..most]).map_err(|error| Trouble::Here(format!("{name}: {error}")))?;
        if read == 0 {
            // what is there is no whole push, so that it stores nothing
            return Err(Trouble::Here(format!("{name} ended {left} bytes early (nothing was done)")));
        }
        hash.update(&block[..read]);
        sent = talk.say(&block[..read]);
        left -= read as u64;
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    // where it broke, the node may have said why before
    let unknown = left == 0 && sent.is_ok();
    let broken = |error| Trouble::Broken { error, unknown };
    accepted(&talk.line().map_err(|error| broken(sent.err().unwrap_or(error)))?)?;
    let pushed = Pushed::read(&talk.line().map_err(broken)?)?;
    let own = hash.finalize().to_hex();
    if pushed.root != own.as_str() {
        return Err(Trouble::Wrong(format!("{name}: the ring has {}, and {own} was sent", pushed.root)));
    }
    Ok(pushed)
}
