//! Members that leave: drained while they are up, forgotten when they are not; and files
//! that only the disks know any more.

use super::cluster::{Cluster, content};
use super::faults::{read, wait_until};
use std::fs;

const MIB: usize = 1 << 20;

/// So many copies are there, none of them at this node.
fn all_but(explained: &str, copies: usize, gone: &str) -> bool {
    explained.matches(" there ").count() == copies && !explained.contains(gone)
}

#[test]
fn a_drained_node_hands_its_parts_over_and_is_not_missed() {
    let mut ring = Cluster::start(4, &[]);
    let bytes = content(5 * MIB + 1);
    ring.stores(0, "precious", &bytes);
    ring.until(0, "FILE EXPLAIN precious\n", |explained| explained.matches(" there ").count() == 8);
    let gone = ring.port(3);
    let drained = ring.text(1, &format!("NODE DRAIN {}\n", ring.address(3)));
    assert!(drained.starts_with("OK"), "{drained}");
    ring.until(0, "FILE EXPLAIN precious\n", |explained| all_but(explained, 8, &gone));
    ring.kill(3);
    for node in 0..3 {
        assert!(read(&ring, node, "precious").is_some_and(|found| found == bytes), "at node {node}");
    }
    ring.stores(1, "later", &bytes);
    let walk = ring.until(2, "TOPOLOGY WALK\n", |walk| walk.ends_with("OK\n"));
    assert!(!walk.contains(&gone), "{walk}");
}

#[test]
fn what_a_forgotten_node_held_is_made_anew() {
    let mut ring = Cluster::start(4, &[]);
    let bytes = content(3 * MIB);
    ring.stores(0, "precious", &bytes);
    ring.until(0, "FILE EXPLAIN precious\n", |explained| explained.matches(" there ").count() == 8);
    ring.kill(2);
    let gone = ring.port(2);
    // dead is not left: its place stays its own until somebody says otherwise
    let forgotten =
        ring.until(0, &format!("NODE FORGET {}\n", ring.address(2)), |answer| !answer.contains("UNAVAILABLE"));
    assert!(forgotten.starts_with("OK"), "{forgotten}");
    ring.until(1, "FILE EXPLAIN precious\n", |explained| all_but(explained, 8, &gone));
    // any one more may fall now
    ring.kill(3);
    assert!(read(&ring, 0, "precious").is_some_and(|found| found == bytes));
}

#[test]
fn files_are_found_again_from_the_disks_alone() {
    let mut ring = Cluster::start(3, &[]);
    let contents: Vec<Vec<u8>> = [1, 2, 700, 4 * MIB + 3].map(content).into();
    for (number, bytes) in contents.iter().enumerate() {
        ring.stores(number % 3, &format!("f{number}"), bytes);
    }
    wait_until("what was committed lies in its place", || (0..3).all(|node| !ring.files(node, "content").is_empty()));
    (0..3).for_each(|node| ring.kill(node));
    for node in 0..3 {
        let log = ring.dir(node).join("replicated_log");
        fs::remove_dir_all(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        ring.spawn(node);
    }
    let list = ring.until(0, "FILE LIST\n", |list| !list.contains("ERR"));
    assert!(!list.contains("f3"), "the map knows nothing: {list}");
    for node in 0..3 {
        let rebuilt = ring.until(node, "NODE REBUILD\n", |answer| !answer.starts_with("ERR UNAVAILABLE"));
        assert!(rebuilt.starts_with("OK files="), "{rebuilt}");
    }
    for (number, bytes) in contents.iter().enumerate() {
        let name = format!("f{number}");
        assert!(read(&ring, (number + 1) % 3, &name).is_some_and(|found| found == *bytes), "{name}");
    }
}
