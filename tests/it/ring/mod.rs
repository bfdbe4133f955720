//! The ring of real processes: pushed and pulled as `netcat` does, killed, damaged,
//! and asked for things that nobody should be given.

mod cluster;
mod faults;
mod members;

use cluster::{Cluster, DEADLINE, content};
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

#[test]
fn what_was_acknowledged_survives_the_kill_of_all_nodes() {
    let mut ring = Cluster::start(3, &[]);
    let (small, large) = (content(3), content(7 * MIB + 13));
    ring.stores(0, "small", &small);
    ring.stores(1, "a large one", &large);
    (0..3).for_each(|node| ring.kill(node));
    (0..3).for_each(|node| ring.spawn(node));
    for node in 0..3 {
        assert_eq!(ring.pull(node, "small"), small, "as soon as a node answers");
        assert!(ring.pull(node, "a large one") == large, "bit for bit");
    }
    for node in 0..3 {
        let until = Instant::now() + DEADLINE;
        while ring.files(node, "content").len() < 2 {
            assert!(Instant::now() < until, "what was committed lies in content/");
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }
    // the parts are plain files: one behind the other they are the file
    let mut parts: Vec<_> = (0..3).flat_map(|node| ring.files(node, "content")).collect();
    parts.retain(|path| path.to_string_lossy().contains("a%20large%20one"));
    parts.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    let names: Vec<_> = parts.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let expected: Vec<String> = (1..=3).map(|part| format!("a%20large%20one.part-00{part}-of-003")).collect();
    assert_eq!(names, expected);
    let joined: Vec<u8> = parts.iter().flat_map(|path| fs::read(path).expect("a part")).collect();
    assert!(joined == large);
    // deleted, and brought back
    assert!(ring.text(2, "FILE DELETE small\n").starts_with("OK v2"));
    assert_eq!(ring.text(0, "FILE PULL small\n"), "ERR file not found\n");
    assert!(ring.text(1, "FILE UNDO small\n").starts_with("OK v3"));
    assert_eq!(ring.pull(0, "small"), small);
    // a push that expects something
    let refused = ring.text(0, "FILE PUSH-IF none 2 small\nxy");
    assert!(refused.starts_with("ERR CONFLICT"), "{refused}");
    let done = ring.text(0, "FILE PUSH-IF 3 2 small\nxy");
    assert!(done.contains(" v4 copies=2"), "{done}");
}

#[test]
fn less_durable_levels_are_named_and_outlive_processes_too() {
    for level in ["group", "none"] {
        let mut ring = Cluster::start(3, &["--durability", level]);
        let content = content(5 * MIB);
        ring.stores(0, "file", &content);
        let receipt = ring.push(0, "small", b"abc");
        assert!(receipt.ends_with(&format!(" copies=2 durability={level}\n")), "{receipt}");
        (0..3).for_each(|node| ring.kill(node));
        (0..3).for_each(|node| ring.spawn(node));
        for node in 0..3 {
            assert_eq!(ring.pull(node, "small"), b"abc", "{level}");
            assert!(ring.pull(node, "file") == content, "{level}: the system has what was written");
        }
    }
}

#[test]
fn names_and_sizes_are_kept_or_refused() {
    let ring = Cluster::start(3, &[]);
    let kept = [
        "-rf",
        " a b ",
        "a,b",
        "say \"x\"",
        "%2e%2e",
        "a\\b",
        "x",
        "x.part-001-of-003",
        "\u{1F40D}",
        "\u{e9}",
        "e\u{301}",
        &"n".repeat(255),
        &"n".repeat(1024),
        "d/e/f",
        ".hidden",
        "...",
    ];
    for (at, name) in kept.iter().enumerate() {
        ring.stores(at % 3, name, format!("of {name}").as_bytes());
    }
    for name in kept {
        assert_eq!(ring.pull(1, name), format!("of {name}").into_bytes(), "{name:?}");
    }
    let listed = ring.text(2, "FILE LIST\n");
    assert_eq!(listed.lines().count(), kept.len() + 1, "{listed}");
    assert!(listed.contains("\"say \"\"x\"\"\",") && listed.contains("\"a,b\","), "{listed}");
    let long = "n".repeat(1025);
    for name in
        [&b"../x"[..], b"/etc/x", b"a/../../b", b".", b"..", b"a\tb", b"a\0b", b"a\rb", b"\xff\xfe", long.as_bytes()]
    {
        let mut request = b"FILE PUSH 4 ".to_vec();
        request.extend_from_slice(name);
        request.extend_from_slice(b"\nbodyNODE PING\n");
        let answer = String::from_utf8_lossy(&ring.say(0, &request)).into_owned();
        assert!(answer.starts_with("ERR NAME") && answer.ends_with("\nPONG\n"), "{name:?}: {answer}");
    }
    for node in 0..3 {
        for directory in ["content", "backup"] {
            let outside =
                |path: &std::path::PathBuf| !path.is_file() || path.parent() != Some(&ring.dir(node).join(directory));
            assert!(!ring.files(node, directory).iter().any(outside), "all lie in one directory");
        }
    }
    for size in [0, 1, 2, 3, 4, MIB - 1, MIB, MIB + 1, 3 * MIB - 1, 3 * MIB, 3 * MIB + 1] {
        let bytes = content(size);
        ring.stores(size % 3, "sized", &bytes);
        assert!(ring.pull((size + 1) % 3, "sized") == bytes, "{size}");
    }
    for size in ["-1", "1e3", "9223372036854775808", "99999999999999999999999", "", "x"] {
        let answer = ring.text(0, &format!("FILE PUSH {size} a\n"));
        assert!(answer.starts_with("ERR invalid size for FILE PUSH"), "{size}: {answer}");
    }
    ring.stores(0, "zeros before", b"x");
    assert!(ring.text(0, "FILE PUSH 0003 zeros\nabc").contains("OK 3 "));
    let missing = ring.text(0, "FILE PUSH 3\n");
    assert_eq!(missing, "ERR missing file name for FILE PUSH\n");
}

#[test]
fn clients_that_do_not_behave_harm_nobody() {
    let ring = Cluster::start(3, &[]);
    ring.stores(0, "there", b"all the time");
    // ends in the middle
    let mut early = ring.connect(1);
    early.write_all(b"FILE PUSH 5000000 early\nonly this").expect("taken");
    early.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    early.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("ERR the body ended before its 5000000 bytes"), "{answer}");
    // goes away in the middle
    let mut gone = ring.connect(2);
    gone.write_all(b"FILE PUSH 5000000 gone\nonly this").expect("taken");
    drop(gone);
    // says more than it said it would
    let more = ring.text(0, "FILE PUSH 3 more\nabcNODE PING\r\nnode ping\nFOO\n");
    assert!(more.ends_with("PONG\nPONG\nERR unknown command namespace: 'FOO'\n"), "{more}");
    // byte by byte
    let mut slow = ring.connect(0);
    for byte in b"FILE PULL there\n" {
        slow.write_all(&[*byte]).expect("taken");
    }
    let mut heard = String::new();
    slow.read_to_string(&mut heard).expect("an answer");
    assert_eq!(heard, "all the time");
    // a line that does not end
    let mut endless = ring.connect(0);
    let _ = endless.write_all(&vec![b'x'; MIB]); // it may be cut off
    let mut heard = Vec::new();
    let _ = endless.read_to_end(&mut heard); // reset, where it was in the middle of a word
    assert!(heard.is_empty() || heard.starts_with(b"ERR the line is longer"), "{:?}", String::from_utf8_lossy(&heard));
    for verb in [
        "NODE HEAL-HOP t a",
        "NETMAP SET 1=Alive",
        "TOPOLOGY DONE x",
        "FILE TAGS-SET a:1:2:3",
        "FILE NOTIFY-CHUNK-SAVED a",
    ] {
        assert_eq!(ring.text(0, &format!("{verb}\n")), "ERR node verb\n");
    }
    // many that say nothing
    let idle: Vec<_> = (0..2000).map(|_| ring.connect(0)).collect();
    assert_eq!(ring.pull(0, "there"), b"all the time", "they delay nobody");
    drop(idle);
    let crowd: Vec<_> = (0..230)
        .map(|_| {
            let mut stream = ring.connect(1);
            let _ = stream.write_all(b"NODE PING\n"); // a crowded node may have closed already
            stream
        })
        .collect();
    let busy = crowd.into_iter().map(|mut stream| {
        let mut byte = [0; 3];
        let _ = stream.read_exact(&mut byte);
        (&byte == b"ERR", stream)
    });
    let all: Vec<_> = busy.collect();
    assert!(all.iter().any(|(busy, _)| *busy), "a further one is told that the node is busy");
    assert!(all.iter().filter(|(busy, _)| !busy).count() >= 150);
    drop(all);
    // of all that nothing is left
    for node in 0..3 {
        let until = Instant::now() + DEADLINE;
        while !ring.files(node, "stage").is_empty() {
            assert!(Instant::now() < until, "{:?}", ring.files(node, "stage"));
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }
    let listed = ring.until(1, "FILE LIST\n", |answer| !answer.starts_with("ERR"));
    assert!(!listed.contains("early") && !listed.contains("gone") && listed.contains("more"), "{listed}");
}

#[test]
fn damage_is_found_and_repaired_and_a_lost_disk_is_filled_again() {
    let mut ring = Cluster::start(3, &[]);
    let bytes = content(5 * MIB + 77);
    ring.stores(0, "precious", &bytes);
    let flipped = ring.part(0, "content");
    let mut damaged = fs::read(&flipped).expect("read");
    damaged[1000] ^= 1;
    fs::write(&flipped, &damaged).expect("written");
    let truncated = ring.part(1, "content");
    fs::OpenOptions::new().write(true).open(&truncated).and_then(|file| file.set_len(10)).expect("cut");
    let gone = ring.part(2, "content");
    fs::remove_file(&gone).expect("removed");
    for node in 0..3 {
        assert!(ring.pull(node, "precious") == bytes, "from the backups");
    }
    let whole = |answer: &str| answer.starts_with("OK") && answer.contains("bad=0");
    ring.until(1, "FILE SCRUB precious\n", whole);
    for path in [&flipped, &truncated, &gone] {
        assert!(path.exists(), "{path:?} is there again");
    }
    assert!(!ring.files(0, "quarantine").is_empty(), "what was wrong is kept aside");
    // a disk is lost
    ring.kill(2);
    fs::remove_dir_all(ring.dir(2)).expect("wiped");
    assert!(ring.pull(0, "precious") == bytes, "from the others");
    ring.spawn(2);
    // a scrub looks at the nodes that are linked: the new disk is waited for itself
    let until = Instant::now() + DEADLINE;
    while (ring.files(2, "content").len(), ring.files(2, "backup").len()) != (1, 1) {
        assert!(Instant::now() < until, "both parts are on the new disk");
        std::thread::sleep(Duration::from_millis(20));
    }
    ring.until(0, "FILE SCRUB\n", whole);
    // nothing may be read; root reads all the same
    let locked = ring.part(0, "content");
    let mode = |mode| fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("set");
    mode(0o000);
    match fs::File::open(&locked) {
        Ok(_) => println!("SKIPPED: this user reads what nobody may read (root), so a locked part is no trouble"),
        Err(_) => assert!(ring.pull(1, "precious") == bytes, "from the backup"),
    }
    mode(0o644);
    // two that stand side by side
    ring.kill(0);
    ring.kill(1);
    let (first, second) = (ring.port(0), ring.port(1));
    let answer = ring.text(2, "FILE PULL precious\n");
    assert!(answer.starts_with("ERR UNAVAILABLE part "), "{answer}");
    assert!(answer.contains(&first) && answer.contains(&second), "{answer}");
    let refused = ring.push(2, "new", b"x");
    assert!(refused.starts_with("ERR UNAVAILABLE"), "{refused}");
    ring.spawn(0);
    ring.spawn(1);
    let until = Instant::now() + DEADLINE;
    while ring.pull(2, "precious") != bytes {
        assert!(Instant::now() < until, "they are back");
    }
}

#[test]
fn a_directory_has_one_node() {
    let ring = Cluster::start(1, &[]);
    ring.stores(0, "alone", b"x");
    let second = Cluster::start(1, &[]);
    let output = second.command(0, &ring.dir(0)).output().expect("the command runs");
    assert!(!output.status.success(), "its port and its directory are in use");
    assert_eq!(ring.pull(0, "alone"), b"x");
}

#[test]
fn a_killed_entry_node_leaves_a_file_whole_or_absent() {
    let mut ring = Cluster::start(3, &[]);
    let before = content(100_000);
    ring.stores(1, "both", &before);
    for round in 0..4 {
        let bytes = content(3 * MIB + round);
        let mut stream = ring.connect(0);
        let mut request = format!("FILE PUSH {} both\n", bytes.len()).into_bytes();
        request.extend_from_slice(&bytes);
        let upto = request.len() * (round + 1) / 4;
        stream.write_all(&request[..upto]).expect("taken");
        ring.kill(0);
        let read = |node: usize| {
            let until = Instant::now() + DEADLINE;
            loop {
                let answer = ring.pull(node, "both");
                if !answer.starts_with(b"ERR UNAVAILABLE") {
                    return answer;
                }
                assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&answer));
            }
        };
        let there = read(1);
        assert!(there == before || there == bytes, "whole or absent, not {} bytes", there.len());
        drop(stream);
        ring.spawn(0);
        ring.stores(1, "both", &before);
    }
    for node in 0..3 {
        let until = Instant::now() + DEADLINE;
        while !ring.files(node, "stage").is_empty() {
            assert!(Instant::now() < until, "{:?}", ring.files(node, "stage"));
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }
}
