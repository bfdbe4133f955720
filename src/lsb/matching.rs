//! Matching: a carrier whose low bits differ from what they shall be moves to the
//! nearest value that has them, up or down, instead of having them replaced.
//!
//! Replacement never makes an odd value of an even one that was not its pair,
//! which is what the chi-square, RS and sample pair tests see; matching leaves no
//! such trace. It is read like replacement.

use super::{Bits, read_bits};

/// Moves `carrier` to the nearest value whose low bits are those of `value`;
/// `up` chooses where both neighbours are as near.
pub fn match_bits(carrier: &mut u8, value: u8, bits: Bits, up: bool) {
    let step = i16::from(bits.mask()) + 1;
    let raise = (i16::from(value & bits.mask()) - i16::from(read_bits(*carrier, bits))).rem_euclid(step);
    if raise == 0 {
        return;
    }
    let (above, below) = (i16::from(*carrier) + raise, i16::from(*carrier) + raise - step);
    let rather_up = raise * 2 < step || raise * 2 == step && up;
    let first = if rather_up { above } else { below };
    let second = if rather_up { below } else { above };
    // One of the two lies within a byte: they are `step` apart and `step` is at most 16.
    if let Some(found) = u8::try_from(first).ok().or_else(|| u8::try_from(second).ok()) {
        *carrier = found;
    }
}
