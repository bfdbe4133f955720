//! Embedding: covers in, images out.

use super::payload::{Part, Stored, set_of};
use super::source::View;
use super::{Cover, Error, Format, Limits, Output, Payload, Random, Session, boxed, raw, sealed};
use crate::lsb::{self, Bits, Channels, match_bits};

/// How to embed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// How the payload lies in the image.
    pub format: Format,
    /// Bits a carrier; more hold more and show more. Raw has one.
    pub bits: Bits,
    /// Which colours carry; boxed only.
    pub channels: Channels,
    /// Move a carrier up or down by one instead of replacing its lowest bit:
    /// statistical tests see less. Not for raw, which other programs write.
    pub matching: bool,
    /// How the result is written.
    pub output: Output,
    /// Take the first frame of an animation; the others are lost.
    pub first_frame: bool,
    /// What a cover may take.
    pub limits: Limits,
}

/// An image with something in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Embedded {
    /// A whole file.
    pub image: Vec<u8>,
    /// What was changed of the cover beside what was asked for, for the person.
    pub notes: Vec<&'static str>,
    /// Bytes embedded, as stored: compressed where that gains.
    pub stored_bytes: u64,
    /// Bytes that the cover has room for, as stored.
    pub capacity: u64,
}

fn check(options: &Options, session: bool, covers: usize) -> Result<(), Error> {
    let plain = options.bits == Bits::ONE && options.channels == Channels::ALL;
    match options.format {
        Format::Raw if !plain => Err(Error::Options(
            "the raw format has one bit in every colour: take boxed for more bits or fewer channels",
        )),
        Format::Raw if options.matching => {
            Err(Error::Options("the raw format replaces bits: take boxed or sealed for matching"))
        }
        Format::Raw if covers != 1 => {
            Err(Error::Options("the raw format has one cover: take boxed or sealed for several"))
        }
        Format::Sealed if options.channels != Channels::ALL => {
            Err(Error::Options("the sealed format uses all channels"))
        }
        Format::Sealed if !session => Err(Error::Options("the sealed format needs a password")),
        Format::Raw | Format::Boxed if session => {
            Err(Error::Options("a password seals: take the sealed format, or leave the password out"))
        }
        _ if covers == 0 => Err(Error::Options("there is no cover")),
        _ => Ok(()),
    }
}

/// A cover, prepared for a format, and its carriers.
struct Prepared {
    cover: Cover,
    carriers: Vec<u8>,
    view: View,
}

fn prepare(bytes: &[u8], options: &Options) -> Result<Prepared, Error> {
    let mut cover = Cover::read(bytes, &options.limits, options.first_frame)?;
    let view = if options.format == Format::Raw { View::Raw } else { View::Native };
    if options.output == Output::Webp && cover.layout.sample_bytes == 2 && view == View::Native {
        return Err(Error::Options("WebP has 8 bits a sample, the cover 16: write a PNG"));
    }
    if view == View::Raw || options.output == Output::Webp {
        cover = cover.into_rgb8();
    }
    let mut carriers = Vec::new();
    if !cover.layout.is_flat() {
        view.gather(cover.layout, &cover.pixels, &mut carriers);
    }
    Ok(Prepared { cover, carriers, view })
}

impl Prepared {
    fn count(&self) -> usize {
        if self.cover.layout.is_flat() { self.cover.pixels.len() } else { self.carriers.len() }
    }

    fn capacity(&self, options: &Options) -> usize {
        match options.format {
            Format::Raw => raw::capacity(self.count()),
            Format::Boxed => boxed::capacity(self.count(), self.cover.layout.colours, options.bits, options.channels),
            Format::Sealed => sealed::capacity(self.count(), options.bits),
        }
    }

    /// Lets `write` at the carriers, and puts them back.
    fn with_carriers(&mut self, write: impl FnOnce(&mut [u8]) -> Result<(), Error>) -> Result<(), Error> {
        if self.cover.layout.is_flat() {
            return write(&mut self.cover.pixels);
        }
        write(&mut self.carriers)?;
        self.cover.layout.scatter(&self.carriers, self.view == View::Raw, &mut self.cover.pixels);
        Ok(())
    }
}

/// Bytes of payload that a cover has room for, before any compression.
///
/// # Errors
/// What [`Cover::read`] says, and [`Error::Options`].
pub fn capacity(cover: &[u8], options: &Options) -> Result<u64, Error> {
    check(options, options.format == Format::Sealed, 1)?;
    Ok(prepare(cover, options)?.capacity(options) as u64)
}

/// Embeds a payload into a cover.
///
/// # Errors
/// [`Error::TooLarge`] with what is needed and what there is, [`Error::Options`],
/// and what [`Cover::read`] and [`Cover::write`] say. There is no result then.
pub fn embed(
    cover: &[u8],
    payload: &Payload,
    options: &Options,
    session: Option<&mut Session>,
    random: Random<'_>,
) -> Result<Embedded, Error> {
    let mut images = embed_over(&[cover], payload, options, session, random)?;
    images.pop().ok_or(Error::Options("there is no cover"))
}

/// Embeds one payload over several covers, each taking a share by its capacity.
/// All of them are needed to extract it, in any order.
///
/// # Errors
/// As [`embed`]; what there is, is over all covers.
pub fn embed_over(
    covers: &[&[u8]],
    payload: &Payload,
    options: &Options,
    mut session: Option<&mut Session>,
    random: Random<'_>,
) -> Result<Vec<Embedded>, Error> {
    check(options, session.is_some(), covers.len())?;
    let of = u16::try_from(covers.len()).map_err(|_| Error::Options("at most 65,535 covers"))?;
    if options.format == Format::Raw {
        let mut prepared = prepare(covers[0], options)?;
        let capacity = prepared.capacity(options) as u64;
        let bytes = raw::encode(payload.bytes(), prepared.count())?;
        prepared.with_carriers(|carriers| {
            lsb::embed(carriers, &bytes, Bits::ONE);
            Ok(())
        })?;
        let image = prepared.cover.write(options.output)?;
        let stored_bytes = payload.bytes().len() as u64;
        return Ok(vec![Embedded { image, notes: prepared.cover.notes, stored_bytes, capacity }]);
    }
    let stored = Stored::of(payload)?;
    // One cover is decoded at a time: of the others only the capacity is kept.
    let mut first = (covers.len() == 1).then(|| prepare(covers[0], options)).transpose()?;
    let capacities: Vec<u64> = match &first {
        Some(prepared) => vec![prepared.capacity(options) as u64],
        None => covers.iter().map(|cover| capacity(cover, options)).collect::<Result<_, _>>()?,
    };
    let (needed, available) = (stored.bytes.len() as u64, capacities.iter().sum::<u64>());
    if needed > available {
        return Err(Error::TooLarge { needed, available });
    }
    let mut seed = [0; 8];
    random(&mut seed);
    let mut rng = options.matching.then(|| fastrand::Rng::with_seed(u64::from_le_bytes(seed)));
    let mut put = |carriers: &mut [u8], bytes: &[u8], bits: Bits| put(carriers, bytes, bits, rng.as_mut());
    let (mut images, mut rest, mut set) = (Vec::new(), &stored.bytes[..], set_of(&stored));
    if options.format == Format::Sealed {
        random(&mut set);
    }
    let (mut left, mut room) = (needed, available);
    for ((cover, capacity), number) in covers.iter().zip(capacities).zip(1..) {
        // A share by capacity, rounded up: what is left always fits into the rest.
        let share = (u128::from(left) * u128::from(capacity)).div_ceil(u128::from(room.max(1)));
        let share = u64::try_from(share).unwrap_or(u64::MAX).min(capacity);
        let (bytes, behind) = rest.split_at(share as usize);
        (rest, left, room) = (behind, left - share, room - capacity);
        let part = Part { kind: stored.kind, number, of, set, total: needed, bytes: bytes.to_vec() };
        let mut prepared = match first.take() {
            Some(prepared) => prepared,
            None => prepare(cover, options)?,
        };
        let colours = prepared.cover.layout.colours;
        prepared.with_carriers(|carriers| match (options.format, session.as_deref_mut()) {
            (Format::Sealed, Some(session)) => sealed::write(carriers, &part, options.bits, session, random, &mut put),
            _ => boxed::write(carriers, colours, &part, options.bits, options.channels, &mut put),
        })?;
        let image = prepared.cover.write(options.output)?;
        images.push(Embedded { image, notes: prepared.cover.notes, stored_bytes: share, capacity });
    }
    Ok(images)
}

/// Writes bytes into carriers, by replacement or by matching.
fn put(carriers: &mut [u8], bytes: &[u8], bits: Bits, matching: Option<&mut fastrand::Rng>) {
    let Some(rng) = matching else { return lsb::embed(carriers, bytes, bits) };
    let touched = &mut carriers[..lsb::carriers_for(bytes.len(), bits)];
    let mut wanted = touched.to_vec();
    // All whole carriers: their number was made for exactly these bytes.
    lsb::embed(&mut wanted, bytes, bits);
    touched.iter_mut().zip(wanted).for_each(|(carrier, wanted)| match_bits(carrier, wanted, bits, rng.bool()));
}
