//! Reads: each waits for an index, and then for an answer.
//!
//! A linearizable read asks the engine for an index: the leader answers once a
//! majority has told it, after it was asked, that it still leads. Each attempt
//! has a context that nobody used before (replica, nonce of the life, counter):
//! one that is used twice would be answered with the older index.

use super::entry::Key;
use super::message::Level;
use crate::component::ReplyTo;
use crate::id::Kind;
use crate::time::Time;
use bytes::Bytes;
use std::time::Duration;

/// Most reads that wait.
const READS_MAX: usize = 4096;
/// An attempt without an answer is given up after so long, and a new one made.
const AGAIN_AFTER: Duration = Duration::from_millis(400);

/// What is read.
#[derive(Clone)]
pub(super) enum What {
    Query(Kind, Bytes),
    Outcome(Key),
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    Unasked,
    Asked(u64, Time),
    At(u64),
}

struct Read {
    what: What,
    reply_to: ReplyTo,
    deadline: Time,
    within: Duration,
    stage: Stage,
}

/// All that wait.
pub(super) struct Reads {
    waiting: Vec<Read>,
    replica: u64,
    nonce: u64,
    counter: u64,
}

impl Reads {
    pub(super) fn new(replica: u64, nonce: u64) -> Self {
        Reads { waiting: Vec::new(), replica, nonce, counter: 0 }
    }

    /// Takes one; false where there is no room.
    pub(super) fn add(&mut self, what: What, level: Level, reply_to: ReplyTo, now: Time, within: Duration) -> bool {
        let room = self.waiting.len() < READS_MAX;
        if room {
            let stage = match level {
                Level::Linearizable => Stage::Unasked,
                Level::Stale => Stage::At(0),
                Level::AtLeast(index) => Stage::At(index),
            };
            self.waiting.push(Read { what, reply_to, deadline: now + within, within, stage });
        }
        room
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The context of a new attempt for all that have none, or whose is lost.
    pub(super) fn attempt(&mut self, now: Time) -> Option<Vec<u8>> {
        let lost = |stage| match stage {
            Stage::Unasked => true,
            Stage::Asked(_, at) => now.since(at) > AGAIN_AFTER,
            Stage::At(_) => false,
        };
        let mut any = false;
        for read in self.waiting.iter_mut().filter(|read| lost(read.stage)) {
            read.stage = Stage::Asked(self.counter + 1, now);
            any = true;
        }
        any.then(|| {
            self.counter += 1;
            self.context(self.counter)
        })
    }

    fn context(&self, counter: u64) -> Vec<u8> {
        [self.replica, self.nonce, counter].map(u64::to_le_bytes).concat()
    }

    /// The attempt with this context, if a read waits for it.
    fn outstanding(&self, context: &[u8]) -> Option<u64> {
        let counter = u64::from_le_bytes(*context.last_chunk()?);
        let ours = self.context(counter) == context;
        let waits = |read: &Read| matches!(read.stage, Stage::Asked(asked, _) if asked == counter);
        (ours && self.waiting.iter().any(waits)).then_some(counter)
    }

    /// Whether a read waits for this context: an answer to any other goes no
    /// further.
    pub(super) fn expects(&self, context: &[u8]) -> bool {
        self.outstanding(context).is_some()
    }

    /// The engine's answer.
    pub(super) fn indexed(&mut self, context: &[u8], index: u64) {
        if let Some(counter) = self.outstanding(context) {
            for read in &mut self.waiting {
                if matches!(read.stage, Stage::Asked(asked, _) if asked == counter) {
                    read.stage = Stage::At(index);
                }
            }
        }
    }

    /// A planted bug: what waits for an index is answered at once.
    pub(super) fn believe(&mut self, index: u64) {
        for read in &mut self.waiting {
            if read.stage == Stage::Unasked {
                read.stage = Stage::At(index);
            }
        }
    }

    /// Answers those whose index is applied and for whom there is an answer.
    pub(super) fn answer(&mut self, applied: u64, mut answer: impl FnMut(&What, ReplyTo) -> bool) {
        self.waiting.retain(|read| match read.stage {
            Stage::At(index) if index <= applied => !answer(&read.what, read.reply_to),
            _ => true,
        });
    }

    /// Those whose time is over.
    pub(super) fn overdue(&mut self, now: Time) -> Vec<(ReplyTo, Duration)> {
        let over = self.waiting.extract_if(.., |read| read.deadline <= now);
        over.map(|read| (read.reply_to, read.within)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Token;

    fn add(reads: &mut Reads, level: Level) {
        let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(1) };
        assert!(reads.add(What::Outcome(1), level, reply_to, Time(0), Duration::from_secs(9)));
    }

    fn answered(reads: &mut Reads, applied: u64) -> usize {
        let mut count = 0;
        reads.answer(applied, |_, _| {
            count += 1;
            true
        });
        count
    }

    #[test]
    fn trap_1_every_attempt_has_its_own_context_and_no_other_answer_counts() {
        let mut reads = Reads::new(5, 77);
        add(&mut reads, Level::Linearizable);
        let first = reads.attempt(Time(0)).expect("one");
        assert!(reads.expects(&first) && reads.attempt(Time(1)).is_none());
        add(&mut reads, Level::Linearizable);
        let second = reads.attempt(Time(1)).expect("a later read never joins an older attempt");
        assert_ne!(first, second);
        let third = reads.attempt(Time(2_000_000_000)).expect("both are lost");
        assert!(!reads.expects(&first) && !reads.expects(&second) && reads.expects(&third));
        reads.indexed(&first, 9);
        assert_eq!(answered(&mut reads, 100), 0, "an answer to an old attempt");
        let foreign = Reads::new(5, 78).context(3);
        assert!(!reads.expects(&foreign), "another life's");
        reads.indexed(&third, 9);
        assert_eq!((answered(&mut reads, 8), answered(&mut reads, 9)), (0, 2));
    }

    #[test]
    fn other_levels_ask_nobody() {
        let mut reads = Reads::new(5, 77);
        add(&mut reads, Level::Stale);
        add(&mut reads, Level::AtLeast(4));
        assert!(reads.attempt(Time(0)).is_none());
        assert_eq!((answered(&mut reads, 3), answered(&mut reads, 4)), (1, 1));
    }
}
