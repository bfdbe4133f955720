//! What is wrong is refused by name, and changes nothing.

use super::*;

#[track_caller]
fn check_document(json: &str, expected: &str) {
    match Document::parse(json.as_bytes()) {
        Err(why) => assert!(why.to_string().contains(expected), "{why}"),
        Ok(document) => panic!("{document}"),
    }
}

#[test]
fn what_is_no_document_is_refused() {
    check_document("{\"a\": 1", "no JSON");
    check_document("{\"a\": NaN}", "no JSON");
    check_document("{\"a\": Infinity}", "no JSON");
    check_document("{\"a\": 1e999}", "no JSON");
    check_document("[1]", "no object");
    check_document("{\"_id\": 7}", "no string");
    check_document("{\"_id\": \"\"}", "is empty");
    check_document(&format!("{{\"_id\": \"{}\"}}", "x".repeat(257)), "257 bytes");
    check_document(&format!("{{\"a\": \"{}\"}}", "x".repeat(DOCUMENT_BYTES_MAX)), "at most 524288");
    check_document(&format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000)), "no JSON");
    check_document(&format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64)), "deeper than 64");
    let mut deep = json!(1);
    for _ in 0..1000 {
        deep = json!([deep]);
    }
    assert!(matches!(Document::new(&json!({ "a": deep })), Err(Refusal::Document(_))));
}

#[test]
fn numbers_at_their_edges_stay_what_they_are() {
    let mut it = Machinery::with_people();
    let text = "{\"_id\":\"n\",\"f\":1e308,\"i\":-9223372036854775808,\"u\":18446744073709551615,\"z\":-0.0}";
    it.write(Write::Insert(Document::parse(text.as_bytes()).expect("a document"))).expect("new");
    let it = it.restarted();
    let page = it.find(Find::matching(filter(json!({"u": u64::MAX, "i": i64::MIN, "z": 0, "f": 1e308}))));
    assert_eq!(page.map(|page| page.documents[0].document.to_string()), Ok(text.replace("1e308", "1e+308")));
    let near = it.find(Find::matching(filter(json!({"u": u64::MAX - 1}))));
    assert_eq!(near.map(|page| page.documents.len()), Ok(0));
}

#[test]
fn ids_that_are_there_and_ids_that_are_not() {
    let mut it = Machinery::with_people();
    it.insert(json!({"_id": "a"})).expect("new");
    let hash = it.store.hash();
    assert!(matches!(it.insert(json!({"_id": "a", "n": 1})), Err(Refusal::Exists { .. })));
    // the component gives ids; what comes without one is of no node of ours
    assert!(matches!(it.insert(json!({"n": 1})), Err(Refusal::Document(_))));
    let replace = |revision| Write::Replace(Document::new(&json!({"_id": "b"})).expect("one"), revision);
    assert!(matches!(it.write(replace(None)), Err(Refusal::NoDocument { .. })));
    assert!(matches!(it.write(Write::Delete("b".into(), Some(3))), Err(Refusal::NoDocument { .. })));
    let patch = Write::Patch { id: "b".into(), patch: patch(json!({"n": 1})), revision: None, upsert: false };
    assert!(matches!(it.write(patch), Err(Refusal::NoDocument { .. })));
    let unfit = Write::Patch {
        id: "a".into(),
        patch: super::patch(json!({"$inc": {"_x.y": 1}, "$set": {"z": 1}})),
        revision: None,
        upsert: false,
    };
    it.write(unfit).expect("objects on the way are made");
    let unfit = Write::PatchWhere(Filter::default(), super::patch(json!({"$push": {"z": 1}})));
    assert!(matches!(it.write(unfit), Err(Refusal::Patch { .. })));
    assert_ne!(it.store.hash(), hash);
}

#[test]
fn names_and_bounds() {
    let mut it = Machinery::with_people();
    let unknown = Step { collection: "others".into(), write: Write::DeleteWhere(Filter::default()) };
    match it.commit(Command::Write(vec![unknown])) {
        Committed::Refused { why, .. } => {
            assert_eq!(why.to_string(), "there is no collection 'others': create it first")
        }
        other => panic!("{other:?}"),
    }
    for name in ["", "-a", "a b", "a/b", "_a", "..", &"x".repeat(65)] {
        let made = it.commit(Command::CreateCollection(name.into(), CollectionOptions::default()));
        assert!(matches!(made, Committed::Refused { why: Refusal::Name { .. }, .. }), "{name}");
    }
    let same = it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
    assert_eq!(same, Committed::Done(Done::Changed(false)), "idempotent");
    let other = CollectionOptions { expire_after_ms: Some(1) };
    let other = it.commit(Command::CreateCollection("people".into(), other));
    assert!(matches!(other, Committed::Refused { why: Refusal::Differs(_), .. }));
    for n in 1..COLLECTIONS_MAX {
        it.commit(Command::CreateCollection(format!("c{n}"), CollectionOptions::default()));
    }
    let more = it.commit(Command::CreateCollection("more".into(), CollectionOptions::default()));
    assert!(matches!(more, Committed::Refused { why: Refusal::TooMany { .. }, .. }));
    for n in 0..INDEXES_MAX {
        it.index(IndexSpec::over(["a"]).named(format!("i{n}")));
    }
    let more = it.index(IndexSpec::over(["a"]).named("more"));
    assert!(matches!(more, Committed::Refused { why: Refusal::TooMany { .. }, .. }));
    assert_eq!(it.index(IndexSpec::over(["a"]).named("i0")), Committed::Done(Done::Changed(false)));
    let differs = it.index(IndexSpec::over(["b"]).named("i0"));
    assert!(matches!(differs, Committed::Refused { why: Refusal::Differs(_), .. }));
    let none = it.index(IndexSpec::over::<&str>([]).named("none"));
    assert!(matches!(none, Committed::Refused { why: Refusal::Query(_), .. }));
    let many = it.index(IndexSpec::over(vec!["a"; 9]).named("many"));
    assert!(matches!(many, Committed::Refused { why: Refusal::TooMany { .. }, .. }));
    let many = Command::Write(vec![
        Step { collection: "people".into(), write: Write::Delete("a".into(), None) };
        STEPS_MAX + 1
    ]);
    assert!(matches!(it.commit(many), Committed::Refused { why: Refusal::TooMany { .. }, .. }));
}

#[test]
fn the_memory_budget_refuses_early_and_deleting_makes_room() {
    let mut it = Machinery::new(Limits { bytes_max: 3000, ..Limits::default() });
    it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
    let fat = |id: &str| json!({"_id": id, "text": "x".repeat(1000)});
    it.insert(fat("a")).expect("room");
    it.insert(fat("b")).expect("room");
    let (hash, bytes) = (it.store.hash(), it.stats().bytes);
    match it.insert(fat("c")) {
        Err(why @ Refusal::Full { .. }) => assert!(why.to_string().contains("delete something"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((it.store.hash(), it.stats().bytes), (hash, bytes));
    it.write(Write::Upsert(Document::new(&json!({"_id": "a"})).expect("one"))).expect("what shrinks is taken");
    it.insert(fat("c")).expect("room");
}

#[test]
fn what_is_of_another_program_changes_nothing() {
    let mut it = Machinery::with_people();
    it.insert(json!({"_id": "a"})).expect("new");
    let hash = it.store.hash();
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..2000 {
        let junk: Vec<u8> = (0..rng.usize(0..60)).map(|_| rng.u8(..)).collect();
        it.at += 1;
        let reply = it.store.apply(At { index: it.at, term: 1 }, &junk);
        assert!(postcard::from_bytes::<Committed>(&reply).is_ok());
        let _ = it.store.query(it.at, &junk);
    }
    // junk may say that time passes, no more
    let _ = hash;
    assert_eq!(it.find(Find::default()).map(|page| page.documents.len()), Ok(1));
}

#[test]
fn a_damaged_or_newer_snapshot_is_refused() {
    let mut it = Machinery::with_people();
    for n in 0..20 {
        it.insert(json!({"_id": format!("{n}")})).expect("new");
    }
    it.index(IndexSpec::over(["n"]));
    let mut bytes = Vec::new();
    it.store.snapshot(&mut bytes);
    for length in (1..bytes.len()).step_by(7) {
        let cut = Store::default().restore(1, &bytes[..length]);
        // a cut between two items is found by the log's own checksum
        let _ = cut;
    }
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = Store::default().restore(1, &damaged); // never panics
    }
    bytes[2] = 2; // the format
    let newer = Store::default().restore(1, &bytes);
    assert!(newer.as_ref().is_err_and(|why| why.contains("format 2")), "{newer:?}");
}
