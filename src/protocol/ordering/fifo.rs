//! First in, first out, for one sender: a counter and a hold-back queue.
//!
//! Guarantee: what [`Fifo::offer`] and [`Fifo::next`] hand on is 1, 2, 3, ...
//! without a hole and without a repetition, whatever the order and number of
//! copies in which it arrives. Source: Cachin, Guerraoui, Rodrigues, *Reliable
//! and Secure Distributed Programming*, Algorithm 3.12.

use std::collections::BTreeMap;

/// The hold-back queue of one sender.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fifo<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

/// What became of an arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offer<T> {
    /// It is the next one.
    Next(T),
    /// Others before it are missing; it is held back.
    Early,
    /// It was here before.
    Duplicate,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Fifo { next: 1, early: BTreeMap::new() }
    }
}

impl<T> Fifo<T> {
    /// The number that is waited for.
    pub fn waiting_for(&self) -> u64 {
        self.next
    }

    /// Whether `seq` has arrived, handed on or held back.
    pub fn knows(&self, seq: u64) -> bool {
        seq < self.next || self.early.contains_key(&seq)
    }

    /// Takes an arrival. After `Next`, ask [`Fifo::next`] for what it freed.
    pub fn offer(&mut self, seq: u64, item: T) -> Offer<T> {
        if self.knows(seq) {
            return Offer::Duplicate;
        }
        if seq == self.next {
            self.next += 1;
            return Offer::Next(item);
        }
        self.early.insert(seq, item);
        Offer::Early
    }

    /// The next one, if it was held back.
    #[expect(clippy::should_implement_trait, reason = "more may come after a None")]
    pub fn next(&mut self) -> Option<T> {
        let (&seq, _) = self.early.first_key_value()?;
        if seq != self.next {
            return None;
        }
        self.next += 1;
        self.early.remove(&seq)
    }

    /// Waits for nothing up to `seq` any more; what was held back of it is
    /// returned, not handed on.
    pub fn skip(&mut self, seq: u64) -> BTreeMap<u64, T> {
        if seq < self.next {
            return BTreeMap::new();
        }
        let later = self.early.split_off(&(seq + 1));
        self.next = seq + 1;
        std::mem::replace(&mut self.early, later)
    }

    /// How many are held back.
    pub fn held_back(&self) -> usize {
        self.early.len()
    }

    /// The first number that is held back.
    pub fn first_early(&self) -> Option<u64> {
        self.early.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn in_order_without_holes_or_repetitions(arrivals in prop::collection::vec(1u64..40, 0..200)) {
            let mut fifo = Fifo::default();
            let mut out = Vec::new();
            for seq in &arrivals {
                if let Offer::Next(item) = fifo.offer(*seq, *seq) {
                    out.push(item);
                    while let Some(item) = fifo.next() {
                        out.push(item);
                    }
                }
            }
            let expected: Vec<u64> = (1..).take_while(|seq| arrivals.contains(seq)).collect();
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_skip_frees_what_follows() {
        let mut fifo = Fifo::default();
        assert_eq!(fifo.offer(3, 'c'), Offer::Early);
        assert_eq!(fifo.offer(5, 'e'), Offer::Early);
        assert_eq!(fifo.skip(4).into_iter().collect::<Vec<_>>(), vec![(3, 'c')]);
        assert_eq!(fifo.next(), Some('e'));
        assert_eq!(fifo.waiting_for(), 6);
        assert_eq!(fifo.offer(2, 'b'), Offer::Duplicate);
    }
}
