//! The rungs of the ladder, by name.

use crate::component::{Capability, ComponentName};
use crate::id::Kind;
use std::fmt;
use std::str::FromStr;

/// How much a delivery promises, and under which failure assumption.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Guarantee {
    /// If the sender is correct, every correct node delivers.
    BestEffort,
    /// All correct nodes deliver the same messages, even if the sender crashes.
    Reliable,
    /// What anyone delivered, also one that crashed, every correct node
    /// delivers. A majority of the voters must be up (`f < n/2`).
    Uniform,
    /// Delivered when every node that is not suspected holds it. Needs an
    /// accurate detector, which rests on synchrony.
    UniformAllAck,
}

/// In which order messages of one rung are delivered.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Order {
    /// As they become deliverable.
    None,
    /// Messages of one sender in its order.
    Fifo,
    /// What happened before is delivered before.
    Causal,
    /// The same on all nodes; messages of one sender in its order.
    Total,
}

/// A rung of the ladder: guarantee and order.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[expect(missing_docs, reason = "guarantee and order are in the names; see those types")]
pub enum Delivery {
    BestEffort,
    BestEffortFifo,
    Reliable,
    ReliableFifo,
    ReliableCausal,
    Uniform,
    UniformFifo,
    UniformCausal,
    UniformAllAck,
    Total,
}

impl Delivery {
    /// The eight rungs and the all-ack mode. Total order is not among them: it is
    /// the replicated log's, rests on disks, and outlives lives.
    pub const ALL: [Delivery; 9] = [
        Delivery::BestEffort,
        Delivery::BestEffortFifo,
        Delivery::Reliable,
        Delivery::ReliableFifo,
        Delivery::ReliableCausal,
        Delivery::Uniform,
        Delivery::UniformFifo,
        Delivery::UniformCausal,
        Delivery::UniformAllAck,
    ];

    /// Its component's name, which is also how people write it:
    /// `"uniform.causal"`.
    pub fn name(self) -> ComponentName {
        match self {
            Delivery::BestEffort => "best_effort",
            Delivery::BestEffortFifo => "best_effort.fifo",
            Delivery::Reliable => "reliable",
            Delivery::ReliableFifo => "reliable.fifo",
            Delivery::ReliableCausal => "reliable.causal",
            Delivery::Uniform => "uniform",
            Delivery::UniformFifo => "uniform.fifo",
            Delivery::UniformCausal => "uniform.causal",
            Delivery::UniformAllAck => "uniform.all_ack",
            Delivery::Total => "replicated_log",
        }
    }

    /// What its component provides: `"delivery."` and its name.
    pub fn capability(self) -> Capability {
        match self {
            Delivery::BestEffort => "delivery.best_effort",
            Delivery::BestEffortFifo => "delivery.best_effort.fifo",
            Delivery::Reliable => "delivery.reliable",
            Delivery::ReliableFifo => "delivery.reliable.fifo",
            Delivery::ReliableCausal => "delivery.reliable.causal",
            Delivery::Uniform => "delivery.uniform",
            Delivery::UniformFifo => "delivery.uniform.fifo",
            Delivery::UniformCausal => "delivery.uniform.causal",
            Delivery::UniformAllAck => "delivery.uniform.all_ack",
            Delivery::Total => "delivery.total",
        }
    }

    /// The delivery whose component has this kind.
    pub fn of_kind(kind: Kind) -> Option<Delivery> {
        Delivery::ALL.into_iter().chain([Delivery::Total]).find(|delivery| delivery.kind() == kind)
    }

    /// Its component's wire kind.
    pub fn kind(self) -> Kind {
        Kind::of(self.name())
    }

    /// What it promises.
    pub fn guarantee(self) -> Guarantee {
        match self {
            Delivery::BestEffort | Delivery::BestEffortFifo => Guarantee::BestEffort,
            Delivery::Reliable | Delivery::ReliableFifo | Delivery::ReliableCausal => Guarantee::Reliable,
            Delivery::Uniform | Delivery::UniformFifo | Delivery::UniformCausal | Delivery::Total => Guarantee::Uniform,
            Delivery::UniformAllAck => Guarantee::UniformAllAck,
        }
    }

    /// Its order.
    pub fn order(self) -> Order {
        match self {
            Delivery::BestEffort | Delivery::Reliable | Delivery::Uniform | Delivery::UniformAllAck => Order::None,
            Delivery::BestEffortFifo | Delivery::ReliableFifo | Delivery::UniformFifo => Order::Fifo,
            Delivery::ReliableCausal | Delivery::UniformCausal => Order::Causal,
            Delivery::Total => Order::Total,
        }
    }

    /// The same guarantee in the senders' order (all-ack has no order of its
    /// own and becomes uniform FIFO by majority).
    pub fn fifo(self) -> Delivery {
        match self.guarantee() {
            Guarantee::BestEffort => Delivery::BestEffortFifo,
            Guarantee::Reliable => Delivery::ReliableFifo,
            Guarantee::Uniform | Guarantee::UniformAllAck => Delivery::UniformFifo,
        }
    }

    /// The same guarantee in causal order. Causal order needs that what was
    /// delivered stays deliverable, so best effort becomes reliable.
    pub fn causal(self) -> Delivery {
        match self.guarantee() {
            Guarantee::BestEffort | Guarantee::Reliable => Delivery::ReliableCausal,
            Guarantee::Uniform | Guarantee::UniformAllAck => Delivery::UniformCausal,
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Delivery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Delivery::ALL.into_iter().chain([Delivery::Total]);
        all.find(|delivery| delivery.name() == text).ok_or_else(|| {
            let names: Vec<_> = Delivery::ALL.iter().map(|delivery| delivery.name()).collect();
            format!("unknown delivery '{text}': one of {}", names.join(", "))
        })
    }
}
