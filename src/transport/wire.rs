//! A handshake's messages on a socket: a length of two bytes, then so many.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A socket with one deadline for all that is read and written.
pub(super) struct Wire<'a> {
    pub(super) stream: &'a TcpStream,
    pub(super) deadline: Instant,
}

impl Wire<'_> {
    pub(super) fn read(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match (&mut &*self.stream).read(into) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => into = &mut into[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// The next message; `None` if it is longer than it may be.
    pub(super) fn read_message(&mut self, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let length = usize::from(u16::from_le_bytes(self.read_array()?));
        if length > bytes_max {
            return Ok(None);
        }
        // at most 64 KiB, and at most as many as there may be half-open connections
        let mut message = vec![0; length];
        self.read(&mut message)?;
        Ok(Some(message))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        (&mut &*self.stream).write_all(bytes)
    }
}
