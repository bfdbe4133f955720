//! No creation: what is delivered was broadcast before, by the life that it
//! names as its origin.
//!
//! Judged: every delivery of every life.

use super::{History, Violation};

/// Checks that nothing is made up.
///
/// # Errors
/// The first delivery without a broadcast before it.
pub fn no_creation(history: &History) -> Result<(), Violation> {
    match history.deliveries.iter().find(|delivery| delivery.broadcast.is_none()) {
        None => Ok(()),
        Some(delivery) => {
            let (life, text) = (history.name(delivery.life), History::text(&delivery.body));
            let origin = history.name(delivery.id.origin);
            Err(Violation::new("no creation", format!("{life} delivers '{text}', which {origin} never broadcast")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    #[test]
    fn only_what_was_broadcast_before() {
        assert_eq!(no_creation(&history("a starts, b starts, a sends m1, b gets m1")), Ok(()));
        assert!(no_creation(&history("a starts, b starts, b gets m1")).is_err());
        assert!(no_creation(&history("a starts, b starts, b gets m1, a sends m1")).is_err());
    }
}
