//! The voters of a delivery change as entries of the log, under all faults.
//!
//! Three nodes begin; the others are in nobody's list and join in the middle of it, and
//! a voter is removed now and then, and taken in again with an empty disk. All that
//! vote broadcast meanwhile. Then the faults stop, all nodes vote, and each broadcasts
//! once more.

use super::delivery::judge;
use super::stacks::{EXCLUDE_AFTER, NAMES, against, chosen, joined, last_words, millis, missing, no_fault};
use super::{Goal, Planted, Scenario, chaos};
use crate::component::{Factory, Stack};
use crate::id::Kind;
use crate::protocol::delivery::{Broadcast, Config, Delivery, Mutant};
use crate::protocol::failure_detector::{self as detector, Detector};
use crate::protocol::membership::{self, Membership, VoterList};
use crate::protocol::replicated_log::{self as log, Call, NAME, ReplicatedLog, Status};
use crate::sim::check::{self, History, Violation};
use crate::sim::{Counts, DiskFaults, DiskKept, FaultClass, Faults, NodeIndex, Outcome, Setup, World};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Voters)]
}

struct Voters;

const GOALS: [Goal; 7] = [
    Goal { what: "lists of voters", by: &[] },
    Goal { what: "joiners", by: &[] },
    Goal { what: "removed", by: &[] },
    Goal { what: "taken in again", by: &[] },
    Goal { what: "log_snapshot_installed", by: &[FaultClass::Crash, FaultClass::Partition] },
    Goal { what: "crashes", by: &[FaultClass::Crash] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
];

const MUTANTS: [(Planted, Mutant); 1] = [(
    Planted { name: "first-copy", property: "uniform agreement", about: "delivers at the first copy" },
    Mutant::DeliverFirstCopy,
)];

const PLANTED: [Planted; 1] = [MUTANTS[0].0];

/// Who joins.
const JOINERS: [&str; 2] = ["zeta", "eta"];
/// So many begin, and below so many none is removed: each list has to bear one failure.
const VOTERS_MIN: usize = 3;

fn stack(rung: Delivery, mutant: Option<Mutant>) -> Stack {
    let config = move || Config { absent_after: millis(60_000), voters_by_log: true, ..Config::new(rung) };
    let broadcast = Factory::new(move || match mutant {
        Some(mutant) => Broadcast::mutant(config(), mutant),
        None => Broadcast::new(config()),
    });
    let members = membership::Config { voters_by_log: true, ..membership::Config::new(EXCLUDE_AFTER) };
    let small = || log::Config { segment_bytes: 4096, snapshot_bytes: 2500, ..log::Config::default() };
    Stack {
        factories: vec![
            Factory::new(|| Detector::new(detector::Config::phi(8.0, millis(200)))),
            Factory::new(move || Membership::new(members)),
            Factory::new(move || ReplicatedLog::new(small())),
            broadcast,
        ],
    }
}

impl Scenario for Voters {
    fn name(&self) -> String {
        "voters".into()
    }

    fn about(&self) -> &'static str {
        "what anyone delivered, every correct node delivers, while the voters change as entries of the log"
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        VOTERS_MIN..=VOTERS_MIN + JOINERS.len()
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let mut run = Run::new(setup, chosen(&MUTANTS, planted));
        run.chaos();
        let result = run.settle().and_then(|()| run.judge());
        let lists = run.world.all().map(|node| run.world.events::<VoterList>(node).count() as u64).max();
        run.counts.insert("lists of voters", lists.unwrap_or(0).saturating_sub(1));
        let mut outcome = Outcome::from((run.world, result));
        outcome.counts.append(&mut run.counts);
        outcome
    }
}

struct Run<'a> {
    setup: &'a Setup,
    rung: Delivery,
    mutant: Option<Mutant>,
    world: World,
    counts: Counts,
    /// Before which of the calls a node joins.
    joins: Vec<usize>,
    /// Who is being removed, and comes back.
    leaving: Option<NodeIndex>,
    removed: bool,
}

impl<'a> Run<'a> {
    fn new(setup: &'a Setup, mutant: Option<Mutant>) -> Self {
        let mut world = World::new(setup.seed);
        let mut drawn = world.rng().fork();
        let rungs = [Delivery::Uniform, Delivery::UniformFifo, Delivery::UniformCausal, Delivery::ReliableCausal];
        let rung = if mutant.is_some() { Delivery::Uniform } else { rungs[drawn.usize(0..rungs.len())] };
        for name in &NAMES[..VOTERS_MIN] {
            world.add_node(name, stack(rung, mutant));
        }
        // a node fails whose life is not joined by the list that it is in
        world.ready_when(move |world, node| match world.inspect_row(node, rung.name(), "joined") {
            Some(row) => row == "yes" || row.ends_with("does not vote"),
            None => false,
        });
        // disks fail by whole lives only: a failed one ends a life beside those that may fail
        let drawn_faults = Faults { disk: DiskFaults::none(), disk_kept: 1.0, ..setup.draw(&mut drawn, 1) };
        world.run_for(millis(3000));
        world.set_faults(drawn_faults);
        let joins = (VOTERS_MIN..setup.nodes).map(|_| drawn.usize(0..=setup.calls)).collect();
        Run { setup, rung, mutant, world, counts: Counts::new(), joins, leaving: None, removed: false }
    }

    fn any(&mut self) -> NodeIndex {
        let there = self.world.all().count();
        NodeIndex(self.world.rng().usize(0..there))
    }

    /// Whether this node may broadcast.
    fn votes(&mut self, node: NodeIndex) -> bool {
        let row = self.world.inspect_row(node, self.rung.name(), "joined");
        row.is_some_and(|row| !row.contains("vote"))
    }

    fn broadcast(&mut self, body: String) {
        let at = self.any();
        if self.votes(at) {
            self.world.broadcast(at, self.rung.kind(), body);
        }
    }

    fn chaos(&mut self) {
        let longest = self.setup.chaos(millis(600)).as_nanos() as u64;
        for call in 0..self.setup.calls {
            self.join(call);
            for n in 0..self.world.rng().usize(1..=3) {
                self.broadcast(format!("m{call}.{n}"));
            }
            self.fill_log();
            if self.world.rng().u32(0..6) == 0 {
                self.remove();
            }
            let pause = Duration::from_nanos(self.world.rng().u64(0..=longest));
            self.world.run_for(pause);
            self.take_in_again();
        }
        self.join(self.setup.calls);
        chaos::end(&mut self.world);
    }

    fn join(&mut self, call: usize) {
        for _ in self.joins.extract_if(.., |at| *at == call) {
            let name = JOINERS[self.world.all().count() - VOTERS_MIN];
            self.world.add_joiner(name, stack(self.rung, self.mutant));
            *self.counts.entry("joiners").or_insert(0) += 1;
        }
    }

    /// So that snapshots take the place of entries.
    fn fill_log(&mut self) {
        let (at, command) = (self.any(), vec![7; 600].into());
        let call = Call::Propose { channel: Kind::of("nobody"), command, key: None, within: millis(3000) };
        self.world.call(at, Kind::of(NAME), Box::new(call), millis(4000));
    }

    fn status(&mut self, node: NodeIndex) -> Option<Status> {
        self.world.ask::<Status>(node, Kind::of(NAME), Call::Status, millis(20)).ok()
    }

    /// A voter is to go, where enough others are joined.
    fn remove(&mut self) {
        let (leaving, by) = (self.any(), self.any());
        if self.leaving.is_some() {
            return;
        }
        let voters = self.status(by).map_or(0, |status| status.voters.len());
        let others: Vec<NodeIndex> = self.world.all().filter(|node| *node != leaving).collect();
        let rung = self.rung;
        let counted = others.into_iter().filter(|node| joined(&mut self.world, *node, rung)).count();
        if voters > VOTERS_MIN && counted >= VOTERS_MIN {
            (self.leaving, self.removed) = (Some(leaving), true);
            *self.counts.entry("removed").or_insert(0) += 1;
            let node = self.world.life(leaving).node;
            let call = Call::Remove { node, within: millis(3000) };
            self.world.call(by, Kind::of(NAME), Box::new(call), millis(4000));
        }
    }

    /// One that has left comes back with an empty disk.
    fn take_in_again(&mut self) {
        let Some(leaving) = self.leaving else { return };
        let node = self.world.life(leaving).node;
        let others: Vec<NodeIndex> = self.world.all().filter(|other| *other != leaving).collect();
        for other in others {
            let Some(status) = self.world.is_up(other).then(|| self.status(other)).flatten() else { continue };
            let mut members = status.voters.iter().chain(&status.learners).peekable();
            if members.peek().is_some() && members.all(|member| member.node != node) {
                self.leaving = None;
                *self.counts.entry("taken in again").or_insert(0) += 1;
                self.world.crash(leaving);
                self.world.restart_with(leaving, DiskKept::Nothing);
                return;
            }
        }
    }

    /// All vote in the end, and are joined.
    fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..60 {
            self.world.run_for(millis(500));
            self.take_in_again();
            for node in self.world.all() {
                self.world.restart(node, true);
            }
            if self.all_vote() {
                self.world.run_for(EXCLUDE_AFTER + millis(1500));
            }
            if self.all_vote() {
                let voters = self.world.len();
                last_words(&mut self.world, voters, self.rung.kind());
                return Ok(());
            }
        }
        let told: Vec<String> = self.world.all().map(|node| format!("{:?}", self.world.inspect(node))).collect();
        Err(Violation::new("termination", format!("after all faults stopped, not everyone votes: {told:#?}")))
    }

    fn all_vote(&mut self) -> bool {
        let nodes: Vec<NodeIndex> = self.world.all().collect();
        let there = nodes.len();
        nodes.into_iter().all(|node| {
            let row = self.world.inspect_row(node, self.rung.name(), "voters seen");
            joined(&mut self.world, node, self.rung) && row.is_some_and(|row| row == format!("{there} of {there}"))
        })
    }

    fn judge(&self) -> Result<(), Violation> {
        no_fault(&self.world)?;
        let trace = self.world.trace();
        let history = History::of(trace, self.rung.kind()).reporting(trace, &missing);
        judge(self.rung, &history.listening(self.world.listeners(), true))?;
        if self.removed {
            return Ok(()); // who does not vote any more is ended by each for itself
        }
        check::decided_by_majority(trace, &self.world.voters(), &against)
    }
}
