//! What strangers, disks and people hand in: refused, with what happened.

use super::*;

fn text(text: &str) -> Payload {
    Payload::Text(text.into())
}

#[test]
fn a_payload_too_large_is_told_what_is_needed_and_available() {
    let cover = rgb(20, 20);
    let error = embed(&cover, &Payload::Bytes(noise(1, 500)), &Options::default(), None, &mut random(1));
    let error = error.expect_err("does not fit");
    assert_eq!(error, Error::TooLarge { needed: 500, available: 98 });
    assert!(error.to_string().contains("500") && error.to_string().contains("98"));
    assert_eq!(error.outcome(), Outcome::WrongUse);
}

#[test]
fn tiny_images_hold_nothing_and_say_so() {
    for format in [Format::Raw, Format::Boxed, Format::Sealed] {
        let mut pair = Pair::new(Options { format, ..Options::default() });
        for payload in [text(""), text("x")] {
            let refused = pair.embed(&rgb(1, 1), &payload);
            assert!(matches!(refused, Err(Error::TooLarge { available: 0, .. })), "{format:?}: {refused:?}");
        }
        assert!(pair.extract(&rgb(1, 1)).is_err());
    }
}

#[test]
fn an_empty_payload_is_one() {
    for format in [Format::Raw, Format::Boxed, Format::Sealed] {
        let mut pair = Pair::new(Options { format, ..Options::default() });
        let hidden = pair.embed(&rgb(30, 30), &Payload::Bytes(Vec::new())).expect("fits");
        assert!(pair.extract(&hidden.image).expect("is there").payload.bytes().is_empty());
    }
}

#[test]
fn a_clean_image_has_nothing() {
    for seed in 0..50 {
        let image = Cover::rgb8(50, 50, noise(seed, 7500)).write(Output::Fast).expect("is written");
        let found = extract(&image, &Reading::default(), None).expect_err("nothing is there");
        assert_eq!(found.outcome(), Outcome::NothingFound);
        assert!(probe(&image, &Limits::default()).is_err());
    }
    let black = Cover::rgb8(50, 50, vec![0; 7500]).write(Output::Fast).expect("is written");
    assert!(matches!(extract(&black, &Reading::default(), None), Err(Error::NothingFound(_))));
}

#[test]
fn a_jpeg_cannot_hold_one_and_says_why() {
    let mut jpeg = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut jpeg);
    encoder.encode(&noise(1, 32 * 32 * 3), 32, 32, image::ExtendedColorType::Rgb8).expect("is written");
    for reading in [Reading::default(), Reading { format: Some(Format::Raw), ..Reading::default() }] {
        let error = extract(&jpeg, &reading, None).expect_err("cannot");
        assert!(matches!(error, Error::NothingFound(why) if why.contains("JPEG")), "{error}");
    }
    let hidden =
        embed(&jpeg, &text("into a JPEG"), &Options::default(), None, &mut random(1)).expect("as a cover it serves");
    assert!(hidden.image.starts_with(b"\x89PNG") && !hidden.notes.is_empty());
    assert_eq!(extract(&hidden.image, &Reading::default(), None).expect("is there").payload, text("into a JPEG"));
}

#[test]
fn any_cut_and_any_flipped_bit_ends_in_an_answer() {
    let mut pair = Pair::new(Options::default());
    let payload = Payload::Bytes(noise(3, 300));
    let whole = pair.embed(&rgb(40, 30), &payload).expect("fits").image;
    for cut in 0..whole.len() {
        match pair.extract(&whole[..cut]) {
            Ok(found) => assert!(found.payload == payload, "cut at {cut}"),
            Err(error) => assert!(error.outcome() != Outcome::NothingFound, "cut at {cut}: {error}"),
        }
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(found) = pair.extract(&flipped) {
            assert!(found.payload == payload, "a flipped bit at {at} came back as another payload");
        }
    }
}

/// Also where the file is whole and only a sample was changed.
#[test]
fn any_changed_carrier_is_damage() {
    for format in [Format::Boxed, Format::Sealed] {
        let mut pair = Pair::new(Options { format, ..Options::default() });
        let hidden = pair.embed(&rgb(24, 20), &Payload::Bytes(noise(3, 20))).expect("fits");
        let image = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
        let used = if format == Format::Boxed { 288 + 36 * 8 } else { 256 };
        for at in 0..used {
            let mut changed = image.clone();
            changed.pixels[at] ^= 1;
            let file = changed.write(Output::Store).expect("is written");
            let error = pair.extract(&file).expect_err("is damaged");
            let in_magic = format == Format::Boxed && at < 32;
            let expected = if in_magic { Outcome::NothingFound } else { Outcome::Damaged };
            assert_eq!(error.outcome(), expected, "{format:?} at {at}: {error}");
        }
    }
}

/// A header that declares 60,000 x 60,000 pixels, of a file of 57 bytes.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        let body = [name.as_slice(), data].concat();
        // CRC-32 of PNG, bit by bit.
        let crc = body.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 })
        });
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(body);
        file.extend((!crc).to_be_bytes());
    };
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9c]);
    chunk(b"IEND", &[]);
    file
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let error = Cover::read(&bomb(60_000, 60_000), &Limits::default(), false).expect_err("is refused");
    assert_eq!(error, Error::TooManyPixels { width: 60_000, height: 60_000 });
    assert_eq!(extract(&bomb(60_000, 60_000), &Reading::default(), None), Err(error));
    let narrow = Limits { decoded_bytes_max: 1 << 20, ..Limits::default() };
    assert_eq!(Cover::read(&bomb(1000, 1000), &narrow, false), Err(Error::TooManyBytes));
    // The same as a BMP of 54 bytes.
    let mut bmp = vec![0; 54];
    bmp[..2].copy_from_slice(b"BM");
    bmp[10] = 54;
    bmp[14] = 40;
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[26] = 1;
    bmp[28] = 24;
    assert!(matches!(
        Cover::read(&bmp, &Limits::default(), false),
        Err(Error::TooManyPixels { .. } | Error::TooManyBytes)
    ));
}

#[test]
fn no_pixels_and_no_image_are_refused() {
    assert_eq!(Cover::read(&bomb(0, 5), &Limits::default(), false), Err(Error::NoPixels));
    for junk in
        [&b""[..], b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff", b"II*\0", b"RIFF\0\0\0\0WEBPVP8L"]
    {
        let error = Cover::read(junk, &Limits::default(), false).expect_err("is refused");
        assert_ne!(error.outcome(), Outcome::NothingFound, "{error}");
    }
}

#[test]
fn a_wrong_password_and_damage_are_one_error() {
    let mut pair = Pair::new(Options { format: Format::Sealed, ..Options::default() });
    let hidden = pair.embed(&rgb(40, 40), &text("secret")).expect("fits");
    let mut other = Session::new("open barley").expect("a password");
    assert_eq!(extract(&hidden.image, &Reading::default(), Some(&mut other)), Err(Error::Sealed));
    let mut image = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
    image.pixels[3] ^= 1;
    assert_eq!(pair.extract(&image.write(Output::Fast).expect("is written")), Err(Error::Sealed));
    assert_eq!(Session::new("").expect_err("is refused").outcome(), Outcome::WrongUse);
}

#[test]
fn a_key_that_would_cost_too_much_is_not_derived() {
    let mut image = Cover::read(&rgb(40, 40), &Limits::default(), false).expect("an image");
    for (memory, passes) in [(255, 0), (249, 240), (0, 255), (0, 248)] {
        crate::lsb::embed(&mut image.pixels[256..], &[memory, passes], Bits::ONE);
        let file = image.write(Output::Fast).expect("is written");
        assert_eq!(extract(&file, &Reading::default(), Some(&mut session())), Err(Error::Sealed));
    }
}

#[test]
fn what_is_no_text_is_said_to_be_none() {
    let mut pair = Pair::new(Options { format: Format::Raw, ..Options::default() });
    let hidden = pair.embed(&rgb(20, 20), &Payload::Bytes(vec![0xff, 0xfe, 0x80])).expect("fits");
    let found = pair.extract(&hidden.image).expect("is there").payload;
    assert_eq!(found.bytes(), [0xff, 0xfe, 0x80], "the bytes are there all the same");
    assert_eq!(found.into_text(), Err(Error::NotText));
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let cover = rgb(30, 30);
    let two = Bits::new(2).expect("1 to 4");
    let refused = |options: Options, password: bool| {
        let mut session = session();
        let result = embed(&cover, &text("x"), &options, password.then_some(&mut session), &mut random(1));
        assert!(matches!(result, Err(Error::Options(_))), "{options:?}");
    };
    let raw = Options { format: Format::Raw, ..Options::default() };
    refused(Options { bits: two, ..raw }, false);
    refused(Options { matching: true, ..raw }, false);
    refused(raw, true);
    refused(Options { format: Format::Sealed, ..Options::default() }, false);
    let blue = Channels::from_letters("b").expect("a set");
    refused(Options { format: Format::Sealed, channels: blue, ..Options::default() }, true);
    refused(Options::default(), true);
    let sealed = Reading { format: Some(Format::Sealed), ..Reading::default() };
    assert!(matches!(extract(&cover, &sealed, None), Err(Error::Options(_))));
}

#[test]
fn what_inflates_beyond_the_limit_is_not_taken() {
    let hidden = embed(&rgb(60, 60), &Payload::Bytes(vec![0; 200_000]), &Options::default(), None, &mut random(1));
    let image = hidden.expect("fits, compressed").image;
    let limits = Limits { payload_bytes_max: 100_000, ..Limits::default() };
    let refused = extract(&image, &Reading { limits, ..Reading::default() }, None);
    assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
}
