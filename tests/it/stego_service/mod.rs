//! The steganography service on real sockets, disks and processes.

mod bad_input;
mod commands;
mod failures;
mod json;

use crate::process::Port;
use nodewright::id::NodeId;
use nodewright::node::{Node, Running, StegoClient};
use nodewright::service::stego::service::{Answer, Config, Request, Stats, Work};
use nodewright::service::stego::{Cover, Format, Output};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nodewright-stego-service-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path); // of an earlier run
        std::fs::create_dir_all(&path).expect("is made");
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server in this process, a group of one.
struct Server {
    address: String,
    running: Running,
    _port: Port,
    _folder: Folder,
}

impl Server {
    fn start(name: &str, config: Config) -> Self {
        let (folder, port) = (Folder::new(name), Port::keep());
        let address = port.address.to_string();
        let config = Config { address: address.clone(), ..config };
        let node = Node::new(name, 0, 1)
            .id(NodeId(1))
            .listen(&address)
            .has_failure_detector(Duration::from_millis(1000), Duration::from_millis(100))
            .election_timeout(Duration::from_millis(400))
            .has_steganography(folder.path("data"), config);
        let running = node.start().expect("starts");
        let server = Server { address, running, _port: port, _folder: folder };
        let until = Instant::now() + PATIENCE;
        while !matches!(server.client().ask(&server.address, &Request::Leader), Ok(Answer::Leader(..))) {
            assert!(Instant::now() < until, "no leader: {:?}", server.running.inspect());
            std::thread::sleep(Duration::from_millis(10)); // between two looks
        }
        server
    }

    fn client(&self) -> StegoClient {
        StegoClient::new("client", [&self.address])
    }

    fn stats(&self) -> Stats {
        match self.client().ask(&self.address, &Request::Stats) {
            Ok(Answer::Stats(stats)) => *stats,
            other => panic!("{other:?}"),
        }
    }

    /// Asks one thing on a connection of its own.
    fn ask(&self, request: &Request) -> Answer {
        self.client().ask(&self.address, request).expect("is answered")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.stop();
        let _ = self.running.join();
    }
}

/// A cover of noise.
fn cover(seed: u64, width: u32, height: u32) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let pixels = (0..width * height * 3).map(|_| rng.u8(..)).collect();
    Cover::rgb8(width, height, pixels).write(Output::Fast).expect("is written")
}

fn work(seed: u64, text: &str) -> Work {
    let cover = Some(cover(seed, 48, 48).into());
    Work { cover, payload: text.to_string().into(), is_text: true, format: Format::Boxed }
}
