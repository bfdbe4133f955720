//! Processes that this one runs: nodes of a cluster on this machine.
//!
//! None of them outlives this process: each ends with its standard input, and is killed
//! by the system when the thread that started it dies, so that `kill -9` leaves nothing
//! behind either. A process that is stopped (SIGSTOP) is there all the same: only one
//! that has ended is started again.

mod respawn;

pub(crate) use respawn::Respawn;

use super::process::signal;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long processes that were asked to end may take.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at what cannot be waited for.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// A port that only who asks for exactly this one gets: bound and not listened on, also
/// while the process that listens there is down. 0 lets the system choose.
pub(crate) fn keep(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

/// A process that ends with this one; killed when dropped.
pub(crate) struct Supervised {
    child: Child,
    /// Its end asks the process to end.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Supervised {
    /// Starts `command`, whose log goes to a file. From a thread that lives as long as
    /// the process should.
    pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<(Self, ChildStdout)> {
        let stderr = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Ctrl-C reaches this process only, which then stops the others.
            .process_group(0)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok((Supervised { child, stdin: Some(stdin), log: log.to_path_buf() }, stdout))
    }

    /// The same, and waits until it says its first line.
    pub(crate) fn start_up(command: &mut Command, log: &Path, name: &str) -> io::Result<Self> {
        let (mut started, stdout) = Supervised::start(command, log)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = started.child.wait()?;
            return Err(io::Error::other(started.did_not_start(name, status)));
        }
        Ok(started)
    }

    /// Why it ended before it was up, in the words of its log.
    pub(crate) fn did_not_start(&self, name: &str, status: ExitStatus) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(5).collect();
        format!("{name} did not start ({status}):\n    {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n    "))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            log::warn!("process {} cannot be killed: {error}", self.child.id());
        }
    }
}

/// Asks all to end, waits, and kills those that do not.
pub(crate) fn stop(mut all: Vec<Supervised>) {
    for process in &mut all {
        // One that is paused cannot hear that its input has ended.
        let _ = signal(&process.child, Signal::CONT);
        process.stdin = None;
    }
    let until = Instant::now() + STOP_WITHIN;
    while all.iter_mut().any(|process| matches!(process.ended(), Ok(None))) && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat(dir: &Path) -> Supervised {
        Supervised::start(&mut Command::new("cat"), &dir.join("log")).expect("starts").0
    }

    fn is_there(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn processes_end_when_asked_also_paused_ones_and_when_dropped() {
        let dir = std::env::temp_dir().join(format!("nodewright-supervise-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let (one, two, three) = (cat(&dir), cat(&dir), cat(&dir));
        signal(&two.child, Signal::STOP).expect("it runs");
        let pids = [one.pid(), two.pid(), three.pid()];
        stop(vec![one, two]);
        assert_eq!(pids.map(is_there), [false, false, true]);
        drop(three);
        assert!(!is_there(pids[2]));
        let failed =
            Supervised::start_up(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), &dir.join("log"), "x");
        let why = failed.err().expect("it ends").to_string();
        assert!(why.contains("x did not start") && why.contains("why") && why.contains('3'), "{why}");
        std::fs::remove_dir_all(dir).expect("is removed");
    }

    #[test]
    fn a_kept_port_is_kept() {
        let (_kept, address) = keep(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let listens = std::net::TcpListener::bind(address).expect("who asks for it gets it");
        assert!(keep(address).is_err(), "while somebody listens there it is taken");
        drop(listens);
    }
}
