//! A user's message on the wire: a fixed header with kind and version, then
//! the body's bytes.

use crate::id::Kind;

/// Says of a body which type it is: a stable name, hashed, and a version.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Hash of the type's stable name.
    pub kind: Kind,
    /// Version of the type's encoding.
    pub version: u16,
}

impl Envelope {
    /// Bytes of the header.
    pub const BYTES: usize = 6;

    /// Appends the header.
    pub fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.0.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
    }

    /// Splits a message into its header and body; `None` if it is too short.
    pub fn take(message: &[u8]) -> Option<(Envelope, &[u8])> {
        let (kind, rest) = message.split_first_chunk::<4>()?;
        let (version, body) = rest.split_first_chunk::<2>()?;
        let envelope = Envelope { kind: Kind(u32::from_le_bytes(*kind)), version: u16::from_le_bytes(*version) };
        Some((envelope, body))
    }
}
