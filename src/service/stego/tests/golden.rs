//! Images written by earlier versions are read for ever.

use super::*;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/stego")
}

fn options(name: &str) -> Options {
    let plain = Options::default();
    match name.split('-').next() {
        Some("raw") => Options { format: Format::Raw, ..plain },
        Some("boxed") => plain,
        Some("bits") => Options {
            bits: Bits::new(3).expect("1 to 4"),
            channels: Channels::from_letters("gb").expect("a set"),
            ..plain
        },
        _ => Options { format: Format::Sealed, ..plain },
    }
}

fn payload(name: &str) -> Payload {
    match name {
        "bits-file" => Payload::File { name: "notes.txt".into(), bytes: b"a file".repeat(9) },
        "sealed-bytes" => Payload::Bytes((0..=99).collect()),
        "raw-text" => Payload::Bytes("grüße, bit for bit".into()),
        _ => Payload::Text("kept for ever".into()),
    }
}

const NAMES: [&str; 5] = ["raw-text", "boxed-text", "bits-file", "sealed-bytes", "sealed-default-cost"];

#[test]
fn kept_images_are_read() {
    for name in NAMES {
        let image = std::fs::read(folder().join(format!("{name}.png"))).expect("is kept");
        let sealed = options(name).format == Format::Sealed;
        let mut session = sealed.then(session);
        let found =
            extract(&image, &Reading { format: Some(options(name).format), ..Reading::default() }, session.as_mut());
        assert_eq!(found.expect("is there").payload, payload(name), "{name}");
    }
}

/// Raw, by the plainest reading of its rules.
#[test]
fn the_kept_raw_image_holds_what_the_rules_say() {
    let image = std::fs::read(folder().join("raw-text.png")).expect("is kept");
    let pixels = Cover::read(&image, &Limits::default(), false).expect("an image").pixels;
    let bits: Vec<u8> = pixels.iter().map(|sample| sample & 1).collect();
    let byte = |at: usize| bits[at * 8..at * 8 + 8].iter().fold(0u8, |byte, bit| byte << 1 | bit);
    let wanted = payload("raw-text").bytes().to_vec();
    assert_eq!((0..4).map(byte).collect::<Vec<u8>>(), (wanted.len() as u32).to_be_bytes());
    assert_eq!((4..4 + wanted.len()).map(byte).collect::<Vec<u8>>(), wanted);
}

/// Writes what is not there yet, and never what is.
#[test]
#[ignore = "writes into tests/golden"]
fn new_golden_images_are_written() {
    for name in NAMES {
        let path = folder().join(format!("{name}.png"));
        if path.exists() {
            continue;
        }
        let options = options(name);
        let cost = if name.ends_with("default-cost") { Cost::DEFAULT } else { Cost::LOW };
        let mut session = (options.format == Format::Sealed).then(|| session().with_cost(cost));
        let hidden = embed(&rgb(24, 24), &payload(name), &options, session.as_mut(), &mut random(17));
        std::fs::write(path, hidden.expect("fits").image).expect("is written");
    }
}
