//! The replicated map under all faults: users compare and set, read and list a few
//! keys at all nodes, and what they are told must be linearizable.
//!
//! Each write has a number of its own and happens only where its writer's last
//! sight of the key still holds, so an order of the calls can be searched for.

use super::stacks::{NAMES, chosen, millis};
use super::{Goal, Planted, Scenario};
use crate::component::{Factory, Stack};
use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::replicated_log::{At, Config, Level, Machine, Queried, ReplicatedLog};
use crate::protocol::replicated_map::{
    CHANNEL, Call, Committed, Condition, Entry, Got, NAME, Page, ReplicatedMap, Table, Transaction,
};
use crate::sim::check::{Object, Timed, Violation, linearizable};
use crate::sim::{Counts, FaultClass, NodeIndex, Outcome, Setup, Ticket, World};
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The one scenario.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Map)]
}

struct Map;

const GOALS: [Goal; 7] = [
    Goal { what: "swaps done", by: &[] },
    Goal { what: "swaps refused", by: &[] },
    Goal { what: "reads", by: &[] },
    Goal { what: "lists", by: &[] },
    Goal { what: "unknown outcomes", by: &[FaultClass::Crash, FaultClass::Partition] },
    Goal { what: "crashes", by: &[FaultClass::Crash] },
    Goal { what: "partitions", by: &[FaultClass::Partition] },
];

/// What is wrong, for the check to find.
#[derive(Copy, Clone, PartialEq)]
enum Bug {
    ConditionsIgnored,
    ListFromOne,
}

/// States that the search for an order of one key's calls may visit.
const STATES_MAX: usize = 1_000_000;

/// One key, which holds a number or nothing.
struct Register;

/// What a user did to it, or saw.
#[derive(Debug)]
enum Did {
    /// It held the first and holds the second from then on.
    Swapped(Option<u64>, u64),
    /// It held this.
    Read(Option<u64>),
}

impl Object for Register {
    type State = Option<u64>;
    type Call = Did;

    fn begin() -> Option<u64> {
        None
    }

    fn step(state: &Option<u64>, call: &Did) -> Option<Option<u64>> {
        match call {
            Did::Swapped(from, to) => (from == state).then_some(Some(*to)),
            Did::Read(seen) => (seen == state).then_some(*state),
        }
    }
}

const PROPERTY: &str = "linearizability";

const MUTANTS: [(Planted, Bug); 2] = [
    (
        Planted {
            name: "conditions-ignored",
            property: PROPERTY,
            about: "a transaction is done whatever its conditions",
        },
        Bug::ConditionsIgnored,
    ),
    (Planted { name: "list-from-one", property: PROPERTY, about: "a list is what one replica has" }, Bug::ListFromOne),
];

const PLANTED: [Planted; 2] = [MUTANTS[0].0, MUTANTS[1].0];

/// A table that compares nothing.
struct Careless(Table);

impl Machine for Careless {
    fn apply(&mut self, at: At, command: &[u8]) -> Bytes {
        let asked = postcard::from_bytes::<Transaction>(command).unwrap_or_default();
        let done = postcard::to_stdvec(&Transaction { conditions: Vec::new(), ..asked }).unwrap_or_default();
        self.0.apply(at, &done)
    }
    fn query(&self, applied: u64, query: &[u8]) -> Queried {
        self.0.query(applied, query)
    }
    fn snapshot(&self, out: &mut Vec<u8>) {
        self.0.snapshot(out);
    }
    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), String> {
        self.0.restore(index, snapshot)
    }
    fn hash(&self) -> u64 {
        self.0.hash()
    }
}

/// A node with a log and a map, settled for quick runs.
fn stack(bug: Option<Bug>) -> Stack {
    let config = move || {
        let small = Config { segment_bytes: 4096, snapshot_bytes: 2500, ..Config::default() };
        small.machine(CHANNEL, move || match bug {
            Some(Bug::ConditionsIgnored) => Box::new(Careless(Table::default())),
            _ => Box::new(Table::default()),
        })
    };
    let log = Factory::new(move || ReplicatedLog::new(config()));
    Stack { factories: vec![log, Factory::new(ReplicatedMap::default)] }
}

const KEYS: u64 = 3;
const PREFIX: &str = "key/";

fn key(n: u64) -> Bytes {
    Bytes::from(format!("{PREFIX}{n}"))
}

fn number(entry: &Entry) -> u64 {
    std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl Scenario for Map {
    fn name(&self) -> String {
        "map".to_string()
    }

    fn about(&self) -> &'static str {
        "compare-and-set, reads and lists of the replicated map are linearizable"
    }

    fn goals(&self) -> &'static [Goal] {
        &GOALS
    }

    fn nodes(&self) -> RangeInclusive<usize> {
        1..=5
    }

    fn mutants(&self) -> &'static [Planted] {
        &PLANTED
    }

    fn run(&self, setup: &Setup, planted: Option<&Planted>) -> Outcome {
        let bug = chosen(&MUTANTS, planted);
        let mut world = World::new(setup.seed);
        for name in &NAMES[..setup.nodes] {
            world.add_node(name, stack(bug));
        }
        let mut users = Users {
            listed: if bug == Some(Bug::ListFromOne) { Level::Stale } else { Level::Linearizable },
            ..Users::default()
        };
        let settled = users.drive(&mut world, setup);
        let judged = users.history.values().try_for_each(|calls| linearizable::<Register>(calls, STATES_MAX));
        let counts = std::mem::take(&mut users.counts);
        let mut outcome = Outcome::from((world, judged.and(settled)));
        outcome.counts.extend(counts);
        outcome
    }
}

enum What {
    Swap(u64, Option<u64>, u64),
    Read(u64),
    List,
}

/// A call, of which user, and when.
struct Asked {
    ticket: Ticket,
    at: NodeIndex,
    when: Time,
    what: What,
}

/// What users asked for, and what they were told.
#[derive(Default)]
struct Users {
    open: Vec<Asked>,
    /// What each node's user last saw of each key.
    seen: BTreeMap<(NodeIndex, u64), Option<u64>>,
    history: BTreeMap<u64, Vec<Timed<Did>>>,
    next: u64,
    listed: Level,
    counts: Counts,
}

type Answered<T> = Result<Result<T, CallError>, CallError>;

impl Users {
    fn drive(&mut self, world: &mut World, setup: &Setup) -> Result<(), Violation> {
        let faults = setup.draw(&mut world.rng().fork(), setup.nodes);
        world.run_for(millis(4000));
        world.set_faults(faults);
        let longest = setup.chaos(millis(400)).as_nanos() as u64;
        for _ in 0..2 * setup.calls {
            for _ in 0..world.rng().usize(1..4) {
                let at = NodeIndex(world.rng().usize(0..setup.nodes));
                self.ask(world, at);
            }
            let pause = world.rng().u64(0..=longest);
            world.run_for(std::time::Duration::from_nanos(pause));
            self.collect(world);
        }
        world.heal();
        for _ in 0..30 {
            world.all().for_each(|node| world.restart(node, true));
            world.run_for(millis(500));
            self.collect(world);
        }
        for asked in std::mem::take(&mut self.open) {
            if let What::Swap(on, from, to) = asked.what {
                self.add(&asked, on, None, Did::Swapped(from, to)); // nobody will say
            }
        }
        let before = self.told();
        let reads: Vec<NodeIndex> = world.all().collect();
        for node in &reads {
            self.read(world, *node, 0);
        }
        world.run_for(millis(4000));
        self.collect(world);
        match self.told() - before {
            told if told == reads.len() as u64 => Ok(()),
            told => Err(Violation::new("termination", format!("after all faults stopped, {told} reads are answered"))),
        }
    }

    fn told(&self) -> u64 {
        self.counts.get("reads").copied().unwrap_or(0)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    fn ask(&mut self, world: &mut World, at: NodeIndex) {
        let on = world.rng().u64(0..KEYS);
        match world.rng().u32(0..5) {
            0 => self.read(world, at, on),
            1 => {
                let (prefix, level) = (Bytes::from(PREFIX), self.listed);
                let call = Call::List { prefix, after: None, limit: 100, level, within: millis(3000) };
                self.call(world, at, call, What::List);
            }
            _ => {
                self.next += 1;
                let (from, to) = (self.seen.get(&(at, on)).copied().flatten(), self.next);
                let condition = match from {
                    None => Condition::Absent(key(on)),
                    Some(from) => Condition::Value(key(on), from.to_string().into()),
                };
                let transaction = Transaction::default().when(condition).put(key(on), to.to_string());
                let call = Call::Commit { transaction, key: None, within: millis(3000) };
                self.call(world, at, call, What::Swap(on, from, to));
            }
        }
    }

    fn read(&mut self, world: &mut World, at: NodeIndex, on: u64) {
        let call = Call::Get { keys: vec![key(on)], level: Level::Linearizable, within: millis(3000) };
        self.call(world, at, call, What::Read(on));
    }

    fn call(&mut self, world: &mut World, at: NodeIndex, call: Call, what: What) {
        let ticket = world.call(at, Kind::of(NAME), Box::new(call), millis(4000));
        self.open.push(Asked { ticket, at, when: world.now(), what });
    }

    fn add(&mut self, asked: &Asked, on: u64, answered: Option<Time>, did: Did) {
        self.history.entry(on).or_default().push(Timed { asked: asked.when, answered, call: did });
    }

    /// The user of a node was told what a key holds.
    fn told_of(&mut self, asked: &Asked, on: u64, now: Time, held: Option<u64>) {
        self.seen.insert((asked.at, on), held);
        self.add(asked, on, Some(now), Did::Read(held));
    }

    /// Takes the answers that are there.
    fn collect(&mut self, world: &mut World) {
        let now = world.now();
        for asked in std::mem::take(&mut self.open) {
            let there = match asked.what {
                What::Swap(on, from, to) => {
                    world.answer(asked.ticket).map(|answer| self.swapped(&asked, on, from, to, now, answer))
                }
                What::Read(on) => world.answer(asked.ticket).map(|answer| self.was_read(&asked, on, now, answer)),
                What::List => world.answer(asked.ticket).map(|answer| self.was_listed(&asked, now, answer)),
            };
            if there.is_none() {
                self.open.push(asked);
            }
        }
    }

    fn swapped(&mut self, asked: &Asked, on: u64, from: Option<u64>, to: u64, now: Time, answer: Answered<Committed>) {
        match answer {
            Ok(Ok(Committed::Done { .. })) => {
                self.count("swaps done");
                self.seen.insert((asked.at, on), Some(to));
                self.add(asked, on, Some(now), Did::Swapped(from, to));
            }
            Ok(Ok(Committed::Failed { found, .. })) => {
                self.count("swaps refused");
                self.told_of(asked, on, now, found.as_ref().map(number));
            }
            // not done, as it says
            Ok(Ok(Committed::Refused(_)) | Err(CallError::Refused(_))) => {}
            Ok(Err(_)) | Err(_) => {
                self.count("unknown outcomes");
                self.add(asked, on, None, Did::Swapped(from, to));
            }
        }
    }

    fn was_read(&mut self, asked: &Asked, on: u64, now: Time, answer: Answered<Got<Vec<Option<Entry>>>>) {
        if let Ok(Ok(got)) = answer {
            self.count("reads");
            self.told_of(asked, on, now, got.value.first().and_then(Option::as_ref).map(number));
        }
    }

    fn was_listed(&mut self, asked: &Asked, now: Time, answer: Answered<Got<Page>>) {
        if let Ok(Ok(got)) = answer {
            self.count("lists");
            for on in 0..KEYS {
                let entry = got.value.entries.iter().find(|entry| entry.key == key(on));
                self.told_of(asked, on, now, entry.map(number));
            }
        }
    }
}
