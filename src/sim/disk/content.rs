//! The bytes of a file in memory. Holes are not stored, and a clone shares
//! what neither side has written since: a preallocated log costs nothing.

use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE: u64 = 4096;

/// A length and the pages that hold something.
#[derive(Clone, Default, Debug)]
pub(super) struct Content {
    bytes: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE as usize]>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.bytes
    }

    /// Writes at `offset`; the content grows where it is shorter.
    pub(super) fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut at = offset;
        while !bytes.is_empty() {
            let start = (at % PAGE) as usize;
            let (piece, rest) = bytes.split_at(bytes.len().min(PAGE as usize - start));
            self.page(at / PAGE)[start..start + piece.len()].copy_from_slice(piece);
            (at, bytes) = (at + piece.len() as u64, rest);
            self.bytes = self.bytes.max(at);
        }
    }

    /// Cuts or grows with zeros.
    pub(super) fn set_len(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.pages.split_off(&bytes.div_ceil(PAGE));
            if let Some(last) = self.pages.get_mut(&(bytes / PAGE)) {
                Arc::make_mut(last)[(bytes % PAGE) as usize..].fill(0);
            }
        }
        self.bytes = bytes;
    }

    /// At most `bytes` from `offset`; fewer only at the end.
    pub(super) fn read(&self, offset: u64, bytes: u64) -> Bytes {
        let end = offset.saturating_add(bytes).min(self.bytes);
        let mut read = BytesMut::zeroed(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let start = at % PAGE;
            let piece = (PAGE - start).min(end - at) as usize;
            if let Some(page) = self.pages.get(&(at / PAGE)) {
                let to = (at - offset) as usize;
                read[to..to + piece].copy_from_slice(&page[start as usize..start as usize + piece]);
            }
            at += piece as u64;
        }
        read.freeze()
    }

    /// Flips a bit, counted from the first byte's lowest; false beyond the end.
    pub(super) fn flip(&mut self, bit: u64) -> bool {
        let at = bit / 8;
        if at < self.bytes {
            self.page(at / PAGE)[(at % PAGE) as usize] ^= 1 << (bit % 8);
        }
        at < self.bytes
    }

    fn page(&mut self, number: u64) -> &mut [u8; PAGE as usize] {
        Arc::make_mut(self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE as usize])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain vector.
        #[test]
        fn it_is_as_if_every_byte_were_stored(
            steps in prop::collection::vec((0u64..20_000, 0usize..9000, any::<u8>(), 0u8..4), 1..12),
        ) {
            let (mut content, mut plain) = (Content::default(), Vec::new());
            for (at, length, byte, what) in steps {
                match what {
                    0 => {
                        content.set_len(at);
                        plain.resize(at as usize, 0u8);
                    }
                    1 => prop_assert_eq!(content.flip(8 * at + 3), match plain.get_mut(at as usize) {
                        Some(byte) => { *byte ^= 8; true }
                        None => false,
                    }),
                    _ => {
                        let bytes = vec![byte; length];
                        content.write(at, &bytes);
                        if length > 0 && plain.len() < at as usize + length {
                            plain.resize(at as usize + length, 0);
                        }
                        if length > 0 {
                            plain[at as usize..at as usize + length].copy_from_slice(&bytes);
                        }
                    }
                }
                prop_assert_eq!(content.len(), plain.len() as u64);
                prop_assert_eq!(content.read(0, u64::MAX), &plain[..]);
                let part = &plain[(at as usize / 2).min(plain.len())..];
                prop_assert_eq!(content.read(at / 2, 5000), &part[..part.len().min(5000)]);
            }
        }
    }
}
