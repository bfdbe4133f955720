//! How often an address may ask: a bucket each, filled at a constant rate.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// Addresses that are remembered; when there are more, those with full buckets go,
/// and without any the newcomer is refused.
const ADDRESSES_MAX: usize = 4096;

pub(crate) struct Rates {
    per_second: f64,
    buckets: BTreeMap<IpAddr, Bucket>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// At most so many a second, and as many at once.
    pub(crate) fn new(per_second: u32) -> Self {
        Rates { per_second: f64::from(per_second), buckets: BTreeMap::new() }
    }

    /// Whether `from` may ask once more.
    pub(crate) fn take(&mut self, from: IpAddr, now: Instant) -> bool {
        let per_second = self.per_second;
        let filled = |bucket: &Bucket| {
            (bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * per_second).min(per_second)
        };
        if !self.buckets.contains_key(&from) && self.buckets.len() >= ADDRESSES_MAX {
            self.buckets.retain(|_, bucket| filled(bucket) < per_second);
            if self.buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = self.buckets.entry(from).or_insert(Bucket { left: per_second, at: now });
        (bucket.left, bucket.at) = (filled(bucket), now);
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_and_addresses_do_not_share() {
        let (mut rates, start) = (Rates::new(10), Instant::now());
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((0..20).filter(|_| rates.take(one, start)).count(), 10);
        assert!(rates.take(two, start));
        let later = start + Duration::from_millis(500);
        assert_eq!((0..20).filter(|_| rates.take(one, later)).count(), 5);
    }

    #[test]
    fn addresses_are_remembered_up_to_a_bound() {
        let (mut rates, start) = (Rates::new(10), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let seen = |rates: &mut Rates, at| (0..5000).filter(|n| rates.take(address(*n), at)).count();
        assert_eq!(seen(&mut rates, start), ADDRESSES_MAX);
        assert!(rates.take(address(4999), start + Duration::from_secs(2)), "those who were silent are forgotten");
        assert!(rates.buckets.len() <= ADDRESSES_MAX);
    }
}
