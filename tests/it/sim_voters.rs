//! The voters of a delivery change as entries of the log, in virtual time.

use crate::sim_delivery::holds;

#[test]
fn what_anyone_delivered_all_deliver_while_the_voters_change() {
    holds("sim_voters::what_anyone_delivered_all_deliver_while_the_voters_change", "voters", 40);
}
