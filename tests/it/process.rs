//! A node as a process of its own, run by the built command: what it prints,
//! and what it logs.

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A port of the system's choice, bound and not listened on: only who asks for
/// exactly this one gets it.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _socket: Socket,
}

impl Port {
    pub(crate) fn keep() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("as listeners do");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("bound");
        Port { address, _socket: socket }
    }
}

/// A running `nodewright node --json`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<Value>,
    log: Arc<Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be gone already
        let _ = self.child.wait();
    }
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Process {
        Self::spawn(Self::command(args).stdin(Stdio::null()))
    }

    /// One that takes orders, with these variables. Dies with the thread that
    /// started it.
    pub(crate) fn supervised(args: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = Self::command(args);
        Self::spawn(command.arg("--supervised").stdin(Stdio::piped()).envs(variables.iter().copied()))
    }

    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewright"));
        command.args(["node", "--json"]).args(args).env("RUST_LOG", "info");
        command
    }

    fn spawn(command: &mut Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let orders = child.stdin.take();
        let (sender, lines) = channel();
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    let _ = sender.send(line); // nobody reads on once the test is over
                }
            }
        });
        let log = Arc::<Mutex<String>>::default();
        let logged = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *logged.lock().expect("no panic") += &(line + "\n");
            }
        });
        Process { child, orders, lines, log }
    }

    /// Reads what it prints until a line is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if holds(&line) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("not in time: {what}\n{}", self.log()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before: {what}\n{}", self.log()),
            }
        }
    }

    /// Waits until it joined, suspected or restored that peer.
    #[track_caller]
    pub(crate) fn wait_for_peer(&self, peer: &str, standing: &str) {
        self.wait_for(&format!("{peer} {standing}"), |line| line["peer"] == peer && line["standing"] == standing);
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// What it printed since this was last asked.
    pub(crate) fn printed(&self) -> impl Iterator<Item = Value> {
        self.lines.try_iter()
    }

    /// Gives a supervised node an order.
    pub(crate) fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("it is supervised");
        writeln!(orders, "{order}").unwrap_or_else(|error| panic!("it is gone: {error}\n{}", self.log()));
    }

    /// Stops it as Ctrl-C does, and waits for its orderly end.
    pub(crate) fn stop(self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
        self.ended();
    }

    /// Waits for its orderly end.
    pub(crate) fn ended(mut self) {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {}", self.log());
    }
}
