//! A queue that grows and shrinks piece by piece.
//!
//! While a peer is away, what is kept for it grows to thousands of entries and
//! then goes within a moment. A ring that doubles would copy all of it again
//! and again, hold up to twice the room, and keep that room for good; here a
//! piece that is empty is given back, and nothing is ever moved.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Entries of a piece.
const PIECE: usize = 64;

/// First in, first out, with access by place. All pieces but the first and the
/// last are full.
#[derive(Clone, Debug)]
pub struct Backlog<T> {
    pieces: VecDeque<VecDeque<T>>,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Backlog { pieces: VecDeque::new() }
    }
}

impl<T> Backlog<T> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        let between = self.pieces.len().saturating_sub(2) * PIECE;
        let first = self.pieces.front().map_or(0, VecDeque::len);
        let last = if self.pieces.len() > 1 { self.pieces.back().map_or(0, VecDeque::len) } else { 0 };
        first + between + last
    }

    /// Appends an entry.
    pub fn push_back(&mut self, entry: T) {
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.push_back(entry),
            _ => {
                // most queues are short: the first piece grows as it is needed
                let room = if self.pieces.is_empty() { 0 } else { PIECE };
                let mut piece = VecDeque::with_capacity(room);
                piece.push_back(entry);
                self.pieces.push_back(piece);
            }
        }
    }

    /// Takes the oldest entry.
    pub fn pop_front(&mut self) -> Option<T> {
        let first = self.pieces.front_mut()?;
        let entry = first.pop_front();
        // The only piece stays: a queue that is short and busy allocates nothing.
        if first.is_empty() && self.pieces.len() > 1 {
            self.pieces.pop_front();
        }
        entry
    }

    /// The entry at a place, the oldest at 0.
    pub fn get(&self, at: usize) -> Option<&T> {
        let (piece, at) = self.place(at);
        self.pieces.get(piece)?.get(at)
    }

    /// The entry at a place, to be changed.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let (piece, at) = self.place(at);
        self.pieces.get_mut(piece)?.get_mut(at)
    }

    /// The entries from a place on.
    pub fn iter_from(&self, at: usize) -> impl Iterator<Item = &T> {
        let (piece, at) = self.place(at);
        let part = self.pieces.get(piece).into_iter().flat_map(move |piece| piece.iter().skip(at));
        part.chain(self.pieces.iter().skip(piece.saturating_add(1)).flatten())
    }

    /// Takes all entries out.
    pub fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.pieces).into_iter().flatten()
    }

    /// The piece that an entry stands in, and its place there.
    fn place(&self, at: usize) -> (usize, usize) {
        let first = self.pieces.front().map_or(0, VecDeque::len);
        match at.checked_sub(first) {
            None => (0, at),
            Some(behind) => (1 + behind / PIECE, behind % PIECE),
        }
    }
}

// Equal is what holds the same entries, however they are cut into pieces.
impl<T: PartialEq> PartialEq for Backlog<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter_from(0).eq(other.iter_from(0))
    }
}

impl<T: Eq> Eq for Backlog<T> {}

impl<T: Hash> Hash for Backlog<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter_from(0).for_each(|entry| entry.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((0..200usize, 0..200usize), 1..12), place in 0..600usize) {
            let (mut backlog, mut queue) = (Backlog::default(), VecDeque::new());
            let mut next = 0;
            for (pushed, popped) in steps {
                for _ in 0..pushed {
                    next += 1;
                    backlog.push_back(next);
                    queue.push_back(next);
                }
                for _ in 0..popped {
                    prop_assert_eq!(backlog.pop_front(), queue.pop_front());
                }
                prop_assert_eq!(backlog.len(), queue.len());
                prop_assert_eq!(backlog.get(place), queue.get(place));
                prop_assert_eq!(backlog.get_mut(place), queue.get_mut(place));
                prop_assert!(backlog.iter_from(place).eq(queue.iter().skip(place)));
                let mut again = Backlog::default();
                queue.iter().for_each(|entry| again.push_back(*entry));
                prop_assert_eq!(&again, &backlog);
            }
            prop_assert!(backlog.take().eq(queue));
            prop_assert_eq!(backlog.len(), 0);
        }
    }

    #[test]
    fn what_is_empty_is_given_back() {
        let mut backlog = Backlog::default();
        (0..10_000).for_each(|entry| backlog.push_back(entry));
        assert_eq!(backlog.pieces.len(), 10_000 / PIECE + 1);
        (0..10_000).for_each(|entry| assert_eq!(backlog.pop_front(), Some(entry)));
        assert_eq!(backlog.pieces.len(), 1);
    }
}
