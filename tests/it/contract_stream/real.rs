//! The same component on threads, over secured links, from a real file.

use super::courier::{Courier, Order, Receipt};
use nodewright::component::NetComponent;
use nodewright::error::CallError;
use nodewright::node::{Node, Running, start_together};
use nodewright::transport::keys::ClusterSecret;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the file is: a test's dose by default, `NODEWRIGHT_STREAM_BYTES`
/// for more.
fn file_bytes() -> u64 {
    let asked = std::env::var("NODEWRIGHT_STREAM_BYTES").ok();
    asked.map_or(64 << 20, |bytes| bytes.parse().expect("NODEWRIGHT_STREAM_BYTES is a number of bytes"))
}

/// Both nodes of a transfer, in one process: their memory together.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const DEADLINE: Duration = Duration::from_secs(600);

/// In a process of its own, since the other tests' memory would be counted.
#[test]
fn a_real_file_reaches_a_peer_in_flat_memory() {
    let test = std::env::current_exe().expect("a test is a file");
    let alone = ["--exact", "contract_stream::real::alone", "--ignored", "--nocapture"];
    let output = Command::new(test).args(alone).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "the transfer did not run: {said}");
    println!("{said}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn alone() {
    let bytes = file_bytes();
    let dir = std::env::temp_dir().join(format!("nodewright-stream-{}", std::process::id()));
    let (nodes, film) = nodes(&dir);
    std::fs::File::create(film).and_then(|file| file.set_len(bytes)).expect("a sparse file");
    let before = resident_bytes();
    let begun = Instant::now();
    let order = Box::new(Order::Ship { file: "film".into(), to: nodes[1].life() });
    let kind = Courier::default().manifest().kind();
    let answered = nodes[0].handle().call_later(kind, order, DEADLINE);
    let mut most = before;
    let answer = loop {
        most = most.max(resident_bytes());
        match answered.recv_timeout(Duration::from_millis(20)) {
            Ok(answer) => break answer.expect("answered in time"),
            Err(error) => assert!(begun.elapsed() < DEADLINE, "{error}"),
        }
    };
    let took = begun.elapsed();
    let receipt = *answer.downcast::<Result<Receipt, CallError>>().expect("a courier answers so");
    assert_eq!(receipt, Ok(Receipt { name: "film".into(), bytes, crc: crc_of_zeros(bytes) }));
    let growth = most - before;
    println!(
        "{} MiB in {took:.2?}: {:.0} MB/s, {} MiB more resident",
        bytes >> 20,
        bytes as f64 / took.as_secs_f64() / 1e6,
        growth >> 20
    );
    for node in &nodes {
        node.stop();
    }
    std::fs::remove_dir_all(&dir).expect("the directory is removed");
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more were resident");
}

/// Two linked nodes, and where the first one's courier has its file.
fn nodes(dir: &std::path::Path) -> (Vec<Running>, PathBuf) {
    let secret = ClusterSecret::generate().expect("the system has randomness");
    let nodes = ["alpha", "beta"].map(|name| {
        let dir = dir.join(name);
        std::fs::create_dir_all(dir.join(Courier::default().manifest().name)).expect("a directory");
        Node::new(name, 0, 2).secret(secret.clone()).dir(dir).has_component(Courier::default)
    });
    let running = start_together(nodes).expect("starts");
    let begun = Instant::now();
    while running.iter().any(|node| node.peers().is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the nodes never met");
        std::thread::sleep(Duration::from_millis(5)); // between two looks
    }
    (running, dir.join("alpha").join(Courier::default().manifest().name).join("film"))
}

fn crc_of_zeros(bytes: u64) -> u32 {
    let zeros = vec![0; 1 << 20];
    let whole = (0..bytes >> 20).fold(0, |crc, _| crc32c::crc32c_append(crc, &zeros));
    crc32c::crc32c_append(whole, &zeros[..(bytes % (1 << 20)) as usize])
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("two numbers") * 4096
}
