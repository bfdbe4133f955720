//! A connection to a node.

use super::server::Limits;
use crate::http::Token;
use crate::service::ring::text::answer::accepted;
use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest line of an answer, in bytes: a row with a name of 1,024, quoted and escaped,
/// is shorter.
const LINE_BYTES_MAX: usize = 16 << 10;
/// What is read at once, in bytes.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

pub(super) struct Link {
    pub(super) node: String,
    pub(super) stream: TcpStream,
    /// Read, and not asked for yet.
    read: BytesMut,
    stall_within: Duration,
}

impl Link {
    /// Connects, and makes sure that a living process is behind it.
    pub(super) async fn open(node: &str, token: Option<&Token>, limits: &Limits) -> Result<Link, String> {
        let stream = match timeout(limits.connect_within, TcpStream::connect(node)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no connection within {:?}", limits.connect_within)),
        };
        let _ = stream.set_nodelay(true); // lines leave late without it, and still leave
        let mut link = Link { node: node.into(), stream, read: BytesMut::new(), stall_within: limits.stall_within };
        let proved = async {
            let hello = match token {
                Some(token) => format!("AUTH {}\nNODE PING\n", token.as_str()),
                None => "NODE PING\n".into(),
            };
            link.say(&hello).await.map_err(|error| error.to_string())?;
            let expected: &[&str] = if token.is_some() { &["OK", "PONG"] } else { &["PONG"] };
            for expected in expected {
                let line = link.line().await.map_err(|error| error.to_string())?;
                if accepted(&line).map_err(|error| error.to_string())? != *expected {
                    return Err(format!("it is no node of a ring: '{line}'"));
                }
            }
            Ok(())
        };
        match timeout(limits.connect_within, proved).await {
            Ok(proved) => proved.map(|()| link),
            Err(_) => Err(format!("it does not answer within {:?}", limits.connect_within)),
        }
    }

    /// Says something. A node that does not take it for so long has stalled.
    pub(super) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let said = timeout(self.stall_within, self.stream.write_all(bytes.as_ref())).await;
        said.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.read[looked..].iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(looked + end + 1);
                let line = String::from_utf8_lossy(&line[..line.len() - 1]);
                return Ok(line.trim_end_matches('\r').to_owned());
            }
            looked = self.read.len();
            if looked > LINE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
            }
            self.read.reserve(4 << 10);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Lines up to one that is the last, or an error.
    pub(super) async fn lines(&mut self, most: usize, last: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let ends = last(&line) || lines.is_empty() && line.starts_with("ERR ");
            lines.push(line);
            if ends {
                return Ok(lines);
            }
            if lines.len() > most {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end"));
            }
        }
    }

    /// The next bytes, at most so many; none at the end. A node from which nothing
    /// comes for so long has stalled.
    pub(super) async fn bytes(&mut self, most: u64) -> io::Result<Bytes> {
        if self.read.is_empty() {
            self.read.reserve(BLOCK_BYTES);
            let read = timeout(self.stall_within, self.stream.read_buf(&mut self.read)).await;
            read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
        let length = most.min(self.read.len() as u64) as usize;
        Ok(self.read.split_to(length).freeze())
    }

    /// What was read and not taken, and the connection.
    pub(super) fn into_parts(self) -> (Bytes, TcpStream) {
        (self.read.freeze(), self.stream)
    }
}
