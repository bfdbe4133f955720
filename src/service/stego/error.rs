//! Why there is no result. No image was written in any of these cases.

/// What kind of end it is: a command's exit status, a service's answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Asked for in a way that cannot work; the same call fails again.
    WrongUse,
    /// The image was read, and hides nothing.
    NothingFound,
    /// Something is or was there, and it is not whole.
    Damaged,
}

/// Why there is no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The payload does not fit.
    #[error(
        "the payload takes {needed} bytes and the cover has room for {available}; nothing was written: take a larger cover, more bits or several covers"
    )]
    TooLarge {
        /// Bytes, with the name of a file, after compression.
        needed: u64,
        /// Bytes.
        available: u64,
    },
    /// The image is greater than the limits; only its header was read.
    #[error("the image has {width} x {height} pixels, which is more than the limits allow; only its header was read")]
    TooManyPixels {
        /// As its header says.
        width: u32,
        /// As its header says.
        height: u32,
    },
    /// The image would take more memory than the limits allow.
    #[error("the image takes more memory than the limits allow; it was not decoded")]
    TooManyBytes,
    /// It has no pixels.
    #[error("the image has no pixels")]
    NoPixels,
    /// It is no image that is read.
    #[error("this is no PNG, JPEG, WebP, BMP, GIF or TIFF image")]
    NotAnImage,
    /// It is an image of a kind that is not read.
    #[error("the image is not usable: {0}")]
    Unusable(String),
    /// It has more than one frame.
    #[error(
        "the image is animated: only its first frame could carry, and the others would be lost; ask for the first frame to accept that"
    )]
    Animated,
    /// The file is broken.
    #[error("the image is damaged: {0}")]
    BadImage(String),
    /// The options do not go together.
    #[error("{0}")]
    Options(&'static str),
    /// There is nothing, and why.
    #[error("no message found: {0}")]
    NothingFound(&'static str),
    /// There is something, and it is not whole.
    #[error("a message is there, but it is damaged: {0}; nothing of it was taken")]
    Damaged(&'static str),
    /// What a password does not open. One answer for all reasons, on purpose.
    #[error(
        "nothing opens with this password: it is another one, or the image is damaged, or nothing is sealed in it (or its key would cost more than the limits allow)"
    )]
    Sealed,
    /// The text is none.
    #[error("the payload is no UTF-8 text; take it as bytes")]
    NotText,
}

impl Error {
    /// What kind of end it is.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::NothingFound(_) => Outcome::NothingFound,
            Error::BadImage(_) | Error::Damaged(_) | Error::Sealed | Error::NotText => Outcome::Damaged,
            _ => Outcome::WrongUse,
        }
    }
}
