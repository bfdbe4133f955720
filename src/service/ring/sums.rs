//! The hashes of a file: of its blocks, of its parts, of the whole.
//!
//! **Idea.** BLAKE3 is a tree. A block's hash is the chaining value of its subtree
//! (paper of O'Connor, Aumasson, Neves, Wilcox-O'Hearn, section 2.4 and 5.1), so
//! where blocks stand at multiples of their length in the file, the hashes of the
//! blocks merge into the root that `b3sum` prints: every byte is hashed once.
//! Where a file is cut elsewhere, blocks are hashed as if their part were the
//! file, and the root in a second pass over the same bytes.
//!
//! A part's digest is the BLAKE3 of its blocks' hashes, one behind the other. So
//! the digest vouches for a list of hashes, and the list for each block, before a
//! byte of it is sent on.
//!
//! **Guarantee.** What verifies is what was pushed, as far as BLAKE3 holds.

use super::cuts::{BLOCK_BYTES, Cuts};
use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// A hash, 32 bytes.
pub type Hash = [u8; 32];

/// The hash of the block that begins `at` bytes into what its hashes merge into:
/// the file where it is cut at blocks, else the part.
///
/// An empty block has none; it is given zeros and never asked for.
pub fn block_hash(at: u64, block: &[u8]) -> Hash {
    if block.is_empty() {
        return Hash::default();
    }
    Hasher::new().set_input_offset(at).update(block).finalize_non_root()
}

/// Where block `block` of part `part` begins, as [`block_hash`] wants it.
pub fn block_offset(cuts: &Cuts, part: u16, block: u64) -> u64 {
    let base = if cuts.is_aligned() { cuts.start(part) } else { 0 };
    base + block * BLOCK_BYTES
}

/// The digest of a part whose blocks have these hashes.
pub fn part_digest(blocks: &[Hash]) -> Hash {
    let mut digest = Digest::default();
    blocks.iter().for_each(|block| digest.push(block));
    digest.finish()
}

/// The digest of a part, from its blocks' hashes in order.
#[derive(Default)]
pub struct Digest(Hasher);

impl Digest {
    /// The next block's hash.
    pub fn push(&mut self, block: &Hash) {
        self.0.update(block);
    }

    /// The digest of all of them.
    pub fn finish(&self) -> Hash {
        self.0.finalize().into()
    }
}

/// Merges blocks' hashes, in order, into the file's root. Keeps one hash for each
/// bit of their number.
#[derive(Default)]
struct Tree {
    /// Merged so far, the longest first.
    stack: Vec<Hash>,
    blocks: u64,
}

impl Tree {
    fn push(&mut self, hash: Hash) {
        // only now that more follows: the last to be merged is the root
        for _ in 0..self.blocks.max(1).trailing_zeros() {
            let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) else { break };
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        self.stack.push(hash);
        self.blocks += 1;
    }
}

/// Hashes a file as it passes, once.
pub struct Sums {
    cuts: Cuts,
    at: u64,
    /// Bytes of the present block.
    block: Hasher,
    part: Digest,
    digests: Vec<Hash>,
    root: Root,
}

enum Root {
    /// The file is one block at the most: it is the root itself.
    One(Hasher),
    Tree(Tree),
    /// In a second pass over the same bytes.
    Apart(Hasher),
}

/// A block that is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockSum {
    /// The part, from 1.
    pub part: u16,
    /// Which block of it, from 0.
    pub block: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Sums {
    /// For a file that is cut so.
    pub fn new(cuts: Cuts) -> Self {
        let root = match (cuts.is_aligned(), cuts.size() <= BLOCK_BYTES) {
            (true, true) => Root::One(Hasher::new()),
            (true, false) => Root::Tree(Tree::default()),
            (false, _) => Root::Apart(Hasher::new()),
        };
        Sums { cuts, at: 0, block: Hasher::new(), part: Digest::default(), digests: Vec::new(), root }
    }

    /// Takes the next bytes, as far as the file goes, and tells the blocks that end
    /// in them. Returns how many bytes were taken.
    pub fn push(&mut self, bytes: &[u8], mut whole: impl FnMut(BlockSum)) -> usize {
        let mut taken = 0;
        while let Some(piece) = self.cuts.piece_at(self.at) {
            let rest = &bytes[taken..];
            let take = (rest.len() as u64).min(piece.take) as usize;
            if take == 0 {
                break;
            }
            if piece.skip == 0 {
                self.end_parts(piece.part);
                self.block = Hasher::new();
                self.block.set_input_offset(block_offset(&self.cuts, piece.part, piece.block));
            }
            let rest = &rest[..take];
            self.block.update(rest);
            match &mut self.root {
                Root::One(hasher) | Root::Apart(hasher) => drop(hasher.update(rest)),
                Root::Tree(_) => {}
            }
            taken += take;
            self.at += take as u64;
            if take as u64 == piece.take {
                let hash = self.block.finalize_non_root();
                self.part.push(&hash);
                if let Root::Tree(tree) = &mut self.root {
                    tree.push(hash);
                }
                whole(BlockSum { part: piece.part, block: piece.block, hash });
            }
        }
        taken
    }

    /// Parts before `part` are whole.
    fn end_parts(&mut self, part: u16) {
        while self.digests.len() + 1 < usize::from(part) {
            self.digests.push(std::mem::take(&mut self.part).finish());
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.at
    }

    /// The root and the digests of all parts; `None` if bytes are missing.
    pub fn finish(mut self) -> Option<(Hash, Vec<Hash>)> {
        if self.at < self.cuts.size() {
            return None;
        }
        self.end_parts(self.cuts.parts().saturating_add(1));
        let root = match self.root {
            Root::One(hasher) | Root::Apart(hasher) => hasher.finalize().into(),
            Root::Tree(mut tree) => {
                let mut right = tree.stack.pop()?;
                while tree.stack.len() > 1 {
                    right = merge_subtrees_non_root(&tree.stack.pop()?, &right, Mode::Hash);
                }
                *merge_subtrees_root(&tree.stack.pop()?, &right, Mode::Hash).as_bytes()
            }
        };
        Some((root, self.digests))
    }
}

/// Hashes one part as it passes, for whoever has no more of the file.
pub struct PartSums {
    base: u64,
    at: u64,
    block: Hasher,
    hashes: Vec<Hash>,
}

impl PartSums {
    /// For part `part` of a file that is cut so.
    pub fn new(cuts: &Cuts, part: u16) -> Self {
        let base = block_offset(cuts, part, 0);
        PartSums { base, at: 0, block: Hasher::new(), hashes: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = self.at % BLOCK_BYTES;
            if within == 0 {
                self.end_block();
                self.block.set_input_offset(self.base + self.at);
            }
            let take = (BLOCK_BYTES - within).min(bytes.len() as u64) as usize;
            self.block.update(&bytes[..take]);
            self.at += take as u64;
            bytes = &bytes[take..];
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.at
    }

    /// The hashes of all blocks.
    pub fn finish(mut self) -> Vec<Hash> {
        self.end_block();
        self.hashes
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.count() > 0 {
            self.hashes.push(block.finalize_non_root());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(bytes: u64) -> Vec<u8> {
        (0..bytes).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
    }

    fn sums(cuts: Cuts, content: &[u8], chunk: usize) -> (Hash, Vec<Hash>, Vec<BlockSum>) {
        let (mut sums, mut blocks) = (Sums::new(cuts), Vec::new());
        for bytes in content.chunks(chunk) {
            assert_eq!(sums.push(bytes, |block| blocks.push(block)), bytes.len());
        }
        assert_eq!(sums.push(b"more", |_| panic!("the file is whole")), 0);
        let (root, digests) = sums.finish().expect("is whole");
        (root, digests, blocks)
    }

    fn holds(size: u64, parts: u16, exact: bool, chunk: usize) {
        let (cuts, content) = (Cuts::new(size, parts, exact), content(size));
        let (root, digests, blocks) = sums(cuts, &content, chunk);
        assert_eq!(root, *blake3::hash(&content).as_bytes(), "{cuts:?}: as b3sum prints it");
        assert_eq!(digests.len(), usize::from(parts));
        for part in 1..=parts {
            let own: Vec<&BlockSum> = blocks.iter().filter(|block| block.part == part).collect();
            assert_eq!(own.len() as u64, cuts.blocks(part));
            let list: Vec<Hash> = own.iter().map(|block| block.hash).collect();
            assert_eq!(digests[usize::from(part) - 1], part_digest(&list), "{cuts:?} part {part}");
            let mut sums = PartSums::new(&cuts, part);
            let bytes = &content[cuts.start(part) as usize..(cuts.start(part) + cuts.bytes(part)) as usize];
            bytes.chunks(chunk).for_each(|bytes| sums.push(bytes));
            assert_eq!((sums.taken(), sums.finish()), (cuts.bytes(part), list));
            for (at, block) in own.iter().enumerate() {
                let from = (cuts.start(part) + at as u64 * BLOCK_BYTES) as usize;
                let to = ((cuts.start(part) + cuts.bytes(part)) as usize).min(from + BLOCK_BYTES as usize);
                assert_eq!(block.hash, block_hash(block_offset(&cuts, part, at as u64), &content[from..to]));
            }
        }
    }

    #[test]
    fn the_root_is_that_of_b3sum_at_every_border() {
        let mib = BLOCK_BYTES;
        for size in [0, 1, 1023, 1024, 1025, mib - 1, mib, mib + 1, 2 * mib, 2 * mib + 1, 3 * mib, 5 * mib, 7 * mib + 9]
        {
            for (parts, exact) in [(1, false), (2, false), (3, true), (5, false)] {
                holds(size, parts, exact, 300_000);
            }
        }
        holds(13 * mib + 5, 4, false, 1 << 20);
        holds(16 * mib, 3, false, (1 << 20) + 1);
    }

    #[test]
    fn a_file_that_is_too_short_has_no_sums() {
        let mut sums = Sums::new(Cuts::new(10, 2, false));
        sums.push(&[0; 9], |_| {});
        assert!(sums.finish().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn however_it_comes(size in 0..3_200_000u64, parts in 1..6u16, exact: bool, chunk in 1..700_000usize) {
            holds(size, parts, exact, chunk.max(size as usize / 4000));
        }
    }
}
