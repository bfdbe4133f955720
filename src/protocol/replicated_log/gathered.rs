//! What a leader is asked to append while a batch of it is on its way.
//!
//! A sync costs the same for one entry and for a hundred, so a leader hands the
//! engine one batch at a time: what comes until it is committed makes the next.
//! Those whose entries were just committed ask again one after the other; if what
//! came meanwhile did not wait for them, two halves of the askers would take turns
//! for ever, each with a sync of its own. So a batch that lacks many of those who
//! are expected waits for a moment, as long as it takes to wake so many. One that
//! comes alone, again and again, never waits, and long entries make a batch by
//! themselves.

use super::engine::Engine;
use std::time::Duration;

/// So many bytes go although a batch is on its way.
const ENOUGH_BYTES: usize = 128 << 10;
/// How long a batch waits for each entry that is expected, and at most.
const WAIT_EACH: Duration = Duration::from_micros(20);
const WAIT_MAX: Duration = Duration::from_micros(500);
/// Beyond this, what comes is dropped: its proposer sends it again.
const BYTES_MAX: usize = 64 << 20;

/// Entries of one term that wait, the oldest first.
#[derive(Default)]
pub(super) struct Gathered {
    term: u64,
    entries: Vec<Vec<u8>>,
    bytes: usize,
    /// Entries of the batch that is on its way.
    flying: u32,
    /// Askers that were seen: those who came during the last batch, and its own.
    expected: u32,
    wait: Wait,
}

/// Whether the present batch has waited for others.
#[derive(Default, PartialEq)]
enum Wait {
    #[default]
    No,
    Now,
    Over,
}

impl Gathered {
    /// Takes an entry, where this engine leads; false if it does not, or where
    /// there is no room.
    pub(super) fn add(&mut self, entry: Vec<u8>, engine: &Engine) -> bool {
        self.forget(engine);
        let taken = engine.leads() && self.bytes + entry.len() <= BYTES_MAX;
        if taken {
            self.bytes += entry.len();
            self.entries.push(entry);
        }
        taken
    }

    /// Proposes what waits, unless a batch is on its way. After the time that it
    /// gives back, if any, [`Gathered::waited`] is to be called.
    pub(super) fn propose(&mut self, engine: &mut Engine) -> Option<Duration> {
        self.forget(engine);
        let landed = engine.commit() == engine.last();
        if landed && self.flying > 0 {
            self.expected = self.entries.len() as u32 + std::mem::take(&mut self.flying);
        }
        let enough = self.bytes >= ENOUGH_BYTES;
        if self.entries.is_empty() || !landed && !enough {
            return None;
        }
        let few = self.entries.len() * 8 < self.expected as usize * 7;
        match self.wait {
            Wait::No if few && !enough => {
                self.wait = Wait::Now;
                return Some(WAIT_MAX.min(WAIT_EACH * self.expected));
            }
            Wait::Now if few && !enough => return None,
            _ => {}
        }
        // where not: leadership is on its way to another, or too much is uncommitted
        if engine.propose(&self.entries) {
            let flying = self.flying + self.entries.len() as u32;
            *self = Gathered { term: self.term, flying, ..Gathered::default() };
        }
        None
    }

    /// The moment is over.
    pub(super) fn waited(&mut self) {
        if self.wait == Wait::Now {
            self.wait = Wait::Over;
        }
    }

    /// What was asked of an earlier term's leader is asked of the next one again.
    fn forget(&mut self, engine: &Engine) {
        if self.term != engine.term() || !engine.leads() {
            *self = Gathered { term: engine.term(), ..Gathered::default() };
        }
    }
}
