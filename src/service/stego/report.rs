//! What can be seen of a finished image, alone and beside its cover.

use super::detect::{Detection, detect};
#[cfg(test)]
use super::source::View;
use super::{Cover, Error, Limits};
use serde::Serialize;

/// What can be seen.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Colour samples.
    pub samples: u64,
    /// Of those, the ones that differ from the cover's, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
    /// The same in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_percent: Option<f64>,
    /// Peak signal to noise, in decibels; none without a cover or a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psnr_db: Option<f64>,
    /// What detectors say of the image.
    pub image: Detection,
    /// What they said of the cover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<Detection>,
}

/// Samples as numbers, alpha left out.
fn numbers(cover: &Cover) -> impl Iterator<Item = u16> + '_ {
    let layout = cover.layout;
    let number = |sample: &[u8]| sample.iter().fold(0u16, |number, byte| number << 8 | u16::from(*byte));
    cover
        .pixels
        .chunks_exact(layout.pixel_bytes())
        .flat_map(move |pixel| pixel.chunks_exact(layout.sample_bytes).take(layout.colours).map(number))
}

fn seen(image: &Cover) -> Detection {
    let mut samples = Vec::new();
    image.layout.gather(&image.pixels, true, &mut samples);
    detect(&samples, image.width as usize, image.layout.colours)
}

/// Both, of the same size and kind: the cover as it was prepared for the image.
fn both(image: &[u8], cover: &[u8], limits: &Limits) -> Result<(Cover, Cover), Error> {
    let (image, _) = Cover::read_as_stored(image, limits, true)?;
    let mut cover = Cover::read(cover, limits, true)?;
    if cover.layout != image.layout {
        cover = cover.into_rgb8();
    }
    if (cover.width, cover.height, cover.layout) != (image.width, image.height, image.layout) {
        return Err(Error::Options("the cover and the image are not of the same size and kind"));
    }
    Ok((image, cover))
}

/// Reports on a finished image, beside its cover if there is one.
///
/// # Errors
/// What [`Cover::read`] says, and [`Error::Options`] if the two do not belong together.
pub fn report(image: &[u8], cover: Option<&[u8]>, limits: &Limits) -> Result<Report, Error> {
    let Some(cover) = cover else {
        let (image, _) = Cover::read_as_stored(image, limits, true)?;
        let samples = numbers(&image).count() as u64;
        let (width, height) = (image.width, image.height);
        let (changed, changed_percent, psnr_db, cover) = (None, None, None, None);
        return Ok(Report { width, height, samples, changed, changed_percent, psnr_db, image: seen(&image), cover });
    };
    let (image, cover) = both(image, cover, limits)?;
    let (mut samples, mut changed, mut squares) = (0u64, 0u64, 0f64);
    for (one, other) in numbers(&image).zip(numbers(&cover)) {
        let apart = one.abs_diff(other);
        samples += 1;
        changed += u64::from(apart > 0);
        squares += f64::from(apart) * f64::from(apart);
    }
    let peak = if image.layout.sample_bytes == 2 { 65_535.0 } else { 255.0_f64 };
    Ok(Report {
        width: image.width,
        height: image.height,
        samples,
        changed: Some(changed),
        changed_percent: Some(changed as f64 / samples as f64 * 100.0),
        psnr_db: (changed > 0).then(|| 10.0 * (peak * peak * samples as f64 / squares).log10()),
        image: seen(&image),
        cover: Some(seen(&cover)),
    })
}

/// A picture of what changed: each colour of a pixel full where its sample differs
/// from the cover's.
///
/// # Errors
/// As [`report`].
pub fn changed_bits(image: &[u8], cover: &[u8], limits: &Limits) -> Result<Cover, Error> {
    let (image, cover) = both(image, cover, limits)?;
    let colours = image.layout.colours;
    let differs: Vec<u8> =
        numbers(&image).zip(numbers(&cover)).map(|(one, other)| if one == other { 0 } else { 255 }).collect();
    let pixels = differs
        .chunks_exact(colours)
        .flat_map(|pixel| if colours == 1 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] });
    Ok(Cover::rgb8(image.width, image.height, pixels.collect()))
}

/// The carriers of an image, for tests of the formats.
#[cfg(test)]
pub(super) fn carriers(image: &Cover) -> Vec<u8> {
    let mut carriers = Vec::new();
    View::Native.gather(image.layout, &image.pixels, &mut carriers);
    carriers
}
