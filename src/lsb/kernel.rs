//! One bit a carrier, eight carriers at a time.
//!
//! A table of 2 KiB spreads a byte over the low bits of a 64-bit word; gathering
//! is one multiplication, which moves the low bit of byte *i* to bit 63 - *i* and
//! lets no two of them meet. Both loops are bound by memory, not by arithmetic.

/// The low bit of each of eight bytes.
const LOW: u64 = 0x0101_0101_0101_0101;
/// Moves bit 8 *i* to bit 63 - *i*.
const GATHER: u64 = 0x8040_2010_0804_0201;

/// Byte by byte: its bits, most significant first, as the low bits of a word's
/// bytes, lowest address first.
static SPREAD: [u64; 256] = spread();
/// The same for three bits over the colours of one RGBA pixel.
const SPREAD_PIXEL: [u32; 8] = spread_pixel();

const fn spread() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut at = 0;
        while at < 8 {
            table[byte] |= ((byte as u64 >> (7 - at)) & 1) << (8 * at);
            at += 1;
        }
        byte += 1;
    }
    table
}

const fn spread_pixel() -> [u32; 8] {
    let mut table = [0; 8];
    let mut bits = 0;
    while bits < 8 {
        table[bits] = (bits as u32 >> 2 & 1) | (bits as u32 >> 1 & 1) << 8 | (bits as u32 & 1) << 16;
        bits += 1;
    }
    table
}

/// A cache line of carriers at a time: the table's loads do not wait for one
/// another, which makes half as much again.
pub(super) fn embed(carriers: &mut [u8], payload: &[u8]) {
    let (groups, rest) = payload.as_chunks::<8>();
    let (lines, tail) = carriers.split_at_mut(groups.len() * 64);
    for (line, group) in lines.as_chunks_mut::<64>().0.iter_mut().zip(groups) {
        embed_words(line, group);
    }
    embed_words(tail, rest);
}

#[inline(always)]
fn embed_words(carriers: &mut [u8], payload: &[u8]) {
    let (words, _) = carriers.as_chunks_mut::<8>();
    for (word, byte) in words.iter_mut().zip(payload) {
        *word = (u64::from_le_bytes(*word) & !LOW | SPREAD[usize::from(*byte)]).to_le_bytes();
    }
}

pub(super) fn extract(carriers: &[u8], out: &mut [u8]) {
    let (words, _) = carriers.as_chunks::<8>();
    for (byte, word) in out.iter_mut().zip(words) {
        *byte = ((u64::from_le_bytes(*word) & LOW).wrapping_mul(GATHER) >> 56) as u8;
    }
}

/// Three bytes are eight pixels.
pub(super) fn embed_rgba(pixels: &mut [u8], payload: &[u8]) {
    let (groups, rest) = payload.as_chunks::<3>();
    let (blocks, _) = pixels.as_chunks_mut::<32>();
    for (block, [a, b, c]) in blocks.iter_mut().zip(groups) {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        for (at, pixel) in block.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let three = (bits >> (21 - 3 * at) & 7) as usize;
            *pixel = (u32::from_le_bytes(*pixel) & !0x0001_0101 | SPREAD_PIXEL[three]).to_le_bytes();
        }
    }
    // The last one or two bytes, bit by bit.
    let done = groups.len() * 32;
    let colours = pixels[done..].iter_mut().enumerate().filter(|(at, _)| at % 4 != 3);
    let bits = rest.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    for ((_, colour), bit) in colours.zip(bits) {
        *colour = *colour & !1 | bit;
    }
}
