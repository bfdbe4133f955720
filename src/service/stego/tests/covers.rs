//! Covers of every kind, and what of them is kept.

use super::*;
use image::codecs::{bmp, gif, jpeg, tiff, webp};
use image::{ExtendedColorType, ImageEncoder};

fn hides_and_finds(cover: &[u8]) -> Embedded {
    let payload = Payload::Text("of any kind".into());
    let hidden = embed(cover, &payload, &Options::default(), None, &mut random(1)).expect("is a cover");
    assert_eq!(extract(&hidden.image, &Reading::default(), None).expect("is there").payload, payload);
    hidden
}

#[test]
fn every_file_format_is_a_cover() {
    let pixels = noise(1, 40 * 30 * 3);
    let (width, height, kind) = (40, 30, ExtendedColorType::Rgb8);
    let mut files = vec![Vec::new(); 4];
    bmp::BmpEncoder::new(&mut files[0]).write_image(&pixels, width, height, kind).expect("is written");
    jpeg::JpegEncoder::new(&mut files[1]).write_image(&pixels, width, height, kind).expect("is written");
    webp::WebPEncoder::new_lossless(&mut files[2]).write_image(&pixels, width, height, kind).expect("is written");
    tiff::TiffEncoder::new(std::io::Cursor::new(&mut files[3]))
        .write_image(&pixels, width, height, kind)
        .expect("is written");
    files.iter().for_each(|file| drop(hides_and_finds(file)));
    for lossless in [0, 2, 3] {
        let cover = Cover::read(&files[lossless], &Limits::default(), false).expect("is read");
        assert_eq!(cover.pixels, pixels);
    }
}

#[test]
fn sixteen_bits_of_a_tiff_stay_sixteen() {
    let samples: Vec<u16> = (0..40 * 30).map(|at| at * 50).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    let native: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    tiff::TiffEncoder::new(&mut file).write_image(&native, 40, 30, ExtendedColorType::L16).expect("is written");
    let cover = Cover::read(file.get_ref(), &Limits::default(), false).expect("is read");
    assert_eq!(cover.layout, LAYOUTS[4]);
    assert_eq!(cover.pixels, samples.iter().flat_map(|sample| sample.to_be_bytes()).collect::<Vec<u8>>());
    hides_and_finds(file.get_ref());
}

#[test]
fn an_animation_is_refused_unless_its_first_frame_is_asked_for() {
    let mut gif = Vec::new();
    let mut encoder = gif::GifEncoder::new(&mut gif);
    for seed in 0..2 {
        encoder.encode(&noise(seed, 30 * 30 * 3), 30, 30, ExtendedColorType::Rgb8).expect("is written");
    }
    drop(encoder);
    let mut apng = Vec::new();
    let mut encoder = png::Encoder::new(&mut apng, 30, 30);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).expect("is animated");
    let mut writer = encoder.write_header().expect("is written");
    (0..2).for_each(|seed| writer.write_image_data(&noise(seed, 2700)).expect("is written"));
    writer.finish().expect("is written");
    for file in [&gif, &apng] {
        assert_eq!(Cover::read(file, &Limits::default(), false), Err(Error::Animated));
        let cover = Cover::read(file, &Limits::default(), true).expect("its first frame");
        assert_eq!((cover.width, cover.height), (30, 30));
        let options = Options { first_frame: true, ..Options::default() };
        let hidden = embed(file, &Payload::Text("still".into()), &options, None, &mut random(1)).expect("fits");
        assert!(hidden.notes.iter().any(|note| note.contains("first frame")));
        assert_eq!(
            extract(&hidden.image, &Reading::default(), None).expect("is there").payload,
            Payload::Text("still".into())
        );
    }
}

#[test]
fn palettes_and_small_depths_become_samples_and_it_is_said() {
    let mut palette = Vec::new();
    let mut encoder = png::Encoder::new(&mut palette, 32, 32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(noise(1, 256 * 3));
    encoder.write_header().expect("starts").write_image_data(&noise(2, 1024)).expect("is written");
    assert!(hides_and_finds(&palette).notes.iter().any(|note| note.contains("palette")));
    let mut bits = Vec::new();
    let mut encoder = png::Encoder::new(&mut bits, 64, 32);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().expect("starts").write_image_data(&noise(2, 256)).expect("is written");
    assert!(hides_and_finds(&bits).notes.iter().any(|note| note.contains("widened")));
}

#[test]
fn orientation_is_applied_once() {
    let mut jpeg = Vec::new();
    jpeg::JpegEncoder::new(&mut jpeg)
        .write_image(&noise(1, 40 * 30 * 3), 40, 30, ExtendedColorType::Rgb8)
        .expect("is written");
    // EXIF behind the first two bytes: one entry, orientation 6.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut turned = jpeg[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend((exif.len() as u16 + 2).to_be_bytes());
    turned.extend(exif);
    turned.extend(&jpeg[2..]);
    let hidden = hides_and_finds(&turned);
    assert!(hidden.notes.iter().any(|note| note.contains("upright")), "{:?}", hidden.notes);
    let result = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
    assert_eq!((result.width, result.height), (30, 40));
    assert!(result.notes.is_empty(), "it is upright now");
}

#[test]
fn what_colours_mean_is_carried() {
    let mut cover = image(40, 40, LAYOUTS[2]);
    let mut icc = noise(1, 400);
    icc[16..20].copy_from_slice(b"RGB ");
    cover.colour.icc = Some(icc);
    cover.colour.gamma = Some(45_455);
    cover.colour.chromaticities = Some([31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000]);
    cover.colour.code_points = Some([9, 16, 0, 1]);
    let file = cover.write(Output::Fast).expect("is written");
    let hidden = hides_and_finds(&file);
    let result = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
    assert_eq!(result.colour, cover.colour);
    cover.colour = Default::default();
    cover.colour.srgb = Some(1);
    let hidden = hides_and_finds(&cover.write(Output::Fast).expect("is written"));
    let result = Cover::read(&hidden.image, &Limits::default(), false).expect("an image");
    assert_eq!(result.colour.srgb, Some(1));
}
