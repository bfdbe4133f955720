//! Where the carriers lie in an image's bytes.

use std::fmt;

/// Which colours of a pixel carry. A gray pixel has one, which carries whatever
/// the set is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Channels(u8);

impl Channels {
    /// Red, green and blue.
    pub const ALL: Channels = Channels(7);

    /// From a set of bits: 1 red, 2 green, 4 blue; none of an empty or a greater one.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (1..=7).contains(&bits).then_some(Channels(bits))
    }

    /// From letters in any order: `rgb`, `b`, `rg`.
    pub fn from_letters(letters: &str) -> Option<Self> {
        let bits = letters.chars().try_fold(0, |bits, letter| {
            let bit = "rgb".find(letter.to_ascii_lowercase())?;
            (bits & 1 << bit == 0).then_some(bits | 1 << bit)
        })?;
        Channels::from_bits(bits)
    }

    /// The set as [`Channels::from_bits`] takes it.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether the colour of this place (0 red, 1 green, 2 blue) carries.
    pub fn has(self, colour: usize) -> bool {
        self.0 >> colour & 1 != 0
    }

    /// How many of a pixel's `colours` carry.
    pub fn count(self, colours: usize) -> usize {
        if colours < 3 { 1 } else { self.0.count_ones() as usize }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Channels::ALL
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        "rgb".chars().enumerate().filter(|(at, _)| self.has(*at)).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// How a pixel is laid out: its colours, whether alpha follows them, and the
/// bytes of a sample (two: the greater byte first, as PNG has it).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// 1 (gray) or 3 (red, green, blue).
    pub colours: usize,
    /// Whether an alpha sample follows the colours.
    pub alpha: bool,
    /// 1 or 2.
    pub sample_bytes: usize,
}

impl Layout {
    /// Bytes of a pixel.
    pub fn pixel_bytes(self) -> usize {
        (self.colours + usize::from(self.alpha)) * self.sample_bytes
    }

    /// Whether `pixels` are their own carriers: nothing lies between them.
    pub fn is_flat(self) -> bool {
        !self.alpha && self.sample_bytes == 1
    }

    /// Whether a pixel of this layout is opaque.
    fn is_opaque(self, pixel: &[u8]) -> bool {
        !self.alpha || pixel[self.colours * self.sample_bytes..].iter().all(|byte| *byte == 0xff)
    }

    /// Appends the carriers of whole `pixels`, those of pixels that are not opaque
    /// only if `transparent_too`.
    pub fn gather(self, pixels: &[u8], transparent_too: bool, carriers: &mut Vec<u8>) {
        if self.is_flat() {
            return carriers.extend_from_slice(pixels);
        }
        for pixel in pixels.chunks_exact(self.pixel_bytes()) {
            if transparent_too || self.is_opaque(pixel) {
                let colours = pixel.iter().skip(self.sample_bytes - 1).step_by(self.sample_bytes);
                carriers.extend(colours.take(self.colours));
            }
        }
    }

    /// Writes back what [`Layout::gather`] gave, to the same pixels.
    pub fn scatter(self, carriers: &[u8], transparent_too: bool, pixels: &mut [u8]) {
        if self.is_flat() {
            let length = carriers.len().min(pixels.len());
            return pixels[..length].copy_from_slice(&carriers[..length]);
        }
        let mut groups = carriers.chunks_exact(self.colours);
        for pixel in pixels.chunks_exact_mut(self.pixel_bytes()) {
            if transparent_too || self.is_opaque(pixel) {
                let Some(group) = groups.next() else { return };
                let colours = pixel.iter_mut().skip(self.sample_bytes - 1).step_by(self.sample_bytes);
                colours.zip(group).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// How many carriers [`Layout::gather`] would give.
    pub fn count(self, pixels: &[u8], transparent_too: bool) -> usize {
        let pixels = pixels.chunks_exact(self.pixel_bytes());
        let usable = if transparent_too || !self.alpha {
            pixels.len()
        } else {
            pixels.filter(|pixel| self.is_opaque(pixel)).count()
        };
        usable * self.colours
    }
}
