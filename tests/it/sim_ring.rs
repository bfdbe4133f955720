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
