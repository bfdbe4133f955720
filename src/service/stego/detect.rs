//! What a detector would say: three tests for replaced least significant bits.
//!
//! They estimate how much of an image was replaced by random bits; none of them
//! proves anything. Natural images give small values, saturated or very noisy
//! ones any. Matching and few bits in many pixels are what they do not see.
//!
//! Source: Westfeld, Pfitzmann, *Attacks on Steganographic Systems* (1999), section
//! 3.2; Fridrich, Goljan, Du, *Reliable Detection of LSB Steganography in Color and
//! Grayscale Images* (2001), section 2; Dumitrescu, Wu, Wang, *Detection of LSB
//! Steganography via Sample Pair Analysis* (2003), section III.

use serde::Serialize;

/// What three tests say.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Detection {
    /// Probability that pairs of values are as even as a full replacement makes
    /// them: 0 to 1.
    pub chi_square: f64,
    /// Estimated part of replaced samples, by regular and singular groups; unsteady
    /// where nearly all are.
    pub rs: f64,
    /// The same by sample pairs.
    pub sample_pairs: f64,
}

/// Judges samples in rows of `width` pixels of `colours` each; the mean over the
/// colours.
pub(super) fn detect(samples: &[u8], width: usize, colours: usize) -> Detection {
    let mut sum = Detection { chi_square: 0.0, rs: 0.0, sample_pairs: 0.0 };
    for colour in 0..colours {
        let plane: Vec<u8> = samples.iter().skip(colour).step_by(colours).copied().collect();
        sum.chi_square += chi_square(&plane);
        sum.rs += rs(&plane, width);
        sum.sample_pairs += sample_pairs(&plane, width);
    }
    let count = colours.max(1) as f64;
    Detection { chi_square: sum.chi_square / count, rs: sum.rs / count, sample_pairs: sum.sample_pairs / count }
}

fn chi_square(plane: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    plane.iter().for_each(|value| counts[usize::from(*value)] += 1);
    let pairs = counts.as_chunks::<2>().0.iter().map(|[even, odd]| (*even as f64, (even + odd) as f64 / 2.0));
    let (mut statistic, mut categories) = (0.0, 0u32);
    for (even, expected) in pairs.filter(|(_, expected)| *expected > 4.0) {
        statistic += (even - expected).powi(2) / expected;
        categories += 1;
    }
    if categories < 2 { 0.0 } else { 1.0 - lower_gamma(f64::from(categories - 1) / 2.0, statistic / 2.0) }
}

/// The regularised lower incomplete gamma function: by its series for small `x`,
/// by Lentz's continued fraction else.
fn lower_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..1000 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return (sum * scale).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut h = d;
    for i in 1..1000 {
        let i = f64::from(i);
        let factor = -i * (i - a);
        b += 2.0;
        d = 1.0 / (factor * d + b);
        c = b + factor / c;
        h *= d * c;
    }
    (1.0 - scale * h).clamp(0.0, 1.0)
}

/// Stirling's series, shifted to where it is precise.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

/// Regular minus singular groups of four under the mask 0 1 1 0, and under its
/// negative; samples first flipped by `flip`.
fn balances(plane: &[u8], width: usize, flip: u8) -> (f64, f64) {
    let (mut plus, mut minus, mut groups) = (0i64, 0i64, 0u64);
    let rough = |g: [i16; 4]| (g[0] - g[1]).abs() + (g[1] - g[2]).abs() + (g[2] - g[3]).abs();
    for row in plane.chunks_exact(width.max(1)) {
        for group in row.as_chunks::<4>().0 {
            let group = group.map(|value| i16::from(value ^ flip));
            let before = rough(group);
            let [a, b, c, d] = group;
            let shifted = |value: i16| ((value + 1) ^ 1) - 1;
            plus += i64::from((rough([a, b ^ 1, c ^ 1, d]) - before).signum());
            minus += i64::from((rough([a, shifted(b), shifted(c), d]) - before).signum());
            groups += 1;
        }
    }
    let groups = groups.max(1) as f64;
    (plus as f64 / groups, minus as f64 / groups)
}

fn rs(plane: &[u8], width: usize) -> f64 {
    let ((d0, minus0), (d1, minus1)) = (balances(plane, width, 0), balances(plane, width, 1));
    let z = smaller_root(2.0 * (d1 + d0), minus0 - minus1 - d1 - 3.0 * d0, d0 - minus0);
    let part = z / (z - 0.5);
    if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
}

fn sample_pairs(plane: &[u8], width: usize) -> f64 {
    let (mut x, mut y, mut z, mut w, mut all) = (0u64, 0u64, 0u64, 0u64, 0u64);
    for row in plane.chunks_exact(width.max(1)) {
        for pair in row.windows(2) {
            let (u, v) = (pair[0], pair[1]);
            let even = v % 2 == 0;
            x += u64::from(even && u < v || !even && u > v);
            y += u64::from(even && u > v || !even && u < v);
            z += u64::from(u == v);
            w += u64::from(u / 2 == v / 2 && u != v);
            all += 1;
        }
    }
    let [x, y, z, w, all] = [x, y, z, w, all].map(|count| count as f64);
    let part = smaller_root((w + z) / 2.0, 2.0 * x - all, y - x);
    if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
}

/// Of `a x² + b x + c = 0` the root that is nearer to zero.
fn smaller_root(a: f64, b: f64, c: f64) -> f64 {
    if a.abs() < 1e-12 {
        return if b.abs() < 1e-12 { 0.0 } else { -c / b };
    }
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    let [one, other] = [(-b + root) / (2.0 * a), (-b - root) / (2.0 * a)];
    if one.abs() < other.abs() { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth random walk, whose neighbours are alike as in a photograph.
    fn natural(length: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut value = 128i16;
        let step = |value: i16, rng: &mut fastrand::Rng| (value + rng.i16(-3..=3) + (128 - value) / 20).clamp(0, 255);
        (0..length)
            .map(|_| {
                value = step(value, &mut rng);
                value as u8
            })
            .collect()
    }

    #[test]
    fn the_estimates_follow_how_much_was_replaced() {
        let cover = natural(400 * 300);
        for part in [0.0, 0.25, 0.5, 1.0] {
            let mut rng = fastrand::Rng::with_seed(6);
            let replaced: Vec<u8> =
                cover.iter().map(|value| if rng.f64() < part { value & !1 | rng.u8(0..2) } else { *value }).collect();
            let found = detect(&replaced, 400, 1);
            assert!((found.sample_pairs - part).abs() < 0.12, "{part}: {found:?}");
            // Near a full replacement the groups' balance is nothing but noise.
            assert!((found.rs - part).abs() < 0.15 || part == 1.0, "{part}: {found:?}");
        }
    }

    #[test]
    fn even_pairs_are_suspicious_and_uneven_ones_are_not() {
        let mut rng = fastrand::Rng::with_seed(7);
        let even: Vec<u8> = (0..40_000).map(|_| rng.u8(..)).collect();
        let uneven: Vec<u8> = even.iter().map(|value| if value % 8 == 1 { value - 1 } else { *value }).collect();
        assert!(chi_square(&even) > 0.01 && chi_square(&uneven) < 1e-6);
        assert!((lower_gamma(0.5, 0.5) - 0.682_689_5).abs() < 1e-5, "one sigma");
        assert!((1.0 - lower_gamma(5.0, 9.153_5) - 0.05).abs() < 1e-3, "ten degrees, 5 %");
    }
}
