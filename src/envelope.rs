//! A user's message on the wire: a byte that says whether it is typed, then for
//! a typed one a fixed header with kind and version, then the body's bytes.
//!
//! ```text
//! 00 body...                       bytes as they were given
//! 01 kind:u32 version:u16 body...  a typed message, little endian
//! ```

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

/// A user's message: bare bytes, or a typed body.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Content<'a> {
    /// Bytes as they were given.
    Bytes(&'a [u8]),
    /// The encoded value of the type that the envelope names.
    Typed(Envelope, &'a [u8]),
}

impl<'a> Content<'a> {
    /// Most bytes that stand before a body.
    pub const HEAD_BYTES_MAX: usize = 1 + Envelope::BYTES;

    /// Appends it in its wire form.
    #[inline]
    pub fn put(self, out: &mut Vec<u8>) {
        match self {
            Content::Bytes(body) => {
                out.push(0);
                out.extend_from_slice(body);
            }
            Content::Typed(envelope, body) => {
                out.push(1);
                envelope.put(out);
                out.extend_from_slice(body);
            }
        }
    }

    /// Reads the wire form; `None` if it is none.
    #[inline]
    pub fn take(message: &'a [u8]) -> Option<Self> {
        match message.split_first()? {
            (0, body) => Some(Content::Bytes(body)),
            (1, rest) => Envelope::take(rest).map(|(envelope, body)| Content::Typed(envelope, body)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_reads_what_it_writes_and_nothing_else() {
        let envelope = Envelope { kind: Kind::of("chat"), version: 3 };
        for content in [Content::Bytes(b""), Content::Bytes(b"hello"), Content::Typed(envelope, b"body")] {
            let mut wire = Vec::new();
            content.put(&mut wire);
            assert_eq!(Content::take(&wire), Some(content));
        }
        assert_eq!(Content::take(b""), None);
        assert_eq!(Content::take(b"\x01short"), None);
        assert_eq!(Content::take(b"\x02hello"), None);
    }
}
