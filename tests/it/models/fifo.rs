//! FIFO: each sender's messages in its order, whichever way they come.

use super::checked::hold;
use super::scope::Scope;
use nodewright::protocol::delivery::Delivery;

#[test]
fn fifo_keeps_what_it_promises() {
    let scope = |rung| Scope { broadcasts: [2, 0, 0], ..Scope::new(rung) };
    let reliable = scope(Delivery::ReliableFifo);
    hold(
        reliable.clone(),
        [
            Scope { suspicions: true, mistakes: 1, ..reliable.clone() },
            Scope { ends: true, suspicions: true, ..reliable.clone() },
            Scope { restarts: 1, depth: Some(9), ..reliable.clone() },
            Scope { broadcasts: [2, 1, 0], ..reliable },
        ],
    );
    let uniform = scope(Delivery::UniformFifo);
    hold(
        uniform.clone(),
        [Scope { ends: true, hurried: 1, ..uniform.clone() }, Scope { broadcasts: [2, 1, 0], ..uniform }],
    );
    let best_effort = scope(Delivery::BestEffortFifo);
    hold(best_effort.clone(), [Scope { broadcasts: [2, 2, 0], ..best_effort }]);
}
