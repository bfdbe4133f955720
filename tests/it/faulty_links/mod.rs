//! Real processes over bad links: every link of a mesh goes through the fault
//! proxy ([`crate::proxy`]), under load, each fault in turn and then all
//! together at random. Judged from what the nodes recorded: nothing lost,
//! duplicated or reordered, whatever the links did.
//!
//! That the seal is what refuses altered bytes is shown by the transport's own
//! test (`transport/altered.rs`), which fails without it.
//!
//! Nothing here is about how long things take: conditions are waited for, with
//! a minute for each.

mod mesh;
mod records;

use crate::proxy::{Alteration, Faults};
use mesh::{Mesh, WAYS, verdict};
use records::{Forgery, forge};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const SEED: u64 = 20;
const ALL: [usize; 3] = [0, 1, 2];
/// Deliveries that show that a node goes on: a second's worth of all three.
const MORE: u64 = 200;
/// Changes of faults in the random part, and the pauses that let them fall
/// anywhere in the load.
const CHANGES: u64 = 60;

#[test]
fn three_processes_over_faulty_links_lose_duplicate_and_reorder_nothing() {
    let mut mesh = Mesh::start("uniform.causal", SEED);
    slow_links(&mut mesh);
    cut_in_mid_frame(&mut mesh);
    altered_bytes_are_refused(&mut mesh);
    stalled_and_one_way(&mut mesh);
    all_at_random(&mut mesh);
    let (records, judged) = well(&mut mesh);
    let count = |key: &str| judged[key].as_u64().expect("a count");
    assert!(count("suspected") >= 3 && count("restored") >= 3, "{judged}");
    // The same records with one fault of ours each: the judge sees it.
    let forged = mesh.dir.join("forged");
    for (forgery, found) in
        [(Forgery::Lose, "lost"), (Forgery::Duplicate, "duplicated"), (Forgery::Reorder, "out_of_order")]
    {
        forge(&records, &forged, forgery);
        let (status, judged) = verdict(&forged);
        assert_eq!(status, Some(1), "{forgery:?}: {judged}");
        assert!(judged[found].as_u64() > Some(0), "{forgery:?}: {judged}");
    }
}

/// Best effort adds nothing to its links: what they lose or reorder is lost.
/// (Links that do not go back after a cut, and take what comes early, are found
/// here and not above, where uniform delivery repairs what they lost.)
#[test]
fn links_alone_lose_duplicate_and_reorder_nothing() {
    let mut mesh = Mesh::start("best_effort.fifo", SEED);
    cut_in_mid_frame(&mut mesh);
    all_at_random(&mut mesh);
    well(&mut mesh);
}

/// Ends the mesh; what it left behind is well, and everyone delivered all.
fn well(mesh: &mut Mesh) -> (PathBuf, Value) {
    let records = mesh.end();
    let (status, judged) = verdict(&records);
    assert_eq!((status, judged["verdict"].as_str()), (Some(0), Some("ok")), "{judged}");
    for none in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(judged[none], 0, "{judged}");
    }
    let count = |key: &str| judged[key].as_u64().expect("a count");
    assert_eq!(count("deliveries"), 3 * count("broadcasts"), "all that was broadcast, everywhere: {judged}");
    assert!(count("broadcasts") > 500, "{judged}");
    println!("{judged}\n{:?}", mesh.done());
    (records, judged)
}

fn slow_links(mesh: &mut Mesh) {
    let (latency, jitter) = (Duration::from_millis(30), Duration::from_millis(30));
    mesh.set_all(Faults { latency, jitter, ..Faults::default() });
    mesh.wait_progress("over slow links", &ALL, MORE);
    mesh.set_all(Faults { slice_max: 7, ..Faults::default() });
    mesh.wait_progress("in small pieces", &ALL, MORE);
    mesh.set_all(Faults::default());
}

/// At places that fall into lengths, headers, blocks and tags.
fn cut_in_mid_frame(mesh: &mut Mesh) {
    let places = [0, 1, 2, 27, 101, 350, 1111, 5003];
    for place in places {
        let sessions = mesh.wait_links("all are linked", "sessions", 6);
        let cuts = mesh.done().cuts;
        for way in [WAYS[0], WAYS[3], WAYS[4]] {
            mesh.set(way, Faults { cut_after: Some(place), ..Faults::default() });
        }
        // A link has two proxies, so these are two links at least.
        mesh.wait_done("links are cut", |done| done.cuts >= cuts + 3);
        mesh.wait_links("they are taken up again", "sessions", sessions + 1);
    }
    mesh.set_all(Faults::default());
    mesh.wait_progress("after the cuts", &ALL, MORE);
    assert_eq!(mesh.wait_links("a cut frame is no damage", "malformed", 0), 0);
}

/// Noise refuses what is not as it was sealed, and what comes again.
fn altered_bytes_are_refused(mesh: &mut Mesh) {
    for alteration in [Alteration::Flip, Alteration::Drop, Alteration::Repeat] {
        let (refused, sessions) =
            (mesh.wait_links("", "malformed", 0), mesh.wait_links("all are linked", "sessions", 6));
        let altered = mesh.done().altered;
        mesh.set_all(Faults { alter: Some((alteration, 5000)), ..Faults::default() });
        mesh.wait_done("bytes are altered", |done| done.altered >= altered + 12);
        mesh.set_all(Faults::default());
        mesh.wait_links("they are refused", "malformed", refused + 1);
        mesh.wait_links("and the links taken up again", "sessions", sessions + 1);
        mesh.wait_progress("after alterations", &ALL, MORE);
    }
}

fn stalled_and_one_way(mesh: &mut Mesh) {
    let stalled = Faults { stalled: true, ..Faults::default() };
    mesh.wait_calm();
    mesh.set((0, 1), stalled);
    mesh.set((1, 0), stalled);
    mesh.wait_suspects(&[(0, 1), (1, 0)], true);
    mesh.wait_progress("beside a silent link", &ALL, MORE);
    mesh.set_all(Faults::default());
    mesh.wait_calm();
    mesh.set((0, 2), stalled); // gamma hears nothing of alpha, which hears it
    mesh.wait_suspects(&[(2, 0)], true);
    mesh.wait_progress("beside a one-way link", &ALL, MORE);
    mesh.set_all(Faults::default());
    mesh.wait_calm();
    mesh.wait_progress("after silence", &ALL, MORE);
}

fn all_at_random(mesh: &mut Mesh) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let before = mesh.done();
    for _ in 0..CHANGES {
        let mut some = |one_in: usize| random.usize(0..one_in) == 0;
        let (late, sliced, stalled, cut, altered) = (some(2), some(3), some(6), some(3), some(3));
        let latency = Duration::from_millis(if late { random.u64(0..20) } else { 0 });
        let alterations = [Alteration::Flip, Alteration::Drop, Alteration::Repeat];
        let faults = Faults {
            latency,
            jitter: latency,
            slice_max: if sliced { random.usize(1..100) } else { 0 },
            stalled,
            cut_after: cut.then(|| random.u64(0..4000)),
            alter: altered.then(|| (alterations[random.usize(0..3)], random.u64(500..20_000))),
        };
        mesh.set(WAYS[random.usize(0..WAYS.len())], faults);
        mesh.listen();
        std::thread::sleep(Duration::from_millis(random.u64(20..150))); // lets the changes fall anywhere in the load
    }
    let done = mesh.done();
    assert!(done.cuts > before.cuts && done.altered > before.altered, "{before:?} {done:?}");
    mesh.set_all(Faults::default());
    mesh.wait_calm();
    mesh.wait_progress("after everything", &ALL, MORE);
}
