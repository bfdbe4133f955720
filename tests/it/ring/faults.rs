//! Kills at random points, damage to every kind of file, and a newcomer in mid-ring: what
//! was acknowledged is read, bit for bit, all the time.

use super::cluster::{Cluster, DEADLINE, content};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// How many pushes are struck; unset, a dozen.
const KILLS: &str = "NODEWRIGHT_RING_KILLS";

/// Waits for something that a node does by itself.
#[track_caller]
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
}

/// Reads a file that is there or is not, once enough nodes answer.
#[track_caller]
pub(super) fn read(ring: &Cluster, node: usize, name: &str) -> Option<Vec<u8>> {
    let until = Instant::now() + DEADLINE;
    loop {
        match ring.pull(node, name) {
            // cut, or a part's holders are on their way
            answer if answer.is_empty() || answer.starts_with(b"ERR UNAVAILABLE") => {
                assert!(Instant::now() < until, "{name}: {}", String::from_utf8_lossy(&answer));
            }
            answer if answer == b"ERR file not found\n" => return None,
            answer => return Some(answer),
        }
    }
}

#[test]
fn kills_at_random_points_of_pushes_lose_nothing_that_was_acknowledged() {
    let kills: usize = std::env::var(KILLS).ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut ring = Cluster::start(5, &[]);
    ring.stores(0, "first", b"there");
    let mut pushed = Vec::new();
    let (mut acknowledged, mut refused) = (0, 0);
    for kill in 0..kills {
        let (name, bytes) = (format!("f{kill}"), content(fastrand::usize(1..3 * MIB)));
        let entry = kill % 5;
        // the entry node, the owner of the second part, the predecessor
        let victim = [entry, (entry + 1) % 5, (entry + 4) % 5][kill / 3 % 3];
        let mut request = format!("FILE PUSH {} {name}\n", bytes.len()).into_bytes();
        request.extend_from_slice(&bytes);
        // one in three after it was answered: every node has a part, and is missed before
        let at = if kill % 3 == 1 { usize::MAX } else { fastrand::usize(0..=request.len()) };
        let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut stream = ring.connect(entry);
        let answer = std::thread::scope(|scope| {
            let push = scope.spawn(|| {
                for piece in request.chunks(64 << 10) {
                    if stream.write_all(piece).is_err() {
                        break; // what it says then is read all the same
                    }
                    sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
                let mut answer = Vec::new();
                while !answer.ends_with(b"\n")
                    || answer.starts_with(b"FILE") && !answer.windows(3).any(|w| w == b"\nOK")
                {
                    let mut byte = [0];
                    match stream.read(&mut byte) {
                        Ok(1) => answer.push(byte[0]),
                        _ => break,
                    }
                }
                over.store(true, Ordering::Relaxed);
                String::from_utf8_lossy(&answer).into_owned()
            });
            while sent.load(Ordering::Relaxed) < at && !over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            ring.kill(victim);
            // as its supervisor does; with its new life the old one is over for all who waited
            ring.spawn(victim);
            push.join().expect("no panic")
        });
        let told = answer.contains("\nOK ");
        if told {
            acknowledged += 1
        } else {
            refused += 1
        }
        let there = read(&ring, (victim + 2) % 5, &name);
        match &there {
            Some(found) => assert!(*found == bytes, "push {kill}: whole, not {} bytes of {}", found.len(), bytes.len()),
            None => assert!(!told, "push {kill} was acknowledged, and after the kill of {victim} it is not there"),
        }
        pushed.push((name, bytes, told));
        ring.until(victim, "NETMAP GET\n", |netmap| netmap.matches("=Alive").count() == 5);
    }
    println!("{kills} pushes were struck: {acknowledged} acknowledged, {refused} not");
    for (at, (name, bytes, told)) in pushed.iter().enumerate() {
        match read(&ring, at % 5, name) {
            Some(found) => assert!(found == *bytes, "{name}"),
            None => assert!(!told, "{name} was acknowledged"),
        }
    }
    for node in 0..5 {
        wait_until("nothing is left in stage", || ring.files(node, "stage").is_empty());
    }
    ring.until(0, "FILE SCRUB\n", |answer| answer.ends_with(" bad=0\n"));
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped,
    Truncated,
    Emptied,
    Deleted,
}

fn damage(path: &Path, how: Damage) {
    let length = |bytes| OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(bytes)).expect("cut");
    let bytes = fs::read(path).expect("read");
    match how {
        Damage::Flipped => {
            let mut bytes = bytes;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).expect("written");
        }
        Damage::Truncated => length(bytes.len() as u64 / 2),
        Damage::Emptied => length(0),
        Damage::Deleted => fs::remove_file(path).expect("removed"),
    }
}

#[test]
fn whatever_is_damaged_right_bytes_are_read_and_all_copies_come_back() {
    let mut ring = Cluster::start(3, &[]);
    let bytes = content(4 * MIB + 5);
    ring.stores(0, "precious", &bytes);
    let all_there = |explained: &str| explained.matches(" there ").count() == 6;
    ring.until(0, "FILE EXPLAIN precious\n", all_there);
    for how in [Damage::Flipped, Damage::Truncated, Damage::Emptied, Damage::Deleted] {
        for directory in ["content", "backup"] {
            let part = ring.part(1, directory);
            damage(&part, how);
            for node in 0..3 {
                assert!(ring.pull(node, "precious") == bytes, "{how:?} in {directory}, read at {node}");
            }
            // a backup is read by nobody: it is looked at
            ring.until(0, "FILE SCRUB precious\n", |answer| answer.ends_with(" bad=0\n"));
            assert_eq!(
                fs::metadata(&part).expect("it is there again").len(),
                fs::read(&part).expect("read").len() as u64
            );
            ring.until(0, "FILE EXPLAIN precious\n", all_there);
        }
        ring.kill(1);
        damage(&ring.dir(1).join("parts.log"), how);
        assert!(read(&ring, 2, "precious").is_some_and(|found| found == bytes), "without the node");
        ring.spawn(1);
        for node in 0..3 {
            assert!(
                read(&ring, node, "precious").is_some_and(|found| found == bytes),
                "{how:?} in parts.log, at {node}"
            );
        }
        ring.until(0, "FILE EXPLAIN precious\n", all_there);
        ring.until(0, "FILE SCRUB precious\n", |answer| answer.ends_with(" bad=0\n"));
    }
    assert!(!ring.files(1, "quarantine").is_empty(), "what was wrong is kept aside");
    // each copy was read whole a moment ago, and says so
    let explained = ring.text(0, "FILE EXPLAIN precious\n");
    let verified = explained.lines().filter_map(|line| line.split("verified=").nth(1)?.parse::<u64>().ok());
    let hour_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis()
        as u64
        - 3_600_000;
    assert_eq!(verified.filter(|at_ms| *at_ms > hour_ago).count(), 6, "{explained}");
}

#[test]
fn a_newcomer_in_mid_ring_disturbs_no_reader_and_moves_no_byte() {
    let mut ring = Cluster::start(3, &[]);
    let bytes = content(5 * MIB + 1);
    ring.stores(0, "precious", &bytes);
    ring.until(0, "FILE EXPLAIN precious\n", |explained| explained.matches(" there ").count() == 6);
    let all_parts = |ring: &Cluster| -> Vec<_> {
        let files = |node| [ring.files(node, "content"), ring.files(node, "backup")].concat();
        let parts = (0..3).flat_map(files);
        parts.map(|path| (fs::metadata(&path).and_then(|about| about.modified()).expect("its time"), path)).collect()
    };
    wait_until("what was committed lies in its place", || all_parts(&ring).len() == 6);
    let before = all_parts(&ring);
    let newcomer = ring.join();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|node| {
                let (ring, bytes, over) = (&ring, &bytes, &over);
                scope.spawn(move || {
                    let mut reads = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert!(ring.pull(node, "precious") == *bytes, "read {reads} at node {node}");
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let next = format!("NODE NEXT {}\n", ring.address(1));
        ring.until(newcomer, &next, |answer| answer.starts_with("OK next="));
        ring.until(0, "TOPOLOGY WALK\n", |walk| walk.contains(&format!("{}->{}", ring.port(newcomer), ring.port(1))));
        assert!(read(&ring, newcomer, "precious").is_some_and(|found| found == bytes), "at the newcomer");
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("no read failed") > 0, "it was read meanwhile");
        }
    });
    assert_eq!(all_parts(&ring), before, "no byte was moved");
    let none = [ring.files(newcomer, "content"), ring.files(newcomer, "backup")].concat();
    assert!(none.is_empty(), "{none:?}");
    // until it is asked for
    assert!(ring.text(newcomer, "NODE REBALANCE 1000000000\n").starts_with("OK state=running"));
    ring.until(0, "NODE REBALANCE status\n", |status| status.starts_with("OK state=done moved=1 "));
    wait_until("the newcomer has its share", || ring.files(newcomer, "content").len() == 1);
    assert!(ring.pull(newcomer, "precious") == bytes);
}
