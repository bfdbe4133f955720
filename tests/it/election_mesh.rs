//! Election in a real mesh: processes, sockets, kill -9.

use crate::node_api::eventually;
use crate::process::{Port, Process};
use nodewright::id::NodeId;
use serde_json::Value;

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A leader as a process tells it: its node and the number of its epoch.
type Leader = (String, u64);

fn leader(line: &Value) -> Option<Leader> {
    let leads = line["event"] == "leader";
    leads.then(|| (line["leader"].as_str().unwrap_or_default().to_string(), line["epoch"].as_u64().unwrap_or_default()))
}

/// A member, and whom it followed last.
struct Member {
    id: String,
    process: Process,
    follows: Option<Leader>,
}

/// Waits until all of these follow one leader that is one of them, above an epoch. Those
/// that begin apart may have led themselves before.
fn one_leader(running: &mut [Member], above: u64) -> Leader {
    let mut found = None;
    eventually("all follow one leader that is up", || {
        for member in running.iter_mut() {
            member.follows = member.process.printed().filter_map(|line| leader(&line)).last().or(member.follows.take());
        }
        found = running[0].follows.clone().filter(|(id, epoch)| {
            *epoch > above
                && running.iter().any(|it| it.id == *id)
                && running.iter().all(|it| it.follows == running[0].follows)
        });
        found.is_some()
    });
    found.expect("was waited for")
}

/// Three processes; the leader is killed, and there is a new one in a higher epoch,
/// known to those that are left.
fn killed(variables: impl Fn(&str) -> Vec<(&'static str, String)>) {
    let ports = NAMES.map(|_| Port::keep());
    let peers: Vec<String> = ports.iter().map(|port| port.address.to_string()).collect();
    let mut running: Vec<Member> = Vec::new();
    for (name, listen) in NAMES.iter().zip(&peers) {
        let variables = variables(name);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let args = ["--name", name, "--listen", listen, "--peers", &peers.join(",")];
        let (id, process) = (NodeId::from_name(name).to_string(), Process::supervised(&args, &variables));
        running.push(Member { id, process, follows: None });
    }
    let (first, epoch) = one_leader(&mut running, 0);
    let at = running.iter().position(|it| it.id == first).expect("one of them");
    drop(running.remove(at)); // kill -9
    let (second, later) = one_leader(&mut running, epoch);
    assert!(second != first && later > epoch);
}

#[test]
fn the_leader_is_killed_and_another_leads_in_textbook_mode() {
    killed(|_| vec![("NODEWRIGHT_HAS_ELECTION", "id".to_string())]);
}

#[cfg(feature = "replicated_log")]
#[test]
fn the_leader_is_killed_and_another_leads_in_safe_mode() {
    let dir = std::env::temp_dir().join(format!("nodewright-election-{}", std::process::id()));
    let by = if cfg!(feature = "load") { "load" } else { "id" };
    killed(|name| {
        let dir = dir.join(name).display().to_string();
        vec![("NODEWRIGHT_HAS_ELECTION", by.to_string()), ("NODEWRIGHT_HAS_REPLICATED_LOG", dir)]
    });
    let _ = std::fs::remove_dir_all(&dir);
}
