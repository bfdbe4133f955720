//! PNG, by the `png` crate directly: limits, rows, colour chunks, presets.

use super::{ColourChunks, Cover, Limits, Output};
use crate::lsb::Layout;
use crate::service::stego::Error;
use image::metadata::Orientation;
use png::{BitDepth, ColorType, DecodingError, Transformations};
use std::borrow::Cow;
use std::io::Cursor;

/// A PNG whose rows are decoded as they are asked for.
pub(in super::super) struct PngRows<'a> {
    reader: png::Reader<Cursor<&'a [u8]>>,
    pub(in super::super) width: u32,
    pub(in super::super) height: u32,
    pub(in super::super) layout: Layout,
    notes: Vec<&'static str>,
}

fn fault(error: DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => Error::TooManyBytes,
        DecodingError::IoError(_) => Error::BadImage("the PNG ends early".into()),
        other => Error::BadImage(other.to_string()),
    }
}

impl<'a> PngRows<'a> {
    pub(in super::super) fn open(bytes: &'a [u8], limits: &Limits, first_frame: bool) -> Result<Self, Error> {
        // The header's own numbers first: nothing is made for them yet.
        if let Some(size) = bytes.get(16..24).filter(|_| bytes.get(12..16) == Some(b"IHDR")) {
            let number = |at: usize| size[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            limits.check(number(0), number(4), 1)?;
        }
        let bytes_max = usize::try_from(limits.decoded_bytes_max).unwrap_or(usize::MAX);
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: bytes_max });
        decoder.set_transformations(Transformations::EXPAND);
        decoder.set_ignore_text_chunk(true);
        let reader = decoder.read_info().map_err(fault)?;
        let info = reader.info();
        let (colour, depth) = reader.output_color_type();
        let layout = Layout {
            colours: if matches!(colour, ColorType::Grayscale | ColorType::GrayscaleAlpha) { 1 } else { 3 },
            alpha: matches!(colour, ColorType::GrayscaleAlpha | ColorType::Rgba),
            sample_bytes: if depth == BitDepth::Sixteen { 2 } else { 1 },
        };
        limits.check(info.width, info.height, layout.pixel_bytes())?;
        if info.animation_control.is_some_and(|control| control.num_frames > 1) && !first_frame {
            return Err(Error::Animated);
        }
        let mut notes = Vec::new();
        if info.color_type == ColorType::Indexed {
            notes.push("its palette was turned into colours");
        } else if (info.bit_depth as u8) < 8 {
            notes.push("its samples were widened to 8 bits");
        }
        if info.animation_control.is_some() {
            notes.push("only the first frame of its animation was taken");
        }
        let (width, height) = (info.width, info.height);
        Ok(PngRows { reader, width, height, layout, notes })
    }

    /// Whether rows come in their order; an interlaced image comes whole.
    pub(in super::super) fn is_in_order(&self) -> bool {
        !self.reader.info().interlaced
    }

    /// The next row, none after the last.
    pub(in super::super) fn next_row(&mut self) -> Result<Option<Cow<'_, [u8]>>, Error> {
        let row = self.reader.next_row().map_err(fault)?;
        Ok(row.map(|row| Cow::Owned(row.data().to_vec())))
    }

    /// All pixels.
    pub(in super::super) fn all(&mut self) -> Result<Vec<u8>, Error> {
        let size = self.reader.output_buffer_size().ok_or(Error::TooManyBytes)?;
        let mut pixels = vec![0; size];
        let frame = self.reader.next_frame(&mut pixels).map_err(fault)?;
        let wanted = self.width as usize * self.height as usize * self.layout.pixel_bytes();
        if (frame.width, frame.height) != (self.width, self.height) || frame.buffer_size() != wanted {
            return Err(Error::Unusable("its first frame is not as large as the image".into()));
        }
        pixels.truncate(wanted);
        Ok(pixels)
    }
}

pub(super) fn read(bytes: &[u8], limits: &Limits, first_frame: bool) -> Result<(Cover, u8), Error> {
    let mut rows = PngRows::open(bytes, limits, first_frame)?;
    let pixels = rows.all()?;
    let info = rows.reader.info();
    let exif = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let chromaticities = info.chrm_chunk.map(|chunk| {
        [chunk.white, chunk.red, chunk.green, chunk.blue].map(|(x, y)| [x.into_scaled(), y.into_scaled()])
    });
    let colour = ColourChunks {
        gamma: info.gama_chunk.map(png::ScaledFloat::into_scaled),
        chromaticities: chromaticities.map(|pairs| {
            let mut flat = [0; 8];
            flat.iter_mut().zip(pairs.as_flattened()).for_each(|(to, from)| *to = *from);
            flat
        }),
        srgb: info.srgb.map(|intent| intent as u8),
        icc: info.icc_profile.as_ref().map(|icc| icc.to_vec()),
        code_points: info.coding_independent_code_points.map(|points| {
            let full = u8::from(points.is_video_full_range_image);
            [points.color_primaries, points.transfer_function, points.matrix_coefficients, full]
        }),
    };
    let mut notes = std::mem::take(&mut rows.notes);
    let colour = colour.fitting(rows.layout.colours, &mut notes);
    let cover = Cover { width: rows.width, height: rows.height, layout: rows.layout, pixels, colour, notes };
    Ok((cover, exif.map_or(1, Orientation::to_exif)))
}

pub(super) fn write(cover: &Cover, output: Output) -> Result<Vec<u8>, Error> {
    let refused = |error: png::EncodingError| Error::Unusable(error.to_string());
    let mut info = png::Info::with_size(cover.width, cover.height);
    info.bit_depth = if cover.layout.sample_bytes == 2 { BitDepth::Sixteen } else { BitDepth::Eight };
    info.color_type = match (cover.layout.colours, cover.layout.alpha) {
        (1, false) => ColorType::Grayscale,
        (1, true) => ColorType::GrayscaleAlpha,
        (_, false) => ColorType::Rgb,
        (_, true) => ColorType::Rgba,
    };
    let colour = &cover.colour;
    let srgb = [
        png::SrgbRenderingIntent::Perceptual,
        png::SrgbRenderingIntent::RelativeColorimetric,
        png::SrgbRenderingIntent::Saturation,
        png::SrgbRenderingIntent::AbsoluteColorimetric,
    ];
    info.srgb = colour.srgb.and_then(|intent| srgb.get(usize::from(intent)).copied());
    info.icc_profile = colour.icc.as_deref().filter(|_| info.srgb.is_none()).map(Cow::Borrowed);
    info.source_gamma = colour.gamma.map(png::ScaledFloat::from_scaled);
    info.source_chromaticities = colour.chromaticities.map(|c| {
        let pair = |at: usize| (png::ScaledFloat::from_scaled(c[at]), png::ScaledFloat::from_scaled(c[at + 1]));
        png::SourceChromaticities { white: pair(0), red: pair(2), green: pair(4), blue: pair(6) }
    });
    let mut file = Vec::with_capacity(cover.pixels.len() / 2);
    let mut encoder = png::Encoder::with_info(&mut file, info).map_err(refused)?;
    match output {
        Output::Store => encoder.set_compression(png::Compression::NoCompression),
        Output::Small => encoder.set_compression(png::Compression::Balanced),
        _ => {
            encoder.set_compression(png::Compression::Fast);
            // A quarter faster than Avg on photographs, and no larger.
            encoder.set_filter(png::Filter::Up);
        }
    }
    let mut writer = encoder.write_header().map_err(refused)?;
    if let Some(points) = colour.code_points {
        writer.write_chunk(png::chunk::ChunkType(*b"cICP"), &points).map_err(refused)?;
    }
    writer.write_image_data(&cover.pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(file)
}
