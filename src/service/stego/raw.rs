//! Format `raw`: a 4-byte length, the greatest byte first, then the payload, one
//! bit a colour of every pixel, red green blue. What existing programs read and
//! write; it says nothing of what it holds and has no check.

use super::Error;
use super::source::Source;
use crate::lsb::{self, Bits};

pub(super) const LENGTH_BYTES: usize = 4;

/// Bytes of payload that so many carriers hold.
pub(super) fn capacity(carriers: usize) -> usize {
    lsb::capacity(carriers, Bits::ONE).saturating_sub(LENGTH_BYTES).min(u32::MAX as usize)
}

/// The length and the payload, as they are embedded.
pub(super) fn encode(payload: &[u8], carriers: usize) -> Result<Vec<u8>, Error> {
    let available = capacity(carriers);
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= available);
    let fits = length.filter(|_| carriers >= LENGTH_BYTES * 8);
    let length = fits.ok_or(Error::TooLarge { needed: payload.len() as u64, available: available as u64 })?;
    Ok([&length.to_be_bytes(), payload].concat())
}

/// The payload. Its length is compared with what the image can hold first.
pub(super) fn read(source: &mut Source<'_>) -> Result<Vec<u8>, Error> {
    let length = declared(source)?;
    let wanted = (LENGTH_BYTES + length) * 8;
    let carriers = source.first(wanted)?;
    if carriers.len() < wanted {
        return Err(Error::NothingFound("the first 32 bits are no length that fits into the image"));
    }
    let mut bytes = vec![0; length];
    lsb::extract(&carriers[LENGTH_BYTES * 8..], &mut bytes, Bits::ONE);
    Ok(bytes)
}

/// The length that the first 32 bits say, if the image can hold so much.
pub(super) fn declared(source: &mut Source<'_>) -> Result<usize, Error> {
    let most = capacity(source.most);
    let carriers = source.first(LENGTH_BYTES * 8)?;
    if carriers.len() < LENGTH_BYTES * 8 {
        return Err(Error::NothingFound("the image is too small to hold a length"));
    }
    let mut length = [0; LENGTH_BYTES];
    lsb::extract(carriers, &mut length, Bits::ONE);
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(Error::NothingFound("the first 32 bits are no length that fits into the image"));
    }
    Ok(length)
}
