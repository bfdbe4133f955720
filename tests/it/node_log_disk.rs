//! What a person, or a disk, does to the directory of a replicated log: each is
//! recognised, told in a line that says what to do, and costs nothing that was
//! acknowledged.

use super::node_log::{Directories, Heard, group, wait_for};
use nodewright::node::{MessageType, Node, Running};
use nodewright::protocol::delivery::Delivery;
use nodewright::protocol::replicated_log::Status;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

/// A group of one node, and what it is handed.
fn alone(dir: &Path) -> (Running, Heard) {
    let heard = Heard::default();
    let told = heard.clone();
    let node = Node::new("alpha", 0, 5).has_replicated_log(dir);
    let node = node.on_receive_message(MessageType::TotalOrderDelivery, move |msg| {
        told.lock().expect("no callback panics").push(msg.text().unwrap_or_default().to_string())
    });
    (node.start().expect("it starts"), heard)
}

fn broadcast(node: &Running, body: &str) {
    node.broadcast(Delivery::Total, body).expect("composed").wait(DEADLINE).expect("delivered");
}

fn until(node: &Running, wanted: impl Fn(&Status) -> bool) -> Status {
    let end = Instant::now() + DEADLINE;
    loop {
        let status = node.log_status();
        match &status {
            Ok(status) if wanted(status) => return status.clone(),
            _ => assert!(Instant::now() < end, "{status:?}: {:?}", node.inspect()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Why it does not serve.
fn refusal(node: &Running) -> String {
    until(node, |status| status.unusable.is_some()).unusable.expect("just seen")
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("replicated_log").join(name)
}

/// The newest segment of the log.
fn segment(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(file(dir, "log")).expect("there is a log");
    files.map(|entry| entry.expect("readable").path()).max().expect("with a segment")
}

/// A directory in which a node alone kept two messages.
fn kept() -> (Directories, PathBuf) {
    let dirs = Directories::new();
    let dir = dirs.path().join("alpha");
    let (node, _) = alone(&dir);
    broadcast(&node, "one");
    broadcast(&node, "two");
    node.stop();
    (dirs, dir)
}

#[test]
fn two_directories_exchanged_are_recognised_and_neither_node_serves() {
    let dirs = Directories::new();
    let (nodes, _) = group(&dirs);
    broadcast(&nodes[0], "kept");
    nodes.iter().for_each(Running::stop);
    let [a, b, aside] = ["alpha", "beta", "aside"].map(|name| dirs.path().join(name));
    let exchange = || {
        for (from, to) in [(&a, &aside), (&b, &a), (&aside, &b)] {
            std::fs::rename(from, to).expect("renamed");
        }
    };
    exchange();
    let (nodes, _) = group(&dirs);
    for node in &nodes[..2] {
        assert!(refusal(node).contains("were two exchanged?"));
    }
    nodes.iter().for_each(Running::stop);
    exchange();
    let (nodes, heard) = group(&dirs);
    assert_eq!(wait_for(&heard[0], 1, &nodes), ["kept"]);
    nodes.iter().for_each(Running::stop);
}

#[test]
fn a_wiped_directory_is_another_replica_and_gets_everything_again() {
    let dirs = Directories::new();
    let (nodes, _) = group(&dirs);
    broadcast(&nodes[0], "kept");
    let before = until(&nodes[1], |status| status.replica != 0).replica;
    nodes.iter().for_each(Running::stop);
    std::fs::remove_dir_all(dirs.path().join("beta")).expect("removed");
    let (nodes, _) = group(&dirs);
    let votes = |status: &Status| status.voters.iter().any(|voter| voter.replica == status.replica);
    let after = until(&nodes[1], |status| status.replica != 0 && votes(status));
    assert_ne!(after.replica, before);
    assert!(after.voters.iter().all(|voter| voter.replica != before), "its old place is taken: {after:?}");
    broadcast(&nodes[1], "after");
    nodes.iter().for_each(Running::stop);
}

#[test]
fn a_newer_format_is_refused_an_older_one_opens_and_a_damaged_one_is_named() {
    let (_dirs, dir) = kept();
    let format = file(&dir, "FORMAT");
    for (content, why) in [
        ("nodewright replicated log, version 2\n", "use a newer program"),
        ("nodewright replicated log, versio", "FORMAT is damaged"),
    ] {
        std::fs::write(&format, content).expect("written");
        let (node, _) = alone(&dir);
        let refused = refusal(&node);
        assert!(refused.contains(why), "{refused}");
        node.stop();
    }
    std::fs::write(&format, "nodewright replicated log, version 0\n").expect("written");
    let (node, heard) = alone(&dir);
    assert_eq!(wait_for(&heard, 2, &[]), ["one", "two"]);
    node.stop();
}

#[test]
fn a_segment_damaged_in_the_middle_is_told_and_not_served() {
    let (_dirs, dir) = kept();
    let segment = segment(&dir);
    let mut bytes = std::fs::read(&segment).expect("read");
    bytes[150] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let (node, _) = alone(&dir);
    let why = refusal(&node);
    assert!(why.contains("damaged at byte") && why.contains("empty its directory"), "{why}");
    node.stop();
}

#[test]
fn a_torn_tail_is_cut_off_and_what_was_acknowledged_is_there() {
    let (_dirs, dir) = kept();
    let segment = segment(&dir);
    let mut bytes = std::fs::read(&segment).expect("read");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("records") + 16;
    bytes[end..end + 300].fill(0xa5); // the rests of a write that was cut off
    std::fs::write(&segment, bytes).expect("written");
    let (node, heard) = alone(&dir);
    assert_eq!(wait_for(&heard, 2, &[]), ["one", "two"]);
    broadcast(&node, "three");
    node.stop();
    let (node, heard) = alone(&dir);
    assert_eq!(wait_for(&heard, 3, &[]), ["one", "two", "three"]);
    node.stop();
}

#[test]
fn a_segment_that_is_removed_under_a_running_node_is_a_failed_write_and_no_acknowledgement() {
    let (_dirs, dir) = kept();
    let (node, heard) = alone(&dir);
    wait_for(&heard, 2, &[]);
    broadcast(&node, "three");
    for entry in std::fs::read_dir(file(&dir, "log")).expect("there is a log") {
        std::fs::remove_file(entry.expect("readable").path()).expect("removed");
    }
    let receipt = node.broadcast(Delivery::Total, "lost").expect("composed");
    assert!(receipt.wait(Duration::from_secs(20)).is_err(), "nothing is acknowledged that is in no file");
    assert!(refusal(&node).contains("the log is lost"));
    node.stop();
}

/// A file system of this size, unmounted afterwards; `None` where this process
/// may not mount one.
struct Small(PathBuf);

impl Small {
    fn mount(dir: &Path, size: &str) -> Option<Small> {
        std::fs::create_dir_all(dir).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "nodewright-test"]).arg(dir);
        mount.output().is_ok_and(|done| done.status.success()).then(|| Small(dir.to_owned()))
    }

    fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0);
        assert!(mount.output().is_ok_and(|done| done.status.success()));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_stops_the_replica_and_what_it_acknowledged_is_there_when_there_is_room() {
    let dirs = Directories::new();
    let dir = dirs.path().join("alpha");
    let Some(small) = Small::mount(&dir, "17m") else {
        eprintln!("NOT CHECKED: a full disk needs the right to mount a small file system");
        return;
    };
    let (node, _) = alone(&dir);
    let body = "x".repeat(50_000);
    let mut acknowledged = 0;
    while let Ok(receipt) = node.broadcast(Delivery::Total, &body)
        && receipt.wait(Duration::from_secs(20)).is_ok()
    {
        acknowledged += 1;
        assert!(acknowledged < 1000, "a disk of 17 MiB holds no 50 MB");
    }
    assert!(acknowledged > 100, "one segment is full of them: {acknowledged}");
    node.stop();
    small.grow("100m");
    let (node, heard) = alone(&dir);
    wait_for(&heard, acknowledged, &[]);
    broadcast(&node, "there is room again");
    node.stop();
}
