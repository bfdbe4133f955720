//! JPEG, WebP, BMP, GIF and TIFF, by the `image` crate.

use super::{ColourChunks, Cover, Kind, Limits};
use crate::lsb::Layout;
use crate::service::stego::Error;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::error::ImageError;
use image::{AnimationDecoder, ColorType, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;

fn fault(error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => Error::TooManyBytes,
        ImageError::Unsupported(why) => Error::Unusable(why.to_string()),
        ImageError::IoError(_) => Error::BadImage("the file ends early".into()),
        other => Error::BadImage(other.to_string()),
    }
}

pub(super) fn read(bytes: &[u8], limits: &Limits, first_frame: bool) -> Result<(Cover, u8), Error> {
    let format = image::guess_format(bytes).map_err(|_| Error::NotAnImage)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(limits.decoded_bytes_max);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    let (layout, note) = match decoder.color_type() {
        ColorType::L8 => (Layout { colours: 1, alpha: false, sample_bytes: 1 }, None),
        ColorType::La8 => (Layout { colours: 1, alpha: true, sample_bytes: 1 }, None),
        ColorType::Rgb8 => (Layout { colours: 3, alpha: false, sample_bytes: 1 }, None),
        ColorType::Rgba8 => (Layout { colours: 3, alpha: true, sample_bytes: 1 }, None),
        ColorType::L16 => (Layout { colours: 1, alpha: false, sample_bytes: 2 }, None),
        ColorType::La16 => (Layout { colours: 1, alpha: true, sample_bytes: 2 }, None),
        ColorType::Rgb16 => (Layout { colours: 3, alpha: false, sample_bytes: 2 }, None),
        ColorType::Rgba16 => (Layout { colours: 3, alpha: true, sample_bytes: 2 }, None),
        other => return Err(Error::Unusable(format!("its samples are of the kind {other:?}"))),
    };
    limits.check(width, height, layout.pixel_bytes())?;
    let mut notes: Vec<&'static str> = note.into_iter().collect();
    if is_animated(bytes, format, limits)? {
        if !first_frame {
            return Err(Error::Animated);
        }
        notes.push("only the first frame of its animation was taken");
    }
    match Kind::of(bytes)? {
        Kind::Lossy(_) => notes.push("it was compressed with loss; the result is not"),
        _ if format == ImageFormat::Gif => notes.push("its palette was turned into colours"),
        _ => {}
    }
    let icc = decoder.icc_profile().unwrap_or_default();
    let orientation = decoder.orientation().map_or(1, |orientation| orientation.to_exif());
    let size = usize::try_from(decoder.total_bytes()).map_err(|_| Error::TooManyBytes)?;
    let mut pixels = vec![0; size];
    decoder.read_image(&mut pixels).map_err(fault)?;
    if layout.sample_bytes == 2 && cfg!(target_endian = "little") {
        pixels.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
    }
    let colour = ColourChunks { icc, ..ColourChunks::default() }.fitting(layout.colours, &mut notes);
    Ok((Cover { width, height, layout, pixels, colour, notes }, orientation))
}

fn is_animated(bytes: &[u8], format: ImageFormat, limits: &Limits) -> Result<bool, Error> {
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(fault)?;
            let mut allowed = image::Limits::default();
            allowed.max_alloc = Some(limits.decoded_bytes_max);
            decoder.set_limits(allowed).map_err(fault)?;
            // The second frame tells; what is wrong with it tells as well.
            Ok(decoder.into_frames().nth(1).is_some())
        }
        ImageFormat::WebP => Ok(WebPDecoder::new(Cursor::new(bytes)).map_err(fault)?.has_animation()),
        _ => Ok(false),
    }
}

pub(super) fn write_webp(cover: &Cover) -> Result<Vec<u8>, Error> {
    if cover.layout.sample_bytes != 1 {
        return Err(Error::Options("WebP has 8 bits a sample, the cover 16: write a PNG"));
    }
    let colour = match (cover.layout.colours, cover.layout.alpha) {
        (1, _) => return Err(Error::Options("WebP has no gray: the cover is turned into colours before embedding")),
        (_, false) => ExtendedColorType::Rgb8,
        (_, true) => ExtendedColorType::Rgba8,
    };
    let mut file = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut file);
    encoder.encode(&cover.pixels, cover.width, cover.height, colour).map_err(fault)?;
    Ok(file)
}
