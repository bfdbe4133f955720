//! `nodewright stego`: steganography on files and pipes; and the service (`serve`,
//! `send`, `stats`, `up`), which does it for clients.
//!
//! Never asks: what is missing is named, with status 2. Output is there whole or
//! not at all: written beside its place, synced and renamed.
//!
//! | status | means |
//! |---|---|
//! | 0 | done |
//! | 1 | a file could not be read or written |
//! | 2 | wrong use: does not fit, does not go together, no image |
//! | 3 | nothing found |
//! | 4 | something is or was there, and is damaged; or the password does not open it |
//!
//! Of several images the first that fails gives the status; the others are done
//! all the same.

#[cfg(feature = "stego_service")]
mod config;
mod embed;
mod extract;
mod files;
mod look;
mod page;
#[cfg(feature = "stego_service")]
mod send;
#[cfg(feature = "stego_service")]
mod serve;
#[cfg(feature = "stego_service")]
mod stats;
#[cfg(feature = "stego_service")]
mod tally;
#[cfg(feature = "stego_service")]
pub(super) mod up;

use super::Failure;
use super::terminal::Terminal;
use crate::service::stego::{Error, Format, Limits, Outcome, Session};
use clap::ValueEnum;
use std::path::PathBuf;

/// Hides payloads in images, and finds them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego embed cover.jpg --text 'meet at dawn' --out hidden.png
  nodewright stego extract hidden.png
  nodewright stego embed 'photos/*.jpg' --file plans.pdf --over --out hidden/
  nodewright stego report hidden.png --cover cover.jpg --html report.html
  nodewright stego up --servers 3 --dir cluster

Exit status: 0 done, 1 a file could not be read or written, 2 wrong use, 3 nothing found, 4 damaged or another password")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Embed(embed::Args),
    Extract(extract::Args),
    Capacity(look::CapacityArgs),
    Probe(look::ProbeArgs),
    Report(look::ReportArgs),
    #[cfg(feature = "stego_service")]
    Serve(serve::Args),
    #[cfg(feature = "stego_service")]
    Send(send::Args),
    #[cfg(feature = "stego_service")]
    Stats(stats::Args),
    #[cfg(feature = "stego_service")]
    Up(up::Args),
}

/// Runs a subcommand.
pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    match &args.what {
        What::Embed(args) => embed::run(args, terminal),
        What::Extract(args) => extract::run(args, terminal),
        What::Capacity(args) => look::capacity(args, terminal),
        What::Probe(args) => look::probe(args, terminal),
        What::Report(args) => look::report(args, terminal),
        #[cfg(feature = "stego_service")]
        What::Serve(args) => serve::run(args, terminal),
        #[cfg(feature = "stego_service")]
        What::Send(args) => send::run(args, terminal),
        #[cfg(feature = "stego_service")]
        What::Stats(args) => stats::run(args, terminal),
        #[cfg(feature = "stego_service")]
        What::Up(args) => up::run(args, terminal),
    }
}

/// How a payload lies in an image, as an argument.
#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// As existing programs read and write it
    Raw,
    /// With a header and a tag
    Boxed,
    /// Under a password
    Sealed,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Raw => Format::Raw,
            FormatArg::Boxed => Format::Boxed,
            FormatArg::Sealed => Format::Sealed,
        }
    }
}

/// The largest image that is accepted.
#[derive(clap::Args)]
struct LimitArgs {
    /// Refuse images of more megapixels, by their header
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    megapixels_max: u64,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        let (pixels_max, plain) = (self.megapixels_max * 1_000_000, Limits::default());
        // Eight bytes a pixel at most, and some room for the decoder.
        Limits { pixels_max, decoded_bytes_max: plain.decoded_bytes_max.max(pixels_max * 9), ..plain }
    }
}

/// The session of a password file, if there is one. One line end is no part of it.
fn session(path: Option<&PathBuf>) -> Result<Option<Session>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let mut password = files::read(path)?;
    if password.ends_with(b"\n") {
        password.pop();
        if password.ends_with(b"\r") {
            password.pop();
        }
    }
    Session::new(password).map(Some).map_err(|error| refused(&error))
}

/// What a library's error means for the command.
fn refused(error: &Error) -> Failure {
    let status = match error.outcome() {
        Outcome::WrongUse => 2,
        Outcome::NothingFound => 3,
        Outcome::Damaged => 4,
    };
    Failure { status, message: error.to_string() }
}

/// One word for a status, in JSON.
fn word(status: u8) -> &'static str {
    match status {
        0 => "done",
        2 => "wrong use",
        3 => "nothing found",
        4 => "damaged",
        _ => "failed",
    }
}

/// Does `each` for every image, with a bar where a person watches several of them.
/// All are tried; the first failure is the result.
fn for_each(
    images: &[PathBuf],
    json: bool,
    terminal: &Terminal,
    each: &mut dyn FnMut(&PathBuf) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bar = if images.len() > 1 {
        indicatif::ProgressBar::new(images.len() as u64)
    } else {
        indicatif::ProgressBar::hidden()
    };
    let mut first = None;
    for image in images {
        if let Err(failure) = each(image) {
            let name = files::shown(image);
            if json {
                let (status, why) = (word(failure.status), &failure.message);
                terminal.json(&serde_json::json!({ "image": name, "status": status, "error": why }));
            } else {
                bar.suspend(|| terminal.complain(&format!("{name}: {}", failure.message)));
            }
            first.get_or_insert(failure.status);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    first.map_or(Ok(()), |status| Err(Failure { status, message: String::new() }))
}
