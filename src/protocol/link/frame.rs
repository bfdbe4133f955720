//! A frame's bytes: a fixed header, then a block.
//!
//! ```text
//! 0       1       2               10              18          22         26
//! | what  | lane  | seq           | ack           | component | bytes    | block...
//! ```
//! Numbers are little-endian. This file and [`crate::envelope`] are the only
//! places that know byte layouts.

use crate::component::Lane;
use crate::id::Kind;

/// Longest block that a frame may carry, in bytes. A longer one is refused at
/// the user's call; one declared by a peer ends the session before anything is
/// allocated for it.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// What a frame is.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum What {
    /// Carries a block; on sequenced lanes numbered.
    Block = 0,
    /// Carries only an acknowledgement.
    Ack = 1,
    /// The peer leaves: no block follows, its life is over.
    Leave = 2,
}

/// A frame's fixed part.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct FrameHeader {
    /// What the frame is.
    pub what: What,
    /// The lane.
    pub lane: Lane,
    /// The block's number on its lane, from 1; 0 where it has none.
    pub seq: u64,
    /// The greatest number such that it and all before it were received on
    /// this lane from the other side.
    pub ack: u64,
    /// The component that the block is for.
    pub component: Kind,
    /// Length of the block.
    pub block_bytes: u32,
}

/// Why bytes are no frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, thiserror::Error)]
pub enum Malformed {
    /// The first byte names no kind of frame.
    #[error("no frame begins with {0}")]
    What(u8),
    /// There is no such lane.
    #[error("there is no lane {0}")]
    Lane(u8),
    /// Longer than both sides agreed.
    #[error("a frame of {bytes} bytes is over the limit of {max}")]
    TooLong {
        /// Declared length.
        bytes: u32,
        /// The limit.
        max: usize,
    },
}

impl FrameHeader {
    /// Bytes of the header.
    pub const BYTES: usize = 26;

    /// The header that only acknowledges.
    pub fn ack(lane: Lane, ack: u64) -> Self {
        FrameHeader { what: What::Ack, lane, seq: 0, ack, component: Kind(0), block_bytes: 0 }
    }

    /// The header that says goodbye.
    pub fn leave() -> Self {
        FrameHeader { what: What::Leave, lane: Lane::Control, seq: 0, ack: 0, component: Kind(0), block_bytes: 0 }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0] = self.what as u8;
        out[1] = self.lane as u8;
        out[2..10].copy_from_slice(&self.seq.to_le_bytes());
        out[10..18].copy_from_slice(&self.ack.to_le_bytes());
        out[18..22].copy_from_slice(&self.component.0.to_le_bytes());
        out[22..26].copy_from_slice(&self.block_bytes.to_le_bytes());
        out
    }

    /// Reads a header; blocks longer than `bytes_max` are refused here.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(bytes: &[u8; Self::BYTES], bytes_max: usize) -> Result<Self, Malformed> {
        let long = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(field)
        };
        let short = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(field)
        };
        let what = match bytes[0] {
            0 => What::Block,
            1 => What::Ack,
            2 => What::Leave,
            other => return Err(Malformed::What(other)),
        };
        let lane = Lane::from_u8(bytes[1]).ok_or(Malformed::Lane(bytes[1]))?;
        let block_bytes = short(22);
        if block_bytes as usize > bytes_max || (what != What::Block && block_bytes != 0) {
            return Err(Malformed::TooLong {
                bytes: block_bytes,
                max: if what == What::Block { bytes_max } else { 0 },
            });
        }
        Ok(FrameHeader { what, lane, seq: long(2), ack: long(10), component: Kind(short(18)), block_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_reads_what_it_writes(
            seq in any::<u64>(), ack in any::<u64>(), component in any::<u32>(),
            block_bytes in 0u32..=1000, lane in 0u8..4,
        ) {
            let lane = Lane::from_u8(lane).expect("in range");
            let header = FrameHeader { what: What::Block, lane, seq, ack, component: Kind(component), block_bytes };
            prop_assert_eq!(FrameHeader::decode(&header.encode(), 1000), Ok(header));
        }

        #[test]
        fn junk_never_panics(junk in any::<[u8; FrameHeader::BYTES]>()) {
            if let Ok(header) = FrameHeader::decode(&junk, 1 << 20) {
                prop_assert!(header.block_bytes <= 1 << 20);
            }
        }
    }

    #[test]
    fn a_length_of_4_gib_is_refused() {
        let header = FrameHeader { what: What::Block, block_bytes: u32::MAX, ..FrameHeader::leave() };
        let refused = FrameHeader::decode(&header.encode(), BLOCK_BYTES_MAX);
        assert_eq!(refused, Err(Malformed::TooLong { bytes: u32::MAX, max: BLOCK_BYTES_MAX }));
    }
}
