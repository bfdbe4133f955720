//! What an image's colours mean. Carried from cover to result, never applied:
//! a colour transform would change what is hidden.

/// The colour chunks of an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ColourChunks {
    /// Gamma, times 100,000.
    pub gamma: Option<u32>,
    /// White, red, green, blue, x and y each, times 100,000.
    pub chromaticities: Option<[u32; 8]>,
    /// sRGB, with its rendering intent 0 to 3.
    pub srgb: Option<u8>,
    /// An ICC profile.
    pub icc: Option<Vec<u8>>,
    /// Coding-independent code points: primaries, transfer, matrix, full range.
    pub code_points: Option<[u8; 4]>,
}

impl ColourChunks {
    /// Drops a profile that is for other colours than the image's, and says so.
    pub(super) fn fitting(mut self, colours: usize, notes: &mut Vec<&'static str>) -> Self {
        let fits = match self.icc.as_ref().and_then(|icc| icc.get(16..20)) {
            Some(space) => space == if colours == 1 { b"GRAY" } else { b"RGB " },
            None => self.icc.is_none(),
        };
        if !fits {
            self.icc = None;
            notes.push("its colour profile is for another colour space and was left out");
        }
        self
    }
}
