//! What is embedded is extracted; what cannot be is refused and says why.

mod bad_input;
mod covers;
mod golden;
mod round_trip;

use super::report::carriers;
use super::*;
use crate::lsb::{Bits, Channels, Layout};

pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// Randomness that is the same in every run.
pub(super) fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |bytes| bytes.fill_with(|| rng.u8(..))
}

pub(super) fn image(width: u32, height: u32, layout: Layout) -> Cover {
    let mut pixels = noise(1, width as usize * height as usize * layout.pixel_bytes());
    if layout.alpha {
        // Most pixels are opaque.
        for (at, pixel) in pixels.chunks_exact_mut(layout.pixel_bytes()).enumerate() {
            let alpha = if at % 7 == 3 { 0 } else { 0xff };
            pixel[layout.colours * layout.sample_bytes..].fill(alpha);
        }
    }
    Cover { width, height, layout, pixels, colour: Default::default(), notes: Vec::new() }
}

pub(super) fn rgb(width: u32, height: u32) -> Vec<u8> {
    image(width, height, LAYOUTS[2]).write(Output::Store).expect("is written")
}

const fn layout(colours: usize, alpha: bool, sample_bytes: usize) -> Layout {
    Layout { colours, alpha, sample_bytes }
}

pub(super) const LAYOUTS: [Layout; 8] = [
    layout(1, false, 1),
    layout(1, true, 1),
    layout(3, false, 1),
    layout(3, true, 1),
    layout(1, false, 2),
    layout(1, true, 2),
    layout(3, false, 2),
    layout(3, true, 2),
];

pub(super) fn session() -> Session {
    Session::new("open sesame").expect("a password").with_cost(Cost::LOW)
}

/// Embeds and extracts with sessions of their own, which are kept.
pub(super) struct Pair {
    pub(super) options: Options,
    writer: Option<Session>,
    reader: Option<Session>,
}

impl Pair {
    pub(super) fn new(options: Options) -> Self {
        let sealed = options.format == Format::Sealed;
        Pair { options, writer: sealed.then(session), reader: sealed.then(session) }
    }

    pub(super) fn embed(&mut self, cover: &[u8], payload: &Payload) -> Result<Embedded, Error> {
        embed(cover, payload, &self.options, self.writer.as_mut(), &mut random(9))
    }

    pub(super) fn extract(&mut self, image: &[u8]) -> Result<Extracted, Error> {
        let reading = Reading { format: Some(self.options.format), ..Reading::default() };
        extract(image, &reading, self.reader.as_mut())
    }
}
