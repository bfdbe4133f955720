//! Election in a real mesh: processes, sockets, kill -9.

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

/// Waits until all of these follow one leader that is one of them, above an epoch.
fn one_leader(running: &[(String, Process)], above: u64) -> Leader {
    let (_, first) = &running[0];
    let mut found = None;
    let is_up = |id: &str| running.iter().any(|(other, _)| other == id);
    first.wait_for("a leader that is up", |line| {
        found = leader(line).filter(|(id, epoch)| *epoch > above && is_up(id)).or(found.take());
        found.is_some()
    });
    let found = found.expect("was waited for");
    for (_, process) in &running[1..] {
        process.wait_for("the same leader", |line| leader(line).as_ref() == Some(&found));
    }
    found
}

/// Three processes; the leader is killed, and there is a new one in a higher epoch,
/// known to those that are left.
fn killed(variables: impl Fn(&str) -> Vec<(&'static str, String)>) {
    let ports = NAMES.map(|_| Port::keep());
    let peers: Vec<String> = ports.iter().map(|port| port.address.to_string()).collect();
    let mut running: Vec<(String, Process)> = Vec::new();
    for (name, listen) in NAMES.iter().zip(&peers) {
        let variables = variables(name);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let args = ["--name", name, "--listen", listen, "--peers", &peers.join(",")];
        running.push((NodeId::from_name(name).to_string(), Process::supervised(&args, &variables)));
    }
    let (first, epoch) = one_leader(&running, 0);
    let at = running.iter().position(|(id, _)| *id == first).expect("one of them");
    drop(running.remove(at)); // kill -9
    let (second, later) = one_leader(&running, epoch);
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
