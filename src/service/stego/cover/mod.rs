//! Images: native samples kept, read within limits, written without loss.

mod colour;
mod orient;
mod other;
mod png;

pub(super) use self::png::PngRows;
pub use colour::ColourChunks;

use super::Error;
use crate::lsb::Layout;

/// What an image may take. Checked on its header, before anything is made for
/// its pixels.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Width times height.
    pub pixels_max: u64,
    /// Bytes of all samples, and of what the decoder keeps beside them.
    pub decoded_bytes_max: u64,
    /// Bytes of a payload after it is inflated.
    pub payload_bytes_max: u64,
}

impl Default for Limits {
    /// 100 megapixels, 512 MiB, 256 MiB.
    fn default() -> Self {
        Limits { pixels_max: 100_000_000, decoded_bytes_max: 512 << 20, payload_bytes_max: 256 << 20 }
    }
}

impl Limits {
    pub(super) fn check(&self, width: u32, height: u32, pixel_bytes: usize) -> Result<(), Error> {
        if width == 0 || height == 0 {
            return Err(Error::NoPixels);
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels_max {
            return Err(Error::TooManyPixels { width, height });
        }
        if pixels.saturating_mul(pixel_bytes as u64) > self.decoded_bytes_max {
            return Err(Error::TooManyBytes);
        }
        Ok(())
    }
}

/// How an image is written. All are lossless.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Output {
    /// PNG, a fast and light compression.
    #[default]
    Fast,
    /// PNG, compressed harder: for what is kept.
    Small,
    /// PNG, not compressed: for hops inside one machine.
    Store,
    /// WebP, lossless; 8 bits a sample only.
    Webp,
}

/// A decoded image.
#[derive(Clone, PartialEq, Debug)]
pub struct Cover {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How a pixel lies in `pixels`.
    pub layout: Layout,
    /// Row by row, no padding; of 16-bit samples the greater byte first.
    pub pixels: Vec<u8>,
    /// What its colours mean.
    pub colour: ColourChunks,
    /// What was changed when it was read, for the person.
    pub notes: Vec<&'static str>,
}

/// What kind of file it is, by its first bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Png,
    /// Least significant bits do not survive it.
    Lossy(&'static str),
    Lossless(image::ImageFormat),
}

impl Kind {
    pub(super) fn of(bytes: &[u8]) -> Result<Kind, Error> {
        use image::ImageFormat;
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Ok(Kind::Png);
        }
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Kind::Lossy("JPEG")),
            Ok(ImageFormat::WebP) if is_lossy_webp(bytes) => Ok(Kind::Lossy("lossy WebP")),
            Ok(format @ (ImageFormat::WebP | ImageFormat::Bmp | ImageFormat::Gif | ImageFormat::Tiff)) => {
                Ok(Kind::Lossless(format))
            }
            _ => Err(Error::NotAnImage),
        }
    }
}

/// Walks the chunks of a RIFF file to the first that holds an image.
fn is_lossy_webp(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some(([a, b, c, d, length @ ..], body)) = rest.split_first_chunk::<8>() {
        match &[*a, *b, *c, *d] {
            b"VP8 " => return true,
            b"VP8L" => return false,
            _ => {}
        }
        let length = u32::from_le_bytes(*length) as usize;
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    false
}

impl Cover {
    /// A plain image of 8-bit red, green, blue.
    ///
    /// # Panics
    /// If the bytes are not three a pixel.
    pub fn rgb8(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        let layout = Layout { colours: 3, alpha: false, sample_bytes: 1 };
        assert_eq!(pixels.len() as u64, u64::from(width) * u64::from(height) * 3, "three bytes a pixel");
        Cover { width, height, layout, pixels, colour: ColourChunks::default(), notes: Vec::new() }
    }

    /// Reads a PNG, JPEG, WebP, BMP, GIF or TIFF image as a cover: upright as its
    /// orientation says, native samples kept, palettes and small depths expanded.
    ///
    /// # Errors
    /// [`Error::NotAnImage`], [`Error::BadImage`], [`Error::Unusable`], what the
    /// limits forbid, and [`Error::Animated`] unless `first_frame`.
    pub fn read(bytes: &[u8], limits: &Limits, first_frame: bool) -> Result<Cover, Error> {
        let (mut cover, orientation) = Cover::read_as_stored(bytes, limits, first_frame)?;
        if orient::apply(&mut cover, orientation) {
            cover.notes.push("it was turned upright as its orientation says");
        }
        Ok(cover)
    }

    /// The same without turning it: for extraction. With its EXIF orientation.
    pub(super) fn read_as_stored(bytes: &[u8], limits: &Limits, first_frame: bool) -> Result<(Cover, u8), Error> {
        match Kind::of(bytes)? {
            Kind::Png => png::read(bytes, limits, first_frame),
            Kind::Lossy(_) | Kind::Lossless(_) => other::read(bytes, limits, first_frame),
        }
    }

    /// The image as a file. Text, time and camera data of the original are not in
    /// it; what its colours mean is.
    ///
    /// # Errors
    /// [`Error::Options`] for 16 bits in WebP, [`Error::Unusable`] for what the
    /// encoder refuses.
    pub fn write(&self, output: Output) -> Result<Vec<u8>, Error> {
        match output {
            Output::Webp => other::write_webp(self),
            _ => png::write(self, output),
        }
    }

    /// 8-bit colours as existing programs make them: gray three times, 16 bits
    /// rounded to 8, alpha kept where there is one.
    pub(super) fn into_rgb8(self) -> Cover {
        let Cover { width, height, layout, pixels, mut colour, mut notes } = self;
        if layout.colours == 3 && layout.sample_bytes == 1 {
            return Cover { width, height, layout, pixels, colour, notes };
        }
        if layout.sample_bytes == 2 {
            notes.push("16 bits a sample were rounded to 8, as the raw format asks");
        }
        if layout.colours == 1 {
            notes.push("gray became red, green and blue");
            colour.icc = None; // a gray profile means nothing there
        }
        let mut out = Vec::with_capacity(pixels.len() / layout.pixel_bytes() * (3 + usize::from(layout.alpha)));
        to_rgb8(layout, &pixels, &mut out);
        let layout = Layout { colours: 3, sample_bytes: 1, ..layout };
        Cover { width, height, layout, pixels: out, colour, notes }
    }
}

/// Appends whole pixels as 8-bit colours.
pub(super) fn to_rgb8(layout: Layout, pixels: &[u8], out: &mut Vec<u8>) {
    let eight = |sample: &[u8]| match sample {
        [high, low] => ((u32::from(*high) << 8 | u32::from(*low)) + 128).div_euclid(257) as u8,
        _ => sample[0],
    };
    for pixel in pixels.chunks_exact(layout.pixel_bytes()) {
        let mut samples = pixel.chunks_exact(layout.sample_bytes).map(eight);
        match layout.colours {
            1 => out.extend([samples.next().unwrap_or(0); 3]),
            _ => out.extend(samples.by_ref().take(3)),
        }
        out.extend(samples);
    }
}
