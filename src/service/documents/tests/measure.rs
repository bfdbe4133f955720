//! Figures of the machine alone: `cargo test --release --lib documents::tests::measure
//! -- --ignored --nocapture`.

use super::*;
use std::time::Instant;

const DOCUMENTS: u64 = 1_000_000;

/// Bytes that the process has resident.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

fn document(n: u64) -> Document {
    // 256 bytes with its id
    let pad = "x".repeat(256 - 65);
    let value = json!({"_id": format!("{n:031}"), "n": format!("{:08}", n * 7919 % DOCUMENTS), "pad": pad});
    Document::new(&value).expect("one")
}

#[test]
#[ignore = "takes a minute and a gibibyte; of interest in release builds"]
fn a_million_documents() {
    assert_eq!(document(1).len(), 256);
    let mut it = Machinery::new(Limits { bytes_max: 4 << 30, ..Limits::default() });
    it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
    let (before, mut spent) = (resident(), 0.0);
    for start in (0..DOCUMENTS).step_by(1000) {
        let step = |n| Step { collection: "people".into(), write: Write::Insert(document(n)) };
        let command = Command::Write((start..start + 1000).map(step).collect());
        let bytes = postcard::to_stdvec(&command).expect("plain values");
        it.at += 1;
        let clock = Instant::now();
        it.store.apply(At { index: it.at, term: 1 }, &bytes);
        spent += clock.elapsed().as_secs_f64();
    }
    let held = resident() - before;
    println!("memory of a 256 B document: {} B resident, {} B counted", held / DOCUMENTS, it.stats().bytes / DOCUMENTS);
    println!("batches of 1000 applied: {:.0} documents/s", DOCUMENTS as f64 / spent);

    let before = resident();
    it.index(IndexSpec::over(["n"]).unique());
    let clock = Instant::now();
    let mut longest = 0.0f64;
    while it.stats().collections[0].indexes[0].state != IndexState::Ready {
        let clock = Instant::now();
        it.commit(Command::Pass(0));
        longest = longest.max(clock.elapsed().as_secs_f64());
    }
    println!("index built: {:.1} s, longest step {:.1} ms", clock.elapsed().as_secs_f64(), longest * 1e3);
    println!("memory of an index entry: {} B resident", (resident() - before) / DOCUMENTS);

    let mut times: Vec<f64> = (0..10_000u64)
        .map(|n| {
            let find = Find::matching(filter(json!({"n": format!("{:08}", n * 104_729 % DOCUMENTS)})));
            let clock = Instant::now();
            let page = it.find(find).expect("a page");
            assert_eq!((page.documents.len(), page.examined), (1, 1));
            clock.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("indexed find of one in 1 M: median {:.1} us, p99 {:.1} us", times[5000], times[9900]);

    let clock = Instant::now();
    let mut bytes = Vec::new();
    it.store.snapshot(&mut bytes);
    println!("snapshot: {:.2} s, {} MiB", clock.elapsed().as_secs_f64(), bytes.len() >> 20);
    let clock = Instant::now();
    Store::new(it.store.limits).restore(it.at, &bytes).expect("it reads");
    println!("restored, with its index: {:.1} s", clock.elapsed().as_secs_f64());

    let find = Find::matching(filter(json!({"pad": "y"}))).examining_at_most(100_000);
    let clock = Instant::now();
    let _ = it.find(find);
    println!("100 000 documents examined: {:.0} ms", clock.elapsed().as_secs_f64() * 1e3);

    let clock = Instant::now();
    for n in 0..100_000 {
        let step = Step { collection: "people".into(), write: Write::Upsert(document(n * 9)) };
        it.commit(Command::Write(vec![step]));
    }
    println!("single writes applied, with one index: {:.0} /s", 1e5 / clock.elapsed().as_secs_f64());
}
