//! The pixel codec: bits in the least significant bits of samples.
//!
//! An image is its *carriers* here: the bytes whose low bits may hold a payload,
//! one for each colour sample (of a 16-bit sample the lower byte), in image
//! order. A [`Layout`] says where they lie in a pixel and copies them out and
//! back where they do not lie side by side; the kernels know only a flat slice.
//!
//! | order | is |
//! |---|---|
//! | of payload bits | byte by byte, most significant bit first |
//! | within a carrier, with more than one bit | most significant bit first |
//!
//! Guarantee: what [`embed`] writes, [`extract`] reads, for every length up to
//! [`capacity`]; no bit above the lowest `bits` of a carrier changes, and none of
//! a carrier behind the last one used. The codec knows no format, and says
//! nothing about whether anything is hidden.
//!
//! Source: the least significant bit method as in Fridrich, *Steganography in
//! Digital Media*, sections 5.1 (replacement) and 7.3.1 (matching, as plus or
//! minus one).

mod bits;
mod kernel;
mod layout;
mod matching;
#[cfg(test)]
mod tests;

pub use bits::{read_bits, write_bits};
pub use layout::{Channels, Layout};
pub use matching::match_bits;

/// How many of a carrier's lowest bits hold payload: 1 to 4.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bits(u8);

impl Bits {
    /// One bit a carrier: the least visible.
    pub const ONE: Bits = Bits(1);
    /// Four bits a carrier: the most that this codec writes.
    pub const MAX: Bits = Bits(4);

    /// `count` bits a carrier, if it is 1 to 4.
    pub fn new(count: u8) -> Option<Self> {
        (1..=4).contains(&count).then_some(Bits(count))
    }

    /// The count.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The bits of a carrier that hold payload.
    pub fn mask(self) -> u8 {
        (1 << self.0) - 1
    }
}

impl Default for Bits {
    fn default() -> Self {
        Bits::ONE
    }
}

/// Whole bytes that fit into `carriers`.
///
/// ```
/// use nodewright::lsb::{Bits, capacity};
/// assert_eq!(capacity(800 * 600 * 3, Bits::ONE), 180_000);
/// ```
pub fn capacity(carriers: usize, bits: Bits) -> usize {
    // Eight carriers hold `bits` bytes; no product can overflow.
    carriers / 8 * usize::from(bits.0) + carriers % 8 * usize::from(bits.0) / 8
}

/// Carriers that `bytes` bytes take, the last one perhaps in part.
pub fn carriers_for(bytes: usize, bits: Bits) -> usize {
    let per = usize::from(bits.0);
    (bytes / per).saturating_mul(8).saturating_add((bytes % per * 8).div_ceil(per))
}

/// Writes `payload` into the low bits of the first carriers. Bits of the last
/// carrier that are left over keep what they were.
///
/// # Panics
/// If the payload is greater than [`capacity`]: a caller that has not asked
/// would lose its end.
///
/// ```
/// use nodewright::lsb::{Bits, embed, extract};
/// let mut carriers = vec![0x80; 24];
/// embed(&mut carriers, b"hey", Bits::ONE);
/// let mut read = [0; 3];
/// extract(&carriers, &mut read, Bits::ONE);
/// assert_eq!(&read, b"hey");
/// ```
pub fn embed(carriers: &mut [u8], payload: &[u8], bits: Bits) {
    assert!(payload.len() <= capacity(carriers.len(), bits), "the payload fits");
    match bits {
        Bits::ONE => kernel::embed(carriers, payload),
        _ => bits::embed(carriers, payload, bits),
    }
}

/// Reads as many bytes as `out` has room for.
///
/// # Panics
/// If `out` is greater than [`capacity`].
pub fn extract(carriers: &[u8], out: &mut [u8], bits: Bits) {
    assert!(out.len() <= capacity(carriers.len(), bits), "so much is there");
    match bits {
        Bits::ONE => kernel::extract(carriers, out),
        _ => bits::extract(carriers, out, bits),
    }
}

/// Embeds one bit a colour sample into pixels with alpha (R G B A, 8 bits each)
/// without touching the alpha: what copying the carriers out and back does, in
/// one pass.
///
/// # Panics
/// If the payload takes more colour samples than there are.
pub fn embed_rgba(pixels: &mut [u8], payload: &[u8]) {
    assert!(payload.len() <= capacity(pixels.len() / 4 * 3, Bits::ONE), "the payload fits");
    kernel::embed_rgba(pixels, payload);
}
