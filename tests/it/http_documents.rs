//! The document store behind REST, on one node with its real store.

use nodewright::http::{Client, Problem};
use nodewright::node::{Node, Running};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

/// A node, and its directory that goes with it.
struct Served {
    node: Option<Running>,
    dir: PathBuf,
}

impl Served {
    fn start() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-http-{}-{number}", std::process::id()));
        let node = Node::new("alone", 0, 5).has_documents(&dir).has_http("127.0.0.1:0").start().expect("it starts");
        Served { node: Some(node), dir }
    }

    fn client(&self) -> Client {
        let node = self.node.as_ref().expect("it runs");
        Client::new([node.http_addr().expect("it serves").to_string()]).within(DEADLINE)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn fill(client: &mut Client, collection: &str, from: u64, count: u64) {
    for first in (from..from + count).step_by(1000) {
        let put =
            |n: u64| json!({"op": "insert", "collection": collection, "document": {"_id": format!("{n:06}"), "n": n}});
        let writes: Vec<Value> = (first..(from + count).min(first + 1000)).map(put).collect();
        client.batch(&writes).expect("they are new");
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, status: u16, code: &str) {
    let problem = result.expect_err("it is refused");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem}");
    assert!(!problem.hint.is_empty());
}

#[test]
fn pages_stay_in_their_state_until_the_node_lets_it_go_and_then_say_so() {
    let served = Served::start();
    let mut client = served.client();
    client.create_collection("numbers").expect("new");
    fill(&mut client, "numbers", 0, 100);
    let first = client.find("numbers", &json!({"limit": 10})).expect("a page");
    let next = |cursor: &Value| json!({"limit": 10, "cursor": cursor});
    client.delete("numbers", "000015", None).expect("it was there");
    let second = client.find("numbers", &next(&first["cursor"])).expect("the same state");
    assert_eq!(second["documents"][5]["id"], "000015", "as it was at the first page");
    refused(client.find("numbers", &json!({"limit": 10, "cursor": "nwc1-00"})), 400, "cursor_foreign");
    let other = json!({"limit": 10, "filter": {"n": 3}, "cursor": first["cursor"]});
    refused(client.find("numbers", &other), 400, "cursor_foreign");
    // so many states of other pages that this one goes
    for n in 0..70 {
        client.put("numbers", "000000", &json!({"n": -n}), None).expect("it is put");
        client.find("numbers", &json!({"limit": 10})).expect("a page");
    }
    refused(client.find("numbers", &next(&first["cursor"])), 410, "cursor_expired");
}

#[test]
fn a_watch_behind_what_is_held_is_told_so_and_goes_on_from_the_state() {
    let served = Served::start();
    let mut client = served.client();
    let made = client.create_collection("numbers").expect("new").index;
    fill(&mut client, "numbers", 0, 3);
    let held = client.watch(Some("numbers"), Some(made), None).next_within(DEADLINE).expect("it answers");
    assert_eq!(held.expect("an event").name, "change");
    fill(&mut client, "numbers", 3, 66_000);
    let mut watch = client.watch(Some("numbers"), Some(made), None);
    let mut next = || watch.next_within(DEADLINE).expect("it answers").expect("an event");
    let gone = next();
    assert_eq!((gone.name.as_str(), &gone.data["after"]), ("gone", &json!(made)), "{gone:?}");
    let mut documents = 0;
    let state = loop {
        let event = next();
        match event.name.as_str() {
            "document" => documents += 1,
            _ => break event,
        }
    };
    assert_eq!((state.name.as_str(), documents), ("state", 66_003));
}

/// Scans run on the pool: writes are done meanwhile, and each scan shows one state.
#[test]
fn many_long_queries_at_once_are_all_answered_and_hold_up_no_write() {
    let served = Served::start();
    let mut client = served.client();
    client.create_collection("numbers").expect("new");
    fill(&mut client, "numbers", 0, 5000);
    std::thread::scope(|scope| {
        let counts: Vec<_> = (0..24)
            .map(|_| {
                let mut client = served.client();
                scope.spawn(move || {
                    let all = json!({"n": {"$gte": 0}});
                    (0..4).map(|_| client.count("numbers", &all).expect("it is counted")).collect::<Vec<u64>>()
                })
            })
            .collect();
        // each batch brings ten, or none
        for first in (5000..6000).step_by(10) {
            fill(&mut client, "numbers", first, 10);
        }
        for counted in counts.into_iter().flat_map(|it| it.join().expect("no panic")) {
            assert!((5000..=6000).contains(&counted) && counted.is_multiple_of(10), "{counted}");
        }
    });
    assert_eq!(client.count("numbers", &json!({"n": {"$gte": 0}})).expect("it is counted"), 6000);
}
