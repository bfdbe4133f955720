//! Causal order: no life delivers a message before one that happened before it.
//!
//! The checker keeps true vector clocks of its own: a broadcast happens after
//! all that its life has broadcast and delivered, and what they happened after.
//!
//! Judged: every life, also those that ended, up to their end. At a delivery
//! all that happened before must have been delivered there. Two things are
//! forgiven: to a node's later life, what comes before the first message that
//! it ever delivers of that origin (it was stable before it joined) and what it reports as missing; to all,
//! what no life delivers that is up at the end (nobody holds it: a reported
//! gap, never waited for).

use super::{History, Violation};
use crate::id::Life;
use std::collections::{BTreeMap, BTreeSet};

/// How many broadcasts of each life are in the past.
type Past = BTreeMap<Life, u64>;

/// Checks causal order.
///
/// # Errors
/// The first delivery that comes before one of its causes.
pub fn causal_order(history: &History) -> Result<(), Violation> {
    let mut now: BTreeMap<Life, Past> = BTreeMap::new();
    let mut past: Vec<Past> = Vec::with_capacity(history.broadcasts.len());
    let mut seen: BTreeMap<Life, BTreeSet<usize>> = BTreeMap::new();
    let held: BTreeSet<usize> =
        (0..history.broadcasts.len()).filter(|m| history.judged().any(|life| history.delivered(life, *m))).collect();
    for delivery in &history.deliveries {
        while let Some(broadcast) = history.broadcasts.get(past.len()).filter(|it| it.at < delivery.at) {
            let clock = now.entry(broadcast.origin).or_default();
            clock.insert(broadcast.origin, broadcast.number);
            past.push(clock.clone());
        }
        let Some(m) = delivery.broadcast else { continue };
        let seen = seen.entry(delivery.life).or_default();
        for (&origin, &upto) in &past[m] {
            for number in (1..=upto).rev() {
                let Some(cause) = history.numbered(origin, number) else { continue };
                if cause == m {
                    continue;
                }
                if seen.contains(&cause) {
                    continue;
                }
                if history.delivered(delivery.life, cause) || owed(history, delivery.life, cause, &held) {
                    return Err(violation(history, delivery.life, m, cause));
                }
            }
        }
        seen.insert(m);
        let clock = now.entry(delivery.life).or_default();
        for (origin, number) in &past[m] {
            let known = clock.entry(*origin).or_insert(0);
            *known = (*known).max(*number);
        }
    }
    Ok(())
}

/// Whether a life that never delivers `cause` should have.
fn owed(history: &History, life: Life, cause: usize, held: &BTreeSet<usize>) -> bool {
    let cause_is = &history.broadcasts[cause];
    let begun = || history.begins(life, cause_is.origin).is_some_and(|first| first <= cause_is.number);
    held.contains(&cause) && (history.first.contains(&life) || begun() && !history.excused(life, cause))
}

fn violation(history: &History, life: Life, m: usize, cause: usize) -> Violation {
    let (m, cause) = (&history.broadcasts[m], &history.broadcasts[cause]);
    Violation::new(
        "causal order",
        format!(
            "{} delivers '{}' of {} before '{}' of {}, which happened before it",
            history.name(life),
            History::text(&m.body),
            history.name(m.origin),
            History::text(&cause.body),
            history.name(cause.origin),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    const CHAIN: &str = "a starts, b starts, c starts, a sends m1, a gets m1, b gets m1, b sends m2, b gets m2";

    #[test]
    fn causes_come_first() {
        assert_eq!(causal_order(&history(&format!("{CHAIN}, c gets m1, c gets m2"))), Ok(()));
        assert!(causal_order(&history(&format!("{CHAIN}, c gets m2, c gets m1"))).is_err());
        assert!(causal_order(&history(&format!("{CHAIN}, c gets m2"))).is_err(), "held by a and b, never by c");
    }

    #[test]
    fn what_is_concurrent_comes_in_any_order() {
        let both = "a starts, b starts, c starts, a sends m1, b sends m2, a gets m1, b gets m2, a gets m2, b gets m1";
        assert_eq!(causal_order(&history(&format!("{both}, c gets m2, c gets m1"))), Ok(()));
    }

    #[test]
    fn a_cause_that_nobody_holds_is_not_waited_for() {
        assert_eq!(causal_order(&history(&format!("{CHAIN}, a crashes, b crashes, c gets m2"))), Ok(()));
    }

    #[test]
    fn causes_of_causes_count() {
        let script =
            "a starts, b starts, c starts, a sends m1, b gets m1, b sends m2, a gets m1, a gets m2, a sends m3,
            b gets m2, b gets m3";
        assert!(causal_order(&history(&format!("{script}, c gets m1, c gets m3, c gets m2"))).is_err());
    }
}
