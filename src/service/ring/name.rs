//! Names of files, and what stands for them on disks and in the map.
//!
//! **Guarantee.** A name is refused or kept exactly, byte for byte. Whatever it
//! holds, its key is a plain file name: no separator, no leading dot, nothing that
//! a path could be made of. Two names never have one key: an escape is `%` and two
//! hexadecimal digits, and the `%-` before the hash of a long name is none.
//!
//! | name | key on disk |
//! |---|---|
//! | `report-1.txt` | `report-1.txt` |
//! | `a b/c` | `a%20b%2Fc` |
//! | `.hidden` | `%2Ehidden` |
//! | 300 times `x` | 150 times `x`, `%-`, 64 digits of its BLAKE3 |

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longest key that is its name's plain encoding, in bytes.
const KEY_BYTES_MAX: usize = 200;
/// What of a longer encoding stands before the hash, at most.
const KEY_HEAD_BYTES: usize = 150;
/// Stands before a hash, and nowhere else.
const CUT: &str = "%-";
/// What of a name stands in a key of the map; a hash follows behind a longer one.
const MAP_HEAD_BYTES: usize = 470;
/// Before the hash in a key of the map: in no UTF-8.
const MAP_CUT: u8 = 0xFF;

/// A file's name: 1 to [`NAME_BYTES_MAX`] bytes of UTF-8 without control
/// characters, no leading `/`, no `.` or `..` between slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// Why a name is refused. Nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It is longer than [`NAME_BYTES_MAX`].
    #[error("the name is {0} bytes long, at most {NAME_BYTES_MAX} are taken")]
    Long(usize),
    /// It is not UTF-8 from this byte on.
    #[error("the name is no UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// It has a control character, at this byte.
    #[error("the name has a control character at byte {0}")]
    Control(usize),
    /// It begins with a slash.
    #[error("the name begins with '/': take it without")]
    Absolute,
    /// One of its components is `.` or `..`.
    #[error("the name has '.' or '..' between slashes: take it without")]
    Dots,
}

impl Name {
    /// The name of these bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > NAME_BYTES_MAX {
            return Err(NameError::Long(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| NameError::NotUtf8(error.valid_up_to()))?;
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(NameError::Control(at));
        }
        if text.starts_with('/') {
            return Err(NameError::Absolute);
        }
        if text.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(NameError::Dots);
        }
        Ok(Name(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it in file names, at most 216 bytes.
    pub fn key(&self) -> String {
        let whole = percent(self.0.as_bytes(), true);
        if whole.len() <= KEY_BYTES_MAX {
            return whole;
        }
        let mut head = KEY_HEAD_BYTES;
        // an escape is not cut in two
        while whole[head.saturating_sub(2)..head].contains('%') {
            head -= 1;
        }
        format!("{}{CUT}{}", &whole[..head], blake3::hash(self.0.as_bytes()).to_hex())
    }

    /// Whether `key` is this name's.
    pub fn has_key(&self, key: &str) -> bool {
        self.key() == key
    }

    /// The name whose key this is, where the whole of it stands there.
    pub fn from_key(key: &str) -> Option<Self> {
        let name = Name::from_bytes(&unpercent(key.as_bytes())?).ok()?;
        name.has_key(key).then_some(name)
    }

    /// What stands for it in the map behind `prefix`. Keys are in the order of
    /// names, but that names longer than 470 bytes which share the first 470 have
    /// no order among each other: [`Name::shares_head`].
    pub fn map_key(&self, prefix: &[u8]) -> Vec<u8> {
        let name = self.0.as_bytes();
        let mut key = prefix.to_vec();
        if name.len() <= MAP_HEAD_BYTES {
            key.extend_from_slice(name);
        } else {
            key.extend_from_slice(&name[..MAP_HEAD_BYTES]);
            key.push(MAP_CUT);
            key.extend_from_slice(blake3::hash(name).as_bytes());
        }
        key
    }

    /// Whether the map's key is the whole name.
    pub fn stands_in_map_key(&self) -> bool {
        self.0.len() <= MAP_HEAD_BYTES
    }

    /// Whether the two stand in the map in no order of their own.
    pub fn shares_head(&self, other: &Name) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        !self.stands_in_map_key() && !other.stands_in_map_key() && a[..MAP_HEAD_BYTES] == b[..MAP_HEAD_BYTES]
    }

    /// The file that holds part `part` (from 1) of `parts`.
    pub fn part_file(&self, part: u16, parts: u16) -> String {
        format!("{}.part-{part:03}-of-{parts:03}", self.key())
    }
}

/// What the name of a part's file says: key, part, number of parts.
pub fn parse_part_file(file: &str) -> Option<(&str, u16, u16)> {
    let (key, numbers) = file.rsplit_once(".part-")?;
    let (part, parts) = numbers.split_once("-of-")?;
    let number = |text: &str| {
        let number = text.parse::<u16>().ok().filter(|number| *number > 0)?;
        (format!("{number:03}") == text).then_some(number)
    };
    let (part, parts) = (number(part)?, number(parts)?);
    (part <= parts && !key.is_empty()).then_some((key, part, parts))
}

/// Escapes every byte outside `A-Za-z0-9._-`, and where `dot` is set a leading dot.
pub fn percent(bytes: &[u8], dot: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'.' if dot && at == 0 => out.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(char::from(*byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What [`percent`] was given; `None` for a `%` that no two digits follow.
pub fn unpercent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            out.push((digit()? * 16 + digit()?) as u8);
        } else {
            out.push(*byte);
        }
    }
    Some(out)
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Name::from_bytes(text.as_bytes())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests;
