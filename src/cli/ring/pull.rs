//! Files out.

use super::push::{name, progress};
use super::talk::{BLOCK_BYTES, Trouble};
use super::target::{Target, Where};
use crate::cli::Failure;
use crate::cli::terminal::Terminal;
use crate::service::ring::name::Name;
use crate::service::ring::text::Request;
use crate::service::ring::text::answer::{Ranged, Stat};
use indicatif::ProgressBar;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Fetch a file
#[derive(clap::Args)]
#[command(after_help = "\
The file appears under its name when it is whole and its BLAKE3 is the one that the ring tells. Until then it is
NAME.<root>.partial, and the same command goes on where it was cut.

Examples:
  nodewright ring pull photo.jpg
  nodewright ring pull photos/2026/cat.jpg --output cat.jpg
  nodewright ring pull docs.tar --output - | tar x")]
pub(super) struct Args {
    /// The file's name in the ring
    name: String,
    /// Where to; '-' is standard output. Else the last part of the name, here
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let own = || PathBuf::from(args.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("file"));
    let output = args.output.clone().unwrap_or_else(own);
    let target = args.at.find(terminal)?;
    let mut pull = Pull { target: &target, name: &name, until: Instant::now() + target.within };
    let stat = match output.as_os_str() == "-" {
        true => target.well(pull.fill_output())?,
        false => target.well(pull.fill_file(&output))?,
    };
    let Stat { size, root, version, .. } = stat;
    if output.as_os_str() == "-" {
        return Ok(());
    }
    if args.at.json {
        let told = json!({ "name": name.as_str(), "file": output, "size": size, "root": root, "version": version });
        terminal.json(&told);
    } else {
        terminal.line(&format!("{} fetched: {size} bytes, version {version}, {root}", output.display()));
    }
    Ok(())
}

struct Pull<'a> {
    target: &'a Target<'a>,
    name: &'a Name,
    /// When it is given up; moves as long as bytes come.
    until: Instant,
}

/// Why a try ended early.
enum Cut {
    /// It may go on.
    Trouble(Trouble),
    /// Another content stands there now.
    Changed,
}

impl<T: Into<Trouble>> From<T> for Cut {
    fn from(trouble: T) -> Self {
        Cut::Trouble(trouble.into())
    }
}

impl Pull<'_> {
    fn stat(&self) -> Result<Stat, Trouble> {
        let lines = self.target.talk()?.ask(&Request::Stat(self.name.clone()), |_| true)?;
        Ok(Stat::read(lines.first().map_or("", String::as_str))?)
    }

    /// Waits a little if there is time; else gives up.
    fn again(&self, trouble: Trouble) -> Result<(), Trouble> {
        if !trouble.may_pass() || Instant::now() > self.until {
            return Err(trouble);
        }
        std::thread::sleep(AGAIN_AFTER);
        Ok(())
    }

    fn fill_file(&mut self, output: &Path) -> Result<Stat, Trouble> {
        loop {
            let stat = match self.stat() {
                Ok(stat) => stat,
                Err(trouble) => {
                    self.again(trouble)?;
                    continue;
                }
            };
            match self.whole(&stat, output) {
                Ok(()) => return Ok(stat),
                Err(Cut::Changed) => self.again(Trouble::Nobody("the file changes all the time".into()))?,
                Err(Cut::Trouble(trouble)) => self.again(trouble)?,
            }
        }
    }

    /// One try, from where the last one was cut.
    fn whole(&mut self, stat: &Stat, output: &Path) -> Result<(), Cut> {
        let here = |path: &Path, error: io::Error| Cut::Trouble(Trouble::Here(format!("{}: {error}", path.display())));
        let mut partial = output.as_os_str().to_owned();
        partial.push(format!(".{}.partial", stat.root.get(..16).unwrap_or(&stat.root)));
        let partial = PathBuf::from(partial);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&partial);
        let mut file = opened.map_err(|error| here(&partial, error))?;
        let bar = progress(stat.size, self.name, self.target.json);
        let mut hash = blake3::Hasher::new();
        let mut had = hash_all(&mut file, &mut hash).map_err(|error| here(&partial, error))?;
        bar.inc(had);
        if had < stat.size {
            let write = |bytes: &[u8]| file.write_all(bytes).map_err(|error| here(&partial, error));
            had = self.stream(stat, had, &bar, &mut hash, write)?;
        }
        bar.finish_and_clear();
        if had != stat.size || hash.finalize().to_hex().as_str() != stat.root {
            // it cannot become right any more
            std::fs::remove_file(&partial).map_err(|error| here(&partial, error))?;
            return Err(Cut::Trouble(Trouble::Wrong(format!(
                "{}: what came is not what the ring tells ({}); nothing is kept",
                self.name, stat.root
            ))));
        }
        file.sync_all().map_err(|error| here(&partial, error))?;
        std::fs::rename(&partial, output).map_err(|error| here(output, error))
    }

    fn fill_output(&mut self) -> Result<Stat, Trouble> {
        let (mut out, mut hash) = (io::stdout().lock(), blake3::Hasher::new());
        let mut stat = self.stat();
        while let Err(trouble) = stat {
            self.again(trouble)?;
            stat = self.stat();
        }
        let stat = stat?;
        let bar = progress(stat.size, self.name, self.target.json);
        let mut had = 0;
        while had < stat.size {
            let mut write = |bytes: &[u8]| {
                let written = out.write_all(bytes).map_err(|error| Trouble::Here(format!("standard output: {error}")));
                had += bytes.len() as u64;
                written.map_err(Cut::Trouble)
            };
            let from = bar.position();
            match self.stream(&stat, from, &bar, &mut hash, &mut write) {
                Ok(_) => {}
                Err(Cut::Trouble(trouble)) => self.again(trouble)?,
                Err(Cut::Changed) => {
                    let why = format!("{} was overwritten while it was read", self.name);
                    return Err(Trouble::Wrong(why));
                }
            }
        }
        bar.finish_and_clear();
        out.flush().map_err(|error| Trouble::Here(format!("standard output: {error}")))?;
        if hash.finalize().to_hex().as_str() != stat.root {
            return Err(Trouble::Wrong(format!("{}: what came is not what the ring tells", self.name)));
        }
        Ok(stat)
    }

    /// The bytes from `had` on; how many there are then.
    fn stream(
        &mut self,
        stat: &Stat,
        mut had: u64,
        bar: &ProgressBar,
        hash: &mut blake3::Hasher,
        mut write: impl FnMut(&[u8]) -> Result<(), Cut>,
    ) -> Result<u64, Cut> {
        let mut talk = self.target.talk()?;
        let length = stat.size - had;
        let line = talk.ask(&Request::Get { offset: had, length, name: self.name.clone() }, |_| true)?;
        let ranged = Ranged::read(line.first().map_or("", String::as_str))?;
        if (ranged.version, ranged.length) != (stat.version, length) {
            return Err(Cut::Changed);
        }
        let mut block = vec![0; BLOCK_BYTES];
        while had < stat.size {
            let most = (stat.size - had).min(BLOCK_BYTES as u64) as usize;
            let broken = |error| Trouble::Broken { error, unknown: false };
            let read = talk.bytes(&mut block[..most]).map_err(broken)?;
            write(&block[..read])?;
            hash.update(&block[..read]);
            had += read as u64;
            bar.set_position(had);
            self.until = Instant::now() + self.target.within;
        }
        Ok(had)
    }
}

/// Hashes what a file has, to its end.
fn hash_all(file: &mut File, hash: &mut blake3::Hasher) -> io::Result<u64> {
    let (mut block, mut had) = (vec![0; BLOCK_BYTES], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(had),
            read => {
                hash.update(&block[..read]);
                had += read as u64;
            }
        }
    }
}
