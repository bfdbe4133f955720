//! The replicated map under faults: transfers between accounts, read and watched
//! at all nodes.
//!
//! Every answer says its index, so the order in which things were done need not be
//! searched for: what is watched is replayed in that order, and each answer must be
//! what the replay says at its index, no earlier than what was known when it was
//! asked.

use bytes::Bytes;
use nodewright::component::{Factory, Stack};
use nodewright::error::CallError;
use nodewright::id::Kind;
use nodewright::protocol::replicated_log::{Config, Level, Mutant, ReplicatedLog};
use nodewright::protocol::replicated_map::{
    CHANNEL, Call, Change, Committed, Condition, Entry, Got, NAME, Page, ReplicatedMap, Table, Transaction, Watched,
};
use nodewright::sim::check::Violation;
use nodewright::sim::{NodeIndex, Outcome, Setup, Smallest, Ticket, World, seeds};
use std::collections::BTreeMap;
use std::time::Duration;

const ACCOUNTS: u64 = 4;
const EACH: u64 = 100;
const WITHIN: Duration = Duration::from_secs(3);

/// What is wrong in a run, for the checks to find.
#[derive(Copy, Clone, PartialEq)]
enum Bug {
    InTheLog(Mutant),
    /// A watch goes on one index too late.
    WatchResumesLate,
}

fn stack(bug: Option<Bug>) -> Stack {
    let mutant = match bug {
        Some(Bug::InTheLog(mutant)) => Some(mutant),
        _ => None,
    };
    let config = move || {
        let small = Config { segment_bytes: 4096, snapshot_bytes: 2500, mutant, ..Config::default() };
        small.machine(CHANNEL, || Box::new(Table::default()))
    };
    let log = Factory::new(move || ReplicatedLog::new(config()));
    Stack { factories: vec![log, Factory::new(ReplicatedMap::default)] }
}

fn account(n: u64) -> Bytes {
    Bytes::from(format!("account/{n}"))
}

fn amount(value: &Bytes) -> u64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).expect("an amount")
}

fn accounts() -> Vec<Bytes> {
    (0..ACCOUNTS).map(account).collect()
}

/// Key, amount, version.
type Account = (Bytes, u64, u64);
type GotAll = Result<Got<Vec<Option<Entry>>>, CallError>;

/// A call and what was known when it was made.
struct Asked<T> {
    ticket: Ticket,
    /// The newest index that anybody had been told by then.
    known: u64,
    about: T,
}

#[derive(Default)]
struct Bank {
    /// The newest index that anybody was told of.
    known: u64,
    reads: Vec<Asked<()>>,
    transfers: Vec<Asked<Vec<(Bytes, u64)>>>,
    /// What a read saw, and at which index.
    seen: Vec<(u64, Vec<Account>)>,
    done: Vec<(u64, Vec<(Bytes, u64)>)>,
    failed: u64,
}

fn call(world: &mut World, at: NodeIndex, call: Call) -> Ticket {
    world.call(at, Kind::of(NAME), Box::new(call), WITHIN + Duration::from_secs(1))
}

impl Bank {
    fn read(&mut self, world: &mut World, at: NodeIndex) {
        let ticket = call(world, at, Call::Get { keys: accounts(), level: Level::Linearizable, within: WITHIN });
        self.reads.push(Asked { ticket, known: self.known, about: () });
    }

    /// Takes answers; what was read leads to a transfer on just that state.
    fn collect(&mut self, world: &mut World, nodes: usize) -> Result<(), Violation> {
        for asked in std::mem::take(&mut self.reads) {
            match world.answer::<GotAll>(asked.ticket) {
                None => self.reads.push(asked),
                Some(Ok(Ok(got))) => {
                    if got.applied < asked.known {
                        let why = format!("a read at index {} when {} was known", got.applied, asked.known);
                        return Err(Violation::new("linearizability", why));
                    }
                    let entries: Vec<Entry> = got.value.into_iter().flatten().collect();
                    let sum: u64 = entries.iter().map(|entry| amount(&entry.value)).sum();
                    if sum != ACCOUNTS * EACH {
                        return Err(Violation::new("atomicity", format!("the sum is {sum}: {entries:?}")));
                    }
                    self.known = self.known.max(got.applied);
                    let all = entries.iter().map(|it| (it.key.clone(), amount(&it.value), it.version)).collect();
                    self.seen.push((got.applied, all));
                    self.transfer(world, &entries, nodes);
                }
                Some(_) => {}
            }
        }
        for asked in std::mem::take(&mut self.transfers) {
            match world.answer::<Result<Committed, CallError>>(asked.ticket) {
                None => self.transfers.push(asked),
                Some(Ok(Ok(Committed::Done { version }))) => {
                    if version <= asked.known {
                        let why = format!("done at index {version}, asked for when {} was known", asked.known);
                        return Err(Violation::new("linearizability", why));
                    }
                    self.known = self.known.max(version);
                    self.done.push((version, asked.about));
                }
                Some(Ok(Ok(Committed::Failed { at, .. }))) => {
                    self.known = self.known.max(at);
                    self.failed += 1;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn transfer(&mut self, world: &mut World, entries: &[Entry], nodes: usize) {
        let (from, to) = (world.rng().usize(0..entries.len()), world.rng().usize(0..entries.len()));
        let much = world.rng().u64(0..=amount(&entries[from].value));
        if from == to {
            return;
        }
        let after = [
            (entries[from].key.clone(), amount(&entries[from].value) - much),
            (entries[to].key.clone(), amount(&entries[to].value) + much),
        ];
        let mut transaction = Transaction::default();
        for entry in [&entries[from], &entries[to]] {
            transaction = transaction.when(Condition::Version(entry.key.clone(), entry.version));
        }
        for (key, value) in &after {
            transaction = transaction.put(key.clone(), value.to_string());
        }
        let at = NodeIndex(world.rng().usize(0..nodes));
        let key = world.rng().bool().then(|| u128::from(world.rng().u64(..)));
        let ticket = call(world, at, Call::Commit { transaction: transaction.clone(), key, within: WITHIN });
        self.transfers.push(Asked { ticket, known: self.known, about: after.to_vec() });
        if key.is_some() {
            // asked for again, through another node: still done once
            let other = NodeIndex(world.rng().usize(0..nodes));
            call(world, other, Call::Commit { transaction, key, within: WITHIN });
        }
    }
}

/// What one user watches, through whatever node it is linked with.
struct Watch {
    ticket: Option<Ticket>,
    through: u64,
    changes: Vec<Change>,
    gone: u64,
    late: bool,
}

impl Watch {
    fn go_on(&mut self, world: &mut World, nodes: usize) {
        if let Some(ticket) = self.ticket {
            match world.answer::<Result<Got<Watched>, CallError>>(ticket) {
                None => return,
                Some(Ok(Ok(got))) => match got.value {
                    Watched::Changes { changes, through } => {
                        self.changes.extend(changes);
                        self.through = through;
                    }
                    Watched::Gone { oldest } => {
                        self.gone += 1;
                        self.through = oldest;
                        self.changes.clear();
                    }
                },
                Some(_) => {}
            }
        }
        let at = NodeIndex(world.rng().usize(0..nodes));
        let (prefix, after) = (Bytes::from("account/"), self.through + u64::from(self.late));
        self.ticket = Some(call(world, at, Call::Watch { prefix, after, limit: 3, within: WITHIN }));
    }
}

fn run(setup: &Setup, bug: Option<Bug>) -> Outcome {
    let mut world = World::new(setup.seed);
    for name in &["alpha", "beta", "gamma", "delta", "epsilon"][..setup.nodes] {
        world.add_node(name, stack(bug));
    }
    let late = bug == Some(Bug::WatchResumesLate);
    let mut watch = Watch { ticket: None, through: 0, changes: Vec::new(), gone: 0, late };
    let mut bank = Bank::default();
    let result = drive(&mut world, setup, &mut bank, &mut watch);
    let mut outcome = Outcome::from((world, result));
    let counted = [
        ("reads", bank.seen.len() as u64),
        ("transfers done", bank.done.len() as u64),
        ("transfers refused", bank.failed),
        ("watched", watch.changes.len() as u64),
        ("watched histories gone", watch.gone),
    ];
    outcome.counts.extend(counted);
    outcome
}

fn drive(world: &mut World, setup: &Setup, bank: &mut Bank, watch: &mut Watch) -> Result<(), Violation> {
    world.run_for(Duration::from_secs(4));
    let mut open = Transaction::default();
    for key in accounts() {
        open = open.when(Condition::Absent(key.clone())).put(key, EACH.to_string());
    }
    let opened: Result<Result<Committed, CallError>, _> =
        world.ask(NodeIndex(0), Kind::of(NAME), Call::Commit { transaction: open, key: None, within: WITHIN }, WITHIN);
    if !matches!(opened, Ok(Ok(Committed::Done { .. }))) {
        return Err(Violation::new("termination", format!("{opened:?}")));
    }
    let faults = setup.draw(&mut world.rng().fork(), setup.nodes);
    world.set_faults(faults);
    let longest = setup.chaos(Duration::from_millis(400)).as_nanos() as u64;
    for _ in 0..2 * setup.calls {
        for _ in 0..world.rng().usize(1..4) {
            let at = NodeIndex(world.rng().usize(0..setup.nodes));
            bank.read(world, at);
        }
        let pause = Duration::from_nanos(world.rng().u64(0..=longest));
        world.run_for(pause);
        bank.collect(world, setup.nodes)?;
        watch.go_on(world, setup.nodes);
    }
    world.heal();
    for _ in 0..40 {
        for node in world.all() {
            world.restart(node, true);
        }
        world.run_for(Duration::from_millis(500));
        bank.collect(world, setup.nodes)?;
        watch.go_on(world, setup.nodes);
    }
    let (prefix, level) = (Bytes::from("account/"), Level::Linearizable);
    let list = Call::List { prefix, after: None, limit: 100, level, within: WITHIN };
    let listed: Result<Result<Got<Page>, CallError>, _> = world.ask(NodeIndex(0), Kind::of(NAME), list, WITHIN);
    let Ok(Ok(listed)) = listed else { return Err(Violation::new("termination", format!("{listed:?}"))) };
    world.run_for(Duration::from_secs(4));
    watch.go_on(world, setup.nodes);
    judge(bank, watch, &listed.value.entries)
}

/// Replays what was watched, and compares.
fn judge(bank: &Bank, watch: &Watch, last: &[Entry]) -> Result<(), Violation> {
    if !watch.changes.is_sorted_by_key(|change| change.index) {
        return Err(Violation::new("watch order", format!("{:?}", watch.changes)));
    }
    let mut at: BTreeMap<u64, BTreeMap<Bytes, (u64, u64)>> = BTreeMap::new();
    let mut state = BTreeMap::new();
    for change in &watch.changes {
        let value = change.value.as_ref().map(amount).ok_or_else(|| Violation::new("no creation", "a deletion"))?;
        state.insert(change.key.clone(), (value, change.index));
        at.insert(change.index, state.clone());
    }
    if watch.gone > 0 {
        return Ok(()); // the history was gone: only what is above is judged
    }
    let end: Vec<_> = state.iter().map(|(key, (value, version))| (key.clone(), *value, *version)).collect();
    let listed: Vec<_> = last.iter().map(|it| (it.key.clone(), amount(&it.value), it.version)).collect();
    if end != listed {
        return Err(Violation::new("watch without gap", format!("watched {end:?}, listed {listed:?}")));
    }
    for (index, seen) in &bank.seen {
        let then = at.range(..=index).next_back().map(|(_, state)| state);
        let then: Vec<_> =
            then.into_iter().flatten().map(|(key, (value, version))| (key.clone(), *value, *version)).collect();
        if then != *seen {
            return Err(Violation::new("linearizability", format!("at {index}: {then:?}, read {seen:?}")));
        }
    }
    for (version, after) in &bank.done {
        let there = |(key, value): &(Bytes, u64)| {
            at.get(version).is_some_and(|state| state.get(key) == Some(&(*value, *version)))
        };
        if !after.iter().all(there) {
            return Err(Violation::new(
                "durability",
                format!("the transfer done at {version} is not there: {after:?}"),
            ));
        }
    }
    Ok(())
}

#[test]
fn transfers_are_atomic_reads_are_linearizable_and_watches_have_no_gap() {
    let test = "sim_map::transfers_are_atomic_reads_are_linearizable_and_watches_have_no_gap";
    let goals = [
        "crashes",
        "partitions",
        "log_leader",
        "log_snapshot_installed",
        "reads",
        "transfers done",
        "transfers refused",
        "watched",
        "watched histories gone",
    ];
    let setup = Setup { nodes: 3, ..Setup::default() };
    let smallest = Smallest { nodes: 1, calls: 1 };
    match seeds(test, 0..120).sometimes(&goals).measures(setup, smallest).explore(|setup| run(setup, None)) {
        Ok(counts) => println!("{:?}", goals.map(|goal| (goal, counts[goal]))),
        Err(failure) => panic!("{failure}"),
    }
}

/// The shipped scenario, whose answers an order is searched for.
#[test]
fn what_users_are_told_is_linearizable() {
    let scenario = nodewright::scenario::find("map").expect("shipped");
    let goals: Vec<&str> = scenario.goals().iter().map(|goal| goal.what).collect();
    let batch = seeds("sim_map::what_users_are_told_is_linearizable", 0..75).sometimes(&goals);
    let run = batch.measures(Setup::default(), scenario.smallest()).explore(|setup| scenario.run(setup, None));
    match run {
        Ok(counts) => println!("{:?}", goals.iter().map(|goal| (goal, counts[goal])).collect::<Vec<_>>()),
        Err(failure) => panic!("{failure}"),
    }
}

#[track_caller]
fn check_caught(bug: Bug, properties: &[&str]) {
    let setup = Setup { nodes: 3, ..Setup::default() };
    let (seed, violation) =
        seeds("sim_map", 0..300).catch(|seed| run(&setup.seeded(seed), Some(bug))).expect("it is caught");
    assert!(properties.contains(&violation.property), "seed {seed}: {violation}");
    println!("{}: caught by seed {seed}", violation.property);
}

#[test]
fn a_read_without_a_quorum_is_caught() {
    check_caught(Bug::InTheLog(Mutant::LeaseRead), &["linearizability"]);
}

#[test]
fn a_watch_that_resumes_one_late_is_caught() {
    // reads are compared with what was watched: a gap shows there, if it closes before the end
    check_caught(Bug::WatchResumesLate, &["watch without gap", "linearizability"]);
}
