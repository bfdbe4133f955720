//! A message's bytes as a short text: equal for equal bytes, and for unequal
//! ones almost never.

use std::fmt::Write;

/// Longest message that is written as it is, in bytes.
const PLAIN_BYTES_MAX: usize = 40;

/// The message itself where it is a short printable text; else `#`, its length
/// and 64 bits of a hash: `#1024:9f86d081884c7d65`.
pub fn text(body: &[u8]) -> String {
    let plain = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.len() <= PLAIN_BYTES_MAX && !text.starts_with('#') && !text.chars().any(char::is_control));
    match plain {
        Some(text) => text.to_owned(),
        None => {
            let mut out = String::with_capacity(28);
            // writing to a String cannot fail
            let _ = write!(out, "#{}:{:016x}", body.len(), digest(body));
            out
        }
    }
}

/// Multiplies and folds, a word at a time. Not against people who want two
/// messages to look alike.
fn digest(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stand_as_they_are_and_all_else_by_length_and_hash() {
        assert_eq!(text(b"hello"), "hello");
        assert!(text(b"#hello").starts_with("#6:"), "or it could be taken for a hash");
        assert!(text(b"a\nb").starts_with("#3:") && text(&[0xff; 4]).starts_with("#4:"));
        assert_ne!(text(&[1; 100]), text(&[2; 100]));
        assert_ne!(text(&[0; 50]), text(&[0; 51]));
    }
}
