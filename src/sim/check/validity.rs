//! Validity: what a life broadcasts that stays up, all that stay up deliver.
//!
//! Judged: broadcasts of correct lives, and of late ones after the world had
//! settled. Owed to every judged life, as [the module](super) says. Holds for
//! every rung; for uniform ones if a majority of the voters is up at the end.

use super::{History, Violation};

/// Checks validity.
///
/// # Errors
/// The first broadcast that a judged life never delivers.
pub fn validity(history: &History) -> Result<(), Violation> {
    let owed = history.broadcasts.iter().enumerate().filter(|(_, broadcast)| {
        let after = history.settled.is_some_and(|settled| broadcast.at > settled);
        history.correct.contains(&broadcast.origin) || after && history.late.contains(&broadcast.origin)
    });
    history.all_deliver("validity", owed.map(|(m, broadcast)| (m, broadcast.origin)))
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    #[test]
    fn all_that_stay_up_deliver() {
        let script = "a starts, b starts, c starts, a sends m1, a gets m1, b gets m1, c crashes";
        assert_eq!(validity(&history(script)), Ok(()));
        assert!(validity(&history("a starts, b starts, a sends m1, a gets m1")).is_err());
        assert!(validity(&history("a starts, b starts, a sends m1, b gets m1")).is_err(), "the sender itself too");
    }

    #[test]
    fn a_sender_that_crashes_owes_nothing() {
        assert_eq!(validity(&history("a starts, b starts, a sends m1, a gets m1, a crashes")), Ok(()));
    }

    #[test]
    fn a_late_life_is_owed_what_follows() {
        let before = "a starts, b starts, b crashes, b starts, a sends m1, a gets m1, a sends m2, a gets m2";
        assert_eq!(validity(&history(before)), Ok(()));
        assert_eq!(validity(&history(&format!("{before}, b gets m2"))), Ok(()));
        assert!(validity(&history(&format!("{before}, b gets m1"))).is_err(), "a hole after the first");
        assert!(validity(&history(&format!("{before}, mark settled, a sends m3, a gets m3"))).is_err());
    }
}
