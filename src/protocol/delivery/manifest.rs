//! What each rung says of itself to the resolver and the plan.

use super::config::Config;
use super::{Delivery, Guarantee};
use crate::component::{Capability, Manifest, Role, Run};
use crate::event::EventType;
use crate::protocol::failure_detector::Suspicion;
use crate::protocol::membership::VoterList;

/// The manifest of `delivery`'s component.
pub(super) fn of(delivery: Delivery) -> Manifest {
    let (requires, wants): (Vec<Capability>, Vec<Capability>) = match delivery.guarantee() {
        Guarantee::BestEffort => (vec![], vec![]),
        Guarantee::Reliable => (vec!["failure_detector", "membership"], vec![]),
        Guarantee::Uniform => (vec!["membership"], vec!["failure_detector"]),
        Guarantee::UniformAllAck => (vec!["failure_detector.accurate", "membership"], vec![]),
    };
    Manifest {
        provides: vec![delivery.capability()],
        requires,
        wants,
        hears: vec![EventType::of::<Suspicion>(), EventType::of::<VoterList>()],
        run: Run::InPlace,
        role: Role::Protocol,
        wants_credit: delivery.guarantee() == Guarantee::BestEffort,
        guarantee: guarantee(delivery),
        memory_ceiling: Some(|peers| Config::new(Delivery::Uniform).memory_ceiling(peers)),
        ..Manifest::new(delivery.name())
    }
}

fn guarantee(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::BestEffort => "if the sender stays up, all that stay up deliver; no failure assumption",
        Delivery::BestEffortFifo => "if the sender stays up, all that stay up deliver, in its order",
        Delivery::Reliable => "all that stay up deliver the same, for any number of failures",
        Delivery::ReliableFifo => {
            "all that stay up deliver the same, each sender's in its order; any number of failures"
        }
        Delivery::ReliableCausal => "all that stay up deliver the same, causes first; any number of failures",
        Delivery::Uniform => "what anyone delivered, all that stay up deliver; f < n/2, no detector needed for safety",
        Delivery::UniformFifo => "what anyone delivered, all that stay up deliver, each sender's in its order; f < n/2",
        Delivery::UniformCausal => "what anyone delivered, all that stay up deliver, causes first; f < n/2",
        // the log says it of itself
        Delivery::Total => "",
        Delivery::UniformAllAck => {
            "delivered when every node not suspected holds it; any number of failures, but only under synchrony"
        }
    }
}
