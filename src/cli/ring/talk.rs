//! A conversation in the text protocol, over a socket that waits.

use crate::service::ring::text::Request;
use crate::service::ring::text::answer::{NoAnswer, accepted};
use crate::service::ring::text::reply::Code;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use thiserror::Error;

/// How long one address may take to link.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Longest line of an answer, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// What is read or written at once, in bytes.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Why it is not done, or not known.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// Nothing was done.
    #[error("{0} (nothing was done)")]
    Nobody(String),
    /// A node says why not.
    #[error("{0}")]
    Refused(#[from] NoAnswer),
    /// The connection went while something was under way.
    #[error("the connection broke: {error} ({})", if *.unknown { "whether it was done is not known" } else { "nothing was done" })]
    Broken { error: io::Error, unknown: bool },
    /// It is there, and is not what it should be.
    #[error("{0}")]
    Wrong(String),
    /// Something of this machine.
    #[error("{0}")]
    Here(String),
}

impl Trouble {
    fn node_code(&self) -> Option<Code> {
        match self {
            Trouble::Refused(NoAnswer::Refused { code, .. }) => *code,
            _ => None,
        }
    }

    /// The exit status that it means.
    pub(super) fn status(&self) -> u8 {
        match (self, self.node_code()) {
            (Trouble::Broken { unknown: true, .. }, _) => 3,
            (Trouble::Nobody(_) | Trouble::Broken { .. }, _) | (_, Some(Code::Unavailable | Code::Busy)) => 4,
            (_, Some(Code::NotFound)) => 5,
            _ => 1,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match (self, self.node_code()) {
            (Trouble::Nobody(_), _) => "unreachable",
            (Trouble::Broken { .. }, _) => "broken",
            (Trouble::Wrong(_), _) => "damaged",
            (Trouble::Here(_), _) => "here",
            (_, Some(Code::Unavailable)) => "unavailable",
            (_, Some(Code::Conflict)) => "conflict",
            (_, Some(Code::Busy)) => "busy",
            (_, Some(Code::Full)) => "full",
            (_, Some(Code::NotFound)) => "no_file",
            (_, Some(Code::Range)) => "range",
            (_, Some(Code::Auth)) => "auth",
            (Trouble::Refused(_), None) => "refused",
        }
    }

    pub(super) fn state(&self) -> &'static str {
        if self.status() == 3 { "unknown" } else { "not_done" }
    }

    /// Whether it may be better in a while.
    pub(super) fn may_pass(&self) -> bool {
        self.status() == 4
    }

    fn lost(error: io::Error) -> Self {
        Trouble::Broken { error, unknown: false }
    }
}

/// One conversation.
pub(super) struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    /// Connects, and says the token where there is one.
    pub(super) fn open(address: &str, token: Option<&str>, within: Duration) -> io::Result<Talk> {
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(within))?;
                    stream.set_write_timeout(Some(within))?;
                    let mut talk = Talk { stream: BufReader::with_capacity(BLOCK_BYTES, stream) };
                    if let Some(token) = token {
                        talk.say(format!("AUTH {token}\n").as_bytes())?;
                        let line = talk.line()?;
                        accepted(&line).map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
                    }
                    return Ok(talk);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    pub(super) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| match error.kind() {
            // as a socket says that its time is over
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }

    /// Asks, and reads lines up to one that is the last, or an error.
    pub(super) fn ask(&mut self, request: &Request, last: impl Fn(&str) -> bool) -> Result<Vec<String>, Trouble> {
        self.say(format!("{request}\n").as_bytes()).map_err(Trouble::lost)?;
        let mut lines = Vec::new();
        loop {
            let unknown = matches!(request, Request::Delete(_) | Request::Undo(_) | Request::Drain(_))
                || matches!(request, Request::Forget(_) | Request::Rebuild);
            let line = self.line().map_err(|error| Trouble::Broken { error, unknown })?;
            if lines.is_empty() {
                accepted(&line)?;
            }
            let ends = last(&line);
            lines.push(line);
            if ends {
                return Ok(lines);
            }
        }
    }

    /// The next bytes of a body, into `block`.
    pub(super) fn bytes(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(block)?;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}
