//! Cursors: where a page ended, and in which state. And the states that they are
//! pinned to.
//!
//! A cursor names the index of its first page and nothing of the node that answered,
//! so every node serves it that still has that state: because the collection has not
//! changed since, or because it pinned it when it answered the first page itself.
//! Pins are bounded in number, and in age by the bytes written since.

use super::collection::Collection;
use super::component::encoded;
use super::limits::Limits;
use super::question::Find;
use super::refusal::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

const PREFIX: &str = "nwc1-";

/// Where a page ended.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Cursor {
    /// The index of the state that all pages show.
    pub(super) at: u64,
    /// Of which query.
    query: u32,
    /// The last place shown, in the order of the query's way.
    pub(super) place: Vec<u8>,
}

impl Cursor {
    pub(super) fn new(at: u64, collection: &str, find: &Find, place: Vec<u8>) -> Self {
        Cursor { at, query: query(collection, find), place }
    }

    /// Letters and digits.
    pub(super) fn to_text(&self) -> String {
        let mut bytes = encoded(self).to_vec();
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        let mut text = String::with_capacity(PREFIX.len() + 2 * bytes.len());
        text.push_str(PREFIX);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}"); // into memory
        }
        text
    }

    /// The cursor of this query in a text.
    pub(super) fn read(text: &str, collection: &str, find: &Find) -> Result<Self, Refusal> {
        let foreign = |why: &str| Refusal::CursorForeign(why.to_string());
        let none = || foreign("it is no cursor of this store");
        let hex = text.strip_prefix(PREFIX).filter(|hex| hex.is_ascii()).ok_or_else(none)?;
        let byte = |at: usize| hex.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        let bytes = bytes.ok_or_else(none)?;
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(none)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(none());
        }
        let cursor: Cursor = postcard::from_bytes(body).map_err(|_| none())?;
        match cursor.query == query(collection, find) {
            true => Ok(cursor),
            false => Err(foreign("collection, filter or sort are others")),
        }
    }
}

/// Tells queries apart whose places are not each other's.
fn query(collection: &str, find: &Find) -> u32 {
    crc32c::crc32c(&encoded(&(collection, &find.filter, &find.sort)))
}

/// A state that is kept.
struct Pin {
    state: Arc<Collection>,
    /// The newest index at which it was the collection's state.
    through: u64,
    /// Bytes that had been written before.
    written: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pins(VecDeque<Pin>);

impl Pins {
    /// Keeps a state for cursors that stand at this index.
    pub(super) fn pin(&mut self, state: &Arc<Collection>, at: u64, written: u64, limits: &Limits) {
        if let Some(pin) = self.0.iter_mut().find(|pin| Arc::ptr_eq(&pin.state, state)) {
            pin.through = pin.through.max(at);
            return;
        }
        self.0.push_back(Pin { state: state.clone(), through: at, written });
        while self.0.len() > limits.pins_max {
            self.0.pop_front();
        }
    }

    /// The state of a collection at an index.
    pub(super) fn find(&self, collection: &str, at: u64) -> Option<&Arc<Collection>> {
        let is = |pin: &&Pin| *pin.state.name == *collection && pin.state.changed <= at && at <= pin.through;
        self.0.iter().find(is).map(|pin| &pin.state)
    }

    /// Lets those go that have grown too old.
    pub(super) fn age(&mut self, written: u64, limits: &Limits) {
        while self.0.front().is_some_and(|pin| written.saturating_sub(pin.written) > limits.pin_bytes_max) {
            self.0.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
