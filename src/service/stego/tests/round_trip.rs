//! extract(embed(x)) = x, at every length.

use super::*;

/// Every length from nothing to the capacity; and one more is refused.
#[track_caller]
fn check_every_length(width: u32, height: u32, layout: Layout, options: Options, step: usize) {
    let cover = image(width, height, layout).write(Output::Store).expect("is written");
    let most = capacity(&cover, &options).expect("has one");
    let mut pair = Pair::new(Options { output: Output::Store, ..options });
    for length in (0..=most).step_by(step).chain([most]) {
        let payload = Payload::Bytes(noise(length, length as usize));
        let hidden = pair.embed(&cover, &payload).unwrap_or_else(|error| panic!("{length} of {most}: {error}"));
        assert_eq!(hidden.capacity, most);
        let found = pair.extract(&hidden.image).unwrap_or_else(|error| panic!("{length} of {most}: {error}"));
        assert!(found.payload == payload, "{length} of {most} bytes, {layout:?}, {options:?}");
    }
    let too_large = pair.embed(&cover, &Payload::Bytes(noise(0, most as usize + 1)));
    assert_eq!(too_large, Err(Error::TooLarge { needed: most + 1, available: most }));
}

#[test]
fn raw_at_every_length_and_kind() {
    let options = Options { format: Format::Raw, ..Options::default() };
    LAYOUTS.into_iter().for_each(|layout| check_every_length(11, 7, layout, options, 1));
}

#[test]
fn boxed_at_every_length_and_kind() {
    for layout in LAYOUTS {
        for bits in (1..=4).filter_map(Bits::new) {
            check_every_length(
                31,
                19,
                layout,
                Options { bits, ..Options::default() },
                if layout.colours == 1 { 1 } else { 5 },
            );
        }
    }
}

#[test]
fn boxed_with_every_set_of_channels() {
    for (channels, bits) in (1..=7).filter_map(Channels::from_bits).zip([1, 2, 3, 4].into_iter().cycle()) {
        let bits = Bits::new(bits).expect("1 to 4");
        check_every_length(24, 16, LAYOUTS[2], Options { bits, channels, ..Options::default() }, 1);
        check_every_length(24, 16, LAYOUTS[7], Options { bits, channels, matching: true, ..Options::default() }, 3);
    }
}

#[test]
fn sealed_at_every_length_and_kind() {
    for (layout, bits) in LAYOUTS.into_iter().zip([1, 2, 3, 4].into_iter().cycle()) {
        let options = Options { format: Format::Sealed, bits: Bits::new(bits).expect("1 to 4"), ..Options::default() };
        check_every_length(31, 30, layout, options, if layout.colours == 1 { 1 } else { 9 });
        check_every_length(31, 30, layout, Options { matching: true, ..options }, 37);
    }
}

#[test]
fn large_covers_random_lengths_and_all_outputs() {
    let mut rng = fastrand::Rng::with_seed(3);
    let cover = rgb(301, 203);
    for format in [Format::Raw, Format::Boxed, Format::Sealed] {
        for output in [Output::Fast, Output::Small, Output::Store, Output::Webp] {
            let mut pair = Pair::new(Options { format, output, ..Options::default() });
            let most = capacity(&cover, &pair.options).expect("has one") as usize;
            let payload = Payload::Bytes(noise(8, rng.usize(0..=most)));
            let hidden = pair.embed(&cover, &payload).expect("fits");
            assert!(pair.extract(&hidden.image).expect("is there").payload == payload, "{format:?} {output:?}");
        }
    }
    // Gray and alpha in WebP, which has no gray.
    for layout in [LAYOUTS[0], LAYOUTS[1], LAYOUTS[3]] {
        let cover = image(40, 40, layout).write(Output::Fast).expect("is written");
        let mut pair = Pair::new(Options { output: Output::Webp, ..Options::default() });
        let hidden = pair.embed(&cover, &Payload::Text("in colours".into())).expect("fits");
        assert_eq!(pair.extract(&hidden.image).expect("is there").payload, Payload::Text("in colours".into()));
    }
}

#[test]
fn texts_and_files_come_back_as_what_they_were() {
    let cover = rgb(64, 64);
    let text = Payload::Text("ä text that repeats, ".repeat(100));
    let file = Payload::File { name: "../../etc/.plans".into(), bytes: noise(1, 300) };
    for format in [Format::Boxed, Format::Sealed] {
        let mut pair = Pair::new(Options { format, ..Options::default() });
        for payload in [&text, &file] {
            let hidden = pair.embed(&cover, payload).expect("fits, the text compressed");
            assert_eq!(&pair.extract(&hidden.image).expect("is there").payload, payload);
        }
    }
    assert_eq!(file.safe_name().as_deref(), Some("plans"), "no folder and nothing hidden");
    assert_eq!(Payload::File { name: "..".into(), bytes: Vec::new() }.safe_name(), None);
}

#[test]
fn extraction_stops_at_the_rows_it_needs() {
    let cover = rgb(100, 400);
    for format in [Format::Raw, Format::Boxed] {
        let mut pair = Pair::new(Options { format, ..Options::default() });
        let hidden = pair.embed(&cover, &Payload::Bytes(noise(2, 100))).expect("fits");
        let found = pair.extract(&hidden.image).expect("is there");
        assert!(found.rows_read <= 5, "{format:?} read {} rows", found.rows_read);
        // So the rest may even be missing.
        let cut = &hidden.image[..hidden.image.len() / 2];
        assert_eq!(pair.extract(cut).expect("is in the first half").payload, found.payload);
    }
}

#[test]
fn one_payload_lies_over_several_covers() {
    let covers = [rgb(40, 40), rgb(30, 20), rgb(64, 50)];
    let covers: Vec<&[u8]> = covers.iter().map(Vec::as_slice).collect();
    for format in [Format::Boxed, Format::Sealed] {
        let options = Options { format, ..Options::default() };
        let available: u64 = covers.iter().map(|cover| capacity(cover, &options).expect("has one")).sum();
        let (mut writer, mut reader) = (session(), session());
        let sealed = format == Format::Sealed;
        for length in [0, 1, 2, 3, 100, available - 1, available] {
            let payload = Payload::Bytes(noise(length, length as usize));
            let hidden = embed_over(&covers, &payload, &options, sealed.then_some(&mut writer), &mut random(4));
            let hidden = hidden.unwrap_or_else(|error| panic!("{length} of {available}: {error}"));
            let mut images: Vec<&[u8]> = hidden.iter().map(|hidden| hidden.image.as_slice()).collect();
            images.reverse();
            let found = extract_over(&images, &Reading::default(), sealed.then_some(&mut reader)).expect("is there");
            assert_eq!(found.payload, payload);
            let missing = extract_over(&images[1..], &Reading::default(), sealed.then_some(&mut reader));
            assert!(matches!(missing, Err(Error::Options(why)) if why.contains("not all parts")));
        }
        let payload = Payload::Bytes(noise(1, available as usize + 1));
        let refused = embed_over(&covers, &payload, &options, sealed.then_some(&mut writer), &mut random(4));
        assert_eq!(refused, Err(Error::TooLarge { needed: available + 1, available }));
    }
}

#[test]
fn only_what_may_change_does() {
    let cover = image(60, 40, LAYOUTS[7]);
    let file = cover.write(Output::Fast).expect("is written");
    for (format, bits, matching) in [(Format::Boxed, 1, false), (Format::Boxed, 2, true), (Format::Sealed, 1, true)] {
        let bits = Bits::new(bits).expect("1 to 4");
        let mut pair = Pair::new(Options { format, bits, matching, ..Options::default() });
        let hidden = pair.embed(&file, &Payload::Bytes(noise(5, 200))).expect("fits");
        let result = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
        let pixels = cover.pixels.chunks_exact(8).zip(result.pixels.chunks_exact(8));
        for (before, after) in pixels {
            assert_eq!(before[6..], after[6..], "alpha stays");
            assert!(before[6..] == [0xff, 0xff] || before == after, "transparent pixels stay");
            assert!((0..3).all(|at| before[2 * at] == after[2 * at]), "the greater bytes stay");
            let far = if matching { bits.mask() / 2 + 1 } else { bits.mask() };
            let near = |at: usize| {
                let (was, is) = (before[2 * at + 1], after[2 * at + 1]);
                was.abs_diff(is) <= far || !(16..240).contains(&was)
            };
            assert!((0..3).all(near), "samples move little");
        }
    }
}

#[test]
fn nothing_of_a_sealed_image_is_recognisable_and_sessions_keep_keys() {
    let cover = rgb(60, 60);
    let plain = Cover::read(&cover, &Limits::default(), false).expect("an image");
    let mut pair = Pair::new(Options { format: Format::Sealed, ..Options::default() });
    let hidden = [(); 2].map(|()| pair.embed(&cover, &Payload::Text("psst".into())).expect("fits"));
    assert!(matches!(probe(&hidden[0].image, &Limits::default()), Err(Error::NothingFound(_))));
    let image = Cover::read(&hidden[0].image, &Limits::default(), false).expect("an image");
    let ones = carriers(&image).iter().zip(carriers(&plain)).filter(|(a, b)| **a != *b).count();
    // The opening, the head and a tag: noise that differs in half of its bits.
    assert!((300..500).contains(&ones), "{ones} of 272 + 384 + 160 carriers changed");
    let report = report(&hidden[0].image, Some(&cover), &Limits::default()).expect("both are read");
    assert_eq!(report.changed, Some(ones as u64));
    let picture = changed_bits(&hidden[0].image, &cover, &Limits::default()).expect("both are read");
    assert_eq!(picture.pixels.iter().filter(|sample| **sample == 255).count(), ones);
}
