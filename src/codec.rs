//! Byte layouts inside a block: a run of length-prefixed messages, each a
//! postcard head followed by raw body bytes.
//!
//! A *block* is what a component hands to a link: one encoded run shared by
//! all peers. A *batch* is what a user hands to a delivery component. Both are
//! `[length varint][bytes]` repeated; decoding checks every length against
//! what is there and allocates nothing from a declared size.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// Appends `value` as a LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a varint from the front of `input`: the value and its length.
pub fn take_varint(input: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in input.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if i == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Appends what `write` writes as one length-prefixed item.
///
/// The length is guessed to fit one byte and moved only when it does not:
/// small messages are the ones that must be fast.
pub fn put_item(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        put_varint(&mut prefix, len as u64);
        out.splice(at..=at, prefix);
    }
}

/// The items of a run, as ranges; stops at the first malformed length.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: &'a [u8],
    at: usize,
    malformed: bool,
}

impl<'a> Items<'a> {
    /// The items in `run`.
    pub fn new(run: &'a [u8]) -> Self {
        Items { rest: run, at: 0, malformed: false }
    }

    /// Whether the run ended in something that is no item.
    pub fn malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for Items<'a> {
    /// Offset of the item's first byte in the run, and the item.
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = match self.rest {
            [len, ..] if *len < 0x80 => Some((u64::from(*len), 1)),
            _ => take_varint(self.rest),
        };
        let Some((len, prefix)) = taken else {
            self.malformed = true;
            self.rest = &[];
            return None;
        };
        let end = usize::try_from(len).ok().and_then(|len| len.checked_add(prefix));
        match end.filter(|end| *end <= self.rest.len()) {
            Some(end) => {
                let item = (self.at + prefix, &self.rest[prefix..end]);
                self.rest = &self.rest[end..];
                self.at += end;
                Some(item)
            }
            None => {
                self.malformed = true;
                self.rest = &[];
                None
            }
        }
    }
}

/// Appends the head in postcard.
pub fn put_head<T: Serialize + ?Sized>(out: &mut Vec<u8>, head: &T) {
    // Writing to a Vec fails only if the type refuses to serialize; such a
    // head is sent empty and counted as malformed by every receiver.
    let at = out.len();
    if postcard::to_io(head, &mut *out).is_err() {
        log::error!("a message head of type {} refuses to serialize", std::any::type_name::<T>());
        out.truncate(at);
    }
}

/// Splits an item into its head and its body's offset in the item.
pub fn take_head<T: DeserializeOwned>(item: &[u8]) -> Option<(T, usize)> {
    let (head, body) = postcard::take_from_bytes(item).ok()?;
    Some((head, item.len() - body.len()))
}

/// A run of messages that travels, is kept and is delivered as one.
///
/// What a user broadcasts between two flushes becomes one batch: a message
/// keeps its identity ([`MessageId`](crate::id::MessageId)), but windows,
/// acknowledgements and copies are counted in batches.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Batch {
    run: Bytes,
    count: u32,
}

impl Batch {
    /// Takes a run from the network; `None` unless it holds exactly `count`
    /// well-formed items.
    pub fn checked(run: Bytes, count: u32) -> Option<Self> {
        let mut items = Items::new(&run);
        let seen = items.by_ref().take(count as usize + 1).count();
        (seen == count as usize && !items.malformed() && count > 0).then_some(Batch { run, count })
    }

    /// A run that was checked before, or made here.
    pub(crate) fn known(run: Bytes, count: u32) -> Self {
        Batch { run, count }
    }

    /// How many messages it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Its encoded bytes.
    pub fn run(&self) -> &Bytes {
        &self.run
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        Items::new(&self.run).map(|(_, item)| item)
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} in {} B)", self.count, self.run.len())
    }
}

/// A batch under construction.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct BatchBuilder {
    run: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// Appends the message that `write` writes.
    #[inline]
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        put_item(&mut self.run, write);
        self.count += 1;
    }

    /// Appends all of `batch`.
    pub fn append(&mut self, batch: &Batch) {
        self.run.extend_from_slice(&batch.run);
        self.count += batch.count;
    }

    /// Encoded bytes so far.
    pub fn bytes(&self) -> usize {
        self.run.len()
    }

    /// Messages so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes what was built, leaving an empty builder; `None` when empty.
    pub fn take(&mut self) -> Option<Batch> {
        if self.count == 0 {
            return None;
        }
        // A short run is copied, so that it does not keep the room of a longer one before it.
        let run = if self.run.len() < self.run.capacity() / 2 {
            let copy = Bytes::copy_from_slice(&self.run);
            self.run.clear();
            copy
        } else {
            let capacity = self.run.capacity().min(1 << 16);
            Bytes::from(std::mem::replace(&mut self.run, Vec::with_capacity(capacity)))
        };
        Some(Batch { run, count: std::mem::take(&mut self.count) })
    }
}

/// What the bodies of [`crate::fuzzing`] share.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing {
    use super::{put_head, take_head};
    use serde::{Serialize, de::DeserializeOwned};

    /// If `input` begins with a head, that head encodes to what decodes to the
    /// same, in as many bytes at the most.
    pub(crate) fn stays_itself<T: Serialize + DeserializeOwned + std::fmt::Debug>(input: &[u8]) {
        let Some((head, bytes)) = take_head::<T>(input) else { return };
        let mut once = Vec::new();
        put_head(&mut once, &head);
        assert!(once.len() <= bytes, "{head:?} grows from {bytes} to {} bytes", once.len());
        let (again, end) = take_head::<T>(&once).unwrap_or_else(|| panic!("{head:?} does not decode any more"));
        assert_eq!(end, once.len(), "{head:?}");
        let mut twice = Vec::new();
        put_head(&mut twice, &again);
        assert_eq!(once, twice, "{head:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_read_what_was_put(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..20)) {
            let mut builder = BatchBuilder::default();
            for item in &items {
                builder.push(|out| out.extend_from_slice(item));
            }
            let batch = builder.take().expect("not empty");
            let read: Vec<Vec<u8>> = batch.iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&read, &items);
            prop_assert!(Batch::checked(batch.run().clone(), items.len() as u32).is_some());
            prop_assert!(Batch::checked(batch.run().clone(), items.len() as u32 + 1).is_none());
            prop_assert!(Batch::checked(batch.run().slice(..batch.run().len() - 1), items.len() as u32).is_none()
                || items.last().is_some_and(Vec::is_empty));
        }

        #[test]
        fn junk_never_panics(junk in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut items = Items::new(&junk);
            for (at, item) in items.by_ref() {
                prop_assert!(at + item.len() <= junk.len());
            }
        }

        #[test]
        fn varints_read_what_was_put(value in any::<u64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(take_varint(&out), Some((value, out.len())));
        }
    }
}
