//! What is hidden, as bytes; and its parts over several covers.

use super::Error;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read, Write};

/// What is hidden.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// Text; comes back as text.
    Text(String),
    /// Any bytes.
    Bytes(Vec<u8>),
    /// A file with its name. A name is text from a stranger when it comes back:
    /// [`Payload::safe_name`] is what to write to.
    File {
        /// At most 65,535 bytes.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
}

impl Payload {
    /// What was hidden, whatever it is.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Text(text) => text.as_bytes(),
            Payload::Bytes(bytes) | Payload::File { bytes, .. } => bytes,
        }
    }

    /// A file's name without folders, control characters or leading dots; none if
    /// nothing is left or it is no file.
    pub fn safe_name(&self) -> Option<String> {
        let Payload::File { name, .. } = self else { return None };
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let clean: String = last.chars().filter(|c| !c.is_control() && !"<>:\"|?*".contains(*c)).collect();
        let clean = clean.trim_start_matches('.').trim();
        (!clean.is_empty()).then(|| clean.to_string())
    }

    /// As text, for a format that does not say what it holds.
    ///
    /// # Errors
    /// [`Error::NotText`] if the bytes are no UTF-8.
    pub fn into_text(self) -> Result<String, Error> {
        match self {
            Payload::Text(text) => Ok(text),
            Payload::Bytes(bytes) | Payload::File { bytes, .. } => String::from_utf8(bytes).map_err(|_| Error::NotText),
        }
    }
}

const BYTES: u8 = 0;
const TEXT: u8 = 1;
const FILE: u8 = 2;
/// Set beside the kind: deflated.
const DEFLATED: u8 = 4;

/// A payload as it is stored: its kind, and bytes that may be compressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

impl Stored {
    pub(super) fn of(payload: &Payload) -> Result<Stored, Error> {
        let (kind, plain) = match payload {
            Payload::Bytes(bytes) => (BYTES, bytes.clone()),
            Payload::Text(text) => (TEXT, text.clone().into_bytes()),
            Payload::File { name, bytes } => {
                let length = u16::try_from(name.len());
                let length = length.map_err(|_| Error::Options("a file's name is at most 65,535 bytes long"))?;
                (FILE, [&length.to_be_bytes(), name.as_bytes(), bytes].concat())
            }
        };
        let stored = deflated(&plain).filter(|bytes| bytes.len() < plain.len());
        Ok(match stored {
            Some(bytes) => Stored { kind: kind | DEFLATED, bytes },
            None => Stored { kind, bytes: plain },
        })
    }

    /// The payload, inflated to at most `bytes_max`.
    pub(super) fn open(self, bytes_max: u64) -> Result<Payload, Error> {
        let mut plain = self.bytes;
        if self.kind & DEFLATED != 0 {
            let mut inflated = Vec::new();
            let limit = bytes_max.saturating_add(1);
            let read = DeflateDecoder::new(&plain[..]).take(limit).read_to_end(&mut inflated);
            read.map_err(|_| Error::Damaged("it does not inflate"))?;
            plain = inflated;
        }
        if plain.len() as u64 > bytes_max {
            return Err(Error::Damaged("it would be greater than the limit for payloads"));
        }
        match self.kind & !DEFLATED {
            BYTES => Ok(Payload::Bytes(plain)),
            TEXT => String::from_utf8(plain).map(Payload::Text).map_err(|_| Error::NotText),
            FILE => {
                let (length, rest) = plain.split_first_chunk::<2>().ok_or(Error::Damaged("a file has no name"))?;
                let split = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)));
                let (name, bytes) = split.ok_or(Error::Damaged("a file's name is cut"))?;
                let name = std::str::from_utf8(name).map_err(|_| Error::Damaged("a file's name is no text"))?;
                Ok(Payload::File { name: name.to_string(), bytes: bytes.to_vec() })
            }
            _ => Err(Error::Damaged("its kind is unknown to this version")),
        }
    }
}

/// The bytes deflated; none if their beginning says that it would not gain: what
/// is already compressed is most of what is large.
fn deflated(plain: &[u8]) -> Option<Vec<u8>> {
    const TRIED: usize = 4 << 10;
    let deflate = |bytes: &[u8], level| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).and_then(|()| encoder.finish()).ok()
    };
    if plain.len() > 4 * TRIED {
        let beginning = deflate(&plain[..TRIED], 1)?;
        if beginning.len() > TRIED - TRIED / 50 {
            return None;
        }
    }
    deflate(plain, 6)
}

/// What one cover holds of a stored payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) kind: u8,
    /// From 1.
    pub(super) number: u16,
    pub(super) of: u16,
    /// The same in all parts of one payload, and in no others.
    pub(super) set: [u8; 8],
    /// Bytes of all parts together.
    pub(super) total: u64,
    pub(super) bytes: Vec<u8>,
}

/// The name of a set of parts: from its content, so that parts cannot be mixed.
pub(super) fn set_of(stored: &Stored) -> [u8; 8] {
    let hash = blake3::hash(&stored.bytes);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Puts parts together, in any order given.
pub(super) fn join(mut parts: Vec<Part>) -> Result<Stored, Error> {
    parts.sort_by_key(|part| part.number);
    parts.dedup();
    let first = parts.first().ok_or(Error::NothingFound("no image was given"))?.clone();
    let same =
        |part: &Part| (part.kind, part.of, part.set, part.total) == (first.kind, first.of, first.set, first.total);
    if !parts.iter().all(same) {
        return Err(Error::Options("these images hold parts of different payloads"));
    }
    if parts.iter().map(|part| part.number).ne(1..=first.of) {
        return Err(Error::Options(
            "not all parts of the payload are among these images; give all of them in one call",
        ));
    }
    let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
    if bytes.len() as u64 != first.total {
        return Err(Error::Damaged("its parts have another length than they say"));
    }
    Ok(Stored { kind: first.kind, bytes })
}
