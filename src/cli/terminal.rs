//! What the command writes: results on standard output, everything else on
//! standard error; colours and progress only where a person is watching.

use serde::Serialize;
use std::io::{IsTerminal, Write};

/// A colour of a word in human output.
#[derive(Copy, Clone)]
pub(crate) enum Paint {
    /// Good: up, restored, ok.
    Green,
    /// Bad: killed, failed, lost.
    Red,
    /// To be noticed: suspected, paused.
    Yellow,
    /// In the background: times, counts.
    Dim,
}

/// Standard output and error of this process.
pub(crate) struct Terminal {
    out_is_terminal: bool,
    err_is_terminal: bool,
}

impl Terminal {
    /// Looks at what the process is connected to. `NO_COLOR` is respected.
    pub(crate) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Terminal {
            out_is_terminal: std::io::stdout().is_terminal() && !plain,
            err_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// One line on standard output. A reader that went away (a closed pipe)
    /// is no reason to fail: the run and its verdict go on.
    pub(crate) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// One JSON object on a line of standard output.
    pub(crate) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(&text),
            Err(error) => log::error!("an output object refuses to serialize: {error}"),
        }
    }

    /// An error for the person, on standard error.
    pub(crate) fn complain(&self, text: &str) {
        if !text.is_empty() {
            let _ = writeln!(std::io::stderr().lock(), "nodewright: {text}");
        }
    }

    /// Replaces the progress line, if a person watches standard error.
    pub(crate) fn progress(&self, text: &str) {
        if self.err_is_terminal {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
        }
    }

    /// Takes the progress line away.
    pub(crate) fn progress_done(&self) {
        self.progress("");
    }

    /// `text` in colour where standard output is a terminal.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.out_is_terminal {
            return text.to_string();
        }
        let code = match paint {
            Paint::Green => 32,
            Paint::Red => 31,
            Paint::Yellow => 33,
            Paint::Dim => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
