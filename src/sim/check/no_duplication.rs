//! No duplication: no life delivers a message twice.
//!
//! Judged: every life, also those that ended. A later life of a node is
//! another one and may deliver again.

use super::{History, Violation};
use std::collections::HashSet;

/// Checks that nothing is delivered twice.
///
/// # Errors
/// The first message that a life delivers again: by its id or by its body.
pub fn no_duplication(history: &History) -> Result<(), Violation> {
    let mut ids: Vec<_> = history.deliveries.iter().map(|delivery| (delivery.life, delivery.id)).collect();
    let mut bodies: Vec<_> = history.deliveries.iter().map(|delivery| (delivery.life, &delivery.body)).collect();
    ids.sort_unstable();
    bodies.sort_unstable();
    if ids.is_sorted_by(|a, b| a < b) && bodies.is_sorted_by(|a, b| a < b) {
        return Ok(()); // nearly always; else the first is looked for
    }
    let mut ids = HashSet::new();
    let mut bodies = HashSet::new();
    for delivery in &history.deliveries {
        let new = ids.insert((delivery.life, delivery.id)) & bodies.insert((delivery.life, &delivery.body));
        if !new {
            let (life, text) = (history.name(delivery.life), History::text(&delivery.body));
            return Err(Violation::new("no duplication", format!("{life} delivers '{text}' ({}) again", delivery.id)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    #[test]
    fn once_a_life() {
        let script = "a starts, b starts, a sends m1, b gets m1";
        assert_eq!(no_duplication(&history(script)), Ok(()));
        assert!(no_duplication(&history(&format!("{script}, b gets m1"))).is_err());
        assert_eq!(no_duplication(&history(&format!("{script}, b crashes, b starts, b gets m1"))), Ok(()));
    }
}
