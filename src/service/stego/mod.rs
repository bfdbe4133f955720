//! Steganography: a *payload* is *embedded* into a *cover* image and *extracted*
//! again. Bytes in, bytes out: nothing here reads a file, a clock or a random
//! source, so a command, a service and the simulator use it alike.
//!
//! | format | for | what a stranger sees |
//! |---|---|---|
//! | [`Format::Raw`] | existing programs: 4-byte length, then the bytes, one bit a colour | the payload |
//! | [`Format::Boxed`] | the default: any depth, 1 to 4 bits, chosen channels, a checked header, a tag over it all | that something is there, and what |
//! | [`Format::Sealed`] | a password | noise, as in a cover's own low bits |
//!
//! Guarantee: `extract(embed(x)) == x` for every payload that fits, over every
//! cover that is read, as long as the image's samples survive; one that does not
//! fit is refused with what is needed and what there is, and nothing is written.
//! Damage is found with certainty up to a forged 128-bit tag in `boxed` and
//! `sealed`; `raw` has no check and cannot find it. A length read from an image
//! is compared with the image's capacity before anything is made for it.
//!
//! | file | holds |
//! |---|---|
//! | `cover`, `cover/` | images read within limits, and written |
//! | `source` | carriers of an image, row by row, no more than are asked for |
//! | `payload` | what is hidden, its compression, its parts over several covers |
//! | `raw`, `boxed`, `sealed` | the formats |
//! | `session`, `positions` | keys from a password; the keyed order of positions |
//! | `service/` | the fault-tolerant service: servers that do this for clients |
//! | `report`, `detect` | what a detector would say of a finished image |
//!
//! ```
//! use nodewright::service::stego::{self, Cover, Options, Payload};
//! # fn main() -> Result<(), stego::Error> {
//! let cover = Cover::rgb8(32, 32, vec![128; 32 * 32 * 3]).write(stego::Output::Fast)?;
//! let hidden = stego::embed(&cover, &Payload::Text("meet at dawn".into()), &Options::default(), None, &mut |bytes| bytes.fill(7))?;
//! assert_eq!(stego::extract(&hidden.image, &Default::default(), None)?.payload, Payload::Text("meet at dawn".into()));
//! # Ok(())
//! # }
//! ```
//!
//! Source: `lsb` names the method's; Argon2id is RFC 9106, HKDF RFC 5869.

mod boxed;
mod cover;
mod detect;
mod embed;
mod error;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod payload;
mod positions;
mod raw;
mod report;
mod sealed;
#[cfg(feature = "stego_service")]
pub mod service;
mod session;
mod source;
#[cfg(test)]
mod tests;

pub use cover::{Cover, Limits, Output};
pub use detect::Detection;
pub use embed::{Embedded, Options, capacity, embed, embed_over};
pub use error::{Error, Outcome};
pub use extract::{Extracted, Found, Reading, extract, extract_over, probe};
pub use payload::Payload;
pub use report::{Report, changed_bits, report};
pub use session::{Cost, Session};

/// Fills bytes with randomness that nobody can guess; handed in by the caller.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Writes bytes into the low bits of carriers: by replacement or by matching.
type Put<'a> = &'a mut dyn FnMut(&mut [u8], &[u8], crate::lsb::Bits);

/// How a payload lies in an image.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A length and the bytes, as existing programs read and write them.
    Raw,
    /// With a header and a tag.
    #[default]
    Boxed,
    /// Under a password.
    Sealed,
}
