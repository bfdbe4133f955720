//! Verdicts on histories written by hand: a good run, and one planted defect
//! each.

use super::*;
use crate::cli::records::{Delivered, Record, Standing, header};
use crate::id::{Life, NodeId};

const ALPHA: Life = Life { node: NodeId(1), incarnation: crate::id::Incarnation(10) };
const BETA: Life = Life { node: NodeId(2), incarnation: crate::id::Incarnation(20) };
const GAMMA: Life = Life { node: NodeId(3), incarnation: crate::id::Incarnation(30) };

fn b(n: u64) -> Record {
    Record::Broadcast { n }
}

fn d(origin: Life, n: u64) -> Record {
    Record::Delivered(Delivered { origin, batch: n, index: 0, payload: Some((origin, n)) })
}

/// Alpha broadcasts 1, which beta delivers before it broadcasts its own 1;
/// alpha then broadcasts 2.
fn good() -> Vec<(Life, Vec<Record>)> {
    vec![
        (ALPHA, vec![b(1), d(ALPHA, 1), d(BETA, 1), b(2), d(ALPHA, 2), Record::End]),
        (BETA, vec![d(ALPHA, 1), b(1), d(BETA, 1), d(ALPHA, 2), Record::End]),
        (GAMMA, vec![d(ALPHA, 1), d(BETA, 1), d(ALPHA, 2), Record::End]),
    ]
}

fn verdict(delivery: Delivery, run: &[(Life, Vec<Record>)]) -> (Verdict, Vec<&'static str>) {
    let mut histories = Histories::default();
    for (life, records) in run {
        let number = histories.open(&header(*life, &format!("node{}", life.node.0), delivery)).unwrap();
        histories.add(number, &Record::Voters(3)).unwrap();
        for record in records {
            histories.add(number, record).unwrap();
        }
    }
    let (verdict, _, findings) = judge(&histories, None);
    (verdict, findings.into_iter().map(|finding| finding.finding).collect())
}

/// The counts lost, duplicated, out of order, and the sorts of findings.
fn counts(delivery: Delivery, run: &[(Life, Vec<Record>)]) -> (u64, u64, u64, Vec<&'static str>) {
    let (verdict, findings) = verdict(delivery, run);
    assert_eq!(verdict.ok(), findings.iter().all(|finding| *finding == "unjudged"));
    (verdict.lost, verdict.duplicated, verdict.out_of_order, findings)
}

#[test]
fn a_good_run_is_ok_and_the_keys_stand_in_order() {
    let (verdict, findings) = verdict(Delivery::UniformCausal, &good());
    assert_eq!(findings, Vec::<&str>::new());
    assert_eq!(
        serde_json::to_string(&verdict).unwrap(),
        "{\"verdict\":\"ok\",\"nodes\":3,\"broadcasts\":3,\"deliveries\":9,\"lost\":0,\"duplicated\":0,\
         \"out_of_order\":0,\"suspected\":0,\"restored\":0,\"rss_bytes_max\":0}"
    );
}

#[test]
fn a_lost_message_is_caught() {
    let mut run = good();
    run[2].1.remove(1);
    assert_eq!(counts(Delivery::UniformCausal, &run), (1, 0, 0, vec!["lost"]));
}

#[test]
fn a_broadcast_that_no_one_delivered_is_lost() {
    let mut run = good();
    run[0].1.insert(5, b(3));
    let lost = counts(Delivery::UniformCausal, &run);
    assert_eq!(lost, (1, 0, 0, vec!["lost"; 3]));
    // Refused, it was never done.
    run[0].1.insert(6, Record::Refused { n: 3 });
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec![]));
}

#[test]
fn a_duplicated_message_is_caught_and_is_not_called_out_of_order() {
    let mut run = good();
    run[1].1.insert(4, d(ALPHA, 1));
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 1, 0, vec!["duplicated"]));
}

#[test]
fn a_senders_messages_swapped_are_caught_where_an_order_is_promised() {
    let mut run = good();
    run[2].1 = vec![d(ALPHA, 2), d(ALPHA, 1), d(BETA, 1), Record::End];
    assert_eq!(counts(Delivery::UniformFifo, &run), (0, 0, 1, vec!["out_of_order"]));
    assert_eq!(counts(Delivery::Uniform, &run), (0, 0, 0, vec![]));
    // Beta's message stands in the past of alpha's second as well.
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 2, vec!["out_of_order"; 2]));
}

#[test]
fn an_effect_before_its_cause_is_caught_by_causal_order_only() {
    let mut run = good();
    run[2].1 = vec![d(BETA, 1), d(ALPHA, 1), d(ALPHA, 2), Record::End];
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 1, vec!["out_of_order"]));
    assert_eq!(counts(Delivery::UniformFifo, &run), (0, 0, 0, vec![]));
}

#[test]
fn what_an_origin_delivered_after_a_broadcast_is_not_in_its_past() {
    let mut run = good();
    // Alpha delivered beta's message after its own first and before its own
    // second: gamma may deliver alpha's first before beta's or after it.
    run[2].1 = vec![d(ALPHA, 1), d(BETA, 1), d(ALPHA, 2), Record::End];
    assert_eq!(counts(Delivery::UniformCausal, &run).2, 0);
    let other = Life::new(NodeId(4), 40);
    run[0].1 = vec![b(1), d(other, 1), d(ALPHA, 1), d(BETA, 1), b(2), d(ALPHA, 2), Record::End];
    run[1].1.insert(2, d(other, 1));
    run[2].1.insert(2, d(other, 1));
    run.push((other, vec![b(1), d(other, 1), d(ALPHA, 1), d(BETA, 1), d(ALPHA, 2), Record::End]));
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec![]));
}

#[test]
fn a_cause_is_followed_through_lives_that_delivered_only_its_effect() {
    // Alpha 1 -> beta 1 -> gamma 1, where gamma's second life never delivered
    // alpha 1, nor delta beta 1: still alpha 1 comes too late at delta.
    let again = Life::new(GAMMA.node, 31);
    let run = vec![
        (ALPHA, vec![b(1), d(ALPHA, 1), d(BETA, 1), d(again, 1), Record::End]),
        (BETA, vec![d(ALPHA, 1), b(1), d(BETA, 1), d(again, 1), Record::End]),
        (again, vec![d(BETA, 1), b(1), d(again, 1), Record::End]),
        (Life::new(NodeId(4), 40), vec![d(again, 1), d(ALPHA, 1), Record::End]),
    ];
    assert_eq!(verdict(Delivery::UniformCausal, &run).0.out_of_order, 1);
    assert_eq!(verdict(Delivery::UniformFifo, &run).0.out_of_order, 0);
}

#[test]
fn a_killed_life_accuses_no_one_of_what_it_did_not_record() {
    let mut run = good();
    // Beta was killed: neither its end nor its last deliveries are on record.
    run[1].1.truncate(2);
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec![]));
    // Its own broadcast may be missing from its records too.
    run[1].1.truncate(1);
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec![]));
}

#[test]
fn what_a_killed_life_delivered_binds_the_others_under_a_uniform_delivery() {
    let mut run = good();
    run[1].1 = vec![d(ALPHA, 1), b(1), d(BETA, 1), b(2), d(BETA, 2)];
    assert_eq!(counts(Delivery::UniformCausal, &run), (1, 0, 0, vec!["lost"; 2]));
    assert_eq!(counts(Delivery::ReliableCausal, &run), (0, 0, 0, vec![]));
}

#[test]
fn best_effort_owes_nothing_for_a_killed_sender() {
    let mut run = good();
    run[1].1.truncate(2);
    run[2].1.remove(1);
    assert_eq!(counts(Delivery::BestEffort, &run), (0, 0, 0, vec![]));
    assert_eq!(counts(Delivery::Reliable, &run), (1, 0, 0, vec!["lost"]));
}

#[test]
fn a_restarted_node_owes_nothing_of_what_it_missed() {
    let mut run = good();
    run[2].1.truncate(1);
    run.push((Life::new(GAMMA.node, 31), vec![d(ALPHA, 2), Record::End]));
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec![]));
    // But it has to deliver something.
    run[3].1.remove(0);
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec!["silent"]));
}

#[test]
fn a_message_that_nobody_broadcast_is_caught() {
    let mut run = good();
    for (_, records) in &mut run {
        records.insert(records.len() - 1, d(BETA, 2));
    }
    let (verdict, findings) = verdict(Delivery::UniformCausal, &run);
    assert!(!verdict.ok());
    assert_eq!(findings, ["created"; 3]);
}

#[test]
fn a_damaged_payload_is_caught() {
    let mut run = good();
    let damaged = Record::Delivered(Delivered { origin: ALPHA, batch: 9, index: 0, payload: None });
    run[0].1.insert(0, damaged);
    assert_eq!(counts(Delivery::UniformCausal, &run), (0, 0, 0, vec!["damaged"]));
}

#[test]
fn a_node_without_records_and_a_run_without_any_fail() {
    let mut run = good();
    run.pop();
    assert_eq!(counts(Delivery::UniformCausal, &run).3, ["silent"]);
    assert!(!verdict(Delivery::UniformCausal, &[]).0.ok());
}

#[test]
fn suspicions_and_findings_are_counted() {
    let mut run = good();
    let peer = |standing| Record::Peer { life: BETA, standing };
    run[0].1.splice(0..0, [peer(Standing::Suspected), peer(Standing::Restored), peer(Standing::Suspected)]);
    let (told, _) = verdict(Delivery::UniformCausal, &run);
    assert!(told.ok());
    assert_eq!((told.suspected, told.restored), (2, 1));
    for n in 3..20 {
        run[0].1.insert(0, b(n));
    }
    let (told, findings) = verdict(Delivery::Uniform, &run);
    assert_eq!(told.lost, 17);
    assert_eq!(findings.len(), TOLD_MAX + 1);
}
