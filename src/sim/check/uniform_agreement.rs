//! Uniform agreement: what any life delivers, also one that then crashes, all
//! that stay up deliver.
//!
//! Judged: every delivery in the trace. Owed to every judged life, as [the
//! module](super) says. Holds for the uniform rungs while at most a minority
//! of the voters is down or not yet joined at a time.

use super::{History, Violation};

/// Checks uniform agreement.
///
/// # Errors
/// The first message that some life delivers and a judged one never does.
pub fn uniform_agreement(history: &History) -> Result<(), Violation> {
    let owed = history.deliveries.iter().filter_map(|delivery| Some((delivery.broadcast?, delivery.life)));
    history.all_deliver("uniform agreement", owed)
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    #[test]
    fn what_the_dead_delivered_is_owed_to_all() {
        let script = "a starts, b starts, c starts, a sends m1, a gets m1, a crashes";
        assert!(uniform_agreement(&history(script)).is_err());
        assert_eq!(uniform_agreement(&history(&format!("{script}, b gets m1, c gets m1"))), Ok(()));
        assert!(uniform_agreement(&history(&format!("{script}, b gets m1"))).is_err());
    }
}
