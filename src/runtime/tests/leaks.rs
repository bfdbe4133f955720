//! What a stopped node leaves behind: nothing. Counted in a process of its
//! own, where no other test runs.

use super::links::mesh_of;
use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

fn threads() -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").expect("this is Linux").flatten() {
        // A thread may end while it is listed.
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("nw-") {
            *names.entry(name).or_default() += 1;
        }
    }
    names
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}

#[test]
#[ignore = "run by the next test in a process of its own"]
fn alone() {
    let quiet = || |_: Input<'_, Little>, _: &mut Context<'_, Little>| Ok(());
    let round = |round: u64| {
        let fragile = |_: &str| Stack {
            factories: vec![
                little(named("quiet"), quiet),
                little(Manifest { role: Role::Protocol, ..named("fragile") }, || {
                    |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
                        assert!(!matches!(input, Input::Call { .. }), "a planted panic");
                        Ok(())
                    }
                }),
            ],
        };
        let nodes = mesh_of(&["one", "two", "three"], fragile);
        if round.is_multiple_of(2) {
            assert!(ask(&nodes[0], "fragile", 1).is_err());
            until("a new life", || nodes[0].counters().lives == 2);
        }
        nodes.iter().for_each(Handle::stop);
    };
    round(0);
    let before = descriptors();
    for n in 0..6 {
        round(n);
    }
    until("no thread", || threads().is_empty());
    until("no descriptor", || descriptors() <= before);
}

#[test]
fn a_stopped_node_leaves_no_thread_and_no_descriptor() {
    let exe = std::env::current_exe().expect("this test");
    let alone = Command::new(exe)
        .args(["runtime::tests::leaks::alone", "--exact", "--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .expect("a process");
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
    assert!(String::from_utf8_lossy(&alone.stdout).contains("1 passed"), "the inner test did not run");
}
