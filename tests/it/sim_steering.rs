//! Leadership of the log by load, in virtual time.

use nodewright::scenario::find;
use nodewright::sim::{Setup, seeds};

#[test]
fn moves_have_a_reason_and_are_seldom_and_the_idlest_leads_in_the_end() {
    let scenario = find("steering").expect("shipped");
    let batch = seeds("sim_steering::moves_have_a_reason_and_are_seldom_and_the_idlest_leads_in_the_end", 0..40);
    let run = batch.measures(Setup::default(), scenario.smallest()).explore(|setup| scenario.run(setup, None));
    match run {
        Ok(counts) => println!("{counts:?}"),
        Err(failure) => panic!("{failure}"),
    }
}
