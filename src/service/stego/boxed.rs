//! Format `boxed`: a header that says what is there, and a tag that says whether
//! it is whole.
//!
//! ```text
//!   "NwBx" version kind bits channels  part of(parts)  total     set  part's bytes  CRC-32C
//!    4     1       1    1    1         2    2          8         8    4             4         = 36 bytes
//! ```
//!
//! Numbers have their greatest byte first. The header lies in the first 288
//! carriers, one bit each; the part and the first 16 bytes of BLAKE3 over header
//! and part in the chosen channels behind them, with the header's bits each.
//! Guarantee: what comes back is what was embedded, or damage is reported.

use super::payload::Part;
use super::source::Source;
use super::{Error, Put};
use crate::lsb::{self, Bits, Channels};

const MAGIC: [u8; 4] = *b"NwBx";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 36;
/// Carriers of the header; whole pixels, gray or not.
const HEADER: usize = HEADER_BYTES * 8;
const TAG_BYTES: usize = 16;

/// Bytes of a part that so many carriers hold.
pub(super) fn capacity(carriers: usize, colours: usize, bits: Bits, channels: Channels) -> usize {
    let behind = carriers.saturating_sub(HEADER) / colours * channels.count(colours);
    lsb::capacity(behind, bits).saturating_sub(TAG_BYTES).min(u32::MAX as usize)
}

fn header(part: &Part, bits: Bits, channels: Channels) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&[VERSION, part.kind, bits.get(), channels.bits()]);
    header[8..10].copy_from_slice(&part.number.to_be_bytes());
    header[10..12].copy_from_slice(&part.of.to_be_bytes());
    header[12..20].copy_from_slice(&part.total.to_be_bytes());
    header[20..28].copy_from_slice(&part.set);
    header[28..32].copy_from_slice(&(part.bytes.len() as u32).to_be_bytes());
    let crc = crc32c::crc32c(&header[..32]);
    header[32..].copy_from_slice(&crc.to_be_bytes());
    header
}

fn tag(header: &[u8], bytes: &[u8]) -> [u8; TAG_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(bytes);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Embeds a part. `put` writes into carriers, by replacement or by matching.
pub(super) fn write(
    carriers: &mut [u8],
    colours: usize,
    part: &Part,
    bits: Bits,
    channels: Channels,
    put: Put<'_>,
) -> Result<(), Error> {
    let available = capacity(carriers.len(), colours, bits, channels);
    let behind = carriers.len().saturating_sub(HEADER) / colours * channels.count(colours);
    if lsb::capacity(behind, bits) < TAG_BYTES || part.bytes.len() > available {
        return Err(Error::TooLarge { needed: part.bytes.len() as u64, available: available as u64 });
    }
    let header = header(part, bits, channels);
    let body = [&part.bytes[..], &tag(&header, &part.bytes)].concat();
    let (head, rest) = carriers.split_at_mut(HEADER);
    put(head, &header, Bits::ONE);
    if channels.count(colours) == colours {
        put(rest, &body, bits);
        return Ok(());
    }
    let carries = |at: &usize| channels.has(at % colours);
    let mut chosen: Vec<u8> = (0..rest.len()).filter(carries).map(|at| rest[at]).collect();
    put(&mut chosen, &body, bits);
    (0..rest.len()).filter(carries).zip(chosen).for_each(|(at, carrier)| rest[at] = carrier);
    Ok(())
}

/// What a header says.
pub(super) struct Opened {
    header: [u8; HEADER_BYTES],
    pub(super) part: Part,
    pub(super) length: usize,
    pub(super) bits: Bits,
    pub(super) channels: Channels,
}

/// Reads the header alone; the part in it is without bytes.
pub(super) fn open(source: &mut Source<'_>) -> Result<Opened, Error> {
    const NONE: Error = Error::NothingFound("the image has no header of ours");
    let colours = source.colours;
    let most = source.most;
    let carriers = source.first(HEADER)?;
    if carriers.len() < HEADER {
        return Err(NONE);
    }
    let mut header = [0; HEADER_BYTES];
    lsb::extract(carriers, &mut header, Bits::ONE);
    if header[..4] != MAGIC {
        return Err(NONE);
    }
    let number =
        |from: usize, to: usize| header[from..to].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    if u64::from(crc32c::crc32c(&header[..32])) != number(32, 36) {
        return Err(Error::Damaged("its header's checksum is wrong"));
    }
    if header[4] != VERSION {
        return Err(Error::Damaged("it was written by a version that this one does not know"));
    }
    let (bits, channels) = (Bits::new(header[6]), Channels::from_bits(header[7]));
    let (bits, channels) = bits.zip(channels).ok_or(Error::Damaged("its header says what cannot be"))?;
    let length = number(28, 32) as usize;
    if length > capacity(most, colours, bits, channels) {
        return Err(Error::Damaged("its header says more than the image holds; perhaps it was cropped or scaled"));
    }
    let set = header[20..28].first_chunk().copied().unwrap_or_default();
    let (part, of) = (number(8, 10) as u16, number(10, 12) as u16);
    let part = Part { kind: header[5], number: part, of, set, total: number(12, 20), bytes: Vec::new() };
    Ok(Opened { header, part, length, bits, channels })
}

/// Reads a part, and no more rows than it lies in.
pub(super) fn read(source: &mut Source<'_>) -> Result<Part, Error> {
    let Opened { header, mut part, length, bits, channels } = open(source)?;
    let colours = source.colours;
    let taken = lsb::carriers_for(length + TAG_BYTES, bits);
    let wanted = HEADER + taken.div_ceil(channels.count(colours)) * colours;
    let carriers = source.first(wanted)?;
    let rest = carriers.get(HEADER..).unwrap_or_default();
    let chosen: Vec<u8> = if channels.count(colours) == colours {
        rest.to_vec()
    } else {
        rest.iter().enumerate().filter(|(at, _)| channels.has(at % colours)).map(|(_, carrier)| *carrier).collect()
    };
    if chosen.len() < taken {
        return Err(Error::Damaged("the image holds less than its header says"));
    }
    let mut body = vec![0; length + TAG_BYTES];
    lsb::extract(&chosen, &mut body, bits);
    let found = body.split_off(length);
    if found != tag(&header, &body) {
        return Err(Error::Damaged("its tag is wrong: samples were changed after embedding"));
    }
    part.bytes = body;
    Ok(part)
}
