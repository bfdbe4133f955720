//! What a fuzzer runs over images and over what is hidden in them.

use super::{Cost, Cover, Error, Format, Limits, Options, Output, Payload, Reading, Session, embed, extract, probe};

/// Small: a fuzzer's images are.
const LIMITS: Limits = Limits { pixels_max: 1 << 20, decoded_bytes_max: 8 << 20, payload_bytes_max: 1 << 20 };

/// Any bytes are an image within the limits, or refused; an image is written and
/// read again as it was.
pub fn images(input: &[u8]) {
    match Cover::read(input, &LIMITS, input.len().is_multiple_of(2)) {
        Ok(cover) => {
            let pixels = u64::from(cover.width) * u64::from(cover.height);
            assert!(pixels <= LIMITS.pixels_max && pixels > 0);
            assert_eq!(cover.pixels.len() as u64, pixels * cover.layout.pixel_bytes() as u64);
            let file = cover.write(Output::Store).expect("what was read is written");
            let again = Cover::read(&file, &LIMITS, false).expect("what was written is read");
            assert_eq!((again.width, again.height, again.layout), (cover.width, cover.height, cover.layout));
            assert!(again.pixels == cover.pixels, "samples survive");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "says what is wrong"),
    }
    let _ = probe(input, &LIMITS);
}

/// Any low bits are a payload or refused, in every format. The first byte chooses
/// between the bytes as samples and the bytes as what is embedded.
pub fn hidden(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    // Each bit of the input is the low bit of one sample.
    let samples: Vec<u8> = rest.iter().flat_map(|byte| (0..8).rev().map(move |at| 0x80 | byte >> at & 1)).collect();
    let width = (samples.len() / 3).max(1);
    let mut pixels = samples;
    pixels.resize(width * 3, 0);
    let image = Cover::rgb8(width as u32, 1, pixels).write(Output::Store).expect("is written");
    let formats = [Format::Raw, Format::Boxed, Format::Sealed];
    let format = formats[usize::from(*choice) % 3];
    let mut session = (format == Format::Sealed).then(|| Session::new("fuzzed").expect("a password"));
    // What a key costs stands in bytes 32 and 33: the least, or more than is accepted;
    // what lies between takes a fuzzer's time and is right.
    let quick = rest.get(32..34).is_none_or(|cost| cost == [240, 240] || cost[0] >= 249 || cost[1] >= 248);
    if format == Format::Sealed && !quick {
        return;
    }
    let reading = Reading { format: Some(format), limits: LIMITS };
    match extract(&image, &reading, session.as_mut()) {
        Ok(found) => assert!(found.payload.bytes().len() as u64 <= LIMITS.payload_bytes_max),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let payload = Payload::Bytes(rest.to_vec());
    let options = Options { format, ..Options::default() };
    let mut session =
        (format == Format::Sealed).then(|| Session::new("fuzzed").expect("a password").with_cost(Cost::LOW));
    match embed(&image, &payload, &options, session.as_mut(), &mut |bytes| bytes.fill(3)) {
        Ok(done) => {
            let found = extract(&done.image, &reading, session.as_mut()).expect("what was embedded is extracted");
            assert_eq!(found.payload, payload);
        }
        Err(error) => assert!(matches!(error, Error::TooLarge { .. }), "{error}"),
    }
}

/// A planted bug: the length that a raw image says is believed.
#[cfg(test)]
pub(crate) fn trusts_a_length(input: &[u8]) {
    if let [0, a, b, c, d, rest @ ..] = input {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        assert!(length <= rest.len(), "reads behind the image");
    }
}
