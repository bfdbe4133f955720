//! `nodewright stego extract`.

use super::page::base64;
use super::{FormatArg, LimitArgs, files, for_each, refused, session};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::service::stego::{Extracted, Format, Payload, Reading, extract, extract_over};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Finds what is hidden in an image, in each of several, or over all of them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego extract hidden.png
  nodewright stego extract hidden.png --password-file pw --out plans.pdf
  cat hidden.png | nodewright stego extract - --format raw --text
  nodewright stego extract 'hidden/*.png' --over --out found/")]
pub(super) struct Args {
    /// Images, folders or patterns; `-` for standard input
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Where to: a file, `-` for standard output (the default); or a folder, where a
    /// hidden file gets its own name
    #[arg(long)]
    out: Option<PathBuf>,
    /// Refuse what is no UTF-8 text
    #[arg(long)]
    text: bool,
    /// How it lies in the image; without it: sealed with a password, else boxed, else
    /// raw
    #[arg(long)]
    format: Option<FormatArg>,
    /// A file with the password; its last line end is no part of it
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// One payload over all images
    #[arg(long)]
    over: bool,
    /// One JSON object an image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let images = files::expand(&args.images)?;
    let reading = Reading { format: args.format.map(Format::from), limits: args.limits.limits() };
    if args.password_file.iter().chain(&images).filter(|path| files::is_pipe(path)).count() > 1 {
        return Err(Failure::usage("standard input can be read once: name a file for the others"));
    }
    let mut session = session(args.password_file.as_ref())?;
    if args.over {
        let whole = images.iter().map(|image| files::read(image)).collect::<Result<Vec<_>, _>>()?;
        let whole: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
        let found = extract_over(&whole, &reading, session.as_mut()).map_err(|error| refused(&error))?;
        return finish(args, &images[0], found, None, terminal);
    }
    let mut places = match &args.out {
        Some(folder) if images.len() > 1 => {
            let places = files::places(&images, folder, "txt")?;
            files::folder(folder)?;
            places.into_iter()
        }
        None if images.len() > 1 && !args.json => {
            return Err(Failure::usage("several images need --out FOLDER, or --json, or --over for one payload"));
        }
        _ => Vec::new().into_iter(),
    };
    for_each(&images, args.json, terminal, &mut |image| {
        let place = places.next();
        let found = extract(&files::read(image)?, &reading, session.as_mut()).map_err(|error| refused(&error))?;
        finish(args, image, found, place, terminal)
    })
}

/// Hands the payload over. `place` is where it goes in a batch.
fn finish(
    args: &Args,
    image: &Path,
    found: Extracted,
    place: Option<PathBuf>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let Extracted { payload, format, rows_read } = found;
    let name = payload.safe_name();
    let payload =
        if args.text { Payload::Text(payload.into_text().map_err(|error| refused(&error))?) } else { payload };
    let is_text = std::str::from_utf8(payload.bytes()).is_ok_and(|text| !text.contains('\0'));
    let place = match (&args.out, place) {
        (Some(folder), Some(place)) => {
            let stem = place.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Some(match &name {
                Some(name) => folder.join(format!("{stem}-{name}")),
                None if is_text => place,
                None => place.with_extension("bin"),
            })
        }
        (Some(folder), None) if folder.is_dir() || folder.as_os_str().to_string_lossy().ends_with('/') => {
            files::folder(folder)?;
            Some(
                folder.join(name.clone().unwrap_or_else(|| if is_text { "payload.txt" } else { "payload.bin" }.into())),
            )
        }
        (out, _) => out.clone(),
    };
    let bytes = payload.bytes().len();
    match place.as_ref().filter(|place| !files::is_pipe(place)) {
        Some(place) => files::write(place, payload.bytes())?,
        None if args.json => {}
        None => {
            files::to_stdout(place.as_ref(), is_text)?;
            return files::write_stdout(payload.bytes());
        }
    }
    let out = place.map(|place| place.display().to_string());
    if args.json {
        let mut object = json!({
            "image": files::shown(image), "status": "done", "format": format, "bytes": bytes,
            "rows_read": rows_read, "name": name, "out": out,
        });
        if out.is_none() {
            match std::str::from_utf8(payload.bytes()) {
                Ok(text) => object["text"] = text.into(),
                Err(_) => object["base64"] = base64(payload.bytes()).into(),
            }
        }
        terminal.json(&object);
    } else if let Some(out) = out {
        terminal.line(&format!("{out}: {bytes} bytes"));
    }
    Ok(())
}
