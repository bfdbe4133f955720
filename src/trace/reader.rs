//! Reads a trace back. What is read is judged before it is believed: a file
//! from anywhere may hold anything.

use super::record::{FORMAT, Header, Record};
use serde::Deserialize;
use std::io::{self, BufRead, Read};

/// Longest line, in bytes: no more of a file is held at a time.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Most records that [`Trace::load`] takes into memory (some 400 MB).
pub const RECORDS_MAX: usize = 2_000_000;
/// Bytes of `,"crc":"01234567"}`.
const SEAL_BYTES: usize = 18;

/// Why a trace cannot be read. The records before the line were whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("line {line}: {error}")]
    Io {
        /// Counted from 1.
        line: u64,
        /// What the system says.
        error: io::Error,
    },
    /// The first line is not that of a trace.
    #[error("line 1: this is no trace of nodewright ({0})")]
    Foreign(String),
    /// A newer program wrote it.
    #[error("line 1: the trace has format {0}, and this program reads up to {FORMAT}: use a newer nodewright")]
    Newer(u64),
    /// A line is not what was written.
    #[error("line {line}: damaged: {what}")]
    Damaged {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// More records than are taken into memory.
    #[error("line {line}: more than {RECORDS_MAX} records: record a shorter run")]
    TooMany {
        /// Counted from 1.
        line: u64,
    },
}

/// How a trace ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Tail {
    /// As its writer meant it to.
    Finished,
    /// After a whole record: whoever wrote it was killed, or writes on.
    Open,
    /// In the middle of a line: whoever wrote it was killed.
    Torn,
}

/// Reads records one by one, in the memory of one line.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    crc: u32,
    lines: u64,
    records: u64,
    line: Vec<u8>,
    tail: Option<Tail>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    records: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn open(input: R) -> Result<Self, ReadError> {
        let header = Header::new(super::Clock::Virtual, 0, "");
        let mut reader = Reader { input, header, crc: 0, lines: 0, records: 0, line: Vec::new(), tail: None };
        reader.fill()?;
        let foreign = |why: &str| ReadError::Foreign(why.to_owned());
        let first: serde_json::Value = serde_json::from_slice(&reader.line).map_err(|_| foreign("no JSON object"))?;
        match first.get("nodewright_trace").map(serde_json::Value::as_u64) {
            Some(Some(format)) if format > u64::from(FORMAT) => return Err(ReadError::Newer(format)),
            Some(Some(_)) => {}
            _ => return Err(foreign("it does not say which format it has")),
        }
        if reader.tail.is_some() {
            return Err(reader.damaged("the header is cut off"));
        }
        reader.unseal()?;
        reader.header = reader.parse()?;
        Ok(reader)
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the trace ends, once all records were read.
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&mut self) -> Result<Option<Record>, ReadError> {
        if self.tail.is_some() {
            return Ok(None);
        }
        self.fill()?;
        if self.tail.is_some() {
            return Ok(None);
        }
        self.unseal()?;
        if self.line.starts_with(b"{\"records\":") {
            let End { records } = self.parse()?;
            if records != self.records {
                return Err(self.damaged(&format!("it says that there are {records} records, not {}", self.records)));
            }
            self.tail = Some(Tail::Finished);
            self.fill()?;
            return if self.line.is_empty() { Ok(None) } else { Err(self.damaged("something follows the last line")) };
        }
        self.records += 1;
        self.parse().map(Some)
    }

    /// Takes the next line; at the end of the file says how it ends.
    fn fill(&mut self) -> Result<(), ReadError> {
        self.line.clear();
        self.lines += 1;
        let line = self.lines;
        let mut input = (&mut self.input).take(LINE_BYTES_MAX as u64 + 1);
        input.read_until(b'\n', &mut self.line).map_err(|error| ReadError::Io { line, error })?;
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(());
        }
        if self.line.len() > LINE_BYTES_MAX {
            return Err(self.damaged("it is longer than any line of a trace"));
        }
        let end = if self.line.is_empty() { Tail::Open } else { Tail::Torn };
        self.tail.get_or_insert(end);
        Ok(())
    }

    /// Proves the checksum and takes it off.
    fn unseal(&mut self) -> Result<(), ReadError> {
        let at = self.line.len().checked_sub(SEAL_BYTES).filter(|at| self.line[*at..].starts_with(b",\"crc\":\""));
        let Some(at) = at else { return Err(self.damaged("it has no checksum at its end")) };
        let (body, seal) = self.line.split_at(at);
        self.crc = crc32c::crc32c_append(self.crc, body);
        if seal != format!(",\"crc\":\"{:08x}\"}}", self.crc).as_bytes() {
            return Err(self.damaged("its checksum does not match: it was changed, or a line before it is missing"));
        }
        self.line.truncate(at);
        self.line.push(b'}');
        Ok(())
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, ReadError> {
        serde_json::from_slice(&self.line).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, what: &str) -> ReadError {
        ReadError::Damaged { line: self.lines, what: what.to_owned() }
    }
}

/// A whole trace in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Its first line.
    pub header: Header,
    /// Its records, in the order of the file.
    pub records: Vec<Record>,
    /// Whether every recording in it came to its end as it should.
    pub tail: Tail,
}

impl Trace {
    /// Reads a trace to its end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn load(input: impl BufRead) -> Result<Self, ReadError> {
        let mut reader = Reader::open(input)?;
        let mut records = Vec::new();
        while let Some(record) = reader.read()? {
            if records.len() == RECORDS_MAX {
                return Err(ReadError::TooMany { line: reader.lines });
            }
            records.push(record);
        }
        let tail = reader.tail.unwrap_or(Tail::Open);
        Ok(Trace { header: reader.header, records, tail })
    }

    /// Writes it, with a last line if it had one.
    ///
    /// # Errors
    /// Of `out`.
    pub fn save<W: io::Write>(&self, out: W) -> io::Result<W> {
        let mut writer = super::Writer::begin(out, &self.header)?;
        for record in &self.records {
            writer.push(record)?;
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests;
