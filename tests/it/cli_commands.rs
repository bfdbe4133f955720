//! The command's other subcommands: exit statuses and refusals.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn nodewright(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.args(args).current_dir(dir).stdin(Stdio::null()).output().expect("the command starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// An empty directory of this test's own, removed when it passed.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nodewright-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Dir(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[test]
fn keygen_makes_files_for_the_owner_alone_and_overwrites_none() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new("keygen");
    let made = nodewright(&dir.0, &["keygen"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert!(said(&made).contains("nwp1-"), "the public key is printed: {}", said(&made));
    let before = std::fs::read(dir.0.join("cluster.secret")).expect("made");
    for file in ["cluster.secret", "node.key"] {
        let mode = std::fs::metadata(dir.0.join(file)).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    std::fs::remove_file(dir.0.join("node.key")).expect("ours");
    let again = nodewright(&dir.0, &["keygen"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("cluster.secret exists"), "{}", said(&again));
    assert!(!dir.0.join("node.key").exists(), "nothing is made unless all of it can be");
    assert_eq!(std::fs::read(dir.0.join("cluster.secret")).expect("there"), before);
}

#[test]
fn the_example_configuration_is_one_that_plans() {
    let dir = Dir::new("example");
    let example = nodewright(&dir.0, &["config", "--example"]);
    assert_eq!(example.status.code(), Some(0), "{}", said(&example));
    let file = dir.write("node.toml", &String::from_utf8_lossy(&example.stdout));
    let plan = nodewright(&dir.0, &["plan", "--config", &file]);
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    assert!(said(&plan).contains("failure_detector"), "{}", said(&plan));
}

#[test]
fn a_plan_says_the_composition_or_all_its_faults() {
    let dir = Dir::new("plan");
    let good = dir.write("good.toml", "name = \"alpha\"\nhas_delivery = [\"uniform.causal\"]\n");
    let plan = nodewright(&dir.0, &["plan", "--config", &good, "--json"]);
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    let names: Vec<_> = plan["components"].as_array().expect("a list").iter().map(|part| &part["name"]).collect();
    assert!(names.iter().any(|name| *name == "uniform.causal") && names.iter().any(|name| *name == "membership"));
    assert!(plan["memory_ceiling_bytes"].as_u64() > Some(0));

    // All-ack over an inaccurate detector, and a key without a secret.
    let bad = dir
        .write("bad.toml", "name = \"alpha\"\nhas_uniform_reliable_delivery_all_ack = true\nkey_file = \"node.key\"\n");
    let faults = nodewright(&dir.0, &["plan", "--config", &bad]);
    assert_eq!(faults.status.code(), Some(2), "{}", said(&faults));
    assert!(faults.stdout.is_empty());
    for part in ["assume_synchrony", "key_file", "mend:"] {
        assert!(said(&faults).contains(part), "{part} is missing in: {}", said(&faults));
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let dir = Dir::new("unknown-key");
    let file = dir.write("node.toml", "name = \"alpha\"\nlisten = \"127.0.0.1:0\"\ncolour = \"red\"\n");
    for command in ["node", "plan"] {
        let refused = nodewright(&dir.0, &[command, "--config", &file]);
        assert_eq!(refused.status.code(), Some(2), "{command}: {}", said(&refused));
        assert!(said(&refused).contains("colour"), "{command}: {}", said(&refused));
    }
}

#[test]
fn a_verdict_without_records_fails_and_without_a_directory_is_wrong_usage() {
    let dir = Dir::new("verdict");
    let empty = nodewright(&dir.0, &["verdict", ".", "--json"]);
    assert_eq!(empty.status.code(), Some(1), "{}", said(&empty));
    assert!(said(&empty).contains("\"verdict\":\"failed\""), "{}", said(&empty));
    assert_eq!(nodewright(&dir.0, &["verdict", "nowhere"]).status.code(), Some(2));
    dir.write("alpha.1.records", "this is no record of anything, whatever its name says");
    let junk = nodewright(&dir.0, &["verdict", "."]);
    assert_eq!(junk.status.code(), Some(1));
    assert!(said(&junk).contains("damaged"), "{}", said(&junk));
}

#[test]
fn usage_mistakes_end_with_two_and_say_what_is_wrong() {
    let dir = Dir::new("usage");
    for wrong in [&["fly"][..], &["mesh", "--fro", "20s"], &["mesh", "--for", "twenty"], &["plan"], &[]] {
        let refused = nodewright(&dir.0, wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}: {}", said(&refused));
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{wrong:?}");
    }
}
