//! `nodewright stego capacity`, `probe`, `report`: what can be said of images.

use super::embed::channels;
use super::page::page;
use super::{FormatArg, LimitArgs, files, for_each, refused};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::lsb::{Bits, Channels};
use crate::service::stego::{self, Detection, Format, Options};
use serde_json::json;
use std::path::PathBuf;

/// Says how many bytes a cover has room for, before compression.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego capacity cover.jpg
  nodewright stego capacity photos/ --format sealed --bits 2 --json")]
pub(super) struct CapacityArgs {
    /// Images, folders or patterns; `-` for standard input
    #[arg(required = true)]
    covers: Vec<PathBuf>,
    /// How it will lie in the image
    #[arg(long, value_enum, default_value_t = FormatArg::Boxed)]
    format: FormatArg,
    /// Bits a sample
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    bits: u8,
    /// Colours that carry, of `rgb`
    #[arg(long, default_value = "rgb", value_parser = channels)]
    channels: Channels,
    /// Take the first frame of an animation
    #[arg(long)]
    first_frame: bool,
    /// One JSON object an image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Says what an image holds by its first rows; what is sealed is not seen.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego probe hidden.png
  nodewright stego probe photos/ --json")]
pub(super) struct ProbeArgs {
    /// Images, folders or patterns; `-` for standard input
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// One JSON object an image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Says what a detector would see of a finished image, alone or beside its cover.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego report hidden.png
  nodewright stego report hidden.png --cover cover.jpg --html report.html")]
pub(super) struct ReportArgs {
    /// The finished image; `-` for standard input
    image: PathBuf,
    /// The cover that it was made of
    #[arg(long)]
    cover: Option<PathBuf>,
    /// Write a page with the cover, the result and the changed bits side by side
    #[arg(long, requires = "cover")]
    html: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn capacity(args: &CapacityArgs, terminal: &Terminal) -> Result<(), Failure> {
    let options = Options {
        format: args.format.into(),
        bits: Bits::new(args.bits).unwrap_or_default(),
        channels: args.channels,
        first_frame: args.first_frame,
        limits: args.limits.limits(),
        ..Options::default()
    };
    for_each(&files::expand(&args.covers)?, args.json, terminal, &mut |cover| {
        let bytes = stego::capacity(&files::read(cover)?, &options).map_err(|error| refused(&error))?;
        let name = files::shown(cover);
        if args.json {
            terminal
                .json(&json!({ "image": name, "status": "done", "format": options.format, "capacity_bytes": bytes }));
        } else {
            terminal.line(&format!("{name}: {bytes} bytes"));
        }
        Ok(())
    })
}

pub(super) fn probe(args: &ProbeArgs, terminal: &Terminal) -> Result<(), Failure> {
    for_each(&files::expand(&args.images)?, args.json, terminal, &mut |image| {
        let found = stego::probe(&files::read(image)?, &args.limits.limits()).map_err(|error| refused(&error))?;
        let name = files::shown(image);
        if args.json {
            terminal.json(&json!({ "image": name, "status": "done", "found": found }));
            return Ok(());
        }
        let (bytes, (part, of)) = (found.bytes, found.part);
        let what = match found.format {
            Format::Raw => format!("perhaps raw: its first 32 bits are a length that fits, {bytes} bytes"),
            _ => format!(
                "boxed, {bytes} bytes as stored, {} bits of {}, part {part} of {of}",
                found.bits, found.channels
            ),
        };
        terminal.line(&format!("{name}: {what}"));
        Ok(())
    })
}

pub(super) fn report(args: &ReportArgs, terminal: &Terminal) -> Result<(), Failure> {
    let limits = args.limits.limits();
    let image = files::read(&args.image)?;
    let cover = args.cover.as_ref().map(|cover| files::read(cover)).transpose()?;
    let report = stego::report(&image, cover.as_deref(), &limits).map_err(|error| refused(&error))?;
    if let (Some(html), Some(cover)) = (&args.html, &cover) {
        let name = files::shown(&args.image);
        let page = page(&name, &image, cover, &report, &limits).map_err(|error| refused(&error))?;
        files::write(html, page.as_bytes())?;
    }
    if args.json {
        terminal.json(&report);
        return Ok(());
    }
    terminal.line(&format!("{} x {} pixels, {} samples", report.width, report.height, report.samples));
    if let (Some(changed), Some(percent)) = (report.changed, report.changed_percent) {
        let noise = report.psnr_db.map_or("no difference".into(), |db| format!("PSNR {db:.2} dB"));
        terminal.line(&format!("{changed} samples changed ({percent:.3} %), {noise}"));
    }
    let line = |name: &str, seen: &Detection| {
        let (chi, rs, pairs) = (seen.chi_square, seen.rs * 100.0, seen.sample_pairs * 100.0);
        terminal
            .line(&format!("{name:<6} chi-square p {chi:.3}, replaced by RS {rs:.1} %, by sample pairs {pairs:.1} %"));
    };
    line("image", &report.image);
    if let Some(seen) = &report.cover {
        line("cover", seen);
    }
    if let Some(html) = &args.html {
        terminal.line(&format!("page: {}", html.display()));
    }
    Ok(())
}
