//! Writes a trace, line by line.

use super::record::{Header, Record};
use serde::Serialize;
use std::io::{self, Write};

/// Writes one trace.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    line: Vec<u8>,
    crc: u32,
    records: u64,
    bytes: u64,
}

/// The last line.
#[derive(Serialize)]
struct End {
    records: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Of `out`.
    pub fn begin(out: W, header: &Header) -> io::Result<Self> {
        let mut writer = Writer { out, line: Vec::new(), crc: 0, records: 0, bytes: 0 };
        writer.line(header)?;
        Ok(writer)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// Of `out`: the file then ends with a torn line.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        self.line(record)?;
        self.records += 1;
        Ok(())
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands what is buffered on.
    ///
    /// # Errors
    /// Of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes the last line: the recording ends here because it was to.
    ///
    /// # Errors
    /// Of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        let records = self.records;
        self.line(&End { records })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.pop(); // the closing brace comes after the checksum
        self.crc = crc32c::crc32c_append(self.crc, &self.line);
        writeln!(self.line, ",\"crc\":\"{:08x}\"}}", self.crc)?;
        self.bytes += self.line.len() as u64;
        self.out.write_all(&self.line)
    }
}
