//! This process, seen through the operating system: what it costs, its
//! parent's death, its connections.

use super::records::Sample;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use std::io;
use std::time::Instant;

/// Scheduler ticks of `/proc/self/stat` in a second: fixed by Linux's ABI.
const TICKS_PER_SECOND: u64 = 100;

/// What this process costs, `started` being the start of its life.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn sample(started: Instant) -> io::Result<Sample> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name may hold spaces; what follows its bracket does not.
    let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let ticks: u64 = times.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Sample {
        at_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        rss_bytes: field("VmRSS:").unwrap_or(0) * 1024,
        rss_bytes_max: field("VmHWM:").unwrap_or(0) * 1024,
        threads: field("Threads:").and_then(|threads| u32::try_from(threads).ok()).unwrap_or(0),
        // The listing holds one descriptor open itself.
        descriptors: u32::try_from(std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1)).unwrap_or(u32::MAX),
        cpu_ms: ticks * 1000 / TICKS_PER_SECOND,
    })
}

/// Has this process killed when its parent dies, however that dies.
///
/// # Errors
/// When the system refuses, or the parent is dead already.
pub(crate) fn die_with_parent() -> io::Result<()> {
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if parent.is_none() || rustix::process::getppid() != parent {
        return Err(io::Error::other("the parent is gone"));
    }
    Ok(())
}

/// Cuts about every second TCP connection of this process, chosen at random,
/// in both directions and without a word: how many.
///
/// A process may always take a second descriptor of its own sockets, so this
/// needs no hook in the code that owns them, and they cannot prepare for it.
///
/// # Errors
/// When the system refuses to hand the descriptors out.
pub(crate) fn cut_connections(random: &mut fastrand::Rng) -> io::Result<usize> {
    let me = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let mut cut = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_socket =
            std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket) else {
            continue;
        };
        let socket = match rustix::process::pidfd_getfd(&me, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => socket,
            // Closed since it was listed.
            Err(rustix::io::Errno::BADF) => continue,
            Err(error) => return Err(error.into()),
        };
        // Listeners and local sockets have no peer with an address.
        let connected = rustix::net::getpeername(&socket)
            .ok()
            .and_then(|peer| std::net::SocketAddr::try_from(peer?).ok())
            .is_some();
        if connected && random.bool() && rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).is_ok() {
            cut += 1;
        }
    }
    Ok(cut)
}

/// Sends `signal` to a child.
///
/// # Errors
/// When it is gone.
pub(crate) fn signal(child: &std::process::Child, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let sample = sample(Instant::now()).unwrap();
        assert!(sample.rss_bytes > 1 << 16 && sample.rss_bytes_max >= sample.rss_bytes);
        assert!(sample.threads >= 1 && sample.descriptors >= 3);
    }
}
