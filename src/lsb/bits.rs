//! Two to four bits a carrier, and single carriers at any place.

use super::Bits;

/// Replaces the low bits of one carrier by the low bits of `value`.
pub fn write_bits(carrier: &mut u8, value: u8, bits: Bits) {
    *carrier = *carrier & !bits.mask() | value & bits.mask();
}

/// The low bits of one carrier.
pub fn read_bits(carrier: u8, bits: Bits) -> u8 {
    carrier & bits.mask()
}

/// Eight carriers hold as many bytes as a carrier has bits: a group is one
/// number that is cut into carriers on one side and into bytes on the other.
pub(super) fn embed(carriers: &mut [u8], payload: &[u8], bits: Bits) {
    let per = usize::from(bits.get());
    let (groups, rest) = payload.split_at(payload.len() - payload.len() % per);
    let (blocks, _) = carriers.as_chunks_mut::<8>();
    for (block, group) in blocks.iter_mut().zip(groups.chunks_exact(per)) {
        let number = group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        for (at, carrier) in block.iter_mut().enumerate() {
            write_bits(carrier, (number >> (per * (7 - at))) as u8, bits);
        }
    }
    let tail = groups.len() / per * 8;
    for at in 0..rest.len() * 8 {
        let bit = rest[at / 8] >> (7 - at % 8) & 1;
        let shift = per - 1 - at % per;
        let carrier = &mut carriers[tail + at / per];
        *carrier = *carrier & !(1 << shift) | bit << shift;
    }
}

pub(super) fn extract(carriers: &[u8], out: &mut [u8], bits: Bits) {
    let per = usize::from(bits.get());
    let whole = out.len() - out.len() % per;
    let (groups, rest) = out.split_at_mut(whole);
    let (blocks, _) = carriers.as_chunks::<8>();
    for (group, block) in groups.chunks_exact_mut(per).zip(blocks) {
        let number = block.iter().fold(0u32, |number, carrier| number << per | u32::from(read_bits(*carrier, bits)));
        for (at, byte) in group.iter_mut().enumerate() {
            *byte = (number >> (8 * (per - 1 - at))) as u8;
        }
    }
    let tail = whole / per * 8;
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |byte, bit| {
            let at = index * 8 + bit;
            byte << 1 | carriers[tail + at / per] >> (per - 1 - at % per) & 1
        });
    }
}
