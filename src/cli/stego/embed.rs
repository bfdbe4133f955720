//! `nodewright stego embed`.

use super::{FormatArg, LimitArgs, files, for_each, refused, session};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::lsb::{Bits, Channels};
use crate::service::stego::{Embedded, Format, Options, Output, Payload, embed, embed_over};
use clap::ValueEnum;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Hides a payload in a cover, or in each of several, or over all of them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nodewright stego embed cover.jpg --text 'meet at dawn' --out hidden.png
  nodewright stego embed cover.png --file plans.pdf --password-file pw --out hidden.png
  cat cover.png | nodewright stego embed - --text hello > hidden.png
  nodewright stego embed 'photos/*.jpg' --file plans.pdf --over --out hidden/")]
pub(super) struct Args {
    /// Images, folders or patterns; `-` for standard input
    #[arg(required = true)]
    covers: Vec<PathBuf>,
    /// The payload as text
    #[arg(long, conflicts_with = "file", required_unless_present = "file")]
    text: Option<String>,
    /// The payload as a file; `-` for standard input
    #[arg(long)]
    file: Option<PathBuf>,
    /// Where to: a file, `-` for standard output; a folder for several covers
    #[arg(long)]
    out: Option<PathBuf>,
    /// How it lies in the image; sealed if there is a password, else boxed
    #[arg(long)]
    format: Option<FormatArg>,
    /// A file with the password; its last line end is no part of it
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Bits a sample
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    bits: u8,
    /// Colours that carry, of `rgb`
    #[arg(long, default_value = "rgb", value_parser = channels)]
    channels: Channels,
    /// Move samples by one instead of replacing bits: harder to detect
    #[arg(long)]
    matching: bool,
    /// One payload over all covers; each is needed to extract it
    #[arg(long)]
    over: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = OutputArg::Fast)]
    output: OutputArg,
    /// Take the first frame of an animation
    #[arg(long)]
    first_frame: bool,
    /// One JSON object an image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputArg {
    /// PNG, compressed lightly
    Fast,
    /// PNG, compressed harder
    Small,
    /// PNG, not compressed
    Store,
    /// Lossless WebP
    Webp,
}

pub(super) fn channels(text: &str) -> Result<Channels, String> {
    Channels::from_letters(text).ok_or_else(|| "letters of `rgb`, each once".into())
}

impl Args {
    fn options(&self) -> Options {
        let sealed = if self.password_file.is_some() { Format::Sealed } else { Format::Boxed };
        Options {
            format: self.format.map_or(sealed, Format::from),
            bits: Bits::new(self.bits).unwrap_or_default(),
            channels: self.channels,
            matching: self.matching,
            output: match self.output {
                OutputArg::Fast => Output::Fast,
                OutputArg::Small => Output::Small,
                OutputArg::Store => Output::Store,
                OutputArg::Webp => Output::Webp,
            },
            first_frame: self.first_frame,
            limits: self.limits.limits(),
        }
    }

    fn payload(&self) -> Result<Payload, Failure> {
        match (&self.text, &self.file) {
            (Some(text), _) => Ok(Payload::Text(text.clone())),
            (None, Some(path)) if files::is_pipe(path) => Ok(Payload::Bytes(files::read(path)?)),
            (None, Some(path)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Payload::File { name, bytes: files::read(path)? })
            }
            (None, None) => Err(Failure::usage("say what to hide: --text TEXT or --file FILE")),
        }
    }
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let covers = files::expand(&args.covers)?;
    let pipes = [args.file.as_ref(), args.password_file.as_ref()].into_iter().flatten().chain(&covers);
    if pipes.filter(|path| files::is_pipe(path)).count() > 1 {
        return Err(Failure::usage("standard input can be read once: name a file for the others"));
    }
    let mut session = session(args.password_file.as_ref())?;
    let (options, payload, mut random) = (args.options(), args.payload()?, files::random()?);
    let ending = if args.output == OutputArg::Webp { "webp" } else { "png" };
    if let [cover] = &covers[..] {
        let is_folder = args.out.as_ref().is_some_and(|out| out.is_dir());
        let place = match &args.out {
            Some(out) if is_folder => Some(files::places(&covers, out, ending)?.remove(0)),
            out => out.clone(),
        };
        return for_each(std::slice::from_ref(cover), args.json, terminal, &mut |cover| {
            let to_stdout = files::to_stdout(place.as_ref(), false)?;
            if to_stdout && args.json {
                return Err(Failure::usage("--json and the image cannot both go to standard output: add --out FILE"));
            }
            let hidden = embed(&files::read(cover)?, &payload, &options, session.as_mut(), &mut random);
            let hidden = hidden.map_err(|error| refused(&error))?;
            match &place {
                Some(place) if !to_stdout => finish(cover, place, &hidden, args.json, terminal),
                _ => files::write_stdout(&hidden.image),
            }
        });
    }
    let folder = args.out.as_ref().filter(|out| !files::is_pipe(out));
    let folder = folder.ok_or_else(|| Failure::usage("several covers need --out FOLDER"))?;
    let places = files::places(&covers, folder, ending)?;
    if !args.over {
        files::folder(folder)?;
        let mut places = places.iter();
        return for_each(&covers, args.json, terminal, &mut |cover| {
            let place = places.next().map_or_else(|| folder.clone(), PathBuf::clone);
            let hidden = embed(&files::read(cover)?, &payload, &options, session.as_mut(), &mut random);
            finish(cover, &place, &hidden.map_err(|error| refused(&error))?, args.json, terminal)
        });
    }
    let images = covers.iter().map(|cover| files::read(cover)).collect::<Result<Vec<_>, _>>()?;
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let hidden = embed_over(&images, &payload, &options, session.as_mut(), &mut random);
    let hidden = hidden.map_err(|error| refused(&error))?;
    files::folder(folder)?;
    covers
        .iter()
        .zip(&places)
        .zip(&hidden)
        .try_for_each(|((cover, place), hidden)| finish(cover, place, hidden, args.json, terminal))
}

/// Writes a result and says what was done.
fn finish(cover: &Path, place: &Path, hidden: &Embedded, json: bool, terminal: &Terminal) -> Result<(), Failure> {
    files::write(place, &hidden.image)?;
    let (name, out) = (files::shown(cover), place.display().to_string());
    if json {
        terminal.json(&json!({
            "image": name, "status": "done", "out": out, "notes": hidden.notes,
            "stored_bytes": hidden.stored_bytes, "capacity_bytes": hidden.capacity, "file_bytes": hidden.image.len(),
        }));
        return Ok(());
    }
    let (stored, capacity) = (hidden.stored_bytes, hidden.capacity);
    terminal.line(&format!("{out}: {stored} of {capacity} bytes used"));
    hidden.notes.iter().for_each(|note| terminal.line(&format!("  {name}: {note}")));
    Ok(())
}
