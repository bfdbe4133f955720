//! The measured processes, seen from the one that measures: this executable
//! run again with a hidden subcommand, asked line by line over its pipes. A
//! child ends when its standard input does, so none outlives the parent.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "bench-child";

/// A child that has said that it is ready.
pub(super) struct Child {
    what: String,
    process: Process,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it said with `ready`.
    pub(super) greeting: String,
}

impl Child {
    /// Starts this executable as the child `arguments` and waits until it is
    /// ready.
    pub(super) fn start<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> io::Result<Child> {
        Child::spawn(arguments)?.ready()
    }

    /// Starts a child without waiting: several that wait for one another.
    pub(super) fn spawn<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> io::Result<Child> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let what = arguments.join(" ".as_ref()).to_string_lossy().into_owned();
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SUBCOMMAND)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = BufReader::new(process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Child { what, process, asks, answers, greeting: String::new() })
    }

    /// Waits until it is ready.
    pub(super) fn ready(mut self) -> io::Result<Child> {
        let line = self.line()?;
        match line.strip_prefix("ready") {
            Some(greeting) => self.greeting = greeting.trim().to_string(),
            None => return Err(self.failed(&line)),
        }
        Ok(self)
    }

    /// Says something and waits for the one line of the answer.
    pub(super) fn ask(&mut self, question: &str) -> io::Result<String> {
        writeln!(self.asks, "{question}").and_then(|()| self.asks.flush()).map_err(|error| self.failed(&error))?;
        let answer = self.line()?;
        match answer.strip_prefix("failed") {
            Some(why) => Err(self.failed(&why.trim())),
            None => Ok(answer),
        }
    }

    /// Asks for numbers, separated by blanks.
    pub(super) fn numbers<const N: usize>(&mut self, question: &str) -> io::Result<[u64; N]> {
        let answer = self.ask(question)?;
        let numbers: Vec<u64> = answer.split_whitespace().map_while(|word| word.parse().ok()).collect();
        numbers.try_into().map_err(|_| self.failed(&format!("answered '{answer}' to '{question}'")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err(self.failed(&"it ended")),
            Ok(_) => Ok(line.trim_end().to_string()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> io::Error {
        io::Error::other(format!("the measured process '{}' failed: {why}", self.what))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may hang in what is measured; nothing of it is worth keeping.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
