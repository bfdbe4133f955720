//! A rung of the delivery ladder alone: the broadcast cores over perfect
//! queues, with a detector that is part of the script.
//!
//! No links and no stack, so that many more schedules are seen: arrivals,
//! crashes between effects, restarts, suspicions (also mistaken ones) and
//! decisions come in any order. Then all that is down restarts, everything
//! arrives, and each broadcasts once more; judged like the whole stack.

use super::delivery::{about, judge, mutant, name, planted};
use super::stacks::{NAMES, millis, missing};
use super::{Goal, Planted, Scenario};
use crate::component::{Factory, Item};
use crate::event::AnyEvent;
use crate::id::Life;
use crate::protocol::delivery::{Broadcast, Config, Delivery, Guarantee, Mutant};
use crate::protocol::failure_detector::Suspicion;
use crate::sim::check::{History, SETTLED, Violation};
use crate::sim::cores::Cores;
use crate::sim::{Counts, FaultClass, Outcome, Setup, What};

/// A scenario for each rung.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    Delivery::ALL.into_iter().map(|rung| Box::new(Core { rung }) as Box<dyn Scenario>).collect()
}

struct Core {
    rung: Delivery,
}

const CRASH: &[FaultClass] = &[FaultClass::Crash];
const GOALS: [Goal; 6] = [
    Goal { what: "crashes", by: CRASH },
    Goal { what: "crashes between effects", by: CRASH },
    Goal { what: "restarts", by: CRASH },
    Goal { what: "decisions", by: CRASH },
    Goal { what: "suspicions", by: CRASH },
    Goal { what: "cuts", by: &[FaultClass::Cut, FaultClass::Partition] },
];

/// Most steps until everything has arrived.
const STEPS_MAX: usize = 60_000;

impl Scenario for Core {
    fn name(&self) -> String {
        format!("core.{}", name(self.rung))
    }

    fn about(&self) -> &'static str {
        about(self.rung)
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        planted(self.rung)
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut script = Script::new(self.rung, setup, mutant(planted));
        script.chaos();
        let settled = script.settle();
        let result = settled.and_then(|()| script.judge());
        let mut counts = script.counts;
        counts.insert("events", script.cores.steps);
        counts.insert("crashes between effects", script.cores.crashes_between_effects);
        Outcome { result, counts, trace: script.cores.trace }
    }
}

struct Script<'a> {
    rung: Delivery,
    setup: &'a Setup,
    cores: Cores,
    /// Lives that crashed.
    fallen: Vec<Life>,
    /// Who suspects whom by mistake.
    mistaken: Vec<(usize, usize)>,
    counts: Counts,
}

impl<'a> Script<'a> {
    fn new(rung: Delivery, setup: &'a Setup, mutant: Option<Mutant>) -> Self {
        let config = move || Config { absent_after: millis(60_000), ..Config::new(rung) };
        let factory = Factory::new(move || match mutant {
            Some(mutant) => Broadcast::mutant(config(), mutant),
            None => Broadcast::new(config()),
        });
        let mut cores = Cores::new(setup.seed, &NAMES[..setup.nodes], factory);
        for node in 0..setup.nodes {
            cores.start(node);
        }
        let counts = Counts::new();
        let mut script = Script { rung, setup, cores, fallen: Vec::new(), mistaken: Vec::new(), counts };
        if script.cores.rng.u32(0..4) > 0 {
            script.link_all();
            script.cores.run_for(millis(1000), STEPS_MAX);
        }
        script
    }

    fn any(&mut self) -> usize {
        self.cores.rng.usize(0..self.setup.nodes)
    }

    fn has(&self, class: FaultClass) -> bool {
        self.setup.faults.has(class)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    fn chaos(&mut self) {
        let mut said = 0;
        let steps = (self.setup.chaos as usize * 12 / 100).max(1);
        while said < self.setup.calls {
            for _ in 0..self.cores.rng.usize(1..=2 * steps) {
                self.step();
            }
            let at = self.any();
            self.cores.broadcast(at, &format!("m{said}"));
            said += 1;
        }
    }

    fn step(&mut self) {
        let (node, other) = (self.any(), self.any());
        match self.cores.rng.u32(0..100) {
            0..70 => _ = self.cores.arrive(3),
            70..82 => _ = self.cores.link(node, other),
            82..85 if self.has(FaultClass::Crash) => self.strike(node),
            // all-ack: a new life holds nothing, and no majority vouches for it
            85..90 if !self.cores.is_up(node) && self.rung.guarantee() != Guarantee::UniformAllAck => {
                self.cores.start(node);
                self.count("restarts");
            }
            90..92 if node != other && (self.has(FaultClass::Cut) || self.has(FaultClass::Partition)) => {
                let cut = !self.cores.is_cut(node, other);
                self.cores.set_cut(node, other, cut);
                self.count("cuts");
            }
            92..95 => self.suspect_fallen(node),
            95..96 if self.rung.guarantee() != Guarantee::UniformAllAck => self.mistake(node, other),
            96..98 => {
                if let Some(life) = self.some_fallen().filter(|life| self.cores.is_linked(node, *life)) {
                    self.cores.end(node, life);
                    self.count("decisions");
                }
            }
            98..100 => _ = self.cores.tick(millis(300)),
            _ => {}
        }
        let down: Vec<usize> = (0..self.setup.nodes).filter(|node| !self.cores.is_up(*node)).collect();
        for node in down {
            let life = self.cores.life(node);
            if !self.fallen.contains(&life) {
                self.fallen.push(life); // a crash between effects comes with a later step
            }
        }
    }

    fn strike(&mut self, node: usize) {
        let most = match self.rung.guarantee() {
            Guarantee::Uniform => (self.setup.nodes - 1) / 2,
            _ => self.setup.nodes - 1,
        };
        if !self.cores.is_up(node) || self.doomed_or_weak(node) >= most {
            return;
        }
        self.count("crashes");
        if self.cores.rng.bool() {
            self.cores.crash_between_effects(node);
        } else {
            self.cores.crash(node);
        }
    }

    /// How many of the others have failed: down, about to be, or not joined.
    fn doomed_or_weak(&mut self, node: usize) -> usize {
        let others = (0..self.setup.nodes).filter(|other| *other != node);
        let weak: Vec<usize> = others.collect();
        weak.into_iter().filter(|other| !self.counted_on(*other)).count()
    }

    fn counted_on(&mut self, node: usize) -> bool {
        let fit = self.cores.is_up(node) && !self.cores.is_doomed(node);
        let votes = self.rung.guarantee() == Guarantee::Uniform;
        fit && (!votes || self.cores.inspect_row(node, "joined").is_none_or(|row| row == "yes"))
    }

    fn some_fallen(&mut self) -> Option<Life> {
        let fallen = self.fallen.len();
        (fallen > 0).then(|| self.fallen[self.cores.rng.usize(0..fallen)])
    }

    fn suspect_fallen(&mut self, node: usize) {
        if let Some(life) = self.some_fallen().filter(|life| self.cores.is_linked(node, *life)) {
            self.opinion(node, life, true);
            self.count("suspicions");
        }
    }

    /// Suspects who is up, or takes that back.
    fn mistake(&mut self, node: usize, other: usize) {
        let life = self.cores.life(other);
        if node == other || !self.cores.is_up(other) || !self.cores.is_linked(node, life) {
            return;
        }
        match self.mistaken.iter().position(|pair| *pair == (node, other)) {
            Some(at) => {
                self.mistaken.swap_remove(at);
                self.opinion(node, life, false);
            }
            None => {
                self.mistaken.push((node, other));
                self.opinion(node, life, true);
            }
        }
    }

    fn opinion(&mut self, node: usize, life: Life, suspected: bool) {
        let event = AnyEvent::new(Suspicion { life, name: "peer".into(), suspected });
        self.cores.give(node, Item::Event(event));
    }

    fn link_all(&mut self) {
        for a in 0..self.setup.nodes {
            for b in a + 1..self.setup.nodes {
                self.cores.link(a, b);
            }
        }
    }

    /// Everyone is up and linked, nobody suspects anybody, everything arrives.
    fn settle(&mut self) -> Result<(), Violation> {
        let restless = || Violation::new("termination", "after all faults stopped, it does not come to rest");
        for a in 0..self.setup.nodes {
            self.cores.heal(a);
            if !self.cores.is_up(a) {
                self.cores.start(a);
                self.count("restarts");
            }
        }
        self.link_all();
        for (node, other) in std::mem::take(&mut self.mistaken) {
            let life = self.cores.life(other);
            self.opinion(node, life, false);
        }
        if !self.cores.run_for(millis(5000), STEPS_MAX) {
            return Err(restless());
        }
        for node in 0..self.setup.nodes {
            if !self.counted_on(node) {
                return Err(Violation::new("termination", format!("{} never joins", self.cores.name(node))));
            }
        }
        let (now, first) = (self.cores.now, self.cores.life(0));
        self.cores.trace.push(now, first, What::Marked(SETTLED));
        for node in 0..self.setup.nodes {
            self.cores.broadcast(node, &format!("last of {node}"));
        }
        if self.cores.run_for(millis(5000), STEPS_MAX) { Ok(()) } else { Err(restless()) }
    }

    fn judge(&self) -> Result<(), Violation> {
        if let Some((life, fault)) = &self.cores.fault {
            return Err(Violation::new("no fault", format!("{life}: {fault}")));
        }
        let trace = &self.cores.trace;
        judge(self.rung, &History::of(trace, self.rung.kind()).reporting(trace, &missing))
    }
}
