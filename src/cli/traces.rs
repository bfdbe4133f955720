//! Traces as files: saved whole or not at all, found in directories, merged.

use super::Failure;
use crate::trace::{Trace, merge};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Extension of traces in a directory.
pub(crate) const EXTENSION: &str = "trace";

/// Writes `trace` to `path`: beside it first, so that no half of one stands
/// there.
pub(crate) fn save(trace: &Trace, path: &Path) -> Result<(), Failure> {
    replace(path, |out| trace.save(out).map(drop))
}

/// Puts what `write` writes in the place of `path`.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = File::create(&beside).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush()?;
        std::fs::rename(&beside, path)
    });
    written.map_err(|error| {
        _ = std::fs::remove_file(&beside); // of no use, and perhaps never made
        Failure::failed(format!("{} is not written: {error}", path.display()))
    })
}

/// Loads the traces at `paths` (a directory stands for all `*.trace` in it)
/// and merges them.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Trace, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let wrong = |error| Failure::usage(format!("{}: {error}", path.display()));
        let before = files.len();
        for entry in std::fs::read_dir(path).map_err(wrong)? {
            let file = entry.map_err(wrong)?.path();
            if file.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(file);
            }
        }
        if files.len() == before {
            return Err(Failure::usage(format!("{}: there is no *.{EXTENSION} in it", path.display())));
        }
        files[before..].sort();
    }
    let traces: Result<Vec<_>, Failure> = files.iter().map(|file| read(file)).collect();
    merge(traces?).map_err(Failure::usage)
}

fn read(path: &Path) -> Result<Trace, Failure> {
    let file = File::open(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Trace::load(BufReader::new(file)).map_err(|error| Failure::usage(format!("{}, {error}", path.display())))
}
