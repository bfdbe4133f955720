//! The document store on threads, TCP and files.

use nodewright::node::{Batch, Documents, Followed, Node, Running, start_together};
use nodewright::protocol::replicated_log::Level;
use nodewright::service::documents::query::{Filter, Patch, Sort};
use nodewright::service::documents::{Change, Changed, Document, Fate, Find, IndexSpec, IndexState, Refusal, Write};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// Directories for one group, removed afterwards.
struct Directories(PathBuf);

impl Directories {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-documents-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Directories(dir)
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn group(dirs: &Directories) -> Vec<Running> {
    let nodes =
        NAMES.iter().map(|name| Node::new(*name, 0, 5).has_documents(dirs.0.join(name)).collections(["people"]));
    start_together(nodes).expect("they start")
}

fn filter(value: serde_json::Value) -> Filter {
    Filter::parse(&value).expect("a filter")
}

/// Until the collection that was named is there.
fn ready(node: &Running) -> Documents {
    let documents = node.documents().within(DEADLINE);
    let end = Instant::now() + DEADLINE;
    while documents.collections().expect("it answers").value.collections.is_empty() {
        assert!(Instant::now() < end, "no collection: {:#?}", node.inspect());
        std::thread::sleep(Duration::from_millis(10));
    }
    documents
}

#[test]
fn any_node_takes_what_all_show_and_the_next_life_of_all_has_it() {
    let dirs = Directories::new();
    let nodes = group(&dirs);
    let all: Vec<Documents> = nodes.iter().map(ready).collect();
    let ada = all[0].insert("people", json!({"name": "Ada", "born": 1815})).expect("new");
    assert_eq!((ada.synced, ada.value.revision), (2, ada.index));
    let id = ada.value.id.expect("given");
    let found = all[1].get("people", &id).expect("it answers").value.expect("linearizable");
    assert_eq!((found.revision, found.document.value()["name"].as_str()), (ada.index, Some("Ada")));
    let patch = Patch::parse(&json!({"$inc": {"born": 1}})).expect("a patch");
    let stale = all[2].patch("people", &id, patch.clone(), Some(1)).expect_err("another revision");
    assert_eq!((stale.fate(), stale.refusal().map(Refusal::code)), (Fate::NotDone, Some("revision")));
    let patched = all[2].patch("people", &id, patch, Some(ada.index)).expect("as it was read");
    let own = all[0].level(Level::AtLeast(patched.index)).get("people", &id).expect("it answers");
    assert_eq!(own.value.map(|found| found.revision), Some(patched.index), "it reads what it knows of");

    all[1].create_index("people", IndexSpec::over(["name"]).unique()).expect("new");
    let mut batch = Batch::new();
    for n in 0..50 {
        let document = Document::new(&json!({"_id": format!("p{n:02}"), "name": format!("n{n}"), "born": 1900 + n}));
        batch.push("people", Write::Insert(document.expect("a document")));
    }
    assert_eq!(all[2].batch(batch).expect("all").value.len(), 50);
    let again = all[0].insert("people", json!({"name": "n7"})).expect_err("held");
    assert_eq!(again.refusal().map(Refusal::code), Some("unique"));
    let born = filter(json!({"born": {"$gte": 1940}}));
    let find = Find::matching(born.clone()).sorted(Sort::parse(&json!(["-born"])).expect("a sort")).limit(4);
    let first = all[1].find("people", find.clone()).expect("it answers").value;
    assert_eq!(all[0].delete_where("people", born).expect("done").value.deleted, 10);
    let second = all[1].find("people", find.after(first.cursor.expect("more"))).expect("pinned").value;
    assert_eq!((first.documents[0].id.as_str(), second.documents[0].id.as_str()), ("p49", "p45"));

    let once = all[0].key(77).insert("people", json!({"name": "Eve"})).expect("new");
    let twice = all[1].key(77).insert("people", json!({"name": "Eve"})).expect("the first outcome");
    assert_eq!((once.index, &once.value), (twice.index, &twice.value));
    let known = all[2].outcome(77).expect("it answers").expect("remembered");
    assert_eq!(known.index, once.index);
    assert_eq!(all[2].outcome(78).expect("it answers"), None);
    nodes.iter().for_each(Running::stop);

    let nodes = group(&dirs);
    let documents = ready(&nodes[1]);
    assert_eq!(documents.count("people", Filter::default()).expect("it answers").value, 42);
    let stats = documents.collections().expect("it answers").value;
    assert_eq!(stats.collections[0].indexes[0].state, IndexState::Ready);
    let plan = documents.explain("people", Find::matching(filter(json!({"name": "Eve"})))).expect("it answers");
    assert_eq!(plan.value.examined, 1);
    nodes.iter().for_each(Running::stop);
}

#[test]
fn a_follower_hears_everything_once_and_goes_on_at_another_node() {
    let dirs = Directories::new();
    let nodes = group(&dirs);
    let all: Vec<Documents> = nodes.iter().map(ready).collect();
    for n in 0..5 {
        all[0].insert("people", json!({"_id": format!("a{n}")})).expect("new");
    }
    let mut follow = all[1].follow("people", None);
    let Some(Followed::State { documents, last: true, .. }) = follow.next().expect("it answers") else {
        panic!("the state comes first");
    };
    assert_eq!(documents.len(), 5);
    let mut heard: Vec<Change> = Vec::new();
    for n in 0..20 {
        all[n % 3].insert("people", json!({"_id": format!("b{n:02}")})).expect("new");
        if n == 10 {
            follow = all[2].follow("people", follow.token());
        }
        if n % 4 == 0
            && let Some(Followed::Changes { changes, .. }) = follow.next().expect("it answers")
        {
            heard.extend(changes);
        }
    }
    while heard.len() < 20 {
        match follow.next().expect("it answers") {
            Some(Followed::Changes { changes, .. }) => heard.extend(changes),
            other => panic!("{other:?}"),
        }
    }
    let ids = heard.iter().map(|change| match &change.what {
        Changed::Put(id, _) => id.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), (0..20).map(|n| format!("b{n:02}")).collect::<Vec<_>>());
    let mut brief = all[2].within(Duration::from_millis(300)).follow("people", follow.token());
    assert_eq!(brief.next().expect("it answers"), None);
    nodes.iter().for_each(Running::stop);
}

#[test]
fn a_minority_says_what_it_cannot_do_and_shows_what_it_has() {
    let dirs = Directories::new();
    let nodes = group(&dirs);
    let all: Vec<Documents> = nodes.iter().map(ready).collect();
    let written = all[0].insert("people", json!({"_id": "a"})).expect("new");
    all[2].level(Level::AtLeast(written.index)).get("people", "a").expect("it is there too");
    nodes[0].stop();
    nodes[1].stop();
    let minority = all[2].within(Duration::from_secs(2));
    let refused = minority.insert("people", json!({"_id": "b"})).expect_err("no majority");
    assert_ne!(refused.fate(), Fate::Done, "{refused}");
    minority.get("people", "a").expect_err("no majority");
    let stale = minority.level(Level::Stale).get("people", "a").expect("what it has").value;
    assert_eq!(stale.map(|found| found.revision), Some(written.index));
    nodes[2].stop();
}

#[test]
fn a_single_node_needs_no_set_up_and_what_is_wrong_is_said_with_the_line_that_mends_it() {
    let dirs = Directories::new();
    let node = Node::new("alpha", 0, 5).has_documents(dirs.0.join("one")).start().expect("it starts");
    let documents = node.documents().within(DEADLINE);
    documents.create_collection("people").expect("new");
    documents.insert("people", json!({"_id": "a"})).expect("new");
    assert_eq!(documents.count("people", Filter::default()).expect("it answers").value, 1);
    let missing = documents.insert("others", json!({})).expect_err("unknown");
    assert_eq!(missing.refusal(), Some(&Refusal::NoCollection("others".into())));
    let long = documents.insert("people", json!({"text": "x".repeat(600 << 10)})).expect_err("too long");
    assert_eq!(long.refusal().map(Refusal::code), Some("document"));
    let plan = node.plan().to_string();
    assert!(plan.contains("documents"), "{plan}");
    node.stop();

    let without = Node::new("alpha", 0, 5).start().expect("it starts");
    without.documents().create_collection("people").expect_err("there is none");
    without.stop();
    for (node, mend) in [
        (Node::new("alpha", 0, 5).collections(["people"]), ".has_documents(\"data\")"),
        (Node::new("alpha", 0, 5).has_documents("data").collections(["a b"]), ".collections([\"people\"])"),
        (Node::new("alpha", 0, 5).has_documents("data").documents_bytes_max(7), ".documents_bytes_max(1 << 30)"),
    ] {
        let report = node.plan().expect_err("a fault").to_string();
        assert!(report.contains(mend), "{report}");
    }
}
