//! The steganography service in the simulator: a batch of whole runs.

use nodewright::scenario;
use nodewright::sim::{Setup, seeds};

#[test]
fn tasks_are_answered_right_recorded_once_and_never_orphaned() {
    let scenario = scenario::find("stego").expect("shipped");
    let goals: Vec<&str> = scenario.goals().iter().map(|goal| goal.what).collect();
    let test = "sim_stego::tasks_are_answered_right_recorded_once_and_never_orphaned";
    let batch = seeds(test, 0..16).sometimes(&goals);
    let setup = Setup::default();
    match batch.measures(setup, scenario.smallest()).explore(|setup| scenario.run(setup, None)) {
        Ok(counts) => println!("{:?}", goals.iter().map(|goal| (goal, counts[goal])).collect::<Vec<_>>()),
        Err(failure) => panic!("{failure}"),
    }
}
