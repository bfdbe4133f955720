//! Extraction, and what can be said of an image without extracting.

use super::payload::{Part, Stored, join};
use super::source::{Source, View};
use super::{Error, Format, Limits, Payload, Session, boxed, raw, sealed};
use serde::Serialize;

/// How to read.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// Without one: sealed if there is a password, else boxed, else raw if its
    /// length fits and is not zero.
    pub format: Option<Format>,
    /// What an image may take.
    pub limits: Limits,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extracted {
    /// As it was given; of raw the bytes.
    pub payload: Payload,
    /// How it lay in the image.
    pub format: Format,
    /// Rows that were decoded, of the last image.
    pub rows_read: u32,
}

/// What can be said without extracting.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Found {
    /// How it lies in the image; a sealed payload is never seen.
    pub format: Format,
    /// Bytes in this image, as stored.
    pub bytes: u64,
    /// Bits a carrier.
    pub bits: u8,
    /// Colours that carry.
    pub channels: String,
    /// Which part this is, of how many.
    pub part: (u16, u16),
    /// Whether it is certain: a boxed header is, a raw length only fits.
    pub certain: bool,
}

/// Extracts what an image hides, decoding no more rows than it lies in (a sealed
/// one lies in all).
///
/// # Errors
/// [`Error::NothingFound`], [`Error::Damaged`], [`Error::Sealed`], and what the
/// limits forbid.
pub fn extract(image: &[u8], reading: &Reading, session: Option<&mut Session>) -> Result<Extracted, Error> {
    extract_over(&[image], reading, session)
}

/// Extracts what several images hide together, given in any order.
///
/// # Errors
/// As [`extract`], and [`Error::Options`] if parts are missing or belong to
/// different payloads.
pub fn extract_over(
    images: &[&[u8]],
    reading: &Reading,
    mut session: Option<&mut Session>,
) -> Result<Extracted, Error> {
    let format = match (reading.format, session.is_some()) {
        (None | Some(Format::Sealed), true) => Format::Sealed,
        (Some(Format::Sealed), false) => return Err(Error::Options("the sealed format needs a password")),
        (Some(_), true) => return Err(Error::Options("a password opens the sealed format only")),
        (Some(format), false) => format,
        (None, false) => match images {
            [image] => return either(image, reading),
            _ => Format::Boxed,
        },
    };
    let mut rows_read = 0;
    if format == Format::Raw {
        let [image] = images else { return Err(Error::Options("the raw format has one image")) };
        let mut source = Source::open(image, &reading.limits, View::Raw)?;
        let payload = Payload::Bytes(raw::read(&mut source)?);
        return Ok(Extracted { payload, format, rows_read: source.rows_read });
    }
    let mut part = |image: &&[u8]| -> Result<Part, Error> {
        let mut source = Source::open(image, &reading.limits, View::Native)?;
        let part = match session.as_deref_mut() {
            Some(session) => sealed::read(&mut source, session)?,
            None => boxed::read(&mut source)?,
        };
        rows_read = source.rows_read;
        Ok(part)
    };
    let parts = images.iter().map(&mut part).collect::<Result<Vec<Part>, Error>>()?;
    let stored: Stored = join(parts)?;
    Ok(Extracted { payload: stored.open(reading.limits.payload_bytes_max)?, format, rows_read })
}

/// Boxed, or else raw where that is plausible.
fn either(image: &[u8], reading: &Reading) -> Result<Extracted, Error> {
    let as_format = |format| extract(image, &Reading { format: Some(format), ..*reading }, None);
    match as_format(Format::Boxed) {
        Err(Error::NothingFound(_)) => match as_format(Format::Raw) {
            Ok(found) if !found.payload.bytes().is_empty() => Ok(found),
            Err(error @ Error::NothingFound(_)) if error.to_string().contains("compression") => Err(error),
            Ok(_) | Err(Error::NothingFound(_)) => Err(Error::NothingFound(
                "the image has no header of ours, and its first 32 bits are no length that fits",
            )),
            Err(other) => Err(other),
        },
        other => other,
    }
}

/// Says what an image holds by its first rows.
///
/// # Errors
/// [`Error::NothingFound`] if neither header nor plausible length is there;
/// something sealed may be there all the same.
pub fn probe(image: &[u8], limits: &Limits) -> Result<Found, Error> {
    match boxed::open(&mut Source::open(image, limits, View::Native)?) {
        Ok(opened) => Ok(Found {
            format: Format::Boxed,
            bytes: opened.length as u64,
            bits: opened.bits.get(),
            channels: opened.channels.to_string(),
            part: (opened.part.number, opened.part.of),
            certain: true,
        }),
        Err(Error::NothingFound(_)) => match raw::declared(&mut Source::open(image, limits, View::Raw)?)? {
            0 => Err(Error::NothingFound("the image has no header of ours, and its first 32 bits are zero")),
            length => Ok(Found {
                format: Format::Raw,
                bytes: length as u64,
                bits: 1,
                channels: "rgb".into(),
                part: (1, 1),
                certain: false,
            }),
        },
        Err(error) => Err(error),
    }
}
