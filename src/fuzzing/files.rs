//! What people and disks hand in.

use crate::cli::records;
use crate::node::Config;
use crate::trace::Trace;

/// TOML, then after a NUL variables of the environment, one a line.
pub(super) fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (toml, environment) = text.split_once('\0').unwrap_or((&text, ""));
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
    match Config::parse(toml, "fuzzed").with_variables(variables, &[]).node() {
        Ok(node) => {
            if let Err(report) = node.plan() {
                assert!(!report.to_string().is_empty(), "says what is wrong");
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty(), "says what is wrong");
            assert!(error.problems.iter().all(|problem| !problem.trim().is_empty()), "{:?}", error.problems);
        }
    }
}

/// A history as a node leaves it, and a trace.
pub(super) fn history(input: &[u8]) {
    let mut whole = 0u64;
    let tail = records::read(input, |_| whole += 1);
    // A whole record has a head of eight bytes.
    assert!(whole <= input.len() as u64 / 8);
    assert!(tail.is_err() || whole > 0 || input.len() < 8 || matches!(tail, Ok(records::Tail::Torn)));
    if let Ok(trace) = Trace::load(input) {
        let saved = trace.save(Vec::new()).expect("memory takes it");
        let again = Trace::load(&saved[..]).expect("what was written is read");
        assert_eq!((again.header, again.records), (trace.header, trace.records));
    }
}
