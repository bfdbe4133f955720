//! The user's outstanding calls.

use crate::component::{Erased, Token};
use crate::error::CallError;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a call brought.
pub type Answer = Result<Erased, CallError>;

struct Open {
    at: Time,
    deadline: Duration,
    answer: flume::Sender<Answer>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<Token, Open>,
    deadlines: BTreeSet<(Time, Token)>,
    /// When the supervisor looks at the deadlines next.
    armed: Option<Time>,
}

/// One table for all threads that call and all that answer: both hold the lock
/// for a few instructions only. Bounded by the calls that users have open,
/// each of which ends at its deadline at the latest.
#[derive(Default)]
pub(super) struct Calls {
    table: Mutex<Table>,
}

impl Calls {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a call. The last value says whether the supervisor has to be told
    /// of an earlier deadline than it knows.
    pub(super) fn open(&self, now: Time, deadline: Duration) -> (Token, flume::Receiver<Answer>, bool) {
        let (answer, answered) = flume::bounded(1);
        let at = now + deadline;
        let mut table = self.table();
        let token = Token(table.next);
        table.next += 1;
        table.open.insert(token, Open { at, deadline, answer });
        table.deadlines.insert((at, token));
        let sooner = table.armed.is_none_or(|armed| at < armed);
        if sooner {
            table.armed = Some(at);
        }
        (token, answered, sooner)
    }

    /// Answers a call; false if it is no longer open.
    pub(super) fn answer(&self, token: Token, answer: Answer) -> bool {
        let mut table = self.table();
        let Some(open) = table.open.remove(&token) else { return false };
        table.deadlines.remove(&(open.at, token));
        drop(table);
        // The channel holds one answer and this is the only one.
        open.answer.try_send(answer).is_ok()
    }

    /// Ends the calls whose deadline has passed; returns when to look again.
    pub(super) fn expire(&self, now: Time) -> Option<Time> {
        let mut table = self.table();
        while let Some((at, token)) = table.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            table.deadlines.remove(&(at, token));
            if let Some(open) = table.open.remove(&token) {
                let _ = open.answer.try_send(Err(CallError::TimedOut(open.deadline)));
            }
        }
        table.armed = table.deadlines.first().map(|(at, _)| *at);
        table.armed
    }

    /// Ends all open calls with `error`.
    pub(super) fn end(&self, error: &CallError) {
        let mut table = self.table();
        table.deadlines.clear();
        for (_, open) in std::mem::take(&mut table.open) {
            let _ = open.answer.try_send(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_once_by_its_answer_or_by_its_deadline() {
        let calls = Calls::default();
        let second = Duration::from_secs(1);
        let (first, answered, sooner) = calls.open(Time::ZERO, second);
        assert!(sooner);
        let (late, timed_out, sooner) = calls.open(Time::ZERO, 2 * second);
        assert!(!sooner, "the supervisor looks in time anyway");
        assert!(calls.answer(first, Ok(Box::new(7u32))));
        assert!(!calls.answer(first, Ok(Box::new(8u32))));
        let value = answered.try_recv().expect("answered").expect("not refused");
        assert_eq!(value.downcast_ref(), Some(&7u32));
        assert_eq!(calls.expire(Time::ZERO + second), Some(Time::ZERO + 2 * second));
        assert!(timed_out.try_recv().is_err());
        assert_eq!(calls.expire(Time::ZERO + 2 * second), None);
        assert!(matches!(timed_out.try_recv(), Ok(Err(CallError::TimedOut(_)))));
        assert!(!calls.answer(late, Ok(Box::new(9u32))));
    }
}
