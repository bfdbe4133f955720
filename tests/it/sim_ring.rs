//! The ring's file store under all faults, in virtual time.

use nodewright::scenario::find;
use nodewright::sim::{Setup, seeds};

#[test]
fn acknowledged_files_are_there_and_copies_are_repaired() {
    let scenario = find("ring").expect("shipped");
    let batch = seeds("sim_ring::acknowledged_files_are_there_and_copies_are_repaired", 0..12);
    let run = batch.measures(Setup::default(), scenario.smallest()).explore(|setup| scenario.run(setup, None));
    match run {
        Ok(counts) => println!("{counts:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// A read that had said nothing yet found no copy, since its file had been overwritten and
/// the old content's time was over; it went on with the new content, and read only as many
/// bytes of that as the old one had.
#[test]
fn a_read_that_looks_again_reads_as_much_as_was_asked_for() {
    let scenario = find("ring").expect("shipped");
    let batch = seeds("sim_ring::a_read_that_looks_again_reads_as_much_as_was_asked_for", 119..120);
    let run = batch.measures(Setup::default(), scenario.smallest()).explore(|setup| scenario.run(setup, None));
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
