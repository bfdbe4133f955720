//! A run as a text file that a reviewer can read.

use super::trace::Trace;
use std::path::Path;

/// Environment variable that rewrites transcripts instead of comparing.
const REWRITE: &str = "NODEWRIGHT_REWRITE";

/// Compares a trace with the text in `file`, or writes it there when
/// `NODEWRIGHT_REWRITE=1` is set.
///
/// # Errors
/// The first line that differs, or why the file cannot be read or written.
pub fn transcript(trace: &Trace, file: impl AsRef<Path>) -> Result<(), String> {
    kept(&trace.transcript(), file)
}

/// The same for any text.
///
/// # Errors
/// As [`transcript`].
pub fn kept(text: &str, file: impl AsRef<Path>) -> Result<(), String> {
    let file = file.as_ref();
    if std::env::var_os(REWRITE).is_some() {
        return std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let kept = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: {error}; {REWRITE}=1 writes it anew", file.display()))?;
    let mut lines = text.lines().zip(kept.lines()).enumerate();
    if let Some((at, (now, then))) = lines.find(|(_, (now, then))| now != then) {
        let file = file.display();
        return Err(format!("{file}:{}: differs\n  kept: {then}\n  now:  {now}\n{REWRITE}=1 writes it anew", at + 1));
    }
    if text.lines().count() != kept.lines().count() {
        let (now, then) = (text.lines().count(), kept.lines().count());
        return Err(format!("{}: {then} lines kept, now {now}; {REWRITE}=1 writes it anew", file.display()));
    }
    Ok(())
}
