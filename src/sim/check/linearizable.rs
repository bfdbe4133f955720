//! Linearizability: the answers are those of some order of the calls in which each
//! stands between its asking and its answer (Herlihy and Wing, *Linearizability*,
//! TOPLAS 1990).
//!
//! The order is searched for as Wing and Gong do (*Testing and Verifying Concurrent
//! Objects*, JPDC 1993): take any call that was asked before the first open answer.
//! What was tried is remembered as Lowe does (*Testing for Linearizability*, 2017):
//! the same calls taken and the same state reached lead nowhere twice. Histories are
//! judged key by key, which is enough (Herlihy and Wing, theorem 1).
//!
//! A call without an answer may be done at any time after its asking, or never. A
//! search that takes too long decides nothing, and that counts as a failure.

use super::Violation;
use crate::time::Time;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Steps of one search.
const STEPS_MAX: u64 = 2_000_000;

/// What a call saw and did.
pub trait Specified: Debug {
    /// The state of one key.
    type State: Clone + Ord + Default;

    /// The state after it; `None` where this state does not give its answer.
    fn after(&self, state: &Self::State) -> Option<Self::State>;
}

/// A call and when it was under way.
#[derive(Clone, Debug)]
pub struct Call<S> {
    /// When it was asked.
    pub asked: Time,
    /// When it was answered; never, if its outcome is unknown.
    pub answered: Option<Time>,
    /// What it saw and did.
    pub did: S,
}

/// Sets of calls, by place.
type Taken = Vec<u64>;

/// Checks that the calls on one key, which begins in the default state, are
/// linearizable.
///
/// # Errors
/// They are not, or it could not be decided.
pub fn linearizable<S: Specified>(key: &str, calls: &[Call<S>]) -> Result<(), Violation> {
    search(key, calls, STEPS_MAX)
}

fn search<S: Specified>(key: &str, calls: &[Call<S>], steps_max: u64) -> Result<(), Violation> {
    let mut calls: Vec<&Call<S>> = calls.iter().collect();
    calls.sort_by_key(|call| call.asked);
    let (mut tried, mut steps, mut farthest) = (BTreeSet::new(), 0, 0);
    let mut stack = vec![(vec![0; calls.len().div_ceil(64)], S::State::default())];
    while let Some((taken, state)) = stack.pop() {
        let open = |at: usize| taken[at / 64] >> (at % 64) & 1 == 0;
        let first = (0..calls.len()).filter(|at| open(*at)).filter_map(|at| calls[at].answered).min();
        let Some(first) = first else { return Ok(()) };
        farthest = farthest.max(taken.iter().map(|word: &u64| word.count_ones()).sum());
        for at in (0..calls.len()).take_while(|at| calls[*at].asked <= first).filter(|at| open(*at)) {
            steps += 1;
            if let Some(after) = calls[at].did.after(&state) {
                let mut taken: Taken = taken.clone();
                taken[at / 64] |= 1 << (at % 64);
                if tried.insert((taken.clone(), after.clone())) {
                    stack.push((taken, after));
                }
            }
        }
        if steps > steps_max {
            let why = format!("'{key}': not decided after {steps} steps over {} calls", calls.len());
            return Err(Violation::new("linearizability", why));
        }
    }
    let why = format!("'{key}': no order of these calls gives these answers, at most {farthest} of them: {calls:#?}");
    Err(Violation::new("linearizability", why))
}

/// A compare-and-set, or a read, of one key that holds a number or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Register {
    /// It held the first and holds the second from then on.
    Swapped(Option<u64>, u64),
    /// It held this.
    Read(Option<u64>),
}

impl Specified for Register {
    type State = Option<u64>;

    fn after(&self, state: &Option<u64>) -> Option<Option<u64>> {
        match self {
            Register::Swapped(from, to) if from == state => Some(Some(*to)),
            Register::Read(seen) if seen == state => Some(*state),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Register::{Read, Swapped};
    use super::*;

    fn call(asked: u64, answered: u64, did: Register) -> Call<Register> {
        Call { asked: Time(asked), answered: (answered > 0).then_some(Time(answered)), did }
    }

    /// Histories whose verdict is known.
    #[test]
    fn verdicts_that_are_known() {
        let sound = [
            vec![],
            vec![call(0, 1, Read(None)), call(2, 3, Swapped(None, 1)), call(4, 5, Read(Some(1)))],
            // at one time: either order
            vec![call(0, 9, Swapped(None, 1)), call(1, 8, Read(None)), call(2, 7, Read(Some(1)))],
            // an unknown outcome that is seen, never seen, seen late
            vec![call(0, 0, Swapped(None, 1)), call(5, 6, Read(Some(1)))],
            vec![call(0, 0, Swapped(None, 1)), call(5, 6, Read(None))],
            vec![call(0, 0, Swapped(None, 1)), call(1, 2, Read(None)), call(5, 6, Read(Some(1)))],
            // the second swap takes effect first
            vec![call(0, 9, Swapped(Some(2), 1)), call(1, 8, Swapped(None, 2)), call(10, 11, Read(Some(1)))],
        ];
        for history in sound {
            assert_eq!(linearizable("key", &history), Ok(()));
        }
        let broken = [
            // never written
            vec![call(0, 1, Read(Some(1)))],
            // an old value after a new one was acknowledged, or seen
            vec![call(0, 1, Swapped(None, 1)), call(2, 3, Read(None))],
            vec![call(0, 9, Swapped(None, 1)), call(1, 2, Read(Some(1))), call(3, 4, Read(None))],
            // two swaps of one value, an acknowledged one lost
            vec![call(0, 1, Swapped(None, 1)), call(0, 1, Swapped(None, 2))],
            vec![call(0, 1, Swapped(None, 1)), call(2, 3, Swapped(None, 2))],
            // seen before it was asked for
            vec![call(0, 1, Read(Some(1))), call(2, 3, Swapped(None, 1))],
            // done twice
            vec![
                call(0, 0, Swapped(None, 1)),
                call(1, 2, Swapped(Some(1), 2)),
                call(3, 4, Read(Some(2))),
                call(5, 6, Read(Some(1))),
            ],
        ];
        for history in broken {
            assert!(linearizable("key", &history).is_err(), "{history:?}");
        }
    }

    /// All histories of a few calls, against a search that remembers nothing.
    #[test]
    fn it_says_what_trying_every_order_says() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut yes, mut no) = (0, 0);
        for _ in 0..3000 {
            let value = |rng: &mut fastrand::Rng| Some(rng.u64(0..3)).filter(|it| *it > 0);
            let calls: Vec<_> = (0..rng.usize(1..6))
                .map(|_| {
                    let asked = rng.u64(0..8);
                    let answered = if rng.u32(0..5) == 0 { 0 } else { asked + rng.u64(1..6) };
                    let did = match rng.bool() {
                        true => Swapped(value(&mut rng), rng.u64(1..3)),
                        false => Read(value(&mut rng)),
                    };
                    call(asked, answered, did)
                })
                .collect();
            let expected = any_order(&calls, &mut vec![false; calls.len()], None);
            assert_eq!(linearizable("key", &calls).is_ok(), expected, "{calls:?}");
            (yes, no) = (yes + u32::from(expected), no + u32::from(!expected));
        }
        assert!(yes > 300 && no > 300, "{yes} {no}");
    }

    fn any_order(calls: &[Call<Register>], taken: &mut [bool], state: Option<u64>) -> bool {
        if calls.iter().zip(&*taken).all(|(call, taken)| *taken || call.answered.is_none()) {
            return true;
        }
        for at in 0..calls.len() {
            let after_all = |other: &Call<Register>| other.answered.is_none_or(|it| calls[at].asked <= it);
            let may = !taken[at] && calls.iter().zip(&*taken).all(|(other, taken)| *taken || after_all(other));
            if may && let Some(after) = calls[at].did.after(&state) {
                taken[at] = true;
                if any_order(calls, taken, after) {
                    return true;
                }
                taken[at] = false;
            }
        }
        false
    }

    #[test]
    fn what_is_not_decided_is_a_failure() {
        // many that may all be done or not, and a read that none explains
        let mut calls: Vec<_> =
            (0..40).map(|n| call(0, 0, Swapped(Some(n % 2).filter(|it| *it > 0), n % 2 + 1))).collect();
        calls.extend((0..40).map(|_| call(0, 0, Swapped(Some(2), 1))));
        calls.push(call(50, 60, Read(Some(77))));
        assert!(search("key", &calls, 10_000).is_err_and(|it| it.to_string().contains("not decided")));
    }
}
