//! The carriers of an image, as many as are asked for: rows behind those are
//! not decoded.

use super::cover::{Kind, PngRows, to_rgb8};
use super::{Cover, Error, Limits};
use crate::lsb::Layout;

/// What counts as a carrier.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// Every colour of 8-bit red, green, blue, whatever the image is; alpha or not.
    Raw,
    /// Native samples of opaque pixels.
    Native,
}

/// An image being read.
pub(super) struct Source<'a> {
    rows: Option<PngRows<'a>>,
    view: View,
    carriers: Vec<u8>,
    /// Carriers that the image has at most.
    pub(super) most: usize,
    /// Colours of a pixel.
    pub(super) colours: usize,
    pub(super) rows_read: u32,
}

impl<'a> Source<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &Limits, view: View) -> Result<Self, Error> {
        match Kind::of(bytes)? {
            Kind::Lossy("JPEG") => {
                return Err(Error::NothingFound(
                    "this is a JPEG, and no least significant bit survives its compression",
                ));
            }
            Kind::Lossy(_) => {
                return Err(Error::NothingFound(
                    "this is a lossy WebP, and no least significant bit survives its compression",
                ));
            }
            Kind::Png => {
                let rows = PngRows::open(bytes, limits, true)?;
                if rows.is_in_order() {
                    let (pixels, colours) = (rows.width as usize * rows.height as usize, view.colours(rows.layout));
                    let most = pixels * colours;
                    return Ok(Source { rows: Some(rows), view, carriers: Vec::new(), most, colours, rows_read: 0 });
                }
            }
            Kind::Lossless(_) => {}
        }
        let (cover, _) = Cover::read_as_stored(bytes, limits, true)?;
        let colours = view.colours(cover.layout);
        let mut carriers = Vec::new();
        view.gather(cover.layout, &cover.pixels, &mut carriers);
        Ok(Source { rows: None, view, most: carriers.len(), carriers, colours, rows_read: cover.height })
    }

    /// The first `count` carriers, or all if there are fewer.
    pub(super) fn first(&mut self, count: usize) -> Result<&[u8], Error> {
        while self.carriers.len() < count {
            let Some(rows) = &mut self.rows else { break };
            let layout = rows.layout;
            let Some(row) = rows.next_row()? else {
                self.rows = None;
                break;
            };
            self.view.gather(layout, &row, &mut self.carriers);
            self.rows_read += 1;
        }
        Ok(&self.carriers[..count.min(self.carriers.len())])
    }
}

impl View {
    fn colours(self, layout: Layout) -> usize {
        if self == View::Raw { 3 } else { layout.colours }
    }

    pub(super) fn gather(self, layout: Layout, pixels: &[u8], carriers: &mut Vec<u8>) {
        if self == View::Raw && (layout.colours, layout.sample_bytes) != (3, 1) {
            let mut eight = Vec::new();
            to_rgb8(layout, pixels, &mut eight);
            return Layout { colours: 3, sample_bytes: 1, ..layout }.gather(&eight, true, carriers);
        }
        layout.gather(pixels, self == View::Raw, carriers);
    }
}
