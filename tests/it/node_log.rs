//! The replicated log on threads, TCP and files.

use nodewright::node::{MessageType, Node, Running, start_together};
use nodewright::protocol::delivery::Delivery;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// What a node is handed.
pub type Heard = Arc<Mutex<Vec<String>>>;

/// Directories for one group, removed afterwards.
pub struct Directories(PathBuf);

impl Directories {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-log-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Directories(dir)
    }

    /// Where they are.
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A group in these directories, and what each node is handed.
pub fn group(dirs: &Directories) -> (Vec<Running>, Vec<Heard>) {
    let heard: Vec<Heard> = NAMES.map(|_| Heard::default()).to_vec();
    let nodes = NAMES.iter().zip(&heard).map(|(name, heard)| {
        let heard = heard.clone();
        Node::new(*name, 0, 5)
            .has_replicated_log(dirs.0.join(name))
            .on_receive_message(MessageType::TotalOrderDelivery, move |msg| {
                heard.lock().expect("no callback panics").push(msg.text().unwrap_or_default().to_string())
            })
    });
    (start_together(nodes).expect("they start"), heard)
}

/// Waits until so much came.
pub fn wait_for(heard: &Heard, count: usize, nodes: &[Running]) -> Vec<String> {
    let end = Instant::now() + DEADLINE;
    loop {
        let now = heard.lock().expect("no callback panics").clone();
        if now.len() >= count {
            return now;
        }
        let inspected = || nodes.iter().map(|node| format!("{:?}", node.inspect())).collect::<Vec<_>>();
        assert!(Instant::now() < end, "{} of {count}: {:#?}", now.len(), inspected());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn broadcasts_come_in_one_order_and_again_in_the_next_life_of_all() {
    let dirs = Directories::new();
    let (nodes, heard) = group(&dirs);
    let mut receipts = Vec::new();
    for n in 0..60 {
        let from = &nodes[n % 3];
        receipts.push(from.broadcast(Delivery::Total, format!("m{n}")).expect("composed"));
    }
    for receipt in receipts {
        receipt.wait(DEADLINE).expect("delivered");
    }
    let order = wait_for(&heard[0], 60, &nodes);
    for heard in &heard {
        assert_eq!(wait_for(heard, 60, &nodes), order);
    }
    nodes.iter().for_each(Running::stop);

    let (nodes, heard) = group(&dirs);
    nodes[1].broadcast(Delivery::Total, "after").expect("composed").wait(DEADLINE).expect("delivered");
    for heard in &heard {
        let again = wait_for(heard, 61, &nodes);
        assert_eq!((&again[..60], again[60].as_str()), (&order[..], "after"));
    }
    nodes.iter().for_each(Running::stop);
}

#[test]
fn a_leader_that_is_removed_hands_over_and_its_node_returns_as_another_replica() {
    let dirs = Directories::new();
    let (nodes, heard) = group(&dirs);
    nodes[0].broadcast(Delivery::Total, "with it").expect("composed").wait(DEADLINE).expect("delivered");
    let end = Instant::now() + DEADLINE;
    let (leader, before) = loop {
        let leads = nodes.iter().map(|node| node.log_status().ok().filter(|status| status.leads));
        if let Some((at, Some(status))) = leads.enumerate().find(|(_, status)| status.is_some()) {
            break (at, status.replica);
        }
        assert!(Instant::now() < end, "nobody leads");
    };
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let other = &nodes[others[0]];
    other.log_remove(nodes[leader].life().node, DEADLINE).expect("removed");
    other.broadcast(Delivery::Total, "without it").expect("composed").wait(DEADLINE).expect("delivered");
    for at in others {
        assert_eq!(wait_for(&heard[at], 2, &nodes), ["with it", "without it"]);
    }
    nodes.iter().for_each(Running::stop);
    std::fs::remove_dir_all(dirs.0.join(NAMES[leader])).expect("removed");

    let (nodes, _) = group(&dirs);
    let end = Instant::now() + DEADLINE;
    loop {
        let status = nodes[leader].log_status().expect("it runs");
        if status.voters.len() == 3 && status.voters.iter().any(|voter| voter.replica == status.replica) {
            assert_ne!(status.replica, before);
            break;
        }
        assert!(Instant::now() < end, "{status:?}: {:?}", nodes[leader].inspect());
        std::thread::sleep(Duration::from_millis(20));
    }
    nodes.iter().for_each(Running::stop);
}

#[test]
fn total_order_without_a_log_is_a_fault_with_the_line_that_mends_it() {
    let asked = Node::new("alpha", 0, 5).has_delivery(Delivery::Total);
    let heard = Node::new("alpha", 0, 5).on_receive_message(MessageType::TotalOrderDelivery, |_| {});
    for node in [asked, heard] {
        let report = node.plan().expect_err("there is no log").to_string();
        assert!(report.contains(".has_replicated_log(\"data\")"), "{report}");
    }
    let two = Node::new("alpha", 0, 5).dir("one").has_replicated_log("two").plan().expect_err("two").to_string();
    assert!(two.contains("a node has one directory"), "{two}");
}
