//! Best effort: what it promises holds, and agreement does not.

use super::checked::{AGREEMENT, breaks, hold};
use super::scope::Scope;
use nodewright::protocol::delivery::Delivery;

#[test]
fn best_effort_keeps_what_it_promises() {
    let scope = Scope::new(Delivery::BestEffort);
    hold(scope.clone(), [Scope { broadcasts: [2, 2, 1], ..scope }]);
}

/// The sender crashes between two sends, and nobody repairs it.
#[test]
fn best_effort_breaks_agreement() {
    breaks(Scope::new(Delivery::BestEffort), AGREEMENT, "best_effort_breaks_agreement.txt");
}
