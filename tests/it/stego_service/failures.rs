//! Servers killed under load: processes of `nodewright stego up`.
//!
//! The dose is small, for every check of a change. A longer one:
//! `NODEWRIGHT_STEGO_SERVERS=10 NODEWRIGHT_STEGO_CLIENTS=20 NODEWRIGHT_STEGO_IMAGES=15 cargo test --test it
//! stego_service::failures`.

use super::{Folder, PATIENCE, work};
use nodewright::node::{StegoClient, hides_exactly};
use nodewright::service::stego::Format;
use nodewright::service::stego::service::{Answer, Request, TaskId};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn dose(what: &str, usual: usize) -> usize {
    let told = std::env::var(format!("NODEWRIGHT_STEGO_{what}"));
    told.map_or(usual, |number| number.parse().expect("a number"))
}

/// `nodewright stego up --restart`; its servers die with it.
struct Up {
    child: Child,
    /// Address and process of each server, as they were told last.
    servers: Arc<Mutex<Vec<(String, i32)>>>,
    _folder: Folder,
}

impl Up {
    fn start(servers: usize) -> Self {
        let folder = Folder::new("up");
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodewright"))
            .args(["stego", "up", "--restart", "--json", "--servers", &servers.to_string(), "--dir", &folder.path("c")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let known = Arc::new(Mutex::new(vec![(String::new(), 0); servers]));
        let (told, ready) = (known.clone(), std::sync::mpsc::channel());
        let stdout = child.stdout.take().expect("is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("one object a line");
                if line["event"] == "up" {
                    let name = line["node"].as_str().expect("a name").trim_start_matches("server").to_string();
                    let number: usize = name.parse().expect("a number");
                    let address = line["address"].as_str().expect("an address").to_string();
                    let pid = line["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
                    told.lock().expect("no panic")[number - 1] = (address, pid);
                } else if line["event"] == "ready" {
                    let _ = ready.0.send(()); // nobody waits a second time
                }
            }
        });
        ready.1.recv_timeout(2 * PATIENCE).expect("is ready");
        Up { child, servers: known, _folder: folder }
    }

    fn addresses(&self) -> Vec<String> {
        self.servers.lock().expect("no panic").iter().map(|(address, _)| address.clone()).collect()
    }

    fn kill(&self, number: usize) {
        let pid = self.servers.lock().expect("no panic")[number].1;
        // One that fell a moment ago may not be told anew yet.
        let _ = kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL);
    }

    /// Who leads, as most say.
    fn leader(&self) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let stats = StegoClient::new("test", self.addresses()).stats();
            let leaders = stats.iter().filter_map(|(_, stats)| stats.as_ref().ok()?.leader);
            let leaders: Vec<u64> = leaders.collect();
            let most = leaders.iter().max_by_key(|it| leaders.iter().filter(|other| other == it).count());
            if let Some(leader) = most.filter(|_| leaders.len() * 2 > stats.len()) {
                return *leader as usize - 1;
            }
            assert!(Instant::now() < until, "no leader: {stats:?}");
            std::thread::sleep(Duration::from_millis(20)); // between two looks
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn all_images_come_back_although_servers_and_leaders_are_killed() {
    let (servers, clients, images) = (dose("SERVERS", 3), dose("CLIENTS", 4), dose("IMAGES", 8));
    let up = Up::start(servers);
    let (addresses, done) = (up.addresses(), AtomicUsize::new(0));
    let total = clients * images;
    let results: Vec<u32> = std::thread::scope(|scope| {
        let send = |number: usize| {
            let (addresses, done) = (addresses.clone(), &done);
            move || {
                let name = format!("client{number}");
                let mut client = StegoClient::new(&name, addresses).task_within(Duration::from_secs(10));
                let mut retries = 0;
                for image in 0..images as u64 {
                    let text = format!("{name} {image}");
                    let until = Some(Instant::now() + 3 * PATIENCE);
                    let result = client.embed(image + 1, work(image, &text), until).expect("succeeds");
                    assert!(hides_exactly(&result.image, text.as_bytes(), Format::Boxed));
                    assert_eq!(result.wrong, 0);
                    retries += result.retries;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                retries
            }
        };
        let running: Vec<_> = (0..clients).map(|number| scope.spawn(send(number))).collect();
        let reached = |part: usize| {
            let until = Instant::now() + 3 * PATIENCE;
            while done.load(Ordering::Relaxed) < total * part / 4 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5)); // between two looks
            }
        };
        reached(1);
        let (mut probe, task) =
            (StegoClient::new("probe", up.addresses()), TaskId { client: "probe".into(), request: 1 });
        let assigned = loop {
            let request = Request::Assign { task: task.clone(), image: None, refused: None };
            match probe.ask(&addresses[0], &request) {
                Ok(Answer::Assigned(assignment)) => break assignment,
                _ => std::thread::sleep(Duration::from_millis(50)), // no leader at this moment
            }
        };
        let place = addresses.iter().position(|address| *address == assigned.address).expect("one of ours");
        up.kill(place);
        let result = probe.embed(1, work(5, "after the fall"), Some(Instant::now() + 3 * PATIENCE)).expect("is done");
        assert!(hides_exactly(&result.image, b"after the fall", Format::Boxed));
        reached(2);
        up.kill(up.leader());
        reached(3);
        let leader = up.leader();
        up.kill(leader);
        up.kill((leader + 1) % servers);
        running.into_iter().map(|client| client.join().expect("no client fails")).collect()
    });
    assert_eq!(done.into_inner(), total);
    println!("{total} images by {clients} clients of {servers} servers, four of them killed; retries {results:?}");
    let until = Instant::now() + PATIENCE;
    loop {
        let stats = StegoClient::new("test", up.addresses()).stats();
        let open: Vec<Option<u64>> = stats.iter().map(|(_, stats)| Some(stats.as_ref().ok()?.open)).collect();
        if open.iter().all(|open| *open == Some(0)) {
            break;
        }
        assert!(Instant::now() < until, "tasks stay in the history: {open:?}");
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
}
