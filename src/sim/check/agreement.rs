//! Agreement: what one life delivers that stays up, all that stay up deliver.
//!
//! Judged: deliveries of correct lives, and of late ones; a late life's are
//! owed to the correct ones (they were up when it was broadcast), and to other
//! late ones as [the module](super) says. Holds for the reliable rungs, for any
//! number of failures.

use super::{History, Violation};

/// Checks agreement.
///
/// # Errors
/// The first message that one judged life delivers and another never does.
pub fn agreement(history: &History) -> Result<(), Violation> {
    let judged =
        |delivery: &&super::Delivery| history.correct.contains(&delivery.life) || history.late.contains(&delivery.life);
    let owed = history.deliveries.iter().filter(judged);
    history.all_deliver("agreement", owed.filter_map(|delivery| Some((delivery.broadcast?, delivery.life))))
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    #[test]
    fn what_one_delivers_all_deliver() {
        let script = "a starts, b starts, c starts, a sends m1, a gets m1, a crashes, b gets m1";
        assert!(agreement(&history(script)).is_err());
        assert_eq!(agreement(&history(&format!("{script}, c gets m1"))), Ok(()));
    }

    #[test]
    fn what_only_the_dead_delivered_is_owed_to_nobody() {
        assert_eq!(agreement(&history("a starts, b starts, a sends m1, a gets m1, a crashes")), Ok(()));
    }
}
