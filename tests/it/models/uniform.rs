//! Uniform: what anyone delivered, also one that crashed, all that stay up
//! deliver. A life without memory acknowledges nothing until it has joined, and
//! what an earlier life acknowledged is void: without that a rolling restart
//! loses a message (the table of planted bugs shows it).
//!
//! Suspicions are left out: this rung's core does not read them.

use super::checked::hold;
use super::scope::Scope;
use nodewright::protocol::delivery::Delivery;

#[test]
fn uniform_keeps_what_it_promises() {
    let scope = Scope::new(Delivery::Uniform);
    hold(scope.clone(), [Scope { ends: true, hurried: 1, ..scope }]);
}

#[test]
fn uniform_keeps_what_it_promises_across_a_rolling_restart() {
    let scope = Scope::rolling_restart(Delivery::Uniform);
    hold(Scope { depth: Some(8), ..scope.clone() }, [scope]);
}
