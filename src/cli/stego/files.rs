//! Files, folders, patterns and pipes.

use crate::cli::Failure;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// Standard input or output.
const PIPE: &str = "-";
/// What in a folder is taken for an image.
const IMAGES: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

pub(super) fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == PIPE
}

pub(super) fn shown(path: &Path) -> String {
    if is_pipe(path) { "standard input".into() } else { path.display().to_string() }
}

/// The files that arguments name: themselves, the images of a folder, what a
/// pattern in the last part (`*`, `?`) matches; in the order of names.
pub(super) fn expand(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for argument in arguments {
        let name = argument.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_pipe(argument) || argument.is_file() {
            found.push(argument.clone());
        } else if argument.is_dir() {
            let is_image = |name: &str| {
                let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
                ending.is_some_and(|ending| IMAGES.contains(&ending.as_str()))
            };
            found.extend(listed(argument, &is_image)?);
        } else if name.contains(['*', '?']) {
            let folder = argument.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let wanted: Vec<char> = name.chars().collect();
            let matches = listed(folder, &|name| matches(&wanted, &name.chars().collect::<Vec<_>>()))?;
            if matches.is_empty() {
                return Err(Failure::usage(format!("no file matches {}", argument.display())));
            }
            found.extend(matches);
        } else {
            return Err(Failure::failed(format!("{}: there is no such file", argument.display())));
        }
    }
    if found.is_empty() {
        return Err(Failure::usage("there is no image among what was named"));
    }
    if found.iter().filter(|path| is_pipe(path)).count() > 1 {
        return Err(Failure::usage("standard input can be read once"));
    }
    Ok(found)
}

fn listed(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error: io::Error| Failure::failed(format!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && wanted(&name) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        [first, rest @ ..] => {
            name.split_first().is_some_and(|(c, behind)| (*first == '?' || first == c) && matches(rest, behind))
        }
    }
}

/// All of a file, or of standard input; a terminal is not waited for.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if !is_pipe(path) {
        return fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())));
    }
    if io::stdin().is_terminal() {
        return Err(Failure::usage("standard input is a terminal: name a file, or pipe one in"));
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    Ok(bytes)
}

/// Whether bytes may go to standard output: `-`, or nothing named and a pipe there.
pub(super) fn to_stdout(out: Option<&PathBuf>, is_text: bool) -> Result<bool, Failure> {
    match out {
        Some(path) => Ok(is_pipe(path)),
        None if is_text || !io::stdout().is_terminal() => Ok(true),
        None => Err(Failure::usage("the result is no text and standard output is a terminal: add --out FILE")),
    }
}

pub(super) fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::failed(format!("standard output: {error}")))
}

/// Writes beside the place, syncs and renames: whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fault = |error: io::Error| Failure::failed(format!("{}: {error}; nothing was written there", path.display()));
    let name = path.file_name().ok_or_else(|| Failure::usage(format!("{} names no file", path.display())))?;
    let beside = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
    let whole = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    whole().map_err(|error| {
        let _ = fs::remove_file(&beside); // it may not even be there
        fault(error)
    })
}

/// A folder, made if it is not there.
pub(super) fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// Where each input's result goes in a folder: its name with another ending. Two
/// that would have the same name are refused before anything is written.
pub(super) fn places(inputs: &[PathBuf], folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut places: Vec<PathBuf> = Vec::new();
    for input in inputs {
        let stem = if is_pipe(input) { "stdin".into() } else { input.file_stem().unwrap_or_default().to_os_string() };
        let place = folder.join(stem).with_added_extension(ending);
        if places.contains(&place) {
            let why = format!("two results would be called {}: embed them in two runs", place.display());
            return Err(Failure::usage(why));
        }
        places.push(place);
    }
    Ok(places)
}

/// Fills bytes with the system's randomness.
pub(super) fn random() -> Result<impl FnMut(&mut [u8]), Failure> {
    let fault = |error: io::Error| Failure::failed(format!("the operating system gives no random bytes: {error}"));
    let mut source = File::open("/dev/urandom").map_err(fault)?;
    let mut first = [0; 1];
    source.read_exact(&mut first).map_err(fault)?;
    Ok(move |bytes: &mut [u8]| {
        // It was just read from; the kernel's source does not end.
        source.read_exact(bytes).expect("random bytes of the operating system");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let fits = |pattern: &str, name: &str| {
            matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        assert!(fits("*.png", "a.b.png") && fits("a?c*", "abc") && fits("*", ""));
        assert!(!fits("*.png", "a.pn") && !fits("a?c", "ac") && !fits("", "a"));
    }

    #[test]
    fn two_results_of_one_name_are_refused() {
        let inputs = ["in/a.png", "b.png", "a.jpg"].map(PathBuf::from);
        assert!(places(&inputs, Path::new("out"), "png").is_err());
        assert_eq!(places(&inputs[..2], Path::new("out"), "png").expect("differ")[0], Path::new("out/a.png"));
    }
}
