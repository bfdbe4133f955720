//! The mesh of real processes, run by the built command.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

fn nodewright(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.args(args).stdin(Stdio::null()).env("RUST_LOG", "info");
    command
}

/// Runs a mesh to its end: its exit status and its lines.
fn mesh(args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = nodewright(&["mesh", "--json"]).args(args).output().expect("the command starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    if output.status.code() != Some(0) {
        eprintln!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.code(), lines)
}

fn count(verdict: &Value, key: &str) -> u64 {
    verdict[key].as_u64().unwrap_or_else(|| panic!("{key} in {verdict}"))
}

/// The verdict is the last line, is well, and has exactly the keys promised.
fn well(status: Option<i32>, lines: &[Value]) -> &Value {
    let verdict = lines.last().expect("a verdict");
    let keys: Vec<_> = verdict.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut promised = [
        "verdict",
        "nodes",
        "broadcasts",
        "deliveries",
        "lost",
        "duplicated",
        "out_of_order",
        "suspected",
        "restored",
        "rss_bytes_max",
    ];
    promised.sort_unstable();
    assert_eq!(keys, promised);
    assert_eq!((status, verdict["verdict"].as_str()), (Some(0), Some("ok")), "{verdict}");
    for none in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(count(verdict, none), 0, "{verdict}");
    }
    assert!(count(verdict, "rss_bytes_max") > 1 << 20, "{verdict}");
    verdict
}

#[test]
fn a_killed_node_comes_back_as_a_new_life_and_nothing_is_lost() {
    let (status, lines) = mesh(&["--for", "9s", "--kill", "2@1s", "--restart", "2@5s"]);
    let verdict = well(status, &lines);
    assert_eq!(count(verdict, "nodes"), 4);
    assert!(count(verdict, "broadcasts") > 500 && count(verdict, "deliveries") > 2000, "{verdict}");
    let lives: Vec<_> =
        lines.iter().filter(|line| line["node"] == "beta" && line.get("up_throughout").is_some()).collect();
    assert_eq!(lives.len(), 2, "{lives:?}");
    assert!(lives[0]["incarnation"].as_u64() < lives[1]["incarnation"].as_u64());
    assert_eq!((&lives[0]["ended_well"], &lives[1]["ended_well"]), (&Value::Bool(false), &Value::Bool(true)));
    assert!(count(lives[1], "deliveries") > 0, "the new life delivers: {:?}", lives[1]);
}

#[test]
fn cut_links_lose_duplicate_and_reorder_nothing() {
    let (status, lines) = mesh(&["--for", "6s", "--cut-links", "300ms", "--rate", "300"]);
    let verdict = well(status, &lines);
    // Nobody was killed: whatever was broadcast was delivered everywhere.
    assert_eq!(count(verdict, "deliveries"), 4 * count(verdict, "broadcasts"));
    let cut: u64 = lines
        .iter()
        .filter_map(|line| line["text"].as_str()?.strip_prefix("cut ")?.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(cut >= 10, "only {cut} connections were cut");
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_starts() {
    for wrong in [
        &["--kill", "9@5s"][..],
        &["--restart", "2@5s"],
        &["--kill", "2@30s"],
        &["--delivery", "exactly_once"],
        &["--size", "5"],
        &["--nodes", "0"],
    ] {
        let output = nodewright(&["mesh"]).args(wrong).output().expect("the command starts");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "{wrong:?}");
    }
}

/// A mesh that runs for long, all its nodes linked; its children's ids.
fn long_mesh() -> (Child, impl Iterator<Item = String>, Vec<String>) {
    let mut parent =
        nodewright(&["mesh", "--json", "--for", "10m"]).stdout(Stdio::piped()).spawn().expect("the command starts");
    let stdout = parent.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let linked = lines.find(|line| line.contains("all nodes are linked"));
    assert!(linked.is_some(), "the mesh ended before all were linked");
    let id = parent.id().to_string();
    let children: Vec<_> = processes().into_iter().filter(|(_, ppid)| *ppid == id).map(|(pid, _)| pid).collect();
    assert_eq!(children.len(), 4, "each node is a process");
    (parent, lines, children)
}

/// The live processes and their parents.
fn processes() -> Vec<(String, String)> {
    let of = |pid: String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let alive = fields.next()? != "Z";
        let ppid = fields.next()?.to_string();
        alive.then_some((pid, ppid))
    };
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| of(entry.ok()?.file_name().into_string().ok()?)).collect()
}

fn wait_until_gone(pids: &[String]) {
    let began = Instant::now();
    loop {
        let left: Vec<_> = processes().into_iter().map(|(pid, _)| pid).filter(|pid| pids.contains(pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "still there: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(pid: &str, name: &str) {
    let sent = Command::new("kill").args([name, pid]).status().expect("kill");
    assert!(sent.success());
}

#[test]
fn ctrl_c_ends_the_mesh_with_its_verdict_and_no_node_stays() {
    let (mut parent, lines, children) = long_mesh();
    signal(&parent.id().to_string(), "-INT");
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect();
    let status = parent.wait().expect("it ends");
    well(status.code(), &lines);
    wait_until_gone(&children);
}

#[test]
fn a_killed_command_leaves_no_node_behind_not_even_a_paused_one() {
    let (mut parent, _lines, children) = long_mesh();
    signal(&children[0], "-STOP");
    parent.kill().expect("it is there");
    parent.wait().expect("it ends");
    wait_until_gone(&children);
}
