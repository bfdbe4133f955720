//! A rung of the delivery ladder under all faults.
//!
//! Broadcasts in a chaos phase, then all faults stop, all that is down restarts
//! without its memory, and each voter broadcasts once more. In a third of the
//! worlds a listener joins through a sponsor; in half of these it changes the
//! sponsor. In a quarter of the uniform worlds nodes restart one after the
//! other without disk, as fast as the rule of joining lets them, while others
//! are cut off: what an amnesiac acknowledges would be counted there.

use super::stacks::{NAMES, against, joined, last_words, millis, missing, no_fault, stack};
use super::{Goal, Planted, Scenario};
use crate::id::Kind;
use crate::protocol::delivery::{Delivery, Guarantee, Mutant, Order};
use crate::sim::check::{self, History, Violation};
use crate::sim::{Counts, FaultClass, Faults, NodeIndex, Outcome, Setup, Spell, World};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A scenario for each rung.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    Delivery::ALL.into_iter().map(|rung| Box::new(Ladder { rung }) as Box<dyn Scenario>).collect()
}

struct Ladder {
    rung: Delivery,
}

const GOALS: [Goal; 9] = [
    Goal { what: "retransmissions", by: &[FaultClass::Loss, FaultClass::Partition] },
    Goal { what: "crashes", by: &[FaultClass::Crash] },
    Goal { what: "crashes between effects", by: &[FaultClass::Crash] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
    Goal { what: "suspicion", by: &[FaultClass::Crash, FaultClass::Partition, FaultClass::Pause] },
    Goal { what: "frames lost", by: &[FaultClass::Loss] },
    Goal { what: "reconnects", by: &[FaultClass::Cut] },
    Goal { what: "listeners joined", by: &[] },
    Goal { what: "sponsors changed", by: &[] },
];

/// What can happen under synchrony.
const SYNCHRONOUS_GOALS: [Goal; 4] = [GOALS[1], GOALS[2], Goal { by: &[FaultClass::Crash], ..GOALS[4] }, GOALS[7]];

/// The bugs that can be planted, in which rungs they show.
pub(super) const fn planted(rung: Delivery) -> &'static [Planted] {
    match rung {
        Delivery::BestEffort | Delivery::BestEffortFifo => &[SELF_SKIPPED, FIRST_ERROR],
        Delivery::Reliable => &[NO_RELAY, DEDUPE, INCARNATION],
        Delivery::ReliableFifo => &[NO_RELAY, DEDUPE, INCARNATION, ARRIVAL_FIFO],
        Delivery::ReliableCausal => &[NO_RELAY, DEDUPE, INCARNATION, ARRIVAL_CAUSAL, LAMPORT],
        Delivery::Uniform => &[FIRST_COPY, AMNESIAC, DEDUPE, INCARNATION],
        Delivery::UniformFifo => &[FIRST_COPY, AMNESIAC, DEDUPE, INCARNATION, ARRIVAL_FIFO],
        Delivery::UniformCausal => &[FIRST_COPY, AMNESIAC, DEDUPE, INCARNATION, ARRIVAL_CAUSAL, LAMPORT],
        Delivery::UniformAllAck | Delivery::Total => &[],
    }
}

const SELF_SKIPPED: Planted =
    Planted { name: "self-skipped", property: "validity", about: "a broadcast does not reach its own sender" };
const FIRST_ERROR: Planted = Planted {
    name: "first-error-stops",
    property: "validity",
    about: "the loop over the peers stops at the first that is not there",
};
const DEDUPE: Planted =
    Planted { name: "dedupe-dropped", property: "no duplication", about: "every copy is delivered" };
const NO_RELAY: Planted =
    Planted { name: "no-relay-no-pull", property: "agreement", about: "neither relays nor asks for what is missing" };
const INCARNATION: Planted = Planted {
    name: "incarnation-forgotten",
    property: "no creation",
    about: "a node's new life is taken for the old one",
};
const FIRST_COPY: Planted =
    Planted { name: "first-copy", property: "uniform agreement", about: "delivers at the first copy" };
const AMNESIAC: Planted = Planted {
    name: "amnesiac-acks",
    property: "uniform agreement",
    about: "a life without memory acknowledges at once, and what earlier lives acknowledged still counts",
};
const ARRIVAL_FIFO: Planted =
    Planted { name: "on-arrival", property: "FIFO order", about: "delivers in the order of arrival" };
const ARRIVAL_CAUSAL: Planted = Planted { property: "causal order", ..ARRIVAL_FIFO };
const LAMPORT: Planted = Planted {
    name: "lamport-for-vectors",
    property: "causal order",
    about: "waits for as many deliveries as the sender had, of whomever",
};

/// Which bug a name stands for.
pub(super) fn mutant(planted: Option<&Planted>) -> Option<Mutant> {
    Some(match planted?.name {
        "self-skipped" => Mutant::SkipSelf,
        "first-error-stops" => Mutant::StopAtFirstError,
        "dedupe-dropped" => Mutant::DropDedupe,
        "no-relay-no-pull" => Mutant::NoRelayNoPull,
        "incarnation-forgotten" => Mutant::ForgetIncarnation,
        "first-copy" => Mutant::DeliverFirstCopy,
        "amnesiac-acks" => Mutant::CountAmnesiacAcks,
        "on-arrival" => Mutant::DeliverOnArrival,
        "lamport-for-vectors" => Mutant::LamportForVectors,
        _ => return None,
    })
}

/// What the scenario of a rung is called: `uniform.all-ack`.
pub(super) fn name(rung: Delivery) -> String {
    rung.name().replace('_', "-")
}

pub(super) fn about(rung: Delivery) -> &'static str {
    match rung.guarantee() {
        Guarantee::BestEffort => "what a correct node broadcasts, every correct node delivers",
        Guarantee::Reliable => "all correct nodes deliver the same, even if the sender crashes half way",
        Guarantee::Uniform => "what anyone delivered, also one that crashed since, every correct node delivers",
        Guarantee::UniformAllAck => "uniform for any number of crashes, under synchrony",
    }
}

impl Scenario for Ladder {
    fn name(&self) -> String {
        name(self.rung)
    }

    fn about(&self) -> &'static str {
        about(self.rung)
    }

    fn goals(&self) -> &'static [Goal] {
        match self.rung.guarantee() {
            Guarantee::UniformAllAck => &SYNCHRONOUS_GOALS,
            _ => &GOALS,
        }
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        2..=NAMES.len()
    }

    fn mutants(&self) -> &'static [Planted] {
        planted(self.rung)
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut run = Run::new(self.rung, setup, mutant(planted));
        run.chaos();
        let result = run.settle().and_then(|()| run.judge());
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    rung: Delivery,
    via: Kind,
    setup: &'a Setup,
    mutant: Option<Mutant>,
    exclude_after: Duration,
    world: World,
    /// Before which of the calls a listener joins, and before which it changes
    /// its sponsor.
    listens: Option<(usize, Option<usize>)>,
    counts: Counts,
}

impl<'a> Run<'a> {
    fn new(rung: Delivery, setup: &'a Setup, mutant: Option<Mutant>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        let faults = faults(rung, setup, &mut drawn);
        let exclude_after = millis([500, 1500, 3000][drawn.usize(0..3)]);
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(rung, mutant, exclude_after));
        }
        world.ready_when(move |world, node| joined(world, node, rung));
        let (joins, changes) = (drawn.usize(0..=setup.calls), drawn.usize(0..=setup.calls));
        let listens = (drawn.u32(0..3) == 0).then(|| (joins, drawn.bool().then_some(joins.max(changes))));
        world.run_for(millis(100));
        world.set_faults(faults);
        Run { rung, via: rung.kind(), setup, mutant, exclude_after, world, listens, counts: Counts::new() }
    }

    fn any_voter(&mut self) -> NodeIndex {
        NodeIndex(self.world.rng().usize(0..self.setup.nodes))
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(500)).as_nanos() as u64;
        let mut listener = None;
        for n in 0..=self.setup.calls {
            if let Some((joins, changes)) = self.listens {
                if n == joins {
                    let sponsor = self.any_voter();
                    let stack = stack(self.rung, self.mutant, self.exclude_after);
                    listener = Some(self.world.add_listener("ear", stack, sponsor));
                    self.counts.insert("listeners joined", 1);
                }
                if let (Some(listener), true) = (listener, changes == Some(n)) {
                    let sponsor = self.any_voter();
                    self.world.change_sponsor(listener, sponsor);
                    self.counts.insert("sponsors changed", 1);
                }
            }
            if n < self.setup.calls {
                let at = self.any_voter();
                self.world.broadcast(at, self.via, format!("m{n}"));
                let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
                self.world.run_for(pause);
            }
        }
        self.world.heal();
        self.world.restart_all();
    }

    /// After all faults have stopped, everyone joins, nobody is ended any more,
    /// and everything is delivered.
    fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..40 {
            self.world.run_for(millis(500));
            if !self.all_joined() {
                continue;
            }
            self.world.run_for(self.exclude_after + millis(1500));
            if self.all_joined() {
                last_words(&mut self.world, self.setup.nodes, self.via);
                return Ok(());
            }
        }
        Err(Violation::new("termination", "after all faults stopped, not everyone joins"))
    }

    fn all_joined(&mut self) -> bool {
        let nodes: Vec<NodeIndex> = self.world.all().collect();
        nodes.into_iter().all(|node| self.world.is_up(node) && joined(&mut self.world, node, self.rung))
    }

    fn judge(&self) -> Result<(), Violation> {
        no_fault(&self.world)?;
        let trace = self.world.trace();
        let told = self.rung.guarantee() != Guarantee::BestEffort;
        let history = History::of(trace, self.via).reporting(trace, &missing);
        judge(self.rung, &history.listening(self.world.listeners(), told))?;
        check::decided_by_majority(trace, &self.world.voters(), &against)
    }
}

/// What the rung promises.
pub(super) fn judge(rung: Delivery, history: &History) -> Result<(), Violation> {
    check::no_creation(history)?;
    check::no_duplication(history)?;
    match rung.order() {
        Order::None => {}
        Order::Fifo | Order::Total => check::fifo_order(history)?,
        Order::Causal => check::causal_order(history)?,
    }
    match rung.guarantee() {
        Guarantee::BestEffort => {}
        Guarantee::Reliable => check::agreement(history)?,
        Guarantee::Uniform | Guarantee::UniformAllAck => check::uniform_agreement(history)?,
    }
    check::validity(history)
}

/// The faults under which a rung keeps its promise.
fn faults(rung: Delivery, setup: &Setup, rng: &mut fastrand::Rng) -> Faults {
    let (all_but_one, minority) = (setup.nodes - 1, (setup.nodes - 1) / 2);
    match rung.guarantee() {
        Guarantee::BestEffort | Guarantee::Reliable => setup.draw(rng, all_but_one),
        Guarantee::Uniform => {
            let drawn = setup.draw(rng, minority);
            if rng.u32(0..4) > 0 { drawn } else { setup.faults.allow(rolling(drawn, minority, rng)) }
        }
        // Synchrony: nothing is slower than the detector's timeout. And crashes
        // that last: a new life holds nothing of what was delivered before, and
        // no majority vouches for it, so it must not be the only one to stay.
        Guarantee::UniformAllAck => {
            let drawn = setup.draw(rng, all_but_one);
            let delay = (drawn.delay.0, drawn.delay.1.min(millis(20)));
            let crashes = drawn.crashes.map(|spell| Spell { lasting: Duration::from_secs(100_000), ..spell });
            Faults { delay, loss: 0.0, cuts: None, partitions: None, pauses: None, jumps: None, crashes, ..drawn }
        }
    }
}

/// Restarts without disk, one as soon as the one before has joined again.
fn rolling(drawn: Faults, down_max: usize, rng: &mut fastrand::Rng) -> Faults {
    let often = |every: u64, lasting: u64| Some(Spell { every: millis(every), lasting: millis(lasting) });
    Faults {
        crashes: often(rng.u64(60..300), 100),
        partitions: often(rng.u64(200..1500), 800),
        cuts: None,
        pauses: None,
        jumps: None,
        disk_kept: 0.0,
        down_max,
        ..drawn
    }
}
