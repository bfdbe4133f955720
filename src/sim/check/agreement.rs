//! Agreement: what one life delivers that stays up, all that stay up deliver.
//!
//! Judged: deliveries of correct lives, and of late ones; a late life's are
//! owed to the correct ones (they were up when it was broadcast), and to other
//! late ones as [the module](super) says. What a listener delivers is owed to
//! nobody: it may have had it from a sponsor that crashed. Holds for the reliable rungs, for any
//! number of failures.

use super::{History, Violation};

/// Checks agreement.
///
/// # Errors
/// The first message that one judged life delivers and another never does.
pub fn agreement(history: &History) -> Result<(), Violation> {
    let judged = |delivery: &&super::Delivery| {
        let life = delivery.life;
        !history.is_listener(life) && (history.correct.contains(&life) || history.late.contains(&life))
    };
    let owed = history.deliveries.iter().filter(judged);
    history.all_deliver("agreement", owed.filter_map(|delivery| Some((delivery.broadcast?, delivery.life))))
}

#[cfg(test)]
mod tests {
    use super::super::hand::{Missing, VIA, history, reporting};
    use super::*;
    use crate::id::{Life, NodeId};

    #[test]
    fn what_one_delivers_all_deliver() {
        let script = "a starts, b starts, c starts, a sends m1, a gets m1, a crashes, b gets m1";
        assert!(agreement(&history(script)).is_err());
        assert_eq!(agreement(&history(&format!("{script}, c gets m1"))), Ok(()));
    }

    #[test]
    fn a_late_life_may_miss_what_it_reports() {
        let script = "a starts, b starts, b crashes, b starts, a sends m1, a sends m2, a sends m3, a gets m1,
            a gets m2, a gets m3, b gets m1, b gets m3";
        assert!(agreement(&history(script)).is_err());
        let reports = |script: &str, node: &str| {
            let (trace, origin) = (reporting(script, node), Life::new(NodeId::from_name("a"), 1));
            agreement(
                &History::of(&trace, VIA).reporting(&trace, &|event| Some((origin, event.get::<Missing>()?.0..=2))),
            )
        };
        assert_eq!(reports(script, "b"), Ok(()));
        assert!(reports(&script.replace("b crashes, b starts,", ""), "b").is_err(), "a correct life is not late");
    }

    #[test]
    fn a_listener_follows_and_leads_nobody() {
        let listening = |script: &str| history(script).listening([NodeId::from_name("c")], true);
        let script = "a starts, b starts, c starts, a sends m1, a sends m2, a sends m3";
        assert_eq!(agreement(&listening(&format!("{script}, c gets m2, c gets m3"))), Ok(()), "owed to nobody");
        let both = format!("{script}, a gets m1, a gets m2, a gets m3, b gets m1, b gets m2, b gets m3");
        assert_eq!(agreement(&listening(&format!("{both}, c gets m2, c gets m3"))), Ok(()), "begins anywhere");
        assert!(agreement(&listening(&format!("{both}, c gets m1, c gets m3"))).is_err(), "leaves none out");
        let untold = history(&format!("{both}, c gets m1, c gets m3, mark settled, a sends m4, a gets m4, b gets m4"))
            .listening([NodeId::from_name("c")], false);
        assert!(agreement(&untold).is_err_and(|violation| violation.what.contains("m4")));
    }

    #[test]
    fn what_only_the_dead_delivered_is_owed_to_nobody() {
        assert_eq!(agreement(&history("a starts, b starts, a sends m1, a gets m1, a crashes")), Ok(()));
    }
}
