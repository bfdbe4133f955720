//! Where a file is cut: parts, and blocks within them.
//!
//! ```text
//!   [ part 1              | part 2              | part 3       ]
//!   [ block | block | bl. | block | block | bl. | ...           exact: to the byte
//!   [ block | block | block | block | block | block | bl.       rounded: at 1 MiB
//! ```
//!
//! Part i of n is 1/n of the file: to the byte for an exact split and for files of
//! less than n MiB, else to a whole block. The first ones take what is left over.
//! Blocks begin with their part, so that each is read from one file.

use serde::{Deserialize, Serialize};

/// Length of a block, in bytes; the last one of a part may be shorter.
pub const BLOCK_BYTES: u64 = 1 << 20;

/// How a file is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Cuts {
    size: u64,
    parts: u16,
    exact: bool,
}

/// A stretch of the file within one block of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The part, from 1.
    pub part: u16,
    /// Which block of the part, from 0.
    pub block: u64,
    /// Where in the file the block begins.
    pub at: u64,
    /// Length of the whole block, in bytes.
    pub bytes: u64,
    /// Where in the block the stretch begins.
    pub skip: u64,
    /// Length of the stretch, in bytes.
    pub take: u64,
}

impl Cuts {
    /// Cuts `size` bytes into `parts` (none counts as one), to the byte if `exact`
    /// or if there is less than a block for each.
    pub fn new(size: u64, parts: u16, exact: bool) -> Self {
        let parts = parts.max(1);
        Cuts { size, parts, exact: exact || size < u64::from(parts) * BLOCK_BYTES }
    }

    /// How many parts a file of `size` bytes has among `slots` nodes, if none is to
    /// be shorter than `min_part` bytes.
    pub fn width(size: u64, slots: u16, min_part: u64) -> u16 {
        let most = size.checked_div(min_part).unwrap_or(u64::MAX);
        most.clamp(1, u64::from(slots.max(1))) as u16
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many parts.
    pub fn parts(&self) -> u16 {
        self.parts
    }

    /// Whether the file is cut to the byte.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether the cuts are at blocks of the whole file.
    pub fn is_aligned(&self) -> bool {
        !self.exact || self.parts == 1
    }

    /// Where part `part` (from 1) begins in the file, in bytes; behind the last
    /// part the file's end.
    pub fn start(&self, part: u16) -> u64 {
        let (before, parts) = (u64::from(part.saturating_sub(1).min(self.parts)), u64::from(self.parts));
        let share = |whole: u64| before * (whole / parts) + before.min(whole % parts);
        if self.exact {
            share(self.size)
        } else {
            share(self.size.div_ceil(BLOCK_BYTES)).saturating_mul(BLOCK_BYTES).min(self.size)
        }
    }

    /// Length of part `part`, in bytes.
    pub fn bytes(&self, part: u16) -> u64 {
        self.start(part.saturating_add(1)) - self.start(part)
    }

    /// How many blocks part `part` has.
    pub fn blocks(&self, part: u16) -> u64 {
        self.bytes(part).div_ceil(BLOCK_BYTES)
    }

    /// The part that holds the byte at `offset`; none at the end and behind it.
    pub fn part_at(&self, offset: u64) -> Option<u16> {
        if offset >= self.size {
            return None;
        }
        let (mut low, mut high) = (1, self.parts);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.start(middle) <= offset {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Some(low)
    }

    /// The stretch of the file that begins at `offset`: to the end of its block.
    pub fn piece_at(&self, offset: u64) -> Option<Piece> {
        let part = self.part_at(offset)?;
        let (start, bytes) = (self.start(part), self.bytes(part));
        let block = (offset - start) / BLOCK_BYTES;
        let skip = (offset - start) % BLOCK_BYTES;
        let bytes = (bytes - block * BLOCK_BYTES).min(BLOCK_BYTES);
        Some(Piece { part, block, at: offset - skip, bytes, skip, take: bytes - skip })
    }

    /// The stretches of `length` bytes from `offset` on, in order, as far as the
    /// file goes.
    pub fn pieces(&self, offset: u64, length: u64) -> impl Iterator<Item = Piece> + use<> {
        let (cuts, mut at, end) = (*self, offset, offset.saturating_add(length));
        std::iter::from_fn(move || {
            let mut piece = cuts.piece_at(at).filter(|_| at < end)?;
            piece.take = piece.take.min(end - at);
            at += piece.take;
            Some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = BLOCK_BYTES;

    fn lengths(size: u64, parts: u16, exact: bool) -> Vec<u64> {
        let cuts = Cuts::new(size, parts, exact);
        (1..=parts).map(|part| cuts.bytes(part)).collect()
    }

    #[test]
    fn the_table() {
        // the original's own example
        assert_eq!(lengths(16_777_216, 5, true), [3_355_444, 3_355_443, 3_355_443, 3_355_443, 3_355_443]);
        assert_eq!(lengths(0, 5, false), [0; 5]);
        assert_eq!(lengths(1, 5, false), [1, 0, 0, 0, 0]);
        assert_eq!(lengths(4, 5, false), [1, 1, 1, 1, 0]);
        assert_eq!(lengths(5, 5, false), [1; 5]);
        assert_eq!(lengths(6, 5, false), [2, 1, 1, 1, 1]);
        assert_eq!(lengths(5 * MIB - 1, 5, false), [MIB, MIB, MIB, MIB, MIB - 1]);
        assert_eq!(lengths(5 * MIB, 5, false), [MIB; 5]);
        assert_eq!(lengths(5 * MIB + 1, 5, false), [2 * MIB, MIB, MIB, MIB, 1]);
        assert_eq!(lengths(16 * MIB, 5, false), [4 * MIB, 3 * MIB, 3 * MIB, 3 * MIB, 3 * MIB]);
        assert_eq!(lengths(7, 1, false), [7]);
        assert_eq!(Cuts::new(7, 0, false).parts(), 1);
    }

    #[test]
    fn small_files_are_narrowed() {
        let width = |size, min_part| Cuts::width(size, 5, min_part);
        assert_eq!([width(0, 0), width(3, 0), width(1 << 40, 0)], [5, 5, 5]);
        assert_eq!([width(0, 64), width(63, 64), width(127, 64), width(128, 64)], [1, 1, 1, 2]);
        assert_eq!([width(320, 64), width(1 << 40, 64), width(9, u64::MAX)], [5, 5, 1]);
        assert_eq!(Cuts::width(9, 0, 0), 1);
    }

    fn any_cuts() -> impl Strategy<Value = Cuts> {
        let size =
            prop_oneof![0..200u64, 0..40 * MIB, (0..40u64, 0..3u64).prop_map(|(n, d)| (n * MIB + d).saturating_sub(1))];
        (size, 1..24u16, any::<bool>()).prop_map(|(size, parts, exact)| Cuts::new(size, parts, exact))
    }

    proptest! {
        #[test]
        fn parts_follow_on_each_other_and_differ_little(cuts in any_cuts()) {
            let lengths: Vec<u64> = (1..=cuts.parts()).map(|part| cuts.bytes(part)).collect();
            prop_assert_eq!(lengths.iter().sum::<u64>(), cuts.size());
            prop_assert_eq!((cuts.start(1), cuts.start(cuts.parts() + 1)), (0, cuts.size()));
            prop_assert!(lengths.is_sorted_by(|a, b| a >= b), "the first take what is left over");
            let apart = lengths[0] - lengths[lengths.len() - 1];
            let most = if cuts.is_aligned() { 2 * MIB - 1 } else { 1 };
            prop_assert!(apart <= most);
            if cuts.is_aligned() {
                prop_assert!((1..=cuts.parts()).all(|part| cuts.start(part) % MIB == 0));
            }
        }

        #[test]
        fn pieces_are_the_range(cuts in any_cuts(), offset in 0..41 * MIB, length in 0..5 * MIB) {
            let mut at = offset;
            for piece in cuts.pieces(offset, length) {
                prop_assert_eq!(piece.at + piece.skip, at);
                prop_assert_eq!(Some(piece.part), cuts.part_at(at));
                prop_assert!(piece.take > 0 && piece.skip + piece.take <= piece.bytes && piece.bytes <= MIB);
                prop_assert_eq!(piece.at, cuts.start(piece.part) + piece.block * MIB);
                prop_assert!(piece.block < cuts.blocks(piece.part));
                at += piece.take;
            }
            prop_assert_eq!(at, offset.max(cuts.size().min(offset.saturating_add(length))));
        }
    }

    #[test]
    fn the_greatest_size_overflows_nothing() {
        for exact in [false, true] {
            let cuts = Cuts::new(u64::MAX, 7, exact);
            assert_eq!((1..=7).map(|part| cuts.bytes(part)).sum::<u64>(), u64::MAX);
            assert_eq!(cuts.piece_at(u64::MAX - 1).map(|piece| piece.part), Some(7));
            assert_eq!(cuts.pieces(u64::MAX - 5, u64::MAX).map(|piece| piece.take).sum::<u64>(), 5);
        }
    }
}
