//! Causal: what happened before is delivered before. What that is, the checker
//! knows by itself: for every broadcast, the set of all that its sender had
//! delivered (which is what a vector clock abbreviates).

use super::checked::hold;
use super::scope::Scope;
use nodewright::protocol::delivery::Delivery;

#[test]
fn causal_keeps_what_it_promises() {
    let reliable = Scope::new(Delivery::ReliableCausal);
    hold(
        Scope { crashes: 0, ..reliable.clone() },
        [reliable.clone(), Scope { ends: true, suspicions: true, ..reliable }],
    );
    let uniform = Scope::new(Delivery::UniformCausal);
    hold(
        Scope { crashes: 0, ..uniform.clone() },
        [uniform.clone(), Scope { ends: true, ..uniform.clone() }, Scope { hurried: 1, ..uniform }],
    );
}
