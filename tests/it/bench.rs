//! `nodewright bench`: a short dose of each figure, in the promised shape.

use std::collections::BTreeMap;
use std::process::Command;

type Figure = BTreeMap<String, serde_json::Value>;

fn bench(arguments: &[&str]) -> Vec<Figure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    let output = command.arg("bench").args(arguments).args(["--for", "200ms", "--rounds", "1", "--json"]).output();
    let output = output.expect("starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// Every figure has these keys, a positive value and the ratio of the two.
fn check(figure: &Figure, name: &str, unit: &str) {
    assert_eq!(figure["figure"], name);
    assert_eq!(figure["unit"], unit);
    let number = |key: &str| figure[key].as_f64().unwrap_or_else(|| panic!("{key} of {name} is no number"));
    let ratio = number("value") / number("roofline");
    assert!(ratio > 0.0 && (ratio / number("ratio") - 1.0).abs() < 1e-6, "{figure:?}");
    assert!(number("rss_bytes_max") > 1e6, "{figure:?}");
    assert_eq!(number("runs"), 1.0);
    assert_eq!(figure.contains_key("p99_us"), unit == "us", "{figure:?}");
}

#[test]
fn rates_stand_beside_their_rooflines() {
    let link = bench(&["link"]);
    assert_eq!(link.len(), 2);
    check(&link[0], "link 64 B", "1/s");
    check(&link[1], "link 1 KiB", "1/s");
    check(&bench(&["broadcast", "--nodes", "3"])[0], "broadcast 64 B", "1/s");
    let reliable = bench(&["reliable", "--nodes", "3", "--size", "128"]);
    check(&reliable[0], "reliable 128 B", "1/s");
    check(&reliable[1], "reliable of broadcast 128 B", "1/s");
    let traced = bench(&["trace", "--nodes", "3"]);
    check(&traced[0], "traced uniform 64 B", "1/s");
    check(&traced[1], "traced one at a time", "us");
}

#[test]
fn round_trips_stand_beside_ping_pongs() {
    let uniform = bench(&["uniform"]);
    check(&uniform[0], "uniform 64 B", "1/s");
    check(&uniform[1], "uniform one at a time", "us");
    assert_eq!(uniform[0]["nodes"], 4);
    let request = bench(&["request"]);
    check(&request[0], "request 64 B free", "us");
    check(&request[1], "request 64 B pinned", "us");
    assert_eq!(request[1]["clients"], 1);
}

#[cfg(feature = "replicated_log")]
#[test]
fn the_log_stands_beside_bare_group_commit() {
    let log = bench(&["log"]);
    let names: Vec<_> = log.iter().map(|figure| figure["figure"].as_str().expect("a name")).collect();
    assert_eq!(names, ["log 256 B, 1 client", "log 256 B, 16 clients", "log 256 B, 64 clients"]);
    for figure in &log {
        let positive = |key: &str| figure[key].as_f64().is_some_and(|number| number > 0.0);
        assert!(["value", "roofline", "ratio", "p99_us", "clients"].into_iter().all(positive), "{figure:?}");
    }
}

#[cfg(feature = "stego")]
#[test]
fn steganography_stands_beside_memory_and_the_codecs() {
    let stego = bench(&["stego"]);
    let names: Vec<_> = stego.iter().map(|figure| figure["figure"].as_str().expect("a name")).collect();
    let pixels = ["stego embed", "stego extract", "stego 800x600 jpeg", "stego 800x600 png", "stego 12MP jpeg"];
    #[cfg(feature = "stego_service")]
    let service = ["stego service", "stego service 2 workers", "stego assignments"];
    #[cfg(not(feature = "stego_service"))]
    let service: [&str; 0] = [];
    assert_eq!(names, [&pixels[..], &service].concat());
    stego.iter().zip(["B/s", "B/s", "ms", "ms", "ms", "1/s", "1/s", "1/s"]).for_each(|(figure, unit)| {
        check(figure, figure["figure"].as_str().expect("a name"), unit);
    });
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    let output = command.args(["bench", "link", "--size", "3"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(2), "a message holds its sequence number");
}

#[cfg(all(feature = "ring", feature = "http"))]
#[test]
fn the_ring_stands_beside_bare_processes() {
    let figures = bench(&["ring", "--file-mib", "2", "--kills", "1"]);
    let names: Vec<_> = figures.iter().map(|figure| figure["figure"].as_str().expect("a name")).collect();
    let throughput = ["ring push", "ring pull", "ring push strict", "ring small group", "ring small strict"];
    assert_eq!(names[..5], throughput);
    assert_eq!(names[5..], ["ring memory 16 MiB", "ring memory 32 streams", "ring kill to readable"]);
    for figure in &figures[..7] {
        let number = |key: &str| figure[key].as_f64().unwrap_or_else(|| panic!("{key} of {figure:?} is no number"));
        let ratio = number("value") / number("roofline");
        assert!(ratio > 0.0 && (ratio / number("ratio") - 1.0).abs() < 1e-6, "{figure:?}");
        assert!(number("rss_bytes_max") > 1e6 && number("nodes") == 5.0, "{figure:?}");
    }
    let number = |key: &str| figures[7][key].as_f64().expect("a number");
    assert!(number("value") > 0.0 && number("redundant_ms") >= number("value"), "{:?}", figures[7]);
}
