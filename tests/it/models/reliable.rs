//! Reliable: all that stay up deliver the same. What a node delivered that
//! crashed is not promised to anyone.

use super::checked::{UNIFORM_AGREEMENT, breaks, hold};
use super::scope::Scope;
use nodewright::protocol::delivery::Delivery;

#[test]
fn reliable_keeps_what_it_promises() {
    let scope = Scope::new(Delivery::Reliable);
    hold(
        scope.clone(),
        [
            Scope { ends: true, suspicions: true, ..scope.clone() },
            Scope { suspicions: true, mistakes: 1, ..scope.clone() },
            Scope { ends: true, hurried: 1, ..scope },
        ],
    );
}

/// The sender delivers, crashes, and what it had sent is lost with it.
#[test]
fn reliable_breaks_uniform_agreement() {
    breaks(Scope::new(Delivery::Reliable), UNIFORM_AGREEMENT, "reliable_breaks_uniform_agreement.txt");
}
