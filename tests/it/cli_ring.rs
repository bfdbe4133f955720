//! `nodewright ring`, as a person runs it: real processes, killed, stopped and started
//! again; the text protocol by plain sockets; HTTP.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(120);

/// A directory of its own, removed afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-cli-ring-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Directory(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let output = command(args).output().expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

/// A running `ring up`; killed with its nodes when dropped.
struct Up {
    process: Child,
    lines: Receiver<Value>,
    /// Port and process of each node, as last told.
    nodes: Vec<(String, u64)>,
    gateway: String,
}

impl Up {
    fn start(dir: &str, nodes: &str) -> Up {
        let args = ["ring", "up", "--nodes", nodes, "--base-port", "0", "--gateway-port", "0", "--poll", "500ms"];
        let mut process = command(&[&args[..], &["--json", "--dir", dir]].concat())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON")); // nobody may read on
            }
        });
        let mut up = Up { process, lines, nodes: Vec::new(), gateway: String::new() };
        up.until("ready", "");
        up.nodes.sort();
        up
    }

    /// Reads events up to one of this kind, of this node if one is named.
    fn until(&mut self, event: &str, node: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{event} {node} is not told"));
            if let (Some("up"), Some(name), Some(pid)) =
                (line["event"].as_str(), line["node"].as_str(), line["pid"].as_u64())
            {
                self.nodes.retain(|(other, _)| other != name);
                self.nodes.push((name.into(), pid));
            }
            if line["event"] == event && (node.is_empty() || line["node"] == node) {
                self.gateway = line["gateway"].as_str().map_or(self.gateway.clone(), str::to_string);
                return line;
            }
        }
    }

    fn signal(&self, node: &str, signal: Signal) {
        let pid = self.nodes.iter().find(|(name, _)| name == node).expect("a node").1;
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not 0");
        kill_process(pid, signal).expect("it runs");
    }

    fn pids(&self) -> Vec<u64> {
        self.nodes.iter().map(|(_, pid)| *pid).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill(); // its nodes die with it
        let _ = self.process.wait();
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("is set");
    stream
}

/// As netcat: says all, ends, and reads to the end, if it comes to one.
fn heard(address: &str, said: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(address);
    stream.write_all(said).expect("is said");
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).map(|_| all)
}

fn netcat(address: &str, said: &[u8]) -> Vec<u8> {
    heard(address, said).expect("ends well")
}

fn push(address: &str, name: &str, content: &[u8]) -> String {
    let said = [format!("FILE PUSH {} {name}\n", content.len()).as_bytes(), content].concat();
    String::from_utf8_lossy(&netcat(address, &said)).into_owned()
}

/// Head and body of an HTTP answer.
fn http(address: &str, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let head = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let all = netcat(address, &[head.as_bytes(), body].concat());
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&all[..end]).to_lowercase(), all[end + 4..].to_vec())
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
}

fn is_there(pid: u64) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn what_is_stored_outlives_killed_and_stopped_nodes_and_the_end_of_all() {
    let dir = Directory::new();
    let ring = dir.path("nodes");
    let mut up = Up::start(&ring, "5");
    let content = bytes(3_000_001, 1);
    let answer = push(&up.gateway, "a file", &content);
    assert!(answer.ends_with(" copies=2 durability=strict\n"), "{answer}");
    let pulls = |gateway: &str| netcat(gateway, b"FILE PULL a file\n") == content;
    assert!(pulls(&up.gateway));

    // Each node once, the entry and every owner among them.
    for node in up.nodes.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>() {
        up.signal(&node, Signal::KILL);
        up.until("ended", &node);
        wait_until("the file is read without one node", || pulls(&up.gateway));
        up.until("up", &node);
        wait_until("all nodes are alive again", || run(&["ring", "status", "--dir", &ring]).0 == 0);
    }

    // One that is stopped is no dead one.
    let stopped = up.nodes[2].clone();
    up.signal(&stopped.0, Signal::STOP);
    wait_until("the file is read past a stopped node", || pulls(&up.gateway));
    assert!(is_there(stopped.1));
    assert!(up.lines.try_recv().is_err(), "nobody was started");
    up.signal(&stopped.0, Signal::CONT);

    // Ctrl-C leaves nothing, also while one is stopped; and everything is there again.
    up.signal(&stopped.0, Signal::STOP);
    let pids = up.pids();
    kill_process(Pid::from_child(&up.process), Signal::INT).expect("it runs");
    assert!(up.process.wait().expect("ends").success());
    assert_eq!(pids.into_iter().filter(|pid| is_there(*pid)).count(), 0);
    drop(up);
    let up = Up::start(&ring, "5");
    assert!(pulls(&up.gateway));
    let (status, out, err) = run(&["ring", "up", "--nodes", "3", "--base-port", "0", "--no-gateway", "--dir", &ring]);
    assert!(status != 0 && out.is_empty() && err.contains("nothing was started"), "{status} {out} {err}");
    let pids = up.pids();
    drop(up); // kill -9 of the supervisor
    wait_until("no node outlives its supervisor", || pids.iter().all(|pid| !is_there(*pid)));
}

#[test]
fn commands_and_http_do_what_they_say() {
    let dir = Directory::new();
    let ring = dir.path("nodes");
    let up = Up::start(&ring, "3");
    let content = bytes(2_500_000, 2);
    std::fs::write(dir.path("in"), &content).expect("is written");
    let at = ["--dir", ring.as_str(), "--json"];
    let json = |args: &[&str]| {
        let (status, out, err) = run(&[&["ring"], args, &at].concat());
        assert_eq!(status, 0, "{args:?}: {out}{err}");
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let exit = |args: &[&str]| run(&[&["ring"], args, &at].concat()).0;
    let (file, out) = (dir.path("in"), dir.path("out"));
    let pushed = json(&["push", &file, "--name", "dir/ä b", "--if-version", "none"]).remove(0);
    let root = pushed["root"].as_str().expect("a root").to_string();
    assert_eq!((pushed["version"].as_u64(), pushed["copies"].as_u64()), (Some(1), Some(2)), "{pushed}");
    assert_eq!(exit(&["push", &file, "--name", "dir/ä b", "--if-version", "none"]), 1);

    // A pull that was cut goes on; one with another beginning is not believed.
    let partial = format!("{out}.{}.partial", &root[..16]);
    std::fs::write(&partial, &content[..1_234_567]).expect("is written");
    json(&["pull", "dir/ä b", "--output", &out]);
    assert!(std::fs::read(&out).expect("is there") == content && !Path::new(&partial).exists());
    std::fs::write(&partial, vec![0; 1_234_567]).expect("is written");
    assert_eq!(exit(&["pull", "dir/ä b", "--output", &out]), 1);
    json(&["pull", "dir/ä b", "--output", &out]);
    assert_eq!(exit(&["pull", "nobody", "--output", &out]), 5);
    assert_eq!(exit(&["pull", "../x", "--output", &out]), 2);
    assert_eq!(run(&["ring", "list", "--at", "127.0.0.1:1", "--within", "300ms"]).0, 4);
    assert_eq!(json(&["list", "dir/"])[0]["name"], "dir/ä b");
    assert_eq!(json(&["stat", "dir/ä b"])[0]["root"], root.as_str());
    assert_eq!(json(&["topology"]).len(), 3);
    assert!(json(&["explain", "dir/ä b"]).iter().all(|copy| copy["state"] == "there"));
    assert_eq!(json(&["status"])[0]["well"], true);
    assert_eq!(pushed["durability"], "strict");
    assert_eq!(json(&["rebalance", "--status"])[0]["state"], "none");
    let balanced = json(&["rebalance", "--rate", "1000000000"]).remove(0);
    assert_eq!((balanced["state"].as_str(), balanced["moved"].as_u64()), (Some("done"), Some(0)), "{balanced}");
    assert_eq!(json(&["rebalance", "--stop"])[0]["state"], "done", "nothing is to be stopped");

    // HTTP on the same port.
    let gateway = up.gateway.as_str();
    let path = "/files/dir%2F%C3%A4%20b";
    let (head, body) = http(gateway, &format!("GET {path} HTTP/1.1"), b"");
    assert!(head.starts_with("http/1.1 200") && head.contains(&format!("etag: \"{root}\"")), "{head}");
    assert!(body == content);
    let (head, body) = http(gateway, &format!("GET {path} HTTP/1.1\r\nRange: bytes=1000-1999"), b"");
    assert!(head.starts_with("http/1.1 206") && head.contains("bytes 1000-1999/2500000"), "{head}");
    assert!(body == content[1000..2000]);
    let (head, _) = http(gateway, &format!("GET {path} HTTP/1.1\r\nRange: bytes=2500000-"), b"");
    assert!(head.starts_with("http/1.1 416") && head.contains("content-range: bytes */2500000"), "{head}");
    let (head, _) = http(gateway, &format!("GET {path} HTTP/1.1\r\nIf-None-Match: \"{root}\""), b"");
    assert!(head.starts_with("http/1.1 304"), "{head}");
    let (head, body) = http(gateway, &format!("HEAD {path} HTTP/1.1"), b"");
    assert!(head.contains("content-length: 2500000") && body.is_empty(), "{head}");
    let (head, _) = http(gateway, "PUT /files/p HTTP/1.1\r\nContent-Length: 5", b"hello");
    assert!(head.starts_with("http/1.1 201"), "{head}");
    let chunked = "PUT /files/p HTTP/1.1\r\nTransfer-Encoding: chunked";
    let (head, _) = http(gateway, chunked, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (head, _) = http(gateway, &format!("{chunked}\r\nX-File-Size: 9"), b"3\r\nabc\r\n0\r\n\r\n");
    assert!(head.starts_with("http/1.1 400"), "a body that is shorter than it should be stores nothing: {head}");
    assert_eq!(netcat(gateway, b"FILE PULL p\n"), b"abcdefg");
    let (head, _) = http(gateway, "PUT /files/p HTTP/1.1\r\nIf-None-Match: *\r\nContent-Length: 1", b"x");
    assert!(head.starts_with("http/1.1 412"), "{head}");
    let (_, body) = http(gateway, "GET /files?limit=1 HTTP/1.1", b"");
    let page: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((page["files"][0]["name"].as_str(), page["after"].as_str()), (Some("dir/ä b"), Some("dir/ä b")));
    let (_, body) = http(gateway, "GET /api/nodes HTTP/1.1", b"");
    let nodes: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(nodes.as_object().is_some_and(|nodes| nodes.len() == 3 && nodes.values().all(|it| it == "Alive")));
    assert!(http(gateway, "DELETE /files/p HTTP/1.1", b"").0.starts_with("http/1.1 200"));
    assert!(http(gateway, "GET /files/p HTTP/1.1", b"").0.starts_with("http/1.1 404"));
    assert!(http(gateway, "GET /files/..%2Fx HTTP/1.1", b"").0.starts_with("http/1.1 400"));
    let (head, _) = http(gateway, "GET /files HTTP/1.1\r\nOrigin: http://evil.example", b"");
    assert!(head.starts_with("http/1.1 403"), "{head}");
}

#[test]
fn fifty_writers_on_one_name_leave_one_of_them() {
    let dir = Directory::new();
    let up = Up::start(&dir.path("nodes"), "3");
    let contents: BTreeSet<Vec<u8>> = (0..50).map(|n| bytes(20_000 + n, 100 + n as u64)).collect();
    let (gateway, well, reads) = (up.gateway.as_str(), AtomicU64::new(0), AtomicU64::new(0));
    assert!(push(gateway, "one", contents.first().expect("fifty")).contains("\nOK "));
    std::thread::scope(|scope| {
        for content in &contents {
            let well = &well;
            scope.spawn(move || {
                let answer = push(gateway, "one", content);
                well.fetch_add(u64::from(answer.contains("\nOK ")), Ordering::Relaxed);
                assert!(answer.contains("\nOK ") || answer.starts_with("ERR "), "{answer}");
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    // what was overwritten twice while it was read cannot be read to its end:
                    // the connection is cut, so that nobody takes a part for the whole
                    let read = match heard(gateway, b"FILE PULL one\n") {
                        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
                        read => read.expect("ends well"),
                    };
                    reads.fetch_add(u64::from(contents.contains(&read)), Ordering::Relaxed);
                    let text = || String::from_utf8_lossy(&read[..read.len().min(200)]).into_owned();
                    assert!(contents.contains(&read) || read.starts_with(b"ERR "), "no mixture: {}", text());
                }
            });
        }
    });
    assert!(well.into_inner() > 0 && reads.into_inner() > 0, "somebody wins, somebody reads");
    assert!(contents.contains(&netcat(gateway, b"FILE PULL one\n")));
}

/// The shell's own sockets stand in where there is no netcat.
#[test]
fn the_scripts_are_clients() {
    let has_netcat = Command::new("nc").arg("-h").output().is_ok();
    if !has_netcat {
        println!("NO NETCAT HERE: the scripts are tried over bash's /dev/tcp");
    }
    let dir = Directory::new();
    let up = Up::start(&dir.path("nodes"), "3");
    let port = up.gateway.rsplit(':').next().expect("a port");
    let script = |name: &str, more: &[&str]| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ring").join(name);
        let output = Command::new("bash").arg(path).args(["-h", "127.0.0.1", "-p", port]).args(more).output();
        let output = output.expect("bash is there");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let content = bytes(70_000, 3);
    let file = dir.path("in.bin");
    std::fs::write(&file, &content).expect("is written");
    assert!(String::from_utf8_lossy(&script("push_file.sh", &["-f", &file])).contains("OK 70000 "));
    assert!(String::from_utf8_lossy(&script("list_files.sh", &[])).contains("in.bin,"));
    assert!(script("pull_file.sh", &["-f", "in.bin"]) == content);
    assert_eq!(String::from_utf8_lossy(&script("get_nodes.sh", &[])).matches("=Alive").count(), 3);
    assert!(String::from_utf8_lossy(&script("heal_network.sh", &[])).contains("OK network healed"));
}
