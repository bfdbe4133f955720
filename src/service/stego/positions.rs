//! A keyed order of positions, evaluated for one position at a time: no index is
//! kept or shuffled, so memory does not grow with the image.
//!
//! A Feistel network over pairs (*l*, *r*) with *l* < *a*, *r* < *b*, where *a b*
//! is just above the count; what falls behind the count is walked on. It hides
//! where payload lies, not the payload: that is sealed by itself.
//!
//! Source: Black, Rogaway, *Ciphers with Arbitrary Finite Domains* (CT-RSA 2002),
//! the generalised Feistel construction and cycle walking.

/// A permutation of `0..count`.
pub(super) struct Positions {
    count: u64,
    a: u64,
    b: u64,
    keys: [u64; 8],
}

impl Positions {
    pub(super) fn new(count: usize, key: &[u8; 64]) -> Self {
        let count = count as u64;
        let a = count.isqrt() + 1;
        let b = count.div_ceil(a).max(1);
        let mut keys = [0; 8];
        for (to, from) in keys.iter_mut().zip(key.as_chunks::<8>().0) {
            *to = u64::from_le_bytes(*from);
        }
        Positions { count, a, b, keys }
    }

    /// Where `index`, less than the count, lies.
    pub(super) fn at(&self, index: usize) -> usize {
        let mut value = index as u64;
        loop {
            value = self.once(value);
            if value < self.count {
                return value as usize;
            }
        }
    }

    fn once(&self, value: u64) -> u64 {
        let (mut l, mut r) = (value / self.b, value % self.b);
        for pair in self.keys.as_chunks::<2>().0 {
            l = (l + below(mix(r ^ pair[0], pair[1]), self.a)) % self.a;
            r = (r + below(mix(l ^ pair[1], pair[0]), self.b)) % self.b;
        }
        l * self.b + r
    }
}

/// A number below `bound`, evenly, by the high half of a product.
fn below(value: u64, bound: u64) -> u64 {
    ((u128::from(value) * u128::from(bound)) >> 64) as u64
}

/// The finaliser of SplitMix64, keyed before and in the middle.
fn mix(value: u64, key: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ key;
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> [u8; 64] {
        let mut rng = fastrand::Rng::with_seed(seed);
        std::array::from_fn(|_| rng.u8(..))
    }

    #[test]
    fn every_position_is_met_once() {
        for count in (1..300).chain([4096, 10_007]) {
            let positions = Positions::new(count, &key(count as u64));
            let mut met = vec![false; count];
            (0..count).for_each(|index| assert!(!std::mem::replace(&mut met[positions.at(index)], true), "{count}"));
        }
    }

    #[test]
    fn the_order_depends_on_the_key_and_spreads() {
        let [one, other] = [1, 2].map(|seed| Positions::new(10_000, &key(seed)));
        let same = (0..1000).filter(|index| one.at(*index) == other.at(*index)).count();
        assert!(same < 10, "{same} of 1000");
        let lower_half = (0..1000).filter(|index| one.at(*index) < 5000).count();
        assert!((420..580).contains(&lower_half), "{lower_half} of 1000");
    }
}
