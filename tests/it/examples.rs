//! Every example runs by itself, shows its point and ends with status 0.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

/// Where the examples are, built anew if they are not up to date.
fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = Command::new(env!("CARGO")).args(["build", "--offline", "--quiet", "--examples"]).status();
        assert!(build.expect("cargo runs").success(), "the examples do not build");
        let test = std::env::current_exe().expect("this test has a path");
        test.parent()
            .and_then(|deps| deps.parent())
            .expect("target/debug/deps")
            .with_file_name("debug")
            .join("examples")
    })
}

#[track_caller]
fn check(name: &str, shows: &str) {
    let mut example = Command::new(built().join(name))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example was built");
    let deadline = Instant::now() + DEADLINE;
    let in_time = loop {
        if example.try_wait().expect("a child of this process").is_some() {
            break true;
        }
        if Instant::now() > deadline {
            example.kill().expect("still running");
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = example.wait_with_output().expect("it ended");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(in_time, "{name} did not end within {DEADLINE:?}\n{out}{err}");
    assert!(output.status.success(), "{name} ended with {}\n{out}{err}", output.status);
    assert!(out.contains(shows), "{name} does not show '{shows}'\n{out}{err}");
}

#[test]
fn hello_mesh() {
    check("hello_mesh", "delta's leave was noticed");
}

#[cfg(feature = "documents")]
#[test]
fn documents() {
    check("documents", "3 changes");
}

#[test]
fn uniform_broadcast() {
    check("uniform_broadcast", "held by everyone: Stable");
}

#[test]
fn typed_messages() {
    check("typed_messages", "A CLIENT IS NO MEMBER");
}

#[test]
fn clocks() {
    check("clocks", "alpha's clocks now");
}

#[test]
fn test_your_component() {
    check("test_your_component", "2000 worlds");
    check("test_your_component", "every increment counts once is violated");
    check("test_your_component", "shrunk by");
}

#[test]
fn custom_component() {
    check("custom_component", "greeted twice each, on threads and in the world of seed 7: true");
    let source = include_str!("../../examples/custom_component.rs");
    assert!(source.lines().count() < 60, "a component of one's own takes less than 60 lines");
}
