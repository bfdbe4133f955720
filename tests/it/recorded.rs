//! Traces of simulated worlds: kept, read back, judged as the worlds were.

use nodewright::scenario::recorded::{judge, record};
use nodewright::scenario::{self, Planted, Scenario, scenarios};
use nodewright::sim::{Outcome, Setup};
use nodewright::trace::{Record, Tail, Trace, What};

fn setup(seed: u64) -> Setup {
    Setup::default().seeded(seed)
}

/// The trace of a run, after it was a file.
fn kept(outcome: &Outcome) -> Trace {
    let trace = record(&outcome.trace, "a test");
    let bytes = trace.save(Vec::new()).expect("memory takes it");
    let read = Trace::load(&bytes[..]).expect("it was just written");
    assert_eq!(read, trace);
    read
}

fn violated(trace: &Trace) -> Vec<String> {
    let judged = judge(trace).judged.into_iter();
    judged.filter_map(|it| it.result.err()).map(|violation| violation.property.to_owned()).collect()
}

#[test]
fn worlds_that_are_right_are_right_as_traces() {
    let seeds = if cfg!(debug_assertions) { 4 } else { 40 };
    for scenario in scenarios() {
        for seed in 0..seeds {
            let outcome = scenario.run(&setup(seed), None);
            assert_eq!(outcome.result, Ok(()));
            let judgement = judge(&kept(&outcome));
            let bad: Vec<_> = judgement.judged.iter().filter(|it| it.result.is_err()).collect();
            assert!(bad.is_empty(), "{} seed {seed}: {bad:?}", scenario.name());
            let delivers = judgement.judged.iter().any(|it| it.property == "validity");
            let rung = scenario.name().contains("uniform") || scenario.name().contains("reliable");
            assert!(delivers || !rung, "{} seed {seed} was hardly judged: {judgement:?}", scenario.name());
        }
    }
}

/// The first world that violates what `planted` breaks.
fn caught(scenario: &dyn Scenario, planted: &Planted) -> Outcome {
    let mut runs = (0..4000).map(|seed| scenario.run(&setup(seed), Some(planted)));
    runs.find(|outcome| outcome.violates(planted.property)).expect("the bug is caught")
}

#[test]
fn planted_bugs_are_caught_in_the_trace_by_the_same_name() {
    for (what, mutant) in [
        ("uniform", "first-copy"),
        ("reliable", "no-relay-no-pull"),
        ("reliable", "dedupe-dropped"),
        ("reliable.fifo", "on-arrival"),
        ("uniform.causal", "on-arrival"),
        ("best-effort", "self-skipped"),
        ("link", "early-taken"),
        ("detector.fixed", "one-opinion-ends"),
    ] {
        let scenario = scenario::find(what).expect("a shipped scenario");
        let planted = scenario.mutants().iter().find(|planted| planted.name == mutant).expect("it has this bug");
        let outcome = caught(&*scenario, planted);
        let found = violated(&kept(&outcome));
        assert!(found.iter().any(|property| property == planted.property), "{what} {mutant}: {found:?}");
    }
}

/// A right world's trace, and the places of the deliveries of one message.
fn right(what: &str) -> (Trace, Vec<usize>) {
    let quiet = Setup { faults: "none".parse().expect("no faults"), ..setup(5) };
    let outcome = scenario::find(what).expect("a shipped scenario").run(&quiet, None);
    assert_eq!(outcome.result, Ok(()));
    let trace = kept(&outcome);
    let of = |record: &Record| matches!(&record.what, What::Delivered { body, .. } if body == "m3");
    let places = trace.records.iter().enumerate().filter(|(_, record)| of(record)).map(|(place, _)| place);
    let places: Vec<_> = places.collect();
    assert!(places.len() >= 5, "{places:?}");
    (trace, places)
}

/// A trace doctored by hand is caught by name.
#[test]
fn a_doctored_trace_is_caught_by_name() {
    let (mut removed, places) = right("uniform");
    removed.records.remove(places[2]);
    assert_eq!(violated(&removed), ["uniform agreement", "validity"]);

    let (mut doubled, places) = right("uniform");
    let again = doubled.records[places[2]].clone();
    doubled.records.insert(places[2] + 1, again);
    assert_eq!(violated(&doubled), ["no duplication"]);

    let (mut early, places) = right("uniform.fifo");
    let first = early.records.remove(places[2]);
    let later = early.records.iter().rposition(|record| {
        record.life == first.life && matches!(&record.what, What::Delivered { body, .. } if body.starts_with('m'))
    });
    early.records.insert(later.expect("it delivers more") + 1, first);
    assert_eq!(violated(&early), ["FIFO order"]);

    let (mut made_up, places) = right("reliable");
    let What::Delivered { body, .. } = &mut made_up.records[places[2]].what else { panic!("it is one") };
    *body = "m3, changed".into();
    assert_eq!(violated(&made_up), ["no creation", "agreement", "validity"]);
}

#[test]
fn with_dropped_records_only_what_they_cannot_break_is_judged() {
    let (mut trace, places) = right("uniform");
    let place = places[2];
    trace.records[place].what = What::Dropped { records: 1 };
    let judgement = judge(&trace);
    let names: Vec<_> = judgement.judged.iter().map(|it| it.property).collect();
    assert_eq!((names.as_slice(), judgement.ok()), (["no duplication"].as_slice(), true));
    assert!(judgement.partial[0].starts_with("1 records were dropped"), "{:?}", judgement.partial);
    let again = trace.records[places[3]].clone();
    trace.records.push(again);
    assert_eq!(violated(&trace), ["no duplication"]);
}

#[test]
fn a_trace_without_its_end_is_judged_in_part() {
    let (mut trace, _) = right("uniform");
    trace.tail = Tail::Torn;
    assert!(judge(&trace).partial[0].contains("does not reach the end"));
}
