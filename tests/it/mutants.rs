//! Planted bugs: for every property there is one that its check catches, by
//! that property's name. A check that cannot fail is a defect.
//!
//! The bugs of the transport's gate are in builds for tests alone, and stand
//! beside their tests in `src/transport/planted`.
//!
//! One table: `cargo test --test it mutants -- --nocapture` shows it.

use nodewright::scenario;
use nodewright::sim::{Batch, Outcome, Setup};

/// A planted bug and what caught it.
pub struct Row {
    /// The property, as in [`PROPERTIES`].
    pub property: &'static str,
    /// The bug.
    pub mutant: String,
    /// What caught it.
    pub caught_by: String,
    /// How many seeds, or states, it took.
    pub needed: String,
}

/// Where rows come from; each panics if one of its bugs is not caught.
const PROVIDERS: &[fn() -> Vec<Row>] = &[
    simulated,
    crate::models::mutants::rows,
    #[cfg(feature = "ring")]
    crate::sim_ring_planted::rows,
];

/// Every property that is promised by now.
const PROPERTIES: &[&str] = &[
    "link: no duplication",
    "link: no creation",
    "link: order",
    "link: reliable delivery",
    "gate: nothing of an earlier life",
    "best effort: validity",
    "reliable: no duplication",
    "reliable: no creation",
    "reliable: agreement",
    "uniform: no creation",
    "uniform: uniform agreement",
    "FIFO: order",
    "causal: order",
    "detectors: completeness",
    "detectors: eventual accuracy",
    "membership: ended by majority",
    "election: one leader an epoch",
    "election: lower epochs refused",
    "election: epochs only rise",
    "election: one rank an election",
    #[cfg(feature = "ring")]
    "ring: what is listed can be read",
    #[cfg(feature = "ring")]
    "ring: nothing is left in stage",
    #[cfg(feature = "ring")]
    "ring: copies are what was pushed",
    "log: durability",
    "log: no duplication",
    "log: linearizability",
    "log: votes are kept",
    "log: terms only rise",
    "log: honest disks serve",
    #[cfg(feature = "documents")]
    "documents: linearizability",
    #[cfg(feature = "documents")]
    "documents: exactly once",
    #[cfg(feature = "documents")]
    "documents: index and scan agree",
    #[cfg(feature = "documents")]
    "documents: watch without gap",
    #[cfg(feature = "documents")]
    "documents: one holder",
    #[cfg(feature = "documents")]
    "documents: atomicity",
    #[cfg(feature = "documents")]
    "documents: pages show one state",
    #[cfg(feature = "documents")]
    "documents: equal states",
    #[cfg(feature = "documents")]
    "documents: honest disks serve",
    #[cfg(feature = "stego_service")]
    "stego: no assignment of a lower epoch",
    #[cfg(feature = "stego_service")]
    "stego: recorded at most once",
    #[cfg(feature = "stego_service")]
    "stego: no orphans",
    #[cfg(feature = "stego_service")]
    "stego: lower attempts refused",
    #[cfg(feature = "stego_service")]
    "stego: no task dropped silently",
    #[cfg(feature = "stego_service")]
    "stego: right results",
    "map: linearizability",
    "voters: uniform agreement",
    "steering: moves are a tenure apart",
    "steering: an advantage lasts before a move",
    "steering: in calm the idlest leads",
];

/// The property, the scenario of the simulator, its planted bug.
const SIMULATED: &[(&str, &str, &str)] = &[
    ("link: no duplication", "link", "dedupe-dropped"),
    ("link: no creation", "link", "incarnation-forgotten"),
    ("link: order", "link", "early-taken"),
    ("link: reliable delivery", "link", "never-resent"),
    ("gate: nothing of an earlier life", "link", "earlier-life-heard"),
    ("best effort: validity", "best-effort", "self-skipped"),
    ("best effort: validity", "best-effort", "first-error-stops"),
    ("reliable: no duplication", "reliable", "dedupe-dropped"),
    ("reliable: no creation", "reliable", "incarnation-forgotten"),
    ("reliable: agreement", "reliable", "no-relay-no-pull"),
    ("reliable: agreement", "core.reliable", "no-relay-no-pull"),
    ("uniform: uniform agreement", "uniform", "first-copy"),
    ("uniform: uniform agreement", "core.uniform", "first-copy"),
    ("uniform: uniform agreement", "uniform", "amnesiac-acks"),
    ("uniform: uniform agreement", "core.uniform", "amnesiac-acks"),
    ("FIFO: order", "reliable.fifo", "on-arrival"),
    ("causal: order", "reliable.causal", "on-arrival"),
    ("causal: order", "uniform.causal", "on-arrival"),
    ("causal: order", "reliable.causal", "lamport-for-vectors"),
    ("detectors: completeness", "detector.phi", "acks-feed-the-estimator"),
    ("detectors: eventual accuracy", "detector.growing", "timeout-never-grows"),
    ("membership: ended by majority", "detector.fixed", "one-opinion-ends"),
    ("election: one leader an epoch", "election.safe", "epoch-reused"),
    ("election: lower epochs refused", "election.textbook", "old-coordinator-accepted"),
    ("election: lower epochs refused", "election.textbook", "no-fence"),
    ("election: one rank an election", "election.textbook", "score-not-frozen"),
    ("election: epochs only rise", "election.textbook", "epoch-not-persisted"),
    ("log: terms only rise", "log", "sync-dropped"),
    ("log: durability", "log", "ack-before-majority"),
    ("log: no duplication", "log", "applied-twice"),
    ("log: linearizability", "log", "lease-read"),
    ("log: votes are kept", "log", "vote-not-persisted"),
    ("log: terms only rise", "log", "term-forgotten"),
    ("log: honest disks serve", "log", "snapshot-unsynced"),
    #[cfg(feature = "documents")]
    ("documents: linearizability", "documents", "read-without-quorum"),
    #[cfg(feature = "documents")]
    ("documents: linearizability", "documents", "lease-read"),
    #[cfg(feature = "documents")]
    ("documents: exactly once", "documents", "applied-twice"),
    #[cfg(feature = "documents")]
    ("documents: index and scan agree", "documents", "index-not-updated"),
    #[cfg(feature = "documents")]
    ("documents: watch without gap", "documents", "watch-late"),
    #[cfg(feature = "documents")]
    ("documents: one holder", "documents", "unique-blind"),
    #[cfg(feature = "documents")]
    ("documents: atomicity", "documents", "half-a-batch"),
    #[cfg(feature = "documents")]
    ("documents: pages show one state", "documents", "cursor-unpinned"),
    #[cfg(feature = "documents")]
    ("documents: equal states", "documents", "one-replica-differs"),
    #[cfg(feature = "documents")]
    ("documents: honest disks serve", "documents", "snapshot-unsynced"),
    #[cfg(feature = "ring")]
    ("ring: what is listed can be read", "ring", "todays-ring"),
    #[cfg(feature = "ring")]
    ("ring: nothing is left in stage", "ring", "ack-before-sync"),
    #[cfg(feature = "stego_service")]
    ("stego: no assignment of a lower epoch", "stego", "no-fence"),
    #[cfg(feature = "stego_service")]
    ("stego: recorded at most once", "stego", "recorded-twice"),
    #[cfg(feature = "stego_service")]
    ("stego: no orphans", "stego", "orphans-forgotten"),
    #[cfg(feature = "stego_service")]
    ("stego: lower attempts refused", "stego", "fence-unchecked"),
    #[cfg(feature = "stego_service")]
    ("stego: no task dropped silently", "stego", "overflow-dropped"),
    #[cfg(feature = "stego_service")]
    ("stego: right results", "stego", "remembered-by-number"),
    ("steering: moves are a tenure apart", "steering", "no-tenure"),
    ("steering: an advantage lasts before a move", "steering", "at-once"),
    ("steering: in calm the idlest leads", "steering", "never-asks"),
    ("voters: uniform agreement", "voters", "first-copy"),
    ("map: linearizability", "map", "conditions-ignored"),
    ("map: linearizability", "map", "list-from-one"),
];

/// Most seeds that a bug may take.
const SEEDS_MAX: u64 = 4000;

/// Bugs that few worlds notice, and a seed before which none does: the search begins
/// there. Where it moved, the search takes longer, and finds another.
const FROM: &[(&str, &str, u64)] =
    &[("log", "term-forgotten", 1530), ("uniform", "amnesiac-acks", 160), ("link", "earlier-life-heard", 130)];

fn simulated() -> Vec<Row> {
    let row = |(property, what, mutant): &(&'static str, &str, &str)| {
        let scenario = scenario::find(what).expect("a shipped scenario");
        let planted = scenario.mutants().iter().find(|planted| planted.name == *mutant);
        let planted = planted.unwrap_or_else(|| panic!("{what} has no bug {mutant}"));
        // Whatever else it breaks: it must break this one.
        let run = |seed| {
            let mut outcome: Outcome = scenario.run(&Setup::default().seeded(seed), Some(planted));
            if !outcome.violates(planted.property) {
                outcome.result = Ok(());
            }
            outcome
        };
        let from = FROM.iter().find(|it| (it.0, it.1) == (*what, *mutant)).map_or(0, |it| it.2);
        let tally = Batch { until_first_bad: true, ..Batch::of(from..from + SEEDS_MAX) }.run(run);
        let (seed, _) = tally
            .first_bad
            .unwrap_or_else(|| panic!("{what} --mutant {mutant}: '{}' held in {SEEDS_MAX} worlds", planted.property));
        Row {
            property,
            mutant: format!("{} ({mutant})", planted.about),
            caught_by: format!("nodewright sim --what {what}"),
            needed: format!("{} seeds", seed + 1),
        }
    };
    SIMULATED.iter().map(row).collect()
}

/// The properties that no row is about.
fn without_row(properties: &[&'static str], rows: &[Row]) -> Vec<&'static str> {
    properties.iter().copied().filter(|property| rows.iter().all(|row| row.property != *property)).collect()
}

#[test]
fn every_property_has_a_planted_bug_that_it_catches() {
    let rows: Vec<Row> = PROVIDERS.iter().flat_map(|provider| provider()).collect();
    println!("\n| property | planted bug | caught by | needed |\n|---|---|---|---|");
    for Row { property, mutant, caught_by, needed } in &rows {
        println!("| {property} | {mutant} | {caught_by} | {needed} |");
    }
    println!("{} planted bugs caught, {} properties", rows.len(), PROPERTIES.len());
    let missing = without_row(PROPERTIES, &rows);
    assert!(missing.is_empty(), "no planted bug breaks {missing:?}");
    let unknown: Vec<_> =
        rows.iter().filter(|row| !PROPERTIES.contains(&row.property)).map(|row| row.property).collect();
    assert!(unknown.is_empty(), "not in the list of properties: {unknown:?}");
}

#[test]
fn a_property_without_a_row_is_noticed() {
    let row = |property| Row { property, mutant: String::new(), caught_by: String::new(), needed: String::new() };
    assert_eq!(without_row(&["one", "two", "three"], &[row("one"), row("three")]), ["two"]);
}
