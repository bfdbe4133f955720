//! The document store in the simulator: batches of whole runs.

use nodewright::scenario;
use nodewright::sim::{Setup, seeds};

#[test]
fn documents_are_written_once_read_as_they_are_and_watched_without_a_gap() {
    let scenario = scenario::find("documents").expect("shipped");
    let goals: Vec<&str> = scenario.goals().iter().map(|goal| goal.what).collect();
    let test = "sim_documents::documents_are_written_once_read_as_they_are_and_watched_without_a_gap";
    let batch = seeds(test, 0..24).sometimes(&goals);
    let setup = Setup::default();
    match batch.measures(setup, scenario.smallest()).explore(|setup| scenario.run(setup, None)) {
        Ok(counts) => println!("{:?}", goals.iter().map(|goal| (goal, counts[goal])).collect::<Vec<_>>()),
        Err(failure) => panic!("{failure}"),
    }
}
