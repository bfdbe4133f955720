//! The service as people run it: the examples' files, `serve`, `send`, `stats`.

use super::{Folder, PATIENCE, cover};
use crate::process::Port;
use nodewright::node::hides_exactly;
use nodewright::service::stego::Format;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

const SERVERS: usize = 3;

/// Servers as processes, by the examples' files at ports of this test's own.
struct Servers {
    children: Vec<Child>,
    ports: [Port; SERVERS],
    folder: Folder,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill(); // it may be gone already
            let _ = child.wait();
        }
    }
}

impl Servers {
    /// An example, with these ports in the place of its own.
    fn file(&self, name: &str) -> String {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/stego").join(name);
        let mut text = std::fs::read_to_string(&example).expect("an example");
        for (at, port) in self.ports.iter().enumerate() {
            text = text.replace(&format!("127.0.0.1:800{}", at + 1), &port.address.to_string());
        }
        let path = self.folder.path(name);
        std::fs::write(&path, text).expect("is written");
        path
    }

    fn start(name: &str) -> Self {
        let ports = [(); SERVERS].map(|()| Port::keep());
        let mut servers = Servers { children: Vec::new(), ports, folder: Folder::new(name) };
        let secret = servers.folder.path("cluster.secret");
        assert!(nodewright(&["keygen", "--secret", &secret]).status.success());
        for number in 1..=SERVERS {
            let config = servers.file(&format!("server{number}.toml"));
            let [dir, results] = ["data", "results"].map(|kind| servers.folder.path(&format!("{kind}{number}")));
            let started = command(&["stego", "serve", "--config", &config, "--dir", &dir, "--save-dir", &results])
                .args(["--secret-file", &secret])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            servers.children.push(started.expect("starts"));
        }
        servers
    }

    /// What each server says, once all do and know one leader.
    fn stats(&self) -> Vec<Value> {
        let config = self.file("client1.toml");
        let until = Instant::now() + PATIENCE;
        loop {
            let output = nodewright(&["stego", "stats", "--config", &config, "--json"]);
            let stats: Vec<Value> =
                text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let leader = &stats[0]["leader"];
            if output.status.success() && leader.is_u64() && stats.iter().all(|it| it["leader"] == *leader) {
                return stats;
            }
            assert!(Instant::now() < until, "no leader: {stats:?}");
            std::thread::sleep(std::time::Duration::from_millis(100)); // between two looks
        }
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.args(arguments);
    command
}

fn nodewright(arguments: &[&str]) -> Output {
    command(arguments).stdin(Stdio::null()).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("can be listed").path()).collect()
}

#[test]
fn images_are_sent_kept_on_both_sides_counted_and_reported() {
    let servers = Servers::start("commands");
    assert_eq!(servers.stats().len(), SERVERS);
    let client = servers.file("client1.toml");
    let [image, out, metrics] = ["photo.png", "out", "metrics.json"].map(|name| servers.folder.path(name));
    std::fs::write(&image, cover(3, 48, 48)).expect("is written");
    let sent = nodewright(&[
        "stego",
        "send",
        "--config",
        &client,
        "--image",
        &image,
        "--text",
        "meet at dawn",
        "--count",
        "7",
        "--out",
        &out,
        "--metrics-output",
        &metrics,
        "--report",
        "--client-id",
        "4",
    ]);
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&metrics).expect("is written")).expect("JSON");
    assert_eq!((&report["client"], &report["sent"], &report["succeeded"]), (&"Client1-4".into(), &7.into(), &7.into()));

    let results = files(&out);
    assert_eq!(results.len(), 7, "{results:?}");
    let mut kept = (1..=SERVERS).flat_map(|number| files(&servers.folder.path(&format!("results{number}"))));
    let kept: Vec<Vec<u8>> = kept.by_ref().map(|path| std::fs::read(path).expect("a file")).collect();
    assert_eq!(kept.len(), 7, "each server keeps those that it made");
    for result in results {
        let bytes = std::fs::read(&result).expect("a file");
        assert!(hides_exactly(&bytes, b"meet at dawn", Format::Boxed), "{result:?}");
        assert!(kept.contains(&bytes), "{result:?} is what a server kept");
    }
    let served: u64 = servers.stats().iter().filter_map(|it| it["served"].as_u64()).sum();
    assert_eq!(served, 7);
}

#[test]
fn a_server_that_does_not_answer_is_named_and_the_others_are_shown() {
    let mut servers = Servers::start("silent");
    servers.stats();
    let gone = servers.ports[1].address.to_string();
    let mut second = servers.children.remove(1);
    second.kill().and_then(|()| second.wait()).expect("it ran");
    let client = servers.file("client1.toml");
    let output = nodewright(&["stego", "stats", "--config", &client]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&gone), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 1 + SERVERS, "{}", text(&output.stdout));
}

/// Nobody answers, and there is an end to it.
#[test]
fn a_client_without_servers_gives_up_where_it_is_told_to() {
    let folder = Folder::new("nobody");
    let port = Port::keep();
    let config = folder.path("client.toml");
    let said = format!("[client]\nname = \"lonely\"\nserver_addresses = [\"{}\"]\n", port.address);
    std::fs::write(&config, said).expect("is written");
    let (image, out) = (folder.path("photo.png"), folder.path("out"));
    std::fs::write(&image, cover(3, 48, 48)).expect("is written");
    let sent = nodewright(&[
        "stego",
        "send",
        "--config",
        &config,
        "--image",
        &image,
        "--count",
        "1",
        "--out",
        &out,
        "--give-up-after",
        "0.5",
    ]);
    assert_eq!(sent.status.code(), Some(1), "{}", text(&sent.stdout));
    assert!(files(&out).is_empty(), "no half of a result");
}
