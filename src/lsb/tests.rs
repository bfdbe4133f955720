//! What is embedded is extracted, at every length; and nothing else changes.

use super::*;
use proptest::prelude::*;

/// Bit by bit, as slow and plain as it can be.
fn naive(carriers: &mut [u8], payload: &[u8], bits: Bits) {
    let per = usize::from(bits.get());
    for at in 0..payload.len() * 8 {
        let bit = payload[at / 8] >> (7 - at % 8) & 1;
        let shift = per - 1 - at % per;
        carriers[at / per] = carriers[at / per] & !(1 << shift) | bit << shift;
    }
}

/// A planted bug: the last bytes that do not fill a word are forgotten, as the
/// loop over whole pixels did.
fn forgets_the_rest(carriers: &mut [u8], payload: &[u8], bits: Bits) {
    naive(carriers, &payload[..payload.len() - payload.len() % 3], bits);
}

fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// Whether every length over every small cover comes back and is what the
/// naive loop writes.
fn holds(embed: fn(&mut [u8], &[u8], Bits)) -> bool {
    (1..=4).filter_map(Bits::new).all(|bits| {
        (0..120).all(|carriers| {
            (0..=capacity(carriers, bits)).all(|length| {
                let cover = random(1, carriers);
                let payload = random(2, length);
                let (mut ours, mut plain) = (cover.clone(), cover);
                embed(&mut ours, &payload, bits);
                naive(&mut plain, &payload, bits);
                let mut read = vec![0; length];
                extract(&ours, &mut read, bits);
                read == payload && ours == plain && carriers_for(length, bits) <= carriers
            })
        })
    })
}

#[test]
fn every_length_comes_back_and_nothing_else_changes() {
    assert!(holds(embed));
    assert!(!holds(forgets_the_rest), "the planted bug is caught");
}

#[test]
fn colours_beside_alpha_are_written_in_one_pass() {
    let layout = Layout { colours: 3, alpha: true, sample_bytes: 1 };
    for pixels in 0..40 {
        for length in 0..=capacity(pixels * 3, Bits::ONE) {
            let (cover, payload) = (random(3, pixels * 4), random(4, length));
            let mut ours = cover.clone();
            embed_rgba(&mut ours, &payload);
            let (mut carriers, mut plain) = (Vec::new(), cover.clone());
            layout.gather(&cover, true, &mut carriers);
            naive(&mut carriers, &payload, Bits::ONE);
            layout.scatter(&carriers, true, &mut plain);
            assert_eq!(ours, plain, "{pixels} pixels, {length} bytes");
        }
    }
}

#[test]
fn capacity_is_the_most_that_fits() {
    for bits in (1..=4).filter_map(Bits::new) {
        for carriers in 0..200 {
            let most = capacity(carriers, bits);
            assert_eq!(most, carriers * usize::from(bits.get()) / 8);
            assert!(carriers_for(most, bits) <= carriers && carriers_for(most + 1, bits) > carriers);
        }
    }
    assert!(capacity(usize::MAX, Bits::MAX) > 0 && carriers_for(usize::MAX, Bits::ONE) == usize::MAX);
}

#[test]
fn matching_takes_the_nearest_value_and_never_wraps() {
    for bits in (1..=4).filter_map(Bits::new) {
        for (before, value, up) in
            (0..=255u8).flat_map(|b| (0..=bits.mask()).flat_map(move |v| [(b, v, true), (b, v, false)]))
        {
            let mut carrier = before;
            match_bits(&mut carrier, value, bits, up);
            assert_eq!(read_bits(carrier, bits), value);
            let far = carrier.abs_diff(before);
            let nearest = (0..=255u8).filter(|v| read_bits(*v, bits) == value).map(|v| v.abs_diff(before)).min();
            assert_eq!(Some(far), nearest, "{before} to {value}");
        }
    }
    let mut carrier = 100;
    match_bits(&mut carrier, 1, Bits::ONE, false);
    assert_eq!(carrier, 99, "down as well as up");
}

#[test]
fn channel_sets_are_read_and_shown() {
    assert_eq!(Channels::from_letters("bR").map(|set| set.to_string()).as_deref(), Some("rb"));
    assert_eq!(Channels::from_letters("rr"), None);
    assert_eq!(Channels::from_letters(""), None);
    assert_eq!(Channels::from_letters("a"), None);
    assert_eq!((Channels::ALL.count(3), Channels::ALL.count(1)), (3, 1));
}

proptest! {
    #[test]
    fn carriers_are_given_back_where_they_were(
        pixels in prop::collection::vec(any::<u8>(), 0..200), gray: bool, alpha: bool, wide: bool, all: bool,
    ) {
        let layout = Layout { colours: if gray { 1 } else { 3 }, alpha, sample_bytes: 1 + usize::from(wide) };
        let mut carriers = Vec::new();
        layout.gather(&pixels, all, &mut carriers);
        let whole = pixels.len() - pixels.len() % layout.pixel_bytes();
        if layout.is_flat() { carriers.truncate(whole); }
        prop_assert_eq!(carriers.len(), layout.count(&pixels, all));
        let mut back = pixels.clone();
        layout.scatter(&carriers, all, &mut back);
        prop_assert_eq!(&back, &pixels);
        carriers.iter_mut().for_each(|carrier| *carrier ^= 1);
        layout.scatter(&carriers, all, &mut back);
        let changed = back.iter().zip(&pixels).filter(|(a, b)| a != b).count();
        prop_assert_eq!(changed, carriers.len(), "only carriers change, each of them");
    }
}
