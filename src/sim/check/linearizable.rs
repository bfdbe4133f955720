//! Linearizability: every call takes effect at one moment between asking and answer,
//! as if there were one copy (Herlihy, Wing, *Linearizability: A Correctness
//! Condition for Concurrent Objects*, TOPLAS 1990).
//!
//! Judged by search, after Wing and Gong, remembering which sets of calls led to
//! which states (Lowe, *Testing for Linearizability*, 2017). A call without an
//! answer may have taken effect at any moment after it was asked, or never. The
//! search is bounded; what it leaves undecided is a failure, so keep histories of
//! one object short: linearizability is local, one object may be judged at a time.

use super::Violation;
use crate::time::Time;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// One object, as it should be.
pub trait Object {
    /// Its state.
    type State: Clone + Ord;
    /// A call with its answer, if it has one.
    type Call: Debug;

    /// The state at the beginning.
    fn begin() -> Self::State;
    /// The state after a call; `None` if it cannot be answered so.
    fn step(state: &Self::State, call: &Self::Call) -> Option<Self::State>;
}

/// A call, and when it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed<C> {
    /// When it was asked.
    pub asked: Time,
    /// When its answer was there; `None` if its outcome is unknown.
    pub answered: Option<Time>,
    /// What.
    pub call: C,
}

/// Checks linearizability, visiting at most so many states.
///
/// # Errors
/// There is no order, or none was found in time.
pub fn linearizable<O: Object>(calls: &[Timed<O::Call>], states_max: usize) -> Result<(), Violation> {
    let fail = |what: String| Err(Violation::new("linearizability", what));
    let mut calls: Vec<&Timed<O::Call>> = calls.iter().collect();
    calls.sort_by_key(|call| call.asked);
    let owed = calls.iter().filter(|call| call.answered.is_some()).count();
    let mut seen = BTreeSet::new();
    let mut open = vec![(vec![false; calls.len()], O::begin(), 0)];
    let mut furthest = (0, Vec::new());
    while let Some((done, state, answered)) = open.pop() {
        if answered == owed {
            return Ok(());
        }
        if seen.len() > states_max {
            return fail(format!("undecided after {states_max} states of {} calls", calls.len()));
        }
        if answered > furthest.0 || furthest.1.is_empty() {
            furthest = (answered, done.clone());
        }
        // No call may come behind one that was asked after its answer.
        let pending = || calls.iter().zip(&done).filter(|(_, done)| !**done).map(|(call, _)| call);
        let first_answer = pending().filter_map(|call| call.answered).min();
        for (at, call) in calls.iter().enumerate() {
            if first_answer.is_some_and(|first| call.asked > first) {
                break;
            }
            if done[at] {
                continue;
            }
            if let Some(next) = O::step(&state, &call.call) {
                let mut done = done.clone();
                done[at] = true;
                if seen.insert((done.clone(), next.clone())) {
                    open.push((done, next, answered + usize::from(call.answered.is_some())));
                }
            }
        }
    }
    let stuck = calls.iter().zip(&furthest.1).filter(|(_, done)| !**done).map(|(call, _)| call);
    let stuck: Vec<_> = stuck.filter(|call| call.answered.is_some()).take(4).collect();
    fail(format!("{} of {owed} answered calls have an order, none of these is next: {stuck:?}", furthest.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Call {
        Write(u32),
        Read(u32),
    }

    struct Register;

    impl Object for Register {
        type State = u32;
        type Call = Call;
        fn begin() -> u32 {
            0
        }
        fn step(state: &u32, call: &Call) -> Option<u32> {
            match call {
                Call::Write(value) => Some(*value),
                Call::Read(value) => (value == state).then_some(*state),
            }
        }
    }

    /// `w1 0..4` is a write of 1 asked at 0 and answered at 4; `w1 0..` has no
    /// answer.
    #[track_caller]
    fn check(history: &str, expected: bool) {
        let call = |text: &str| {
            let (what, times) = text.trim().split_once(' ').expect("a call and its times");
            let (asked, answered) = times.split_once("..").expect("from..to");
            let value = what[1..].parse().expect("a value");
            Timed {
                asked: Time(asked.parse().expect("a time")),
                answered: answered.parse().ok().map(Time),
                call: if what.starts_with('w') { Call::Write(value) } else { Call::Read(value) },
            }
        };
        let calls: Vec<_> = history.split(',').map(call).collect();
        assert_eq!(linearizable::<Register>(&calls, 10_000).is_ok(), expected, "{history}");
    }

    #[test]
    fn histories_with_known_verdicts() {
        check("w1 0..1, r1 2..3", true);
        check("w1 0..1, r0 2..3", false);
        check("w1 0..9, r0 2..3, r1 4..5", true);
        check("w1 0..9, r1 2..3, r0 4..5", false);
        check("w1 0..4, w2 1..5, r1 6..7", true);
        check("w1 0..4, w2 1..5, r1 6..7, r2 8..9", false);
        check("w1 0..4, w2 1..5, r1 2..3, r2 6..7", true);
        // overlapping writes: each of them takes effect once
        check("w1 0..9, w2 0..9, r1 1..3, r2 1..3, r1 4..5", true);
        check("w1 0..9, w2 0..9, r1 1..2, r2 3..4, r1 5..6", false);
        check("w1 0..9, w2 0..9, r1 1..3, r2 4..5", true);
    }

    #[test]
    fn an_unknown_outcome_may_be_done_late_or_never() {
        check("w1 0.., r0 2..3", true);
        check("w1 0.., r1 2..3", true);
        check("w1 0.., r0 2..3, r1 4..5", true);
        check("w1 0.., r1 2..3, r0 4..5", false);
        check("r1 0..1, w1 2..", false);
    }

    #[test]
    fn what_is_undecided_is_a_failure() {
        let calls: Vec<_> = (1..14)
            .map(|n| Timed { asked: Time(0), answered: Some(Time(9)), call: Call::Write(n) })
            .chain([Timed { asked: Time(10), answered: Some(Time(11)), call: Call::Read(99) }])
            .collect();
        let verdict = linearizable::<Register>(&calls, 1000).expect_err("no order");
        assert!(verdict.what.contains("undecided"), "{verdict}");
    }
}
